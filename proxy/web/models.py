"""`GET /v1/models`, `/v1/models/{id}` and `/v1/models/{id}/endpoints`: what the key may ask for, and who answers it."""

import difflib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from proxy.exchange.arrival import Arrival
from proxy.exchange.choice.choosing import allow_lists
from proxy.exchange.errors import Refused
from proxy.http.door import ARRIVAL
from proxy.routing.catalogue.types import Backend, Catalogue, Model, Price
from proxy.routing.filters import within
from proxy.routing.names import meant, names

_PARAMETERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "tools": ("tools", "tool_choice"),
        "parallel_tools": ("parallel_tool_calls",),
        "json_schema": ("response_format", "structured_outputs"),
        "reasoning": ("reasoning",),
        "logprobs": ("logprobs", "top_logprobs"),
    }
)
"""OpenRouter's names of what words of `can` are asked for by."""


class Models:
    """The three endpoints."""

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
        return _json(self._row(self._offered(request, arrival)), arrival)

    async def endpoints(self, request: Request) -> Response:
        """Who answers a model, or the models that a tier or mode may choose: OpenRouter's shape.

        Its page "List all endpoints for a model" (openrouter.ai/docs/api/api-reference/endpoints/list-endpoints),
        seen 2026-11-28. What the catalogue does not say is `null`; what is outside the customer's regions is left out.
        """
        arrival: Arrival = request.scope[ARRIVAL]
        asked = self._offered(request, arrival)
        regions = arrival.subject.regions
        found = [
            _endpoint(model, backend)
            for model in self._behind(asked)
            for backend in model.backends
            if not regions or within(backend, regions)
        ]
        row = {"id": asked, "name": asked, "created": self._started_s, "endpoints": found}
        return _json({"data": row}, arrival)

    def _behind(self, name: str) -> Iterable[Model]:
        """The model of that name, or those that a tier or mode may choose."""
        catalogue = self._catalogue
        stands_for = meant(name, catalogue)
        if stands_for is None:
            return ()
        if stands_for.model is not None:
            return (catalogue.models[stands_for.model],)
        tiers = catalogue.modes[stands_for.mode or name]
        ids = dict.fromkeys(
            each for tier in tiers if tier in catalogue.tiers for each in catalogue.tiers[tier].models
        )
        return [catalogue.models[each] for each in ids]

    def _offered(self, request: Request, arrival: Arrival) -> str:
        """The name in the path, if the key may ask for it."""
        asked: str = request.path_params["model"]
        offered = names(allow_lists(arrival.subject), self._catalogue)
        if asked not in offered:
            near = difflib.get_close_matches(asked, offered, n=3, cutoff=0.5)
            hint = f"; did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else ""
            raise Refused(
                "model_not_found", f"this key sees no model or tier called `{asked}`{hint}", param="model"
            )
        return asked

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


def _endpoint(model: Model, backend: Backend) -> dict[str, object]:
    can = model.can or ()
    return {
        "name": backend.id,
        "model_name": model.id,
        "provider_name": backend.provider,
        "tag": backend.provider,
        "context_length": model.context_tokens,
        "max_prompt_tokens": model.context_tokens,
        "max_completion_tokens": model.max_output_tokens,
        "quantization": backend.quantization,
        "pricing": None if backend.price is None else _pricing(backend.price),
        "supported_parameters": [each for word in _PARAMETERS if word in can for each in _PARAMETERS[word]],
        "headgate": {"region": backend.region, "data_policy": backend.data_policy},
    }


def _pricing(price: Price) -> dict[str, str]:
    """USD per token, and per request, as decimals."""
    said = {
        "prompt": price.input_picousd,
        "completion": price.output_picousd,
        "request": price.per_request_picousd,
        "input_cache_read": price.cache_read_picousd,
        "input_cache_write": price.cache_write_picousd,
    }
    return {name: _usd(picousd) for name, picousd in said.items() if picousd is not None}


def _usd(picousd: int) -> str:
    text = f"{Decimal(picousd).scaleb(-12):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _json(members: object, arrival: Arrival) -> Response:
    response = Response(orjson.dumps(members), media_type="application/json")
    response.raw_headers.extend(arrival.said)
    return response
