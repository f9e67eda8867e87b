"""Each candidate of a request: dropped with a reason, or kept with the figures that order it. The hot loop."""

from collections.abc import Callable, Sequence
from typing import Final

from proxy.routing.filters import checks, is_named, too_small
from proxy.routing.plans import Dropped, Kept, Line
from proxy.routing.ranking import WEIGHTS, price_of, rate_by
from proxy.routing.shelf import BELOW, SATURATED, TOO_LONG, Row
from proxy.routing.snapshot import Snapshot
from proxy.routing.types import Facts, Verdict
from proxy.routing.wishes import Wishes

_BANDS: Final = 6
"""Three of quality, times two of health."""


class Weighing:
    """One request over candidates."""

    __slots__ = ("_facts", "_output_tokens", "_price", "_providers", "_snapshot", "_verdict", "_wishes")

    def __init__(
        self,
        facts: Facts,
        wishes: Wishes,
        verdict: Verdict,
        snapshot: Snapshot,
        output_tokens: int,
        providers: frozenset[str],
    ) -> None:
        """
        Args:
            output_tokens: of all answers, as expected.
            providers: all there are, in lower case.
        """
        self._facts = facts
        self._wishes = wishes
        self._verdict = verdict
        self._snapshot = snapshot
        self._output_tokens = output_tokens
        self._providers = providers
        self._price = price_of(facts, output_tokens, snapshot.warm)

    def of(self, lines: Sequence[Line], tier: str | None) -> tuple[list[Kept], list[Dropped]]:
        """All candidates, in no order.

        Args:
            tier: that was chosen, for keys that are kept for tiers.
        """
        kept: list[Kept] = []
        dropped: list[Dropped] = []
        first_place = 0
        for number, line in enumerate(lines):
            self._line(line, number, first_place, tier, kept, dropped)
            first_place += len(line.shelf.rows)
        return kept, dropped

    def _line(
        self,
        line: Line,
        number: int,
        first_place: int,
        tier: str | None,
        kept: list[Kept],
        dropped: list[Dropped],
    ) -> None:
        facts, shelf = self._facts, line.shelf
        limit = facts.output_limit_tokens or 0
        least = facts.least_prompt_tokens + limit
        guess = facts.prompt_tokens + limit
        request_tokens = facts.prompt_tokens + self._output_tokens
        further = checks(
            facts,
            self._wishes,
            self._snapshot,
            None if shelf.tier is None else tier,
            self._providers,
            request_tokens,
            named=shelf.tier is None,
        )
        first_band, band_of = self._bands(number)
        ordered = line.ordering == "order"
        rate_of = rate_by(line.ordering, self._price, shelf.weights or WEIGHTS, facts.request_id)
        standings = shelf.standings(self._snapshot.conditions)
        grades = shelf.grades(self._verdict.domain, self._verdict.task_type)
        for row, standing, grade in zip(shelf.rows, standings, grades, strict=True):
            if least > row.context_tokens or limit > row.output_tokens:
                dropped.append((row, too_small(row, least)))
                continue
            for check in further:
                drop = check(row, standing)
                if drop is not None:
                    dropped.append((row, drop))
                    break
            else:
                group = standing.group
                if guess > row.context_tokens:
                    group = TOO_LONG
                elif group < SATURATED and (
                    request_tokens > standing.left_tokens or (standing.full and not ordered)
                ):
                    group = SATURATED
                band = first_band if band_of is None else band_of(row)
                if not ordered:
                    band += standing.unwell
                below = grade.band
                band += 2 * below
                rate = -(grade.quality or 0.0) if below == BELOW else rate_of(row, standing, grade)
                kept.append((group, band, rate, first_place + row.place, row, standing, grade, number))

    def _bands(self, number: int) -> tuple[int, Callable[[Row], int] | None]:
        """The first band of a line, and how a candidate's is found where it depends on more than that."""
        wishes = self._wishes
        line = 0 if wishes.pooled else number
        order = wishes.order
        missed = self._missed() if wishes.min_throughput_tokens_s or wishes.max_latency_s else None
        if not order and missed is None:
            return line * _BANDS, None
        places = len(order) + 1

        def band(row: Row) -> int:
            place = next(
                (place for place, name in enumerate(order) if is_named(row.backend, (name,))), len(order)
            )
            late = missed is not None and missed(row)
            return ((line * places + place) * 2 + late) * _BANDS

        return line * places * 2 * _BANDS, band

    def _missed(self) -> Callable[[Row], bool]:
        """Whether a candidate is known to be slower than was wished."""
        wishes, conditions = self._wishes, self._snapshot.conditions

        def missed(row: Row) -> bool:
            state = conditions.of(row.backend_id)
            if state.tokens_s is not None and any(
                state.tokens_s < least for _, least in wishes.min_throughput_tokens_s
            ):
                return True
            for percentile, most_s in wishes.max_latency_s:
                # Two percentiles are kept; those between and above count as the higher.
                found = state.first_content_p50_ms if percentile == "p50" else state.first_content_p95_ms
                if found is not None and found > most_s * 1000:
                    return True
            return False

        return missed
