"""From what the store keeps of a backend to what is known of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

from ratelimit.health.packed import unpack_numbers, unpack_tally
from ratelimit.health.summary import (
    FAULTS,
    FIRST_CONTENT_MS,
    KINDS,
    SPEED_TOKENS_S,
    Tally,
    merged,
    outcomes,
    shrunk,
)
from ratelimit.health.types import NEUTRAL, BackendHealth, Speed

_RECENT_SLOTS: Final = 30
_NOTHING: Final[Mapping[int, int]] = {}


@dataclass(frozen=True, slots=True)
class _Worked:
    """Packed tallies (the past 167 hours, this hour, the one before), read, and what came of them."""

    packed: tuple[bytes | None, ...]
    tallies: tuple[Tally, ...]
    health: BackendHealth


_NEVER: Final = _Worked((None, None, None), (_NOTHING, _NOTHING, _NOTHING), NEUTRAL)


class Figures:
    """Works out each backend's figures, and anew only what has changed since."""

    __slots__ = ("_worked",)

    def __init__(self) -> None:
        self._worked: dict[str, _Worked] = {}

    def of(self, backend: str, reply: Sequence[object], slot: int) -> BackendHealth:
        """Args:
            reply: one backend's part of what `snapshot.lua` says.
            slot: the store's present ten seconds.

        Raises:
            StoreFault: it is not what the scripts pack.
        """
        packed = cast("tuple[bytes | None, ...]", tuple(reply[:3]))
        worked = self._worked.get(backend, _NEVER)
        if worked.packed != packed:
            # Of the three only the present hour changes often.
            tallies = tuple(
                known if old == new else _tally(new)
                for old, new, known in zip(worked.packed, packed, worked.tallies, strict=True)
            )
            worked = self._worked[backend] = _Worked(packed, tallies, _long(*tallies))
        recent = cast("bytes | None", reply[3])
        return worked.health if recent is None else _with_recent(worked.health, recent, slot)


def _tally(packed: bytes | None) -> Tally:
    return _NOTHING if packed is None else unpack_tally(packed)


def _long(week: Tally, this_hour: Tally, last_hour: Tally) -> BackendHealth:
    total = merged(week, this_hour)
    answered = total.get(KINDS["ok"], 0)
    failed = sum(total.get(KINDS[kind], 0) for kind in FAULTS)
    return BackendHealth(
        availability_7d=shrunk(answered, failed),
        attempts_7d=answered + failed,
        outcomes_7d=outcomes(total),
        speed_7d=_speed(total),
        speed_recent=_speed(merged(this_hour, last_hour)),
    )


def _speed(tally: Tally) -> Speed:
    p50_ms, p95_ms = FIRST_CONTENT_MS.quantiles(tally, 0.5, 0.95)
    (tokens_s,) = SPEED_TOKENS_S.quantiles(tally, 0.5)
    return Speed(
        samples=FIRST_CONTENT_MS.samples(tally),
        first_content_p50_ms=p50_ms,
        first_content_p95_ms=p95_ms,
        tokens_s_p50=tokens_s,
    )


def _with_recent(health: BackendHealth, packed: bytes, slot: int) -> BackendHealth:
    ring = unpack_numbers(packed)
    kept = [at for at in range(0, len(ring), 4) if ring[at] > slot - _RECENT_SLOTS]
    answered, failed, saturated = (sum(ring[at + place] for at in kept) for place in (1, 2, 3))
    attempts = answered + failed
    asked = attempts + saturated
    return replace(
        health,
        recent_attempts=attempts,
        recent_error_share=failed / attempts if attempts else None,
        recent_saturated_share=saturated / asked if asked else None,
    )
