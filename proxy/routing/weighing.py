"""Each candidate of a request: dropped with a reason, or kept with the figures that order it. The hot loop."""

from collections.abc import Sequence
from math import inf
from typing import Final, NamedTuple

from proxy.routing.filters import refusals
from proxy.routing.plans import Dropped, Kept, Line
from proxy.routing.ranking import WEIGHTS, Field, rates_by
from proxy.routing.shelf import BELOW, Places, Shelf
from proxy.routing.snapshot import Snapshot
from proxy.routing.standing import SATURATED, TOO_LONG, Standing
from proxy.routing.types import Facts, Verdict
from proxy.routing.wishes import Wishes

_BANDS: Final = 6
"""Three of quality, times two of health."""


class Weighing(NamedTuple):
    """One request over candidates.

    Attributes:
        output_tokens: of all answers, as expected.
        providers: all there are, in lower case.
        tier: that was chosen, for keys that are kept for tiers.
    """

    facts: Facts
    wishes: Wishes
    verdict: Verdict
    snapshot: Snapshot
    output_tokens: int
    providers: frozenset[str]
    tier: str | None

    def of(self, lines: Sequence[Line]) -> tuple[list[Kept], list[Dropped]]:
        """All candidates, each line's in the order of its list."""
        kept: list[Kept] = []
        dropped: list[Dropped] = []
        for number, line in enumerate(lines):
            self._line(line, number, kept, dropped)
        return kept, dropped

    def _line(self, line: Line, number: int, kept: list[Kept], dropped: list[Dropped]) -> None:
        facts, wishes, snapshot, shelf = self.facts, self.wishes, self.snapshot, line.shelf
        guess_tokens = facts.prompt_tokens + (facts.output_limit_tokens or 0)
        request_tokens = facts.prompt_tokens + self.output_tokens
        standings = shelf.standings(snapshot.conditions)
        grades = shelf.grades(self.verdict.domain, self.verdict.task_type)
        tier = None if shelf.tier is None else self.tier
        refused = refusals(shelf, standings, facts, wishes, snapshot, tier, self.providers, request_tokens)
        bands = _bands(shelf, standings, wishes, 0 if wishes.pooled else number)
        field = Field(
            shelf.rows, standings, grades, shelf.weights or WEIGHTS, facts, self.output_tokens, snapshot.warm
        )
        rates = rates_by(line.ordering, field)
        ordered = line.ordering == "order"
        for row, standing, grade, first_band, rated in zip(
            shelf.rows, standings, grades, bands, rates, strict=True
        ):
            if row.place in refused:
                dropped.append((row, refused[row.place]))
                continue
            group = standing.group
            if guess_tokens > row.context_tokens:
                group = TOO_LONG
            elif group < SATURATED and (
                request_tokens > standing.left_tokens or (standing.full and not ordered)
            ):
                group = SATURATED
            band = first_band + 2 * grade.band
            if not ordered:
                band += standing.unwell
            rate = -(grade.quality or 0.0) if grade.band == BELOW else rated
            kept.append((group, band, rate, row, standing, grade, number))


def _bands(shelf: Shelf, standings: Sequence[Standing], wishes: Wishes, line: int) -> Sequence[int]:
    """Of each candidate the band it begins in: by its line, then `order`, then whether it is late."""
    order = wishes.order
    watched = wishes.min_throughput_tokens_s or wishes.max_latency_s
    if not order and not watched:
        return [line * _BANDS] * len(shelf.rows)
    first = line * (len(order) + 1)
    bands = [(first + len(order)) * 2 * _BANDS] * len(shelf.rows)
    for number in reversed(range(len(order))):  # of several names that mean a candidate the first counts
        for place in shelf.named.get(order[number], ()):
            bands[place] = (first + number) * 2 * _BANDS
    for place in _late(standings, wishes) if watched else ():
        bands[place] += _BANDS
    return bands


def _late(standings: Sequence[Standing], wishes: Wishes) -> Places:
    """Those that are known to be slower than was wished."""
    least_tokens_s = max((least for _, least in wishes.min_throughput_tokens_s), default=0.0)
    # Two percentiles are kept; those between and above count as the higher.
    most_p50_ms = min((most_s for name, most_s in wishes.max_latency_s if name == "p50"), default=inf) * 1000
    most_p95_ms = min((most_s for name, most_s in wishes.max_latency_s if name != "p50"), default=inf) * 1000
    return [
        place
        for place, standing in enumerate(standings)
        if standing.measured_tokens_s < least_tokens_s
        or standing.p50_ms > most_p50_ms
        or standing.p95_ms > most_p95_ms
    ]
