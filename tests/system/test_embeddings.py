"""Embeddings through a real gateway: the official SDK, the sandbox, recorded providers, failover and refusals."""

import asyncio
import base64
import math
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Final

import openai
import orjson
import pytest
from openai.types import CreateEmbeddingResponse

from tests.support import recordings
from tests.support.gateway import NO_CIRCUITS
from tests.support.raw_client import Answer
from tests.support.recordings import Recording
from tests.support.scripted import Exchange, Script
from tests.support.site import Site, config, model, provider, site

PATHS: Final = ("/v1", "/api/v1")
WAIT_S: Final = 10.0
TEXTS: Final = ("The lock-keeper waits", "A lock-keeper is waiting", "Nobody mentions ships here")


def recorded() -> tuple[Recording, ...]:
    """Every recorded answer with embeddings; none when there is no set."""
    return recordings.load(lambda entry: entry["endpoint"] == "embeddings" and entry["status"] == 200)


ADAPTERS: Final = sorted({recording.adapter for recording in recorded()} | {"openai", "openrouter"})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def configure(listener: socket.socket) -> dict[str, Any]:
        providers = {
            "sandbox": {"adapter": "sandbox"},
            **{name: provider(listener, f"/{name}/v1", adapter=name) for name in ADAPTERS},
            "bad": provider(listener, "/bad/v1"),
            "good": provider(listener, "/good/v1"),
            "slow": provider(listener, "/slow/v1", timeouts={"total_s": 0.3}),
        }
        sandbox = {
            "backends": [{"provider": "sandbox", "model": "sandbox-embed"}],
            "price": {"input": 1, "output": 0},
        }
        failing = [{"provider": "sandbox", "model": name} for name in ("sandbox-fail-503", "sandbox-embed")]
        models = [
            {"id": "vectors", **sandbox},
            {"id": "shaky", "backends": failing, "price": {"input": 1, "output": 0}},
            *(model(name, name) for name in ADAPTERS),
            model("bad-good", "bad", "good"),
            model("bad", "bad"),
            model("slow-good", "slow", "good"),
            model("unpriced", "good", price=None),
        ]
        return config(
            providers,
            models,
            tiers={"balanced": {"models": ["vectors"]}, "frugal": {"models": ["vectors"]}},
            routing={"retries": 1, "aliases": {"any-vectors": "balanced"}, "breaker": NO_CIRCUITS},
            redis={"timeout_ms": 2000},  # a busy machine must not turn a limit into an outage
            keys=[
                {"id": "test", "customer": "tester", "secret": "env:TEST_KEY"},
                {"id": "other", "customer": "other", "secret": "env:OTHER_KEY", "models": ["bad"]},
            ],
        )

    environ = {"OTHER_KEY": "test-key-0002-abcdefgh"}
    with site(tmp_path_factory.mktemp("embeddings"), configure, environ) as place:
        yield place


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package reads keys, addresses and proxies from the environment; none of the developer's count here."""
    for name in tuple(os.environ):
        if name.startswith("OPENAI_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(params=PATHS)
async def client(place: Site, request: pytest.FixtureRequest) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official package, below each of our two prefixes."""
    base_url = f"{place.gateway.base}{request.param}"
    async with openai.AsyncOpenAI(
        base_url=base_url, api_key=place.gateway.key, max_retries=0, timeout=WAIT_S
    ) as made:
        yield made


async def post(place: Site, body: bytes, *, path: str = "/v1/embeddings", client_id: str = "x") -> Answer:
    async with place.client() as client:
        await client.send(place.request("POST", path, body=body, headers={"x-request-id": client_id}))
        return await client.read_all()


async def ask(place: Site, *, client_id: str = "x", **members: Any) -> Answer:
    body = orjson.dumps({"model": "openai", "input": "x", **members})
    return await post(place, body, client_id=client_id)


def answering(body: bytes, status: int = 200, *headers: tuple[str, str]) -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.answer(status, body, (("content-type", "application/json"), *headers))

    return script


def vectors(*numbers: float, **more: Any) -> bytes:
    data = [{"object": "embedding", "index": 0, "embedding": list(numbers)}]
    usage = {"prompt_tokens": 7, "total_tokens": 7}
    return orjson.dumps({"object": "list", "data": data, "model": "upstream", "usage": usage, **more})


def attempts_of(answer: Answer) -> list[tuple[str, str, int]]:
    return [
        (each["backend"].split("/")[0], each["outcome"], each["status"])
        for each in answer.members["headgate"]["attempts"]
    ]


def extra(made: CreateEmbeddingResponse, name: str) -> Any:
    """A member that the package's types do not know."""
    assert made.model_extra is not None
    return made.model_extra[name]


def length(vector: Sequence[float]) -> float:
    return math.sqrt(sum(number * number for number in vector))


# The official package against the sandbox


async def test_the_packages_default(client: openai.AsyncOpenAI) -> None:
    """It asks for base64 and unpacks it: what the user sees is what `float` gives, in single precision."""
    packed = await client.embeddings.create(model="vectors", input=TEXTS[0])
    plain = await client.embeddings.create(model="vectors", input=TEXTS[0], encoding_format="float")
    assert 256 == len(packed.data[0].embedding)
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-7)
    assert 1 == pytest.approx(length(plain.data[0].embedding), abs=1e-6)


async def test_base64_as_it_is(client: openai.AsyncOpenAI) -> None:
    """Asked for by name the package leaves it packed, and so do we."""
    made = await client.embeddings.create(
        model="vectors", input=TEXTS[0], encoding_format="base64", dimensions=8
    )
    packed: Any = made.data[0].embedding
    assert isinstance(packed, str)
    assert 1 == pytest.approx(length(struct.unpack("<8f", base64.b64decode(packed))), abs=1e-6)


@pytest.mark.parametrize("dimensions", [1, 64, 3072])
async def test_dimensions(client: openai.AsyncOpenAI, dimensions: int) -> None:
    """As many numbers as were asked for."""
    made = await client.embeddings.create(model="vectors", input=TEXTS[0], dimensions=dimensions)
    assert [dimensions] == [len(each.embedding) for each in made.data]


async def test_a_batch(client: openai.AsyncOpenAI) -> None:
    """One vector for each text, in order, with the same numbers as alone; and alike texts lie close."""
    made = await client.embeddings.create(model="vectors", input=list(TEXTS))
    assert [0, 1, 2] == [each.index for each in made.data]
    alone = await client.embeddings.create(model="vectors", input=TEXTS[2])
    first, second, third = (each.embedding for each in made.data)
    assert alone.data[0].embedding == third
    near = sum(one * other for one, other in zip(first, second, strict=True))
    far = sum(one * other for one, other in zip(first, third, strict=True))
    assert near > far


async def test_a_large_batch(client: openai.AsyncOpenAI) -> None:
    """Two thousand texts and some megabytes of answer: each vector is there, and in its place."""
    made = await client.embeddings.create(
        model="vectors", input=[f"text {number}" for number in range(2048)], dimensions=256
    )
    assert list(range(2048)) == [each.index for each in made.data]
    alone = await client.embeddings.create(model="vectors", input="text 2047", dimensions=256)
    assert alone.data[0].embedding == made.data[-1].embedding


async def test_token_ids(client: openai.AsyncOpenAI) -> None:
    """A list of them is one text, a list of lists many; each id is a token."""
    one = await client.embeddings.create(model="vectors", input=[1, 2, 3])
    many = await client.embeddings.create(model="vectors", input=[[1, 2, 3], [4]])
    assert one.data[0].embedding == many.data[0].embedding
    assert (3, 4) == (one.usage.prompt_tokens, many.usage.prompt_tokens)


async def test_what_it_cost(client: openai.AsyncOpenAI) -> None:
    """Usage with cost, and what happened; headers say it, too."""
    answer = await client.embeddings.with_raw_response.create(model="vectors", input=[1, 2, 3, 4, 5])
    made = answer.parse()
    assert (5, 5, 0.000005) == (
        made.usage.prompt_tokens,
        made.usage.total_tokens,
        (made.usage.model_extra or {})["cost"],
    )
    block = extra(made, "headgate")
    assert ("vectors", "sandbox", None, "named", 0.000005) == (
        block["model"],
        block["provider"],
        block["tier"],
        block["decision"]["source"],
        block["cost_usd"],
    )
    assert [("sandbox/sandbox-embed", "answer", "ok", 200, 0.000005)] == [
        tuple(each[name] for name in ("backend", "kind", "outcome", "status", "cost_usd"))
        for each in block["attempts"]
    ]
    assert answer.headers["x-request-id"] == block["request_id"] == answer.headers["x-generation-id"]
    assert ("vectors", "sandbox", "1") == tuple(
        answer.headers[f"x-headgate-{name}"] for name in ("model", "provider", "attempts")
    )
    assert "sandbox-embed" == made.model


@pytest.mark.parametrize("members", [{"dimensions": 0}, {"dimensions": 4000}, {"input": [""]}])
async def test_what_the_provider_refuses(client: openai.AsyncOpenAI, members: dict[str, Any]) -> None:
    """Its own words come back as the package's BadRequestError."""
    with pytest.raises(openai.BadRequestError) as refused:
        await client.embeddings.create(**{"model": "vectors", "input": "x", **members})
    assert isinstance(refused.value.body, dict)
    assert ("provider", "bad_request") == (refused.value.body["source"], refused.value.code)


async def test_a_failing_sandbox(client: openai.AsyncOpenAI) -> None:
    """A backend that fails is passed over, unseen."""
    made = await client.embeddings.create(model="shaky", input="x")
    assert ["overloaded", "ok"] == [each["outcome"] for each in extra(made, "headgate")["attempts"]]
    assert 256 == len(made.data[0].embedding)


# Refusals


@pytest.mark.parametrize("name", ["balanced", "frugal", "headgate/balanced", "any-vectors"])
async def test_a_tier(client: openai.AsyncOpenAI, name: str) -> None:
    """A tier is refused, whatever it is called: vectors of different models do not compare."""
    with pytest.raises(openai.BadRequestError) as refused:
        await client.embeddings.create(model=name, input="x")
    assert ("no_capable_backend", "model") == (refused.value.code, refused.value.param)
    assert "vectors of different models do not compare" in refused.value.message


async def test_an_unknown_model(client: openai.AsyncOpenAI) -> None:
    """404, with near misses."""
    with pytest.raises(openai.NotFoundError) as refused:
        await client.embeddings.create(model="vector", input="x")
    assert "model_not_found" == refused.value.code
    assert "`vectors`" in refused.value.message


async def test_keys(place: Site, client: openai.AsyncOpenAI) -> None:
    """None, an unknown one, and one that may not use the model."""
    with pytest.raises(openai.PermissionDeniedError) as forbidden:
        await client.with_options(api_key="test-key-0002-abcdefgh").embeddings.create(
            model="vectors", input="x"
        )
    assert "model_not_allowed" == forbidden.value.code
    with pytest.raises(openai.AuthenticationError) as unknown:
        await client.with_options(api_key="test-key-0003-abcdefgh").embeddings.create(
            model="vectors", input="x"
        )
    assert "invalid_api_key" == unknown.value.code
    async with place.client() as raw:
        bearer = f"authorization: Bearer {place.gateway.key}\r\n".encode()
        await raw.send(place.request("POST", "/v1/embeddings", body=b"{}").replace(bearer, b""))
        assert 401 == (await raw.read_all()).status


@pytest.mark.parametrize("prefix", PATHS)
@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"[]", None),
        (b'{"model": "vectors", "input": "x"', None),
        (b'{"input": "x"}', "model"),
        (b'{"model": "vectors"}', "input"),
        (b'{"model": "vectors", "input": []}', "input"),
        (b'{"model": "vectors", "input": "x", "input": "y"}', "input"),
    ],
)
async def test_what_cannot_be_read(place: Site, prefix: str, body: bytes, param: str | None) -> None:
    """400 by the gateway, in OpenAI's shape, and no attempt."""
    answer = await post(place, body, path=f"{prefix}/embeddings")
    problem = answer.members["error"]
    assert (400, "invalid_request", param, "gateway", "invalid_request_error") == (
        answer.status,
        *(problem[name] for name in ("code", "param", "source", "type")),
    )
    assert answer.headers["x-request-id"] == problem["request_id"]


async def test_other_methods(place: Site) -> None:
    """Only POST."""
    answer = await place.get("/v1/embeddings")
    assert (405, "POST", "method_not_allowed") == (
        answer.status,
        answer.headers["allow"],
        answer.members["error"]["code"],
    )


# Bytes


@pytest.mark.parametrize("prefix", PATHS)
async def test_the_body_travels_on(place: Site, prefix: str) -> None:
    """The model's name is replaced, members addressed to the gateway go, all else is as sent."""
    body = (
        b'{ "headgate":{"tags":["a"]}, "input":[ "caf\\u00e9", "\xc3\xa9" ],\t"model" : "openai",'
        b'"provider":{"order":["a"]},"models":["b"],"session_id":"s","usage":{"include":true},'
        b'"user":"u" , "dimensions":8,"x_own":1.50 }\n'
    )
    expected = (
        b'{ "input":[ "caf\\u00e9", "\xc3\xa9" ],\t"model" : "upstream-model",'
        b'"user":"u" , "dimensions":8,"x_own":1.50 }\n'
    )
    async with place.upstream(answering(vectors(0.5))) as upstream:
        answer = await post(place, body, path=f"{prefix}/embeddings")
        exchange = await upstream.exchange()
    assert 200 == answer.status
    assert ("/openai/v1/embeddings", expected) == (exchange.path, exchange.body)
    assert ("application/json", "identity") == (
        exchange.headers["content-type"],
        exchange.headers["accept-encoding"],
    )


@pytest.mark.parametrize("recording", recordings.parameters(recorded()))
async def test_recorded_answers(place: Site, recording: Recording) -> None:
    """Vectors, ids and vendor members leave byte for byte; only usage is another one and the block is new."""
    async with place.upstream(answering(recording.body)) as upstream:
        request = {**recording.request, "model": recording.adapter}
        answer = await post(place, orjson.dumps(request))
        exchange = await upstream.exchange()
    assert 200 == answer.status
    assert {**request, "model": "upstream-model"} == exchange.members
    assert exchange.path.startswith(f"/{recording.adapter}/v1/")
    assert exchange.path.partition("?")[0].endswith("/embeddings")
    body, was, now = recording.body, orjson.loads(recording.body), answer.members
    reported = {name: value for name, value in was["usage"].items() if value is not None}
    assert reported.items() <= now["usage"].items()
    start = body.index(b"{", body.index(b'"usage"'))
    end = body.index(b"}", start) + 1
    close = len(body[: body.rindex(b"}")].rstrip())
    ours = orjson.dumps(now["usage"]), b',"headgate":' + orjson.dumps(now["headgate"])
    assert body[:start] + ours[0] + body[end:close] + ours[1] + body[close:] == answer.body
    tokens = was["usage"]["prompt_tokens"]
    assert (tokens / 1_000_000, tokens) == (now["usage"]["cost"], now["usage"]["total_tokens"])


@pytest.mark.parametrize("recording", recordings.parameters(recorded()))
async def test_recorded_answers_in_the_package(
    place: Site, client: openai.AsyncOpenAI, recording: Recording
) -> None:
    """The official package reads the same numbers as it would from the provider, packed or not."""
    async with place.upstream(answering(recording.body)):
        made = await client.embeddings.create(model=recording.adapter, input="x")
    expected: list[list[float]] = []
    for entry in orjson.loads(recording.body)["data"]:
        vector = entry["embedding"]
        if isinstance(vector, str):
            packed = base64.b64decode(vector)
            vector = list(struct.unpack(f"<{len(packed) // 4}f", packed))
        expected.append(vector)
    assert expected == [each.embedding for each in made.data]


async def test_an_estimate(place: Site) -> None:
    """A provider that reports no usage is billed by estimate, and the answer says so."""
    async with place.upstream(answering(b'{"data":[{"embedding":[0.5],"index":0}]}')):
        answer = await ask(place, input="x" * 4000)
    usage = answer.members["usage"]
    assert usage["estimated"] is True
    assert 1000 <= usage["prompt_tokens"] == usage["total_tokens"] <= 1020
    assert usage["prompt_tokens"] / 1_000_000 == usage["cost"] == answer.members["headgate"]["cost_usd"]
    assert answer.body.startswith(b'{"data":[{"embedding":[0.5],"index":0}],"usage":{')


async def test_without_a_price(place: Site) -> None:
    """The cost is not known, which is not the same as nothing."""
    async with place.upstream(answering(vectors(0.5))):
        answer = await ask(place, model="unpriced")
    assert (None, 7) == (answer.members["usage"]["cost"], answer.members["usage"]["prompt_tokens"])


async def test_the_log(place: Site) -> None:
    """One line, with tokens and cost, and without the texts."""
    client_id = place.next_id()
    async with place.upstream(answering(vectors(0.5))):
        await ask(place, client_id=client_id, input="a very particular text")
    line = await place.log_line(client_id)
    assert ("openai", False, "ok", 200, 7, 0, 0.000007) == tuple(
        line[name]
        for name in (
            "gen_ai.request.model",
            "headgate.stream",
            "headgate.outcome",
            "http.response.status_code",
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.output_tokens",
            "headgate.cost_usd",
        )
    )
    assert b"particular" not in place.gateway.log.read_bytes()


# Failures


def bad_then_good(bad: Script) -> Script:
    async def script(exchange: Exchange) -> None:
        await (answering(vectors(0.25)) if exchange.path.startswith("/good/") else bad)(exchange)

    return script


async def cut(exchange: Exchange) -> None:
    await exchange.start(200, (("content-length", "100"),), chunked=False)
    await exchange.write(b'{"data":[{"emb')
    exchange.fin()


async def reset(exchange: Exchange) -> None:
    exchange.reset()


def error(message: str, **members: Any) -> bytes:
    return orjson.dumps({"error": {"message": message, **members}})


FAILURES: Final[dict[str, tuple[Script, str, int]]] = {
    "500": (answering(error("down"), 500), "overloaded", 500),
    "429": (answering(error("slow"), 429, ("retry-after", "30")), "rate_limited", 429),
    "401": (answering(error("who"), 401), "auth", 401),
    "404": (answering(error("what"), 404), "auth", 404),
    "html": (answering(b"<html>Bad Gateway</html>", 502), "unreachable", 502),
    "html under 200": (answering(b"<html>Log in</html>"), "protocol", 0),
    "no data": (answering(b'{"object":"list","data":[]}'), "protocol", 0),
    "a chat answer": (answering(b'{"choices":[]}'), "protocol", 0),
    "error under 200": (answering(error("busy", code=503)), "overloaded", 503),
    "cut": (cut, "protocol", 0),
    "reset": (reset, "unreachable", 0),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_failover(place: Site, name: str) -> None:
    """The next backend answers; both attempts are told."""
    script, outcome, status = FAILURES[name]
    async with place.upstream(bad_then_good(script)) as upstream:
        answer = await ask(place, model="bad-good")
        first, second = upstream.exchanges
        assert (first.body, "/bad/v1/embeddings") == (second.body, first.path)
    assert (200, [0.25]) == (answer.status, answer.members["data"][0]["embedding"])
    assert [("bad", outcome, status), ("good", "ok", 200)] == attempts_of(answer)
    assert ("good", "2") == (answer.headers["x-headgate-provider"], answer.headers["x-headgate-attempts"])


async def test_a_provider_that_is_too_slow(place: Site) -> None:
    """`total_s` bounds the attempt, and the next backend answers."""

    async def silent(exchange: Exchange) -> None:
        await exchange.closed.wait()

    async with place.upstream(bad_then_good(silent)):
        answer = await ask(place, model="slow-good")
    assert [("slow", "timeout", 0), ("good", "ok", 200)] == attempts_of(answer)


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        (answering(error("down"), 500), 503, "overloaded"),
        (answering(error("slow"), 429, ("retry-after", "300")), 429, "rate_limited"),
        (answering(error("who"), 401), 502, "auth"),
        (answering(b"<html>"), 502, "protocol"),
        (answering(error("too many dimensions"), 400), 400, "bad_request"),
        (answering(error("maximum context length is 8192 tokens"), 400), 400, "context_length_exceeded"),
    ],
)
async def test_when_all_fail(place: Site, script: Script, status: int, code: str) -> None:
    """The status of the last failure, said to be the provider's."""
    async with place.upstream(script):
        answer = await ask(place, model="bad")
    problem = answer.members["error"]
    assert (status, code, "provider") == (answer.status, problem["code"], problem["source"])
    assert attempts_of(answer)
    if status == 429:
        assert "300" == answer.headers["retry-after"]


async def test_a_client_that_leaves(place: Site) -> None:
    """The provider is let go at once, and the prompt is billed by estimate."""
    client_id = place.next_id()

    async def silent(exchange: Exchange) -> None:
        await exchange.closed.wait()

    async with place.upstream(silent) as upstream:
        async with place.client() as client:
            body = orjson.dumps({"model": "openai", "input": "x" * 400})
            headers = {"x-request-id": client_id}
            await client.send(place.request("POST", "/v1/embeddings", body=body, headers=headers))
            await upstream.exchange()
            left_s = asyncio.get_running_loop().time()
        assert (await (await upstream.exchange()).until_closed()) - left_s < 1.0
        line = await place.log_line(client_id)
    assert ("client_gone", 499, True) == (
        line["headgate.outcome"],
        line["http.response.status_code"],
        line["headgate.usage.estimated"],
    )
    assert line["headgate.cost_usd"] > 0
