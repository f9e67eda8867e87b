"""Book what was used without a hold: in numbered batches, each counted once however often it is sent."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import orjson

from ratelimit.store import keys as spelled
from ratelimit.store.scripts import load_script
from ratelimit.store.store import Store

_BOOK: Final = load_script("ratelimit.limits", "book", when_full=True, prelude="common")

REMEMBERED_S: Final = 30 * 86_400.0
"""How long after its booking a batch that is sent again is known."""


class Booking(NamedTuple):
    """What one request used.

    Attributes:
        names: of the scopes it counts in.
        admitted_us: microseconds since the epoch; its windows are those of this moment.
        row: of the ledger; nothing is written without one.
    """

    names: Sequence[str]
    admitted_us: int
    tokens: int
    microusd: int
    row: str = ""


class Batch(NamedTuple):
    """Bookings of one customer. `booker`: who numbers them, upwards; batches of one booker must come in order."""

    customer_id: str
    booker: str
    number: int
    bookings: tuple[Booking, ...]


class Bookings:
    """Raises StoreUnavailable when the store is away; the batch may be booked all the same, and can be sent again."""

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    async def book(self, batch: Batch) -> bool:
        """Add to the counters; false when this batch, or a later one of its booker, was booked before.

        One round trip.
        """
        customer_id = batch.customer_id
        bookings = orjson.dumps([tuple(each) for each in batch.bookings])
        reply = await self._store.run(
            _BOOK,
            (
                spelled.use(customer_id),
                spelled.booked(customer_id, batch.booker),
                spelled.ledger(customer_id),
            ),
            (batch.number, int(REMEMBERED_S * 1000), self._store.offset_us, bookings),
        )
        return reply == 1
