"""What is measured, as functions of arrays. Nothing here knows a set or a model."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

_RESAMPLES: Final = 200
_SHUFFLES: Final = 200
_BINS: Final = 10


def recovered(scores: Any, cheap: Any, dear: Any) -> Any:
    """Mean quality as ever more requests, hardest by `scores` first, go to the dear model: n + 1 points.

    Of requests with equal scores each is as likely as another to go first.
    """
    order = np.argsort(-scores, kind="stable")
    gains = (dear - cheap)[order].astype(float)
    sorted_scores = scores[order]
    first = 0
    for last in range(1, len(gains) + 1):  # equal scores share their gain
        if last == len(gains) or sorted_scores[last] != sorted_scores[first]:
            gains[first:last] = gains[first:last].mean()
            first = last
    return cheap.mean() + np.concatenate([[0.0], np.cumsum(gains)]) / len(gains)


def apgr(scores: Any, cheap: Any, dear: Any) -> float:
    """Area of the performance gap recovered; 0.5 is what a random order recovers, and nan where there is no gap."""
    curve = recovered(scores, cheap, dear)
    gap = curve[-1] - curve[0]
    return float(np.mean((curve - curve[0]) / gap)) if gap else float("nan")


def calls_for(share: float, scores: Any, cheap: Any, dear: Any) -> float:
    """The least share of calls to the dear model that recovers `share` of the gap (CPT)."""
    curve = recovered(scores, cheap, dear)
    reached = (curve - curve[0]) / (curve[-1] - curve[0]) >= share
    return float(np.argmax(reached)) / (len(curve) - 1)


def cost_at(quality: float, scores: Any, cheap: Any, dear: Any, costs: tuple[Any, Any]) -> float:
    """Cost, as a share of the dear model's alone, at which its quality is reached to the share `quality`."""
    curve = recovered(scores, cheap, dear)
    order = np.argsort(-scores, kind="stable")
    spent = costs[0].sum() + np.concatenate([[0.0], np.cumsum((costs[1] - costs[0])[order])])
    at = int(np.argmax(curve >= quality * curve[-1]))
    return float(spent[at] / costs[1].sum())


def lift(said: Any, truth: Any) -> float:
    """Share of verdicts at least as high as the truth, less the same for the verdicts shuffled."""
    dice = np.random.default_rng(0)
    shuffled = [float(np.mean(dice.permutation(said) >= truth)) for _ in range(_SHUFFLES)]
    return float(np.mean(said >= truth)) - float(np.mean(shuffled))


def calibration(confidence: Any, right: Any) -> list[tuple[float, float, int]]:
    """Per bin of confidence: what was said, what was found, how many."""
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    return [
        (float(confidence[own].mean()), float(right[own].mean()), int(own.sum()))
        for each in range(_BINS)
        if (own := bins == each).any()
    ]


def calibration_error(confidence: Any, right: Any) -> float:
    """Expected calibration error over ten bins of equal width."""
    bins = calibration(confidence, right)
    total = sum(count for _, _, count in bins)
    return sum(abs(said - found) * count for said, found, count in bins) / max(total, 1)


def interval(measure: Callable[[Any], float], rows: int) -> tuple[float, float]:
    """95 % of bootstrap resamples of `measure`, a function of row numbers, lie between these."""
    dice = np.random.default_rng(0)
    found = [measure(dice.integers(0, rows, rows)) for _ in range(_RESAMPLES)]
    ends: Any = np.nanpercentile(found, [2.5, 97.5])
    return float(ends[0]), float(ends[1])


def share_interval(hits: int, rows: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if not rows:
        return 0.0, 1.0
    z, share = 1.96, hits / rows
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z * ((share * (1 - share) + z * z / (4 * rows)) / rows) ** 0.5 / (1 + z * z / rows)
    return max(0.0, middle - half), min(1.0, middle + half)


def precision_recall(
    said: Sequence[str | None], truth: Sequence[str | None], label: str
) -> tuple[float, float, int]:
    """Precision, recall and how many rows truly are `label`."""
    both = sum(one == label == other for one, other in zip(said, truth, strict=True))
    named = sum(one == label for one in said)
    true = sum(other == label for other in truth)
    return both / named if named else 0.0, both / true if true else 0.0, true


def f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
