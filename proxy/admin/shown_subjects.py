"""What administrators are shown of customers and keys."""

from typing import Any, Final, Literal

from pydantic import ConfigDict

from proxy.settings.section import Section
from proxy.settings.subjects import Limits
from proxy.settings.words import Moment

_CUSTOMER: Final[dict[str, Any]] = {
    "id": "acme",
    "name": "Acme Industries",
    "limits": {"usd_per_month": 100.0, "in_flight": 16},
    "models": ["balanced", "frugal"],
    "regions": ["eu"],
    "priority": "high",
    "on_soft_limit": "lower",
    "metadata": {"team": "blue"},
    "tags": ["division:web"],
    "disabled": False,
    "managed": "api",
    "created_at": "2026-11-28T12:00:00Z",
}
_KEY: Final[dict[str, Any]] = {
    "id": "key-0123456789abcdef",
    "customer": "acme",
    "name": "web",
    "limits": {"requests_per_minute": 600},
    "models": {"gpt-5": {"usd_per_day": 5.0}, "balanced": {}},
    "expires_at": None,
    "tags": ["env:prod"],
    "disabled": False,
    "previous_until": None,
    "managed": "api",
    "created_at": "2026-11-28T12:00:00Z",
}


_WARNED: Final[dict[str, Any]] = {
    "subject": "customer",
    "id": "acme",
    "limit": "usd_per_day",
    "used": 7.5,
    "maximum": 5.0,
    "message": "the customer has used 7.5 of usd_per_day, more than 5: requests are refused until it begins anew",
}


class CustomerRecord(Section):
    """A customer. `managed` is `file` for what the configuration file manages: read-only here."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CUSTOMER]})

    id: str
    name: str
    limits: Limits
    models: tuple[str, ...] | None
    regions: tuple[str, ...] | None
    priority: Literal["low", "normal", "high"]
    on_soft_limit: Literal["keep", "lower"]
    metadata: dict[str, Any]
    tags: tuple[str, ...]
    disabled: bool
    managed: Literal["api", "file"]
    created_at: Moment


class KeyRecord(Section):
    """A key, without its text. `previous_until`: the end of the text that the last rotation replaced."""

    model_config = ConfigDict(json_schema_extra={"examples": [_KEY]})

    id: str
    customer: str
    name: str
    limits: Limits
    models: tuple[str, ...] | dict[str, Limits] | None
    expires_at: Moment | None
    tags: tuple[str, ...]
    disabled: bool
    previous_until: Moment | None
    managed: Literal["api", "file"]
    created_at: Moment


class Warned(Section):
    """A limit that was lowered below what is used, held amounts included. Dollars are dollars."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WARNED]})

    subject: Literal["customer", "key", "model"]
    id: str
    limit: str
    used: float
    maximum: float
    message: str


class ChangedCustomer(CustomerRecord):
    """A customer after a change; `warnings` only where there are some."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_CUSTOMER, "warnings": [_WARNED]}]})

    warnings: tuple[Warned, ...] = ()


class ChangedKey(KeyRecord):
    """A key after a change; `warnings` only where there are some."""

    model_config = ConfigDict(json_schema_extra={"examples": [_KEY]})

    warnings: tuple[Warned, ...] = ()


class KeyWithText(KeyRecord):
    """A key and its text, which is in no other answer."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_KEY, "key": "sk-hg-…"}]})

    key: str


class CustomerList(Section):
    """Some customers in order of id. `next` is `after` for those that follow, `null` at the end."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"object": "list", "data": [_CUSTOMER], "next": None}]}
    )

    object: Literal["list"]
    data: tuple[CustomerRecord, ...]
    next: str | None


class KeyList(Section):
    """Some keys in order of id. `next` is `after` for those that follow, `null` at the end."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"object": "list", "data": [_KEY], "next": None}]}
    )

    object: Literal["list"]
    data: tuple[KeyRecord, ...]
    next: str | None
