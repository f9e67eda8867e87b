"""The ledger: rows, what becomes of old ones, figures per day, and whether it all adds up."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from ratelimit.ledger import reconcile as reconciling
from ratelimit.ledger.keeping import Keeper
from ratelimit.ledger.ledger import Ledger
from ratelimit.ledger.reconcile import month_of, reconcile
from ratelimit.ledger.types import LostSums, Reconciliation, Released, Sums
from ratelimit.limits.lost import Lost
from ratelimit.limits.reservations import FIGURES_KEPT_DAYS, HOLD_S, Reservations
from ratelimit.limits.types import NO_ROW, Account, Claim, Mode, Row, Scope, account
from ratelimit.store import keys as spelled
from ratelimit.store.erasing import erase
from ratelimit.store.errors import StoreFault
from ratelimit.store.store import Store
from tests.ratelimit.clocks import Offset
from tests.ratelimit.watching import names_in

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
GROUP = b'["k","m","b",["t"]]'
ABOUT = '["\u00e9 \\"quoted\\"",null]'.encode()
ASKER = account("acme", (Scope("customer", "acme", {"usd_total": 1}), Scope("key", "k", {})))


class Books:
    """Requests of 30 tokens for 5 micro-dollars; rows are kept for `days`."""

    def __init__(self, store: Store, offset: Offset, days: int = 2) -> None:
        self.store = store
        self.offset = offset
        self.number = 0
        self.keep(days)

    def keep(self, days: int) -> None:
        self.reservations = Reservations(self.store, rows_kept_days=days)
        self.lost = Lost(self.store, rows_kept_days=days)
        self.ledger = Ledger(self.store, rows_kept_days=days)

    async def set_clock(self, at: datetime) -> None:
        now = (await self.reservations.look(ASKER))[0].at_us
        self.offset.us += int(at.timestamp() * SECOND_US) - now

    async def run(self, asker: Account = ASKER, *, row: Row | None = None) -> str:
        """A whole request; its id."""
        name = await self.hold(asker)
        await self.settle(name, asker, row=row)
        return name

    async def hold(self, asker: Account = ASKER) -> str:
        self.number += 1
        name = f"r{self.number}"
        claim = Claim(name, 1, tokens=100, microusd=50, minute_tokens=100, about=ABOUT)
        assert (await self.reservations.admit(asker, claim, soft_ratio=0.8)).allowed
        return name

    async def settle(
        self, name: str, asker: Account = ASKER, *, mode: Mode = "held", row: Row | None = None, **more: Any
    ) -> bool:
        made = Row(orjson.dumps([name]), GROUP, (1, 30)) if row is None else row
        done = await self.reservations.settle(asker, name, tokens=30, microusd=5, row=made, mode=mode, **more)
        return done.now

    async def ids(self) -> list[str]:
        return [orjson.loads(each.text)[0] for each in await self.ledger.rows("acme", limit=1000)]

    async def check(self, *, rows: int, closed: int, lost: int = 0) -> Reconciliation:
        """That everything adds up; `rows`, `closed` and `lost` are requests."""
        books = await reconcile(self.store, "acme")
        assert () == books.differences
        assert (rows, Sums(30 * closed, 5 * closed), Sums(100 * lost, 50 * lost)) == (
            books.rows,
            books.closed,
            books.lost,
        )
        assert Sums(30 * (rows + closed) + 100 * lost, 5 * (rows + closed) + 50 * lost) == books.counted
        return books


@pytest.fixture
def books(store: Store, offset: Offset) -> Books:
    return Books(store, offset)


async def test_rows(books: Books) -> None:
    """Each settled request is one row: in order, with its scopes, its day and what it was booked at."""
    await books.set_clock(datetime(2027, 2, 28, 23, 59, 59, 900_000, tzinfo=UTC))
    names = [await books.run(), await books.run()]
    books.offset.us += DAY_US // 2
    names.append(await books.run())
    entries = await books.ledger.rows("acme", limit=10)
    assert names == [orjson.loads(each.text)[0] for each in entries]
    first, _, last = entries
    assert (("c", "k:k"), 30, 5, None) == (first.scopes, first.tokens, first.microusd, first.released)
    assert [20_877, 20_877, 20_878] == [each.day for each in entries]
    assert last.settled_ms - first.settled_ms == pytest.approx(43_200_000, abs=60_000)
    await books.check(rows=3, closed=0)


@pytest.mark.parametrize("size", [1, 2, 3, 10])
async def test_pages(books: Books, size: int) -> None:
    """Pages join without a gap or a repeat, while further rows come and old ones go."""
    names = [await books.run() for _ in range(7)]
    found: list[str] = []
    after: str | None = None
    while page := await books.ledger.rows("acme", after=after, limit=size):
        found += [orjson.loads(each.text)[0] for each in page]
        after = page[-1].id
        if len(found) < 7:
            names.append(await books.run())
    assert names == found
    assert after is not None
    books.offset.us += 5 * DAY_US
    last = await books.run()
    assert [last] == [
        orjson.loads(each.text)[0] for each in await books.ledger.rows("acme", after=after, limit=9)
    ]


async def test_spans(books: Books) -> None:
    """From a moment on, itself included, and before another."""
    spans: list[tuple[dict[str, Any], list[str]]]
    await books.run()
    books.offset.us += 10 * SECOND_US
    name = await books.run()
    last = (await books.ledger.rows("acme", limit=10))[1]
    spans = [
        ({"since_ms": last.settled_ms}, [name]),
        ({"until_ms": last.settled_ms}, ["r1"]),
        ({"since_ms": last.settled_ms + 1}, []),
        ({"since_ms": last.settled_ms - 9_000, "until_ms": last.settled_ms + 1}, [name]),
    ]
    for span, expected in spans:
        entries = await books.ledger.rows("acme", limit=10, **span)
        assert expected == [orjson.loads(each.text)[0] for each in entries], span


async def test_kept_to_the_end_of_their_time(books: Books) -> None:
    """A row goes when it is as old as rows are kept, not before; its sums stay, scope by scope."""
    other = account("acme", (Scope("customer", "acme", {}), Scope("key", "k2", {})))
    await books.run()
    await books.run(other)
    books.offset.us += 2 * DAY_US - 60 * SECOND_US
    assert 0 == await books.ledger.trim("acme")
    await books.check(rows=2, closed=0)
    books.offset.us += 60 * SECOND_US
    assert 2 == await books.ledger.trim("acme")
    await books.check(rows=0, closed=2)


async def test_a_settlement_takes_old_rows_with_it(books: Books) -> None:
    """More than it brings, so that what piled up goes."""
    for _ in range(10):
        await books.run()
    books.offset.us += 3 * DAY_US
    for left in (7, 4, 3):
        await books.run()
        assert left == len(await books.ids())
    await books.check(rows=3, closed=10)


@pytest.mark.parametrize(
    ("midnight", "day_left", "month_left"),
    [
        (datetime(2027, 3, 1, tzinfo=UTC), True, True),
        (datetime(2027, 3, 2, tzinfo=UTC), True, False),
    ],
)
async def test_trimming_at_the_border_of_a_day(
    books: Books, midnight: datetime, *, day_left: bool, month_left: bool
) -> None:
    """Rows of yesterday that are closed leave today's window comparable; this month's no longer, unless it began."""
    books.keep(1)
    await books.set_clock(midnight)
    books.offset.us -= SECOND_US
    await books.run()
    books.offset.us += DAY_US - 5 * SECOND_US
    await books.run()
    books.offset.us += 10 * SECOND_US
    await books.run()
    assert 2 == len(await books.ids())
    found = await books.check(rows=2, closed=1)
    assert (day_left, month_left) == ("day" not in found.beyond, "month" not in found.beyond)


async def test_no_rows_at_all(books: Books) -> None:
    """With nothing kept closing balances alone hold the sums; what there was before goes, too."""
    await books.run()
    books.keep(0)
    books.offset.us += SECOND_US
    await books.run()
    await books.run(row=NO_ROW)
    assert [] == await books.ids()
    found = await books.check(rows=0, closed=3)
    assert ("day", "month") == found.beyond


async def test_once(books: Books) -> None:
    """Settled again, whatever the manner, a request has one row; one that never ran has none."""
    name = await books.hold()
    assert [True, False, False] == [await books.settle(name) for _ in range(3)]
    assert [True, False] == [
        await books.settle("away", mode="unheld", admitted_us=books.offset.us + 1) for _ in range(2)
    ]
    void = await books.hold()
    assert await books.settle(void, mode="void")
    assert [name, "away"] == await books.ids()
    (figures,) = await books.ledger.figures("acme", await today(books), await today(books))
    assert (GROUP, (1, 30)) == (figures.group, figures.figures)


async def today(books: Books) -> int:
    return (await books.reservations.look(ASKER))[0].at_us // DAY_US


async def test_lost_until_released(books: Books) -> None:
    """Lost money has no row until it is given back; a row says so, and what its gateway says later counts."""
    await books.run()
    lost = [await books.hold() for _ in range(3)]
    books.offset.us += int(HOLD_S + 1) * SECOND_US
    assert lost == [each.reservation_id for each in await books.lost.listed("acme")]
    await books.check(rows=1, closed=0, lost=3)
    (done,) = await books.lost.release("acme", [lost[0]])
    assert (lost[0], 100, 50, ("c", "k:k"), ABOUT) == (
        done.reservation_id,
        done.tokens,
        done.microusd,
        done.scopes,
        done.about,
    )
    entry = (await books.ledger.rows("acme", limit=10))[-1]
    assert Released(lost[0], 100, 50, done.admitted_us, ABOUT) == entry.released
    assert (LostSums(ABOUT, 2, Sums(200, 100)),) == (await reconcile(books.store, "acme")).lost_by
    assert (b"", 0, 0) == (entry.text, entry.tokens, entry.microusd)
    assert [lost[0]] == await books.reservations.renew("acme", [lost[0]])
    assert [True, False] == [await books.settle(lost[0], admitted_us=done.admitted_us) for _ in range(2)]
    late = await books.settle(lost[1])
    assert late
    found = await reconcile(books.store, "acme")
    assert (4, (), Sums(190, 65)) == (found.rows, found.differences, found.counted)
    assert 1 == len(await books.lost.release("acme"))
    assert () == (await reconcile(books.store, "acme")).differences
    assert Sums() == (await reconcile(books.store, "acme")).lost


async def test_released_by_age(books: Books) -> None:
    """Only those that were admitted before a moment."""
    old = await books.hold()
    books.offset.us += 3600 * SECOND_US
    await books.hold()
    books.offset.us += 60 * SECOND_US
    now_us = (await books.reservations.look(ASKER))[0].at_us
    released = await books.lost.release("acme", before_us=now_us - 600 * SECOND_US)
    assert [old] == [each.reservation_id for each in released]
    assert 1 == len(await books.lost.listed("acme"))


async def test_many_released(books: Books) -> None:
    """More than one script takes at once, by id and all of them."""
    names = [await books.hold() for _ in range(250)]
    books.offset.us += int(HOLD_S + 1) * SECOND_US
    for _ in range(3):
        await books.lost.listed("acme")
    assert 120 == len(await books.lost.release("acme", names[:120]))
    assert 130 == len(await books.lost.release("acme"))
    await reconcile(books.store, "acme")
    assert () == await books.lost.listed("acme")


async def test_a_clock_that_goes_back(books: Books) -> None:
    """Rows stay in order of settlement, and none is refused."""
    names = [await books.run()]
    books.offset.us -= 3600 * SECOND_US
    names += [await books.run(), await books.run()]
    assert names == await books.ids()
    await books.check(rows=3, closed=0)


async def test_more_rows_than_a_page(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read in portions of any size the books are the same, those of two rounds as well."""
    for _ in range(6):
        await books.run()
    for size in (1, 2, 3, 6, 7):
        monkeypatch.setattr(reconciling, "ROWS_AT_ONCE", size)
        await books.check(rows=6, closed=0)


async def test_trimmed_while_it_is_read(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests go on and rows go while the books are read: what is compared is one moment all the same."""
    for _ in range(8):
        await books.run()
    books.offset.us += 2 * DAY_US - 30 * SECOND_US
    for _ in range(3):
        await books.run()
    monkeypatch.setattr(reconciling, "ROWS_AT_ONCE", 2)
    rounds = 0
    run = books.store.run

    async def meanwhile(script: Any, *more: Any) -> object:
        nonlocal rounds
        reply = await run(script, *more)
        if script.name == "older" and rounds < 40:
            rounds += 1
            await run_one()
        return reply

    async def run_one() -> None:
        books.offset.us += 10 * SECOND_US
        with monkeypatch.context() as patch:
            patch.setattr(Store, "run", original)
            await books.run()

    original = Store.run
    monkeypatch.setattr(Store, "run", lambda _, script, *more: meanwhile(script, *more))
    found = await reconcile(books.store, "acme")
    assert () == found.differences
    assert rounds > 0
    assert found.closed.tokens > 0
    assert found.closed.tokens + found.booked.tokens == found.counted.tokens


async def test_what_is_missing_is_found(books: Books) -> None:
    """A counter that somebody changed, or a row that somebody took, is a difference of its scope."""
    await books.run()
    rows: Any = await books.store.call("XRANGE", spelled.ledger("acme"), "-", "+")
    await books.store.call("XDEL", spelled.ledger("acme"), rows[0][0])
    found = await reconcile(books.store, "acme")
    assert {(scope, span) for scope in ("c", "k:k") for span in ("total", "day", "month")} == {
        (each.scope, each.span) for each in found.differences
    }
    assert {(Sums(30, 5), Sums())} == {(each.counted, each.booked) for each in found.differences}


async def test_figures(books: Books) -> None:
    """Sums by group, for the day of admission, whatever day they were settled; they expire."""
    await books.set_clock(datetime(2027, 5, 1, 23, 59, 50, tzinfo=UTC))
    name = await books.hold()
    books.offset.us += 15 * SECOND_US
    await books.settle(name, row=Row(b"[]", GROUP, (1, 30, 5)))
    for figures in ((1, 7, 0), (1, 1, 1)):
        await books.run(row=Row(b"[]", GROUP, figures))
    await books.run(row=Row(b"[]", b'["k","m","b",[]]', (1, 2, 3)))
    day = await today(books)
    assert [(GROUP, (1, 30, 5))] == [
        each[1:] for each in await books.ledger.figures("acme", day - 1, day - 1)
    ]
    found = {each.group: each.figures for each in await books.ledger.figures("acme", day, day)}
    assert {GROUP: (2, 8, 1), b'["k","m","b",[]]': (1, 2, 3)} == found
    kept_s: Any = await books.store.call("TTL", f"{spelled.figures('acme')}{day}")
    assert FIGURES_KEPT_DAYS * 86_400 == pytest.approx(kept_s, abs=60)


async def test_figures_of_many_days(books: Books) -> None:
    """All days of a long span, and none beside it, however many groups each has."""
    await books.set_clock(datetime(2027, 5, 1, 12, tzinfo=UTC))
    first = await today(books)
    for days in (0, 1, 69, 61, 1):
        books.offset.us += days * DAY_US
        for number in range(300):
            group = orjson.dumps(["k", "m", "b", [f"{number}"]])
            await books.run(row=Row(b"[]", group, (1, days)))
    asked = await books.ledger.figures("acme", first + 1, first + 131)
    assert [day for day in (first + 1, first + 70, first + 131) for _ in range(300)] == [
        each.day for each in asked
    ]
    assert [(1, days) for days in (1, 69, 61) for _ in range(300)] == [each.figures for each in asked]
    assert 300 == len({each.group for each in asked})
    assert [] == await books.ledger.figures("acme", first + 2, first + 69)


async def test_too_many_groups(books: Books) -> None:
    """A day with more groups than are kept tells tags apart no more; nothing is missing from its sums."""
    day = await today(books)
    name = f"{spelled.figures('acme')}{day}"
    await books.run(row=Row(b"[]", GROUP, (1, 1)))
    (known,) = await books.ledger.figures("acme", day, day)
    packed: Any = await books.store.call("HGET", name, known.group)
    for start in range(0, 1_999, 500):
        numbers = range(start, min(start + 500, 1_999))
        await books.store.call(
            "HSET", name, *(word for n in numbers for word in (f'["k","m","b",["{n}"]]', packed))
        )
    for tag in ("new", "newer", "t"):
        await books.run(row=Row(b"[]", orjson.dumps(["k", "m/x", "b", [tag]]), (1, 1)))
    await books.run(row=Row(b"[]", GROUP, (1, 1)))
    found = {
        tuple(map(str, orjson.loads(each.group))): each.figures
        for each in await books.ledger.figures("acme", day, day)
    }
    assert 2_001 == len(found)
    assert (3, 3) == found["k", "m/x", "b", "None"]
    assert (2, 2) == found["k", "m", "b", "['t']"]


async def test_erased(books: Books) -> None:
    """Nothing of a customer is left, and others keep theirs."""
    other = account("bolt", (Scope("customer", "bolt", {}),))
    await books.run(other)
    before = sorted(await names_in(books.store))
    await books.run()
    await books.hold()
    assert (await erase(books.store, "acme")).under_way == 1
    assert before == sorted(await names_in(books.store))


class Known:
    """Customers, in pages of two."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.deleted: list[str] = []
        self.forgotten = False

    async def ids(self, after: str | None) -> list[str]:
        return [name for name in self.names if after is None or name > after][:2]

    async def deleted_before(self, before_s: float) -> list[str]:
        assert before_s == 1_000_000_000 - FIGURES_KEPT_DAYS * 86_400
        return self.deleted

    async def forget_deleted(self, before_s: float) -> None:
        assert before_s == 1_000_000_000 - FIGURES_KEPT_DAYS * 86_400
        self.forgotten = True


async def test_idle_customers(books: Books) -> None:
    """Once an hour, on one gateway, rows of those who ask nothing any more are closed, and the long deleted go."""
    known = Known("acme", "bolt", "cord")
    for name in known.names:
        await books.run(account(name, (Scope("customer", name, {}),)))
    books.offset.us += 3 * DAY_US
    known.deleted = ["bolt"]
    faults: list[tuple[str, StoreFault]] = []
    keeper = Keeper(
        books.store,
        books.ledger,
        known,
        wall_clock_s=lambda: 1_000_000_000.0,
        on_fault=lambda *fault: faults.append(fault),
    )
    await books.store.call("SET", spelled.ledger("cord"), "not a ledger")
    assert await keeper.turn()
    assert not await keeper.turn()
    assert [] == await books.ledger.rows("acme", limit=1)
    assert 0 == await books.store.call("EXISTS", spelled.use("bolt"))
    assert known.forgotten
    assert ["cord"] == [name for name, _ in faults]
    await books.check(rows=0, closed=1)


def test_months() -> None:
    """As the scripts count them."""
    assert [2027 * 12 + 1, 2027 * 12 + 2, -1] == [month_of(20_877), month_of(20_878), month_of(-1)]
