"""A choice told afterwards: every candidate with its score and its reasons, in an operator's words."""

from collections.abc import Iterator
from math import inf
from typing import Any, Final

from proxy.routing.plans import Grounds, Kept, Plan
from proxy.routing.ranking import WEIGHTS, price_of, score_of
from proxy.routing.shelf import BELOW, OPEN, SATURATED, TOO_LONG, WELL, availability_of_late
from proxy.routing.snapshot import BackendState
from proxy.routing.types import Attempt, Verdict

_PICOUSD: Final = 10**12
_GROUPS: Final = {
    SATURATED: "last but those with an open circuit: its limits are used up",
    OPEN: "behind all others: its circuit is {circuit}",
    TOO_LONG: "last: the prompt is probably longer than its context",
}


def explained(plan: Plan) -> dict[str, Any]:
    """The choice as JSON: `tier`, `verdict`, `candidates`, `attempts` and what else the plan says.

    `score` is that of the strategy `score`, 0 to the sum of its weights, whatever the strategy is; `None` for what was
    dropped.
    """
    grounds = plan.grounds
    candidates: list[dict[str, Any]] = []
    if grounds is not None:
        ranks = _price_ranks(grounds)
        for kept in grounds.kept:
            row = kept[4]
            candidates.append(
                {
                    "backend": row.backend_id,
                    "model": row.model.id,
                    "kept": True,
                    "score": round(_score(grounds, kept), 4),
                    "reasons": list(_reasons(grounds, kept, ranks)),
                }
            )
        candidates += [
            {
                "backend": row.backend_id,
                "model": row.model.id,
                "kept": False,
                "score": None,
                "reasons": [drop.words],
            }
            for row, drop in grounds.dropped
        ]
    return {
        "tier": plan.tier,
        "strategy": plan.strategy,
        "verdict": verdict_json(plan.verdict),
        "raised": plan.raised,
        "lowered_from": plan.lowered_from,
        "because": plan.because,
        "candidates": candidates,
        "attempts": [
            {"backend": each.backend.id, "model": each.model, "reasons": list(reasons_of(plan, each))}
            for each in plan.attempts
        ],
    }


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict's members."""
    return {
        "source": verdict.source,
        "complexity": verdict.complexity,
        "task_type": verdict.task_type,
        "domain": verdict.domain,
        "confidence": verdict.confidence,
        "rule": verdict.rule,
    }


def reasons_of(plan: Plan, attempt: Attempt) -> tuple[str, ...]:
    """Why an attempt of the plan stands where it does."""
    grounds = plan.grounds
    if grounds is None:
        return attempt.reason
    kept = next((each for each in grounds.kept if each[4].attempt is attempt), None)
    return attempt.reason if kept is None else tuple(_reasons(grounds, kept, _price_ranks(grounds)))


def _score(grounds: Grounds, kept: Kept) -> float:
    _, _, _, _, row, standing, grade, number = kept
    weights = grounds.lines[number].shelf.weights or WEIGHTS
    price = price_of(grounds.facts, grounds.output_tokens, grounds.snapshot.warm)
    return score_of(weights, price)(row, standing, grade)


def _price_ranks(grounds: Grounds) -> dict[str, tuple[float, int]]:
    """By backend the price of this request in pico-dollars, and which of the candidates' prices it is, from 1."""
    price = price_of(grounds.facts, grounds.output_tokens, grounds.snapshot.warm)
    prices = {kept[4].backend_id: price(kept[4]) for kept in grounds.kept}
    order = sorted(set(prices.values()))
    return {backend: (value, order.index(value) + 1) for backend, value in prices.items()}


def _reasons(grounds: Grounds, kept: Kept, prices: dict[str, tuple[float, int]]) -> Iterator[str]:
    group, _, _, _, row, standing, grade, number = kept
    line = grounds.lines[number]
    state = grounds.snapshot.conditions.of(row.backend_id)
    yield from row.attempt.reason
    if number:
        yield f"`models` names it as fallback {number}"
    yield f"by {line.ordering}"
    price, rank = prices[row.backend_id]
    yield "price unknown" if price == inf else f"price={price / _PICOUSD:.6f} USD, rank {rank}"
    yield from _of_quality(grade.quality, grade.band, line.shelf.floor)
    yield _health(state)
    if line.ordering in ("score", "throughput", "weighted"):
        yield f"speed={standing.speed_tokens_s:.0f} tokens/s"
    if line.ordering == "fastest":
        yield f"first content in {standing.first_content_ms:.0f} ms"
    if standing.unwell and line.ordering != "order":
        yield f"behind those with an availability of {WELL:g}"
    warm = grounds.snapshot.warm
    if warm is not None and warm.backend_id == row.backend_id:
        yield f"{warm.cached_tokens} tokens of the prompt are in its cache"
    if group in _GROUPS:
        yield _GROUPS[group].format(circuit=_circuit(state))


def _of_quality(quality: float | None, band: int, floor: float) -> Iterator[str]:
    if quality is None:
        yield "quality: nobody measured" + (", behind those that reach the floor" if band else "")
    elif band == BELOW:
        yield f"quality={quality:g}, below the floor of {floor:g}"
    else:
        yield f"quality={quality:g}"


def _health(state: BackendState) -> str:
    if not state.attempts_7d:
        return "health: not met yet"
    late = availability_of_late(state)
    return f"health={state.availability:.3f}/7d" + (f", {late:.3f} of late" if late < WELL else "")


def _circuit(state: BackendState) -> str:
    return f"{state.circuit} ({state.circuit_reason})" if state.circuit_reason else state.circuit
