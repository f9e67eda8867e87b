"""A choice told afterwards: every candidate with its score and its reasons, in an operator's words."""

from collections.abc import Iterator, Sequence
from math import inf
from typing import Any, Final

from proxy.routing.plans import Grounds, Kept, Plan
from proxy.routing.ranking import WEIGHTS, Field, prices_of, scores_of
from proxy.routing.shelf import BELOW
from proxy.routing.snapshot import BackendState
from proxy.routing.standing import OPEN, SATURATED, TOO_LONG, WELL, availability_of_late
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
        prices = prices_of(_field(grounds, grounds.kept))
        ranks = {price: rank for rank, price in enumerate(sorted(set(prices)), 1)}
        for kept, price in zip(grounds.kept, prices, strict=True):
            row, rank = kept[3], ranks[price]
            candidates.append(
                {
                    "backend": row.backend_id,
                    "model": row.model.id,
                    "kept": True,
                    "score": round(scores_of(_field(grounds, [kept]))[0], 4),
                    "reasons": list(_reasons(grounds, kept, price, rank)),
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
    prices = prices_of(_field(grounds, grounds.kept))
    for kept, price in zip(grounds.kept, prices, strict=True):
        if kept[3].attempt is attempt:
            rank = 1 + len({other for other in prices if other < price})
            return tuple(_reasons(grounds, kept, price, rank))
    return attempt.reason


def _field(grounds: Grounds, kept: Sequence[Kept]) -> Field:
    """These candidates; the weights are those of the first one's line."""
    weights = grounds.lines[kept[0][6]].shelf.weights or WEIGHTS
    return Field(
        [row for _, _, _, row, _, _, _ in kept],
        [standing for _, _, _, _, standing, _, _ in kept],
        [grade for _, _, _, _, _, grade, _ in kept],
        weights,
        grounds.facts,
        grounds.output_tokens,
        grounds.snapshot.warm,
    )


def _reasons(grounds: Grounds, kept: Kept, price_picousd: float, rank: int) -> Iterator[str]:
    """`rank`: of the price among those of all that were kept, from 1."""
    group, _, _, row, standing, grade, number = kept
    line = grounds.lines[number]
    state = grounds.snapshot.conditions.of(row.backend_id)
    yield from row.attempt.reason
    if number:
        yield f"`models` names it as fallback {number}"
    yield f"by {line.ordering}"
    if price_picousd == inf:
        yield "price unknown"
    else:
        yield f"price={price_picousd / _PICOUSD:.6f} USD, rank {rank}"
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
