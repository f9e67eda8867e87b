"""Customers, keys and their limits as types, for the file and for the admin API: the same words in both."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

import orjson
from annotated_types import Le, MaxLen, MinLen
from pydantic import AfterValidator, Field, PlainValidator, PrivateAttr, TypeAdapter

from proxy.settings.section import Section
from proxy.settings.words import (
    Count,
    KeySecretName,
    Label,
    Moment,
    Name,
    Number,
    PublicName,
    Switch,
    Tag,
    Text,
    refused,
)
from ratelimit.subjects.types import TAGS_MAX

# A record is read whole at every look-up of one of its keys, so it has to stay small.
_METADATA_MAX_BYTES: Final = 16_384
# Far above any use, and counted exactly by a store whose numbers are doubles: dollars in micro-dollars too.
_COUNT_MAX: Final = 10**15
_USD_MAX: Final = 1e9
_REGIONS_MAX: Final = 64  # as many as a request may wish for


def metadata_problem(metadata: Mapping[str, Any]) -> str | None:
    """Why these metadata cannot be kept, or `None`."""
    try:
        size_bytes = len(orjson.dumps(metadata))
    except orjson.JSONEncodeError:
        return "must not be nested this deeply"
    if size_bytes > _METADATA_MAX_BYTES:
        return f"must be at most {_METADATA_MAX_BYTES} bytes of JSON, not {size_bytes}"
    return None


def _small(metadata: dict[str, Any]) -> dict[str, Any]:
    problem = metadata_problem(metadata)
    if problem is not None:
        raise refused(problem)
    return metadata


Metadata = Annotated[dict[str, Any], AfterValidator(_small)]
Priority = Literal["low", "normal", "high"]
OnSoftLimit = Literal["keep", "lower"]
Tags = Annotated[tuple[Tag, ...], MaxLen(TAGS_MAX)]
Regions = Annotated[tuple[Text, ...], MinLen(1), MaxLen(_REGIONS_MAX)]
CountLimit = Annotated[Count, Le(_COUNT_MAX)]
UsdLimit = Annotated[Number, Le(_USD_MAX)]


class Limits(Section):
    """What a subject may use, by the limit's name; a limit that is absent or `null` is none."""

    requests_per_minute: CountLimit | None = None
    tokens_per_minute: CountLimit | None = None
    in_flight: CountLimit | None = None
    tokens_per_day: CountLimit | None = None
    tokens_per_month: CountLimit | None = None
    tokens_total: CountLimit | None = None
    usd_per_day: UsdLimit | None = None
    usd_per_month: UsdLimit | None = None
    usd_total: UsdLimit | None = None

    def named(self) -> dict[str, float]:
        """Those that limit."""
        return self.model_dump(exclude_none=True)

    def over(self, defaults: Mapping[str, float]) -> dict[str, float]:
        """Those that limit, of `defaults` for what is not named here; a name with `None` is named."""
        kept = {name: value for name, value in defaults.items() if name not in self.model_fields_set}
        return {**kept, **self.named()}


_LIST: Final = TypeAdapter(tuple[PublicName, ...])
_MAPPING: Final = TypeAdapter(dict[PublicName, Limits])


def _key_models(value: Any) -> Any:
    # Not left to a union: its problems would name the alternatives, which are no part of the path.
    if isinstance(value, Mapping):
        return _MAPPING.validate_python(value)
    if isinstance(value, list | tuple):
        return _LIST.validate_python(value)
    raise refused("must be a list of names, or a mapping of names to limits")


KeyModels = Annotated[
    tuple[PublicName, ...] | dict[PublicName, Limits],
    PlainValidator(
        _key_models, json_schema_input_type=tuple[PublicName, ...] | dict[PublicName, Limits | None]
    ),
]
"""Names, or names with limits of their own; one without any has `null` or an empty mapping."""


def model_names(models: KeyModels | None) -> tuple[str, ...] | None:
    """The names alone."""
    return None if models is None else tuple(models)


def model_limits(models: KeyModels | None) -> dict[str, dict[str, float]]:
    """The limits of each name, where the form for limits was used."""
    return {name: limits.named() for name, limits in models.items()} if isinstance(models, dict) else {}


class Customer(Section):
    id: Name
    name: Label | None = None
    limits: Limits = Limits()
    models: tuple[PublicName, ...] | None = None
    regions: Regions | None = None
    priority: Priority = "normal"
    on_soft_limit: OnSoftLimit = "keep"
    metadata: Metadata = Field(default_factory=dict)
    tags: Tags = ()
    disabled: Switch = False

    _named_only: bool = PrivateAttr(default=False)

    @property
    def named_only(self) -> bool:
        """Whether only a key of the file names this customer: made unless there is one already."""
        return self._named_only

    @classmethod
    def named_by_a_key(cls, customer_id: str) -> Self:
        """A customer of which the file says nothing else."""
        customer = cls(id=customer_id, name=customer_id)
        customer._named_only = True
        return customer


class Key(Section):
    id: Name
    customer: Name
    # Hidden from repr: a digest lets whoever reads it test guesses.
    secret: KeySecretName = Field(repr=False)
    limits: Limits = Limits()
    models: KeyModels | None = None
    expires_at: Moment | None = None
    tags: Tags = ()
    disabled: Switch = False

    _digest: str | None = PrivateAttr(default=None)

    @property
    def digest(self) -> str | None:
        """SHA-256 of the key's text in lower-case hexadecimal; `None` until its secret has been read."""
        return self._digest

    def resolved(self, digest: str) -> Self:
        """The same key with its secret read."""
        copy = self.model_copy()
        copy._digest = digest  # noqa: SLF001 - a copy of our own class
        return copy
