"""From settings to the catalogue, once at start."""

from decimal import Decimal
from importlib import resources
from types import MappingProxyType
from typing import Final

from proxy.routing.catalogue.types import Backend, Catalogue, Model, Price, Step, Tier, Weights
from proxy.settings import schema

_PICOUSD_PER_TOKEN: Final = Decimal(1_000_000)
"""USD per million tokens times this is pico-dollars per token."""

_PICOUSD: Final = Decimal(10**12)
"""In a dollar."""


def default_models() -> bytes:
    """The default catalogue, as YAML."""
    return resources.files("proxy.routing.catalogue").joinpath("default.yaml").read_bytes()


def from_settings(settings: schema.Settings) -> Catalogue:
    """The catalogue of what can be reached: without backends of disabled providers, and models left without any."""
    models: dict[str, Model] = {}
    for model in settings.models:
        backends = tuple(
            _backend(backend, model.price)
            for backend in model.backends
            if settings.providers[backend.provider].disabled is None
        )
        if backends:
            models[model.id] = _model(model, backends)
    tiers = {
        name: Tier(
            tuple(model for model in tier.models if model in models),
            tier.strategy,
            tier.floor,
            None if tier.weights is None else Weights(**tier.weights.model_dump()),
            None if tier.stages is None else tuple(model for model in tier.stages if model in models),
        )
        for name, tier in settings.tiers.items()
    }
    modes = {name: (tier[0], tier[1], tier[2]) for name, tier in settings.routing.modes.items()}
    for name in tiers:
        modes.setdefault(name, (name, name, name))
    return Catalogue(
        models, tiers, modes, dict(settings.routing.aliases), settings.routing.classifier.min_confidence
    )


def price_of(price: schema.Price | schema.PriceStep) -> Price:
    """A price of the settings in whole pico-dollars per token."""
    steps = price.steps if isinstance(price, schema.Price) else ()
    per_request_usd = price.per_request_usd if isinstance(price, schema.Price) else 0.0
    return Price(
        _picousd(price.input),
        _picousd(price.output),
        _optional_picousd(price.cache_read),
        _optional_picousd(price.cache_write),
        _optional_picousd(price.cache_write_1h),
        _optional_picousd(price.audio_input),
        _optional_picousd(price.audio_output),
        int((Decimal(str(per_request_usd)) * _PICOUSD).to_integral_value()),
        tuple(Step(step.above_context_tokens, price_of(step)) for step in reversed(steps)),
    )


def _model(model: schema.Model, backends: tuple[Backend, ...]) -> Model:
    return Model(
        model.id,
        backends,
        model.context_tokens,
        model.max_output_tokens,
        frozenset(model.can) if "can" in model.model_fields_set else None,
        model.max_image_tokens,
        MappingProxyType(dict(model.quality)),
        model.speed_tokens_s,
        model.deprecated_on,
    )


def _backend(backend: schema.Backend, default: schema.Price | None) -> Backend:
    price = backend.price or default
    return Backend(
        f"{backend.provider}/{backend.model}",
        backend.provider,
        backend.model,
        None if price is None else price_of(price),
        backend.region,
        backend.data_policy,
        backend.quantization,
    )


def _picousd(usd_per_million: float) -> int:
    return int((Decimal(str(usd_per_million)) * _PICOUSD_PER_TOKEN).to_integral_value())


def _optional_picousd(usd_per_million: float | None) -> int | None:
    return None if usd_per_million is None else _picousd(usd_per_million)
