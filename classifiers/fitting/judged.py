"""Rows with the verdicts of the shipped cascade: what every measurement starts from."""

from collections.abc import Sequence
from dataclasses import dataclass

from classifiers.asking.messages import asked
from classifiers.cascade import THRESHOLDS, Cascade, entry, settled
from classifiers.fitting.rows import Row
from classifiers.rules import Rules
from classifiers.scorer import Scorer
from classifiers.types import COMPLEXITIES, Ask, Complexity, Verdict

TIERS = ("frugal", "balanced", "premium")
MIN_CONFIDENCE = 0.6


@dataclass(frozen=True, slots=True)
class Judged:
    """A row and what was made of it."""

    row: Row
    verdict: Verdict
    tier: str
    difficulty: float

    @property
    def decided(self) -> bool:
        return self.verdict.source != "default"

    @property
    def said(self) -> int:
        return COMPLEXITIES.index(self.verdict.complexity)

    def wrong(self, truth: Complexity) -> bool:
        return self.verdict.complexity != truth

    def too_low(self, truth: Complexity) -> bool:
        return self.said < COMPLEXITIES.index(truth)


class Judge:
    """The shipped cascade in mode balanced, without a micro-classifier."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._cascade = Cascade(Rules(), scorer)

    def verdict(self, ask: Ask) -> Verdict:
        return settled(self._cascade.judge(ask, THRESHOLDS["balanced"]))

    def judged(self, rows: Sequence[Row]) -> list[Judged]:
        return [self._one(row) for row in rows]

    def _one(self, row: Row) -> Judged:
        ask = asked(row.prompt)
        verdict = self.verdict(ask)
        opinion = self._scorer.score(ask)
        difficulty = 0.5 if opinion is None else opinion.difficulty
        return Judged(row, verdict, entry(verdict, TIERS, MIN_CONFIDENCE)[0], difficulty)
