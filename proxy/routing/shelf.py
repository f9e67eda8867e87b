"""Candidates of a tier or a model, with all that can be worked out before a request comes."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import inf
from typing import Final

from proxy.routing.catalogue.types import Backend, Catalogue, Model, Price, Strategy, Tier, Weights
from proxy.routing.snapshot import Conditions
from proxy.routing.standing import UNLIMITED, Standing, standing
from proxy.routing.types import Attempt

BELOW: Final = 2
"""The band of quality below the floor."""

_NOTHING: Final = frozenset[str]()
_KINDS_KEPT: Final = 256
"""Kinds of requests that a shelf remembers something of."""
_PICOUSD_PER_TOKEN: Final = 1_000_000
"""A dollar per million tokens, in pico-dollars per token."""
_PICOUSD: Final = 10**12

Places = Collection[int]
"""Candidates by their `place`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate. `place`: in its list, from 0.

    Attributes:
        flat_tokens: prompts up to this long pay `flat`; -1 where no price is known.
        flat: pico-dollars per token of prompt and of answer, and per request; floats, because these are faster.
        context_tokens, output_tokens: UNLIMITED where unknown.
        lot: 64 bits of its own, to draw by; odd.
    """

    place: int
    model: Model
    backend: Backend
    attempt: Attempt
    backend_id: str
    can: frozenset[str] | None
    context_tokens: int
    output_tokens: int
    flat_tokens: int
    flat: tuple[float, float, float]
    lot: int


@dataclass(frozen=True, slots=True)
class Grade:
    """Quality for a kind of request. `band`: 0 from the floor, 1 nobody measured, 2 below the floor."""

    quality: float | None
    band: int


class Shelf:
    """Candidates in the order of their list. What it remembers only saves working it out again.

    Attributes:
        rows: each at the index that is its `place`.
        places: of all.
        named: by what wishes call them, provider or backend, in lower case.
        at, data_policies, quantizations, regions: by provider, and by what is said of them, the latter in lower case.
        unpriced: those without a known price.
        last_days: of those that have one.
        context_tokens, output_tokens: the least of any.
    """

    __slots__ = (
        "_conditions", "_flat_tokens", "_grades", "_incapable", "_quotes", "_standings", "at",
        "context_tokens", "data_policies", "floor", "label", "last_days", "named", "output_tokens", "places",
        "quantizations", "regions", "repeats", "rows", "strategy", "tier", "unpriced", "weights",
    )  # fmt: skip

    def __init__(self, label: str, rows: tuple[Row, ...], tier: Tier | None) -> None:
        """
        Args:
            label: the tier's or the model's name.
            tier: `None` for the backends of one model, which run in the catalogue's order.
        """
        self.label = label
        self.rows = rows
        self.tier = tier
        self.repeats = len({row.backend_id for row in rows}) < len(rows)
        self.strategy: Strategy = "order" if tier is None else tier.strategy
        self.floor = 0.0 if tier is None else tier.floor
        self.weights: Weights | None = None if tier is None else tier.weights
        self.places = frozenset(range(len(rows)))
        self.at = _by(rows, lambda row: (row.backend.provider,))
        self.named = _by(rows, lambda row: {row.backend.provider.lower(), row.backend_id.lower()})
        self.data_policies = _by(rows, lambda row: ((row.backend.data_policy or "").lower(),))
        self.quantizations = _by(rows, lambda row: ((row.backend.quantization or "unknown").lower(),))
        self.regions = _by(rows, lambda row: ((row.backend.region or "").lower(),))
        self.unpriced = tuple(row.place for row in rows if row.backend.price is None)
        self.last_days = tuple(
            (row.place, day) for row in rows if (day := row.model.deprecated_on) is not None
        )
        self.context_tokens = min((row.context_tokens for row in rows), default=UNLIMITED)
        self.output_tokens = min((row.output_tokens for row in rows), default=UNLIMITED)
        self._flat_tokens = min((row.flat_tokens for row in rows if row.flat_tokens >= 0), default=UNLIMITED)
        self._quotes = _quotes(rows, 0)
        self._conditions: Conditions | None = None
        self._standings: tuple[Standing, ...] = ()
        self._grades: dict[tuple[str | None, str | None], tuple[Grade, ...]] = {}
        self._incapable: dict[frozenset[str], dict[int, tuple[str, ...]]] = {}

    def standings(self, conditions: Conditions) -> tuple[Standing, ...]:
        """Of each row."""
        if conditions is not self._conditions:
            self._standings = tuple(standing(row.model, conditions.of(row.backend_id)) for row in self.rows)
            self._conditions = conditions
        return self._standings

    def grades(self, domain: str | None, task_type: str | None) -> tuple[Grade, ...]:
        """Of each row: for the domain where somebody measured it, else for the kind of task."""
        kind = (domain, task_type)
        grades = self._grades.get(kind)
        if grades is None:
            if len(self._grades) >= _KINDS_KEPT:
                self._grades.clear()
            grades = self._grades[kind] = tuple(
                _grade(row.model.quality_for(domain, task_type, "other"), self.floor) for row in self.rows
            )
        return grades

    def quotes(self, prompt_tokens: int) -> Mapping[str, Sequence[float]]:
        """Prices of each row by OpenRouter's word for them: USD per million tokens, of a request USD.

        At the step that a prompt of this length pays; infinite where no price is known.
        """
        return self._quotes if prompt_tokens <= self._flat_tokens else _quotes(self.rows, prompt_tokens)

    def incapable(self, needs: frozenset[str]) -> dict[int, tuple[str, ...]]:
        """Those whose model is not known to have all of `needs`, with what it lacks.

        Of a model of which nobody said anything a client that names it knows better; a tier takes it for text only.
        """
        found = self._incapable.get(needs)
        if found is None:
            if len(self._incapable) >= _KINDS_KEPT:
                self._incapable.clear()
            found = self._incapable[needs] = {
                row.place: tuple(sorted(missing))
                for row in self.rows
                if (missing := needs - (row.can or _NOTHING)) and not (row.can is None and self.tier is None)
            }
        return found


def _by(rows: Iterable[Row], names: Callable[[Row], Iterable[str]]) -> dict[str, frozenset[int]]:
    found: dict[str, set[int]] = {}
    for row in rows:
        for name in names(row):
            found.setdefault(name, set()).add(row.place)
    return {name: frozenset(places) for name, places in found.items()}


def shelf_of_tier(name: str, catalogue: Catalogue) -> Shelf:
    """All backends of a tier's models."""
    tier = catalogue.tiers[name]
    return Shelf(name, _rows((catalogue.models[each] for each in tier.models), f"tier={name}"), tier)


def shelf_of_model(name: str, catalogue: Catalogue) -> Shelf:
    """All backends of a model."""
    return Shelf(name, _rows((catalogue.models[name],), "named"), None)


def _rows(models: Iterable[Model], reason: str) -> tuple[Row, ...]:
    rows: list[Row] = []
    for model in models:
        for place, backend in enumerate(model.backends, 1):
            attempt = Attempt(backend, model.id, model.context_tokens, (reason, f"place {place} in the list"))
            rows.append(
                Row(
                    len(rows),
                    model,
                    backend,
                    attempt,
                    backend.id,
                    model.can,
                    model.context_tokens or UNLIMITED,
                    model.max_output_tokens or UNLIMITED,
                    *_flat(backend.price),
                    hashed(backend.id) | 1,
                )
            )
    return tuple(rows)


def hashed(text: str) -> int:
    """64 bits that depend on nothing but the text."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def _flat(price: Price | None) -> tuple[int, tuple[float, float, float]]:
    """How long a prompt may be before another price begins; and the price until then. See `Row`."""
    if price is None:
        return -1, (inf, inf, inf)
    flat = float(price.input_picousd), float(price.output_picousd), float(price.per_request_picousd)
    return min((step.above_context_tokens for step in price.steps), default=UNLIMITED), flat


def _quotes(rows: Sequence[Row], prompt_tokens: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"prompt": [], "completion": [], "audio": [], "request": [], "image": []}
    for row in rows:
        price = row.backend.price
        if price is None:
            for prices in found.values():
                prices.append(inf)
            continue
        found["request"].append(price.per_request_picousd / _PICOUSD)
        price = next((step.price for step in price.steps if prompt_tokens > step.above_context_tokens), price)
        heard = price.audio_input_picousd
        found["prompt"].append(price.input_picousd / _PICOUSD_PER_TOKEN)
        found["completion"].append(price.output_picousd / _PICOUSD_PER_TOKEN)
        found["audio"].append((price.input_picousd if heard is None else heard) / _PICOUSD_PER_TOKEN)
        found["image"].append(0.0)  # images are billed as tokens of the prompt
    return found


def _grade(quality: float | None, floor: float) -> Grade:
    if not floor:
        return Grade(quality, 0)
    if quality is None:
        return Grade(None, 1)
    return Grade(quality, 0 if quality >= floor else BELOW)
