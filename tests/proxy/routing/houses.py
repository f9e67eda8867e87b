"""Catalogues and requests for tests of the policy."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from proxy.routing.catalogue.types import Backend, Catalogue, Model, Price, Tier
from proxy.routing.plans import Plan
from proxy.routing.policy import plan
from proxy.routing.snapshot import BackendState, Conditions, Snapshot
from proxy.routing.types import UNDECIDED, Facts, Verdict
from proxy.routing.wishes import Wishes

MODES = {
    "frugal": ("frugal", "frugal", "frugal"),
    "balanced": ("frugal", "balanced", "premium"),
    "premium": ("premium", "premium", "premium"),
}


def price(input_usd: float, output_usd: float | None = None) -> Price:
    """USD per million tokens."""
    output = 2 * input_usd if output_usd is None else output_usd
    return Price(round(input_usd * 1_000_000), round(output * 1_000_000))


def model(
    name: str, usd: float | None = 1.0, *providers: str, quality: float | None = None, **members: Any
) -> Model:
    """A model with a backend at each provider, at `p` where none is named."""
    cost = None if usd is None else price(usd)
    backends = tuple(Backend(f"{each}/{name}", each, name, cost) for each in providers or ("p",))
    known: Mapping[str, float] = {} if quality is None else {"other": quality}
    return Model(name, backends, **{"can": frozenset(), "quality": known, **members})


def house(*models: Model, **tiers: Tier | Sequence[str]) -> Catalogue:
    """A catalogue with the usual modes; tiers that are not named are empty."""
    found = {name: Tier(()) for name in MODES}
    for name, tier in tiers.items():
        found[name] = tier if isinstance(tier, Tier) else Tier(tuple(tier))
    return Catalogue({each.id: each for each in models}, found, MODES, {"auto": "balanced"})


def tier_of(*models: Model, **tier: Any) -> Catalogue:
    """A catalogue whose tier `balanced` has all of these models."""
    return house(*models, balanced=Tier(tuple(each.id for each in models), **tier))


def met(**states: BackendState | dict[str, Any]) -> Snapshot:
    """A moment with these figures of backends at `p`, by the model's name; `_` stands for `-`."""
    return Snapshot(
        Conditions(
            0.5,
            {
                f"p/{name.replace('_', '-')}": BackendState(**state) if isinstance(state, dict) else state
                for name, state in states.items()
            },
        )
    )


def planned(
    catalogue: Catalogue,
    asked: str = "balanced",
    *,
    wishes: Wishes | None = None,
    verdict: Verdict = UNDECIDED,
    snapshot: Snapshot | None = None,
    **facts: Any,
) -> Plan:
    """The plan of a request of 1,000 tokens."""
    known = {"prompt_tokens": 1000, "least_prompt_tokens": 400, "request_id": "r-1", **facts}
    return plan(Facts(asked, **known), wishes or Wishes(), verdict, catalogue, snapshot or Snapshot())


def models_of(chosen: Plan) -> list[str]:
    """The models of its attempts, in order."""
    return [attempt.model for attempt in chosen.attempts]


def backends_of(chosen: Plan) -> list[str]:
    """The backends of its attempts, in order."""
    return [attempt.backend.id for attempt in chosen.attempts]


def with_backends(found: Model, *changes: dict[str, Any]) -> Model:
    """The same model, its backends changed one by one."""
    backends = [replace(each, **change) for each, change in zip(found.backends, changes, strict=True)]
    return replace(found, backends=tuple(backends))
