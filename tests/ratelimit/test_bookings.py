"""What ran without a hold is counted, in its own windows, once."""

import asyncio

import pytest

from ratelimit.ledger.ledger import Ledger
from ratelimit.ledger.reconcile import reconcile
from ratelimit.limits.bookings import REMEMBERED_S, Batch, Booking, Bookings
from ratelimit.limits.reservations import Reservations
from ratelimit.limits.types import Claim, Row
from ratelimit.store import keys as spelled
from ratelimit.store.store import Store
from tests.ratelimit.accounts import account_of, used
from tests.ratelimit.clocks import Offset

DAY_US = 86_400 * 1_000_000
NAMES = ("c", "k:k")


async def now_us(store: Store) -> int:
    """The server's clock, as scripts read it."""
    claim = Claim("clock", 1, 0, 0, 0)
    asker = account_of("clock")
    decision = await Reservations(store).admit(asker, claim, soft_ratio=1)
    await Reservations(store).settle(asker, "clock", tokens=0, microusd=0, mode="void")
    return decision.admitted_us


@pytest.fixture
def bookings(store: Store) -> Bookings:
    return Bookings(store)


async def test_booked_once(store: Store, bookings: Bookings) -> None:
    """However often and however concurrently a batch is sent, it counts once; so does one that comes too late."""
    admitted_us = await now_us(store)
    first = Batch("acme", "g", 1, (Booking(NAMES, admitted_us, 5, 100), Booking(NAMES, admitted_us, 6, 20)))
    second = Batch("acme", "g", 2, (Booking(NAMES, admitted_us, 1, 3),))
    assert 1 == sum(await asyncio.gather(*(bookings.book(first) for _ in range(20))))
    assert await bookings.book(second)
    assert [False, False] == [await bookings.book(first), await bookings.book(second)]
    assert 123 == await used(store)
    assert 12 == await used(store, "tokens_total")


async def test_each_gateway_counts_for_itself(store: Store, bookings: Bookings) -> None:
    """Equal numbers of two gateways, and of two customers, are different batches."""
    booking = Booking(NAMES, await now_us(store), 1, 10)
    for customer_id, booker in (("acme", "g1"), ("acme", "g2"), ("bolt", "g1")):
        assert await bookings.book(Batch(customer_id, booker, 1, (booking,)))
    assert (20, 10) == (await used(store), await used(store, customer_id="bolt"))


async def test_windows_of_the_admission(store: Store, offset: Offset, bookings: Bookings) -> None:
    """Yesterday's use does not count today, and for ever all the same; a fast clock begins no day early."""
    admitted_us = await now_us(store)
    await bookings.book(Batch("acme", "g", 1, (Booking(NAMES, admitted_us + 5 * DAY_US, 0, 7),)))
    assert 7 == await used(store, "usd_per_day")
    offset.us += DAY_US
    await bookings.book(Batch("acme", "g", 2, (Booking(NAMES, admitted_us, 0, 30),)))
    await bookings.book(Batch("acme", "g", 3, (Booking(NAMES, admitted_us + DAY_US, 0, 1),)))
    assert (1, 38) == (await used(store, "usd_per_day"), await used(store, "usd_total"))


async def test_remembered(store: Store, bookings: Bookings) -> None:
    """A number is known for weeks, and then takes no room."""
    await bookings.book(Batch("acme", "g", 1, (Booking(NAMES, await now_us(store), 0, 7),)))
    left_ms = await store.call("PTTL", spelled.booked("acme", "g"))
    assert isinstance(left_ms, int)
    assert REMEMBERED_S - 60 < left_ms / 1000 <= REMEMBERED_S


async def test_beside_reservations(store: Store, bookings: Bookings) -> None:
    """A customer that gets a limit later is held to what it used before."""
    await bookings.book(Batch("acme", "g", 1, (Booking(NAMES, await now_us(store), 0, 70),)))
    asker = account_of(limits={"usd_total": 0.000_1})
    reservations = Reservations(store)
    assert (await reservations.admit(asker, Claim("a", 1, 0, 30, 0), soft_ratio=1)).allowed
    assert not (await reservations.admit(asker, Claim("b", 1, 0, 1, 0), soft_ratio=1)).allowed


async def test_in_the_ledger(store: Store, bookings: Bookings) -> None:
    """Each booked request has its row and its part in the day's figures, once, and the books add up."""
    admitted_us = await now_us(store)
    rows = [Row(b'["r%d"]' % number, b'["k","m","p/m",[]]', (1, 0, number)) for number in range(3)]
    batch = Batch(
        "acme",
        "g",
        1,
        tuple(Booking(NAMES, admitted_us, 5, 100 + number, rows[number]) for number in range(3)),
    )
    await bookings.book(batch)
    await bookings.book(batch)
    ledger = Ledger(store, rows_kept_days=30)
    entries = await ledger.rows("acme", limit=10)
    assert [row.text for row in rows] == [entry.text for entry in entries]
    assert [(NAMES, 5, 100), (NAMES, 5, 101), (NAMES, 5, 102)] == [
        (entry.scopes, entry.tokens, entry.microusd) for entry in entries
    ]
    (figures,) = await ledger.figures("acme", entries[0].day, entries[0].day)
    assert (3, 0, 3) == figures.figures
    found = await reconcile(store, "acme")
    assert ((), 303, 303) == (found.differences, found.counted.microusd, found.booked.microusd)


async def test_no_rows_are_kept(store: Store) -> None:
    """With a ledger that keeps no rows the sums are kept all the same."""
    bookings = Bookings(store, rows_kept_days=0)
    row = Row(b"[]", b'["k","m","p/m",[]]', (1, 0))
    await bookings.book(Batch("acme", "g", 1, (Booking(NAMES, await now_us(store), 0, 9, row),)))
    found = await reconcile(store, "acme")
    assert ((), 0, 9) == (found.differences, found.rows, found.closed.microusd)
