"""Clocks that stand still until a test moves them."""

from dataclasses import dataclass

# Far above what an answer takes, so that a busy machine fails no test; where the time-out is the matter,
# the test sets its own.
PATIENT_MS = 5000


@dataclass
class Clock:
    """Seconds."""

    now: float

    def __call__(self) -> float:
        return self.now


@dataclass
class Offset:
    """Whole microseconds, added to the server's clock."""

    us: int = 0

    def __call__(self) -> int:
        return self.us
