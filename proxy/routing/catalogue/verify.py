"""A catalogue against what providers say they have, and against the calendar."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

from proxy.routing.catalogue.types import Catalogue

NOTICE: Final = timedelta(days=30)
"""How long before its end a model is warned of."""

_LIKENESS: Final = 0.6
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to put right (`problem`) or to know."""

    level: Literal["problem", "warning", "note"]
    model: str
    backend: str
    message: str


def verify(
    catalogue: Catalogue, lists: Mapping[str, frozenset[str] | str | None], today: date
) -> Iterator[Finding]:
    """What is wrong, in the catalogue's order.

    Args:
        lists: by provider what it lists; a text when it could not be asked, which says why; `None` when it has no list.
    """
    for provider, listed in lists.items():
        if listed is None:
            yield Finding("note", "", provider, "lists no models that its key may read; not verified")
        elif isinstance(listed, str):
            yield Finding("problem", "", provider, f"could not be asked: {listed}")
    for model in catalogue.models.values():
        if model.deprecated_on is not None and model.deprecated_on <= today + NOTICE:
            yield Finding("warning", model.id, "", _ending(model.deprecated_on, today))
        for backend in model.backends:
            listed = lists.get(backend.provider)
            if isinstance(listed, frozenset) and backend.model not in listed:
                near = difflib.get_close_matches(backend.model, sorted(listed), n=_SHOWN, cutoff=_LIKENESS)
                hint = f"; near: {', '.join(near)}" if near else ""
                yield Finding("problem", model.id, backend.id, f"the provider does not list it{hint}")


def _ending(day: date, today: date) -> str:
    days = (day - today).days
    if days < 0:
        return f"ended on {day}, {-days} days ago"
    return f"ends on {day}, in {days} days"
