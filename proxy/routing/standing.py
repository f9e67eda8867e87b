"""How a backend does at one moment: its figures, blended with first guesses, as the choice compares them."""

from dataclasses import dataclass
from math import inf
from typing import Final

from proxy.routing.catalogue.types import Model
from proxy.routing.snapshot import BackendState

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


@dataclass(frozen=True, slots=True)
class Standing:
    """One candidate at one moment.

    Attributes:
        group: USABLE, SATURATED or OPEN, for a request of no tokens.
        full: all its places were taken a moment ago. Where the order is the operator's or the client's own this
            puts nobody back: dispatch knows it better, and a queue may be worth waiting in.
        unwell: 1 where availability is below WELL, over 7 days or of late.
        left_tokens: of the provider's own limit.
        scarce: nothing but the reserved share is left, so that low priority may not use it.
        scarce_tokens: a request of more than these would use the reserved share.
        speed_share: its speed as a part of itself and a usual one.
        busy: share of its places that are taken.
        measured_tokens_s, p50_ms, p95_ms: speed and times to first content without any guess; infinitely good where
            nobody measured.
    """

    group: int
    full: bool
    unwell: int
    availability: float
    speed_tokens_s: float
    speed_share: float
    first_content_ms: float
    left_tokens: int
    scarce: bool
    scarce_tokens: int
    busy: float
    measured_tokens_s: float
    p50_ms: float
    p95_ms: float


def standing(model: Model, state: BackendState) -> Standing:
    """What a backend's figures mean."""
    full = state.max_in_flight is not None and state.in_flight >= state.max_in_flight
    spent = state.left_requests is not None and state.left_requests < 1
    group = SATURATED if spent else USABLE
    if state.circuit in ("open", "half_open"):
        group = OPEN
    left = UNLIMITED if state.left_tokens is None else state.left_tokens
    speed_tokens_s = _blended(
        model.speed_tokens_s or SPEED_REFERENCE_TOKENS_S, state.tokens_s, state.speed_samples
    )
    reserve = RESERVED_SHARE * (state.limit_tokens or 0)
    return Standing(
        group,
        full,
        int(min(state.availability, availability_of_late(state)) < WELL),
        max(min(round(state.availability, 2), GOOD), 0.01),
        speed_tokens_s,
        speed_tokens_s / (speed_tokens_s + SPEED_REFERENCE_TOKENS_S),
        _blended(FIRST_CONTENT_REFERENCE_MS, state.first_content_p50_ms, state.speed_samples),
        left,
        _scarce(state),
        left if left == UNLIMITED else int(left - reserve),
        state.in_flight / (state.max_in_flight or BUSY_REFERENCE),
        inf if state.tokens_s is None else state.tokens_s,
        0.0 if state.first_content_p50_ms is None else state.first_content_p50_ms,
        0.0 if state.first_content_p95_ms is None else state.first_content_p95_ms,
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
