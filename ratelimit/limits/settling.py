"""Settlements on their way to the store, and holds kept alive: off every client's path, through outages."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Final, Protocol

from ratelimit.limits.bookings import Batch, Booking, Bookings
from ratelimit.limits.reservations import HOLD_S, Reservations, Settled
from ratelimit.limits.types import Account, Settlement
from ratelimit.store.errors import StoreFault, StoreUnavailable

RENEWED_EVERY_S: Final = HOLD_S / 3
AT_ONCE: Final = 64
"""Calls sent in one write, and bookings of a customer in one batch."""
WAITING_MAX: Final = 100_000
"""Some 100 MB; what would come on top is not let in, so that nothing has to be dropped."""
GATHERED_S: Final = 0.05
"""How long bookings are gathered: under load many share one call. A killed gateway loses no more than these."""
_PAUSE_S: Final = 0.25


Unsettled = Settlement | Batch
"""What the store has not taken yet."""


class Told(Protocol):
    """Hears what an operator must know."""

    def fault(self, what: str, fault: StoreFault) -> None:
        """The store will never take this reservation or batch; what is held stays booked as spent."""

    def unsettled(self, count: int) -> None:
        """So many were not taken before the end, and nothing keeps them."""


class Keeper(Protocol):
    """Keeps what is not settled beyond the end of the process."""

    def load(self) -> Sequence[Unsettled]:
        """What earlier processes have left."""

    def keep(self, unsettled: Sequence[Unsettled]) -> bool:
        """False: it could not be kept, which has been told."""

    def settled(self) -> None:
        """All that was loaded is settled, or kept anew."""


class Settler:
    """One per process. `running` must be entered while requests are served.

    Attributes:
        overruns: how often more was used than held.
    """

    def __init__(
        self,
        reservations: Reservations,
        bookings: Bookings,
        *,
        booker: str,
        clock: Callable[[], float],
        told: Told,
    ) -> None:
        """
        Args:
            booker: a name that no other process has or ever had; numbers batches.
            clock: monotonic, in seconds.
        """
        self._reservations = reservations
        self._bookings = bookings
        self._booker = booker
        self._clock = clock
        self._told = told
        self._left = 0
        self._waiting: deque[Settlement] = deque()
        self._gathered: dict[str, list[Booking]] = {}
        # By customer and booker, in order of number; the first of each may be on its way.
        self._batches: dict[tuple[str, str], deque[Batch]] = {}
        self._last_number = 0
        self._failing: set[str] = set()
        self._open: dict[str, tuple[str, float]] = {}
        self._news = asyncio.Event()
        self._bookings_news = asyncio.Event()
        self._hurry = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._keeper: Keeper | None = None
        self.overruns = 0

    @property
    def waiting(self) -> int:
        """Requests of which the store has not taken everything yet."""
        return self._left

    @property
    def full(self) -> bool:
        """Whether no further request may run."""
        return self._left >= WAITING_MAX

    def failing(self, customer_id: str) -> bool:
        """Whether the store took no booking of this customer the last time."""
        return customer_id in self._failing

    def opened(self, account: Account, reservation_id: str) -> None:
        """A reservation is held: it is renewed until it is settled."""
        self._open[reservation_id] = (account.customer_id, self._clock())

    def settle(self, settlement: Settlement) -> None:
        """Settle as soon as the store takes it. Never waits."""
        self._open.pop(settlement.reservation_id, None)
        self._waiting.append(settlement)
        self._grew(1)
        self._news.set()

    def book(self, customer_id: str, booking: Booking) -> None:
        """Book what nothing was held for, together with others. Never waits."""
        gathered = self._gathered.get(customer_id)
        if gathered is None:
            gathered = self._gathered[customer_id] = []
        gathered.append(booking)
        self._grew(1)
        self._bookings_news.set()

    @asynccontextmanager
    async def running(self, *, settle_s: float, keeper: Keeper | None = None) -> AsyncIterator[None]:
        """Settle and renew, first what earlier processes have left; at the end, keep what the store does not take.

        Args:
            settle_s: how long the store has at the end.
        """
        self._keeper = keeper
        for unsettled in keeper.load() if keeper is not None else ():
            self._take_up(unsettled)
        if keeper is not None and not self._left:
            keeper.settled()
        task = asyncio.get_running_loop().create_task(self._run())
        try:
            yield
        finally:
            await self.emptied(settle_s)
            task.cancel()
            outcome = (await asyncio.gather(task, return_exceptions=True))[0]
            self._put_away()
            if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
                raise outcome

    async def emptied(self, limit_s: float) -> bool:
        """Wait until everything is settled; false when it is not within `limit_s`."""
        self._hurry.set()
        try:
            async with asyncio.timeout(limit_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        finally:
            self._hurry.clear()
        return True

    def _take_up(self, unsettled: Unsettled) -> None:
        if isinstance(unsettled, Settlement):
            self.settle(unsettled)
            return
        self._batches.setdefault((unsettled.customer_id, unsettled.booker), deque()).append(unsettled)
        self._grew(len(unsettled.bookings))
        self._bookings_news.set()

    def _put_away(self) -> None:
        self._form_batches()
        left: list[Unsettled] = [*self._waiting]
        for batches in self._batches.values():
            left += batches
        if left and (self._keeper is None or not self._keeper.keep(left)):
            self._told.unsettled(self._left)
        elif self._keeper is not None:
            self._keeper.settled()

    def _grew(self, count: int) -> None:
        self._left += count
        self._idle.clear()

    def _shrank(self, count: int) -> None:
        self._left -= count
        if not self._left:
            self._idle.set()
            if self._keeper is not None:
                self._keeper.settled()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._settle())
            tasks.create_task(self._book())
            tasks.create_task(self._renew())

    async def _settle(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
                try:
                    outcomes = await self._reservations.settle_all(batch)
                except asyncio.CancelledError:
                    # Repeated, each is settled once all the same.
                    self._waiting.extend(batch)
                    raise
                done = [self._is_taken(*each) for each in zip(batch, outcomes, strict=True)]
                # Behind the others: only a part of the store may be away.
                self._waiting.extend(each for each, taken in zip(batch, done, strict=True) if not taken)
                self._shrank(sum(done))
                await _pause(done)

    def _is_taken(self, each: Settlement, outcome: Settled | StoreUnavailable | StoreFault) -> bool:
        if isinstance(outcome, StoreUnavailable):
            return False
        if isinstance(outcome, StoreFault):
            self._told.fault(each.reservation_id, outcome)
        else:
            self.overruns += outcome.over
        return True

    async def _book(self) -> None:
        while True:
            await self._bookings_news.wait()
            await self._gather()
            self._bookings_news.clear()
            # Anew each time: what comes meanwhile may be for a part of the store that answers.
            while self._form_batches():
                lanes = list(islice(self._batches, AT_ONCE))
                done = await asyncio.gather(*map(self._first_of, lanes))
                for lane, taken in zip(lanes, done, strict=True):
                    self._after(lane, taken=taken)
                await _pause(done)

    async def _gather(self) -> None:
        try:
            async with asyncio.timeout(GATHERED_S):
                await self._hurry.wait()
        except TimeoutError:
            return

    def _form_batches(self) -> bool:
        """Whether there is any."""
        gathered, self._gathered = self._gathered, {}
        for customer_id, bookings in gathered.items():
            lane = self._batches.setdefault((customer_id, self._booker), deque())
            for start in range(0, len(bookings), AT_ONCE):
                self._last_number += 1
                part = tuple(bookings[start : start + AT_ONCE])
                lane.append(Batch(customer_id, self._booker, self._last_number, part))
        return bool(self._batches)

    async def _first_of(self, lane: tuple[str, str]) -> bool:
        batch = self._batches[lane][0]
        try:
            await self._bookings.book(batch)
        except StoreUnavailable:
            return False
        except StoreFault as fault:
            self._told.fault(f"{batch.customer_id}/{batch.booker}/{batch.number}", fault)
        return True

    def _after(self, lane: tuple[str, str], *, taken: bool) -> None:
        batches = self._batches.pop(lane)
        if taken:
            self._failing.discard(lane[0])
            self._shrank(len(batches.popleft().bookings))
        else:
            self._failing.add(lane[0])
        if batches:
            self._batches[lane] = batches  # behind the others

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
                continue  # others may be on a part of the store that answers
            except StoreFault as fault:
                self._told.fault(f"renewals of {customer_id}", fault)


async def _pause(taken: Sequence[bool]) -> None:
    """Before what was not taken is sent again."""
    if not any(taken):
        await asyncio.sleep(_PAUSE_S)
    elif not all(taken):
        await asyncio.sleep(GATHERED_S)
