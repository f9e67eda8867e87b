"""What becomes of a source that nothing was learnt from: the honest guess for requests unlike any of the sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from classifiers.fitting import choices, measures, verdicts
from classifiers.fitting.judged import TIERS, Judge, Judged
from classifiers.fitting.rows import Row
from classifiers.fitting.train import trained
from classifiers.scorer import Scorer
from classifiers.weights_file import from_bytes


@dataclass(frozen=True, slots=True)
class Source:
    """Rows of `set` whose id begins so, and further sets that share prompts with them or come from the same people."""

    set: str
    begins: str = ""
    beside: tuple[str, ...] = ()


SOURCES: Final[dict[str, Source]] = {
    "arena_hard, learnt from v0.1 only": Source("arena_hard", "ah-v2"),
    "arena_hard, learnt from v2.0 only": Source("arena_hard", "ah-v0"),
    "arena_hard": Source("arena_hard", beside=("mtbench_vicuna", "routellm_mtbench")),
    "empirical_cheapest_sufficient": Source(
        "empirical_cheapest_sufficient",
        beside=("mmlu_pro", "zeroeval_gsm", "zeroeval_math_l5", "zeroeval_crux"),
    ),
    "llmrouter_uiuc": Source("llmrouter_uiuc"),
}


def measured(rows: Sequence[Row]) -> dict[str, Any]:
    """For each source, weights fitted without it, and figures on all of its rows."""
    return {
        name: _one(rows, source) for name, source in SOURCES.items() if any(_of(row, source) for row in rows)
    }


def _of(row: Row, source: Source) -> bool:
    return row.set == source.set and row.id.startswith(source.begins)


def _one(rows: Sequence[Row], source: Source) -> dict[str, Any]:
    others = [row for row in rows if not _of(row, source) and row.set not in source.beside]
    judge = Judge(Scorer(from_bytes(trained(others))))
    judged = judge.judged([row for row in rows if _of(row, source)])
    found: dict[str, Any] = {"rows": len(judged)} | _labelled(judged)
    pair = choices.PAIRS.get(source.set)
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
