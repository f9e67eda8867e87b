"""Candidates of a tier or a model, with all that can be worked out before a request comes."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, NamedTuple

from proxy.routing.catalogue.types import Backend, Catalogue, Model, Price, Strategy, Tier, Weights
from proxy.routing.snapshot import BackendState, Conditions
from proxy.routing.types import Attempt

UNLIMITED: Final = 2**62

WELL: Final = 0.9
"""Availability below which a backend stands behind all that are better: of ten attempts more than one fails."""

RECENT_WEIGHT: Final = 10
"""What 7 days weigh against the last five minutes, in attempts: where two fail in a row something is wrong."""

GOOD: Final = 0.99
"""Availability above which all are alike. Below it hundredths count: the last failure of one of two equals must not
send everybody to the other, and back."""

RESERVED_SHARE: Final = 0.2
"""The last share of a provider's limits, kept from requests of low priority."""

OBSERVATIONS: Final = 50
"""What a first guess of a speed weighs against measurements, in answers: with more of them these decide."""

SPEED_REFERENCE_TOKENS_S: Final = 100.0
"""A usual speed; also the guess where nobody said and nobody measured."""

FIRST_CONTENT_REFERENCE_MS: Final = 1000.0
"""The guess of the time to first content."""

BUSY_REFERENCE: Final = 100
"""How many requests a backend without `max_in_flight` counts as able to have."""

USABLE: Final = 0
SATURATED: Final = 1
OPEN: Final = 2
TOO_LONG: Final = 3
"""Groups that always stand one behind the other. The last: probably too long for its context."""

BELOW: Final = 2
"""The band of quality below the floor."""

_GRADES_KEPT: Final = 256


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate. `place`: in its list, from 0.

    Attributes:
        flat: prices per token of prompt and of answer, and per request; `None` where steps or nothing is known.
        context_tokens, output_tokens: UNLIMITED where unknown.
        lot: 64 bits of its own, to draw by.
    """

    place: int
    model: Model
    backend: Backend
    attempt: Attempt
    backend_id: str
    can: frozenset[str] | None
    context_tokens: int
    output_tokens: int
    flat: tuple[int, int, int] | None
    lot: int


class Standing(NamedTuple):
    """One candidate at one moment.

    Attributes:
        group: USABLE, SATURATED or OPEN, for a request of no tokens.
        full: all its places were taken a moment ago. Where the order is the operator's or the client's own this
            puts nobody back: dispatch knows it better, and a queue may be worth waiting in.
        unwell: 1 where availability is below WELL, over 7 days or of late.
        left_tokens: of the provider's own limit.
        scarce: nothing but the reserved share is left, so that low priority may not use it.
        scarce_tokens: a request of more than these would use the reserved share.
        busy: share of its places that are taken.
    """

    group: int
    full: bool
    unwell: int
    availability: float
    speed_tokens_s: float
    first_content_ms: float
    left_tokens: int
    scarce: bool
    scarce_tokens: int
    busy: float


class Grade(NamedTuple):
    """Quality for a kind of request. `band`: 0 from the floor, 1 nobody measured, 2 below the floor."""

    quality: float | None
    band: int


class Shelf:
    """Candidates in the order of their list. What it remembers only saves working it out again."""

    __slots__ = (
        "_conditions",
        "_grades",
        "_standings",
        "floor",
        "label",
        "repeats",
        "rows",
        "strategy",
        "tier",
        "weights",
    )

    def __init__(self, label: str, rows: tuple[Row, ...], tier: Tier | None) -> None:
        """
        Args:
            label: the tier's or the model's name.
            tier: `None` for the backends of one model, which run in the catalogue's order.
        """
        self.label = label
        self.rows = rows
        self.tier = tier
        self.repeats = len({row.backend_id for row in rows}) < len(rows)
        self.strategy: Strategy = "order" if tier is None else tier.strategy
        self.floor = 0.0 if tier is None else tier.floor
        self.weights: Weights | None = None if tier is None else tier.weights
        self._conditions: Conditions | None = None
        self._standings: tuple[Standing, ...] = ()
        self._grades: dict[tuple[str | None, str | None], tuple[Grade, ...]] = {}

    def standings(self, conditions: Conditions) -> tuple[Standing, ...]:
        """Of each row."""
        if conditions is not self._conditions:
            self._standings = tuple(standing(row.model, conditions.of(row.backend_id)) for row in self.rows)
            self._conditions = conditions
        return self._standings

    def grades(self, domain: str | None, task_type: str | None) -> tuple[Grade, ...]:
        """Of each row: for the domain where somebody measured it, else for the kind of task."""
        kind = (domain, task_type)
        grades = self._grades.get(kind)
        if grades is None:
            if len(self._grades) >= _GRADES_KEPT:
                self._grades.clear()
            grades = self._grades[kind] = tuple(
                _grade(row.model.quality_for(domain, task_type, "other"), self.floor) for row in self.rows
            )
        return grades


def shelf_of_tier(name: str, catalogue: Catalogue) -> Shelf:
    """All backends of a tier's models."""
    tier = catalogue.tiers[name]
    return Shelf(name, _rows((catalogue.models[each] for each in tier.models), f"tier={name}"), tier)


def shelf_of_model(name: str, catalogue: Catalogue) -> Shelf:
    """All backends of a model."""
    return Shelf(name, _rows((catalogue.models[name],), "named"), None)


def _rows(models: Iterable[Model], reason: str) -> tuple[Row, ...]:
    rows: list[Row] = []
    for model in models:
        for place, backend in enumerate(model.backends, 1):
            attempt = Attempt(backend, model.id, model.context_tokens, (reason, f"place {place} in the list"))
            rows.append(
                Row(
                    len(rows),
                    model,
                    backend,
                    attempt,
                    backend.id,
                    model.can,
                    model.context_tokens or UNLIMITED,
                    model.max_output_tokens or UNLIMITED,
                    _flat(backend.price),
                    hashed(backend.id),
                )
            )
    return tuple(rows)


def hashed(text: str) -> int:
    """64 bits that depend on nothing but the text."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def _flat(price: Price | None) -> tuple[int, int, int] | None:
    if price is None or price.steps:
        return None
    return price.input_picousd, price.output_picousd, price.per_request_picousd


def _grade(quality: float | None, floor: float) -> Grade:
    if not floor:
        return Grade(quality, 0)
    if quality is None:
        return Grade(None, 1)
    return Grade(quality, 0 if quality >= floor else BELOW)


def standing(model: Model, state: BackendState) -> Standing:
    """What a backend's figures mean."""
    full = state.max_in_flight is not None and state.in_flight >= state.max_in_flight
    spent = state.left_requests is not None and state.left_requests < 1
    group = SATURATED if spent else USABLE
    if state.circuit in ("open", "half_open"):
        group = OPEN
    left = UNLIMITED if state.left_tokens is None else state.left_tokens
    reserve = RESERVED_SHARE * (state.limit_tokens or 0)
    return Standing(
        group,
        full,
        int(min(state.availability, availability_of_late(state)) < WELL),
        max(min(round(state.availability, 2), GOOD), 0.01),
        _blended(model.speed_tokens_s or SPEED_REFERENCE_TOKENS_S, state.tokens_s, state.speed_samples),
        _blended(FIRST_CONTENT_REFERENCE_MS, state.first_content_p50_ms, state.speed_samples),
        left,
        _scarce(state),
        left if left == UNLIMITED else int(left - reserve),
        state.in_flight / (state.max_in_flight or BUSY_REFERENCE),
    )


def availability_of_late(state: BackendState) -> float:
    """Of the last five minutes; with few attempts in them near that of 7 days."""
    attempts = state.recent_attempts
    answered = attempts * (1 - (state.recent_error_share or 0.0))
    return (answered + RECENT_WEIGHT * state.availability) / (attempts + RECENT_WEIGHT)


def _scarce(state: BackendState) -> bool:
    if state.max_in_flight is not None and state.in_flight >= (1 - RESERVED_SHARE) * state.max_in_flight:
        return True
    if state.left_requests is None or not state.limit_requests:
        return False
    return state.left_requests <= RESERVED_SHARE * state.limit_requests


def _blended(guess: float, measured: float | None, samples: int) -> float:
    if measured is None:
        return guess
    return (guess * OBSERVATIONS + measured * samples) / (OBSERVATIONS + samples)
