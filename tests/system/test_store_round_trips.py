"""How often the store is asked before an answer: never for nothing, once for all limits of a request."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.gateway import running
from tests.support.scripted import DONE, WAIT_S, Exchange, finish, listening, role, text, usage
from tests.support.site import Site, config, model, provider
from tests.support.valkey import PrivateServer

LIMITS: Final = {
    "requests_per_minute": 1000,
    "tokens_per_minute": 10**7,
    "in_flight": 50,
    "usd_per_day": 1000,
}
CUSTOMERS: Final[dict[str, dict[str, int]]] = {
    "free-named": {},
    "free-tier": {},
    "held-named": LIMITS,
    "held-tier": LIMITS,
    "held-turns": LIMITS,
}
SIMPLE: Final = {"role": "user", "content": "What does HTTP stand for?"}
_INSIDE_A_SCRIPT: Final = b" lua] "
_WITH_SOURCE: Final = b'"EVAL"'
"""Once per server, for a script that it does not know yet."""


class Monitored:
    """What a store is sent, in its own order."""

    def __init__(self, reader: asyncio.StreamReader, marking: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._marking = marking
        self._numbers = count(1)
        self._lines: list[bytes] = []

    async def of(self, customer: str) -> list[bytes]:
        """Commands so far that name a key of this customer; those that scripts give are no round trips."""
        mark = b"mark-%d" % next(self._numbers)
        self._marking.write(b"ECHO %b\r\n" % mark)
        async with asyncio.timeout(WAIT_S):
            while mark not in (line := await self._reader.readuntil(b"\r\n")):
                self._lines.append(line)
        tag = b"hg:{%b}:" % customer.encode()
        return [
            line
            for line in self._lines
            if tag in line and _INSIDE_A_SCRIPT not in line and _WITH_SOURCE not in line
        ]

    async def until(self, customer: str, commands: int) -> None:
        """Wait for what is told to the store behind a request's back."""
        async with asyncio.timeout(WAIT_S):
            while len(await self.of(customer)) < commands:  # noqa: ASYNC110 - another process has no event to wait for
                await asyncio.sleep(0.01)


@asynccontextmanager
async def monitored(store: PrivateServer) -> AsyncIterator[Monitored]:
    reader, monitoring = await asyncio.open_unix_connection(store.socket_path)
    _, marking = await asyncio.open_unix_connection(store.socket_path)
    try:
        monitoring.write(b"MONITOR\r\n")
        assert b"+OK\r\n" == await asyncio.wait_for(reader.readuntil(b"\r\n"), WAIT_S)
        yield Monitored(reader, marking)
    finally:
        monitoring.close()
        marking.close()


@pytest.fixture(scope="module")
def store() -> Iterator[PrivateServer]:
    with PrivateServer() as server:
        yield server


@pytest.fixture(scope="module")
def place(store: PrivateServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A gateway with a customer for each test: what is told of one request late is not taken for another's."""
    with ExitStack() as stack:
        listener = stack.enter_context(listening())
        home = tmp_path_factory.mktemp("gateway")
        made = configuration(listener, store.url, home)
        yield Site(stack.enter_context(running(home, made)), listener)


def configuration(listener: socket.socket, store_url: str, home: Path) -> dict[str, Any]:
    keys = []
    for name in CUSTOMERS:
        (home / name).write_text(secret(name))
        keys.append({"id": f"{name}-key", "customer": name, "secret": f"file:{home / name}"})
    made = config(
        {"scripted": provider(listener)},
        [model("test-model", "scripted")],
        redis={"url": store_url, "timeout_ms": 5000},
        records={"generations_max": 0},  # they follow an answer at a moment of their own
        tiers={tier: {"models": ["test-model"]} for tier in ("frugal", "balanced", "premium")},
        customers=[{"id": name, "limits": dict(limits)} for name, limits in CUSTOMERS.items()],
    )
    return made | {"keys": [*made["keys"], *keys]}


def secret(customer: str) -> str:
    return f"test-key-of-{customer}"


async def asked(
    site: Site, watch: Monitored, customer: str, model_name: str, messages: list[dict[str, Any]]
) -> int:
    """How often the store was asked for this request before the first word of its answer."""
    read = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send(role() + text("good"))
        await read.wait()
        await exchange.send(finish() + usage() + DONE)
        await exchange.finish()

    before = len(await watch.of(customer))
    async with site.upstream(script), site.client() as client:
        request = site.chat(model=model_name, messages=messages, max_tokens=10)
        await client.send(request.replace(site.gateway.key.encode(), secret(customer).encode()))
        await client.read_until(b"good")
        times = len(await watch.of(customer)) - before
        read.set()
        answer = await client.read_until(b"[DONE]")
        assert 200 == answer.status
    return times


@pytest.mark.parametrize(
    ("customer", "model_name", "expected"),
    [
        ("free-named", "test-model", 0),
        ("free-tier", "balanced", 0),
        ("held-named", "test-model", 1),
        ("held-tier", "balanced", 1),
    ],
)
async def test_the_first_request(
    place: Site, store: PrivateServer, customer: str, model_name: str, expected: int
) -> None:
    """Without limits nothing is asked; all limits are asked at once; a conversation that begins asks for no past."""
    async with monitored(store) as watch:
        assert expected == await asked(place, watch, customer, model_name, [SIMPLE])


async def test_a_later_turn(place: Site, store: PrivateServer) -> None:
    """What this gateway itself remembers of a conversation, it does not ask the store for."""
    later = [SIMPLE, {"role": "assistant", "content": "Hypertext."}, {"role": "user", "content": "And TLS?"}]
    async with monitored(store) as watch:
        assert 1 == await asked(place, watch, "held-turns", "balanced", [SIMPLE])
        await watch.until("held-turns", 2)
        assert 1 == await asked(place, watch, "held-turns", "balanced", later)
