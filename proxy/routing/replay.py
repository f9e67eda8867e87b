"""What a choice was made of, as JSON and back: the same inputs give the same plan. No prompt is in it.

Only what differs from the defaults is written: records are many.
"""

from collections.abc import Mapping
from dataclasses import fields
from datetime import date
from math import inf
from typing import Any, Final, NamedTuple

import orjson

from proxy.routing.plans import Plan
from proxy.routing.shelf import Shelf
from proxy.routing.snapshot import UNKNOWN, BackendState, Barred, Conditions, Settled, Snapshot, Warm
from proxy.routing.types import Facts, Lacks, Verdict
from proxy.routing.wishes import NONE, Wishes

_SHELVES_KEPT: Final = 256
_NO_FACTS: Final = Facts("")
_NEUTRAL: Final = tuple((each.name, getattr(UNKNOWN, each.name)) for each in fields(BackendState))
_OF_VERDICT: Final = tuple(each.name for each in fields(Verdict))


class Inputs(NamedTuple):
    """The arguments of `plan`, but for the catalogue."""

    facts: Facts
    wishes: Wishes
    verdict: Verdict
    snapshot: Snapshot


class InputsWriter:
    """Writes what plans were made of, as `plan_inputs_of` has it but for the verdict: figures are its candidates' only.

    The figures of one moment are the same objects for all its plans: those of the same candidates are written once.
    """

    __slots__ = ("_conditions", "_figures")

    def __init__(self) -> None:
        self._conditions: Conditions | None = None
        self._figures: dict[tuple[Shelf, ...], orjson.Fragment] = {}

    def of(self, plan: Plan) -> dict[str, Any] | None:
        """For `orjson`; `None` where nothing was weighed."""
        grounds = plan.grounds
        if grounds is None:
            return None
        figures = self._figures_of(grounds.snapshot.conditions, tuple([line.shelf for line in grounds.lines]))
        return _to_json(grounds.facts, grounds.wishes, grounds.snapshot, figures)

    def _figures_of(self, conditions: Conditions, shelves: tuple[Shelf, ...]) -> orjson.Fragment:
        if conditions is not self._conditions:
            self._conditions, self._figures = conditions, {}
        written = self._figures.get(shelves)
        if written is None:
            if len(self._figures) >= _SHELVES_KEPT:
                self._figures.clear()
            candidates = {row.backend_id for shelf in shelves for row in shelf.rows}
            said = {name: _state(each) for name, each in conditions.backends.items() if name in candidates}
            written = self._figures[shelves] = orjson.Fragment(memoryview(orjson.dumps(said)).tobytes())
        return written


def plan_inputs_of(plan: Plan) -> dict[str, Any] | None:
    """The inputs of a plan, its verdict too, for `orjson`; `None` where nothing was weighed."""
    said = InputsWriter().of(plan)
    return said if said is None else {**said, "verdict": _verdict_to_json(plan.verdict)}


def plan_inputs_from_json(data: Mapping[str, Any]) -> Inputs:
    """The inputs again.

    Raises:
        KeyError, TypeError, ValueError: it is not what `plan_inputs_of` gives.
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


def _to_json(facts: Facts, wishes: Wishes, snapshot: Snapshot, figures: Any) -> dict[str, Any]:
    said = _differing(facts, _NO_FACTS)
    said["asked"] = facts.asked
    for name, each in (("lacks", facts.lacks), ("drops", facts.drops)):
        if name in said:
            found = {backend: list(paths) for backend, paths in each.items() if paths}
            if found:
                said[name] = found
            else:
                del said[name]
    for name in ("needs", "passed_on"):
        if name in said:
            said[name] = sorted(said[name])
    return {
        "facts": said,
        "wishes": _differing(wishes, NONE),
        "snapshot": _snapshot_to_json(snapshot, figures),
    }


def _snapshot_to_json(snapshot: Snapshot, figures: Any) -> dict[str, Any]:
    age_s = snapshot.conditions.age_s
    said: dict[str, Any] = {"age_s": None if age_s == inf else age_s, "backends": figures}
    if snapshot.today is not None:
        said["today"] = snapshot.today.isoformat()
    if snapshot.barred:
        said["barred"] = {tier: sorted(providers) for tier, providers in snapshot.barred.items() if providers}
    if snapshot.dollars:
        said["dollars"] = True
    if snapshot.lower:
        said["lower"] = True
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


def _verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    return {name: value for name in _OF_VERDICT if (value := getattr(verdict, name)) is not None}


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
