"""Blobs that are kept for a while: bounded, expiring, and never in a request's way."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratelimit.memory import memory as module
from ratelimit.memory.memory import Memory
from ratelimit.memory.recent import Recent
from ratelimit.store.address import parse_address
from ratelimit.store.errors import StoreFault
from ratelimit.store.store import Store
from tests.ratelimit.clocks import PATIENT_MS, Clock
from tests.support.valkey import PrivateServer

LONG_S = 10.0


def unexpected(fault: StoreFault) -> None:
    raise AssertionError(fault)


@asynccontextmanager
async def writing(store: Store) -> AsyncIterator[Memory]:
    memory = Memory(store, on_fault=unexpected)
    task = asyncio.get_running_loop().create_task(memory.run())
    try:
        yield memory
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def memory(store: Store) -> AsyncIterator[Memory]:
    async with writing(store) as one:
        yield one


@pytest.fixture
async def other(store: Store) -> AsyncIterator[Memory]:
    """Another gateway's."""
    async with writing(store) as one:
        yield one


async def test_what_is_put_is_found_by_every_gateway(memory: Memory, other: Memory) -> None:
    """By the one that put it at once, by others as soon as it is written; by customer, kind and name."""
    memory.put("acme", "thing", "d1", b"one", ttl_s=60)
    assert b"one" == await memory.get("acme", "thing", "d1")
    assert await memory.emptied(LONG_S)
    assert b"one" == await other.get("acme", "thing", "d1")
    for customer, kind, digest in (
        ("others", "thing", "d1"),
        ("acme", "else", "d1"),
        ("acme", "thing", "d2"),
    ):
        assert await other.get(customer, kind, digest) is None


async def test_the_later_one_of_a_name_is_kept(memory: Memory, other: Memory) -> None:
    """Also when the earlier one had not been written yet."""
    for text in (b"a", b"b", b"c"):
        memory.put("acme", "thing", "d", text, ttl_s=60)
    assert 1 == memory.waiting
    assert await memory.emptied(LONG_S)
    assert b"c" == await other.get("acme", "thing", "d")
    memory.put("acme", "thing", "d", b"d", ttl_s=60)
    assert await memory.emptied(LONG_S)
    assert b"d" == await other.get("acme", "thing", "d")


async def test_expiry(memory: Memory, other: Memory, store: Store) -> None:
    """A blob is gone after its time, and nothing of it is left."""
    memory.put("acme", "thing", "d", b"x", ttl_s=0.05)
    assert await memory.emptied(LONG_S)
    async with asyncio.timeout(LONG_S):
        while await other.get("acme", "thing", "d") is not None:  # noqa: ASYNC110 - the server's clock has no event
            await asyncio.sleep(0.02)
        while any(await keys(store)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def keys(store: Store) -> list[object]:
    found: list[object] = []
    for each in await store.call_all("KEYS", "hg:{acme}:*"):
        assert isinstance(each, list)
        found += each
    return found


async def test_the_one_that_expires_first_makes_room(memory: Memory, other: Memory, store: Store) -> None:
    """A customer's number of blobs is bounded per kind; others' are not touched."""
    memory.put("acme", "else", "kept", b"x", ttl_s=60)
    for number in range(20):
        memory.put("acme", "thing", f"d{number}", b"%d" % number, ttl_s=60 + number, most=5)
        assert await memory.emptied(LONG_S)
    kept = [number for number in range(20) if await other.get("acme", "thing", f"d{number}") is not None]
    assert [15, 16, 17, 18, 19] == kept
    assert b"x" == await other.get("acme", "else", "kept")
    assert 5 + 1 + 2 == len(await keys(store))


@pytest.fixture
def lasting_server() -> Iterator[PrivateServer]:
    """One that is the same store after a restart."""
    with PrivateServer(appendonly=True) as server:
        yield server


async def test_an_outage_is_nothing_remembered(lasting_server: PrivateServer) -> None:
    """Reads say so at once, writes wait, and what waited is there afterwards."""
    store = Store(parse_address(lasting_server.url), timeout_ms=PATIENT_MS)
    await store.open()
    try:
        async with writing(store) as memory:
            lasting_server.kill()
            async with asyncio.timeout(LONG_S):
                while store.available:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert await memory.get("acme", "thing", "old") is None
            memory.put("acme", "thing", "new", b"x", ttl_s=60)
            assert not await memory.emptied(0.3)
            assert b"x" == await memory.get("acme", "thing", "new")
            lasting_server.start()
            assert await memory.emptied(LONG_S)
            assert b"x" == await memory.get("acme", "thing", "new")
    finally:
        await store.close()


async def test_what_waits_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """In number and in bytes; the oldest is given up, and counted."""
    monkeypatch.setattr(module, "WAITING_MAX", 3)
    monkeypatch.setattr(module, "WAITING_MAX_BYTES", 100)
    memory = Memory(store, on_fault=unexpected)  # nobody writes
    for number in range(5):
        memory.put("acme", "thing", f"d{number}", b"x", ttl_s=60)
    assert (3, 2) == (memory.waiting, memory.dropped)
    memory.put("acme", "thing", "large", b"x" * 99, ttl_s=60)
    assert (2, 4) == (memory.waiting, memory.dropped)
    assert b"x" == await memory.get("acme", "thing", "d4")
    assert await memory.get("acme", "thing", "d3") is None


Step = tuple[str, int, int]


@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "get", "wait"]), st.integers(0, 5), st.integers(0, 9)), max_size=60
    )
)
def test_recent_is_what_was_used_last(steps: list[Step]) -> None:
    """Never more than its bound, never older than its time, never another's; the least used one goes."""
    clock = Clock(0.0)
    recent: Recent[int, int] = Recent(most=3, ttl_s=10, clock=clock)
    model: dict[int, tuple[int, float]] = {}
    moves: dict[str, Callable[[int, int], None]] = {}

    def put(key: int, value: int) -> None:
        recent.put(key, value)
        model.pop(key, None)
        if len(model) == 3:
            del model[next(iter(model))]
        model[key] = (value, clock.now + 10)

    def get(key: int, _: int) -> None:
        found = model.pop(key, None)
        expected = None
        if found is not None and found[1] > clock.now:
            expected = found[0]
            model[key] = found
        assert expected == recent.get(key)

    def wait(_: int, seconds: int) -> None:
        clock.now += seconds

    moves = {"put": put, "get": get, "wait": wait}
    for name, key, value in steps:
        moves[name](key, value)
        assert len(model) == len(recent) <= 3
