"""A price list of others against a catalogue: what differs, and the catalogue with it."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from proxy.routing.catalogue.document import CatalogueFile
from proxy.routing.catalogue.offers import Malformed, Offer, Place
from proxy.settings.schema import Price

Values = dict[str, Any]
"""A price as it stands in a file, without what is absent."""

_LOCAL: Final = frozenset({"vllm", "ollama", "llamacpp", "lmstudio"})


@dataclass(frozen=True, slots=True)
class Change:
    """One price that differs.

    Attributes:
        old_source: where the catalogue has it from; `none` where it had none.
        doubt: why it is not taken unless it is named; `None`: there is none.
    """

    model: str
    place: Place
    old: Values | None
    new: Values
    old_source: str
    doubt: str | None

    def lines(self, source: str) -> Iterator[str]:
        """A line for each figure that differs."""
        old = self.old or {}
        for figure, new in self.new.items():
            if old.get(figure) != new:
                yield (
                    f"{self.model} at {'/'.join(self.place)}: {figure}: {_text(old.get(figure))} ({self.old_source})"
                    f" -> {_text(new)} ({source}){f': left, {self.doubt}' if self.doubt else ''}"
                )


def changes(
    catalogue: CatalogueFile, offers: Mapping[Place, Offer], named: Sequence[str] = ()
) -> tuple[list[Change], list[str]]:
    """What the list says otherwise, in the catalogue's order; and the places it does not know.

    A figure that it leaves out stays as it is.

    Args:
        named: places, as `provider/model`, that are looked at alone and without doubt; none: all are looked at.

    Raises:
        Malformed: the catalogue does not hold a place that is named.
    """
    held = {
        f"{backend['provider']}/{backend['model']}"
        for model in catalogue.models
        for backend in model["backends"]
    }
    for name in named:
        if name not in held:
            raise Malformed(f"the catalogue has no {name}")
    found: list[Change] = []
    missing: list[str] = []
    for model in catalogue.models:
        for backend in model["backends"]:
            place = (backend["provider"], backend["model"])
            name = "/".join(place)
            if (named and name not in named) or place[0] in _LOCAL:
                continue
            offer = offers.get(place)
            if offer is None:
                missing.append(name)
                continue
            old = _effective(model, backend)
            new = (old or {}) | _values(offer.price)  # what a list leaves out it does not know
            if old != new:
                doubt = None if named else _doubt(old, new)
                found.append(Change(model["id"], place, old, new, _source(model, place[0]), doubt))
    return found, missing


def applied(catalogue: CatalogueFile, taken: Sequence[Change], source: str) -> CatalogueFile:
    """The catalogue with these changes. `source`: the key under which they are explained."""
    values = copy.deepcopy(catalogue.values)
    new = {(change.model, change.place): change.new for change in taken}
    for model in values["models"]:
        backends = model["backends"]
        prices = [_effective(model, backend) for backend in backends]
        sources = [_source(model, backend["provider"]) for backend in backends]
        touched = False
        for index, backend in enumerate(backends):
            key = (model["id"], (backend["provider"], backend["model"]))
            if key in new:
                prices[index], sources[index], touched = new[key], source, True
        if touched:
            _set(model, prices, sources)
    return CatalogueFile(catalogue.header, values)


def _set(model: dict[str, Any], prices: Sequence[Values | None], sources: Sequence[str]) -> None:
    """Give each backend its price: the first provider's stands at the model, unless some price is unknown."""
    shared = None
    hosts = [index for index, backend in enumerate(model["backends"]) if backend["provider"] not in _LOCAL]
    if hosts and all(price is not None for price in prices):
        shared = hosts[0]
    kept = {key: value for key, value in model.get("sources", {}).items() if key.partition(".")[0] != "price"}
    own: dict[str, str] = {} if shared is None else {"price": sources[shared]}
    for index, backend in enumerate(model["backends"]):
        backend.pop("price", None)
        if prices[index] is not None and (shared is None or prices[index] != prices[shared]):
            backend["price"] = prices[index]
        if shared is None or sources[index] != sources[shared]:
            own[f"price.{backend['provider']}"] = sources[index]
    rest = {key: model.pop(key) for key in list(model) if key not in {"id", "backends", "price"}}
    model.pop("price", None)
    if shared is not None:
        model["price"] = prices[shared]
    model.update(rest)
    model["sources"] = own | kept


def _effective(model: Mapping[str, Any], backend: Mapping[str, Any]) -> Values | None:
    price = backend.get("price") or model.get("price")
    return None if price is None else _values(Price.model_validate(price))


def _values(price: Price) -> Values:
    values = price.model_dump(exclude_defaults=True)
    if "steps" in values:
        values["steps"] = [dict(step) for step in values["steps"]]
    return values


def _source(model: Mapping[str, Any], provider: str) -> str:
    sources = model.get("sources", {})
    return str(sources.get(f"price.{provider}") or sources.get("price") or "none")


def _doubt(old: Values | None, new: Values) -> str | None:
    if old and (old["input"] or old["output"]) and not (new["input"] or new["output"]):
        return "as 0 often means unknown; name the place to take it"
    return None


def _text(figure: Any) -> str:
    if figure is None:
        return "none"
    if isinstance(figure, list):
        return ", ".join(" ".join(f"{key}={value:g}" for key, value in step.items()) for step in figure)
    return f"{figure:g}"
