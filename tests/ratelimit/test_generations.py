"""Records of past requests: found by their customer alone, as many and as long as they may be kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ratelimit.memory import generations as module
from ratelimit.memory.generations import Generations
from ratelimit.store import keys as spelled
from ratelimit.store.address import parse_address
from ratelimit.store.erasing import Erased, erase
from ratelimit.store.errors import StoreFault, StoreUnavailable
from ratelimit.store.store import Store
from tests.ratelimit.clocks import PATIENT_MS, Offset
from tests.support.valkey import PrivateServer

LONG_S = 10.0
DAY_US = 86_400_000_000


def unexpected(fault: StoreFault) -> None:
    raise AssertionError(fault)


@asynccontextmanager
async def writing(store: Store, *, most: int = 1000, kept_days: float = 7.0) -> AsyncIterator[Generations]:
    generations = Generations(store, most=most, kept_days=kept_days, on_fault=unexpected)
    task = asyncio.get_running_loop().create_task(generations.run())
    try:
        yield generations
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def kept(store: Store) -> tuple[int, int]:
    """How many the index lists, and how many owners it knows."""
    listed: Any = await store.call("ZCARD", spelled.GENERATIONS)
    owners: Any = await store.call("HLEN", spelled.GENERATION_OWNERS)
    return listed, owners


async def test_found_at_once_and_by_every_gateway(store: Store) -> None:
    """By the one that put it before it is written, by others afterwards; by the owner alone."""
    async with writing(store) as mine, writing(store) as other:
        mine.put("acme", "req-1", b"one")
        for found in (mine, other):
            assert b"one" == await found.get("acme", "req-1")
            assert await found.get("else", "req-1") is None
            assert await found.get("acme", "req-2") is None
            assert "acme" == await found.owner("req-1")
            assert await found.owner("req-2") is None
            assert await mine.emptied(LONG_S)
    assert (1, 1) == await kept(store)


async def test_no_more_than_may_be_over_all_customers(store: Store) -> None:
    """The oldest go, whoever's they are, and nothing of them stays."""
    async with writing(store, most=100) as generations:
        for number in range(350):
            generations.put(f"customer-{number % 3}", f"req-{number}", b"x")
            if number % 50 == 49:
                assert await generations.emptied(LONG_S)
        assert (100, 100) == await kept(store)
        for number in (0, 249, 250, 349):
            found = await generations.get(f"customer-{number % 3}", f"req-{number}")
            assert (b"x" if number >= 250 else None) == found
    async with writing(store, most=3) as fewer:
        fewer.put("acme", "req-new", b"x")
        assert await fewer.emptied(LONG_S)
        assert (3, 3) == await kept(store)
        assert b"x" == await fewer.get("acme", "req-new")


async def test_no_longer_than_they_may_be(store: Store, offset: Offset) -> None:
    """Gone with the first record that comes after their days; and the store lets them expire by itself."""
    async with writing(store, kept_days=7) as generations:
        generations.put("acme", "req-old", b"x")
        assert await generations.emptied(LONG_S)
        expires_ms: Any = await store.call("PTTL", spelled.generation("acme", "req-old"))
        assert 0 < expires_ms <= 7 * 86_400_000
        offset.us = 6 * DAY_US
        generations.put("acme", "req-later", b"x")
        assert await generations.emptied(LONG_S)
        assert b"x" == await generations.get("acme", "req-old")
        offset.us = 7 * DAY_US + 1_000_000
        generations.put("acme", "req-last", b"x")
        assert await generations.emptied(LONG_S)
        assert await generations.get("acme", "req-old") is None
        assert await generations.owner("req-old") is None
        assert b"x" == await generations.get("acme", "req-later")


@pytest.mark.parametrize("bounds", [{"most": 0}, {"kept_days": 0}])
async def test_none_are_kept(store: Store, bounds: dict[str, int]) -> None:
    """0 of either switches records off."""
    async with writing(store, **bounds) as generations:
        assert not generations.keeps
        generations.put("acme", "req-1", b"x")
        assert 0 == generations.waiting
        assert await generations.get("acme", "req-1") is None


async def test_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has been put waits, within its bounds, and is found; anything else is asked of the store in vain."""
    monkeypatch.setattr(module, "WAITING_MAX", 3)
    with PrivateServer(appendonly=True) as server:
        store = Store(parse_address(server.url), timeout_ms=PATIENT_MS)
        await store.open()
        async with writing(store) as generations:
            server.kill()
            async with asyncio.timeout(LONG_S):
                while store.available:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            for number in range(5):
                generations.put("acme", f"req-{number}", b"x")
            assert (3, 2) == (generations.waiting, generations.dropped)
            assert b"x" == await generations.get("acme", "req-4")
            for asked in (generations.get("acme", "req-0"), generations.owner("req-0")):
                with pytest.raises(StoreUnavailable):
                    await asked
            server.start()
            assert await generations.emptied(LONG_S)
            assert b"x" == await generations.get("acme", "req-2")
            assert (3, 3) == await kept(store)
        await store.close()


@pytest.mark.parametrize("customer", ["acme", "a*e", "[ac]me", "a\\me", "zoë"])
async def test_erasing_a_customer(store: Store, customer: str) -> None:
    """Every key with its tag, written or about to be, and none of another customer's, however it is called."""
    others = ("acmes", "ame", "xacme", "cme", "a-e")
    async with writing(store) as generations:
        for name in (customer, *others):
            await store.call("SET", spelled.use(name), "x", writes=True)
            generations.put(name, f"req-{name}", b"x")
        assert await generations.emptied(LONG_S)
        generations.put(customer, "req-last", b"x")
        generations.forget(customer)
        assert 1 == await generations.unlist(customer)
        assert Erased(2, 0) == await erase(store, customer)
        assert Erased(0, 0) == await erase(store, customer)
        assert await generations.get(customer, "req-last") is None
        assert (len(others), len(others)) == await kept(store)
        for name in others:
            assert b"x" == await generations.get(name, f"req-{name}")
            assert b"x" == await store.call("GET", spelled.use(name))
