"""Gateways as far as health goes: each with a view of its own on one store."""

from dataclasses import dataclass, field

from ratelimit.health.health import Health
from ratelimit.health.summary import Kind
from ratelimit.health.types import BreakerRules, Change, CircuitState, Probe
from ratelimit.store.store import Store
from tests.ratelimit.clocks import Clock, Offset

RULES = BreakerRules(error_ratio=0.5, min_requests=10, cool_down_s=10)
KEY = "provider/1"


class Times:
    """Moves the gateways' clock and the store's together. Begins at the middle of one of the store's hours."""

    def __init__(self, clock: Clock, offset: Offset) -> None:
        self.clock = clock
        self.offset = offset

    async def begin(self, store: Store, *, into_hour_s: float = 1800) -> None:
        seconds, microseconds = (int(part) for part in _parts(await store.call("TIME")))
        since_us = (seconds * 1_000_000 + microseconds) % 3_600_000_000
        self.offset.us = 3_600_000_000 - since_us + int(into_hour_s * 1_000_000)

    def pass_s(self, seconds: float) -> None:
        self.clock.now += seconds
        self.offset.us += int(seconds * 1_000_000)


def _parts(reply: object) -> list[bytes]:
    assert isinstance(reply, list)
    return reply


@dataclass
class Gateway:
    """Shortens what tests say often."""

    store: Store
    clock: Clock
    backends: tuple[str, ...] = ("a", "b")
    rules: BreakerRules = RULES
    told: list[Change] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.health = Health(self.store, backends=self.backends, rules=self.rules, clock_s=self.clock)

    def note(
        self,
        kind: Kind,
        times: int = 1,
        *,
        backend: str = "a",
        key: str | None = KEY,
        retry_after_s: float | None = None,
        probe: Probe | None = None,
    ) -> None:
        for _ in range(times):
            self.health.note(
                backend=backend,
                provider_key_id=key,
                kind=kind,
                retry_after_s=retry_after_s,
                probe=probe,
            )

    async def beat(self) -> None:
        """What happens about every second."""
        await self.health.flush()
        await self.health.read()
        self.told += self.health.take_changes()

    def circuit(self, backend: str = "a", key: str | None = KEY) -> CircuitState:
        return self.health.snapshot().circuit(backend, key)

    def state(self, backend: str = "a", key: str | None = KEY) -> str:
        return self.circuit(backend, key).state

    def whats(self) -> list[tuple[str, str, str, str]]:
        """The changes told so far, in short."""
        return [(c.target.backend, c.target.provider_key_id, c.what, c.reason) for c in self.told]
