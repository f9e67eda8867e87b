"""Health as the running gateway keeps it: written and read in the background, circuits told in the log and counted."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from proxy.exchange.attempts.conditions import Board
from proxy.exchange.upstream.backends import Providers
from proxy.exchange.upstream.headroom import Headroom
from proxy.routing.catalogue.types import Backend, Catalogue
from proxy.settings.schema import Breaker
from proxy.telemetry.metrics import Metrics, Watched
from ratelimit.health.health import Health
from ratelimit.health.types import BreakerRules, Change
from ratelimit.limits.settling import Settler
from ratelimit.store.errors import StoreFault, StoreUnavailable

RESTART_S: Final = 5.0
"""After a fault of ours: it will most likely be met again, and each time is a line in the log."""


class Log(Protocol):
    """A structured logger."""

    def info(self, event: str, **fields: object) -> object: ...
    def warning(self, event: str, **fields: object) -> object: ...
    def error(self, event: str, **fields: object) -> object: ...


def rules_of(breaker: Breaker) -> BreakerRules:
    """When circuits open, as the configuration says."""
    return BreakerRules(breaker.error_ratio, breaker.min_requests, breaker.cool_down_s)


def backends_of(catalogue: Catalogue) -> list[Backend]:
    """Each once, in the catalogue's order."""
    found = {backend.id: backend for model in catalogue.models.values() for backend in model.backends}
    return list(found.values())


class Keeper:
    """Keeps health up to date."""

    def __init__(self, health: Health, board: Callable[[], Board], metrics: Metrics, log: Log) -> None:
        """`board`: of the configuration that is served."""
        self._health = health
        self._board = board
        self._metrics = metrics
        self._log = log

    async def run(self) -> None:
        """Write, read and tell, until cancelled."""
        while True:
            try:
                await self._health.run(self.tell, on_round=lambda: self._board().refresh())
            except StoreFault as fault:
                self._log.error("health is not written; trying again", reason=str(fault), again_s=RESTART_S)
            await asyncio.sleep(RESTART_S)

    async def finish(self) -> None:
        """Write what was noted last."""
        try:
            await self._health.flush()
        except (StoreUnavailable, StoreFault) as problem:
            self._log.error("the last health figures were not written", reason=str(problem))
        self.tell(self._health.take_changes())

    def tell(self, changes: tuple[Change, ...]) -> None:
        """One line each. A refused credential is an error: somebody has to act."""
        for change in changes:
            said = {
                "backend": change.target.backend,
                "provider_key": change.target.provider_key_id,
                "reason": change.reason,
            }
            if change.alert:
                self._metrics.refused_credential(
                    backend=change.target.backend, key=change.target.provider_key_id
                )
                self._log.error("a provider refuses our credential", **said)
            elif change.what == "closed":
                self._log.info("circuit closed", **said)
            else:
                self._log.warning(f"circuit {change.what}", **said)


def watched(
    board: Board,
    headroom: Headroom,
    providers: Providers,
    settler: Settler,
    dropped: Sequence[tuple[str, int]],
) -> Watched:
    """What metrics show of providers, backends and settlements, and of what was `dropped`."""
    left = [
        (slot.backend, slot.key, kind, window.remaining)
        for slot, limits in headroom.now().items()
        for kind, window in (("requests", limits.requests), ("tokens", limits.tokens))
        if window is not None and window.remaining is not None
    ]
    taken = [
        (name, provider.places.in_flight, provider.places.waiting)
        for name, provider in providers.items()
        if provider.places is not None
    ]
    states = [(backend.id, board.conditions.of(backend.id)) for backend in board.backends]
    return Watched(
        left,
        taken,
        [(name, state.availability) for name, state in states],
        [(name, state.circuit != "closed") for name, state in states],
        list({key.id: key.refused for backend in board.backends for key in board.keys(backend)}.items()),
        settler.waiting,
        settler.overruns,
        dropped,
    )
