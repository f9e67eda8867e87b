"""pydantic-ai as a client of a real gateway: agents, tools and typed output work, unchanged."""

from typing import Any

import pytest

from tests.clients.environments import interpreter
from tests.clients.place import Results, cost_usd, place


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Results:
    python = interpreter("pydantic_ai")
    with place(tmp_path_factory.mktemp("pydantic-ai")) as here:
        return here.results([python, "-m", "tests.clients.pydantic_ai.script"])


@pytest.mark.parametrize("path", ["/v1", "/api/v1"])
def test_plain(ran: Results, path: str) -> None:
    """`Agent.run` gives text, usage and why it ended, under both base addresses."""
    seen = ran.seen(f"plain {path}")
    assert "Tell me about locks" in seen["text"]
    assert ("stop", "sandbox-small") == (seen["finish"], seen["model"])
    assert seen["input_tokens"] > 0
    assert seen["output_tokens"] > 0


def test_stream(ran: Results) -> None:
    """`run_stream` gives the same text in pieces, and the same usage."""
    seen, plain = ran.seen("stream"), ran.seen("plain /v1")
    assert len(seen["pieces"]) > 10
    assert plain["text"] == seen["text"] == "".join(seen["pieces"])
    for figure in ("input_tokens", "output_tokens", "finish"):
        assert plain[figure] == seen[figure]


@pytest.mark.parametrize("case", ["tools", "tools, streamed"])
def test_tools(ran: Results, case: str) -> None:
    """An agent's two functions run once each with arguments of their types; the answer holds their results."""
    seen = ran.seen(case)
    called = sorted(seen["called"])  # the package runs them side by side
    assert ["get_weather", "read_clock"] == [name for name, _ in called]
    (_, weather), (_, clock) = called
    assert {"city": str, "days": int} == {name: type(value) for name, value in weather.items()}
    assert {"zone": str} == {name: type(value) for name, value in clock.items()}
    assert "drizzle-in-paris" in seen["text"]
    assert "half-past-nine" in seen["text"]


def test_tools_are_counted(ran: Results) -> None:
    """Two calls in one answer make one further request."""
    seen = ran.seen("tools")
    assert (2, 2) == (seen["requests"], seen["calls"])


def test_tool_events_are_streamed(ran: Results) -> None:
    """An agent that streams sees its tools called and answered."""
    assert {"FunctionToolCallEvent", "FunctionToolResultEvent", "PartDeltaEvent"} <= set(
        ran.seen("tools, streamed")["kinds"]
    )


@pytest.mark.parametrize(
    "case", ["structured by tool", "structured by schema", "structured by schema, streamed"]
)
def test_structured_output(ran: Results, case: str) -> None:
    """Typed output is valid at the first try, asked for by a tool or by a schema."""
    seen = ran.seen(case)
    check_person(seen["person"])
    if "requests" in seen:
        assert 1 == seen["requests"], "pydantic-ai had to ask again"


def test_structured_output_grows(ran: Results) -> None:
    """Streamed, typed output is seen before it is whole."""
    assert ran.seen("structured by schema, streamed")["partial"] > 1


def test_conversation(ran: Results) -> None:
    """A history of messages travels on."""
    seen = ran.seen("conversation")
    assert ["request", "response"] * 2 == seen["roles"]
    assert "And again" in seen["text"]


def test_image_input(ran: Results) -> None:
    """An image arrives: the answer counts it, and the prompt is dearer than its text."""
    seen = ran.seen("image")
    assert "1 image" in seen["text"]
    assert seen["shown"] > seen["words"]


def test_reasoning(ran: Results) -> None:
    """Reasoning is a part of its own and is counted; `openai_reasoning_effort` travels on."""
    seen = ran.seen("reasoning")
    assert seen["thoughts"]
    assert seen["text"]
    assert seen["details"]["reasoning_tokens"] > 0
    silent = ran.seen("no reasoning")
    assert ("", 0) == (silent["thoughts"], silent["details"]["reasoning_tokens"])


def test_output_limit(ran: Results) -> None:
    """`max_tokens` travels on, and the finish reason says so."""
    seen = ran.seen("output limit")
    assert ("length", 3) == (seen["finish"], seen["output_tokens"])


def test_failover(ran: Results) -> None:
    """A broken backend before a good one is not seen."""
    assert ran.seen("stream")["text"] == ran.seen("failover")["text"]


@pytest.mark.parametrize("case", ["broken stream", "openrouter, broken stream"])
def test_broken_stream(ran: Results, case: str) -> None:
    """A stream that breaks is an error with a status after the words that came, not a short answer."""
    seen = ran.seen(case)
    assert ["some words "] == seen["got"]
    assert ("ModelHTTPError", 502) == (seen["error"]["name"], seen["error"]["status"])
    assert "cut short" in str(seen["error"]["body"])


def test_openrouter_stream(ran: Results) -> None:
    """`OpenRouterModel` streams, and says what it cost."""
    seen = ran.seen("openrouter, streamed")
    assert ran.seen("stream")["text"] == seen["text"]
    assert cost_usd(seen["input_tokens"], seen["output_tokens"]) == seen["provider_details"]["cost"]


@pytest.mark.xfail(
    strict=True,
    reason="OpenRouterModel refuses a plain answer without OpenRouter's top-level member `provider`",
)
def test_openrouter_plain(ran: Results) -> None:
    """`OpenRouterModel` takes a plain answer, and says what it cost."""
    seen = ran.seen("openrouter")
    assert cost_usd(seen["input_tokens"], seen["output_tokens"]) == seen["provider_details"]["cost"]


def test_wrong_key(ran: Results) -> None:
    """A wrong key is a ModelHTTPError with the gateway's own words."""
    error = ran.seen("wrong key")
    assert ("ModelHTTPError", 401) == (error["name"], error["status"])
    assert ("invalid_api_key", "gateway") == (error["body"]["code"], error["body"]["source"])


@pytest.mark.parametrize(
    ("case", "near"), [("unknown model", "`sandbox-small`"), ("openrouter, unknown model", "`acme/small`")]
)
def test_unknown_model(ran: Results, case: str, near: str) -> None:
    """A misspelt model is a 404 that names the near miss."""
    error = ran.seen(case)
    assert 404 == error["status"]
    assert "model_not_found" == error["body"]["code"]
    assert near in error["body"]["message"]


def test_busy_provider(ran: Results) -> None:
    """A provider's 429 reaches the user as one, marked as the provider's."""
    error = ran.seen("busy")
    assert (429, "rate_limited", "provider") == (
        error["status"],
        error["body"]["code"],
        error["body"]["source"],
    )


def test_rate_limit(ran: Results) -> None:
    """Above its requests per minute a key gets a 429 that says whose limit it is."""
    seen = ran.seen("rate limit")
    assert seen["text"]
    error = seen["error"]
    assert (429, "rate_limit_exceeded") == (error["status"], error["body"]["code"])
    assert ("key", "requests_per_minute", 1) == tuple(
        error["body"][name] for name in ("subject", "limit", "maximum")
    )


def check_person(person: dict[str, Any]) -> None:
    assert {"name": str, "age": int, "nicknames": list} == {
        name: type(value) for name, value in person.items()
    }
    assert person["age"] >= 18
