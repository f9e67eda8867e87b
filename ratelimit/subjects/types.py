"""Customers, keys, and what one look-up gives. Ids are opaque strings without spaces or braces."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

Managed = Literal["file", "api"]
Kind = Literal["customer", "key"]
Limits = Mapping[str, float]
"""Limit name (`requests_per_minute`, `usd_per_month`, ...) -> number >= 0. An absent name is no limit."""

PRIORITIES: Final = ("low", "normal", "high")
DEFAULT_PRIORITY: Final = "normal"
ON_SOFT_LIMIT: Final = ("keep", "lower")
"""What becomes of the tier once a soft limit is reached."""
DEFAULT_ON_SOFT_LIMIT: Final = "keep"
TAGS_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class NewCustomer:
    """What the caller says about a customer; the rest is added when it is stored.

    `priority`: of PRIORITIES; `on_soft_limit`: of ON_SOFT_LIMIT; `regions`: see `Customer`.
    """

    id: str
    name: str = ""
    limits: Limits = field(default_factory=dict)
    models: tuple[str, ...] | None = None
    priority: str = DEFAULT_PRIORITY
    metadata: Mapping[str, object] = field(default_factory=dict)
    disabled: bool = False
    tags: tuple[str, ...] = ()
    on_soft_limit: str = DEFAULT_ON_SOFT_LIMIT
    regions: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class NewKey:
    """What the caller says about a key whose secret is made here. `expires_at`: ISO 8601, None for never.

    `model_limits`: limits of single names of `models`; see `Key`.
    """

    customer: str
    name: str = ""
    limits: Limits = field(default_factory=dict)
    models: tuple[str, ...] | None = None
    expires_at: str | None = None
    disabled: bool = False
    model_limits: Mapping[str, Limits] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConfiguredKey:
    """A key from the configuration file; its text is known by `digest` alone (SHA-256, 64 hex digits)."""

    id: str
    customer: str
    digest: str = field(repr=False)
    name: str = ""
    limits: Limits = field(default_factory=dict)
    models: tuple[str, ...] | None = None
    expires_at: str | None = None
    disabled: bool = False
    model_limits: Mapping[str, Limits] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Customer:
    """A stored customer.

    `models`: allow-list of names, None for all; `regions`: where its requests may be answered, at least one, None for
    anywhere. `created_at`: ISO 8601, UTC.
    """

    id: str
    name: str
    limits: Limits
    models: tuple[str, ...] | None
    priority: str
    metadata: Mapping[str, object]
    disabled: bool
    managed: Managed
    created_at: str
    tags: tuple[str, ...] = ()
    on_soft_limit: str = DEFAULT_ON_SOFT_LIMIT
    regions: tuple[str, ...] | None = None

    def public(self) -> dict[str, object]:
        """The members an administrator sees."""
        return {
            "id": self.id,
            "name": self.name,
            "limits": dict(self.limits),
            "models": None if self.models is None else list(self.models),
            "regions": None if self.regions is None else list(self.regions),
            "priority": self.priority,
            "on_soft_limit": self.on_soft_limit,
            "metadata": dict(self.metadata),
            "tags": list(self.tags),
            "disabled": self.disabled,
            "managed": self.managed,
            "created_at": self.created_at,
        }


@dataclass(frozen=True, slots=True)
class Key:
    """A stored key. `digest` is the SHA-256 of its text in hex; the text itself is kept nowhere.

    Attributes:
        models: allow-list of names, None for all.
        model_limits: limits of each name of `models`, empty where a name has none of its own; empty itself when
            the names were given without any.
        previous_until: ISO 8601, UTC: until when the text before the last rotation works as well; None when none
            does.
    """

    id: str
    customer: str
    name: str
    limits: Limits
    models: tuple[str, ...] | None
    expires_at: str | None
    disabled: bool
    managed: Managed
    created_at: str
    digest: str = field(repr=False)
    model_limits: Mapping[str, Limits] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    previous_until: str | None = None

    def public(self) -> dict[str, object]:
        """The members an administrator sees: never the digest. `models` has the form it was given in."""
        return {
            "id": self.id,
            "customer": self.customer,
            "name": self.name,
            "limits": dict(self.limits),
            "models": self._models(),
            "expires_at": self.expires_at,
            "tags": list(self.tags),
            "disabled": self.disabled,
            "previous_until": self.previous_until,
            "managed": self.managed,
            "created_at": self.created_at,
        }

    def _models(self) -> object:
        if self.models is None:
            return None
        if not self.model_limits:
            return list(self.models)
        return {name: dict(self.model_limits.get(name, {})) for name in self.models}


@dataclass(frozen=True, slots=True)
class Scope:
    """What limits are of: a customer, a key, or one name in a key's list of models.

    `id` is the customer's, the key's, or the name. `limits` may be empty.
    """

    kind: Literal["customer", "key", "model"]
    id: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class Subject:
    """Who a request is from: a key together with its customer.

    A request must be within both allow-lists and all limits that apply. `disabled` is why the key may not be
    used at present (`key disabled`, `customer disabled`, `key expired`, `key replaced`), None when it may.

    Attributes:
        key_model_limits: of single names of `key_models`; without those that have none.
        tags: the customer's, then the key's, no repeats.
        scopes: of the customer, of the key, then of each name in `key_model_limits`.
        expires_at_s: seconds since the epoch.
        replaced_at_s: seconds since the epoch; the end of a text that a rotation has replaced, None for a key's
            present one.
        regions: where its requests may be answered, in lower case; empty means anywhere.
    """

    key_id: str
    customer_id: str
    key_models: tuple[str, ...] | None
    customer_models: tuple[str, ...] | None
    priority: str
    expires_at_s: float | None
    disabled: str | None
    key_model_limits: Mapping[str, Limits] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = ()
    replaced_at_s: float | None = None
    on_soft_limit: str = DEFAULT_ON_SOFT_LIMIT
    regions: tuple[str, ...] = ()

    def scopes_for(self, *names: str) -> tuple[Scope, ...]:
        """The scopes a request counts in.

        Args:
            names: what it asks for: the name as written, and what that stands for (an alias, `headgate/<tier>`).
                Without the latter a limit could be walked around by writing the name differently.

        The same object each time for a key without limits of single names.
        """
        if not self.key_model_limits:
            return self.scopes
        return tuple(scope for scope in self.scopes if scope.kind != "model" or scope.id in names)

    def at(self, wall_clock_s: float) -> "Subject":
        """The subject as it is at that moment: the same object, or one disabled as expired or replaced."""
        if self.disabled is not None:
            return self
        if self.replaced_at_s is not None and wall_clock_s >= self.replaced_at_s:
            return replace(self, disabled="key replaced")
        if self.expires_at_s is not None and wall_clock_s >= self.expires_at_s:
            return replace(self, disabled="key expired")
        return self


@dataclass(frozen=True, slots=True)
class CustomerPage:
    """Some customers in order of id; `next_cursor` asks for the following ones, None at the end."""

    items: tuple[Customer, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Some keys in order of id; `next_cursor` asks for the following ones, None at the end."""

    items: tuple[Key, ...]
    next_cursor: str | None
