"""What the policy reads of models: values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Literal

from proxy.routing.catalogue.areas import AREA_OF

Strategy = Literal["cheapest", "score", "fastest", "throughput", "order", "weighted", "least_busy"]
"""What orders the models of a tier; `proxy.routing.ranking` says how."""


@dataclass(frozen=True, slots=True)
class Price:
    """Prices in pico-dollars (1e-12 USD) per token: whole numbers for every price a provider publishes.

    A price that is `None` is charged like fresh input or ordinary output; `cost.cost_picousd` says how.

    Attributes:
        cache_write_1h_picousd: for what a cache keeps for an hour; `None`: like `cache_write_picousd`.
        audio_input_picousd, audio_output_picousd: for tokens of sound.
        per_request_picousd: for the request itself, whatever it holds.
        steps: prices of longer prompts, the longest first; these have no steps themselves.
    """

    input_picousd: int
    output_picousd: int
    cache_read_picousd: int | None = None
    cache_write_picousd: int | None = None
    cache_write_1h_picousd: int | None = None
    audio_input_picousd: int | None = None
    audio_output_picousd: int | None = None
    per_request_picousd: int = 0
    steps: tuple["Step", ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """The price of all tokens of a request whose prompt is longer than `above_context_tokens`."""

    above_context_tokens: int
    price: Price


@dataclass(frozen=True, slots=True)
class Backend:
    """One way to reach a model.

    Attributes:
        id: provider and upstream model, as shown in `attempts`; unique in a catalogue.
        provider: the configured provider's name.
        model: the provider's name for the model.
        price: `None` means unknown, not free.
        region, data_policy, quantization: in the operator's words; `None` means nobody said.
    """

    id: str
    provider: str
    model: str
    price: Price | None
    region: str | None = None
    data_policy: str | None = None
    quantization: str | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A model by its public id, with its backends in order of preference.

    Attributes:
        context_tokens: prompt and answer together; `None` means unknown, here and below.
        can: words of the configuration's `can`; none of them means text only. `None`: nobody said, which is text only
            for a tier, while a client that names the model may know better.
        max_image_tokens: the most that one image adds to a prompt.
        quality: 0 to 100 by kind of task or by domain. What is not in it is unknown, not bad; ask `quality_for`.
        speed_tokens_s: a first guess.
        deprecated_on: the provider's last day.
    """

    id: str
    backends: tuple[Backend, ...]
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    can: frozenset[str] | None = None
    max_image_tokens: int | None = None
    quality: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    speed_tokens_s: float | None = None
    deprecated_on: date | None = None

    def quality_for(self, *kinds: str | None) -> float | None:
        """The figure of the first of `kinds` that has one, so name the finer first; `None` when nobody measured.

        A domain that is measured under another name has that one's figure, unless it has its own.
        """
        quality = self.quality
        for kind in kinds:
            if kind is None:
                continue
            if kind in quality:
                return quality[kind]
            area = AREA_OF.get(kind)
            if area is not None and area in quality:
                return quality[area]
        return None


@dataclass(frozen=True, slots=True)
class Weights:
    """What the strategy `score` adds up, as shares."""

    quality: float = 0.0
    cost: float = 0.0
    speed: float = 0.0
    availability: float = 0.0


@dataclass(frozen=True, slots=True)
class Tier:
    """What a tier may choose, and how.

    Attributes:
        models: public ids; their order breaks ties.
        floor: least quality, 0 to 100.
        weights: `None`: the policy's own.
        stages: models to try in turn until an answer is good enough; `None`: one answers.
    """

    models: tuple[str, ...]
    strategy: Strategy = "cheapest"
    floor: float = 0.0
    weights: Weights | None = None
    stages: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that can be asked for.

    Attributes:
        models: by public id.
        tiers: by name.
        modes: name asked for, to its tiers for simple, moderate and complex requests.
        aliases: further names of modes.
        min_confidence: a verdict below it moves one tier up within its mode, 0 to 1.
    """

    models: Mapping[str, Model]
    tiers: Mapping[str, Tier]
    modes: Mapping[str, tuple[str, str, str]]
    aliases: Mapping[str, str]
    min_confidence: float = 0.6
