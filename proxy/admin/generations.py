"""`GET /admin/v1/generations/{id}`: a past request with its choice made again from what it was made of."""

from dataclasses import fields
from math import inf
from typing import Any, Final, NamedTuple, Protocol

from starlette.requests import Request
from starlette.responses import Response

from proxy.admin.answers import answer
from proxy.admin.reading import read_query
from proxy.exchange.books.generation import Generation, members_of, read
from proxy.exchange.books.ledger_row import time_text
from proxy.exchange.choice.choosing import Choosing
from proxy.exchange.errors import Refused
from proxy.routing.explain import explained, verdict_json
from proxy.routing.proof import chosen_of, differences
from proxy.routing.replay import Inputs, plan_inputs_from_json
from proxy.routing.snapshot import BackendState
from proxy.routing.types import Unroutable

_NOT_WEIGHED: Final = "nothing was weighed for it, so that there is nothing to make again"
_UNREADABLE: Final = "its inputs cannot be read: another version of the gateway wrote them"
_FIGURES: Final = tuple(each.name for each in fields(BackendState))


class Records(Protocol):
    """The store's records; see `ratelimit.memory.generations`."""

    async def get(self, customer_id: str, generation_id: str) -> bytes | None: ...
    async def owner(self, generation_id: str) -> str | None: ...


class _Again(NamedTuple):
    """A choice made again. `differences`: none where it is the one that was made."""

    differences: list[str]
    candidates: list[dict[str, Any]]
    inputs: Inputs | None


class GenerationDesk:
    """The endpoint."""

    def __init__(self, records: Records, choosing: Choosing, catalogue: str) -> None:
        """`choosing`: makes choices with the catalogue of now, whose fingerprint is `catalogue`."""
        self._records = records
        self._choosing = choosing
        self._catalogue = catalogue

    async def one(self, request: Request) -> Response:
        """Two round trips, or one where the customer is named."""
        asked = read_query(request, ("customer",))
        generation_id = request.path_params["id"]
        customer_id = asked.get("customer") or await self._records.owner(generation_id)
        blob = None if customer_id is None else await self._records.get(customer_id, generation_id)
        found = None if blob is None else read(blob)
        if found is None:
            raise Refused("not_found", f"there is no record of a request `{generation_id}`")
        again = self._again(found)
        return answer(
            request,
            {
                **_told(found),
                "candidates": again.candidates,
                **_health(again),
                "replayed": not again.differences,
                "differences": again.differences,
                "catalogue_changed": found.catalogue != self._catalogue,
                "inputs": found.inputs,
                "generation": members_of(found),
            },
        )

    def _again(self, found: Generation) -> _Again:
        if found.inputs is None or found.chosen is None:
            return _Again([_NOT_WEIGHED], [], None)
        try:
            inputs = plan_inputs_from_json(found.inputs)
        except (KeyError, TypeError, ValueError):
            return _Again([_UNREADABLE], [], None)
        try:
            plan = self._choosing.replayed(inputs)
        except Unroutable as problem:
            return _Again([f"nothing would be tried: {problem.message}"], [], inputs)
        return _Again(differences(found.chosen, chosen_of(plan)), explained(plan)["candidates"], inputs)


def _told(found: Generation) -> dict[str, Any]:
    chosen = found.chosen
    return {
        "id": found.request_id,
        "customer": found.customer_id,
        "key": found.key_id,
        "asked": found.asked,
        "outcome": found.outcome,
        "status": found.status,
        "arrived_at": time_text(found.arrived_ms),
        "tier": None if chosen is None else chosen.tier,
        "strategy": None if chosen is None else chosen.strategy,
        "raised": chosen is not None and chosen.raised,
        "lowered_from": None if chosen is None else chosen.lowered_from,
        "because": "" if chosen is None else chosen.because,
        "verdict": None if found.verdict is None else verdict_json(found.verdict),
        "planned": []
        if chosen is None
        else [{"backend": backend, "model": model} for backend, model in chosen.attempts],
        "attempts": [each.public() for each in found.tries],
    }


def _health(again: _Again) -> dict[str, Any]:
    """The figures that were used, of the backends that were looked at."""
    if again.inputs is None:
        return {"health": {}, "health_age_s": None}
    conditions = again.inputs.snapshot.conditions
    backends = dict.fromkeys((*(each["backend"] for each in again.candidates), *conditions.backends))
    return {
        "health": {
            name: {figure: getattr(conditions.of(name), figure) for figure in _FIGURES} for name in backends
        },
        "health_age_s": None if conditions.age_s == inf else conditions.age_s,
    }
