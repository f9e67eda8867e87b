"""Ledgers that nobody writes to are trimmed all the same, and what deleted customers leave behind goes one day."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from ratelimit.ledger.ledger import FIGURES_KEPT_DAYS, Ledger
from ratelimit.store import keys as spelled
from ratelimit.store.erasing import erase
from ratelimit.store.errors import StoreFault, StoreUnavailable
from ratelimit.store.store import Store

EVERY_S: Final = 3600.0
_DAY_S: Final = 86_400


class Customers(Protocol):
    """Who may have a ledger."""

    async def ids(self, after: str | None) -> Sequence[str]:
        """Some ids behind `after`, in order, deleted customers' as well; none at the end."""
        ...

    async def deleted_before(self, before_s: float) -> Sequence[str]:
        """Ids of customers deleted before a moment, seconds since the epoch."""
        ...

    async def forget_deleted(self, before_s: float) -> None:
        """Remember those no longer."""
        ...


class Keeper:
    """Looks after all ledgers once an hour, on one of the gateways of a store."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        customers: Customers,
        *,
        wall_clock_s: Callable[[], float],
        on_fault: Callable[[str, StoreFault], None],
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`on_fault`: told the customer whose ledger the store will never trim."""
        self._store = store
        self._on_fault = on_fault
        self._ledger = ledger
        self._customers = customers
        self._wall_clock_s = wall_clock_s
        self._pause = pause

    async def run(self) -> None:
        """Until cancelled. An outage puts the work off until the next hour."""
        while True:
            # Told by the store itself; what was not done now is done in an hour.
            with suppress(StoreUnavailable):
                await self.turn()
            await self._pause(EVERY_S)

    async def turn(self) -> bool:
        """One look at all ledgers; false when another gateway has had its turn within the hour."""
        mine = await self._store.call("SET", spelled.KEEPING, "", "NX", "EX", int(EVERY_S * 0.9), writes=True)
        if mine is None:
            return False
        now_s = self._wall_clock_s()
        before_s = now_s - FIGURES_KEPT_DAYS * _DAY_S
        for customer_id in await self._customers.deleted_before(before_s):
            await erase(self._store, customer_id)
        # Only now: what an outage interrupts is found again in an hour.
        await self._customers.forget_deleted(before_s)
        after: str | None = None
        while ids := await self._customers.ids(after):
            for customer_id in ids:
                try:
                    await self._ledger.trim(customer_id)
                except StoreFault as fault:
                    self._on_fault(customer_id, fault)
            after = ids[-1]
        return True
