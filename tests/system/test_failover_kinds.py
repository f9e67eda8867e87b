"""What each provider's failures lead to, by the adapter's name, with bodies and headers as that provider sends them.

Again: another backend is asked, and a lone one once more. Elsewhere: another backend only. Back: given to the client.
Sources: the providers' error pages and recorded answers, see `providers.upstreams.failures`.
"""

import asyncio
import socket
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import orjson
import pytest

from tests.support.gateway import NO_CIRCUITS
from tests.support.raw_client import Answer
from tests.support.scripted import EVENT_STREAM, Exchange, completion, frame, good_stream, role, text
from tests.support.site import Site, config, model, provider, site

AGAIN: Final = "again"
ELSEWHERE: Final = "elsewhere"
BACK: Final = "back"
JSON: Final = {"content-type": "application/json"}
TOLD_KEY: Final = "test-key-0009-upstream"
STATUS_OF: Final = {
    "bad_request": 400, "auth": 502, "rate_limited": 429, "overloaded": 503, "unreachable": 502, "timeout": 504,
}  # fmt: skip
PATHS: Final = {"azure": "/azure/openai/v1"}
ADAPTERS: Final = (
    "openai", "azure", "groq", "mistral", "deepseek", "openrouter", "xai", "dashscope", "vllm", "ollama",
)  # fmt: skip


class Row(NamedTuple):
    """One failure. `frames`: it comes as a stream under status 200, or as its one object where no stream was asked."""

    name: str
    status: int
    course: str
    kind: str
    body: Any = b""
    headers: Mapping[str, str] = JSON
    frames: bool = False


def said(message: str, kind: str | None = None, code: Any = None, **more: Any) -> dict[str, Any]:
    """The usual body."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code, **more}}


def page(title: str, server: str) -> bytes:
    """What a reverse proxy says in place of the provider."""
    return f"<html>\r\n<head><title>{title}</title></head>\r\n<body><h1>{title}</h1><hr>{server}</body></html>".encode()


_REQUEST: Final = "invalid_request_error"
_NO_KEY: Final = "Incorrect API key provided: test-key*****efgh. You can find your API key at our site."
_LIMITED: Final = (
    "Rate limit reached for m in organization org-a on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000. "
    "Please try again in 120ms."
)
_RESETS: Final = {
    "x-ratelimit-limit-requests": "500", "x-ratelimit-remaining-requests": "499",
    "x-ratelimit-reset-requests": "120ms", "x-ratelimit-limit-tokens": "30000",
    "x-ratelimit-remaining-tokens": "1000", "x-ratelimit-reset-tokens": "180ms",
}  # fmt: skip
_QUOTA: Final = "You exceeded your current quota, please check your plan and billing details."
_TOO_LONG: Final = (
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens."
)
_HTML: Final = {"content-type": "text/html; charset=UTF-8"}

OPENAI: Final = [
    Row("rate", 429, AGAIN, "rate_limited", said(_LIMITED, "tokens", "rate_limit_exceeded"), {**JSON, **_RESETS}),
    Row("rate-ms", 429, AGAIN, "rate_limited", said(_LIMITED, "tokens", "rate_limit_exceeded"),
        {**JSON, **_RESETS, "retry-after": "1", "retry-after-ms": "120"}),
    Row("slow-down", 429, AGAIN, "rate_limited", said("Slow down.", "rate_limit_error", "slow_down")),
    Row("500", 500, AGAIN, "overloaded", said("The server had an error while processing it.", "server_error")),
    Row("503", 503, AGAIN, "overloaded", said("That model is overloaded.", "server_error", "server_is_overloaded")),
    Row("page", 502, AGAIN, "unreachable", page("502 Bad Gateway", "cloudflare"), _HTML),
    Row("page-limit", 429, AGAIN, "rate_limited", page("Too Many Requests", "nginx"), _HTML),
    Row("page-520", 520, AGAIN, "overloaded", page("520: unknown error", "cloudflare"), _HTML),
    Row("quota", 429, ELSEWHERE, "rate_limited", said(_QUOTA, "insufficient_quota", "insufficient_quota")),
    Row("credit", 429, ELSEWHERE, "rate_limited", said("No credit.", "insufficient_quota", "credit_balance_exhausted")),
    Row("401", 401, ELSEWHERE, "auth", said(_NO_KEY, _REQUEST, "invalid_api_key")),
    Row("403", 403, ELSEWHERE, "auth", said("Country, region, or territory not supported", "request_forbidden")),
    Row("404", 404, ELSEWHERE, "auth", said("The model `m` does not exist.", _REQUEST, "model_not_found")),
    Row("400", 400, BACK, "bad_request", said("Unsupported value: 'temperature'.", _REQUEST, "unsupported_value")),
    Row("long", 400, BACK, "bad_request", said(_TOO_LONG, _REQUEST, "context_length_exceeded")),
    Row("422", 422, BACK, "bad_request", said("Unprocessable.", _REQUEST)),
]  # fmt: skip
AZURE: Final = [
    Row("rate", 429, AGAIN, "rate_limited",
        said("Requests have exceeded token rate limit of your current pricing tier.", code="429"),
        {**JSON, "retry-after": "1", "retry-after-ms": "0", "apim-request-id": "a-1"}),
    Row("500", 500, AGAIN, "overloaded", said("The server had an error.", code="InternalServerError")),
    Row("503", 503, AGAIN, "overloaded", said("Service unavailable.", code="ServiceUnavailable")),
    Row("401", 401, ELSEWHERE, "auth", said("Access denied due to invalid subscription key.", code="401")),
    Row("404", 404, ELSEWHERE, "auth", said("The API deployment does not exist.", code="DeploymentNotFound")),
    Row("filter", 400, BACK, "bad_request",
        said("The response was filtered.", code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation"})),
]  # fmt: skip
GROQ: Final = [
    Row("rate", 429, AGAIN, "rate_limited", said(_LIMITED, "tokens", "rate_limit_exceeded"),
        {**JSON, "retry-after": "1", "x-ratelimit-reset-tokens": "180ms"}),
    Row("capacity", 498, AGAIN, "overloaded", said("Flex tier capacity exceeded.", "capacity_exceeded")),
    Row("500", 500, AGAIN, "overloaded", said("Internal Server Error", "internal_server_error")),
    Row("502", 502, AGAIN, "unreachable", page("502 Bad Gateway", "cloudflare"), _HTML),
    Row("503", 503, AGAIN, "overloaded", said("Service Unavailable", "service_unavailable")),
    Row("401", 401, ELSEWHERE, "auth", said("Invalid API Key", _REQUEST, "invalid_api_key")),
    Row("tools", 424, ELSEWHERE, "overloaded", said("Failed to reach the MCP server.", _REQUEST)),
    Row("400", 400, BACK, "bad_request", said("`n` must be 1", _REQUEST)),
    Row("413", 413, BACK, "bad_request", said("Request Entity Too Large", _REQUEST, "request_too_large")),
    Row("422", 422, BACK, "bad_request", said("Unprocessable Entity", _REQUEST)),
    Row("499", 499, BACK, "bad_request", said("Cancelled by the caller.", _REQUEST)),
    Row("event", 200, BACK, "bad_request", b"event: error\ndata: " + orjson.dumps(
        said("Failed to call a function.", _REQUEST, "tool_use_failed", status_code=400)) + b"\n\n", frames=True),
]  # fmt: skip
MISTRAL: Final = [
    Row("rate", 429, AGAIN, "rate_limited",
        {"object": "error", "message": "Rate limit exceeded", "type": "rate_limited", "param": None, "code": "1300"},
        {**JSON, "x-ratelimit-limit-req-minute": "60", "x-ratelimit-remaining-req-minute": "0"}),
    Row("500", 500, AGAIN, "overloaded", {"object": "error", "message": "Service unavailable.", "code": "3000"}),
    Row("502", 502, AGAIN, "unreachable", {"message": "An invalid response was received from the upstream server"}),
    Row("503", 503, AGAIN, "overloaded", {"message": "failure to get a peer from the ring-balancer"}),
    Row("504", 504, AGAIN, "timeout", {"message": "The upstream server is timing out"}),
    Row("401", 401, ELSEWHERE, "auth", {"detail": "Invalid API Key"}),
    Row("400", 400, BACK, "bad_request",
        {"object": "error", "message": "Bad role order.", "type": "invalid_request_message_order", "code": "3230"}),
    Row("422", 422, BACK, "bad_request", {"object": "error", "message": {"detail": [
        {"type": "extra_forbidden", "loc": ["body", "store"], "msg": "Extra inputs are not permitted"}]}}),
]  # fmt: skip
DEEPSEEK: Final = [
    Row("rate", 429, AGAIN, "rate_limited", said("Rate limit reached", "rate_limit_error")),
    Row("500", 500, AGAIN, "overloaded", said("Server error", "server_error")),
    Row("503", 503, AGAIN, "overloaded", said("Server overloaded", "service_unavailable_error")),
    Row("401", 401, ELSEWHERE, "auth",
        said("Your api key: ****efgh is invalid", "authentication_error", "invalid_request_error")),
    Row("402", 402, ELSEWHERE, "auth", said("Insufficient Balance", "unknown_error", "invalid_request_error")),
    Row("400", 400, BACK, "bad_request", said("Invalid max_tokens value", _REQUEST, "invalid_request_error")),
    Row("422", 422, BACK, "bad_request", said("Failed to deserialize the JSON body", _REQUEST)),
]  # fmt: skip
OPENROUTER: Final = [
    Row("408", 408, AGAIN, "timeout", said("Request timed out", code=408)),
    Row("429", 429, AGAIN, "rate_limited", said("Provider returned error", code=429, metadata={
        "raw": "m is temporarily rate-limited upstream.", "provider_name": "P"})),
    Row("502", 502, AGAIN, "unreachable", said("Provider returned error", code=502)),
    Row("503", 503, AGAIN, "overloaded", said("No instances available", code=503)),
    Row("budget", 402, AGAIN, "rate_limited", said("In-flight requests hold your balance", code=402, metadata={
        "limit_source": "openrouter_in_flight_budget"})),
    Row("credits", 402, ELSEWHERE, "auth", said("Insufficient credits", code=402)),
    Row("401", 401, ELSEWHERE, "auth", said("User not found.", code=401)),
    Row("403", 403, ELSEWHERE, "auth", said("Key limit exceeded", code=403)),
    Row("400", 400, BACK, "bad_request", said("m is not a valid model ID", code=400)),
    Row("chunk", 200, AGAIN, "unreachable", b": OPENROUTER PROCESSING\n\n" * 3 + frame(
        {"id": "gen-1", "object": "chat.completion.chunk", "choices": [
            {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": "error"}],
         "error": {"message": "Provider disconnected", "code": 502}}), frames=True),
]  # fmt: skip
XAI: Final = [
    Row("429", 429, AGAIN, "rate_limited", {"code": "resource-exhausted", "error": "Too many requests for team t."}),
    Row("500", 500, AGAIN, "overloaded", {"code": "internal", "error": "Service temporarily unavailable."}),
    Row("503", 503, AGAIN, "overloaded", {"code": "unavailable", "error": "The model is at capacity."}),
    Row("key", 400, ELSEWHERE, "auth",
        {"code": "invalid-argument", "error": "Incorrect API key provided: te***gh."}),
    Row("400", 400, BACK, "bad_request", {"code": "invalid-argument", "error": "Argument not supported: stop"}),
]  # fmt: skip
DASHSCOPE: Final = [
    Row("throttle", 429, AGAIN, "rate_limited", said(_QUOTA, "insufficient_quota", "insufficient_quota")),
    Row("500", 500, AGAIN, "overloaded", said("Internal server error!", "internal_error", "internal_error")),
    Row("503", 503, AGAIN, "overloaded", said("Model serving is unavailable.", code="ModelServingError")),
    Row("free", 429, ELSEWHERE, "rate_limited",
        said("Free allocated quota exceeded.", "insufficient_quota", "insufficient_quota")),
    Row("401", 401, ELSEWHERE, "auth", said("Incorrect API key provided.", _REQUEST, "invalid_api_key")),
    Row("403", 403, ELSEWHERE, "auth", said("Access denied.", "access_denied", "access_denied")),
    Row("arrears", 400, ELSEWHERE, "auth", said("Access denied, account in arrears.", "Arrearage", "Arrearage")),
    Row("400", 400, BACK, "bad_request", said("only support stream mode", _REQUEST, "invalid_parameter_error")),
    Row("inspected", 400, BACK, "bad_request",
        said("Input data may contain inappropriate content.", "data_inspection_failed", "data_inspection_failed")),
]  # fmt: skip
VLLM: Final = [
    Row("429", 429, AGAIN, "rate_limited", {"object": "error", "message": "Too many requests", "code": 429}),
    Row("503", 503, AGAIN, "overloaded", said("The engine is sleeping", "ServiceUnavailableError", 503)),
    Row("frame", 200, AGAIN, "overloaded",
        role() + frame(said("EngineCore encountered an issue.", "InternalServerError", 500)), frames=True),
    Row("401", 401, ELSEWHERE, "auth", {"error": "Unauthorized"}),
    Row("404", 404, ELSEWHERE, "auth", said("The model `m` does not exist.", "NotFoundError", 404)),
    Row("400", 400, BACK, "bad_request",
        {"object": "error", "message": "top_p must be in (0, 1]", "type": "BadRequestError", "code": 400}),
]  # fmt: skip
OLLAMA: Final = [
    Row("429", 429, AGAIN, "rate_limited", said("too many concurrent requests", "api_error")),
    Row("503", 503, AGAIN, "overloaded", said("server busy, maximum pending requests exceeded", "api_error")),
    Row("401", 401, ELSEWHERE, "auth", said("unauthorized", "authentication_error")),
    Row("404", 404, ELSEWHERE, "auth", said('model "m" not found, try pulling it first', "not_found_error")),
    Row("400", 400, BACK, "bad_request", said("invalid message format", _REQUEST)),
]  # fmt: skip
ROWS: Final = dict(
    zip(
        ADAPTERS,
        (OPENAI, AZURE, GROQ, MISTRAL, DEEPSEEK, OPENROUTER, XAI, DASHSCOPE, VLLM, OLLAMA),
        strict=True,
    )
)
ROW_CASES: Final = [
    pytest.param(adapter, row, id=f"{adapter}-{row.name}") for adapter, rows in ROWS.items() for row in rows
]
CASES: Final = [
    pytest.param(adapter, row, stream, id=f"{adapter}-{row.name}-{'streamed' if stream else 'plain'}")
    for adapter, rows in ROWS.items()
    for row in rows
    for stream in ((True,) if row.frames else (True, False))
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # so that nobody else gets the port; not listening, so it refuses

        def configure(listener: socket.socket) -> dict[str, Any]:
            providers = {
                adapter: {**provider(listener, PATHS.get(adapter, f"/{adapter}/v1")), "adapter": adapter}
                for adapter in ADAPTERS
            }
            for adapter in ("vllm", "ollama"):
                providers[f"{adapter}-down"] = {**provider(closed), "adapter": adapter}
            models = [model(f"{each}-first", each, "good") for each in providers]
            models += [model(f"{each}-alone", each) for each in providers]
            models += [
                model("good", "good"),
                model("telling", "telling"),
                model("telling-azure", "telling-azure"),
            ]
            telling = provider(listener, "/telling/v1", api_key="env:TOLD_KEY")
            providers["telling"] = telling
            providers["telling-azure"] = {**telling, "adapter": "azure"}
            providers["good"] = provider(listener, "/good/v1")
            return config(providers, models, routing={"retries": 1, "deadline_s": 5, "breaker": NO_CIRCUITS})

        with site(tmp_path_factory.mktemp("kinds"), configure, {"TOLD_KEY": TOLD_KEY}) as place:
            yield place


def failing(row: Row) -> Any:
    """Every backend but the good one fails so."""

    async def script(exchange: Exchange) -> None:
        if exchange.path.startswith("/good/"):
            stream = exchange.members.get("stream")
            await (good_stream(exchange) if stream else exchange.answer(200, completion("good")))
        elif row.frames:
            await exchange.start(200, EVENT_STREAM)
            await exchange.send(row.body)
            await exchange.finish()
        else:
            body = row.body if isinstance(row.body, bytes) else orjson.dumps(row.body)
            await exchange.answer(row.status, body, tuple(row.headers.items()))

    return script


def block_of(answer: Answer, *, stream: bool) -> dict[str, Any]:
    """The `headgate` member, of an answer or an error."""
    members = answer.chunks[-1] if stream and answer.status == 200 else answer.members
    block = members["headgate"]
    assert isinstance(block, dict)
    return block


def text_of(answer: Answer, *, stream: bool) -> str:
    return answer.text if stream else answer.members["choices"][0]["message"]["content"]


@pytest.mark.parametrize(("adapter", "row", "stream"), CASES)
async def test_before_another_backend(place: Site, adapter: str, row: Row, *, stream: bool) -> None:
    """Moved on from without a trace but in `attempts`; or, if the request is at fault, told, and nobody else asked."""
    async with place.upstream(failing(row)) as upstream:
        answer = await place.ask(model=f"{adapter}-first", stream=stream)
        paths = [exchange.path.split("/")[1] for exchange in upstream.exchanges]
    attempts = [(each["backend"], each["outcome"]) for each in block_of(answer, stream=stream)["attempts"]]
    if row.course == BACK:
        assert (400, [adapter]) == (answer.status, paths)
        assert [(f"{adapter}/upstream-model", "bad_request")] == attempts
        assert "provider" == answer.members["error"]["source"]
    else:
        assert (200, [adapter, "good"]) == (answer.status, paths)
        assert "good" == text_of(answer, stream=stream)
        assert [(f"{adapter}/upstream-model", row.kind), ("good/upstream-model", "ok")] == attempts


@pytest.mark.parametrize(("adapter", "row"), ROW_CASES)
async def test_alone(place: Site, adapter: str, row: Row) -> None:
    """Asked once more only where that may help; then the client gets the status of the kind."""
    ways = (True,) if row.frames else (True, False)
    async with place.upstream(failing(row)) as upstream:
        answers = await asyncio.gather(*(place.ask(model=f"{adapter}-alone", stream=way) for way in ways))
        tries = 2 if row.course == AGAIN else 1
        assert tries * len(ways) == len(upstream.exchanges)
    for answer in answers:
        assert STATUS_OF[row.kind] == answer.status
        attempts = answer.members["headgate"]["attempts"]
        assert [row.kind] * tries == [each["outcome"] for each in attempts]
        assert row.frames or {row.status} == {each["status"] for each in attempts}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("adapter", ["vllm", "ollama"])
async def test_a_server_that_is_down(place: Site, adapter: str, *, stream: bool) -> None:
    """A refused connection: another backend, and a lone one once more; its address stays here."""
    async with place.upstream(failing(OPENAI[0])):
        answer = await place.ask(model=f"{adapter}-down-first", stream=stream)
        assert "good" == text_of(answer, stream=stream)
        answer = await place.ask(model=f"{adapter}-down-alone", stream=stream)
    assert (502, "unreachable") == (answer.status, answer.members["error"]["code"])
    assert ["unreachable"] * 2 == [each["outcome"] for each in answer.members["headgate"]["attempts"]]
    assert b"127.0.0.1" not in answer.body


# How a provider may give away what it was sent: the key it got, and the address it was asked at.
TELLING: Final = [
    pytest.param("Incorrect API key provided: {key}. You can find your API key at our site.", id="key"),
    pytest.param("Invalid header: Authorization: Bearer {key}", id="header"),
    pytest.param("no access with {{'api-key': '{key}'}}", id="json"),
    pytest.param("POST https://proxy.test/v1?api_key={key} failed", id="query"),
    pytest.param("no route to https://user:{key}@proxy.test/v1", id="user"),
    pytest.param("{key}", id="bare"),
    pytest.param("account {key} suspended", id="word"),
    pytest.param("no route to {url}", id="address"),
]


def telling(words: str) -> Any:
    """Fail and tell, in message, code, parameter and headers; the member `user` says how: `429 body`."""

    async def script(exchange: Exchange) -> None:
        status, where = exchange.members["user"].split()
        key = exchange.headers.get("api-key") or exchange.headers["authorization"].removeprefix("Bearer ")
        assert TOLD_KEY == key
        message = words.format(key=key, url=f"http://{exchange.headers['host']}{exchange.path}")
        problem = said(message, message, message, param=message, metadata={"raw": message})
        headers = (("x-echo", key), ("www-authenticate", f"Bearer {key}"), ("x-request-id", key))
        if where == "body":
            await exchange.answer(int(status), orjson.dumps(problem), (*JSON.items(), *headers))
            return
        await exchange.start(200, (*EVENT_STREAM, *headers))
        before = role() if where == "first" else role() + text("some ")
        await exchange.send(before + frame({**problem, "code": int(status)}))
        await exchange.finish()

    return script


@pytest.mark.parametrize("words", TELLING)
@pytest.mark.parametrize("adapter", ["telling", "telling-azure"])
async def test_no_secret_comes_out(place: Site, adapter: str, words: str) -> None:
    """Neither body nor headers, neither log nor metrics hold the provider's key or address, whoever told them."""

    async def ask(status: int, where: str, *, stream: bool = True) -> Answer:
        client_id, how = place.next_id(), f"{status} {where}"
        answer = await place.ask(model=adapter, user=how, stream=stream, client_id=client_id)
        await place.log_line(client_id)
        return answer

    async with place.upstream(telling(words)), asyncio.TaskGroup() as group:
        asking = [
            *(
                group.create_task(ask(status, where))
                for status in (400, 401, 429, 500)
                for where in ("body", "first", "middle")
            ),
            *(group.create_task(ask(status, "body", stream=False)) for status in (400, 401, 429, 500)),
        ]
    answers = [task.result() for task in asking]
    outputs = [repr((answer.headers, answer.body)) for answer in answers]
    outputs += [repr((await place.get("/metrics")).body), place.gateway.log.read_text()]
    address = f"127.0.0.1:{place.listener.getsockname()[1]}"
    assert [] == [output for output in outputs if TOLD_KEY in output]
    assert [] == [output for output in outputs if address in output]
