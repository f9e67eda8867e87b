"""From settings to what the policy reads."""

from datetime import date
from typing import Any

from proxy.routing.catalogue.load import from_settings
from proxy.routing.catalogue.types import Catalogue, Price, Tier, Weights
from proxy.settings.schema import Settings

MODEL: dict[str, Any] = {
    "id": "m",
    "backends": [
        {"provider": "p", "model": "x", "region": "eu", "data_policy": "no-train", "quantization": "fp8"},
        {"provider": "p", "model": "y", "price": {"input": 1, "output": 2}},
    ],
    "can": ["tools", "vision"],
    "context_tokens": 1000,
    "max_output_tokens": 100,
    "max_image_tokens": 50,
    "quality": {"code": 80, "debugging": 70},
    "speed_tokens_s": 12,
    "deprecated_on": "2027-01-01",
}
TIERS: dict[str, Any] = {
    "frugal": {"models": ["m", "gone"], "weights": {"cost": 0.5}, "stages": ["gone", "m"]},
    "premium": {"models": []},
}


def _catalogue() -> Catalogue:
    settings = {"providers": {"p": {"adapter": "openai"}}, "models": [MODEL], "tiers": TIERS}
    return from_settings(Settings.model_validate(settings))


def test_a_model() -> None:
    """All that the configuration says of it."""
    model = _catalogue().models["m"]
    assert (1000, 100, 50, 12.0) == (
        model.context_tokens,
        model.max_output_tokens,
        model.max_image_tokens,
        model.speed_tokens_s,
    )
    assert frozenset({"tools", "vision"}) == model.can
    assert date(2027, 1, 1) == model.deprecated_on
    first, second = model.backends
    assert ("eu", "no-train", "fp8", None) == (
        first.region,
        first.data_policy,
        first.quantization,
        first.price,
    )
    assert Price(10**6, 2 * 10**6) == second.price


def test_the_finer_figure_wins_and_what_is_missing_is_unknown() -> None:
    """Not 0."""
    model = _catalogue().models["m"]
    assert 70.0 == model.quality_for("debugging", "code")
    assert 80.0 == model.quality_for("generation", "code")
    assert 80.0 == model.quality_for(None, "code")
    assert model.quality_for("generation", None) is None


def test_a_tier() -> None:
    """With its strategy and floor, reduced to known models."""
    catalogue = _catalogue()
    assert Tier(("m",), "cheapest", 55.0, Weights(cost=0.5), ("m",)) == catalogue.tiers["frugal"]
    assert Tier((), "score", 0.0) == catalogue.tiers["premium"]
    assert {"frugal", "premium"} == catalogue.tiers.keys()
