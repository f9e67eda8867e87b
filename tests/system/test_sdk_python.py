"""The `openai` package for Python as a client of a real gateway: what its users do works, unchanged."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

import openai
import orjson
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel, Field

from tests.support.gateway import RunningGateway, running

LIMITED_KEY: Final = "test-key-0002-limited"
WAIT_S: Final = 10.0
PATIENCE: Final[dict[str, Any]] = {"max_retries": 0, "timeout": WAIT_S}
_POLL_S: Final = 0.02

SMALL: Final[dict[str, Any]] = {
    "model": "sandbox-small",
    "messages": [{"role": "user", "content": "Tell me about locks, please."}],
    "extra_body": {"sandbox": {"pace_ms": 1, "first_ms": 1}},
}
ENDLESS: Final[dict[str, Any]] = {**SMALL, "extra_body": {"sandbox": {"pace_ms": 20, "pieces": 20_000}}}
WITH_USAGE: Final[dict[str, Any]] = {"stream_options": {"include_usage": True}}
TOOLS: Final = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {"type": "object", "properties": properties, "required": list(properties)},
        },
    }
    for name, properties in (
        ("get_weather", {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}}),
        ("read_clock", {"zone": {"type": "string"}}),
    )
]
PIXEL: Final = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)

Connect = Callable[..., openai.OpenAI]
Chunks = list[ChatCompletionChunk]


class Person(BaseModel):
    name: str
    age: int = Field(ge=18)
    nicknames: list[str]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    models = [
        {
            "id": name,
            "backends": [{"provider": "sandbox", "model": name}],
            "price": {"input": 1.0, "output": 2.0, "cache_read": 0.1},
        }
        for name in ("sandbox-small", "sandbox-large", "sandbox-reasoning")
    ]
    limited = {"id": "limited", "customer": "small", "secret": "env:LIMITED_KEY"}
    config = {
        "providers": {"sandbox": {"adapter": "sandbox"}},
        "redis": {"timeout_ms": 2000},  # a busy machine must not turn a limit into an outage
        "models": models,
        "keys": [
            {"id": "test", "customer": "tester", "secret": "env:TEST_KEY"},
            {**limited, "limits": {"requests_per_minute": 1}},
        ],
    }
    with running(tmp_path_factory.mktemp("sdk-python"), config, {"LIMITED_KEY": LIMITED_KEY}) as process:
        yield process


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package reads keys, addresses and proxies from the environment; none of the developer's count here."""
    for name in tuple(os.environ):
        if name.startswith("OPENAI_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def connect(gateway: RunningGateway) -> Iterator[Connect]:
    """Makes clients without retries and closes them; `path` and `api_key` may be given."""
    made: list[openai.OpenAI] = []

    def make(path: str = "/v1", api_key: str = gateway.key) -> openai.OpenAI:
        made.append(openai.OpenAI(base_url=gateway.base + path, api_key=api_key, **PATIENCE))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def client(connect: Connect) -> openai.OpenAI:
    return connect()


@pytest.fixture
async def async_client(gateway: RunningGateway) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{gateway.base}/v1", api_key=gateway.key, **PATIENCE) as made:
        yield made


def extra(model: BaseModel, name: str) -> Any:
    """A member that the package's types do not know."""
    assert model.model_extra is not None
    return model.model_extra[name]


def plain_of(client: openai.OpenAI, **members: Any) -> ChatCompletion:
    """A plain answer; `members` are the call's, a greeting to the small model unless they say otherwise."""
    answer = client.chat.completions.create(**{**SMALL, **members})
    assert isinstance(answer, ChatCompletion)
    return answer


def chunks_of(client: openai.OpenAI, **members: Any) -> Chunks:
    """A whole stream; `members` as in `plain_of`."""
    return list(client.chat.completions.create(**{**SMALL, **members}, stream=True))


def text_of(chunks: Chunks, index: int = 0) -> str:
    choices = (choice for chunk in chunks for choice in chunk.choices)
    return "".join(choice.delta.content or "" for choice in choices if choice.index == index)


def finishes(chunks: Chunks, index: int = 0) -> list[str]:
    choices = (choice for chunk in chunks for choice in chunk.choices if choice.index == index)
    return [choice.finish_reason for choice in choices if choice.finish_reason is not None]


def with_facts(chunks: Chunks) -> list[int]:
    """Where chunks stand that have usage or block."""
    marks = [chunk.usage is not None or "headgate" in (chunk.model_extra or {}) for chunk in chunks]
    return [place for place, marked in enumerate(marks) if marked]


def check_facts(answer: ChatCompletion | ChatCompletionChunk, model: str) -> None:
    """The answer says what ran and what it cost, at the prices of this file's configuration."""
    usage = answer.usage
    assert usage is not None
    block = extra(answer, "headgate")
    cached = (usage.prompt_tokens_details.cached_tokens or 0) if usage.prompt_tokens_details else 0
    # A token of a one-dollar-a-million price costs one micro-dollar; a cached one a tenth, rounded up in all.
    cost_microusd = -(-((usage.prompt_tokens - cached) * 10 + cached + usage.completion_tokens * 20) // 10)
    assert usage.prompt_tokens + usage.completion_tokens == usage.total_tokens
    assert cost_microusd == round(extra(usage, "cost") * 1_000_000)
    assert extra(usage, "cost") == block["cost_usd"]
    assert extra(usage, "cost_details") is not None
    assert (model, "sandbox", None) == (block["model"], block["provider"], block["tier"])
    assert "named" == block["decision"]["source"]
    assert ["ok"] == [attempt["outcome"] for attempt in block["attempts"]]
    assert block["request_id"].startswith("req-")


@pytest.mark.parametrize("path", ["/v1", "/api/v1"])
def test_plain(connect: Connect, path: str) -> None:
    """A plain answer is typed, whole, and says what it cost, under both base addresses."""
    answer = plain_of(connect(path))
    assert ["stop"] == [choice.finish_reason for choice in answer.choices]
    assert "assistant" == answer.choices[0].message.role
    assert answer.choices[0].message.content
    assert extra(answer, "headgate")["request_id"] == answer._request_id
    check_facts(answer, "sandbox-small")


@pytest.mark.parametrize("path", ["/v1", "/api/v1"])
def test_stream(connect: Connect, path: str) -> None:
    """Without `include_usage` every chunk has a choice, and usage and block ride on the last one alone."""
    chunks = chunks_of(connect(path))
    assert [1] * len(chunks) == [len(chunk.choices) for chunk in chunks]
    assert plain_of(connect(path)).choices[0].message.content == text_of(chunks)
    assert ["stop"] == finishes(chunks) == finishes(chunks[-1:])
    assert [len(chunks) - 1] == with_facts(chunks)
    check_facts(chunks[-1], "sandbox-small")


def test_stream_with_usage(client: openai.OpenAI) -> None:
    """With `include_usage` the finish chunk has no usage, and one chunk without choices follows it with the facts."""
    chunks = chunks_of(client, model="sandbox-large", **WITH_USAGE)
    assert ["stop"] == finishes(chunks) == finishes(chunks[-2:])
    assert [] == chunks[-1].choices
    assert [len(chunks) - 1] == with_facts(chunks)
    check_facts(chunks[-1], "sandbox-large")


def test_stream_helper(client: openai.OpenAI) -> None:
    """The package's own stream helper accumulates the same answer, usage included."""
    with client.chat.completions.stream(**SMALL, **WITH_USAGE) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    assert deltas
    assert "".join(deltas) == final.choices[0].message.content
    assert final.usage is not None
    assert final.usage.completion_tokens > 0


def test_tools_streamed_then_answered(client: openai.OpenAI) -> None:
    """Two calls' arguments, assembled from a stream, are whole JSON; their results then lead to text."""
    question = {"role": "user", "content": "What is the weather in Paris and what does the clock say?"}
    chunks = chunks_of(client, messages=[question], tools=TOOLS)
    calls: dict[int, dict[str, Any]] = {}
    for part in (part for chunk in chunks for part in chunk.choices[0].delta.tool_calls or ()):
        empty = {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        call = calls.setdefault(part.index, empty)
        assert part.function is not None
        call["id"] += part.id or ""
        call["function"]["name"] += part.function.name or ""
        call["function"]["arguments"] += part.function.arguments or ""
    assert ["tool_calls"] == finishes(chunks)
    called = [calls[index] for index in sorted(calls)]
    assert ["get_weather", "read_clock"] == [call["function"]["name"] for call in called]
    arguments = [orjson.loads(call["function"]["arguments"]) for call in called]
    assert [{"city", "days"}, {"zone"}] == [set(each) for each in arguments]
    assert isinstance(arguments[0]["days"], int)

    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": result}
        for call, result in zip(called, ("drizzle-in-paris", "half-past-nine"), strict=True)
    ]
    turn = [question, {"role": "assistant", "tool_calls": called}, *results]
    choice = plain_of(client, messages=turn, tools=TOOLS).choices[0]
    assert "stop" == choice.finish_reason
    assert "drizzle-in-paris" in (choice.message.content or "")
    assert "half-past-nine" in (choice.message.content or "")


def test_structured_output(client: openai.OpenAI) -> None:
    """`parse` sends a model's schema and gives back an object of that model, plain and streamed."""
    asked = {**SMALL, "model": "sandbox-large", "response_format": Person}
    person = client.chat.completions.parse(**asked).choices[0].message.parsed
    assert isinstance(person, Person)
    assert person.age >= 18
    with client.chat.completions.stream(**asked) as stream:
        final = stream.get_final_completion()
    assert person == final.choices[0].message.parsed


def test_image_input(client: openai.OpenAI) -> None:
    """Content parts with an image arrive: the answer counts them, and the prompt is dearer than its text."""
    text = "What is in this picture?"
    parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    told = plain_of(client, messages=[{"role": "user", "content": text}])
    shown = plain_of(client, messages=[{"role": "user", "content": parts}])
    assert shown.usage is not None
    assert told.usage is not None
    assert "image" in (shown.choices[0].message.content or "")
    assert shown.usage.prompt_tokens > told.usage.prompt_tokens


def test_two_choices(client: openai.OpenAI) -> None:
    """`n=2` gives two different choices, each with one finish reason, and usage once."""
    chunks, plain = chunks_of(client, n=2), plain_of(client, n=2)
    assert [0, 1] == [choice.index for choice in plain.choices]
    assert [choice.message.content for choice in plain.choices] == [text_of(chunks, each) for each in (0, 1)]
    assert text_of(chunks, 0) != text_of(chunks, 1)
    assert [["stop"], ["stop"]] == [finishes(chunks, each) for each in (0, 1)]
    assert [len(chunks) - 1] == with_facts(chunks)
    check_facts(chunks[-1], "sandbox-small")


def test_logprobs(client: openai.OpenAI) -> None:
    """Log probabilities come through, plain and streamed, for each token of the text."""
    choice = plain_of(client, logprobs=True, top_logprobs=2).choices[0]
    assert choice.logprobs is not None
    assert choice.logprobs.content
    assert choice.message.content == "".join(token.token for token in choice.logprobs.content)
    assert {2} == {len(token.top_logprobs) for token in choice.logprobs.content}
    streamed = [
        token
        for chunk in chunks_of(client, logprobs=True, top_logprobs=2)
        if chunk.choices[0].logprobs is not None
        for token in chunk.choices[0].logprobs.content or ()
    ]
    assert choice.logprobs.content == streamed


def test_reasoning(client: openai.OpenAI) -> None:
    """Reasoning streams before the text and is counted; `reasoning_effort` travels on."""
    chunks = chunks_of(client, model="sandbox-reasoning", reasoning_effort="low", **WITH_USAGE)
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    marks = [(delta.content, (delta.model_extra or {}).get("reasoning_content")) for delta in deltas]
    kinds = ["thought" if thought else "text" for text, thought in marks if thought or text]
    assert {"thought", "text"} == set(kinds)
    assert sorted(kinds, reverse=True) == kinds
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens_details is not None
    assert kinds.count("thought") == chunks[-1].usage.completion_tokens_details.reasoning_tokens
    silent = plain_of(client, model="sandbox-reasoning", reasoning_effort="none").choices[0].message
    assert silent.content
    assert not (silent.model_extra or {}).get("reasoning_content")


def test_abort(gateway: RunningGateway, client: openai.OpenAI) -> None:
    """Closing a stream in the middle ends the request: the gateway's log says `client_gone` with an estimate."""
    stream = client.chat.completions.create(**ENDLESS, stream=True)
    request_id = stream.response.headers["x-request-id"]
    assert next(chunk for chunk in stream if chunk.choices[0].delta.content)
    stream.close()
    line = log_line(gateway, request_id)
    assert ("client_gone", 499) == (line["headgate.outcome"], line["http.response.status_code"])
    assert ["client_gone"] == [attempt["outcome"] for attempt in line["headgate.attempts"]]
    assert line["headgate.usage.estimated"] is True
    assert 0 < line["gen_ai.usage.output_tokens"] < 20_000


def log_line(gateway: RunningGateway, request_id: str) -> dict[str, Any]:
    """The gateway's line on a request, waited for: it is written when all is over."""
    deadline_s = time.monotonic() + WAIT_S
    while time.monotonic() < deadline_s:
        for line in gateway.log.read_bytes().rpartition(b"\n")[0].split(b"\n"):
            if request_id.encode() in line:
                members: dict[str, Any] = orjson.loads(line)
                return members
        time.sleep(_POLL_S)
    raise AssertionError(f"no log line for {request_id} within {WAIT_S} s")


def test_wrong_key(connect: Connect) -> None:
    """A wrong key raises AuthenticationError with OpenAI's code."""
    with pytest.raises(openai.AuthenticationError) as raised:
        plain_of(connect(api_key="test-key-9999-wrong"))
    assert (401, "invalid_api_key") == (raised.value.status_code, raised.value.code)
    assert (raised.value.request_id or "").startswith("req-")


@pytest.mark.parametrize("ask", [plain_of, chunks_of])
def test_unknown_model(client: openai.OpenAI, ask: Callable[..., object]) -> None:
    """A misspelt model raises NotFoundError, before any stream begins, and the message names the near miss."""
    with pytest.raises(openai.NotFoundError) as raised:
        ask(client, model="sandbox-smal")
    error = raised.value
    assert (404, "model_not_found", "model") == (error.status_code, error.code, error.param)
    assert "`sandbox-small`" in error.message


def test_bad_request(client: openai.OpenAI) -> None:
    """What the provider refuses raises BadRequestError with the provider's own message."""
    with pytest.raises(openai.BadRequestError) as raised:
        plain_of(client, temperature=9)
    assert "Invalid 'temperature'" in raised.value.message
    assert isinstance(raised.value.body, dict)
    assert "provider" == raised.value.body["source"]


def test_rate_limit(connect: Connect) -> None:
    """Above its requests per minute a key gets RateLimitError, which says when to try again."""
    client = connect(api_key=LIMITED_KEY)
    said = client.chat.completions.with_raw_response.create(**SMALL).headers
    assert ("1", "0") == (said["x-ratelimit-limit-requests"], said["x-ratelimit-remaining-requests"])
    with pytest.raises(openai.RateLimitError) as raised:
        plain_of(client)
    assert (429, "rate_limit_exceeded") == (raised.value.status_code, raised.value.code)
    assert 1 <= int(raised.value.response.headers["retry-after"]) <= 60


@pytest.mark.parametrize("path", ["/v1", "/api/v1"])
def test_models(connect: Connect, path: str) -> None:
    """`models.list` shows what the key may ask for and `retrieve` one of them; an unknown one is NotFoundError."""
    client = connect(path)
    listed = {model.id for model in client.models.list()}
    assert {"sandbox-small", "sandbox-large", "sandbox-reasoning"} <= listed
    one = client.models.retrieve("sandbox-large")
    assert ("sandbox-large", "model", "sandbox") == (one.id, one.object, one.owned_by)
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("sandbox-larg")
    assert "`sandbox-large`" in raised.value.message


async def test_async_client(async_client: openai.AsyncOpenAI) -> None:
    """The asynchronous client streams the same answer."""
    plain = await async_client.chat.completions.create(**SMALL)
    stream = await async_client.chat.completions.create(**SMALL, **WITH_USAGE, stream=True)
    chunks = [chunk async for chunk in stream]
    assert plain.choices[0].message.content == text_of(chunks)
    assert ["stop"] == finishes(chunks)
    check_facts(plain, "sandbox-small")
    check_facts(chunks[-1], "sandbox-small")


async def test_async_abort(gateway: RunningGateway, async_client: openai.AsyncOpenAI) -> None:
    """Leaving the asynchronous client's stream early ends the request too."""
    async with await async_client.chat.completions.create(**ENDLESS, stream=True) as stream:
        request_id = stream.response.headers["x-request-id"]
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                break
    line = await asyncio.to_thread(log_line, gateway, request_id)
    assert "client_gone" == line["headgate.outcome"]
