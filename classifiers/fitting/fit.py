"""Fits all heads, picks the features worth their bytes, rounds the weights, measures confidence on rows not fitted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from classifiers.fitting import corpus as c
from classifiers.fitting.labels import MEANINGS
from classifiers.fitting.regression import Linear, fit_ridge, fit_softmax
from classifiers.fitting.rows import Row
from classifiers.scorer import Scorer, calibration_kind
from classifiers.types import COMPLEXITIES, TASK_TYPES
from classifiers.weights_file import BLOCKS, Block, Weights

# Found by cross-validation over the prompts not held out.
_PENALTIES: Final = {
    "form": 1e-4,
    "outcome": 1e-3,
    "exam": 3e-5,
    "gain": 6e-3,
    "task_type": 3e-5,
    "domain": 3e-5,
}
# These judge the ask alone: what was pasted beside it must not move them.
_ASK_ALONE: Final = frozenset({"form", "exam", "task_type"})
_HEADS: Final = ("form", "outcome", "exam", "gain", "task_type", "domain")
_ROUNDS: Final = 60
_BELIEF: Final = 24.0
FOLDS: Final = 4
_STEPS: Final = 8  # of a calibration
_QUANTILES: Final = 33


@dataclass(frozen=True, slots=True)
class Fitted:
    """Heads over one vocabulary: columns of `linear` in the order of `outputs`."""

    outputs: tuple[tuple[str, str], ...]
    linear: Linear


def fit(rows: Sequence[Row], most_words: int, fitted_on: str) -> Weights:
    """Weights from `rows`, all of them: the caller leaves out what is held out."""
    corpus = c.Corpus.of(rows)
    wide = c.Vocabulary.of(corpus.found)
    first = _heads(corpus, wide.matrix(corpus.found), wide, None)
    vocabulary = c.Vocabulary.of(corpus.found, _worth_keeping(first, wide, most_words))
    matrix = vocabulary.matrix(corpus.found)
    final = _heads(corpus, matrix, vocabulary, None)
    weights = _rounded(final, vocabulary, fitted_on)
    return _calibrated(weights, corpus, vocabulary, matrix)


def folds_of(corpus: c.Corpus) -> Any:
    """Which fold each prompt is in: by digest, so that the same question never stands on both sides."""
    return np.array([int(digest[8:12], 16) % FOLDS for digest in corpus.digests])


def fit_gain(corpus: c.Corpus, matrix: Any, fold: int) -> Linear:
    """The gain model of the prompts outside `fold`."""
    known = c.known(corpus, c.gain_target)
    known = known.where(folds_of(corpus)[known.prompts] != fold)
    return _head("gain", matrix[known.prompts], known)


def _heads(corpus: c.Corpus, matrix: Any, vocabulary: c.Vocabulary, fold: int | None) -> Fitted:
    """Fit every head on the rows outside `fold` (all rows when None)."""
    folds = folds_of(corpus)
    outputs: list[tuple[str, str]] = []
    columns: list[Any] = []
    biases: list[Any] = []
    names = c.domains(corpus.rows)
    targets = {
        "form": (c.form_target, COMPLEXITIES),
        "outcome": (c.outcome_target, COMPLEXITIES),
        "exam": (c.exam_target, ("exam",)),
        "gain": (c.gain_target, ("gain",)),
        "task_type": (c.task_target, TASK_TYPES),
        "domain": (c.domain_target(names), names),
    }
    ask_alone = sum(vocabulary.sizes[:2])
    for head in _HEADS:
        target, labels = targets[head]
        known = c.known(corpus, target)
        if fold is not None:
            known = known.where(folds[known.prompts] != fold)
        width = ask_alone if head in _ASK_ALONE else matrix.shape[1]
        prior = believed(head, labels, vocabulary)[:width]
        linear = _head(head, matrix[known.prompts][:, :width], known, prior)
        weights = np.zeros((matrix.shape[1], len(labels)))
        weights[:width] = linear.weights
        outputs.extend((head, label) for label in labels)
        columns.append(weights)
        biases.append(linear.biases)
    return Fitted(tuple(outputs), Linear(np.hstack(columns), np.concatenate(biases)))


def believed(head: str, labels: Sequence[str], vocabulary: c.Vocabulary) -> Any:
    """What fields named by words mean for an output, before any row is seen: rows of few sources know few words."""
    prior = np.zeros((sum(vocabulary.sizes), len(labels)))
    first = len(vocabulary.names["words"])
    for place, name in enumerate(vocabulary.names["forms"]):
        label = MEANINGS.get(head, {}).get(name)
        if label in labels:
            prior[first + place, labels.index(label)] = _BELIEF
    return prior


def _head(head: str, rows: Any, known: c.Known, prior: Any = 0.0) -> Linear:
    if head == "gain":
        return fit_ridge(rows, _within_sets(known), known.weights, _PENALTIES[head], _ROUNDS)
    linear = fit_softmax(rows, known.targets, known.weights, _PENALTIES[head], _ROUNDS, prior)
    if head == "exam":  # two classes are one number
        return Linear(linear.weights[:, 1:] - linear.weights[:, :1], linear.biases[1:] - linear.biases[:1])
    centre = linear.weights.mean(
        axis=1, keepdims=True
    )  # softmax sees differences only; centred, they round better
    return Linear(linear.weights - centre, linear.biases - linear.biases.mean())


def _within_sets(known: c.Known) -> Any:
    """Gains as deviations within their set: how large they are overall is a matter of the models compared."""
    gains = known.targets[:, 0].copy()
    for name in np.unique(known.sets):
        own = known.sets == name
        gains[own] = (gains[own] - gains[own].mean()) / max(float(gains[own].std()), 1e-9)
    return gains


def _worth_keeping(fitted: Fitted, vocabulary: c.Vocabulary, most: int) -> frozenset[str]:
    """The words that move some output most, each output measured in its own spread."""
    words = fitted.linear.weights[: len(vocabulary.names["words"])] * vocabulary.values["words"][:, None]
    spread = words.std(axis=0)
    worth = np.abs(words / np.where(spread > 0, spread, 1.0))
    heads = np.array([head for head, _ in fitted.outputs])
    # Each head speaks with one voice, or the one with the most outputs would choose all words.
    voices = np.stack([worth[:, heads == head].max(axis=1) for head in dict.fromkeys(heads)], axis=1)
    order = np.argsort(-(voices**2).sum(axis=1), kind="stable")[:most]
    return frozenset(vocabulary.names["words"][at] for at in order)


def _rounded(fitted: Fitted, vocabulary: c.Vocabulary, fitted_on: str) -> Weights:
    """One signed byte per weight, a scale per block and output."""
    blocks: dict[str, Block] = {}
    first = 0
    for block, size in zip(BLOCKS, vocabulary.sizes, strict=True):
        own = fitted.linear.weights[first : first + size] * vocabulary.values[block][:, None]
        largest = np.abs(own).max(axis=0, initial=0.0)
        scales = np.where(largest > 0, largest / 127.0, 1.0)
        steps = (np.rint(own / scales) + 128).astype(np.uint8)
        blocks[block] = Block(
            vocabulary.names[block], tuple(row.tobytes() for row in steps), tuple(map(_short, scales))
        )
        first += size
    biases = tuple(map(_short, fitted.linear.biases))
    return Weights(fitted.outputs, biases, blocks, {}, (), fitted_on)


def _calibrated(weights: Weights, corpus: c.Corpus, vocabulary: c.Vocabulary, matrix: Any) -> Weights:
    """Add what confidence was worth on prompts that four partial fits had not seen."""
    folds = folds_of(corpus)
    logits = np.zeros((matrix.shape[0], len(weights.outputs)))
    for fold in range(FOLDS):
        partial = _heads(corpus, matrix, vocabulary, fold)
        own = folds == fold
        logits[own] = partial.linear(matrix[own])
    scorer = Scorer(weights)
    points: dict[str, list[tuple[float, float, float]]] = {}
    for target in (c.labelled_target, c.solved_target):
        known = c.known(corpus, target)
        for prompt, truth, weight in zip(known.prompts, known.targets, known.weights, strict=True):
            opinion = scorer.opinion(logits[prompt].tolist())
            at = COMPLEXITIES.index(opinion.complexity)
            kind = calibration_kind(opinion.complexity, exam=opinion.exam)
            points.setdefault(kind, []).append((opinion.probabilities[at], float(truth[at]), float(weight)))
    calibration = {kind: _monotone(own) for kind, own in sorted(points.items())}
    gain = logits[:, weights.outputs.index(("gain", "gain"))]
    quantiles = tuple(map(_short, np.quantile(gain, np.linspace(0, 1, _QUANTILES))))
    return Weights(weights.outputs, weights.biases, weights.blocks, calibration, quantiles, weights.fitted_on)


def _monotone(points: Sequence[tuple[float, float, float]]) -> tuple[tuple[float, float], ...]:
    """Said against found: bins of equal weight, merged until what was found grows (pool adjacent violators)."""
    if not points:
        return ()
    ordered = sorted(points)
    total = sum(weight for _, _, weight in ordered)
    bins: list[list[float]] = [[0.0, 0.0, 0.0]]  # said, found, weight
    for said, right, weight in ordered:
        if bins[-1][2] >= total / _STEPS:
            bins.append([0.0, 0.0, 0.0])
        bins[-1][0] += said * weight
        bins[-1][1] += right * weight
        bins[-1][2] += weight
    merged: list[list[float]] = []
    for each in bins:
        merged.append(each)
        while len(merged) > 1 and merged[-2][1] / merged[-2][2] >= merged[-1][1] / merged[-1][2]:
            last = merged.pop()
            merged[-1] = [before + after for before, after in zip(merged[-1], last, strict=True)]
    return tuple((_short(said / weight), _short(found / weight)) for said, found, weight in merged)


def _short(value: float) -> float:
    """Four digits, as many as the rows can tell: the last bits of a sum differ between machines."""
    return float(f"{value:.4g}")
