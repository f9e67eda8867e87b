"""Settlements on their way to the store, and holds kept alive: off every client's path, through outages."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ratelimit.limits.reservations import HOLD_S, Mode, Reservations
from ratelimit.limits.types import NO_ROW, Account, Row
from ratelimit.store.errors import StoreFault, StoreUnavailable

RENEWED_EVERY_S: Final = HOLD_S / 3
AT_ONCE: Final = 64
"""Settlements sent in one write."""
WAITING_MAX: Final = 100_000
"""Some 100 MB; what would come on top is not let in, so that nothing has to be dropped."""
_PAUSE_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Settlement:
    """What `Reservations.settle` is to be called with."""

    account: Account
    reservation_id: str
    tokens: int = 0
    microusd: int = 0
    mode: Mode = "held"
    uncertain: bool = False
    admitted_us: int = 0
    row: Row = NO_ROW


class Settler:
    """One per process. `run` must be under way while requests are served.

    Attributes:
        overruns: how often more was used than held.
    """

    def __init__(
        self,
        reservations: Reservations,
        *,
        clock: Callable[[], float],
        on_fault: Callable[[str, StoreFault], None],
    ) -> None:
        """
        Args:
            clock: monotonic, in seconds.
            on_fault: told the reservation that the store will never settle; what it holds stays booked as spent.
        """
        self._on_fault = on_fault
        self._reservations = reservations
        self._clock = clock
        self._waiting: deque[Settlement] = deque()
        self._open: dict[str, tuple[str, float]] = {}
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.overruns = 0

    @property
    def waiting(self) -> int:
        """Settlements that the store has not taken yet."""
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether no further request may run."""
        return len(self._waiting) >= WAITING_MAX

    def opened(self, account: Account, reservation_id: str) -> None:
        """A reservation is held: it is renewed until it is settled."""
        self._open[reservation_id] = (account.customer_id, self._clock())

    def settle(self, settlement: Settlement) -> None:
        """Settle as soon as the store takes it. Never waits."""
        self._open.pop(settlement.reservation_id, None)
        self._waiting.append(settlement)
        self._idle.clear()
        self._news.set()

    async def run(self) -> None:
        """Settle and renew until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._settle())
            tasks.create_task(self._renew())

    async def emptied(self, limit_s: float) -> bool:
        """Wait until everything is settled; false when it is not within `limit_s`."""
        try:
            async with asyncio.timeout(limit_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def _settle(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
                try:
                    failed = await self._sent(batch)
                except asyncio.CancelledError:
                    # Repeated, each is settled once all the same.
                    self._waiting.extendleft(reversed(batch))
                    raise
                if failed:
                    self._waiting.extendleft(reversed(failed))
                    await asyncio.sleep(_PAUSE_S)
            self._idle.set()

    async def _sent(self, batch: list[Settlement]) -> list[Settlement]:
        """Those that the store did not take."""
        results = await asyncio.gather(*map(self._one, batch))
        return [each for each, done in zip(batch, results, strict=True) if not done]

    async def _one(self, each: Settlement) -> bool:
        try:
            settled = await self._reservations.settle(
                each.account,
                each.reservation_id,
                tokens=each.tokens,
                microusd=each.microusd,
                mode=each.mode,
                uncertain=each.uncertain,
                admitted_us=each.admitted_us,
                row=each.row,
            )
        except StoreUnavailable:
            return False
        except StoreFault as fault:
            self._on_fault(each.reservation_id, fault)
            return True
        self.overruns += settled.over
        return True

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEWED_EVERY_S)
            await self.renew()

    async def renew(self) -> None:
        """Renew what has been held for a while. What the store does not take now is renewed the next time."""
        oldest_s = self._clock() - RENEWED_EVERY_S
        due: dict[str, list[str]] = {}
        for reservation_id, (customer_id, since_s) in self._open.items():
            if since_s <= oldest_s:
                due.setdefault(customer_id, []).append(reservation_id)
        for customer_id, ids in due.items():
            try:
                await self._reservations.renew(customer_id, ids)
            except StoreUnavailable:
                return
