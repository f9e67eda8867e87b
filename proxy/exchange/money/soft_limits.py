"""Who has reached a soft limit, as the last answers of admission told: known to the next plan without asking again.

What is spent of a window does not come back before the window ends, so that what is remembered holds until then, or
until the limit is another one. Each process learns by its own requests.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from ratelimit.limits.types import Account, Margin, Scope

_KEPT: Final = 10_000
_NEVER: Final = float("inf")


class Ahead(NamedTuple):
    """A soft limit and what may be spent until it is reached: tokens or micro-dollars. `until_s`: as the clock goes."""

    scope: Scope
    dollars: bool
    left: int
    until_s: float


class _Reached(NamedTuple):
    limits: Mapping[str, float]
    until_s: float


class SoftLimits:
    """One per process; remembers few, the oldest forgotten first."""

    __slots__ = ("_clock_s", "_reached")

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._reached: dict[tuple[str, str], _Reached] = {}

    def reached(self, account: Account) -> bool:
        """Whether one of this account's scopes is known to have reached a soft limit."""
        if not self._reached:
            return False
        for scope, name in zip(account.scopes, account.names, strict=True):
            place = (account.customer_id, name)
            known = self._reached.get(place)
            if known is None:
                continue
            if known.until_s > self._clock_s() and known.limits == scope.limits:
                return True
            del self._reached[place]
        return False

    def admitted(self, account: Account, margins: tuple[Margin, ...]) -> tuple[Ahead, ...]:
        """Learn from an answer of admission. What is not reached yet, for `settled`."""
        if not margins:
            return ()
        now_s = self._clock_s()
        ahead: list[Ahead] = []
        some = False
        for scope, dollars, left, ends_after_s in margins:
            until_s = _NEVER if ends_after_s is None else now_s + ends_after_s
            if left > 0:
                ahead.append(Ahead(scope, dollars, left, until_s))
            else:
                some = True
                self._remember(account, scope, until_s)
        if not some and self._reached:
            # The nearest of each kind is not reached, so none is.
            for name in account.names:
                self._reached.pop((account.customer_id, name), None)
        return tuple(ahead)

    def settled(self, account: Account, ahead: tuple[Ahead, ...], *, tokens: int, microusd: int) -> None:
        """Learn from what a request has used in the end."""
        for scope, dollars, left, until_s in ahead:
            if (microusd if dollars else tokens) >= left:
                self._remember(account, scope, until_s)

    def _remember(self, account: Account, scope: Scope, until_s: float) -> None:
        place = (account.customer_id, account.names[account.scopes.index(scope)])
        # Removed first, so that the order of insertion is the order of age.
        self._reached.pop(place, None)
        if len(self._reached) >= _KEPT:
            del self._reached[next(iter(self._reached))]
        self._reached[place] = _Reached(scope.limits, until_s)
