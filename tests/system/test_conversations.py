"""Within a conversation a tier is kept, raised or lowered for reasons that can be named."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import pytest

from ratelimit.store.address import parse_address
from ratelimit.store.store import Store
from tests.support.gateway import running
from tests.support.scripted import DONE, WAIT_S, Exchange, counts, finish, frame, listening, role, text
from tests.support.site import Site, config, model, provider
from tests.support.valkey import PrivateServer

SIMPLE = "What does HTTP stand for?"
COMPLEX = (
    "Design a multi-region event-sourced payment platform with exactly-once settlement, zero-downtime "
    "schema migration and tenant isolation. Compare the trade-offs of the consistency models and justify "
    "the failure handling."
)
LONG_PROMPT = {"role": "system", "content": "You help. " * 8000}
"""20,000 tokens, as prompts are guessed before they are sent."""
WARM_TOKENS = 20_000


@pytest.fixture(scope="module")
def store() -> Iterator[PrivateServer]:
    with PrivateServer() as server:
        yield server


@pytest.fixture(scope="module")
def places(store: PrivateServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Site]]:
    """Two gateways on one store, with a model per tier."""
    with ExitStack() as stack:
        listener = stack.enter_context(listening())
        made = configuration(listener, store.url)
        yield [
            Site(stack.enter_context(running(tmp_path_factory.mktemp("gateway"), made)), listener)
            for _ in range(2)
        ]


def configuration(listener: socket.socket, store_url: str) -> dict[str, Any]:
    prices = {
        "small": {"input": 0.5, "output": 1.0},
        "middle": {"input": 0.8, "output": 1.1, "cache_read": 0.04},
        "large": {"input": 1.0, "output": 1.2, "cache_read": 0.05},
    }
    return config(
        {"scripted": provider(listener)},
        [
            model(name, price=price, backends=[{"provider": "scripted", "model": f"upstream-{name}"}])
            for name, price in prices.items()
        ],
        redis={"url": store_url, "timeout_ms": 5000},
        tiers={
            tier: {"models": [name], "strategy": "score"}
            for tier, name in zip(("frugal", "balanced", "premium"), prices, strict=True)
        },
    )


@pytest.fixture
def place(places: list[Site]) -> Site:
    return places[0]


def answering(cached_tokens: int) -> Any:
    """An answer whose usage says how much of its prompt came from a cache."""

    async def script(exchange: Exchange) -> None:
        reported = {**counts(WARM_TOKENS, 7), "prompt_tokens_details": {"cached_tokens": cached_tokens}}
        last = frame(
            {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [], "usage": reported}
        )
        await exchange.stream(role(), text("good"), finish(), last, DONE)

    return script


def said(*texts: str) -> list[dict[str, Any]]:
    """A conversation: the user's words, with answers between them."""
    messages: list[dict[str, Any]] = []
    for each in texts:
        if messages:
            messages.append({"role": "assistant", "content": "Here it is."})
        messages.append({"role": "user", "content": each})
    return messages


async def asked(site: Site, messages: list[dict[str, Any]], **members: Any) -> tuple[dict[str, Any], str]:
    """The `headgate` block, and why the tier is not that of the verdict alone, as the log says it."""
    client_id = site.next_id()
    answer = await site.ask(
        client_id=client_id, model="balanced", messages=messages, max_tokens=10, **members
    )
    assert 200 == answer.status
    block = next(chunk["headgate"] for chunk in reversed(answer.chunks) if "headgate" in chunk)
    return block, (await site.log_line(client_id))["headgate.decision.because"]


CALL: dict[str, Any] = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "read", "arguments": '{"path":"a"}'}}
    ],
}
RESULT: dict[str, Any] = {"role": "tool", "tool_call_id": "c1", "content": "some text"}


@pytest.mark.parametrize("session", [{}, {"session_id": "tools-1"}, {"prompt_cache_key": "tools-2"}])
async def test_turns_of_tools_keep_the_verdict(place: Site, session: dict[str, str]) -> None:
    """What a tool answers is no ask: the same verdict and tier, however the conversation is known."""
    async with place.upstream(answering(0)):
        messages = said(COMPLEX)
        first, _ = await asked(place, messages, **session)
        following, because = await asked(place, [*messages, CALL, RESULT], **session)
    assert ("premium", "complex") == (first["tier"], first["decision"]["complexity"])
    assert first["decision"] == following["decision"]
    assert ("premium", "") == (following["tier"], because)


async def test_a_harder_turn_moves_up_at_once(place: Site) -> None:
    """A weak answer would cost a turn."""
    async with place.upstream(answering(WARM_TOKENS)):
        first, _ = await asked(place, [LONG_PROMPT, *said(SIMPLE)], session_id="up")
        second, because = await asked(place, [LONG_PROMPT, *said(SIMPLE, COMPLEX)], session_id="up")
    assert ("frugal", "premium") == (first["tier"], second["tier"])
    assert "moved up from frugal" == because


@pytest.mark.parametrize("session", [{}, {"session_id": "warm"}])
async def test_a_softer_turn_stays_where_the_cache_is_warm(place: Site, session: dict[str, str]) -> None:
    """20,000 cached tokens at a twentieth of the price cost less than fresh ones at half of it."""
    async with place.upstream(answering(WARM_TOKENS)):
        messages = [LONG_PROMPT, *said(COMPLEX)]
        first, _ = await asked(place, messages, **session)
        second, because = await asked(place, [LONG_PROMPT, *said(COMPLEX, SIMPLE)], **session)
        third, _ = await asked(place, [LONG_PROMPT, *said(COMPLEX, SIMPLE, SIMPLE)], **session)
    assert ["premium"] * 3 == [block["tier"] for block in (first, second, third)]
    assert "simple" == second["decision"]["complexity"]
    assert because.startswith("kept: the warm cache")


async def test_a_softer_turn_moves_down_where_it_is_cold(place: Site) -> None:
    """Nothing is lost, so the verdict decides."""
    async with place.upstream(answering(0)):
        await asked(place, [LONG_PROMPT, *said(COMPLEX)], session_id="cold")
        second, because = await asked(place, [LONG_PROMPT, *said(COMPLEX, SIMPLE)], session_id="cold")
    assert ("frugal", "moved down from premium") == (second["tier"], because)


async def test_another_gateway_remembers(places: list[Site], store: PrivateServer) -> None:
    """A conversation may change gateways between two turns. What is kept of it holds no word of it."""
    async with connected(store) as reader:
        before = await kept(reader)
        async with places[0].upstream(answering(WARM_TOKENS)):
            await asked(places[0], [LONG_PROMPT, *said(COMPLEX)], session_id="moving")
            async with asyncio.timeout(WAIT_S):
                while not (new := await kept(reader) - before):  # noqa: ASYNC110 - written off the request's path
                    await asyncio.sleep(0.01)
            messages = [LONG_PROMPT, *said(COMPLEX, SIMPLE)]
            block, because = await asked(places[1], messages, session_id="moving")
        (key,) = new
        blob = await reader.call("GET", key)
    assert "premium" == block["tier"]
    assert because.startswith("kept: the warm cache")
    assert isinstance(blob, bytes)
    for word in (b"moving", b"Design", b"payment", b"HTTP"):
        assert word not in blob + key


@asynccontextmanager
async def connected(server: PrivateServer) -> AsyncIterator[Store]:
    reader = Store(parse_address(server.url), timeout_ms=5000)
    await reader.open()
    try:
        yield reader
    finally:
        await reader.close()


async def kept(reader: Store) -> set[bytes]:
    """Keys of what is remembered of conversations."""
    found: list[set[bytes]] = []
    for reply in await reader.call_all("KEYS", "hg:{tester}:memory:conversation:*"):
        assert isinstance(reply, list)
        found.append(set(reply))
    return set().union(*found)


async def test_a_loop_moves_one_tier_up(place: Site) -> None:
    """The same call a third time: a better model may see why; and no further at the fourth."""
    start = said(SIMPLE)
    async with place.upstream(answering(0)):
        twice, _ = await asked(place, [*start, *[CALL, RESULT] * 2], session_id="loop")
        thrice, because = await asked(place, [*start, *[CALL, RESULT] * 3], session_id="loop")
        again, _ = await asked(place, [*start, *[CALL, RESULT] * 4], session_id="loop")
    assert ["frugal", "balanced", "balanced"] == [block["tier"] for block in (twice, thrice, again)]
    assert "same tool call" in because
    assert thrice["decision"] == twice["decision"]


async def test_failing_tools_move_one_tier_up(place: Site) -> None:
    """Three results that are errors, one after the other."""
    failing = [
        message
        for number in range(3)
        for message in (
            {
                **CALL,
                "tool_calls": [
                    {
                        "id": f"c{number}",
                        "type": "function",
                        "function": {"name": "run", "arguments": f'{{"n":{number}}}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": f"c{number}", "content": "Error: command not found"},
        )
    ]
    async with place.upstream(answering(0)):
        block, because = await asked(place, [*said(SIMPLE), *failing])
    assert "balanced" == block["tier"]
    assert "fail one after the other" in because
