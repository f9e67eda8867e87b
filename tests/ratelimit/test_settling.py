"""Settlements reach the store, whatever happens to it: nothing lost, nothing doubled, order irrelevant."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from ratelimit.limits import settling
from ratelimit.limits.bookings import Booking, Bookings
from ratelimit.limits.reservations import HOLD_S, Reservations
from ratelimit.limits.settling import Settler, Unsettled
from ratelimit.limits.types import Claim, Settlement
from ratelimit.store import keys as spelled
from ratelimit.store.address import parse_address
from ratelimit.store.store import Store
from tests.ratelimit.accounts import account_of, used
from tests.ratelimit.clocks import PATIENT_MS, Clock, Offset
from tests.ratelimit.telling import Told
from tests.support.valkey import PrivateServer

WAIT_S = 20.0
ACME = account_of(limits={"usd_total": 1000, "in_flight": 1000})
ADMITTED_US = 1_767_225_600_000_000


class Memory:
    """Keeps what is left, as a spill file would."""

    def __init__(self) -> None:
        self.kept: list[Unsettled] = []
        self.done = 0

    def load(self) -> list[Unsettled]:
        return list(self.kept)

    def keep(self, unsettled: Sequence[Unsettled]) -> bool:
        self.kept = list(unsettled)
        return True

    def settled(self) -> None:
        self.done += 1


@pytest.fixture
def told() -> Told:
    return Told()


def settler_on(store: Store, told: Told, clock: Clock | None = None, booker: str = "g") -> Settler:
    return Settler(Reservations(store), Bookings(store), booker=booker, clock=clock or Clock(0.0), told=told)


@pytest.fixture
async def fragile(fragile_server: PrivateServer, offset: Offset) -> AsyncIterator[Store]:
    """A store whose server may be hurt, and that is found out soon."""
    store = Store.for_tests(parse_address(fragile_server.url), timeout_ms=500, offset_us=offset)
    await store.open()
    yield store
    await store.close()


async def held(store: Store, *names: str, microusd: int = 100) -> None:
    for name in names:
        claim = Claim(name, 1, tokens=0, microusd=microusd, minute_tokens=0)
        assert (await Reservations(store).admit(ACME, claim, soft_ratio=1)).allowed


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not holds():  # noqa: ASYNC110 - the settler has no event for it
            await asyncio.sleep(0.01)


def booking(microusd: int) -> Booking:
    return Booking(ACME.names, ADMITTED_US, 0, microusd)


async def test_settled_and_booked(store: Store, told: Told) -> None:
    """Everything that is handed in is in the counters when the settler says that it is done."""
    names = [f"r{number}" for number in range(200)]
    await held(store, *names)
    settler = settler_on(store, told)
    async with settler.running(settle_s=WAIT_S):
        for name in names:
            settler.settle(Settlement(ACME, name, 0, 1))
        for _ in range(300):
            settler.book("acme", booking(10))
            settler.book("bolt", booking(1))
        assert 800 == settler.waiting
        assert await settler.emptied(WAIT_S)
        assert 0 == settler.waiting
        assert (3200, 300) == (await used(store), await used(store, customer_id="bolt"))
    assert ([], []) == (told.faults, told.lost)


async def test_outage(fragile_server: PrivateServer, fragile: Store, told: Told) -> None:
    """What is handed in while the store is away waits, and all of it is counted once when it is back."""
    names = [f"r{number}" for number in range(150)]
    await held(fragile, *names)
    settler = settler_on(fragile, told)
    async with settler.running(settle_s=WAIT_S):
        fragile_server.pause()
        for name in names:
            settler.settle(Settlement(ACME, name, 0, 1))
            settler.book("acme", booking(10))
        await until(lambda: settler.failing("acme"))
        assert not await settler.emptied(0.1)
        assert 300 == settler.waiting
        fragile_server.resume()
        assert await settler.emptied(WAIT_S)
        assert not settler.failing("acme")
        assert 1650 == await used(fragile)


async def test_a_fault_stops_nobody(store: Store, told: Told) -> None:
    """What the store will never take is told by name, and the others are settled."""
    await held(store, "good")
    await store.call("SET", spelled.use("broken"), "no hash")
    await store.call("HSET", spelled.held("broken"), "bad", "no reservation")
    settler = settler_on(store, told)
    async with settler.running(settle_s=WAIT_S):
        settler.settle(Settlement(account_of("broken"), "bad", 0, 1))
        settler.book("broken", booking(1))
        settler.settle(Settlement(ACME, "good", 0, 5))
        settler.book("acme", booking(2))
        assert await settler.emptied(WAIT_S)
        assert 7 == await used(store)
    assert sorted(["bad", "broken/g/1"]) == sorted(told.faults)


async def test_overruns(store: Store, told: Told) -> None:
    """A provider that reports more than was held is charged in full and counted."""
    await held(store, "a", "b")
    settler = settler_on(store, told)
    async with settler.running(settle_s=WAIT_S):
        settler.settle(Settlement(ACME, "a", 0, 101))
        settler.settle(Settlement(ACME, "b", 0, 100))
        assert await settler.emptied(WAIT_S)
    assert 1 == settler.overruns
    assert 201 == await used(store)


class Noting(Reservations):
    """Keeps what it was asked to renew."""

    __slots__ = ("renewed",)

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.renewed: list[list[str]] = []

    async def renew(self, customer_id: str, ids: Sequence[str], *, hold_s: float = HOLD_S) -> list[str]:
        self.renewed.append(list(ids))
        return await super().renew(customer_id, ids, hold_s=hold_s)


async def test_what_is_settled_is_renewed_no_more(store: Store, told: Told) -> None:
    """Only what is under way is asked for, and nothing once all has ended."""
    clock = Clock(1000.0)
    reservations = Noting(store)
    settler = Settler(reservations, Bookings(store), booker="g", clock=clock, told=told)
    for name in ("a", "b"):
        settler.opened(ACME, name)
    settler.settle(Settlement(ACME, "a"))
    clock.now += 2 * settling.RENEWED_EVERY_S
    await settler.renew()
    settler.settle(Settlement(ACME, "b"))
    await settler.renew()
    assert [["b"]] == reservations.renewed


async def test_renewed_while_it_runs(
    store: Store, offset: Offset, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream of two hours keeps its slot, one that is settled is renewed no more."""
    monkeypatch.setattr(settling, "RENEWED_EVERY_S", 0.01)
    clock = Clock(1000.0)
    settler = settler_on(store, told, clock)
    asker = account_of(limits={"in_flight": 2})
    reservations = Reservations(store)
    for name in ("long", "short"):
        assert (await reservations.admit(asker, Claim(name, 1, 0, 0, 0), soft_ratio=1)).allowed
        settler.opened(asker, name)
    due = spelled.due("acme")

    async def due_us(name: str) -> int:
        score = await store.call("ZSCORE", due, name)
        return int(float(score)) if isinstance(score, bytes) else 0

    async with settler.running(settle_s=WAIT_S):
        settler.settle(Settlement(asker, "short"))
        assert await settler.emptied(WAIT_S)
        before_us = await due_us("long")
        for _ in range(2 * 3600 // 20):
            clock.now += 20
            offset.us += 20_000_000
            async with asyncio.timeout(WAIT_S):
                while await due_us("long") <= before_us:  # noqa: ASYNC110 - the settler has no event for it
                    await asyncio.sleep(0.002)
            before_us = await due_us("long")
        assert 0 == await due_us("short")
        other = Claim("other", 1, 0, 0, 0)
        assert (await reservations.admit(asker, other, soft_ratio=1)).allowed
        third = Claim("third", 1, 0, 0, 0)
        assert not (await reservations.admit(asker, third, soft_ratio=1)).allowed
    assert 2 * 3600 > HOLD_S


async def test_full(
    fragile_server: PrivateServer, fragile: Store, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When too much waits nobody is let in any more, so that nothing has to be dropped."""
    monkeypatch.setattr(settling, "WAITING_MAX", 3)
    fragile_server.pause()
    settler = settler_on(fragile, told)
    memory = Memory()
    async with settler.running(settle_s=0.1, keeper=memory):
        settler.book("acme", booking(1))
        settler.settle(Settlement(ACME, "a"))
        before = settler.full
        settler.book("bolt", booking(1))
        assert (False, True) == (before, settler.full)
    fragile_server.resume()
    assert 3 == len(memory.kept)


async def test_kept_and_taken_up(
    fragile_server: PrivateServer, fragile: Store, offset: Offset, told: Told
) -> None:
    """What the store has not taken by the end is settled by the next process, once, though part of it was booked."""
    memory = Memory()
    await held(fragile, "a", "b")
    settler = settler_on(fragile, told, booker="first")
    async with settler.running(settle_s=0.2, keeper=memory):
        settler.book("acme", booking(1000))
        assert await settler.emptied(WAIT_S)
        fragile_server.pause()
        # On its way when the server hangs: it is booked when the server wakes, and nobody here hears of it.
        settler.book("acme", booking(10))
        settler.settle(Settlement(ACME, "a", 0, 1))
        await until(lambda: settler.failing("acme"))
        settler.book("acme", booking(20))
        settler.settle(Settlement(ACME, "b", 0, 2))
        settler.settle(Settlement(account_of("bolt"), "never-held", mode="void", uncertain=True))
    fragile_server.resume()
    assert [] == told.lost
    assert 5 == len(memory.kept)
    for booker in (
        "second",
        "third",
    ):  # the third as if the second had died before it could say that it was done
        store = Store.for_tests(parse_address(fragile_server.url), timeout_ms=PATIENT_MS, offset_us=offset)
        await store.open()
        again = settler_on(store, told, booker=booker)
        async with again.running(settle_s=WAIT_S, keeper=memory):
            assert 5 == again.waiting
            assert await again.emptied(WAIT_S)
            assert memory.done
        assert 1033 == await used(store)
        await store.close()


async def test_settled_late(store: Store, offset: Offset, told: Told) -> None:
    """One that was taken for lost before the next process settled it is charged what it used, not what was held."""
    memory = Memory()
    await held(store, "late", microusd=500)
    memory.keep([Settlement(ACME, "late", 0, 3)])
    offset.us += int(HOLD_S * 2_000_000)
    assert 500 == await used(store)
    settler = settler_on(store, told)
    async with settler.running(settle_s=WAIT_S, keeper=memory):
        assert await settler.emptied(WAIT_S)
    assert 3 == await used(store)


async def test_kept_nowhere(fragile_server: PrivateServer, fragile: Store, told: Told) -> None:
    """Without a place to keep them, what is lost is said."""
    fragile_server.pause()
    settler = settler_on(fragile, told)
    async with settler.running(settle_s=0.1):
        settler.book("acme", booking(1))
        settler.settle(Settlement(ACME, "a"))
    fragile_server.resume()
    assert [2] == told.lost
