"""Book what was used without a hold: in numbered batches, each counted once however often it is sent."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import orjson

from ratelimit.limits.reservations import DAY_S, FIGURES_KEPT_DAYS, ROWS_KEPT_DAYS
from ratelimit.limits.types import NO_ROW, Row
from ratelimit.store import keys as spelled
from ratelimit.store.scripts import load_script
from ratelimit.store.store import Store

_BOOK: Final = load_script(
    "ratelimit.limits", "book", when_full=True, prelude=("common", "ratelimit.ledger:rows")
)

REMEMBERED_S: Final = 30 * 86_400.0
"""How long after its booking a batch that is sent again is known."""


class Booking(NamedTuple):
    """What one request used.

    Attributes:
        names: of the scopes it counts in.
        admitted_us: microseconds since the epoch; its windows are those of this moment.
        row: of the ledger; without one the sums are kept all the same.
    """

    names: Sequence[str]
    admitted_us: int
    tokens: int
    microusd: int
    row: Row = NO_ROW


class Batch(NamedTuple):
    """Bookings of one customer. `booker`: who numbers them, upwards; batches of one booker must come in order."""

    customer_id: str
    booker: str
    number: int
    bookings: tuple[Booking, ...]


class Bookings:
    """Raises StoreUnavailable when the store is away; the batch may be booked all the same, and can be sent again."""

    __slots__ = ("_rows_kept_us", "_store")

    def __init__(self, store: Store, *, rows_kept_days: int = ROWS_KEPT_DAYS) -> None:
        """`rows_kept_days`: see `Reservations`."""
        self._store = store
        self._rows_kept_us = rows_kept_days * DAY_S * 1_000_000

    async def book(self, batch: Batch) -> bool:
        """Add to the counters; false when this batch, or a later one of its booker, was booked before.

        One round trip.
        """
        customer_id = batch.customer_id
        reply = await self._store.run(
            _BOOK,
            (
                spelled.use(customer_id),
                spelled.booked(customer_id, batch.booker),
                spelled.ledger(customer_id),
                spelled.closing(customer_id),
            ),
            (
                batch.number,
                int(REMEMBERED_S * 1000),
                self._store.offset_us,
                orjson.dumps([_written(each) for each in batch.bookings]),
                self._rows_kept_us,
                spelled.figures(customer_id),
                FIGURES_KEPT_DAYS * DAY_S,
            ),
        )
        return reply == 1


def _written(booking: Booking) -> tuple[object, ...]:
    names, admitted_us, tokens, microusd, row = booking
    return names, admitted_us, tokens, microusd, row.text.decode(), row.group.decode(), tuple(row.figures)
