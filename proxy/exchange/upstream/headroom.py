"""What providers' own rate limits still allow, as their last answers said."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from providers.rate_limits import HeaderNames, RateLimits, Window, read
from proxy.exchange.upstream.transport import Headers


class Slot(NamedTuple):
    """Whom a provider counts: a backend, and the provider key used for it by its place in the configuration."""

    backend: str
    key: int


class _Seen(NamedTuple):
    names: HeaderNames
    headers: Headers
    at_s: float


class Headroom:
    """The latest answer of each backend and key. Headers are kept as they came and read when somebody asks."""

    __slots__ = ("_clock", "_seen", "_wall_clock_s")

    def __init__(self, clock: Callable[[], float], wall_clock_s: Callable[[], float]) -> None:
        self._clock = clock
        self._wall_clock_s = wall_clock_s
        self._seen: dict[Slot, _Seen] = {}

    def note(self, slot: Slot, names: HeaderNames, headers: Headers) -> None:
        """An answer has begun, of whatever status."""
        self._seen[slot] = _Seen(names, headers, self._clock())

    def now(self) -> Mapping[Slot, RateLimits]:
        """What is left at this moment. A window whose reset has passed since counts as whole again.

        Backends that report nothing are left out.
        """
        found: dict[Slot, RateLimits] = {}
        for slot, seen in self._seen.items():
            age_s = self._clock() - seen.at_s
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in seen.headers}
            limits = read(headers, seen.names, now_epoch_s=self._wall_clock_s() - age_s)
            if limits is not None:
                found[slot] = RateLimits(_aged(limits.requests, age_s), _aged(limits.tokens, age_s))
        return found


def _aged(window: Window | None, age_s: float) -> Window | None:
    if window is None or window.reset_s is None:
        return window
    if window.reset_s <= age_s:
        return Window(window.limit, window.limit, 0.0)
    return window._replace(reset_s=window.reset_s - age_s)
