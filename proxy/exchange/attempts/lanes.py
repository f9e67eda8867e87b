"""One lane per backend and provider key: what an attempt needs of it, put together once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from providers.dialects import PlainUpstream
from providers.endpoints import Operation
from providers.types import ErrorKind, UpstreamError
from proxy.exchange.relay.stream import Deadlines
from proxy.exchange.upstream.backends import Provider, Providers
from proxy.exchange.upstream.headroom import Headroom, Slot
from proxy.exchange.upstream.keys import ProviderKey, ProviderKeys, single_keys
from proxy.exchange.upstream.transport import Headers
from proxy.routing.catalogue.types import Backend
from proxy.routing.policy import Attempt


@dataclass(frozen=True, slots=True)
class Lane:
    """The way to one backend over one of its provider's keys; also `relay.Source`.

    `deadlines_before_others`: instead of `deadlines`, while another backend could be tried.
    """

    key: ProviderKey
    deadlines: Deadlines
    deadlines_before_others: Deadlines
    slot: Slot
    headroom: Headroom
    wall_clock_s: Callable[[], float]

    @property
    def provider(self) -> Provider:
        """With this lane's key."""
        return self.key.provider

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
        self,
        providers: Providers,
        headroom: Headroom,
        *,
        tail_s: float,
        wall_clock_s: Callable[[], float],
        keys: ProviderKeys | None = None,
    ) -> None:
        """Args:
        keys: of these providers; `None`: each has the one it is called with.
        """
        self.providers = providers
        self._headroom = headroom
        self._tail_s = tail_s
        self._wall_clock_s = wall_clock_s
        self._lanes: dict[str, tuple[Lane, ...]] = {}
        self.keys = keys or single_keys(providers)

    def to(self, backend: Backend) -> tuple[Lane, ...]:
        """All lanes to a backend, one per key of its provider, in the configuration's order."""
        lanes = self._lanes.get(backend.id)
        if lanes is None:
            lanes = self._lanes[backend.id] = tuple(
                self._lane(backend, key) for key in self.keys.of(backend.provider)
            )
        return lanes

    def chosen(
        self, backend: Backend, *, customer_id: str, tier: str | None, request_id: str
    ) -> Sequence[Lane]:
        """The lanes that a request may take, in the order it should try them; none where no key may serve it."""
        lanes = [lane for lane in self.to(backend) if lane.key.serves(customer_id, tier)]
        if len(lanes) > 1:
            lanes.sort(key=lambda lane: lane.key.rank(request_id))
        return lanes

    def _lane(self, backend: Backend, key: ProviderKey) -> Lane:
        times = key.provider.timeouts
        deadlines = Deadlines(
            times.first_byte_s, times.first_content_s, times.stall_s, times.total_s, self._tail_s
        )
        sooner_s = times.first_byte_before_others_s
        return Lane(
            key,
            deadlines,
            deadlines if sooner_s is None else replace(deadlines, first_byte_s=sooner_s),
            Slot(backend.id, key.id),
            self._headroom,
            self._wall_clock_s,
        )

    def dialect(self, attempt: Attempt, operation: Operation) -> PlainUpstream:
        """What an attempt of a fitting plan is encoded in."""
        dialect = self.providers[attempt.backend.provider].speaking(operation)
        assert dialect is not None
        return dialect
