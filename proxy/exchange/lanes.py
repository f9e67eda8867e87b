"""One lane per backend: what an attempt needs of it, put together once."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from providers.dialects import PlainUpstream
from providers.endpoints import Operation
from providers.types import Canonical, ErrorKind, RequestError, UpstreamError
from proxy.exchange.errors import Refused
from proxy.exchange.relay.stream import Deadlines
from proxy.exchange.upstream.backends import Provider, Providers
from proxy.exchange.upstream.headroom import Headroom, Slot
from proxy.exchange.upstream.transport import Headers
from proxy.routing.catalogue.types import Backend
from proxy.routing.policy import Attempt, Plan

_PATH: Final = re.compile(r"[.\[]")

FIRST_KEY: Final = 0
"""Of the provider's keys, the one that is used."""

_NO_TIER: Final = (
    "embeddings need a model by name: a tier may choose another one at any time, "
    "and vectors of different models do not compare"
)


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

    def fitting(self, plan: Plan, request: Canonical, operation: Operation) -> Plan:
        """The plan, without attempts whose provider does not have what this request asks for.

        Raises:
            Refused: no attempt is left.
        """
        if plan.tier is not None and operation == "embeddings":
            raise Refused("no_capable_backend", _NO_TIER, param="model")
        lacking: dict[str, tuple[str, ...]] = {}
        unreadable: RequestError | None = None
        for attempt in plan.attempts:
            dialect = self._providers[attempt.backend.provider].speaking(operation)
            try:
                lacks = (operation,) if dialect is None else dialect.lacks(request, attempt.backend.model)
            except RequestError as problem:  # a dialect that has to read more of it than others do
                unreadable, lacks = problem, (problem.param or "messages",)
            if lacks:
                lacking[attempt.backend.id] = lacks
        if not lacking:
            return plan
        kept = tuple(attempt for attempt in plan.attempts if attempt.backend.id not in lacking)
        if not kept and unreadable is not None:
            raise Refused(unreadable.code, unreadable.message, param=unreadable.param)
        if not kept:
            raise _unfit(plan.attempts, lacking, request)
        return plan._replace(attempts=kept)

    def dialect(self, attempt: Attempt, operation: Operation) -> PlainUpstream:
        """What an attempt of a fitting plan is encoded in."""
        dialect = self._providers[attempt.backend.provider].speaking(operation)
        assert dialect is not None
        return dialect


def _unfit(
    attempts: tuple[Attempt, ...], lacking: Mapping[str, tuple[str, ...]], request: Canonical
) -> Refused:
    each = "; ".join(
        f"{attempt.backend.id} does not take {_listed(lacking[attempt.backend.id])}" for attempt in attempts
    )
    first = lacking[attempts[0].backend.id][0]
    # What is lacking may be the whole operation: then it is the model that should have been another one.
    param = first if _PATH.split(first, 1)[0] in request.members else "model"
    return Refused("no_capable_backend", f"no backend can serve this request: {each}", param=param)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
