"""One lane per backend: what an attempt needs of it, put together once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from providers.dialects import PlainUpstream
from providers.endpoints import Operation
from providers.types import ErrorKind, UpstreamError
from proxy.exchange.relay.stream import Deadlines
from proxy.exchange.upstream.backends import Provider, Providers
from proxy.exchange.upstream.headroom import Headroom, Slot
from proxy.exchange.upstream.transport import Headers
from proxy.routing.catalogue.types import Backend
from proxy.routing.policy import Attempt

FIRST_KEY: Final = 0
"""Of the provider's keys, the one that is used."""


@dataclass(frozen=True, slots=True)
class Lane:
    """The way to one backend; also `relay.Source`."""

    provider: Provider
    deadlines: Deadlines
    slot: Slot
    headroom: Headroom
    wall_clock_s: Callable[[], float]

    def answered(self, headers: Headers) -> None:
        """An answer has begun: keep what it says of the provider's rate limits."""
        self.headroom.note(self.slot, self.provider.adapter.rate_limits, headers)

    def of_status(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        """An answer with an error status."""
        return self.shown(self.provider.dialect.error(status, headers, body, now_epoch_s=self.wall_clock_s()))

    def shown(self, error: Exception) -> UpstreamError:
        """A failure as clients and logs may see it; see `Provider.shown`."""
        return self.provider.shown(cast("UpstreamError", error))

    def of(self, kind: str, message: str) -> UpstreamError:
        """A failure the provider did not word."""
        return UpstreamError(cast("ErrorKind", kind), message)


class Lanes:
    """All lanes, each made when it is first used. One per process."""

    def __init__(
        self, providers: Providers, headroom: Headroom, *, tail_s: float, wall_clock_s: Callable[[], float]
    ) -> None:
        self._providers = providers
        self._headroom = headroom
        self._tail_s = tail_s
        self._wall_clock_s = wall_clock_s
        self._lanes: dict[str, Lane] = {}

    def to(self, backend: Backend) -> Lane:
        """The lane to a backend."""
        lane = self._lanes.get(backend.id)
        if lane is None:
            provider = self._providers[backend.provider]
            times = provider.timeouts
            lane = self._lanes[backend.id] = Lane(
                provider,
                Deadlines(
                    times.first_byte_s, times.first_content_s, times.stall_s, times.total_s, self._tail_s
                ),
                Slot(backend.id, FIRST_KEY),
                self._headroom,
                self._wall_clock_s,
            )
        return lane

    def dialect(self, attempt: Attempt, operation: Operation) -> PlainUpstream:
        """What an attempt of a fitting plan is encoded in."""
        dialect = self._providers[attempt.backend.provider].speaking(operation)
        assert dialect is not None
        return dialect
