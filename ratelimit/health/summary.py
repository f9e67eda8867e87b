"""Outcomes by kind and two summaries, all counts, so that any two of them are merged by adding.

A *tally* maps small indexes to counts: `KINDS` from 1 on, then the bins of first content, then those of speed.
Bins are 12 to a factor of ten, so a quantile is off by at most 9.6 % of its value (`RELATIVE_ERROR`). Every
index fits seven bits, which packs to one byte.
"""

from collections.abc import Mapping
from math import ceil, log10
from typing import Final, Literal

Kind = Literal[
    "ok",
    "overloaded",
    "unreachable",
    "timeout",
    "protocol",
    "rate_limited",
    "auth",
    "not_found",
    "bad_request",
    "client_gone",
    "cancelled",
]
"""How an attempt ended."""

# The order is stored: append, never reorder; up to 16.
KINDS: Final[Mapping[Kind, int]] = {
    "ok": 1,
    "overloaded": 2,
    "unreachable": 3,
    "timeout": 4,
    "protocol": 5,
    "rate_limited": 6,
    "auth": 7,
    "not_found": 8,
    "bad_request": 9,
    "client_gone": 10,
    "cancelled": 11,
}
FAULTS: Final[frozenset[Kind]] = frozenset({"overloaded", "unreachable", "timeout", "protocol"})
"""What counts against a backend: it was asked properly and did not answer."""

Tally = Mapping[int, int]

_BINS_PER_DECADE: Final = 12
_RATIO: Final = 10 ** (1 / _BINS_PER_DECADE)
RELATIVE_ERROR: Final = (_RATIO - 1) / (_RATIO + 1)
"""Of a quantile inside a scale's range: 0.0957."""


class Scale:
    """Logarithmic bins over `decades` factors of ten from `lowest` on, a power of ten.

    What lies below the range counts in the first bin, what lies above in the last.
    """

    __slots__ = ("_last_index", "_origin", "first_index", "highest", "lowest", "size")

    def __init__(self, *, first_index: int, lowest: float, decades: int) -> None:
        self.first_index = first_index
        self.lowest = lowest
        self.highest = lowest * 10.0**decades
        self.size = decades * _BINS_PER_DECADE
        self._last_index = first_index + self.size - 1
        self._origin = first_index - log10(lowest) * _BINS_PER_DECADE

    def index(self, value: float) -> int:
        """The bin of a value."""
        if value <= self.lowest:
            return self.first_index
        index = int(log10(value) * _BINS_PER_DECADE + self._origin)
        return min(self._last_index, index)

    def value(self, index: int) -> float:
        """The value that stands for a bin: the one with the smallest greatest relative error."""
        low = self.lowest * _RATIO ** (index - self.first_index)
        return 2 * low * _RATIO / (1 + _RATIO)

    def sorted(self, tally: Tally) -> list[tuple[int, int]]:
        """The scale's own bins with what they count, lowest first."""
        first, last = self.first_index, self._last_index
        return sorted([entry for entry in tally.items() if first <= entry[0] <= last])

    def samples(self, tally: Tally) -> int:
        """How many values were counted."""
        return sum([count for _, count in self.sorted(tally)])

    def quantiles(self, tally: Tally, *shares: float) -> list[float | None]:
        """For each share (above 0, at most 1): the smallest value that at least as many do not exceed.

        `shares` rise. None for all when nothing was counted.
        """
        bins = self.sorted(tally)
        total = sum([count for _, count in bins])
        if not total:
            return [None] * len(shares)
        values: list[float | None] = []
        seen = 0
        at = -1
        for share in shares:
            wanted = ceil(share * total)
            while seen < wanted:
                at += 1
                seen += bins[at][1]
            values.append(self.value(bins[at][0]))
        return values


FIRST_CONTENT_MS: Final = Scale(first_index=17, lowest=10.0, decades=5)
"""10 ms to 1,000 s."""
SPEED_TOKENS_S: Final = Scale(first_index=77, lowest=1.0, decades=4)
"""1 to 10,000 output tokens per second."""

LEAST_OUTPUT_TOKENS: Final = 32
"""A shorter answer tells how long a request takes to begin, not how fast tokens come: it has no speed."""

NEUTRAL_AVAILABILITY: Final = 0.99
"""Of a backend nobody knows: below one that is known to be good, above one that is known to fail."""
NEUTRAL_WEIGHT: Final = 50
"""How many attempts it takes for what was seen to weigh as much as the neutral value."""


def merged(*tallies: Tally) -> dict[int, int]:
    """The sum of tallies: as if everything had been counted in one."""
    total: dict[int, int] = {}
    for tally in tallies:
        for index, count in tally.items():
            total[index] = total.get(index, 0) + count
    return total


def outcomes(tally: Tally) -> dict[Kind, int]:
    """The counts by kind, without zeros."""
    return {kind: tally[index] for kind, index in KINDS.items() if tally.get(index)}


def shrunk(answered: int, failed: int) -> float:
    """Availability: `(answered + 0.99 * 50) / (answered + failed + 50)`.

    The mean of a Beta distribution that began with 50 attempts at the neutral value: 0.99 without any attempt,
    the plain share with many, never beyond either.
    """
    return (answered + NEUTRAL_AVAILABILITY * NEUTRAL_WEIGHT) / (answered + failed + NEUTRAL_WEIGHT)
