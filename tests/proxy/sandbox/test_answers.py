"""The bytes: complete objects, frames in order, and a stream that says what the plain answer says."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.sandbox import answers
from proxy.sandbox.fields import RequestError
from tests.proxy.sandbox.asking import CREATED_S, ask, beats, chunks, joined, plain, tool

TOOLS = [
    tool("get_weather", "", city={"type": "string"}, days={"type": "array", "items": {"type": "integer"}}),
    tool("read_news", "", topic={"type": "string"}),
]
ENVELOPE = {"id", "object", "created", "model", "service_tier", "system_fingerprint"}

MEMBERS: list[dict[str, Any]] = [
    {},
    {"n": 3},
    {"model": "sandbox-large", "stop": "routing"},
    {"model": "sandbox-reasoning", "n": 2, "max_completion_tokens": 60},
    {"model": "sandbox-reasoning", "tools": TOOLS, "tool_choice": "required"},
    {"tools": TOOLS},
    {"tools": TOOLS, "n": 2, "max_tokens": 9},
    {"logprobs": True, "top_logprobs": 20, "n": 2},
    {"logprobs": True, "stop": ["H", "G", "B", "¡"]},
    {"response_format": {"type": "json_object"}},
    {"sandbox": {"pieces": 300}},
]


def assert_stream_is_plain(members: dict[str, Any], question: str = "News and weather of Paris") -> None:
    whole = plain(ask(question, **members))
    streamed = joined(chunks(b"".join(beats(ask(question, **members, stream=True)))))
    assert len(streamed) == len(whole["choices"])
    for choice in whole["choices"]:
        message, made = choice["message"], streamed[choice["index"]]
        assert made["content"] == message["content"]
        assert made["calls"] == message.get("tool_calls", [])
        assert made.get("reasoning_content") == message.get("reasoning_content")
        assert made["finish"] == choice["finish_reason"]
        assert (made["logprobs"] or []) == (choice["logprobs"] or {"content": []})["content"]


@pytest.mark.parametrize("members", MEMBERS)
def test_the_stream_joined_is_the_plain_answer(members: dict[str, Any]) -> None:
    """Text, reasoning, calls, logprobs and finish reasons of every choice."""
    assert_stream_is_plain(members)


@given(
    question=st.text(min_size=1, max_size=200),
    choices=st.integers(1, 3),
    limit=st.integers(1, 120),
    model=st.sampled_from(["sandbox-small", "sandbox-large"]),
    stop=st.lists(st.text(min_size=1, max_size=3), max_size=4),
)
def test_the_stream_is_the_plain_answer_whatever_is_asked(
    question: str, choices: int, limit: int, model: str, stop: list[str]
) -> None:
    """Any text, limit and stop words."""
    assert_stream_is_plain({"n": choices, "max_tokens": limit, "model": model, "stop": stop}, question)


def test_a_plain_answer_is_complete() -> None:
    """Every member OpenAI's schema requires is there, with the right constants."""
    made = plain(ask())
    assert set(made) == ENVELOPE | {"choices", "usage"}
    assert (made["object"], made["created"], made["service_tier"]) == (
        "chat.completion",
        CREATED_S,
        "default",
    )
    assert set(made["choices"][0]) == {"index", "message", "logprobs", "finish_reason"}
    assert set(made["choices"][0]["message"]) == {"role", "content", "refusal", "annotations"}
    used = made["usage"]
    assert used["total_tokens"] == used["prompt_tokens"] + used["completion_tokens"]
    assert set(used["prompt_tokens_details"]) == {"cached_tokens", "audio_tokens"}
    assert set(used["completion_tokens_details"]) == {
        "reasoning_tokens",
        "audio_tokens",
        "accepted_prediction_tokens",
        "rejected_prediction_tokens",
    }


def test_every_chunk_is_complete_and_alike() -> None:
    """One id, one clock reading, one model on all of them; the first carries the role."""
    made = chunks(b"".join(beats(ask(stream=True))))
    assert {frozenset(chunk) for chunk in made} == {frozenset(ENVELOPE | {"choices"})}
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in made}) == 1
    assert made[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert made[-1]["choices"][0]["delta"] == {}


def test_usage_is_sent_only_when_asked_for() -> None:
    """Asked: a chunk without choices before the end, null on all others. Not asked: nowhere."""
    asked = chunks(b"".join(beats(ask(stream=True, stream_options={"include_usage": True}))))
    assert [chunk["usage"] for chunk in asked[:-1]] == [None] * (len(asked) - 1)
    assert (asked[-1]["choices"], asked[-1]["usage"]) == ([], plain(ask())["usage"])
    assert not any("usage" in chunk for chunk in chunks(b"".join(beats(ask(stream=True)))))


def test_choices_take_turns() -> None:
    """With three choices each beat holds one frame of each, until the shorter ones are through."""
    sent = beats(ask(n=3, stream=True))
    indexes = [[chunk["choices"][0]["index"] for chunk in chunks(beat + answers.DONE)] for beat in sent[:10]]
    assert indexes == [[0, 1, 2]] * 10


def test_a_tool_call_is_named_once_and_then_streamed_in_pieces() -> None:
    """id, type and name on the first piece of each call only; call 1 follows call 0."""
    made = chunks(b"".join(beats(ask("news and weather", tools=TOOLS, stream=True))))
    calls = [call for chunk in made for call in chunk["choices"][0]["delta"].get("tool_calls", [])]
    assert [call["function"]["name"] for call in calls if "id" in call] == ["get_weather", "read_news"]
    assert [call["index"] for call in calls] == sorted(call["index"] for call in calls)
    assert len(calls) > 10
    assert made[0]["choices"][0]["delta"]["content"] is None


def test_reasoning_comes_before_content() -> None:
    """No reasoning after the first text, and the message keeps the two apart."""
    made = chunks(b"".join(beats(ask(model="sandbox-reasoning", stream=True))))
    kinds = [next(iter(chunk["choices"][0]["delta"])) for chunk in made[1:-1]]
    assert kinds == sorted(kinds, reverse=True)
    assert set(kinds) == {"reasoning_content", "content"}


def test_logprobs_are_plausible() -> None:
    """One entry per token, its bytes right; the alternatives distinct, falling, together at most certain."""
    content = plain(ask(logprobs=True, top_logprobs=20))["choices"][0]["logprobs"]["content"]
    for entry in content:
        top = entry["top_logprobs"]
        assert bytes(entry["bytes"]).decode() == entry["token"] == top[0]["token"]
        assert [one["logprob"] for one in top] == sorted((one["logprob"] for one in top), reverse=True)
        assert len({one["token"] for one in top}) == 20
        assert sum(math.exp(one["logprob"]) for one in top) <= 1.0001


def test_an_answer_depends_on_the_request_and_the_clock_alone() -> None:
    """Ids and bytes are the same the second time; another question has another id."""
    assert plain(ask(tools=TOOLS)) == plain(ask(tools=TOOLS))
    assert beats(ask(stream=True)) == beats(ask(stream=True))
    assert plain(ask())["id"] != plain(ask("Why?"))["id"]


def test_a_refusal_has_the_usual_shape() -> None:
    """The four members clients read."""
    made = answers.refusal(RequestError("no", param="n", code="c"))
    assert made == b'{"error":{"message":"no","type":"invalid_request_error","param":"n","code":"c"}}'
