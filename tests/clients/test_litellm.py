"""litellm's Python package as a client of a real gateway: `completion` and `acompletion` work, unchanged."""

from typing import Any

import orjson
import pytest

from tests.clients.environments import interpreter
from tests.clients.place import BUSY_S, Results, cost_usd, place


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Results:
    python = interpreter("litellm")
    with place(tmp_path_factory.mktemp("litellm")) as here:
        return here.results([python, "-m", "tests.clients.litellm.script"])


def text_of(chunks: list[dict[str, Any]]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def finishes(chunks: list[dict[str, Any]]) -> list[str]:
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    return [reason for reason in reasons if reason is not None]


def check_cost(usage: dict[str, Any]) -> None:
    assert cost_usd(usage["prompt_tokens"], usage["completion_tokens"]) == usage["cost"]


@pytest.mark.parametrize("case", ["plain /v1", "plain /api/v1", "plain, async"])
def test_plain(ran: Results, case: str) -> None:
    """A plain answer has text, usage with its cost, and Headgate's block."""
    answer = ran.seen(case)
    choice = answer["choices"][0]
    assert "stop" == choice["finish_reason"]
    assert "Tell me about locks" in choice["message"]["content"]
    check_cost(answer["usage"])
    assert "sandbox-small" == answer["headgate"]["model"]
    assert answer["usage"]["cost"] == answer["headgate"]["cost_usd"]


def test_stream(ran: Results) -> None:
    """Streamed, the text is the same; the finish chunk has the block, with the cost in it."""
    chunks, plain = ran.seen("stream"), ran.seen("plain /v1")
    assert plain["choices"][0]["message"]["content"] == text_of(chunks)
    assert ["stop"] == finishes(chunks)
    blocks = [chunk["headgate"] for chunk in chunks if chunk.get("headgate")]
    assert [plain["headgate"]["cost_usd"]] == [block["cost_usd"] for block in blocks]


def test_stream_with_usage(ran: Results) -> None:
    """With `include_usage` the last chunk has usage and cost."""
    chunks, plain = ran.seen("stream, async, with usage"), ran.seen("plain /v1")
    assert plain["choices"][0]["message"]["content"] == text_of(chunks)
    usage = chunks[-1]["usage"]
    assert plain["usage"]["total_tokens"] == usage["total_tokens"]
    check_cost(usage)


def test_stream_rebuilt(ran: Results) -> None:
    """`stream_chunk_builder` makes the plain answer of a stream, cost included."""
    rebuilt, plain = ran.seen("stream, rebuilt"), ran.seen("plain /v1")
    assert plain["choices"][0]["message"]["content"] == rebuilt["choices"][0]["message"]["content"]
    assert "stop" == rebuilt["choices"][0]["finish_reason"]
    check_cost(rebuilt["usage"])


def check_calls(answer: dict[str, Any]) -> None:
    choice = answer["choices"][0]
    assert "tool_calls" == choice["finish_reason"]
    functions = [call["function"] for call in choice["message"]["tool_calls"]]
    assert ["get_weather", "read_clock"] == [function["name"] for function in functions]
    arguments = [orjson.loads(function["arguments"]) for function in functions]
    assert [{"city", "days"}, {"zone"}] == [set(each) for each in arguments]
    assert isinstance(arguments[0]["days"], int)


def test_tools(ran: Results) -> None:
    """Two tools are called with whole arguments; their results lead to text."""
    seen = ran.seen("tools")
    check_calls(seen["calling"])
    words = seen["answer"]["choices"][0]["message"]["content"]
    assert "result-of-get_weather" in words
    assert "result-of-read_clock" in words


def test_tools_streamed(ran: Results) -> None:
    """Calls put together from a stream are the same."""
    check_calls(ran.seen("tools, streamed"))


def test_structured_output(ran: Results) -> None:
    """`response_format` as a pydantic model gives an answer of that shape."""
    person = orjson.loads(ran.seen("structured")["choices"][0]["message"]["content"])
    assert {"name": str, "age": int, "nicknames": list} == {
        name: type(value) for name, value in person.items()
    }
    assert person["age"] >= 18


def test_image_input(ran: Results) -> None:
    """An image arrives."""
    assert "1 image" in ran.seen("image")["choices"][0]["message"]["content"]


def test_reasoning(ran: Results) -> None:
    """Reasoning is `reasoning_content`, plain and streamed, and is counted."""
    plain, chunks = ran.seen("reasoning"), ran.seen("reasoning, streamed")
    thoughts = plain["choices"][0]["message"]["reasoning_content"]
    assert thoughts
    assert thoughts == "".join(
        choice["delta"].get("reasoning_content") or "" for chunk in chunks for choice in chunk["choices"]
    )
    assert plain["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0


def test_two_choices(ran: Results) -> None:
    """`n=2` gives two different choices."""
    choices = ran.seen("two choices")["choices"]
    assert [0, 1] == [choice["index"] for choice in choices]
    assert choices[0]["message"]["content"] != choices[1]["message"]["content"]


def test_openrouter(ran: Results) -> None:
    """litellm's `openrouter/…` pointed at `/api/v1` works as well, and has the cost."""
    answer, chunks = ran.seen("openrouter"), ran.seen("openrouter, streamed")
    assert "Tell me about locks" in answer["choices"][0]["message"]["content"]
    check_cost(answer["usage"])
    assert answer["choices"][0]["message"]["content"] == text_of(chunks)


def test_failover(ran: Results) -> None:
    """A broken backend before a good one shows in the block alone."""
    answer = ran.seen("failover")
    assert ["overloaded", "ok"] == [attempt["outcome"] for attempt in answer["headgate"]["attempts"]]
    assert "Tell me about locks" in answer["choices"][0]["message"]["content"]


def test_broken_stream(ran: Results) -> None:
    """A stream that breaks is an error after the words that came, not a short answer."""
    seen = ran.seen("broken stream")
    assert "some words " == "".join(seen["got"])
    assert "cut short" in seen["error"]["message"]


def test_wrong_key(ran: Results) -> None:
    """A wrong key is an AuthenticationError."""
    error = ran.seen("wrong key")
    assert ("AuthenticationError", 401) == (error["name"], error["status"])
    assert "unknown or revoked" in error["message"]


@pytest.mark.parametrize("case", ["unknown model", "unknown model, async"])
def test_unknown_model(ran: Results, case: str) -> None:
    """A misspelt model is a NotFoundError that names the near miss."""
    error = ran.seen(case)
    assert ("NotFoundError", 404) == (error["name"], error["status"])
    assert "`sandbox-small`" in error["message"]


def test_bad_request(ran: Results) -> None:
    """What the provider refuses is a BadRequestError with the provider's words."""
    error = ran.seen("bad request")
    assert ("BadRequestError", 400) == (error["name"], error["status"])
    assert "Invalid 'temperature'" in error["message"]


def test_busy_provider(ran: Results) -> None:
    """A provider's 429 is a RateLimitError that says when to come back."""
    error = ran.seen("busy")
    assert ("RateLimitError", 429) == (error["name"], error["status"])
    assert "provider" == error["body"]["source"]
    assert 1 <= int(error["retry_after"]) <= BUSY_S


def test_rate_limit(ran: Results) -> None:
    """Above its requests per minute a key gets a RateLimitError that says when to come back."""
    seen = ran.seen("rate limit")
    assert "Tell me about locks" in seen["answer"]["choices"][0]["message"]["content"]
    error = seen["error"]
    assert ("RateLimitError", 429) == (error["name"], error["status"])
    assert ("gateway", "rate_limit_exceeded") == (error["body"]["source"], error["body"]["code"])
    assert 1 <= int(error["retry_after"]) <= 60
