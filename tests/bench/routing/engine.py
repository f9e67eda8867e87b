"""Requests on their way through a world: attempts, failover and what comes of them. A clock that jumps, no waiting.

The rules of failover are Headgate's (docs/failover.md) and the same for all: two further tries, at other backends, at
once; none after the first content, and none that would begin a minute after arrival.
"""

from array import array
from collections import Counter, deque
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final, NamedTuple, Protocol

from proxy.routing.catalogue.cost import cost_picousd
from proxy.routing.catalogue.types import Catalogue, Price
from tests.bench.routing.world import SITES, Outcome, Request, World

RETRIES: Final = 2
DEADLINE_S: Final = 60.0
_MINUTE_S: Final = 60.0


class Quota(NamedTuple):
    """What a backend's answer says of its own limit."""

    limit: int
    remaining: int
    reset_s: float


class Course(Protocol):
    """One request's way from backend to backend."""

    async def take(self, now_s: float) -> int | None:
        """The next backend to try, by number; `None`: there is none."""

    def answers(self, now_s: float, quota: Quota | None, *, content: bool) -> None:
        """An answer begins: with content, or one that refuses. `quota`: what it says of limits."""

    async def ended(self, now_s: float, outcome: Outcome, request: Request, tries_left: int) -> None:
        """The attempt is over."""


class Router(Protocol):
    """Who chooses."""

    name: str

    def priced(self, catalogue: Catalogue) -> None:
        """Prices have changed."""

    async def until(self, now_s: float) -> None:
        """What happens by itself up to now."""

    async def course(self, request: Request, now_s: float) -> Course:
        """A request has come."""


@dataclass(slots=True)
class Tally:
    """What came of all requests.

    Attributes:
        broken: requests that failed after the first content.
        late: those that failed since no try may begin a minute after arrival.
        first_failed: requests whose first attempt failed, whatever became of them.
        first_content_ms: of requests that had content, from arrival.
    """

    requests: int = 0
    answered: int = 0
    broken: int = 0
    late: int = 0
    first_failed: int = 0
    attempts: int = 0
    cost_picousd: int = 0
    by_site: Counter[int] = field(default_factory=Counter)
    first_content_ms: "array[float]" = field(default_factory=lambda: array("d"))


class _Flight:
    """One request under way."""

    __slots__ = ("course", "outcome", "quota", "request", "site", "streaming", "tries")

    def __init__(self, request: Request, course: Course) -> None:
        self.request = request
        self.course = course
        self.tries = 0
        self.site = 0
        self.streaming = False
        self.outcome = Outcome("ok", 0.0)
        self.quota: Quota | None = None


class Run:
    """One router's week."""

    def __init__(self, world: World, router: Router) -> None:
        self._world = world
        self._router = router
        self._events: list[tuple[float, int, _Flight]] = []
        self._number = 0
        self._used: dict[int, tuple[int, int]] = {}
        self._prices: list[Price] = []
        self.tally = Tally()

    async def run(self) -> Tally:
        """All requests, to their end."""
        arrivals = deque(self._world.requests)
        changes = deque((0.0, *(change.at_s for change in self._world.changes)))
        events = self._events
        while arrivals or events:
            arrives = bool(arrivals) and (not events or arrivals[0].at_s <= events[0][0])
            now_s = arrivals[0].at_s if arrives else events[0][0]
            while changes and changes[0] <= now_s:
                self._reprice(changes.popleft())
            await self._router.until(now_s)
            if arrives:
                request = arrivals.popleft()
                self.tally.requests += 1
                await self._send(_Flight(request, await self._router.course(request, now_s)), now_s)
            else:
                await self._happens(heappop(events)[2], now_s)
        return self.tally

    def _reprice(self, now_s: float) -> None:
        catalogue = self._world.catalogue(now_s)
        prices = {each.id: each.price for model in catalogue.models.values() for each in model.backends}
        self._prices = [price for site in SITES if (price := prices[site.id]) is not None]
        self._router.priced(catalogue)

    async def _send(self, flight: _Flight, now_s: float) -> None:
        site = await flight.course.take(now_s)
        if site is None:
            self.tally.first_failed += flight.tries == 0
            return
        self.tally.attempts += 1
        flight.site = site
        refused = self._limited(flight, now_s)
        flight.outcome = refused or self._world.attempt(flight.request, site, flight.tries, now_s)
        flight.tries += 1
        self._later(now_s + flight.outcome.after_s, flight)

    def _limited(self, flight: _Flight, now_s: float) -> Outcome | None:
        """A 429, when the site's minute is used up."""
        limit = SITES[flight.site].limit
        if limit is None:
            flight.quota = None
            return None
        minute = int(now_s / _MINUTE_S)
        used_in, used = self._used.get(flight.site, (minute, 0))
        if used_in != minute:
            used = 0
        reset_s = (minute + 1) * _MINUTE_S - now_s
        flight.quota = Quota(limit, max(0, limit - used - 1), reset_s)
        if used >= limit:
            return Outcome("rate_limited", 0.05, retry_after_s=float(int(reset_s) + 1))
        self._used[flight.site] = (minute, used + 1)
        return None

    async def _happens(self, flight: _Flight, now_s: float) -> None:
        outcome, tally = flight.outcome, self.tally
        if outcome.content and not flight.streaming:
            flight.streaming = True
            tally.first_content_ms.append((now_s - flight.request.at_s) * 1000)
            flight.course.answers(now_s, flight.quota, content=True)
            self._later(now_s + outcome.lasts_s, flight)
            return
        if outcome.kind == "rate_limited":
            flight.course.answers(now_s, flight.quota, content=False)
        tries_left = RETRIES + 1 - flight.tries
        await flight.course.ended(now_s, outcome, flight.request, tries_left)
        if outcome.content:
            self._pay(flight)
        if outcome.kind == "ok":
            tally.answered += 1
            tally.by_site[flight.site] += 1
            return
        tally.first_failed += flight.tries == 1
        if flight.streaming:
            tally.broken += 1
        elif now_s - flight.request.at_s >= DEADLINE_S:
            tally.late += 1
        elif tries_left > 0:
            await self._send(flight, now_s)

    def _pay(self, flight: _Flight) -> None:
        """What was answered; of a broken stream half the answer. Nobody bills an attempt without content."""
        request = flight.request
        tokens = request.answer_tokens if flight.outcome.kind == "ok" else request.answer_tokens // 2
        self.tally.cost_picousd += cost_picousd(
            self._prices[flight.site], input_tokens=request.prompt_tokens, output_tokens=tokens
        )

    def _later(self, at_s: float, flight: _Flight) -> None:
        self._number += 1
        heappush(self._events, (at_s, self._number, flight))
