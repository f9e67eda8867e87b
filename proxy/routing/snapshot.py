"""What a plan may know of the moment: figures frozen by the exchange, so that the policy needs no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

Circuit = Literal["closed", "due", "half_open", "open"]
"""`due`: open, but its cool-down is over and the next request may be its probe; `half_open`: a probe is under way."""


@dataclass(frozen=True, slots=True)
class BackendState:
    """One backend, as all gateways have met it.

    Attributes:
        availability: share of answers among the attempts that were the provider's responsibility, over 7 days.
        attempts_7d: how many those were.
        first_content_p50_ms, first_content_p95_ms, tokens_s: of recent answers, else of 7 days; `None` without any.
        speed_samples: how many answers these stand on.
        circuit: the worst that stands before every provider key that may be used.
        circuit_reason: why it is not closed: `errors`, `retry_after`, `auth`, `not_found`.
        open_for_s: until a probe may be sent; 0 unless open.
        in_flight, max_in_flight: requests that the provider has at this moment from this process, and how many it may
            have; `None`: any number.
        left_requests, limit_requests, left_tokens, limit_tokens: the provider's own rate limits, as its last answers
            said; `None`: it did not say.
        recent_attempts, recent_error_share: as availability, of the last five minutes; `None` without attempts.
        saturated_share: of 429s in the last five minutes; `None` without attempts.
    """

    availability: float = 0.99
    attempts_7d: int = 0
    first_content_p50_ms: float | None = None
    first_content_p95_ms: float | None = None
    tokens_s: float | None = None
    speed_samples: int = 0
    circuit: Circuit = "closed"
    circuit_reason: str | None = None
    open_for_s: float = 0.0
    in_flight: int = 0
    max_in_flight: int | None = None
    left_requests: int | None = None
    limit_requests: int | None = None
    left_tokens: int | None = None
    limit_tokens: int | None = None
    saturated_share: float | None = None
    recent_attempts: int = 0
    recent_error_share: float | None = None


UNKNOWN: Final = BackendState()
"""No data is not bad health."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """All backends at one moment; read about once a second.

    Attributes:
        age_s: how old the shared figures are; infinite before the first could be read.
        backends: by the backend's id; those nobody has met are left out.
    """

    age_s: float = float("inf")
    backends: Mapping[str, BackendState] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, backend_id: str) -> BackendState:
        """The figures; the neutral ones of a backend that nobody has met."""
        return self.backends.get(backend_id, UNKNOWN)


class Settled(NamedTuple):
    """The tier that a conversation has come to, where it has one; see `Plan` for the words."""

    tier: str
    raised: bool = False
    because: str = ""


class Warm(NamedTuple):
    """Where the prompt of a conversation is in a provider's cache, and how much of it."""

    backend_id: str
    cached_tokens: int


class Barred(dict[str, frozenset[str]]):
    """Providers that have no key for the customer in a tier, by the tier; the empty name is for named models."""

    def __missing__(self, tier: str) -> frozenset[str]:
        return frozenset()


NOBODY: Final = Barred()
"""Every provider has a key for everybody."""


class Snapshot(NamedTuple):
    """The moment of one choice.

    Attributes:
        today: models whose last day is before it are passed over in tiers; `None`: none is.
        barred: see `Barred`.
        dollars: the subject has a limit in dollars, so that every price must be known.
        spendable_microusd: what is left of it; `None`: nobody said.
        lower: a soft limit is reached and the customer's rule is to go down one tier.
        settled: the conversation's tier.
        warm: the conversation's cache.
    """

    conditions: Conditions = Conditions()
    today: date | None = None
    barred: Barred = NOBODY
    dollars: bool = False
    spendable_microusd: int | None = None
    lower: bool = False
    settled: Settled | None = None
    warm: Warm | None = None
