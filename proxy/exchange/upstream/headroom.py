"""What providers' own rate limits still allow, as their last answers said."""

from collections.abc import Callable, Container, Mapping
from math import inf
from operator import itemgetter
from typing import Final, NamedTuple

from providers import durations
from providers.rate_limits import HeaderNames, RateLimits, Window, read
from proxy.exchange.upstream.transport import Headers

_name_of: Final = itemgetter(0)


class Slot(NamedTuple):
    """Whom a provider counts: a backend, and the id of the provider's key that is used for it."""

    backend: str
    key: str


class _Seen(NamedTuple):
    names: HeaderNames
    headers: Headers
    at_s: float


class _Read(NamedTuple):
    """What was read of the last word; holds until the next window is over."""

    seen: _Seen
    limits: RateLimits | None
    until_age_s: float


class Headroom:
    """The latest word of each backend and key. Headers are kept as they came and read when somebody asks."""

    __slots__ = ("_clock", "_read", "_seen", "_spoken", "_wall_clock_s", "_wanted")

    def __init__(self, clock: Callable[[], float], wall_clock_s: Callable[[], float]) -> None:
        self._clock = clock
        self._wall_clock_s = wall_clock_s
        self._seen: dict[Slot, _Seen] = {}
        self._spoken: dict[Slot, frozenset[bytes]] = {}
        self._wanted: dict[Slot, frozenset[bytes]] = {}
        self._read: dict[Slot, _Read] = {}

    def note(self, slot: Slot, names: HeaderNames, headers: Headers) -> None:
        """An answer has begun, of whatever status. One that says nothing of limits leaves the last word standing.

        Args:
            names: of the slot's provider, the same each time.
            headers: with lower-case names.
        """
        spoken = self._spoken.get(slot)
        if spoken is None:
            spoken = self._spoken[slot] = _spoken(names)
            self._wanted[slot] = _wanted(names)
        if not spoken.isdisjoint(map(_name_of, headers)):
            self._seen[slot] = _Seen(names, headers, self._clock())

    def told_s(self, slot: Slot) -> float:
        """When one of those in `now` last said something, on the clock."""
        return self._seen[slot].at_s

    def keep(self, backends: Container[str]) -> None:
        """Forget what others than these said."""
        for slot in [slot for slot in self._spoken if slot.backend not in backends]:
            del self._spoken[slot], self._wanted[slot]
            self._seen.pop(slot, None)
            self._read.pop(slot, None)

    def now(self) -> Mapping[Slot, RateLimits]:
        """What is left at this moment. A window whose reset has passed since counts as whole again.

        Backends that report nothing are left out.
        """
        found: dict[Slot, RateLimits] = {}
        for slot, seen in self._seen.items():
            age_s = self._clock() - seen.at_s
            known = self._read.get(slot)
            if known is None or known.seen is not seen or age_s >= known.until_age_s:
                known = self._read[slot] = self._parsed(slot, seen, age_s)
            if known.limits is not None:
                limits = known.limits
                found[slot] = RateLimits(_aged(limits.requests, age_s), _aged(limits.tokens, age_s))
        return found

    def _parsed(self, slot: Slot, seen: _Seen, age_s: float) -> "_Read":
        told_epoch_s = self._wall_clock_s() - age_s
        wanted = self._wanted[slot]
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in seen.headers if name in wanted
        }
        # Before the tightest window is chosen: a minute that is over must not hide a day that is used up.
        until_age_s = _renew(headers, seen.names, age_s, told_epoch_s)
        return _Read(seen, read(headers, seen.names, now_epoch_s=told_epoch_s), until_age_s)


def _spoken(names: HeaderNames) -> frozenset[bytes]:
    """The headers without which an answer says nothing: a reset alone is no word."""
    windows = (*names.requests, *names.tokens)
    counts = (name for window in windows for name in (window.limit, window.remaining))
    return frozenset(name.encode() for name in counts if name is not None)


def _wanted(names: HeaderNames) -> frozenset[bytes]:
    """All headers that say something of limits."""
    windows = (*names.requests, *names.tokens)
    return frozenset(
        name.encode()
        for window in windows
        for name in (window.limit, window.remaining, window.reset)
        if name is not None
    )


def _renew(headers: dict[str, str], names: HeaderNames, age_s: float, told_epoch_s: float) -> float:
    """Let windows be whole whose reset has passed; what is left of one without a limit is then unknown.

    Returns the age at which the next one is.
    """
    until_age_s = inf
    for window in (*names.requests, *names.tokens):
        reset_s = durations.reset_s(headers.get(window.reset or "", ""), told_epoch_s)
        # 0 is no point in time: Azure says it of windows that are not whole (recorded November 2025).
        if not reset_s:
            continue
        if reset_s > age_s:
            until_age_s = min(until_age_s, reset_s)
            continue
        assert window.reset is not None
        headers[window.reset] = "0"
        if window.remaining is not None:
            limit = headers.get(window.limit or "")
            if limit is None:
                headers.pop(window.remaining, None)
            else:
                headers[window.remaining] = limit
    return until_age_s


def _aged(window: Window | None, age_s: float) -> Window | None:
    if window is None or not window.reset_s:
        return window
    return window._replace(reset_s=window.reset_s - age_s)
