"""What Claude is asked for and not every model has: reasoning, sampling, shapes; and what none has."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.types import RequestError
from providers.upstreams.anthropic.dialect import Anthropic
from providers.upstreams.anthropic.models import traits
from tests.support.foreign import asking

DIALECT: Final = Anthropic()
OLD, MIDDLE, NEW = "claude-sonnet-4-5", "claude-sonnet-4-6", "claude-opus-5-5"
HELLO: Final = [{"role": "user", "content": "hello"}]
ANSWER: Final = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def encoded(
    messages: Sequence[Mapping[str, Any]] = HELLO, model: str = OLD, **members: Any
) -> dict[str, Any]:
    """The body that is sent."""
    body: dict[str, Any] = orjson.loads(DIALECT.encode(asking(messages, **members), model).body)
    return body


def lacking(
    messages: Sequence[Mapping[str, Any]] = HELLO, model: str = "", **members: Any
) -> tuple[str, ...]:
    return DIALECT.lacks(asking(messages, **members), model)


def tool(name: str = "f", **members: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **members}}


def shape(schema: Mapping[str, Any], **members: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, **members}}


def file(**members: Any) -> dict[str, Any]:
    return {"type": "file", "file": members}


# Reasoning


@pytest.mark.parametrize(
    ("model", "members", "thinking", "effort", "max_tokens"),
    [
        # Budgets: shares of the limit, at least 1024, below the limit; without one, 4096 are left for the answer.
        (OLD, {"reasoning_effort": "high", "max_tokens": 10_000}, 8000, None, 10_000),
        (OLD, {"reasoning_effort": "low", "max_tokens": 2000}, 1024, None, 2000),
        (OLD, {"reasoning_effort": "medium"}, 4096, None, 8192),
        (OLD, {"reasoning_effort": "xhigh"}, 30_400, None, 32_000),
        (OLD, {"reasoning": {"max_tokens": 2000}}, 2000, None, 6096),
        (OLD, {"reasoning": {"max_tokens": 5000}, "max_tokens": 3000}, 2999, None, 3000),
        (OLD, {"reasoning": {"max_tokens": 10}, "max_tokens": 3000}, 1024, None, 3000),
        (OLD, {"reasoning": {"enabled": True}, "max_tokens": 4000}, 2000, None, 4000),
        (OLD, {"reasoning_effort": "none"}, None, None, 4096),
        # Either: a budget where one is named, else adaptively.
        (MIDDLE, {"reasoning": {"max_tokens": 2000}}, 2000, None, 6096),
        (MIDDLE, {"reasoning_effort": "minimal"}, "summarized", "low", 4096),
        (MIDDLE, {"reasoning_effort": "xhigh"}, "summarized", "high", 4096),
        (MIDDLE, {"reasoning": {"enabled": False}}, None, None, 4096),
        # Adaptive alone: a budget becomes the effort whose share it is.
        (NEW, {"reasoning": {"effort": "xhigh", "exclude": True}}, "omitted", "xhigh", 4096),
        (NEW, {"reasoning": {"max_tokens": 2000}, "max_tokens": 5000}, "summarized", "medium", 5000),
        (NEW, {"reasoning": {"enabled": True}}, "summarized", None, 4096),
        (NEW, {}, None, None, 4096),
        # Off where it is on by default.
        (NEW, {"reasoning_effort": "none"}, "disabled", None, 4096),
        ("claude-haiku-5-5", {"reasoning_effort": "none"}, "disabled", None, 4096),
        ("claude-sonnet-5-5", {"reasoning": {"effort": "none"}}, "between_tools", None, 4096),
    ],
)
def test_reasoning(
    model: str, members: dict[str, Any], thinking: int | str | None, effort: str | None, max_tokens: int
) -> None:
    """A wish for reasoning becomes what this model understands: a budget, or an effort."""
    expected: Any = None
    if isinstance(thinking, int):
        expected = {"type": "enabled", "budget_tokens": thinking}
    elif thinking in ("summarized", "omitted"):
        expected = {"type": "adaptive", "display": thinking}
    elif thinking is not None:
        expected = {"type": thinking}
    made = encoded(model=model, **members)
    assert (expected, max_tokens) == (made.get("thinking"), made["max_tokens"])
    assert effort == made.get("output_config", {}).get("effort")


def test_own_words_for_thinking_win() -> None:
    """A client that knows Anthropic's own parameters has its way; without a limit its budget is added to ours."""
    own = {"type": "enabled", "budget_tokens": 2048}
    made = encoded(thinking=own, reasoning_effort="low", output_config={"effort": "max"})
    assert (own, {"effort": "max"}, 4096 + 2048) == (
        made["thinking"],
        made["output_config"],
        made["max_tokens"],
    )


def test_effort_and_schema_share_a_place() -> None:
    """Effort and the shape of the answer travel together, and the client's own effort wins."""
    made = encoded(model=NEW, reasoning_effort="low", response_format=shape(ANSWER))
    assert {"format", "effort"} == made["output_config"].keys()
    own = encoded(model=NEW, reasoning_effort="low", output_config={"effort": "high"})
    assert {"effort": "high"} == own["output_config"]


@pytest.mark.parametrize("model", [NEW, OLD])
def test_default_sampling_is_left_out(model: str) -> None:
    """Values that are the defaults anyway stay behind where the model takes no others."""
    made = encoded(model=model, temperature=1, top_p=1.0, reasoning_effort="high")
    assert {"temperature", "top_p"}.isdisjoint(made)


# What Claude lacks


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, ()),
        (
            {
                "n": 1,
                "logprobs": False,
                "frequency_penalty": 0,
                "logit_bias": {"1": 0},
                "verbosity": "medium",
            },
            (),
        ),
        ({"n": 2}, ("n",)),
        ({"logprobs": True, "top_logprobs": 2}, ("logprobs", "top_logprobs")),
        ({"presence_penalty": 0.5, "logit_bias": {"1": 5}}, ("presence_penalty", "logit_bias")),
        ({"modalities": ["text", "audio"], "audio": {"voice": "x"}}, ("modalities", "audio")),
        ({"web_search_options": {"search_context_size": "low"}}, ("web_search_options",)),
        ({"verbosity": "low", "min_p": 0.1}, ("verbosity", "min_p")),
        ({"temperature": 1.5}, ("temperature",)),
        ({"temperature": 0.5}, ()),
        ({"temperature": 0.5, "reasoning_effort": "low"}, ("temperature",)),
        ({"temperature": 0.5, "reasoning_effort": "none"}, ()),
        ({"top_p": 0.5, "top_k": 3, "reasoning_effort": "low"}, ("top_p", "top_k")),
        ({"top_p": 0.96, "reasoning_effort": "low"}, ()),
        ({"stop": ["END", "\n"]}, ("stop",)),
        ({"reasoning_effort": "heroic"}, ("reasoning_effort",)),
        ({"tools": [tool(), {"type": "custom", "custom": {"name": "x"}}]}, ("tools[1]",)),
        ({"tools": [tool()], "tool_choice": "required", "reasoning_effort": "low"}, ("tool_choice",)),
        ({"response_format": {"type": "json_object"}, "reasoning": {"enabled": True}}, ("response_format",)),
    ],
)
def test_lacks(members: dict[str, Any], expected: tuple[str, ...]) -> None:
    """What no Claude can do is named, so that another backend is asked; values that ask for nothing are not."""
    assert expected == lacking(**members)


@pytest.mark.parametrize(
    ("model", "members", "expected"),
    [
        (NEW, {"temperature": 0.5, "top_p": 0.5, "top_k": 3}, ("temperature", "top_p", "top_k")),
        (NEW, {"temperature": 1, "top_p": 1}, ()),
        (NEW, {"reasoning_effort": "none"}, ("reasoning_effort",)),
        (NEW, {"tools": [tool()], "tool_choice": "required"}, ("tool_choice",)),
        (NEW, {"response_format": {"type": "json_object"}}, ("response_format",)),
        (NEW, {"response_format": shape(ANSWER)}, ()),
        ("claude-haiku-5-5", {"tools": [tool()], "tool_choice": "required"}, ()),
        (OLD, {"temperature": 0.5, "top_p": 0.5}, ("top_p",)),
        (OLD, {"reasoning_effort": "low", "max_tokens": 1024}, ("reasoning_effort",)),
        (OLD, {"reasoning_effort": "low", "max_tokens": 1025}, ()),
        ("claude-3-5-haiku-20241022", {"temperature": 0.5, "top_p": 0.5}, ()),
        ("claude-3-5-haiku-20241022", {"reasoning": {"effort": "low"}}, ("reasoning",)),
    ],
)
def test_lacks_of_a_model(model: str, members: dict[str, Any], expected: tuple[str, ...]) -> None:
    """What this model cannot do is named, where the model is known."""
    assert expected == lacking(model=model, **members)


def test_lacks_prefill() -> None:
    """Newer models do not continue an assistant's message."""
    messages = [*HELLO, {"role": "assistant", "content": "Once"}]
    assert [(), ("messages[1]",)] == [lacking(messages, model) for model in (OLD, NEW)]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
        {"type": "image_url", "image_url": {"url": "gs://bucket/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/tiff;base64,SUkq"}},
        file(file_id="file-openai"),
        file(file_data="data:application/zip;base64,UEsD"),
        file(file_data="data:text/plain;base64,/w=="),
    ],
)
def test_lacks_parts(part: dict[str, Any]) -> None:
    """Parts that Claude cannot read are named by their path."""
    assert ("messages[0].content[1]",) == lacking(
        [{"role": "user", "content": [{"type": "text", "text": "x"}, part]}]
    )


def test_lacks_images_for_a_system() -> None:
    """A system prompt holds text alone."""
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    assert ("messages[0].content[0]",) == lacking([{"role": "system", "content": [picture]}, *HELLO])


def test_what_a_model_refuses_is_sent_as_asked() -> None:
    """Nothing is dropped in silence: a model that refuses it says so itself."""
    made = encoded(model=NEW, temperature=0.5, top_p=0.5, tools=[tool()], tool_choice="required")
    assert (0.5, 0.5, {"type": "any"}) == (made["temperature"], made["top_p"], made["tool_choice"])


def test_drops() -> None:
    """What stays behind without harm is named; what is carried or asks for nothing is not; the unknown is lacking."""
    request = asking(
        HELLO,
        seed=1,
        store=True,
        prediction=None,
        metadata={"team": "x"},
        prompt_cache_key="k",
        service_tier="flex",
        some_day=1,
        n=2,
        user="u",
        safety_identifier="s",
        headgate={},
        stream_options={"include_usage": True},
    )
    assert {
        "seed", "store", "metadata", "prompt_cache_key", "service_tier", "safety_identifier",
    } == set(DIALECT.drops(request))  # fmt: skip
    assert {"some_day", "n"} == set(DIALECT.lacks(request))
    carried = asking(HELLO, metadata={"user_id": "u"}, service_tier="auto", thinking={"type": "adaptive"})
    assert () == DIALECT.drops(carried)
    assert () == DIALECT.drops(asking(HELLO, safety_identifier="s"))


LOOP: Final[list[dict[str, Any]]] = [
    {"role": "user", "content": "weather?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "rain"},
]
SIGNED: Final = {
    "type": "reasoning.text",
    "text": "hm",
    "signature": "s",
    "format": "anthropic-claude-v1",
    "index": 0,
}


@pytest.mark.parametrize(
    ("conversation", "model", "expected"),
    [
        (LOOP, "claude-sonnet-4-5", None),
        ([LOOP[0], {**LOOP[1], "reasoning_details": [SIGNED]}, LOOP[2]], "claude-sonnet-4-5", "enabled"),
        ([*LOOP, {"role": "assistant", "content": "Rain."}, LOOP[0]], "claude-sonnet-4-5", "enabled"),
        (LOOP, "claude-sonnet-5", "adaptive"),
    ],
)
def test_a_tool_loop_without_its_thoughts(conversation: Any, model: str, expected: str | None) -> None:
    """In the middle of a loop whose thoughts were not sent back, no new ones with a budget are asked for."""
    request = asking(
        conversation,
        reasoning_effort="low",
        tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    )
    made = orjson.loads(DIALECT.encode(request, model).body)
    assert expected == made.get("thinking", {}).get("type")


def test_senseless_requests() -> None:
    """What has no meaning is refused with its path, before anything is sent."""
    with pytest.raises(RequestError, match=r"messages\[0\]\.role"):
        lacking([{"role": "wizard", "content": "x"}])
    deep: Any = []
    for _ in range(300):
        deep = [deep]
    body = b'{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":'
    body += b'{"name":"f","parameters":{"x":' + b"[" * 300 + b"]" * 300 + b"}}}]}"
    request = asking(HELLO)._replace(members=orjson.loads(body))
    with pytest.raises(RequestError, match="nested"):
        DIALECT.encode(request, OLD)


# Models


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5"),
        ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
        ("anthropic/claude-sonnet-4.6", "claude-sonnet-4-6"),
        ("claude-3-7-sonnet-20250219", "claude-3-7-sonnet"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4-0"),
        ("claude-opus-latest", "claude-opus-9-9"),
        ("claude-mythos-preview", "claude-mythos-9"),
    ],
)
def test_names_of_models(name: str, like: str) -> None:
    """A model is known in every provider's spelling; one without a number is taken for a new one."""
    assert traits(like) == traits(name)


def test_other_models() -> None:
    """Another maker's model behind this dialect takes what Claude took before 4.5."""
    assert ("budget", True, False) == (
        traits("kimi-k3").thinks,
        traits("kimi-k3").sampling,
        traits("kimi-k3").schemas,
    )


# Anything at all

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 5000) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
known = st.sampled_from(
    ["temperature", "top_p", "top_k", "reasoning", "reasoning_effort", "thinking", "tools", "tool_choice", "stop",
     "response_format", "parallel_tool_calls", "user", "metadata", "service_tier", "output_config", "n",
     "verbosity", "modalities", "logit_bias", "safety_identifier", "include_reasoning"]
)  # fmt: skip
message = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "system"])},
    optional={
        "content": anything,
        "tool_calls": anything,
        "reasoning_details": st.lists(
            st.dictionaries(
                st.sampled_from(["type", "text", "signature", "data", "index", "format"]),
                anything,
                max_size=5,
            ),
            max_size=3,
        ),
        "tool_call_id": anything,
    },
)


@given(st.lists(message, min_size=1, max_size=4), st.dictionaries(known, anything, max_size=4))
def test_any_request_can_be_judged(messages: list[dict[str, Any]], members: dict[str, Any]) -> None:
    """Members of any shape are read or refused as the client's mistake; no other exception escapes."""
    request = asking(HELLO)
    request = request._replace(members={**request.members, "messages": messages, **members})
    for model in (OLD, MIDDLE, NEW):
        try:
            DIALECT.lacks(request, model)
            DIALECT.drops(request)
            DIALECT.encode(request, model)
        except RequestError:
            return
