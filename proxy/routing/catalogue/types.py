"""What the policy reads of models: values only."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Price:
    """Prices in pico-dollars (1e-12 USD) per token: whole numbers for every price a provider publishes.

    A cache price that is `None` is charged like fresh input.
    """

    input_picousd: int
    output_picousd: int
    cache_read_picousd: int | None = None
    cache_write_picousd: int | None = None


@dataclass(frozen=True, slots=True)
class Backend:
    """One way to reach a model.

    Attributes:
        id: provider and upstream model, as shown in `attempts`; unique in a catalogue.
        provider: the configured provider's name.
        model: the provider's name for the model.
        price: `None` means unknown, not free.
    """

    id: str
    provider: str
    model: str
    price: Price | None


@dataclass(frozen=True, slots=True)
class Model:
    """A model by its public id, with its backends in order of preference."""

    id: str
    backends: tuple[Backend, ...]
    context_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that can be asked for.

    Attributes:
        models: by public id.
        tiers: tier to its models, best first.
        modes: name asked for, to its tiers for simple, moderate and complex requests.
        aliases: further names of modes.
    """

    models: Mapping[str, Model]
    tiers: Mapping[str, tuple[str, ...]]
    modes: Mapping[str, tuple[str, str, str]]
    aliases: Mapping[str, str]
