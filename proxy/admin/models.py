"""The catalogue that is served, as administrators see it."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from proxy.admin.answers import answer
from proxy.routing.catalogue.types import Catalogue, Model, Price

_PICOUSD_PER_TOKEN = 1_000_000
"""A dollar per million tokens."""
_PICOUSD = 10**12


class ModelDesk:
    """Its endpoint."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def list(self, request: Request) -> Response:
        """Every model that can be reached, in the catalogue's order."""
        rows = [self._row(model) for model in self._catalogue.models.values()]
        return answer(request, {"object": "list", "data": rows})

    def _row(self, model: Model) -> dict[str, Any]:
        return {
            "id": model.id,
            "tiers": [name for name, tier in self._catalogue.tiers.items() if model.id in tier.models],
            "backends": [
                {
                    "id": backend.id,
                    "provider": backend.provider,
                    "region": backend.region,
                    "data_policy": backend.data_policy,
                    "quantization": backend.quantization,
                    "price": None if backend.price is None else _price(backend.price),
                }
                for backend in model.backends
            ],
            "context_tokens": model.context_tokens,
            "max_output_tokens": model.max_output_tokens,
            "can": None if model.can is None else sorted(model.can),
            "quality": dict(model.quality),
            "deprecated_on": None if model.deprecated_on is None else model.deprecated_on.isoformat(),
        }


def _price(price: Price) -> dict[str, float | None]:
    """USD per million tokens, and per request."""
    cached = price.cache_read_picousd
    return {
        "input": price.input_picousd / _PICOUSD_PER_TOKEN,
        "output": price.output_picousd / _PICOUSD_PER_TOKEN,
        "cache_read": None if cached is None else cached / _PICOUSD_PER_TOKEN,
        "per_request_usd": price.per_request_picousd / _PICOUSD,
    }
