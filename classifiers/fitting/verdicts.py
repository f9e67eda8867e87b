"""Measurements of verdicts against labels: coverage, precision, confusion, calibration, lift, languages, kinds."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from classifiers.fitting import measures
from classifiers.fitting.judged import TIERS, Judged
from classifiers.types import COMPLEXITIES, TASK_TYPES, Complexity

_LEAST_ROWS: Final = 10
_STEPS: Final = ("rules", "scorer", "default")


def truth_of(each: Judged) -> Complexity | None:
    """A person's label where there is one, else what models solved."""
    return each.row.form or each.row.outcome


def of_set(judged: Sequence[Judged]) -> dict[str, Any]:
    """All that is measured on one labelled set."""
    labelled = [(each, truth) for each in judged if (truth := truth_of(each)) is not None]
    decided = [(each, truth) for each, truth in labelled if each.decided]
    right = sum(not each.wrong(truth) for each, truth in labelled)
    confidence = np.array([each.verdict.confidence for each, _ in decided])
    hits = np.array([float(not each.wrong(truth)) for each, truth in decided])
    said = np.array([each.said for each, _ in labelled])
    truths = np.array([COMPLEXITIES.index(truth) for _, truth in labelled])
    return {
        "rows": len(labelled),
        "accuracy": right / len(labelled),
        "accuracy_95": measures.share_interval(right, len(labelled)),
        "steps": {step: _step(step, labelled) for step in _STEPS},
        "decided": len(decided) / len(labelled),
        "under_routed": sum(each.too_low(truth) for each, truth in decided) / max(len(decided), 1),
        "over_routed": sum(_too_high(each, truth) for each, truth in decided) / max(len(decided), 1),
        "confusion": {
            truth: {
                word: sum(t == truth and e.verdict.complexity == word for e, t in labelled)
                for word in COMPLEXITIES
            }
            for truth in COMPLEXITIES
        },
        "f1": {word: _f1(labelled, word) for word in COMPLEXITIES},
        "tiers": {tier: sum(each.tier == tier for each, _ in labelled) / len(labelled) for tier in TIERS},
        "calibration": measures.calibration(confidence, hits),
        "calibration_error": measures.calibration_error(confidence, hits),
        "lift": measures.lift(said, truths),
        "lift_95": measures.interval(lambda at: measures.lift(said[at], truths[at]), len(said)),
    }


def _step(step: str, labelled: Sequence[tuple[Judged, Complexity]]) -> dict[str, Any]:
    own = [(each, truth) for each, truth in labelled if each.verdict.source == step]
    right = sum(not each.wrong(truth) for each, truth in own)
    return {
        "share": len(own) / len(labelled),
        "precision": right / len(own) if own else None,
        "precision_95": measures.share_interval(right, len(own)),
    }


def _too_high(each: Judged, truth: Complexity) -> bool:
    return each.wrong(truth) and not each.too_low(truth)


def _f1(labelled: Sequence[tuple[Judged, Complexity]], word: Complexity) -> float:
    said = [each.verdict.complexity for each, _ in labelled]
    precision, recall, _ = measures.precision_recall(said, [truth for _, truth in labelled], word)
    return measures.f1(precision, recall)


def languages(judged: Sequence[Judged]) -> dict[str, Any]:
    """Accuracy in each language with a few rows."""
    counts = Counter(each.row.language for each in judged if each.row.form is not None)
    found = {}
    for language, rows in sorted((name, count) for name, count in counts.items() if name is not None):
        own = [each for each in judged if each.row.language == language and each.row.form is not None]
        right = sum(each.verdict.complexity == each.row.form for each in own)
        if rows >= _LEAST_ROWS:
            found[language] = {
                "rows": rows,
                "accuracy": right / rows,
                "accuracy_95": measures.share_interval(right, rows),
            }
    return found


def kinds(judged: Sequence[Judged]) -> dict[str, Any]:
    """Task types and domains against what the sets say."""
    tasks = [each for each in judged if each.row.task_type is not None]
    domains = [each for each in judged if each.row.domain is not None]
    said_tasks, true_tasks = (
        [each.verdict.task_type for each in tasks],
        [each.row.task_type for each in tasks],
    )
    said_domains, true_domains = (
        [each.verdict.domain for each in domains],
        [each.row.domain for each in domains],
    )
    task_rows = {label: measures.precision_recall(said_tasks, true_tasks, label) for label in TASK_TYPES}
    names = sorted({name for name in true_domains if name is not None})
    domain_rows = {label: measures.precision_recall(said_domains, true_domains, label) for label in names}
    return {
        "task_types": task_rows,
        "task_type_macro_f1": float(np.mean([measures.f1(*row[:2]) for row in task_rows.values()])),
        "domains": domain_rows,
        "domain_accuracy": sum(s == t for s, t in zip(said_domains, true_domains, strict=True))
        / len(domains),
    }


def rules(judged: Sequence[Judged]) -> dict[str, Any]:
    """How often each rule spoke on labelled rows, and how often it was right."""
    found: dict[str, list[int]] = {}
    for each in judged:
        truth = truth_of(each)
        if truth is not None and each.verdict.rule is not None:
            counts = found.setdefault(each.verdict.rule, [0, 0])
            counts[0] += 1
            counts[1] += not each.wrong(truth)
    return {name: {"spoke": spoke, "right": right} for name, (spoke, right) in sorted(found.items())}


def misses(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """Decided and too low, by id and digest: the ones that spoil answers. Prompts are not copied."""
    return [
        {
            "set": each.row.set,
            "id": each.row.id,
            "digest": each.row.digest[:16],
            "truth": truth,
            "said": each.verdict.complexity,
            "confidence": each.verdict.confidence,
            "source": each.verdict.rule or each.verdict.source,
        }
        for each in judged
        if (truth := truth_of(each)) is not None and each.decided and each.too_low(truth)
    ]
