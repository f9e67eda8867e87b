"""From settings to the catalogue, once at start."""

from decimal import Decimal
from importlib import resources
from typing import Final

from proxy.routing.catalogue.types import Backend, Catalogue, Model, Price
from proxy.settings import schema

_PICOUSD_PER_TOKEN: Final = Decimal(1_000_000)
"""USD per million tokens times this is pico-dollars per token."""


def default_models() -> bytes:
    """The default catalogue, as YAML."""
    return resources.files("proxy.routing.catalogue").joinpath("default.yaml").read_bytes()


def from_settings(settings: schema.Settings) -> Catalogue:
    """The catalogue of what can be reached: without backends of disabled providers, and models left without any."""
    models: dict[str, Model] = {}
    for model in settings.models:
        backends = tuple(
            Backend(
                f"{backend.provider}/{backend.model}",
                backend.provider,
                backend.model,
                _price(backend.price or model.price),
            )
            for backend in model.backends
            if settings.providers[backend.provider].disabled is None
        )
        if backends:
            models[model.id] = Model(model.id, backends, model.context_tokens)
    tiers = {
        name: tuple(model for model in tier.models if model in models)
        for name, tier in settings.tiers.items()
    }
    modes = {name: (tier[0], tier[1], tier[2]) for name, tier in settings.routing.modes.items()}
    for name in tiers:
        modes.setdefault(name, (name, name, name))
    return Catalogue(models, tiers, modes, dict(settings.routing.aliases))


def _price(price: schema.Price | None) -> Price | None:
    if price is None:
        return None
    return Price(
        _picousd(price.input),
        _picousd(price.output),
        None if price.cache_read is None else _picousd(price.cache_read),
        None if price.cache_write is None else _picousd(price.cache_write),
    )


def _picousd(usd_per_million: float) -> int:
    return int((Decimal(str(usd_per_million)) * _PICOUSD_PER_TOKEN).to_integral_value())
