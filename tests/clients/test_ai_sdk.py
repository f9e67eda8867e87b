"""The AI SDK (`ai`) as a client of a real gateway, with `@ai-sdk/openai-compatible` at `/v1` and with
`@openrouter/ai-sdk-provider` at `/api/v1`: the same promises for both."""

from typing import Any

import pytest

from tests.clients.environments import modules, node
from tests.clients.place import BUSY_S, Results, cost_usd, place


@pytest.fixture(scope="module", params=["compatible", "openrouter"])
def package(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def ran(package: str, tmp_path_factory: pytest.TempPathFactory) -> Results:
    script = modules("ai_sdk") / f"{package}.mjs"
    with place(tmp_path_factory.mktemp(f"ai-sdk-{package}")) as here:
        return here.results([node(), script])


def cost_told(package: str, metadata: dict[str, Any]) -> float:
    """Where each package lets a provider's own facts through."""
    if package == "openrouter":
        cost: float = metadata["openrouter"]["usage"]["cost"]
    else:
        cost = metadata["headgate"]["cost_usd"]
    return cost


def check_usage(usage: dict[str, Any]) -> None:
    """The counts are there, and the cost beside them in `raw`."""
    assert usage["inputTokens"] > 0
    assert usage["outputTokens"] > 0
    assert usage["inputTokens"] + usage["outputTokens"] == usage["totalTokens"]
    assert cost_usd(usage["inputTokens"], usage["outputTokens"]) == usage["raw"]["cost"]


def test_plain(ran: Results, package: str) -> None:
    """`generateText` gives text, usage, cost and Headgate's block."""
    seen = ran.seen("plain")
    assert "Tell me about locks" in seen["text"]
    assert ("stop", []) == (seen["finish"], seen["warnings"])
    check_usage(seen["lastUsage"])
    assert seen["lastUsage"]["raw"]["cost"] == cost_told(package, seen["metadata"])
    assert seen["requestId"] == seen["body"]["headgate"]["request_id"]


def test_other_name(ran: Results, package: str) -> None:
    """The other base address, and a name with its author, are as good."""
    seen = ran.seen({"compatible": "plain /api/v1", "openrouter": "model with an author"}[package])
    assert ran.seen("plain")["text"] == seen["text"]


@pytest.mark.parametrize("case", ["stream", "stream, usage asked for otherwise"])
def test_stream(ran: Results, package: str, case: str) -> None:
    """`streamText` gives the same text in pieces, the same usage and the cost, whether the package asks for usage."""
    seen, plain = ran.seen(case), ran.seen("plain")
    assert [] == seen["errors"]
    assert seen["pieces"] > 10
    assert plain["text"] == seen["text"]
    assert ("stop", "stop") == (seen["finish"]["reason"], seen["finish"]["raw"])
    check_usage(seen["step"]["usage"])
    assert plain["lastUsage"]["totalTokens"] == seen["finish"]["usage"]["totalTokens"]
    assert cost_told(package, plain["metadata"]) == cost_told(package, seen["step"]["metadata"])


@pytest.mark.parametrize("case", ["tools", "tools, streamed"])
def test_tools(ran: Results, case: str) -> None:
    """Both tools run once with arguments of their types; the text of the last step holds their results."""
    seen = ran.seen(case)
    called = sorted(seen["called"])  # the SDK runs them side by side
    assert ["get_weather", "read_clock"] == [name for name, _ in called]
    (_, weather), (_, clock) = called
    assert {"city": str, "days": int} == {name: type(value) for name, value in weather.items()}
    assert {"zone": str} == {name: type(value) for name, value in clock.items()}
    assert "drizzle-in-paris" in seen["text"]
    assert "half-past-nine" in seen["text"]
    if case == "tools":
        assert (2, "stop") == (seen["steps"], seen["finish"])
    else:
        assert {"tool-input-delta", "tool-call", "tool-result"} <= set(seen["kinds"])
        assert [] == seen["errors"]


@pytest.mark.parametrize("case", ["structured", "structured, streamed"])
def test_structured_output(ran: Results, case: str) -> None:
    """`Output.object` gives what the schema asks for, and grows while it streams."""
    seen = ran.seen(case)
    assert {"name": str, "age": int, "nicknames": list} == {
        name: type(value) for name, value in seen["output"].items()
    }
    assert seen["output"]["age"] >= 18
    if case == "structured, streamed":
        assert seen["partials"] > 1


def test_reasoning(ran: Results) -> None:
    """Reasoning is apart from text, plain and streamed, and is counted."""
    plain, stream = ran.seen("reasoning"), ran.seen("reasoning, streamed")
    assert plain["thoughts"]
    assert (plain["thoughts"], plain["text"]) == (stream["thoughts"], stream["text"])
    for usage in (plain["lastUsage"], stream["step"]["usage"]):
        assert usage["outputTokenDetails"]["reasoningTokens"] > 0


def test_image_input(ran: Results) -> None:
    """An image arrives."""
    assert "1 image" in ran.seen("image")["text"]


def test_output_limit(ran: Results) -> None:
    """`maxOutputTokens` travels on, and the finish reason says so."""
    seen = ran.seen("output limit")
    assert ("length", 3) == (seen["finish"], seen["lastUsage"]["outputTokens"])


def test_failover(ran: Results) -> None:
    """A broken backend before a good one shows in the facts alone."""
    plain, stream = ran.seen("failover"), ran.seen("failover, streamed")
    assert ran.seen("plain")["text"] == plain["text"] == stream["text"]
    attempts = plain["body"]["headgate"]["attempts"]
    assert ["overloaded", "ok"] == [attempt["outcome"] for attempt in attempts]
    assert "2" == stream["step"]["response"]["headers"]["x-headgate-attempts"]
    assert [] == stream["errors"]


def test_broken_stream(ran: Results) -> None:
    """A stream that breaks ends with an error part after the words that came, and finishes as an error."""
    seen = ran.seen("broken stream")
    assert "some words " == seen["text"]
    assert 1 == len(seen["errors"])
    assert "cut short" in seen["errors"][0]["message"]
    assert "error" == seen["finish"]["reason"]


def test_wrong_key(ran: Results) -> None:
    """A wrong key is an APICallError that is not tried again."""
    error = ran.seen("wrong key")
    assert ("AI_APICallError", 401, False) == (error["name"], error["status"], error["retryable"])
    assert "invalid_api_key" == error["data"]["error"]["code"]


@pytest.mark.parametrize("case", ["unknown model", "unknown model, streamed"])
def test_unknown_model(ran: Results, case: str) -> None:
    """A misspelt model is an APICallError that is not tried again and names the near miss, in a stream too."""
    seen = ran.seen(case)
    error = seen if case == "unknown model" else seen["errors"][0]
    assert ("AI_APICallError", 404, False) == (error["name"], error["status"], error["retryable"])
    assert "model_not_found" == error["data"]["error"]["code"]
    assert "`sandbox-small`" in error["message"]


def test_bad_request(ran: Results) -> None:
    """What the provider refuses is an APICallError with the provider's words."""
    error = ran.seen("bad request")
    assert (400, False) == (error["status"], error["retryable"])
    assert "Invalid 'temperature'" in error["message"]


@pytest.mark.parametrize(
    ("case", "code", "longest_s"),
    [("busy", "rate_limited", BUSY_S), ("rate limit", "rate_limit_exceeded", 60)],
)
def test_too_many(ran: Results, case: str, code: str, longest_s: int) -> None:
    """A provider's limit and the key's own are errors worth another try, and say when."""
    error = ran.seen(case) if case == "busy" else ran.seen(case)["error"]
    assert (429, True, code) == (error["status"], error["retryable"], error["data"]["error"]["code"])
    assert 1 <= int(error["retryAfter"]) <= longest_s


@pytest.mark.parametrize("package", ["openrouter"], indirect=True)
def test_routing_members(ran: Results) -> None:
    """Members that mean something to OpenRouter (`models`, `provider`) do no harm."""
    assert "Tell me about locks" in ran.seen("routing members")["text"]
