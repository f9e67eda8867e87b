"""`make eval-routing`: measures the shipped classification on rows that were not fitted on.

`--data DIR` measures and writes docs/classification.json; then, or alone with `--page`, the figures in
docs/classification.md are written from that file. `--logs FILE` prints what the classification makes of an operator's
own requests instead, and writes nothing.
"""

import argparse
import hashlib
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from classifiers.asking.messages import asked, looked_at
from classifiers.cascade import entry
from classifiers.fitting import choices, page, speed, unseen, verdicts
from classifiers.fitting.disturbances import DISTURBANCES
from classifiers.fitting.judged import MIN_CONFIDENCE, TIERS, Judge, Judged
from classifiers.fitting.rows import DataMissing, Row, read
from classifiers.fitting.train import WEIGHTS
from classifiers.scorer import Scorer
from classifiers.types import COMPLEXITIES
from classifiers.weights_file import from_bytes

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
_LABELLED: Final = (
    "uncommonroute",
    "arena_hard",
    "livecodebench_difficulty",
    "empirical_cheapest_sufficient",
)
_CLAIMED: Final = ("arena_hard", "uncommonroute")
_NO_DATA: Final = 2


def report(rows: Sequence[Row], weights: bytes) -> dict[str, Any]:
    """Every figure of the page."""
    judge = Judge(Scorer(from_bytes(weights)))
    held_out = judge.judged([row for row in rows if row.held_out])
    by_set = {
        name: [each for each in held_out if each.row.set == name]
        for name in sorted({row.set for row in rows})
    }
    sets = {name: verdicts.of_set(by_set[name]) for name in _LABELLED}
    pairs = {name: choices.of_pair(by_set[name], pair) for name, pair in choices.PAIRS.items()}
    fitted = judge.judged([row for row in rows if not row.held_out and row.set in choices.CHOICE_SETS])
    return {
        "weights": {"bytes": len(weights), "sha256": hashlib.sha256(weights).hexdigest()},
        "rows": {
            name: {"all": sum(row.set == name for row in rows), "held_out": len(own)}
            for name, own in by_set.items()
        },
        "sets": sets,
        "mean": _mean_over_sets(sets),
        "claim": _claim([each for name in _CLAIMED for each in by_set[name]]),
        "simple_to_cheapest": _simple_to_cheapest(by_set["uncommonroute"]),
        "languages": verdicts.languages(held_out),
        "kinds": verdicts.kinds(held_out),
        "rules": verdicts.rules(held_out),
        "pairs": {name: found for name, found in pairs.items() if found is not None},
        "crossed": choices.crossed(rows),
        "unseen": unseen.measured(rows),
        "by_domain": {name: _by_domain(fitted, by_set[name], name) for name in choices.CHOICE_SETS},
        "disturbances": _disturbances(judge, [each for name in _CLAIMED for each in by_set[name]]),
        "cpu_us": speed.measured([row for row in rows if row.set == "arena_hard"], judge),
        "misses": verdicts.misses([each for name in _LABELLED for each in by_set[name]]),
    }


def _mean_over_sets(sets: dict[str, Any]) -> dict[str, float]:
    keys = ("accuracy", "decided", "under_routed", "over_routed", "calibration_error", "lift")
    return {key: float(np.mean([found[key] for found in sets.values()])) for key in keys}


def _claim(judged: Sequence[Judged]) -> dict[str, float]:
    """The published claim's own terms: how many are decided, and how many of those too low."""
    decided = [each for each in judged if each.decided]
    low = sum(each.too_low(truth) for each in decided if (truth := verdicts.truth_of(each)) is not None)
    return {
        "rows": len(judged),
        "decided": len(decided) / len(judged),
        "under_routed": low / max(len(decided), 1),
    }


def _simple_to_cheapest(judged: Sequence[Judged]) -> float:
    simple = [each for each in judged if each.row.form == "simple"]
    return sum(each.tier == TIERS[0] for each in simple) / len(simple)


def _by_domain(fitted: Sequence[Judged], held_out: Sequence[Judged], name: str) -> dict[str, Any]:
    return choices.by_domain([each for each in fitted if each.row.set == name], held_out)


def _disturbances(judge: Judge, judged: Sequence[Judged]) -> dict[str, dict[str, float]]:
    """Share of verdicts that stay as they were, per set and disturbance."""
    found: dict[str, dict[str, float]] = {}
    for name in sorted({each.row.set for each in judged}):
        own = [each for each in judged if each.row.set == name]
        found[name] = {
            disturbance: sum(
                judge.verdict(change(each.row.prompt)).complexity == each.verdict.complexity for each in own
            )
            / len(own)
            for disturbance, change in DISTURBANCES.items()
        }
    return found


def own_logs(path: Path, weights: bytes) -> dict[str, Any]:
    """What becomes of an operator's requests: lines of {"id", "prompt" or "messages", "complexity" if known}."""
    judge = Judge(Scorer(from_bytes(weights)))
    steps: Counter[str] = Counter()
    tiers: Counter[str] = Counter()
    words: Counter[str] = Counter()
    known = right = low = 0
    for line in path.read_bytes().splitlines():
        row = orjson.loads(line)
        ask = (
            looked_at(row["messages"], len(row.get("tools") or ()))
            if "messages" in row
            else asked(row["prompt"])
        )
        verdict = judge.verdict(ask)
        steps[verdict.source] += 1
        words[verdict.complexity] += 1
        tiers[entry(verdict, TIERS, MIN_CONFIDENCE)[0]] += 1
        if (truth := row.get("complexity")) in COMPLEXITIES:
            known += 1
            right += verdict.complexity == truth
            low += COMPLEXITIES.index(verdict.complexity) < COMPLEXITIES.index(truth)
    agreement = {"rows": known, "right": right / known, "too_low": low / known} if known else None
    return {"steps": steps, "complexities": words, "tiers": tiers, "labelled": agreement}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make eval-routing", description=__doc__)
    parser.add_argument("--data", type=Path, help="the directory of labelled rows (docs/classification.md)")
    parser.add_argument("--logs", type=Path, help="an operator's own requests, JSON lines")
    parser.add_argument("--page", action="store_true", help="write the page from the committed figures")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    given = parser.parse_args(arguments)
    weights = given.weights.read_bytes()
    if given.logs is not None:
        sys.stdout.buffer.write(
            orjson.dumps(own_logs(given.logs, weights), option=orjson.OPT_INDENT_2) + b"\n"
        )
        return 0
    if given.data is not None:
        try:
            found = report(read(given.data), weights)
        except DataMissing as missing:
            print(f"no data: {missing}", file=sys.stderr)
            return _NO_DATA
        (DOCS / page.FIGURES).write_bytes(page.dumped(found))
    elif not given.page:
        print("nothing to measure: ARGS='--data DIR', '--logs FILE' or '--page'", file=sys.stderr)
        return _NO_DATA
    for path in page.write(DOCS):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
