"""What a price list says otherwise than a catalogue, and the catalogue with it."""

from typing import Any

import pytest

from proxy.routing.catalogue.document import CatalogueFile
from proxy.routing.catalogue.imports import applied, changes
from proxy.routing.catalogue.offers import Malformed, Offer, Place
from proxy.settings.schema import Price


def _catalogue(*models: dict[str, Any]) -> CatalogueFile:
    return CatalogueFile("", {"models": list(models), "tiers": {}})


def _model(**members: Any) -> dict[str, Any]:
    return {
        "id": "m",
        "backends": [{"provider": "openai", "model": "m"}, {"provider": "groq", "model": "x/m"}],
        "price": {"input": 1, "output": 2, "cache_read": 0.1},
        "can": ["tools"],
        "sources": {"price": "old", "can": "old"},
        **members,
    }


def _offers(**prices: dict[str, float]) -> dict[Place, Offer]:
    places = {"openai": ("openai", "m"), "groq": ("groq", "x/m")}
    return {places[name]: Offer(places[name], Price.model_validate(each)) for name, each in prices.items()}


def test_a_figure_that_differs_is_a_line() -> None:
    """Old, new, both sources; a figure that the list leaves out stays."""
    found, missing = changes(_catalogue(_model()), _offers(openai={"input": 1.5, "output": 2}))
    assert ["m at openai/m: input: 1 (old) -> 1.5 (new)"] == [
        line for each in found for line in each.lines("new")
    ]
    assert ["groq/x/m"] == missing


def test_applied() -> None:
    """The first provider's price stands at the model, another's beside it; sources follow, the rest stays."""
    before = _catalogue(_model())
    found, _ = changes(before, _offers(openai={"input": 1.5, "output": 2}))
    after = applied(before, found, "new")
    expected = _model(
        backends=[
            {"provider": "openai", "model": "m"},
            {"provider": "groq", "model": "x/m", "price": {"input": 1.0, "output": 2.0, "cache_read": 0.1}},
        ],
        price={"input": 1.5, "output": 2.0, "cache_read": 0.1},
        sources={"price": "new", "price.groq": "old", "can": "old"},
    )
    assert [expected] == after.models
    assert ["id", "backends", "price", "can", "sources"] == list(after.models[0])
    assert [_model()] == before.models


def test_an_unknown_price_inherits_none() -> None:
    """Where one provider's price is unknown, each has its own, so that nobody takes the model's for it."""
    model = _model(sources={})
    del model["price"]
    found, _ = changes(_catalogue(model), _offers(openai={"input": 1, "output": 2}))
    assert ["none"] == [each.old_source for each in found]
    after = applied(_catalogue(model), found, "new").models[0]
    assert "price" not in after
    assert [{"input": 1.0, "output": 2.0}, None] == [each.get("price") for each in after["backends"]]
    assert {"price.openai": "new", "price.groq": "none"} == after["sources"]


def test_free_of_a_sudden() -> None:
    """A price of 0 is left unless somebody names the place."""
    free = _offers(openai={"input": 0, "output": 0}, groq={"input": 5, "output": 5})
    found, _ = changes(_catalogue(_model()), free)
    assert [True, False] == [each.doubt is not None for each in found]
    assert all("left, as 0 often means unknown" in line for line in found[0].lines("new"))
    (named,), _ = changes(_catalogue(_model()), free, ["openai/m"])
    assert named.doubt is None
    with pytest.raises(Malformed, match="the catalogue has no openai/n"):
        changes(_catalogue(_model()), free, ["openai/n"])


def test_the_same_prices_are_no_change() -> None:
    """However they are written, and with steps."""
    step = {"above_context_tokens": 10, "input": 3.0, "output": 4.0}
    model = _model(price={"input": 1, "output": 2, "steps": [step]})
    offers = _offers(openai={"input": 1.0, "output": 2.0, "steps": [step]})  # type: ignore[dict-item]
    assert [] == changes(_catalogue(model), offers)[0]
