"""What a choice was made of, as JSON and back: the same inputs give the same plan. No prompt is in it.

Only what differs from the defaults is written: records are many.
"""

from collections.abc import Collection, Mapping
from dataclasses import fields
from datetime import date
from math import inf
from typing import Any, Final, NamedTuple

from proxy.routing.plans import Plan
from proxy.routing.snapshot import UNKNOWN, BackendState, Barred, Conditions, Settled, Snapshot, Warm
from proxy.routing.types import Facts, Lacks, Verdict
from proxy.routing.wishes import NONE, Wishes

_NEUTRAL: Final = tuple((each.name, getattr(UNKNOWN, each.name)) for each in fields(BackendState))
_OF_VERDICT: Final = tuple(each.name for each in fields(Verdict))


class Inputs(NamedTuple):
    """The arguments of `plan`, but for the catalogue."""

    facts: Facts
    wishes: Wishes
    verdict: Verdict
    snapshot: Snapshot


def plan_inputs_of(plan: Plan) -> dict[str, Any] | None:
    """The inputs of a plan as JSON, with the figures of its own candidates; `None` where nothing was weighed."""
    grounds = plan.grounds
    if grounds is None:
        return None
    backends = {row.backend_id for line in grounds.lines for row in line.shelf.rows}
    return plan_inputs_to_json(
        Inputs(grounds.facts, grounds.wishes, plan.verdict, grounds.snapshot), backends=backends
    )


def plan_inputs_to_json(inputs: Inputs, *, backends: Collection[str] | None = None) -> dict[str, Any]:
    """The inputs as JSON. `backends`: whose figures are kept; `None`: all."""
    facts, wishes, verdict, snapshot = inputs
    said = _differing(facts, Facts(facts.asked))
    said["asked"] = facts.asked
    for name in ("lacks", "drops"):
        said.pop(name, None)
        found = {backend: list(paths) for backend, paths in getattr(facts, name).items() if paths}
        if found:
            said[name] = found
    for name in ("needs", "passed_on"):
        if name in said:
            said[name] = sorted(said[name])
    return {
        "facts": said,
        "wishes": _differing(wishes, NONE),
        "verdict": {name: value for name in _OF_VERDICT if (value := getattr(verdict, name)) is not None},
        "snapshot": _snapshot_to_json(snapshot, backends),
    }


def plan_inputs_from_json(data: Mapping[str, Any]) -> Inputs:
    """The inputs again.

    Raises:
        KeyError, TypeError, ValueError: it is not what `plan_inputs_to_json` writes.
    """
    facts = dict(data["facts"])
    for name in ("lacks", "drops"):
        if name in facts:
            facts[name] = Lacks({backend: tuple(paths) for backend, paths in facts[name].items()})
    for name in ("needs", "passed_on"):
        if name in facts:
            facts[name] = frozenset(facts[name])
    for name in ("allow_lists", "regions"):
        if name in facts:
            facts[name] = _tuples(facts[name])
    wishes = {name: _tuples(value) for name, value in data["wishes"].items()}
    return Inputs(
        Facts(**facts),
        Wishes(**wishes) if wishes else NONE,
        Verdict(**data["verdict"]),
        _snapshot_from_json(data["snapshot"]),
    )


def _snapshot_to_json(snapshot: Snapshot, backends: Collection[str] | None) -> dict[str, Any]:
    conditions = snapshot.conditions
    said: dict[str, Any] = {
        "age_s": None if conditions.age_s == inf else conditions.age_s,
        "backends": {
            backend: _state(state)
            for backend, state in conditions.backends.items()
            if backends is None or backend in backends
        },
    }
    if snapshot.today is not None:
        said["today"] = snapshot.today.isoformat()
    if snapshot.barred:
        said["barred"] = {tier: sorted(providers) for tier, providers in snapshot.barred.items() if providers}
    for name in ("dollars", "spendable_microusd", "lower"):
        value = getattr(snapshot, name)
        if value:
            said[name] = value
    if snapshot.spendable_microusd is not None:
        said["spendable_microusd"] = snapshot.spendable_microusd
    for name, value in (("settled", snapshot.settled), ("warm", snapshot.warm)):
        if value is not None:
            said[name] = list(value)
    return said


def _snapshot_from_json(data: Mapping[str, Any]) -> Snapshot:
    age_s = data["age_s"]
    settled, warm, today = data.get("settled"), data.get("warm"), data.get("today")
    return Snapshot(
        Conditions(
            inf if age_s is None else age_s,
            {backend: BackendState(**figures) for backend, figures in data["backends"].items()},
        ),
        None if today is None else date.fromisoformat(today),
        Barred({tier: frozenset(providers) for tier, providers in data.get("barred", {}).items()}),
        data.get("dollars", False),
        data.get("spendable_microusd"),
        data.get("lower", False),
        None if settled is None else Settled(*settled),
        None if warm is None else Warm(*warm),
    )


def _state(state: BackendState) -> dict[str, Any]:
    return {name: value for name, neutral in _NEUTRAL if (value := getattr(state, name)) != neutral}


def _differing(value: Any, default: Any) -> dict[str, Any]:
    if value is default:
        return {}
    return {
        name: found
        for name, found, usual in zip(value._fields, value, default, strict=True)
        if found is not usual and found != usual
    }


def _tuples(value: Any) -> Any:
    """Lists as the tuples they were."""
    return tuple(_tuples(each) for each in value) if isinstance(value, list | tuple) else value
