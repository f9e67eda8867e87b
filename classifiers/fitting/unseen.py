"""What becomes of a source that nothing was learnt from: the honest guess for requests unlike any of the sets."""

from collections.abc import Sequence
from typing import Any, Final

from classifiers.fitting import choices, measures, verdicts
from classifiers.fitting.judged import TIERS, Judge, Judged
from classifiers.fitting.rows import Row
from classifiers.fitting.train import trained
from classifiers.scorer import Scorer
from classifiers.weights_file import from_bytes

# Each source with all sets that share its prompts.
SOURCES: Final[dict[str, tuple[str, ...]]] = {
    "arena_hard": ("arena_hard", "mtbench_vicuna", "routellm_mtbench"),
    "empirical_cheapest_sufficient": (
        "empirical_cheapest_sufficient",
        "mmlu_pro",
        "zeroeval_gsm",
        "zeroeval_math_l5",
        "zeroeval_crux",
    ),
    "llmrouter_uiuc": ("llmrouter_uiuc",),
}


def measured(rows: Sequence[Row]) -> dict[str, Any]:
    """For each source, weights fitted without it, and figures on all of its rows."""
    return {name: _one(rows, name, sets) for name, sets in SOURCES.items()}


def _one(rows: Sequence[Row], name: str, sets: tuple[str, ...]) -> dict[str, Any]:
    judge = Judge(Scorer(from_bytes(trained([row for row in rows if row.set not in sets]))))
    judged = judge.judged([row for row in rows if row.set == name])
    found: dict[str, Any] = {"rows": len(judged)} | _labelled(judged)
    pair = choices.PAIRS.get(name)
    if pair is not None and (routed := choices.of_pair(judged, pair)) is not None:
        found["apgr"] = routed["ways"]["headgate"]["apgr"]
        found["apgr_95"] = routed["ways"]["headgate"]["apgr_95"]
    with_domain = [each for each in judged if each.row.domain is not None]
    if any(each.row.domain == "code" for each in with_domain):
        said, truth = [each.verdict.domain for each in with_domain], [each.row.domain for each in with_domain]
        found["code"] = measures.precision_recall(said, truth, "code")
    return found


def _labelled(judged: Sequence[Judged]) -> dict[str, Any]:
    if not any(verdicts.truth_of(each) for each in judged):
        return {}
    one = verdicts.of_set(judged)
    kept = ("accuracy", "decided", "under_routed", "calibration_error", "lift", "lift_95")
    return {key: one[key] for key in kept} | {"cheapest": one["tiers"][TIERS[0]]}
