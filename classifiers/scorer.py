"""The scorer: linear models over sparse features, in plain Python.

One dictionary look-up per feature. The weights of one feature for all outputs are packed into one large integer, a lane
of 32 bits each, so adding up a text is one sum of integers however many outputs there are.

Two kinds of ask are told apart. *Open* ones are judged by their form, as people who labelled requests did. *Exam* ones
(closed questions with one right answer) are judged by what cheap and dear models really solved; from the text alone
that is hardly predictable, and the confidence says so.
"""

import math
import struct
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from typing import Final

from classifiers.features import features, is_piece
from classifiers.linear import Literals
from classifiers.types import COMPLEXITIES, GENERAL, TASK_TYPES, Ask, Complexity, TaskType
from classifiers.weights_file import Block, Weights, from_bytes

_LANE_BYTES: Final = 4
_ZERO: Final = 128  # the byte that stands for a weight of nothing
# Being too cheap costs more than being too dear: a class counts so much when the verdict is chosen.
CAUTION: Final = (1.0, 1.5, 1.6)
# A domain less probable than this is not named.
_LEAST_DOMAIN: Final = 0.35
# With fewer known words than this the text says nothing to the scorer.
_LEAST_KNOWN: Final = 2


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the scorer makes of an ask."""

    complexity: Complexity
    confidence: float  # estimated probability that `complexity` is right
    risk: float  # estimated probability that the truth is harder than `complexity`
    task_type: TaskType
    domain: str
    exam: bool  # a closed question; judged by outcomes
    difficulty: float  # 0..1: share of asks on which a dear model gains less over a cheap one
    probabilities: tuple[float, float, float]  # of COMPLEXITIES, before calibration


@dataclass(frozen=True, slots=True)
class _Table:
    rows: dict[str, int]
    names: frozenset[str]
    scales: tuple[float, ...]

    def sums(
        self, found: Iterable[str], pieces: Sequence[str], unpack: Callable[[int], Sequence[int]]
    ) -> tuple[int, Sequence[int]]:
        """How many of `found` are known, and the sum of their bytes per output. `pieces` are known."""
        known = self.names.intersection(found)
        if pieces:
            known = known.union(pieces)
        return len(known), unpack(sum(map(self.rows.__getitem__, known)))


class Scorer:
    """Frozen once built; `score` is safe from any thread. Building takes some tens of milliseconds."""

    def __init__(self, weights: Weights) -> None:
        self._weights: Final = weights
        self._words: Final = _table(weights.blocks["words"])
        self._pieces: Final = Literals(filter(is_piece, weights.blocks["words"].names))
        self._forms: Final = _table(weights.blocks["forms"])
        self._material: Final = _table(weights.blocks["material"])
        self._heads: Final = _heads(weights.outputs)
        self._lanes: Final = struct.Struct(f"<{len(weights.outputs)}I")
        self._domains: Final = tuple(label for head, label in weights.outputs if head == "domain")

    def logits(self, ask: Ask) -> tuple[list[float], int]:
        """One number per output, and how many words of the ask are known."""
        seen = features(ask)
        pieces = self._pieces(seen.runs) if seen.runs else ()
        known, words = self._words.sums(seen.words, pieces, self._unpack)
        forms_known, forms = self._forms.sums(seen.forms, (), self._unpack)
        share = 1.0 / math.sqrt(known) if known else 0.0
        zero, forms_zero = _ZERO * known, _ZERO * forms_known
        values = [
            bias + (word - zero) * word_scale * share + (form - forms_zero) * form_scale
            for bias, word, word_scale, form, form_scale in zip(
                self._weights.biases, words, self._words.scales, forms, self._forms.scales, strict=True
            )
        ]
        if seen.material:
            count, sums = self._material.sums(seen.material, (), self._unpack)
            part = 1.0 / math.sqrt(count) if count else 0.0
            for at, (lane, scale) in enumerate(zip(sums, self._material.scales, strict=True)):
                values[at] += (lane - _ZERO * count) * scale * part
        return values, known

    def score(self, ask: Ask) -> Opinion | None:
        """The opinion on an ask, or None when its text says too little."""
        logits, known = self.logits(ask)
        return None if known < _LEAST_KNOWN else self.opinion(logits)

    def opinion(self, logits: Sequence[float]) -> Opinion:
        """What the outputs mean together."""
        exam = 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, logits[self._heads["exam"][0]]))))
        form, outcome = self._softmax(logits, "form"), self._softmax(logits, "outcome")
        mixed = [exam * closed + (1.0 - exam) * open_ for closed, open_ in zip(outcome, form, strict=True)]
        chosen = max(range(3), key=lambda at: mixed[at] * CAUTION[at])
        kind = calibration_kind(COMPLEXITIES[chosen], exam=exam > 0.5)
        first, last = self._heads["task_type"]
        tasks = logits[first:last]
        domain = self._most_probable_domain(logits)
        return Opinion(
            COMPLEXITIES[chosen],
            _interpolated(self._weights.calibration.get(kind, ()), mixed[chosen]),
            sum(mixed[chosen + 1 :]),
            TASK_TYPES[tasks.index(max(tasks))],
            domain,
            exam > 0.5,
            self._difficulty(logits[self._heads["gain"][0]]),
            (mixed[0], mixed[1], mixed[2]),
        )

    def _most_probable_domain(self, logits: Sequence[float]) -> str:
        first, last = self._heads["domain"]
        own = logits[first:last]
        top = max(own)
        share = 1.0 / sum([math.exp(value - top) for value in own])
        return self._domains[own.index(top)] if share >= _LEAST_DOMAIN else GENERAL

    def _difficulty(self, gain: float) -> float:
        quantiles = self._weights.gain_quantiles
        if not quantiles:
            return 0.5
        at = bisect_left(quantiles, gain)
        if at in (0, len(quantiles)):
            return float(at > 0)
        below, above = quantiles[at - 1], quantiles[at]
        inside = (gain - below) / (above - below) if above > below else 0.0
        return (at - 1 + inside) / (len(quantiles) - 1)

    def _softmax(self, logits: Sequence[float], head: str) -> list[float]:
        first, last = self._heads[head]
        own = logits[first:last]
        top = max(own)
        powers = [math.exp(value - top) for value in own]
        total = sum(powers)
        return [power / total for power in powers]

    def _unpack(self, total: int) -> Sequence[int]:
        return self._lanes.unpack(total.to_bytes(self._lanes.size, "little"))


def calibration_kind(complexity: Complexity, *, exam: bool) -> str:
    """Under which name the calibration of a verdict stands: being wrong differs by both."""
    return f"{'exam' if exam else 'open'} {complexity}"


def load() -> Scorer:
    """The scorer with the weights that ship with this package."""
    return Scorer(from_bytes((files("classifiers") / "weights" / "scorer.bin").read_bytes()))


def _table(block: Block) -> _Table:
    rows = {name: _packed(row) for name, row in zip(block.names, block.rows, strict=True)}
    return _Table(rows, frozenset(rows), block.scales)


def _packed(row: bytes) -> int:
    spread = bytearray(_LANE_BYTES * len(row))
    spread[::_LANE_BYTES] = row
    return int.from_bytes(spread, "little")


def _heads(outputs: Sequence[tuple[str, str]]) -> dict[str, tuple[int, int]]:
    """Where each head's outputs begin and end; they stand together."""
    ranges: dict[str, tuple[int, int]] = {}
    for at, (head, _) in enumerate(outputs):
        first, _last = ranges.get(head, (at, at))
        ranges[head] = (first, at + 1)
    return ranges


def _interpolated(points: Sequence[tuple[float, float]], said: float) -> float:
    if not points:
        return said
    if said <= points[0][0]:  # below what was measured: towards nothing
        return points[0][1] * said / points[0][0] if points[0][0] > 0 else points[0][1]
    for (before, low), (after, high) in pairwise(points):
        if said <= after:
            return low + (high - low) * (said - before) / (after - before) if after > before else high
    return points[-1][1]
