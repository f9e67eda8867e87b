"""From an ask to a verdict: rules, scorer, then either a micro-classifier's answer or the middle."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from classifiers.rules import Rules
from classifiers.scorer import Opinion, Scorer
from classifiers.types import COMPLEXITIES, GENERAL, Ask, Complexity, Undecided, Verdict

# After so many results of tools for one ask, an agent is at work on its own and needs a model that can carry it.
_AGENTIC_STEPS: Final = 8


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When the scorer is believed, per mode.

    Attributes:
        most_risk: of an open ask's verdict being too low; above it the scorer does not decide.
        least_confidence: in the verdict on an open ask; below it the scorer does not decide: doubt would raise the
            tier, and the middle is the better guess.
        least_complex_confidence: the same where the verdict is complex, which nothing can raise.
        least_exam_confidence: the same for closed questions.
        ask_micro_below: confidence under which a micro-classifier is worth its price, when one is configured.
    """

    most_risk: float = 0.2
    least_confidence: float = 0.6
    least_complex_confidence: float = 0.5
    least_exam_confidence: float = 0.3
    ask_micro_below: float = 0.6


# Frugal and premium have one tier whatever the verdict is: nothing is asked.
THRESHOLDS: Final[dict[str, Thresholds]] = {
    "frugal": Thresholds(ask_micro_below=0.0),
    "balanced": Thresholds(),
    "premium": Thresholds(ask_micro_below=0.0),
}


class Cascade:
    """Rules, then the scorer. Frozen once built; `judge` has no other input than its arguments."""

    def __init__(self, rules: Rules, scorer: Scorer) -> None:
        self._rules: Final = rules
        self._scorer: Final = scorer

    def judge(self, ask: Ask, thresholds: Thresholds) -> Verdict | Undecided:
        """A verdict, or Undecided where a micro-classifier should be asked (never where its threshold is 0)."""
        if not ask.text:
            return _left_open(_default(GENERAL), thresholds)
        spoken = self._rules.match(ask)
        if spoken is not None and spoken.domain != GENERAL:
            return _floored(spoken, ask)
        opinion = self._scorer.score(ask)
        if spoken is not None:
            return _floored(spoken if opinion is None else _named(spoken, opinion), ask)
        if opinion is None:
            return _left_open(_default(GENERAL), thresholds)
        if not _believed(opinion, thresholds):
            return _left_open(_floored(_default(_domain(opinion, ask), opinion), ask), thresholds)
        verdict = _floored(
            Verdict(
                opinion.complexity,
                opinion.task_type,
                _domain(opinion, ask),
                round(opinion.confidence, 4),
                "scorer",
            ),
            ask,
        )
        return _left_open(verdict, thresholds) if verdict.confidence < thresholds.ask_micro_below else verdict


def _left_open(fallback: Verdict, thresholds: Thresholds) -> Verdict | Undecided:
    """Undecided, or the fallback itself where a micro-classifier is never asked."""
    return Undecided(fallback) if thresholds.ask_micro_below > 0 else fallback


def settled(judged: Verdict | Undecided) -> Verdict:
    """The verdict without a micro-classifier."""
    return judged.fallback if isinstance(judged, Undecided) else judged


def _believed(opinion: Opinion, thresholds: Thresholds) -> bool:
    # A closed question's difficulty is anybody's guess; the guess with its low confidence beats the middle.
    if opinion.exam:
        return opinion.confidence >= thresholds.least_exam_confidence
    if opinion.complexity == COMPLEXITIES[-1]:
        return opinion.confidence >= thresholds.least_complex_confidence
    return opinion.confidence >= thresholds.least_confidence and opinion.risk <= thresholds.most_risk


def _named(spoken: Verdict, opinion: Opinion) -> Verdict:
    """A rule that knows the complexity but not what the request is about leaves that to the scorer."""
    return replace(spoken, domain=opinion.domain)


def _domain(opinion: Opinion, ask: Ask) -> str:
    if opinion.domain == GENERAL and ask.refers and "code" in ask.facts.materials:
        return "code"
    return opinion.domain


def _default(domain: str, opinion: Opinion | None = None) -> Verdict:
    return Verdict("moderate", "other" if opinion is None else opinion.task_type, domain, 0.0, "default")


def least_complexity(ask: Ask) -> Complexity:
    """An agent far into its work is not handed to the cheapest model for a short ask."""
    return COMPLEXITIES[0] if ask.facts.tool_steps < _AGENTIC_STEPS else COMPLEXITIES[1]


def _floored(verdict: Verdict, ask: Ask) -> Verdict:
    least = least_complexity(ask)
    return verdict if verdict.complexity != COMPLEXITIES[0] else replace(verdict, complexity=least)


def entry(verdict: Verdict, tiers: Sequence[str], min_confidence: float) -> tuple[str, bool]:
    """The tier that a mode's list gives a verdict, and whether doubt raised it.

    Args:
        tiers: for simple, moderate, complex.
        min_confidence: a verdict below it moves one entry up; the default verdict never does.
    """
    at = COMPLEXITIES.index(verdict.complexity)
    if verdict.source == "default" or verdict.confidence >= min_confidence:
        return tiers[at], False
    raised = tiers[min(at + 1, len(COMPLEXITIES) - 1)]
    return raised, raised != tiers[at]
