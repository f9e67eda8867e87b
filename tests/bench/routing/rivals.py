"""Who else might choose: four that know nothing of health, and a cool-down rule like LiteLLM's.

The cool-down rule is that of LiteLLM's router with its defaults, in our words: a backend rests for 5 s when more than
half of at least 5 attempts within a minute have failed, and after a 429 for as long as `retry-after` says; one that
rests is not asked, and with all at rest the request fails. Sources, in github.com/BerriAI/litellm: pull requests 5698
for 50 % and 5 s and 17464 for 5 attempts, both merged; issues 18551 for the minute and 3646 for all at rest; and
docs.litellm.ai/docs/router/learn/reliability (5 November 2026) for retries that pass over what has failed. Exceptions
are left out, to its advantage. It draws at random, as by default there, or takes the cheapest, as it can be told to.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from proxy.routing.catalogue.cost import cost_picousd
from proxy.routing.catalogue.types import Catalogue, Price
from proxy.routing.types import expected_output_tokens
from tests.bench.routing.engine import Course, Quota
from tests.bench.routing.world import SITES, Lot, Outcome, Request

COOL_DOWN_S: Final = 5.0
FAILED_SHARE: Final = 0.5
LEAST_ATTEMPTS: Final = 5
WINDOW_S: Final = 60.0

Order = Callable[[Request, Sequence[Price]], Sequence[int]]
"""Backends by number, the first to be tried first."""

_ALL: Final = tuple(range(len(SITES)))


class Ordered:
    """Goes by an order, whatever happens."""

    def __init__(self, name: str, order: Order) -> None:
        self.name = name
        self._order = order
        self._prices: tuple[Price, ...] = ()

    def priced(self, catalogue: Catalogue) -> None:
        prices = {each.id: each.price for model in catalogue.models.values() for each in model.backends}
        self._prices = tuple(price for site in SITES if (price := prices[site.id]) is not None)

    async def until(self, now_s: float) -> None:
        """Nothing happens by itself."""

    async def course(self, request: Request, now_s: float) -> Course:
        del now_s
        return _OneByOne(self._order(request, self._prices))


class _OneByOne:
    def __init__(self, order: Sequence[int]) -> None:
        self._left = iter(order)

    async def take(self, now_s: float) -> int | None:
        del now_s
        return next(self._left, None)

    def answers(self, now_s: float, quota: Quota | None, *, content: bool) -> None:
        """It does not look."""

    async def ended(self, now_s: float, outcome: Outcome, request: Request, tries_left: int) -> None:
        """It does not learn."""


class Cooling:
    """Like `Ordered`, but lets rest what fails."""

    def __init__(self, name: str, order: Order) -> None:
        self.name = name
        self._ordered = Ordered(name, order)
        self._order = order
        self.rests_until_s = [0.0] * len(SITES)
        self._windows = [(0.0, 0, 0)] * len(SITES)
        self.priced = self._ordered.priced

    async def until(self, now_s: float) -> None:
        """Nothing happens by itself: a rest is over when it is looked at."""

    async def course(self, request: Request, now_s: float) -> Course:
        del now_s
        return _Resting(self, self._order(request, self._ordered._prices))

    def learn(self, site: int, outcome: Outcome, now_s: float) -> None:
        if outcome.kind == "rate_limited":
            self._rest(site, now_s + (outcome.retry_after_s or COOL_DOWN_S))
            return
        begun_s, answered, failed = self._windows[site]
        if now_s - begun_s >= WINDOW_S:
            begun_s, answered, failed = now_s, 0, 0
        if outcome.kind == "ok":
            answered += 1
        else:
            failed += 1
            total = answered + failed
            if total >= LEAST_ATTEMPTS and failed > FAILED_SHARE * total:
                self._rest(site, now_s + COOL_DOWN_S)
        self._windows[site] = begun_s, answered, failed

    def _rest(self, site: int, until_s: float) -> None:
        self.rests_until_s[site] = until_s


class _Resting:
    def __init__(self, router: Cooling, order: Sequence[int]) -> None:
        self._router = router
        self._left = list(order)
        self._site = -1

    async def take(self, now_s: float) -> int | None:
        for site in self._left:
            if self._router.rests_until_s[site] <= now_s:
                self._left.remove(site)
                self._site = site
                return site
        return None

    def answers(self, now_s: float, quota: Quota | None, *, content: bool) -> None:
        """It counts attempts when they are over."""

    async def ended(self, now_s: float, outcome: Outcome, request: Request, tries_left: int) -> None:
        del request, tries_left
        self._router.learn(self._site, outcome, now_s)


def catalogue_order(request: Request, prices: Sequence[Price]) -> Sequence[int]:
    del request, prices
    return _ALL


def in_turn(request: Request, prices: Sequence[Price]) -> Sequence[int]:
    del prices
    first = request.number % len(_ALL)
    return (*_ALL[first:], *_ALL[:first])


def by_lot(request: Request, prices: Sequence[Price]) -> Sequence[int]:
    del prices
    return Random(Lot(request.number)._state).sample(_ALL, len(_ALL))


def cheapest(request: Request, prices: Sequence[Price]) -> Sequence[int]:
    """By what this request is expected to cost: known to whoever chooses, as it is to Headgate."""
    tokens = expected_output_tokens(request.facts, "other")
    costs = [
        cost_picousd(price, input_tokens=request.facts.prompt_tokens, output_tokens=tokens)
        for price in prices
    ]
    return sorted(_ALL, key=costs.__getitem__)


def rivals() -> tuple[Ordered | Cooling, ...]:
    """All of them, new."""
    return (
        Ordered("fixed order", catalogue_order),
        Ordered("round robin", in_turn),
        Ordered("random", by_lot),
        Ordered("cheapest first", cheapest),
        Cooling("cool-down, random", by_lot),
        Cooling("cool-down, cheapest", cheapest),
    )
