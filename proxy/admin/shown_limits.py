"""What administrators are shown of how limits stand, as types."""

from typing import Any, Final, Literal

from pydantic import ConfigDict

from proxy.settings.section import Section

_SPENT: Final[dict[str, Any]] = {"tokens": 84, "cost_usd": 0.000132}
_SCOPE: Final[dict[str, Any]] = {
    "subject": "customer",
    "id": "acme",
    "model": None,
    "in_flight": 1,
    "spent": {"day": _SPENT, "month": _SPENT, "total": _SPENT},
    "limits": [
        {
            "limit": "usd_per_month",
            "maximum": 100.0,
            "used": 0.010132,
            "held": 0.01,
            "remaining": 99.989868,
            "resets_at": "2025-12-01T00:00:00.000Z",
        }
    ],
}


class Spent(Section):
    model_config = ConfigDict(json_schema_extra={"examples": [_SPENT]})

    tokens: int
    cost_usd: float


class SpentByWindow(Section):
    """Settled, in the present UTC day, the present month, and ever."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SCOPE["spent"]]})

    day: Spent
    month: Spent
    total: Spent


class LimitState(Section):
    """`used` includes what is `held` for requests under way. Dollars are dollars."""

    model_config = ConfigDict(json_schema_extra={"examples": _SCOPE["limits"]})

    limit: str
    maximum: float
    used: float
    held: float
    remaining: float
    resets_at: str | None


class ScopeLimits(Section):
    """How the limits of a customer, a key, or one name of a key's models stand."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SCOPE]})

    subject: Literal["customer", "key", "model"]
    id: str
    model: str | None
    in_flight: int
    spent: SpentByWindow
    limits: tuple[LimitState, ...]


class KeyLimits(ScopeLimits):
    """Of a key, and of its models that have limits of their own."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{**_SCOPE, "subject": "key", "id": "key-0123456789abcdef", "models": []}]
        }
    )

    models: tuple[ScopeLimits, ...]


class CustomerLimits(Section):
    """`next` is `after` for the keys that follow, `null` at the end."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"customer": _SCOPE, "keys": [], "next": None}]}
    )

    customer: ScopeLimits
    keys: tuple[KeyLimits, ...]
    next: str | None
