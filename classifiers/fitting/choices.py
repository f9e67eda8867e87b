"""Measurements of what routing by verdicts costs and keeps: two models by difficulty, many models by domain."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from classifiers.fitting import corpus as c
from classifiers.fitting import measures
from classifiers.fitting.fit import FOLDS, fit_gain, folds_of
from classifiers.fitting.judged import Judged
from classifiers.fitting.rows import Row

# One cheap and one dear model per set, as published comparisons pair them.
PAIRS: Final[dict[str, tuple[str, str]]] = {
    "routellm_mmlu": ("mixtral-8x7b-instruct", "gpt-4-1106-preview"),
    "routellm_gsm8k": ("mixtral-8x7b-instruct", "gpt-4-1106-preview"),
    "llmrouter_uiuc": ("mistral-7b-instruct-v0.3", "llama-3.1-nemotron-51b-instruct"),
    "mmlu_pro": ("Meta-Llama-3_1-8B-Instruct", "gemini-1.5-pro-002"),
    "zeroeval_math_l5": ("gpt-4o-mini-2024-07-18", "o1-mini-2024-09-12"),
    "zeroeval_crux": ("gpt-4o-mini-2024-07-18", "o1-mini-2024-09-12"),
    "routerarena_sub10": ("claude-3-haiku-20240307", "gemini-2.0-flash-001"),
}
CHOICE_SETS: Final = ("mmlu_pro", "llmrouter_uiuc")
_CURVE_POINTS: Final = 41
_QUALITY: Final = 0.95
# A domain with fewer fitted rows takes the model that is best over all.
_LEAST_ROWS: Final = 20
# Within so much of the best model's accuracy the cheapest one is chosen, as in published task tables.
_WITHIN: Final = 0.02
# What a table must gain on the rows it is chosen on, so that it loses nothing on others.
_MARGIN: Final = 0.01
_STEPS: Final = 80


def of_pair(judged: Sequence[Judged], pair: tuple[str, str]) -> dict[str, Any] | None:
    """Always cheap, always dear, and orders between them: random, by length, by difficulty, and the best there is."""
    own = [each for each in judged if all(model in each.row.scores for model in pair)]
    cheap, dear = (np.array([each.row.scores[model] for each in own], dtype=float) for model in pair)
    if not own or dear.mean() <= cheap.mean():
        return None
    orders = {
        "length": np.array([len(each.row.prompt) for each in own], dtype=float),
        "headgate": np.array([each.difficulty for each in own]),
        "oracle": dear - cheap,
    }
    costs = _costs(own, pair)
    ways = {name: _way(scores, cheap, dear, costs) for name, scores in orders.items()}
    ways["random"] = _random_way(cheap, dear, costs)
    return {
        "rows": len(own),
        "models": pair,
        "cheap": float(cheap.mean()),
        "dear": float(dear.mean()),
        "cheap_cost": None if costs is None else float(costs[0].sum() / costs[1].sum()),
        "ways": ways,
    }


def _way(scores: Any, cheap: Any, dear: Any, costs: tuple[Any, Any] | None) -> dict[str, Any]:
    curve = measures.recovered(scores, cheap, dear)
    grid = np.linspace(0, len(curve) - 1, _CURVE_POINTS).round().astype(int)
    return {
        "apgr": measures.apgr(scores, cheap, dear),
        "apgr_95": measures.interval(lambda at: measures.apgr(scores[at], cheap[at], dear[at]), len(scores)),
        "cpt50": measures.calls_for(0.5, scores, cheap, dear),
        "cpt80": measures.calls_for(0.8, scores, cheap, dear),
        "cost_at_95": None if costs is None else measures.cost_at(_QUALITY, scores, cheap, dear, costs),
        "curve": [(float(at / (len(curve) - 1)), float(curve[at])) for at in grid],
    }


def _random_way(cheap: Any, dear: Any, costs: tuple[Any, Any] | None) -> dict[str, Any]:
    """A random order in expectation: a straight line from cheap to dear."""
    low, high = float(cheap.mean()), float(dear.mean())
    needed = max(0.0, (_QUALITY * high - low) / (high - low))
    cost = None
    if costs is not None:
        cost = float((costs[0].sum() + needed * (costs[1].sum() - costs[0].sum())) / costs[1].sum())
    return {
        "apgr": 0.5,
        "apgr_95": (0.5, 0.5),
        "cpt50": 0.5,
        "cpt80": 0.8,
        "cost_at_95": cost,
        "curve": [(0.0, low), (1.0, high)],
    }


def _costs(own: Sequence[Judged], pair: tuple[str, str]) -> tuple[Any, Any] | None:
    if not all(model in each.row.costs for each in own for model in pair):
        return None
    cheap, dear = (np.array([each.row.costs[model] for each in own], dtype=float) for model in pair)
    return cheap, dear


def crossed(rows: Sequence[Row]) -> dict[str, Any]:
    """APGR of the gain model by cross-validation over all rows: more rows than are held out, the same honesty."""
    corpus = c.Corpus.of(rows)
    folds = folds_of(corpus)
    vocabulary = c.Vocabulary.of(corpus.found)
    matrix = vocabulary.matrix(corpus.found)
    scores = np.zeros(len(folds))
    for fold in range(FOLDS):
        own = folds == fold
        found = fit_gain(corpus, matrix, fold)(matrix[own])[:, 0]
        scores[own] = found.argsort().argsort() / max(len(found), 1)  # ranks, so that folds compare
    result = {}
    for name, pair in PAIRS.items():
        at = [
            place
            for place, row in zip(corpus.index, rows, strict=True)
            if row.set == name and _has(row, pair)
        ]
        own_rows = [row for row in rows if row.set == name and _has(row, pair)]
        cheap, dear = (np.array([row.scores[model] for row in own_rows], dtype=float) for model in pair)
        order = scores[np.array(at)]
        result[name] = {
            "rows": len(own_rows),
            "apgr": measures.apgr(order, cheap, dear),
            "apgr_95": _interval_of_apgr(order, cheap, dear),
        }
    return result


def _interval_of_apgr(order: Any, cheap: Any, dear: Any) -> tuple[float, float]:
    return measures.interval(lambda at: measures.apgr(order[at], cheap[at], dear[at]), len(order))


def _has(row: Row, models: Sequence[str]) -> bool:
    return all(model in row.scores for model in models)


def by_domain(fitted: Sequence[Judged], held_out: Sequence[Judged]) -> dict[str, Any]:
    """A model per guessed domain, chosen on fitted rows, against the best single model, on rows held out."""
    models = sorted(set.intersection(*({*each.row.scores} for each in [*fitted, *held_out][:200])))
    fitted = [each for each in fitted if _has(each.row, models)]
    held_out = [each for each in held_out if _has(each.row, models)]
    best = max(models, key=lambda model: _mean(fitted, model, _score))
    single_score, single_cost = _mean(held_out, best, _score), _mean(held_out, best, _cost)
    result: dict[str, Any] = {
        "rows": len(held_out),
        "models": len(models),
        "best_single": best,
        "accuracy": single_score,
        "oracle": float(np.mean([max(each.row.scores[model] for model in models) for each in held_out])),
    }
    for name, table in _tables(fitted, models, best).items():
        picked = [(each, table.get(each.verdict.domain, best)) for each in held_out]
        gains = np.array([_score(each, model) - _score(each, best) for each, model in picked])
        result[name] = {
            "accuracy": float(np.mean([_score(each, model) for each, model in picked])),
            "gain_95": _interval_of_mean(gains),
            "cost_share": float(np.mean([_cost(each, model) for each, model in picked])) / single_cost,
        }
    return result


def _tables(fitted: Sequence[Judged], models: Sequence[str], best: str) -> dict[str, dict[str, str]]:
    """Domain -> model: the best, the cheapest near it, and the cheapest table that is as good as `best` alone."""
    groups: dict[str, list[Judged]] = {}
    for each in fitted:
        groups.setdefault(each.verdict.domain, []).append(each)
    groups = {name: own for name, own in groups.items() if len(own) >= _LEAST_ROWS}
    means = {
        name: {model: (_mean(own, model, _score), _mean(own, model, _cost)) for model in models}
        for name, own in groups.items()
    }
    top = {name: max(score for score, _ in own.values()) for name, own in means.items()}
    near = {
        name: [model for model, (score, _) in own.items() if score >= top[name] - _WITHIN]
        for name, own in means.items()
    }
    return {
        "best": {name: max(models, key=lambda model, own=own: own[model][0]) for name, own in means.items()},  # type: ignore[misc] # bound early
        "cheapest_within": {
            name: min(near[name], key=lambda model, own=own: own[model][1])  # type: ignore[misc] # bound early
            for name, own in means.items()
        },
        "as_good_as_single": _cheapest_as_good(means, {name: len(own) for name, own in groups.items()}, best),
    }


def _cheapest_as_good(
    means: dict[str, dict[str, tuple[float, float]]], sizes: dict[str, int], best: str
) -> dict[str, str]:
    """Weigh cost against score ever more, as long as the fitted rows lose nothing against `best` and a margin."""
    wanted = sum(sizes[name] * own[best][0] for name, own in means.items()) + _MARGIN * sum(sizes.values())
    table = {name: max(own, key=lambda model, own=own: own[model][0]) for name, own in means.items()}  # type: ignore[misc] # bound early
    unit = max(cost for own in means.values() for _, cost in own.values())
    for step in range(_STEPS):
        price = 10 ** (step / 20 - 3) / unit
        dearer = {
            name: max(own, key=lambda model, own=own, price=price: own[model][0] - price * own[model][1])  # type: ignore[misc] # bound early
            for name, own in means.items()
        }
        if sum(sizes[name] * means[name][model][0] for name, model in dearer.items()) < wanted:
            break
        table = dearer
    return table


def _interval_of_mean(values: Any) -> tuple[float, float]:
    return measures.interval(lambda at: float(values[at].mean()), len(values))


def _score(each: Judged, model: str) -> float:
    return each.row.scores[model]


def _cost(each: Judged, model: str) -> float:
    return each.row.costs.get(model, 0.0)


def _mean(judged: Sequence[Judged], model: str, value: Callable[[Judged, str], float]) -> float:
    return float(np.mean([value(each, model) for each in judged]))
