"""`python -m tests.bench.planning`: CPU of one plan, by strategy and number of candidates. No data needed."""

import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from typing import Final, get_args

from proxy.routing.catalogue.types import Backend, Catalogue, Model, Price, Step, Strategy, Tier
from proxy.routing.policy import Policy
from proxy.routing.snapshot import BackendState, Conditions, Snapshot
from proxy.routing.types import Facts, Lacks, Verdict
from proxy.routing.wishes import NONE, Wishes

_CANDIDATES: Final = (1, 10, 50)
_PROVIDERS: Final = tuple(f"p{number}" for number in range(10))
_VERDICT: Final = Verdict("rules", "moderate", "generation", 0.9, domain="code")
_WISHES: Final = Wishes(
    order=("p3", "p7", "p1"),
    only=_PROVIDERS,
    ignore=("nobody", "p9/m9"),
    max_price=(("prompt", 100.0), ("completion", 100.0)),
    no_training=True,
    quantizations=("fp8", "bf16", "unknown"),
    min_throughput_tokens_s=(("p50", 60.0), ("p90", 30.0)),
    max_latency_s=(("p50", 0.5), ("p99", 3.0)),
)
"""All that a `provider` block usually has, and hardly anybody dropped by it: who is kept costs more."""


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
    """A tier of so many models, spread over ten providers, each with a price, a quality and capabilities."""
    models = {f"m{number}": _model(number) for number in range(candidates)}
    return Catalogue(models, {"t": Tier(tuple(models), strategy, 55.0)}, {"t": ("t", "t", "t")}, {})


def _model(number: int) -> Model:
    """A fifth of them have a dearer price for long prompts, as some providers do."""
    dear = Price(4_000_000, 8_000_000)
    price = Price(
        1_000_000 + 7919 * number % 500_000,
        2_000_000,
        steps=() if number % 5 else (Step(200_000, dear),),
    )
    name, provider = f"m{number}", _PROVIDERS[number % len(_PROVIDERS)]
    backend = Backend(
        f"{provider}/{name}",
        provider,
        name,
        price,
        data_policy=("no-train", "zdr")[number % 2],
        quantization=("fp8", "bf16", None)[number % 3],
    )
    return Model(
        name,
        (backend,),
        200_000,
        16_384,
        frozenset({"tools", "vision"}),
        quality={"other": 50.0 + number % 40, "code": 45.0 + number % 40},
        speed_tokens_s=100.0,
    )


def planner(candidates: int, strategy: Strategy, wishes: Wishes = NONE) -> Callable[[], object]:
    """A plan as requests make it: tools needed, parameters looked at, health of every backend known."""
    catalogue = catalogue_of(candidates, strategy)
    backends = [backend.id for model in catalogue.models.values() for backend in model.backends]
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
    states = {
        backend: BackendState(
            0.99 - number % 7 / 100,
            1000,
            400.0 + 5 * number,
            900.0,
            80.0 - number % 40,
            500,
            in_flight=number % 9,
            left_tokens=10**6,
            limit_tokens=10**6,
        )
        for number, backend in enumerate(backends)
    }
    snapshot = Snapshot(Conditions(0.5, states), today=date(2026, 8, 1))
    return lambda: policy.plan(facts, wishes, _VERDICT, snapshot)


def figures(candidates: Sequence[int] = _CANDIDATES, least_s: float = 0.2) -> dict[str, list[float]]:
    """Microseconds per plan: a row per strategy, without and with wishes, a column per number of candidates."""
    return {
        f"{strategy}{name}": [
            microseconds(planner(number, strategy, wishes), least_s) for number in candidates
        ]
        for name, wishes in (("", NONE), (", wishes", _WISHES))
        for strategy in get_args(Strategy)
    }


def main() -> None:
    lines = ["CPU per plan, us  " + "".join(f"{number:>8}" for number in _CANDIDATES)]
    lines += [f"{name:<18}" + "".join(f"{value:8.1f}" for value in row) for name, row in figures().items()]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
