"""How well models answer, 0 to 100, from benchmarks: by domain and by kind of task. docs/catalogue.md has the words.

An area's yardsticks are tests of LiveBench: a model's score as its distance from the mean of all models there, in
standard deviations. Any other benchmark of the area is brought to that scale by the models that both have measured, so
that a list of the fifty best does not make its last look bad (mean-sigma equating). The area is the mean of all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, pstdev
from types import MappingProxyType
from typing import Final

from proxy.routing.catalogue.benchmarks import Snapshot

SCALE: Final = "livebench"
"""The benchmark whose population counts."""

MIDDLE: Final = 65.0
POINTS: Final = 15.0
"""The mean model of the yardsticks has 65 points; one standard deviation is worth 15."""

MIN_PAIRS: Final = 8
"""With fewer models in common two scales are not tied together."""


@dataclass(frozen=True, slots=True)
class Area:
    """A domain and what measures it."""

    yardsticks: tuple[str, ...]
    others: tuple[str, ...]


AREAS: Final[Mapping[str, Area]] = MappingProxyType(
    {
        "code": Area(
            ("livebench:Coding", "livebench:Agentic Coding"), ("arena_code", "arena_text_stylectrl:coding")
        ),
        "math": Area(("livebench:Mathematics",), ("arena_text_stylectrl:math",)),
        "reasoning": Area(("livebench:Reasoning",), ("arena_text_stylectrl:hard_6",)),
        "writing": Area(("livebench:Language",), ("arena_text_stylectrl:creative_writing",)),
        "instructions": Area(("livebench:IF",), ("arena_text_stylectrl:if",)),
        "extraction": Area(("livebench:Data Analysis",), ()),
        "tools": Area(("livebench:Agentic Coding",), ("tau2:banking_knowledge",)),
    }
)

TASKS: Final[Mapping[str, Mapping[str, float]]] = MappingProxyType(
    {
        "code_review": {"code": 0.5, "reasoning": 0.3, "instructions": 0.2},
        "debugging": {"code": 0.6, "reasoning": 0.4},
        "generation": {"code": 0.7, "instructions": 0.3},
        "explanation": {"writing": 0.4, "reasoning": 0.4, "instructions": 0.2},
        "other": {
            "code": 0.2,
            "math": 0.15,
            "reasoning": 0.2,
            "writing": 0.15,
            "instructions": 0.2,
            "extraction": 0.1,
        },
    }
)
"""Shares of domains in a kind of task. Where some are unknown the others make it up, if they are half of it or more."""

BENCHMARKS: Final = frozenset(
    benchmark for area in AREAS.values() for benchmark in (*area.yardsticks, *area.others)
)


@dataclass(frozen=True, slots=True)
class Tie:
    """How a benchmark is brought to an area's scale.

    Attributes:
        pairs: how many models tie them; fewer than `MIN_PAIRS`, and the benchmark is left out.
    """

    slope: float
    offset: float
    pairs: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What came out.

    Attributes:
        quality: by model and kind of task or domain, whole points. A model without rows is not in it.
        ties: by area and benchmark.
    """

    quality: Mapping[str, Mapping[str, int]]
    ties: Mapping[tuple[str, str], Tie]


def measure(snapshot: Snapshot, models: frozenset[str]) -> Measured:
    """The quality of `models` as far as they were measured."""
    ties: dict[tuple[str, str], Tie] = {}
    deviations: dict[str, dict[str, float]] = {model: {} for model in models}
    for name, area in AREAS.items():
        yard = {
            model: fmean(found)
            for model, scores in snapshot.scores.items()
            if (found := _yardsticks(area, scores, snapshot))
        }
        for benchmark in area.others:
            ties[name, benchmark] = _tie(benchmark, yard, snapshot)
        for model in models & snapshot.scores.keys():
            values = [yard[model]] if model in yard else []
            for benchmark in area.others:
                tie, score = ties[name, benchmark], snapshot.scores[model].get(benchmark)
                if score is not None and tie.pairs >= MIN_PAIRS:
                    values.append(tie.slope * score + tie.offset)
            if values:
                deviations[model][name] = fmean(values)
    quality = {model: _points(found) for model, found in sorted(deviations.items()) if found}
    return Measured(quality, ties)


def _yardsticks(area: Area, scores: Mapping[str, float], snapshot: Snapshot) -> list[float]:
    """Distances from the mean; none unless all of the area's yardsticks were measured."""
    if not all(yardstick in scores for yardstick in area.yardsticks):
        return []
    populations = (snapshot.populations[yardstick] for yardstick in area.yardsticks)
    return [(scores[each.benchmark] - each.mean) / each.deviation for each in populations]


def _tie(benchmark: str, yard: Mapping[str, float], snapshot: Snapshot) -> Tie:
    pairs = [
        (snapshot.scores[model][benchmark], deviation)
        for model, deviation in sorted(yard.items())
        if benchmark in snapshot.scores[model]
    ]
    if len(pairs) < MIN_PAIRS:
        return Tie(0.0, 0.0, len(pairs))
    theirs, ours = zip(*pairs, strict=True)
    spread = pstdev(theirs)
    slope = pstdev(ours) / spread if spread else 0.0
    return Tie(slope, fmean(ours) - slope * fmean(theirs), len(pairs))


def _points(deviations: Mapping[str, float]) -> dict[str, int]:
    points: dict[str, int] = {}
    for task, shares in TASKS.items():
        known = {area: share for area, share in shares.items() if area in deviations}
        total = sum(known.values())
        if total >= 0.5:
            points[task] = _scaled(sum(deviations[area] * share for area, share in known.items()) / total)
    points |= {area: _scaled(deviations[area]) for area in AREAS if area in deviations}
    return points


def _scaled(deviation: float) -> int:
    return round(min(100.0, max(0.0, MIDDLE + POINTS * deviation)))
