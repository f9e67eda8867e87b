"""Whether counters are what was booked: closing balances, rows and lost reservations together, scope by scope."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final, NamedTuple, cast

from ratelimit.ledger.types import Difference, LostSums, Reconciliation, Span, Sums
from ratelimit.store import keys as spelled
from ratelimit.store.errors import StoreUnavailable
from ratelimit.store.scripts import load_script
from ratelimit.store.store import Store

_BALANCES: Final = load_script("ratelimit.ledger", "balances", writes=False, prelude="rows")
_OLDER: Final = load_script("ratelimit.ledger", "older", writes=False, prelude="rows")

ROWS_AT_ONCE: Final = 200
_TRIES: Final = 10
_CUSTOMER: Final = "c"
_EPOCH: Final = date(1970, 1, 1)


class _Counter(NamedTuple):
    day: int
    month: int
    in_day: Sums
    in_month: Sums
    total: Sums


class _Through(NamedTuple):
    """Of the rows that are gone: the last one's id, the latest day of admission; how many were never written."""

    last_id: tuple[int, int]
    day: int
    direct: int


class _Lost(NamedTuple):
    scopes: tuple[str, ...]
    day: int
    sums: Sums
    about: bytes


class _Books(NamedTuple):
    counters: dict[str, _Counter]
    closed: dict[str, Sums]
    lost: list[_Lost]
    last_row: str
    through: _Through


class _Tally:
    """What was booked, by scope; of the windows that its counters are in, too."""

    def __init__(self, counters: dict[str, _Counter]) -> None:
        self._counters = counters
        self.booked: dict[tuple[str, Span], Sums] = {}

    def add(self, scopes: Iterable[str], day: int, sums: Sums) -> None:
        for scope in scopes:
            self._put(scope, "total", sums)
            counter = self._counters.get(scope)
            if counter is not None and counter.day == day:
                self._put(scope, "day", sums)
            if counter is not None and counter.month == month_of(day):
                self._put(scope, "month", sums)

    def close(self, scope: str, sums: Sums) -> None:
        self._put(scope, "total", sums)

    def _put(self, scope: str, span: Span, sums: Sums) -> None:
        self.booked[scope, span] = self.booked.get((scope, span), Sums()).plus(*sums)


async def reconcile(store: Store, customer_id: str) -> Reconciliation:
    """Compare a customer's counters with its books as they are at one moment, while requests go on.

    One round trip per 200 rows; nothing is changed.

    Raises:
        StoreUnavailable: the store is away, or rows went faster than they could be read.
    """
    for _ in range(_TRIES):
        done = await _attempt(store, customer_id)
        if done is not None:
            return done
    raise StoreUnavailable(f"the ledger of customer `{customer_id}` is being trimmed; try again shortly")


async def _attempt(store: Store, customer_id: str) -> Reconciliation | None:
    """`None` when rows that were to be read went meanwhile."""
    ledger, closing = spelled.ledger(customer_id), spelled.closing(customer_id)
    books = _books(
        await store.run(_BALANCES, (spelled.use(customer_id), closing, spelled.lost(customer_id), ledger), ())
    )
    tally = _Tally(books.counters)
    closed, through = books.closed, books.through
    rows, booked = 0, Sums()
    # From the newest to the oldest: what is trimmed meanwhile is at the other end, and in the balances read last.
    start = books.last_row
    while start:
        reply = await store.run(_OLDER, (ledger, closing), (start, ROWS_AT_ONCE))
        found, sums, raw_through = cast(
            "tuple[list[list[bytes]], list[list[bytes | int]], list[bytes | int]]", reply
        )
        for _, scopes, tokens, microusd, day in found:
            spent = Sums(int(tokens), int(microusd))
            tally.add(scopes.decode().split("\n"), int(day), spent)
            booked = booked.plus(*spent)
        rows += len(found)
        oldest = found[-1][0].decode() if found else start.removeprefix("(")
        start = f"({oldest}" if len(found) == ROWS_AT_ONCE else ""
        if not start:
            closed, through = _closed(sums), _through(raw_through)
            if through.direct != books.through.direct or through.last_id >= _place(oldest):
                return None
    for scope, each in closed.items():
        tally.close(scope, each)
    for each_lost in books.lost:
        tally.add(each_lost.scopes, each_lost.day, each_lost.sums)
    differences, beyond = _compared(books.counters, tally, through.day)
    customer = books.counters.get(_CUSTOMER)
    return Reconciliation(
        customer_id,
        len(books.counters),
        rows,
        closed.get(_CUSTOMER, Sums()),
        booked,
        _sum(each.sums for each in books.lost),
        customer.total if customer is not None else Sums(),
        differences,
        beyond,
        _by_what(books.lost),
    )


def _by_what(lost: Iterable[_Lost]) -> tuple[LostSums, ...]:
    found: dict[bytes, LostSums] = {}
    for each in lost:
        before = found.get(each.about, LostSums(each.about, 0, Sums()))
        found[each.about] = LostSums(each.about, before.requests + 1, before.sums.plus(*each.sums))
    return tuple(found[about] for about in sorted(found))


def _compared(
    counters: dict[str, _Counter], tally: _Tally, closed_day: int
) -> tuple[tuple[Difference, ...], tuple[Span, ...]]:
    differences: list[Difference] = []
    beyond: set[Span] = set()
    for scope in sorted({*counters, *(scope for scope, _ in tally.booked)}):
        counter = counters.get(scope, _Counter(-1, -1, Sums(), Sums(), Sums()))
        compared: list[tuple[Span, Sums]] = [("total", counter.total)]
        # A day that begins behind all that is closed has all of its rows.
        for span, counted, whole in (
            ("day", counter.in_day, counter.day > closed_day),
            ("month", counter.in_month, counter.month > month_of(closed_day)),
        ):
            if whole:
                compared.append((cast("Span", span), counted))
            else:
                beyond.add(cast("Span", span))
        for each, counted in compared:
            booked = tally.booked.get((scope, each), Sums())
            if booked != counted:
                differences.append(Difference(scope, each, counted, booked))
    return tuple(differences), tuple(sorted(beyond))


def month_of(day: int) -> int:
    """Months since the year 0 of a day since 1970-01-01, as scripts count them; -1 for a day before that."""
    if day < 0:
        return -1
    at = _EPOCH + timedelta(days=day)
    return at.year * 12 + at.month - 1


def _books(reply: object) -> _Books:
    counters, closed, lost, last_row, through = cast(
        "tuple[list[list[int]], object, object, bytes, object]", reply
    )
    return _Books(
        {
            cast("bytes", scope).decode(): _Counter(
                day, month, Sums(*figures[:2]), Sums(*figures[2:4]), Sums(*figures[4:])
            )
            for scope, day, month, *figures in counters
        },
        _closed(closed),
        [
            _Lost(tuple(scopes.decode().split("\n")), day, Sums(tokens, microusd), about)
            for scopes, day, tokens, microusd, about in cast("list[tuple[bytes, int, int, int, bytes]]", lost)
        ],
        last_row.decode(),
        _through(through),
    )


def _closed(reply: object) -> dict[str, Sums]:
    return {
        scope.decode(): Sums(tokens, microusd)
        for scope, tokens, microusd, _ in cast("list[tuple[bytes, int, int, int]]", reply)
    }


def _through(reply: object) -> _Through:
    last_id, day, direct = cast("tuple[bytes, int, int]", reply)
    return _Through(_place(last_id.decode()), day, direct)


def _place(row_id: str) -> tuple[int, int]:
    milliseconds, _, number = row_id.partition("-")
    return int(milliseconds), int(number)


def _sum(each: Iterable[Sums]) -> Sums:
    result = Sums()
    for sums in each:
        result = result.plus(*sums)
    return result
