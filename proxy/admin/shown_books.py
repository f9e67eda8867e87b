"""What administrators are shown of usage and the ledger, as types."""

from typing import Any, Final, Literal

from pydantic import ConfigDict

from proxy.settings.section import Section

_FIGURES: Final[dict[str, Any]] = {
    "requests": 12,
    "errors": 1,
    "input_tokens": 5210,
    "output_tokens": 1840,
    "cache_read_tokens": 1024,
    "cache_write_tokens": 0,
    "reasoning_tokens": 310,
    "cost_usd": 0.004982,
    "estimated": 0,
    "unpriced": 0,
}
_ROW: Final[dict[str, Any]] = {
    "object": "row",
    "id": "1764331200250-0",
    "request_id": "req-0123456789abcdef01234567",
    "customer": "acme",
    "key": "key-0123456789abcdef",
    "asked": "balanced",
    "tier": "balanced",
    "model": "gpt-5-mini",
    "backend": "openai/gpt-5-mini",
    "outcome": "ok",
    "status": 200,
    "input_tokens": 21,
    "output_tokens": 63,
    "cache_read_tokens": 0,
    "cache_write_tokens": 0,
    "reasoning_tokens": 0,
    "cost_usd": 0.000132,
    "estimated": False,
    "tags": ["env:prod"],
    "arrived_at": "2025-11-28T11:59:58.700Z",
    "settled_at": "2025-11-28T12:00:00.250Z",
    "attempts": [
        {"backend": "openai/gpt-5-mini", "outcome": "ok", "status": 200, "tokens": 84, "cost_usd": 0.000132}
    ],
}
_RELEASED: Final[dict[str, Any]] = {
    "object": "released",
    "id": "1764331260000-0",
    "request_id": "req-89abcdef0123456789abcdef",
    "customer": "acme",
    "key": "key-0123456789abcdef",
    "asked": "balanced",
    "backend": "openai/gpt-5-mini",
    "outcome": "released",
    "released_tokens": 4200,
    "released_usd": 0.008311,
    "arrived_at": "2025-11-28T11:30:00.000Z",
    "settled_at": "2025-11-28T12:01:00.000Z",
}
_LOST: Final[dict[str, Any]] = {
    "request_id": "req-89abcdef0123456789abcdef",
    "customer": "acme",
    "key": "key-0123456789abcdef",
    "asked": "balanced",
    "backend": "openai/gpt-5-mini",
    "tokens": 4200,
    "usd": 0.008311,
    "arrived_at": "2025-11-28T11:30:00.000Z",
}
_SUMS: Final[dict[str, Any]] = {"tokens": 84, "usd": 0.000132}
_NONE: Final[dict[str, Any]] = {"tokens": 0, "usd": 0.0}


class UsageFigures(Section):
    """Sums of requests.

    `errors` got no whole answer; tokens of the cache are within `input_tokens`, reasoning within `output_tokens`;
    `estimated` is how many requests' tokens are an estimate, `unpriced` how many had no price and cost nothing here.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_FIGURES]})

    requests: int
    errors: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost_usd: float
    estimated: int
    unpriced: int


class UsageGroup(UsageFigures):
    """Sums of one group: of the members below those that `group_by` named; `null` is what has none."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"customer": "acme", **_FIGURES}]})

    customer: str = ""
    key: str = ""
    model: str | None = None
    backend: str | None = None
    tag: str | None = None
    day: str = ""


class UsageList(Section):
    """Sums in order of their groups; days are UTC, of arrival, both included. `total` counts each request once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "object": "list",
                    "since": "2025-11-01",
                    "until": "2025-11-28",
                    "group_by": ["customer"],
                    "data": [{"customer": "acme", **_FIGURES}],
                    "total": _FIGURES,
                }
            ]
        }
    )

    object: Literal["list"]
    since: str
    until: str
    group_by: tuple[str, ...]
    data: tuple[UsageGroup, ...]
    total: UsageFigures


class LedgerAttempt(Section):
    """One try. `cost_usd` is `null` where the price is unknown."""

    model_config = ConfigDict(json_schema_extra={"examples": _ROW["attempts"]})

    backend: str
    outcome: str
    status: int
    tokens: int
    cost_usd: float | None


class LedgerRow(Section):
    """A request that ran. `cost_usd` is everything it was billed, `null` where a price is unknown."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ROW]})

    object: Literal["row"]
    id: str
    request_id: str
    customer: str
    key: str
    asked: str
    tier: str | None
    model: str | None
    backend: str | None
    outcome: str
    status: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost_usd: float | None
    estimated: bool
    tags: tuple[str, ...]
    arrived_at: str
    settled_at: str
    attempts: tuple[LedgerAttempt, ...]


class ReleasedRow(Section):
    """Money given back for a lost reservation. `asked`, `backend`: as of one that is lost."""

    model_config = ConfigDict(json_schema_extra={"examples": [_RELEASED]})

    object: Literal["released"]
    id: str
    request_id: str
    customer: str
    key: str | None
    asked: str | None
    backend: str | None
    outcome: Literal["released"]
    released_tokens: int
    released_usd: float
    arrived_at: str
    settled_at: str


class LedgerPage(Section):
    """Rows in order of settlement, customer by customer. `next` is `cursor` for what follows, `null` at the end."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"object": "list", "data": [_ROW, _RELEASED], "next": None}]}
    )

    object: Literal["list"]
    data: tuple[LedgerRow | ReleasedRow, ...]
    next: str | None


class LostRow(Section):
    """A reservation whose gateway was not heard of: `tokens` and `usd` are booked as spent for it.

    `asked` is the name in the request, `backend` the first of its plan; `null` where that is not known.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_LOST]})

    request_id: str
    customer: str
    key: str | None
    asked: str | None
    backend: str | None
    tokens: int
    usd: float
    arrived_at: str


class LostList(Section):
    """Lost reservations, customer by customer, the oldest first."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"object": "list", "data": [_LOST], "next": None}]}
    )

    object: Literal["list"]
    data: tuple[LostRow, ...]
    next: None


class ReleasedList(LostList):
    """Those that were released by this call."""


class Sums(Section):
    model_config = ConfigDict(json_schema_extra={"examples": [_SUMS]})

    tokens: int
    usd: float


class Disagreement(Section):
    """A counter that is not what was booked; `difference` is how much it is above."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "subject": "key",
                    "key": "key-0123456789abcdef",
                    "model": None,
                    "window": "total",
                    "counted": _SUMS,
                    "booked": _NONE,
                    "difference": _SUMS,
                }
            ]
        }
    )

    subject: Literal["customer", "key", "model"]
    key: str | None
    model: str | None
    window: Literal["total", "day", "month"]
    counted: Sums
    booked: Sums
    difference: Sums


_BOOKS: Final[dict[str, Any]] = {
    "customer": "acme",
    "ok": True,
    "scopes": 2,
    "rows": 1,
    "counted": _SUMS,
    "closed": _NONE,
    "booked": _SUMS,
    "lost": _NONE,
    "lost_by": [],
    "beyond": [],
    "differences": [],
}


class LostSums(Section):
    """Lost reservations of one name and one backend; see `LostRow`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"asked": "balanced", "backend": "openai/gpt-5-mini", "requests": 1, **_SUMS}]
        }
    )

    asked: str | None
    backend: str | None
    requests: int
    tokens: int
    usd: float


class CustomerBooks(Section):
    """`counted` is `closed`, `booked` and `lost` together, `lost_by` the last of these by what was asked for.

    `beyond`: windows some of whose rows are gone already.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_BOOKS]})

    customer: str
    ok: bool
    scopes: int
    rows: int
    counted: Sums
    closed: Sums
    booked: Sums
    lost: Sums
    lost_by: tuple[LostSums, ...]
    beyond: tuple[Literal["day", "month"], ...]
    differences: tuple[Disagreement, ...]


class Reconciled(Section):
    """Whether everything adds up, and each customer's books."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"ok": True, "customers": 1, "rows": 1, "data": [_BOOKS]}]}
    )

    ok: bool
    customers: int
    rows: int
    data: tuple[CustomerBooks, ...]
