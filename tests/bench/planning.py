"""`python -m tests.bench.planning`: CPU of one plan, by strategy and number of candidates. No data needed."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Final, get_args

from proxy.routing.catalogue.types import Backend, Catalogue, Model, Price, Strategy, Tier
from proxy.routing.policy import Policy
from proxy.routing.snapshot import BackendState, Conditions, Snapshot
from proxy.routing.types import Facts, Lacks, Verdict
from proxy.routing.wishes import NONE, Wishes

_CANDIDATES: Final = (1, 10, 50)
_VERDICT: Final = Verdict("rules", "moderate", "generation", 0.9, domain="code")
_WISHES: Final = Wishes(ignore=("nobody",), max_price=(("prompt", 100.0),), sort="cheapest")


def microseconds(work: Callable[[], object], least_s: float) -> float:
    """The fastest of repeated runs, in CPU time: other work on the machine only ever adds."""
    best, spent = float("inf"), 0.0
    while spent < least_s:
        begin = time.process_time()
        for _ in range(20):
            work()
        took = (time.process_time() - begin) / 20
        best, spent = min(best, took), spent + max(20 * took, 1e-6)
    return best * 1e6


def catalogue_of(candidates: int, strategy: Strategy) -> Catalogue:
    """A tier of so many models, each with a backend, a price, a quality and capabilities."""
    models = {
        f"m{number}": Model(
            f"m{number}",
            (
                Backend(
                    f"p/m{number}", "p", f"m{number}", Price(1_000_000 + 7919 * number % 500_000, 2_000_000)
                ),
            ),
            200_000,
            16_384,
            frozenset({"tools", "vision"}),
            quality={"other": 50.0 + number % 40, "code": 45.0 + number % 40},
            speed_tokens_s=100.0,
        )
        for number in range(candidates)
    }
    return Catalogue(models, {"t": Tier(tuple(models), strategy, 55.0)}, {"t": ("t", "t", "t")}, {})


def planner(candidates: int, strategy: Strategy, wishes: Wishes = NONE) -> Callable[[], object]:
    """A plan as requests make it: tools needed, parameters looked at, health of every backend known."""
    catalogue = catalogue_of(candidates, strategy)
    backends = [f"p/{name}" for name in catalogue.models]
    policy = Policy(catalogue)
    facts = Facts(
        "t",
        request_id="r-1",
        prompt_tokens=500,
        least_prompt_tokens=250,
        output_limit_tokens=1000,
        needs=frozenset({"tools"}),
        lacks=Lacks(dict.fromkeys(backends, ())),
    )
    state = BackendState(0.995, 1000, 400.0, 900.0, 80.0, 500, left_tokens=10**6, limit_tokens=10**6)
    snapshot = Snapshot(Conditions(0.5, dict.fromkeys(backends, state)))
    return lambda: policy.plan(facts, wishes, _VERDICT, snapshot)


def figures(candidates: Sequence[int] = _CANDIDATES, least_s: float = 0.2) -> dict[str, list[float]]:
    """Microseconds per plan: a row per strategy and one with wishes, a column per number of candidates."""
    found: dict[str, list[float]] = {
        strategy: [microseconds(planner(number, strategy), least_s) for number in candidates]
        for strategy in get_args(Strategy)
    }
    found["with wishes"] = [
        microseconds(planner(number, "cheapest", _WISHES), least_s) for number in candidates
    ]
    return found


def main() -> None:
    lines = ["CPU per plan, us " + "".join(f"{number:>8}" for number in _CANDIDATES)]
    lines += [f"{name:<17}" + "".join(f"{value:8.1f}" for value in row) for name, row in figures().items()]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
