"""A server that answers and takes no writes: one word down, one up, and reading goes on."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Final

import pytest

from ratelimit.store.errors import StoreFault, StoreUnavailable
from ratelimit.store.scripts import Script
from ratelimit.store.store import Store
from ratelimit.subjects.directory import Directory
from ratelimit.subjects.types import NewCustomer
from tests.ratelimit.clocks import PATIENT_MS
from tests.ratelimit.watching import Watch, opened
from tests.support.valkey import PrivateServer


def script(source: bytes, *, writes: bool, when_full: bool = False) -> Script:
    digest = hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()
    return Script("test", source, digest, writes, when_full)


WRITE: Final = script(b"#!lua\nreturn redis.call('INCR', KEYS[1])", writes=True)
WHEN_FULL: Final = script(
    b"#!lua flags=allow-oom\nreturn redis.call('INCR', KEYS[1])", writes=True, when_full=True
)
READ: Final = script(b"#!lua flags=no-writes\nreturn redis.call('GET', KEYS[1])", writes=False)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
async def gate(fragile_server: PrivateServer, watch: Watch) -> AsyncIterator[Store]:
    async with opened(fragile_server.url, watch, PATIENT_MS) as store:
        yield store


async def refused_then_taken(gate: Store, watch: Watch, code: str, *mend: str) -> None:
    """The whole story of an outage: told once whatever is called, over with the first write."""
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match=code):
            await gate.run(WRITE, ("count",), ())
        await gate.run(READ, ("count",), ())
        await gate.call("GET", "count")
    await watch.until("down")
    assert code in watch.reasons[0]
    assert gate.available
    await gate.call("CONFIG", "SET", *mend)
    await gate.run(READ, ("count",), ())
    assert ["down"] == watch.told
    assert 2 == await gate.run(WRITE, ("count",), ())
    await watch.until("down", "up")
    assert 3 == await gate.run(WRITE, ("count",), ())
    assert ["down", "up"] == watch.told


async def test_what_runs_on_a_full_server(gate: Store, watch: Watch) -> None:
    """What a server takes although it is full tells nothing of the end of that; the next other write does."""
    await gate.call("CONFIG", "SET", "maxmemory", "1")
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="OOM"):
            await gate.run(WRITE, ("count",), ())
        await gate.run(WHEN_FULL, ("other",), ())
    await watch.until("down")
    await gate.call("CONFIG", "SET", "maxmemory", "0")
    await gate.run(WHEN_FULL, ("other",), ())
    await gate.call("PING")
    assert ["down"] == watch.told
    await gate.run(WRITE, ("count",), ())
    await watch.until("down", "up")


async def test_end_told_by_what_runs_when_full(gate: Store, watch: Watch) -> None:
    """Other refusals are over with any write."""
    await gate.call("CONFIG", "SET", "min-replicas-to-write", "1")
    with pytest.raises(StoreUnavailable, match="NOREPLICAS"):
        await gate.run(WHEN_FULL, ("count",), ())
    await gate.call("CONFIG", "SET", "min-replicas-to-write", "0")
    await gate.run(WHEN_FULL, ("count",), ())
    await watch.until("down", "up")


async def test_out_of_memory(gate: Store, watch: Watch) -> None:
    """A full server."""
    assert 1 == await gate.run(WRITE, ("count",), ())
    await gate.call("CONFIG", "SET", "maxmemory", "1")
    await refused_then_taken(gate, watch, "OOM", "maxmemory", "0")


async def test_too_few_replicas(gate: Store, watch: Watch) -> None:
    """A master that has lost the replicas it must have."""
    assert 1 == await gate.run(WRITE, ("count",), ())
    await gate.call("CONFIG", "SET", "min-replicas-to-write", "1")
    await refused_then_taken(gate, watch, "NOREPLICAS", "min-replicas-to-write", "0")


async def test_disk_that_cannot_be_written(gate: Store, watch: Watch, fragile_server: PrivateServer) -> None:
    """A server that cannot keep what it is told to keep."""
    assert 1 == await gate.run(WRITE, ("count",), ())
    in_the_way = fragile_server.socket_path.parent / "dump.rdb"
    in_the_way.mkdir()
    await gate.call("CONFIG", "SET", "save", "3600 1000")
    await gate.call("BGSAVE")
    while b"rdb_last_bgsave_status:err" not in await persistence(gate):
        pass
    await refused_then_taken(gate, watch, "MISCONF", "stop-writes-on-bgsave-error", "no")


async def persistence(gate: Store) -> bytes:
    info = await gate.call("INFO", "persistence")
    assert isinstance(info, bytes)
    return info


async def test_commands_that_write_count_too(gate: Store, watch: Watch) -> None:
    """A command that its caller calls a write tells as a script does; one that is not called so does not."""
    await gate.call("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StoreUnavailable, match="OOM"):
        await gate.call("SET", "a", "b")
    assert [] == watch.told
    with pytest.raises(StoreUnavailable, match="OOM"):
        await gate.call("SET", "a", "b", writes=True)
    await watch.until("down")
    await gate.call("CONFIG", "SET", "maxmemory", "0")
    await gate.call("SET", "a", "b", writes=True)
    await watch.until("down", "up")


async def test_busy_server(gate: Store, watch: Watch, fragile_server: PrivateServer) -> None:
    """A server held up by a foreign script says so, and is used again when the script is stopped."""
    await gate.call("CONFIG", "SET", "lua-time-limit", "10")
    async with opened(fragile_server.url, Watch(), PATIENT_MS) as foreign:
        await stuck(gate, watch, foreign)


async def until_refused(gate: Store) -> None:
    while True:
        await gate.run(WRITE, ("count",), ())


async def stuck(gate: Store, watch: Watch, foreign: Store) -> None:
    endless = asyncio.ensure_future(foreign.call("EVAL", "while true do end", 0))
    with pytest.raises(StoreUnavailable, match="BUSY"):
        await until_refused(gate)
    await watch.until("down")
    assert b"OK" == await gate.call("SCRIPT", "KILL")
    with pytest.raises(StoreFault, match="killed"):
        await endless
    await gate.run(WRITE, ("count",), ())
    await watch.until("down", "up")


async def test_our_scripts_say_what_they_do(gate: Store, watch: Watch) -> None:
    """On a full server customers are still listed and read; what would change them is refused whole."""
    directory = Directory(gate, wall_clock_s=lambda: 1_767_225_600.0)
    await directory.create_customer(NewCustomer("acme"))
    await gate.call("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StoreUnavailable, match="OOM"):
        await directory.create_customer(NewCustomer("bolt"))
    page = await directory.list_customers(None, 10)
    assert ["acme"] == [customer.id for customer in page.items]
    await watch.until("down")
