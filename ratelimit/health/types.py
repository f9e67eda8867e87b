"""What this part gives out: frozen values, for a policy that has no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Final, Literal

from ratelimit.health.summary import NEUTRAL_AVAILABILITY, Kind

State = Literal["closed", "due", "half_open", "open"]
"""From good to bad. `due`: open, its cool-down is over, and one probe may be taken. `half_open`: one is under way."""

BADNESS: Final[Mapping[State, int]] = {"closed": 0, "due": 1, "half_open": 2, "open": 3}

Reason = Literal["errors", "retry_after", "auth", "not_found"]


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """When a circuit opens on errors: `error_ratio` of at least `min_requests` within a minute; `cool_down_s` then.

    A `cool_down_s` of 0 means that none opens, whatever the reason.
    """

    error_ratio: float = 0.5
    min_requests: int = 10
    cool_down_s: float = 10.0


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """What a circuit is of: a backend, a provider's key, or the two together where neither alone is to blame.

    Ids are opaque, hold no line break, and are never a secret; the empty one means any.
    """

    backend: str
    provider_key_id: str


@dataclass(frozen=True, slots=True)
class Circuit:
    """One that is not closed. Times are of the gateway's own clock.

    Attributes:
        open_until_s: end of the cool-down.
        cool_down_s: how long it was; a probe that fails doubles it.
        token: of the probe under way, or of the last one.
        leased_until_s: until then nobody else probes.
    """

    open_until_s: float
    cool_down_s: float
    reason: Reason
    token: str = ""
    leased_until_s: float = -inf

    def state_at(self, now_s: float) -> State:
        if now_s < self.open_until_s:
            return "open"
        return "half_open" if now_s < self.leased_until_s else "due"


@dataclass(frozen=True, slots=True)
class CircuitState:
    """What stands between a request and a backend over one key.

    Attributes:
        open_for_s: until a probe may be taken; 0 unless `open`.
        reason: why it opened, of the worst of the circuits concerned; None when closed.
    """

    state: State
    open_for_s: float = 0.0
    reason: Reason | None = None


CLOSED: Final = CircuitState("closed")


@dataclass(frozen=True, slots=True)
class Speed:
    """Of the attempts that had content. None: nothing was seen.

    Attributes:
        samples: how many first contents were timed.
        first_content_p50_ms, first_content_p95_ms: within 9.6 %.
        tokens_s_p50: output tokens over the whole attempt's time, of answers of 32 tokens and more; within 9.6 %.
    """

    samples: int = 0
    first_content_p50_ms: float | None = None
    first_content_p95_ms: float | None = None
    tokens_s_p50: float | None = None


@dataclass(frozen=True, slots=True)
class BackendHealth:
    """What is known of a backend.

    Attributes:
        availability_7d: see `summary.shrunk`; 0.99 when nothing is known.
        attempts_7d: those that were the provider's responsibility: answered ones and faults.
        outcomes_7d: all, by kind.
        recent_attempts: as `attempts_7d`, of the last five minutes.
        recent_error_share: faults among them; None without any.
        recent_saturated_share: 429s among them and the 429s; None without any.
        speed_7d: of the same 168 hours as the outcomes.
        speed_recent: of the current hour and the one before.
    """

    availability_7d: float = NEUTRAL_AVAILABILITY
    attempts_7d: int = 0
    outcomes_7d: Mapping[Kind, int] = field(default_factory=dict)
    recent_attempts: int = 0
    recent_error_share: float | None = None
    recent_saturated_share: float | None = None
    speed_7d: Speed = Speed()
    speed_recent: Speed = Speed()


NEUTRAL: Final = BackendHealth()


@dataclass(frozen=True, slots=True)
class HealthSnapshot:
    """Everything a plan may look at, at one moment.

    Attributes:
        now_s: that moment, of the gateway's own clock.
        age_s: how old the figures are; infinite before the first could be read. Circuits are never older than
            the store's silence: what this gateway meets itself is in them at once.
        backends: those that are watched and were read.
        circuits: those that are not closed.
    """

    now_s: float
    age_s: float
    backends: Mapping[str, BackendHealth]
    circuits: Mapping[Target, Circuit]

    def backend(self, backend: str) -> BackendHealth:
        """The figures; the neutral ones of a backend that nobody knows."""
        return self.backends.get(backend, NEUTRAL)

    def circuit(self, backend: str, provider_key_id: str | None) -> CircuitState:
        """The worst of the circuits that concern an attempt: the backend's, the key's, and that of both."""
        if not self.circuits:
            return CLOSED
        worst = CLOSED
        for target in targets(backend, provider_key_id):
            circuit = self.circuits.get(target)
            if circuit is not None:
                state = circuit.state_at(self.now_s)
                open_for_s = max(0.0, circuit.open_until_s - self.now_s)
                if (BADNESS[state], open_for_s) > (BADNESS[worst.state], worst.open_for_s):
                    worst = CircuitState(state, open_for_s, circuit.reason)
        return worst


def targets(backend: str, provider_key_id: str | None) -> tuple[Target, ...]:
    """All that an attempt over this key concerns."""
    if not provider_key_id:
        return (Target(backend, ""),)
    return (Target(backend, ""), Target("", provider_key_id), Target(backend, provider_key_id))


@dataclass(frozen=True, slots=True)
class Probe:
    """The right to try what is open. Pass it to `note` with the attempt's outcome."""

    token: str
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A circuit opened, stayed open because a probe failed, or closed. Told once, by the gateway that caused it."""

    target: Target
    what: Literal["opened", "reopened", "closed"]
    reason: Reason

    @property
    def alert(self) -> bool:
        """True when somebody has to act: a credential was refused."""
        return self.what == "opened" and self.reason == "auth"
