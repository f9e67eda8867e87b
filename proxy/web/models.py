"""`GET /v1/models` and `/v1/models/{id}`: what the key may ask for."""

import difflib

import orjson
from starlette.requests import Request
from starlette.responses import Response

from proxy.exchange.arrival import Arrival
from proxy.exchange.choosing import allow_lists
from proxy.exchange.errors import Refused
from proxy.http.door import ARRIVAL
from proxy.routing.catalogue.types import Catalogue
from proxy.routing.policy import names


class Models:
    """The two endpoints."""

    def __init__(self, catalogue: Catalogue, *, started_s: int) -> None:
        """`started_s`: shown as `created`, which OpenAI's shape requires; seconds since the epoch."""
        self._catalogue = catalogue
        self._started_s = started_s

    async def list(self, request: Request) -> Response:
        """All of them."""
        arrival: Arrival = request.scope[ARRIVAL]
        offered = names(allow_lists(arrival.subject), self._catalogue)
        return _json({"object": "list", "data": [self._row(name) for name in offered]}, arrival)

    async def one(self, request: Request) -> Response:
        """One of them, by the rest of the path: ids may hold slashes."""
        arrival: Arrival = request.scope[ARRIVAL]
        asked = request.path_params["model"]
        offered = names(allow_lists(arrival.subject), self._catalogue)
        if asked not in offered:
            near = difflib.get_close_matches(asked, offered, n=3, cutoff=0.5)
            hint = f"; did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else ""
            raise Refused(
                "model_not_found", f"this key sees no model or tier called `{asked}`{hint}", param="model"
            )
        return _json(self._row(asked), arrival)

    def _row(self, name: str) -> dict[str, object]:
        model = self._catalogue.models.get(name)
        row: dict[str, object] = {
            "id": name,
            "object": "model",
            "created": self._started_s,
            "owned_by": model.backends[0].provider if model is not None else "headgate",
        }
        if model is not None and model.context_tokens is not None:
            row["context_length"] = model.context_tokens
        return row


def _json(members: object, arrival: Arrival) -> Response:
    response = Response(orjson.dumps(members), media_type="application/json")
    response.raw_headers.extend(arrival.said)
    return response
