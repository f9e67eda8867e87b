"""Reserve, then settle: limits that hold, whatever happens to those who reserved."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from ratelimit.limits.reservations import Settled
from ratelimit.limits.types import HARD, LIMITS, Window
from ratelimit.store.address import parse_address
from ratelimit.store.errors import StoreUnavailable
from ratelimit.store.store import Store
from tests.ratelimit.clocks import PATIENT_MS, Offset
from tests.ratelimit.gates import SECOND_US, Gate, of
from tests.support.valkey import PrivateServer

DAY_US = 86_400 * SECOND_US
NAMES: tuple[str, ...] = LIMITS
EMPTY = dict.fromkeys(NAMES, 0.0)
EACH_ONE = dict.fromkeys(NAMES, 5.0)
EACH_ONE |= {limit: 500.0 for limit in NAMES if "tokens" in limit}
EACH_ONE |= {limit: 0.000_05 for limit in NAMES if "usd" in limit}


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("whose", ["customer", "key", "model"])
async def test_racers(gate: Gate, limit: str, whose: str) -> None:
    """A hundred at once at a limit for five: exactly five pass, whichever limit it is and whoever has it."""
    asker = of(**{"model": {}, whose: {limit: EACH_ONE[limit]}})
    decisions = await asyncio.gather(*(gate.admit(asker) for _ in range(100)))
    assert 5 == sum(decision.allowed for decision in decisions)
    assert {(whose, limit)} == {
        (decision.refusal.scope, decision.refusal.limit) for decision in decisions if decision.refusal
    }


async def test_all_or_nothing(gate: Gate) -> None:
    """What one limit refuses is counted by none of the others."""
    tight, wide = of({"usd_total": 0.000_01, "requests_per_minute": 5, "in_flight": 2}), of()
    assert (await gate.admit(tight)).allowed
    for _ in range(20):
        assert not (await gate.admit(tight)).allowed
    await gate.settle(wide, "r1", microusd=0)
    decision = await gate.admit(tight)
    assert decision.allowed
    assert decision.requests is not None
    assert 3 == decision.requests.remaining


async def test_repeated(gate: Gate) -> None:
    """The same call again takes nothing more; an extension takes its own part, and no further request or slot."""
    asker = of({"usd_total": 0.000_03, "requests_per_minute": 5, "in_flight": 1})
    for _ in range(3):
        decision = await gate.admit(asker, reservation_id="x")
        assert decision.allowed
        assert decision.requests is not None
        assert 4 == decision.requests.remaining
    for _ in range(3):
        assert (await gate.admit(asker, reservation_id="x", step=2, microusd=20)).allowed
    refused = await gate.admit(asker, reservation_id="x", step=3, microusd=1)
    assert refused.refusal is not None
    assert ("usd_total", 30, None) == (
        refused.refusal.limit,
        refused.refusal.used,
        refused.refusal.reset_after_s,
    )


async def test_extended(gate: Gate) -> None:
    """What an extension takes is held beside the first part, and both come back with one settlement."""
    asker = of({"usd_total": 0.000_1, "tokens_per_minute": 10_000})
    await gate.admit(asker, reservation_id="x")
    assert (await gate.admit(asker, reservation_id="x", step=2, tokens=300, microusd=20)).allowed
    look = await gate.look(asker)
    assert (1, 400, 30) == (look.in_flight, look.total.held_tokens, look.total.held_microusd)
    assert Settled(now=True, over=False) == await gate.settle(asker, "x", tokens=350, microusd=25)
    look = await gate.look(asker)
    assert (0, Window(350, 25, 0, 0, None)) == (look.in_flight, look.total)


async def test_settled_once(gate: Gate) -> None:
    """What is settled is charged and written once; what was held beyond it is free again."""
    asker = of({"usd_total": 0.000_02})
    await gate.admit(asker, reservation_id="x", microusd=20)
    assert Settled(now=True, over=False) == await gate.settle(asker, "x", microusd=10)
    for mode in ("held", "void"):
        assert not (await gate.settle(asker, "x", microusd=10, mode=mode)).now
    assert 1 == await gate.rows()
    assert (await gate.admit(asker)).allowed
    assert not (await gate.admit(asker)).allowed


async def test_more_than_held(gate: Gate) -> None:
    """A provider that reports more than was held is charged in full, and it is said."""
    asker = of({"usd_total": 0.000_1})
    await gate.admit(asker, reservation_id="x", microusd=20)
    assert Settled(now=True, over=True) == await gate.settle(asker, "x", microusd=95)
    refused = (await gate.admit(asker)).refusal
    assert refused is not None
    assert 95 == refused.used


async def test_void(gate: Gate) -> None:
    """A request that never ran gives everything back, and one that comes late is told that it is over."""
    asker = of({limit: EACH_ONE[limit] for limit in LIMITS})
    for number in range(20):
        assert (await gate.admit(asker, reservation_id=f"x{number}")).allowed
        await gate.settle(asker, f"x{number}", mode="void")
    assert 0 == await gate.rows()
    await gate.settle(asker, "late", mode="void")
    late = await gate.admit(asker, reservation_id="late")
    assert (False, None) == (late.allowed, late.refusal)


async def test_unheld(gate: Gate) -> None:
    """What ran while the store was away is booked once, and counts against the limits."""
    asker = of({"usd_per_day": 0.000_1})
    decision = await gate.admit(asker, microusd=0)
    for _ in range(3):
        await gate.settle(asker, "away", microusd=95, mode="unheld", admitted_us=decision.admitted_us)
    refusal = (await gate.admit(asker)).refusal
    assert refusal is not None
    assert (1, 95) == (await gate.rows(), refusal.used)


@pytest.mark.parametrize(
    ("year", "month", "days"), [(2028, 2, 29), (2027, 2, 28), (2026, 12, 31), (2027, 4, 30), (2100, 2, 28)]
)
async def test_windows(gate: Gate, year: int, month: int, days: int) -> None:
    """Days and months are the calendar's, of UTC; money counts where its request was admitted."""
    first = datetime(year, month, 1, 12, tzinfo=UTC)
    now = (await gate.admit(of(), tokens=0, microusd=0)).admitted_us
    gate.offset.us += int(first.timestamp() * SECOND_US) - now
    asker = of({"usd_per_month": 0.000_02})
    daily = of(key={"usd_per_day": 0.000_01})
    assert (await gate.admit(asker, reservation_id="first")).allowed
    gate.offset.us += (days - 1) * DAY_US
    await gate.reservations.renew("acme", ["first"])
    assert (await gate.admit(daily, reservation_id="last")).allowed
    refused = (await gate.admit(asker)).refusal
    assert refused is not None
    assert refused.reset_after_s == pytest.approx(12 * 3600, abs=5)
    assert ("usd_per_month", 20) == (refused.limit, refused.used)
    ends = first.replace(day=1, hour=0) + timedelta(days=days)
    assert 1 == ends.day
    gate.offset.us += DAY_US // 2 - 10 * SECOND_US
    await gate.reservations.renew("acme", ["first", "last"])
    assert not (await gate.admit(daily)).allowed
    gate.offset.us += 15 * SECOND_US
    # Settled in the new month, both are of the old one.
    await gate.settle(asker, "first")
    await gate.settle(daily, "last")
    look = await gate.look(asker)
    assert [(0, 0, 0, 0)] * 2 == [each[:4] for each in (look.day, look.month)]
    assert Window(200, 20, 0, 0, None) == look.total
    assert (await gate.admit(daily)).allowed
    assert (await gate.admit(asker)).allowed


@pytest.mark.parametrize(("limit", "days"), [("usd_per_day", 1), ("usd_per_month", 31)])
async def test_settled_in_a_later_window(gate: Gate, limit: str, days: int) -> None:
    """What counts for a window that is over takes nothing off what was spent since."""
    asker = of({limit: 0.000_01})
    assert (await gate.admit(asker, reservation_id="old")).allowed
    gate.pass_s(days * 86_400)
    await gate.reservations.renew("acme", ["old"])
    assert (await gate.admit(asker, reservation_id="new")).allowed
    await gate.settle(asker, "new")
    assert (await gate.settle(asker, "old", microusd=7)).now
    refusal = (await gate.admit(asker)).refusal
    assert refusal is not None
    assert (limit, 10) == (refusal.limit, refusal.used)


@pytest.mark.parametrize("limit", ["usd_per_day", "usd_per_month"])
async def test_a_clock_that_went_back(gate: Gate, limit: str) -> None:
    """After a failover another server's clock may be behind: what was spent of the later window stays spent."""
    asker = of({limit: 0.000_01})
    assert (await gate.admit(asker, reservation_id="x")).allowed
    await gate.settle(asker, "x")
    gate.pass_s(-40 * 86_400)
    refusal = (await gate.admit(asker)).refusal
    assert refusal is not None
    assert (limit, 10) == (refusal.limit, refusal.used)
    gate.pass_s(40 * 86_400)
    assert not (await gate.admit(asker)).allowed


@pytest.mark.parametrize("limit", HARD)
@pytest.mark.parametrize("whose", ["customer", "key"])
async def test_a_limit_of_nothing(gate: Gate, limit: str, whose: str) -> None:
    """It lets nothing pass, not even what costs nothing."""
    refusal = (await gate.admit(of(**{whose: {limit: 0.0}}), tokens=0, microusd=0)).refusal
    assert refusal is not None
    assert (whose, limit) == (refusal.scope, refusal.limit)


async def test_limits_change(gate: Gate) -> None:
    """A lowered limit holds at once, a raised one gives the difference at once."""
    for _ in range(3):
        assert (await gate.admit(of({"usd_total": 0.000_03}))).allowed
    assert not (await gate.admit(of({"usd_total": 0.000_01}))).allowed
    assert (await gate.admit(of({"usd_total": 0.000_04}))).allowed
    refused = (await gate.admit(of(EMPTY))).refusal
    assert refused is not None
    assert refused.retry_after_s is None


async def test_soft(gate: Gate) -> None:
    """The window nearest to its limit is named once it is above the soft ratio."""
    asker = of({"usd_per_month": 0.000_1}, {"tokens_total": 10_000})
    for _ in range(7):
        assert (await gate.admit(asker)).soft is None
    soft = (await gate.admit(asker)).soft
    assert soft is not None
    assert ("customer", "usd_per_month", 80) == (soft.scope, soft.limit, soft.used)
    assert soft.maximum == pytest.approx(100)


async def test_margins(gate: Gate) -> None:
    """Of tokens and of dollars the window that reaches the ratio first, by what is spent; a hold is no spending."""
    asker = of({"usd_per_day": 0.000_1, "usd_total": 0.000_2}, {"tokens_total": 1000})
    await gate.admit(asker, reservation_id="x", tokens=900, microusd=90)
    held = (await gate.admit(asker, tokens=0, microusd=0)).margins
    assert [("key", False, 800), ("customer", True, 80)] == [
        (each.scope.kind, each.dollars, each.left) for each in held
    ]
    assert held[0].ends_after_s is None
    assert held[1].ends_after_s is not None
    assert 0 < held[1].ends_after_s <= 86_400
    await gate.settle(asker, "x", tokens=900, microusd=79)
    spent = (await gate.admit(asker, tokens=0, microusd=0)).margins
    assert [-100, 1] == [each.left for each in spent]
    refused = await gate.admit(asker, tokens=0, microusd=22)
    assert not refused.allowed
    assert spent[0] == refused.margins[0]
    # A day later the other window comes first.
    gate.pass_s(86_400)
    assert [-100, 80] == [each.left for each in (await gate.admit(asker, tokens=0, microusd=0)).margins]
    assert () == (await gate.admit(of({"requests_per_minute": 5}))).margins


async def test_full_server(fragile_server: PrivateServer, offset: Offset) -> None:
    """A server out of memory lets nobody in, and still takes settlements and renewals."""
    store = Store.for_tests(parse_address(fragile_server.url), timeout_ms=PATIENT_MS, offset_us=offset)
    await store.open()
    gate = Gate(store, offset)
    asker = of({"usd_total": 0.000_02})
    assert (await gate.admit(asker, reservation_id="x")).allowed
    await store.call("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StoreUnavailable, match="OOM"):
        await gate.admit(asker)
    assert [] == await gate.reservations.renew("acme", ["x"])
    assert (await gate.settle(asker, "x", microusd=10)).now
    await store.call("CONFIG", "SET", "maxmemory", "0")
    assert (await gate.admit(asker)).allowed
    await store.close()


async def test_refused_after_a_first_step(gate: Gate) -> None:
    """What the first step used is spent, the request is given back, and the second may not come late."""
    asker = of({"requests_per_minute": 2, "usd_total": 0.000_02, "in_flight": 1})
    assert (await gate.admit(asker, reservation_id="x", microusd=5)).allowed
    second = await gate.admit(asker, reservation_id="x", step=2, microusd=16)
    assert second.refusal is not None
    assert "usd_total" == second.refusal.limit
    assert Settled(now=True, over=False) == await gate.settle(
        asker, "x", tokens=18, microusd=3, mode="unserved"
    )
    assert Settled(now=False, over=False) == await gate.settle(
        asker, "x", tokens=18, microusd=3, mode="unserved"
    )
    late = await gate.admit(asker, reservation_id="x", step=2, microusd=1)
    assert not late.allowed
    assert late.refusal is None
    next_one = await gate.admit(asker, microusd=17)
    assert next_one.allowed
    assert next_one.requests is not None
    assert 1 == next_one.requests.remaining
    full = await gate.admit(asker, microusd=1)
    assert full.refusal is not None


async def test_dollars_are_rounded_down(gate: Gate) -> None:
    """A limit is whole micro-dollars, and never more than was given."""
    asker = of({"usd_total": 0.000_001_9})
    assert not (await gate.admit(asker, microusd=2)).allowed
    assert (await gate.admit(asker, microusd=1)).allowed
