"""Members a backend does not take: harmless ones are left out and named, others make it be passed over."""

import socket
from collections.abc import Iterator
from typing import Any, Final

import orjson
import pytest

from tests.support.raw_client import Answer
from tests.support.scripted import Exchange, completion, good_stream
from tests.support.site import Site, config, model, provider, site

HEADER: Final = "x-headgate-dropped-params"
ADAPTERS: Final = ("groq", "mistral", "cerebras", "openai", "ollama")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def configure(listener: socket.socket) -> dict[str, Any]:
        providers = {name: provider(listener, f"/{name}/v1", adapter=name) for name in ADAPTERS}
        models = [
            *(model(name, name, can=["logprobs"]) for name in ADAPTERS),
            model("groq-openai", "groq", "openai"),
            model("mistral-openai", "mistral", "openai"),
            model("groq-ollama", "groq", "ollama"),
        ]
        return config(providers, models, tiers={"balanced": {"models": ["groq", "openai"]}})

    with site(tmp_path_factory.mktemp("dropped"), configure) as place:
        yield place


async def answer_whole(exchange: Exchange) -> None:
    if exchange.members.get("stream"):
        await good_stream(exchange)
    else:
        await exchange.answer(200, completion("good"))


async def ask_bytes(place: Site, body: bytes) -> Answer:
    async with place.client() as client:
        await client.send(place.request("POST", "/v1/chat/completions", body=body))
        return await client.read_all()


def block_of(answer: Answer, *, stream: bool) -> dict[str, Any]:
    block = (answer.chunks[-1] if stream else answer.members)["headgate"]
    assert isinstance(block, dict)
    return block


# Left out


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("name", "members", "dropped", "sent"),
    [
        ("groq", {"store": True, "metadata": {"a": "b"}, "user": "u"}, "store, metadata", {"user": "u"}),
        ("mistral", {"user": "u", "safety_identifier": "s"}, "user, safety_identifier", {}),
        ("cerebras", {"metadata": {"a": "b"}, "store": True, "seed": 7}, "metadata, store", {"seed": 7}),
        ("openai", {"store": True, "user": "u"}, None, {"store": True, "user": "u"}),
        ("groq", {"store": False, "metadata": {}, "logprobs": None, "n": 1}, None, {}),
        ("mistral", {"seed": 7}, None, {"random_seed": 7}),
    ],
)
async def test_harmless_members_are_left_out(
    place: Site,
    name: str,
    members: dict[str, Any],
    dropped: str | None,
    sent: dict[str, Any],
    *,
    stream: bool,
) -> None:
    """The answer's header names those that said something, in the request's order; upstream they are really absent."""
    async with place.upstream(answer_whole) as upstream:
        answer = await place.ask(model=name, stream=stream, **members)
        exchange = await upstream.exchange()
    assert 200 == answer.status
    assert dropped == answer.headers.get(HEADER)
    assert 1 == len(block_of(answer, stream=stream)["attempts"])
    received = exchange.members
    for known in ("model", "messages", "stream", "stream_options"):
        received.pop(known, None)
    assert sent == received


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            (
                b'{ "store" : true,\n  "messages": [ {"role":"user", "content":"caf\\u00e9 \xc3\xa9", "name":"store"} ]'
                b', "metadata":{"store": 1},\t"model" :"groq","temperature": 1.50e0 , "x_own":[1 ,2]}\n'
            ),
            (
                b'{ "messages": [ {"role":"user", "content":"caf\\u00e9 \xc3\xa9", "name":"store"} ],'
                b'\t"model" :"upstream-model","temperature": 1.50e0 , "x_own":[1 ,2]}\n'
            ),
        ),
        (
            b'{"model":"groq","messages":[{"role":"user","content":"x"}],"m\\u0065tadata":{"a":1},"top_p":0.10}',
            b'{"model":"upstream-model","messages":[{"role":"user","content":"x"}],"top_p":0.10}',
        ),
        (
            b'{"metadata":{"a":1},"model":"groq","messages":[{"role":"user","content":"x"}],"headgate":{},"store":true}',
            b'{"model":"upstream-model","messages":[{"role":"user","content":"x"}]}',
        ),
    ],
)
async def test_all_other_bytes_are_as_sent(place: Site, body: bytes, expected: bytes) -> None:
    """Spelling, spacing, order and digits: only the members that go are gone."""
    async with place.upstream(answer_whole) as upstream:
        answer = await ask_bytes(place, body)
        assert 200 == answer.status
        assert expected == (await upstream.exchange()).body
    assert "metadata" in answer.headers[HEADER]


@pytest.mark.parametrize("stream", [True, False])
async def test_the_next_backend_gets_what_the_first_did_not(place: Site, *, stream: bool) -> None:
    """The request is the same for every attempt; the header speaks of the attempt that answered."""

    async def script(exchange: Exchange) -> None:
        if exchange.path.startswith("/mistral/"):
            await exchange.answer(503, b'{"error":{"message":"down"}}')
        else:
            await answer_whole(exchange)

    asked: dict[str, Any] = {"user": "u-1", "seed": 7, "max_completion_tokens": 9, "temperature": 0.5}
    async with place.upstream(script) as upstream:
        answer = await place.ask(model="mistral-openai", stream=stream, **asked)
        first, second = (each.members for each in upstream.exchanges)
    assert {"user", "seed", "max_completion_tokens"}.isdisjoint(first)
    assert (7, 9, 0.5) == tuple(first[name] for name in ("random_seed", "max_tokens", "temperature"))
    assert asked == {name: second[name] for name in asked}
    assert {"random_seed", "max_tokens"}.isdisjoint(second)
    assert HEADER not in answer.headers
    assert [("mistral/upstream-model", "overloaded"), ("openai/upstream-model", "ok")] == [
        (each["backend"], each["outcome"]) for each in block_of(answer, stream=stream)["attempts"]
    ]


async def test_a_refusal_names_them_too(place: Site) -> None:
    """Also an answer that is an error says what was left out of the last attempt."""

    async def script(exchange: Exchange) -> None:
        await exchange.answer(400, b'{"error":{"message":"no"}}')

    async with place.upstream(script):
        answer = await place.ask(model="groq", store=True)
    assert (400, "store") == (answer.status, answer.headers[HEADER])


# Passed over


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("members", [{"logprobs": True}, {"logit_bias": {"50256": -100}}, {"n": 2}])
async def test_a_backend_that_lacks_something_is_passed_over(
    place: Site, members: dict[str, Any], *, stream: bool
) -> None:
    """It hears nothing of the request, and is no attempt; the next backend gets the member as sent."""
    async with place.upstream(answer_whole) as upstream:
        answer = await place.ask(model="groq-openai", stream=stream, **members)
        (exchange,) = upstream.exchanges
    assert (200, "openai", "1") == (
        answer.status,
        answer.headers["x-headgate-provider"],
        answer.headers["x-headgate-attempts"],
    )
    assert "/openai/v1/chat/completions" == exchange.path
    assert members.items() <= exchange.members.items()
    assert ["openai/upstream-model"] == [
        each["backend"] for each in block_of(answer, stream=stream)["attempts"]
    ]


async def test_in_a_tier_too(place: Site) -> None:
    """A model of the tier whose only backend lacks something gives way to the next."""
    async with place.upstream(answer_whole) as upstream:
        answer = await place.ask(model="balanced", logprobs=True)
        assert 1 == len(upstream.exchanges)
    block = block_of(answer, stream=True)
    assert ("openai", "balanced") == (block["model"], block["tier"])


@pytest.mark.parametrize("stream", [True, False])
async def test_no_backend_is_left(place: Site, *, stream: bool) -> None:
    """400, naming each backend and what it does not take; nobody is asked."""
    async with place.upstream(answer_whole) as upstream:
        answer = await place.ask(model="groq-ollama", stream=stream, logit_bias={"1": 5}, logprobs=True)
        assert [] == upstream.exchanges
    assert 400 == answer.status
    problem = answer.members["error"]
    assert ("no_capable_backend", "invalid_request_error", "gateway", "logit_bias") == tuple(
        problem[name] for name in ("code", "type", "source", "param")
    )
    assert "groq/upstream-model does not take `logit_bias`, `logprobs`" in problem["message"]
    assert "ollama/upstream-model does not take `logit_bias`" in problem["message"]
    assert {"attempts": []} == answer.members["headgate"]


async def test_what_one_lacks_and_the_other_drops(place: Site) -> None:
    """Both at once: passed over for the one, named for the other."""
    async with place.upstream(answer_whole) as upstream:
        answer = await place.ask(model="balanced", metadata={"a": "b"})
        assert "/groq/v1/chat/completions" == (await upstream.exchange()).path
        assert "metadata" == answer.headers[HEADER]
        answer = await place.ask(model="balanced", metadata={"a": "b"}, logprobs=True)
        received = orjson.loads((await upstream.exchange(1)).body)
    assert HEADER not in answer.headers
    assert ({"a": "b"}, True) == (received["metadata"], received["logprobs"])
