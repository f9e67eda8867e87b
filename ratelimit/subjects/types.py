"""Customers, keys, and what one look-up gives. Ids are opaque strings without spaces or braces."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Managed = Literal["file", "api"]
Kind = Literal["customer", "key"]
Limits = Mapping[str, float]
"""Limit name (`requests_per_minute`, `usd_per_month`, ...) -> number >= 0. An absent name is no limit."""


@dataclass(frozen=True, slots=True)
class NewCustomer:
    """What the caller says about a customer; the rest is added when it is stored."""

    id: str
    name: str = ""
    limits: Limits = field(default_factory=dict)
    models: tuple[str, ...] | None = None
    priority: str = "normal"
    metadata: Mapping[str, object] = field(default_factory=dict)
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class NewKey:
    """What the caller says about a key whose secret is made here. `expires_at`: ISO 8601, None for never."""

    customer: str
    name: str = ""
    limits: Limits = field(default_factory=dict)
    models: tuple[str, ...] | None = None
    expires_at: str | None = None
    disabled: bool = False


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


@dataclass(frozen=True, slots=True)
class Customer:
    """A stored customer. `models`: allow-list of names, None for all. `created_at`: ISO 8601, UTC."""

    id: str
    name: str
    limits: Limits
    models: tuple[str, ...] | None
    priority: str
    metadata: Mapping[str, object]
    disabled: bool
    managed: Managed
    created_at: str

    def public(self) -> dict[str, object]:
        """The members an administrator sees."""
        return {
            "id": self.id,
            "name": self.name,
            "limits": dict(self.limits),
            "models": None if self.models is None else list(self.models),
            "priority": self.priority,
            "metadata": dict(self.metadata),
            "disabled": self.disabled,
            "managed": self.managed,
            "created_at": self.created_at,
        }


@dataclass(frozen=True, slots=True)
class Key:
    """A stored key. `digest` is the SHA-256 of its text in hex; the text itself is kept nowhere."""

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

    def public(self) -> dict[str, object]:
        """The members an administrator sees: never the digest."""
        return {
            "id": self.id,
            "customer": self.customer,
            "name": self.name,
            "limits": dict(self.limits),
            "models": None if self.models is None else list(self.models),
            "expires_at": self.expires_at,
            "disabled": self.disabled,
            "managed": self.managed,
            "created_at": self.created_at,
        }


@dataclass(frozen=True, slots=True)
class Subject:
    """Who a request is from: a key together with its customer.

    A request must be within both allow-lists and both sets of limits. `disabled` is why the key may not be
    used at present (`key disabled`, `customer disabled`, `key expired`), None when it may. `expires_at_s` is
    in seconds since the epoch.
    """

    key_id: str
    customer_id: str
    key_models: tuple[str, ...] | None
    customer_models: tuple[str, ...] | None
    key_limits: Limits
    customer_limits: Limits
    key_requests_per_minute: float | None
    customer_requests_per_minute: float | None
    priority: str
    expires_at_s: float | None
    disabled: str | None

    def at(self, wall_clock_s: float) -> "Subject":
        """The subject as it is at that moment: the same object, or one disabled as expired."""
        if self.expires_at_s is None or wall_clock_s < self.expires_at_s or self.disabled is not None:
            return self
        return replace(self, disabled="key expired")


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
