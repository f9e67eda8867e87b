"""What a request may use and what it was told: values only."""

from collections.abc import Mapping, Sequence
from decimal import ROUND_DOWN, Decimal
from typing import Final, Literal, NamedTuple

import orjson

Limit = Literal[
    "requests_per_minute",
    "tokens_per_minute",
    "in_flight",
    "tokens_per_day",
    "tokens_per_month",
    "tokens_total",
    "usd_per_day",
    "usd_per_month",
    "usd_total",
]
LIMITS: Final[tuple[Limit, ...]] = (
    "requests_per_minute",
    "tokens_per_minute",
    "in_flight",
    "tokens_per_day",
    "tokens_per_month",
    "tokens_total",
    "usd_per_day",
    "usd_per_month",
    "usd_total",
)
"""In the order of the scripts."""

HARD: Final = LIMITS[3:]
"""Those of a window: what is spent does not come back before it ends."""
_NONE: Final = -1
_MICRO: Final = Decimal(1_000_000)

Kind = Literal["customer", "key", "model"]


class Scope(NamedTuple):
    """Whose limits these are. `id`: of the key, or `<key id>:<name>` of a model's; without meaning for a customer."""

    kind: Kind
    id: str
    limits: Mapping[str, float]


class Account(NamedTuple):
    """Everything a request counts for, made once per subject; see `account`.

    Attributes:
        names: of the scopes in the store, the customer's first.
        names_json, limits_json: as the scripts read them.
        limited: whether there is any limit.
        hard: whether one counts dollars or tokens of a day, a month or for ever.
        dollars: whether one counts dollars.
    """

    customer_id: str
    scopes: tuple[Scope, ...]
    names: tuple[str, ...]
    names_json: bytes
    limits_json: bytes
    limited: bool
    hard: bool
    dollars: bool


def account(customer_id: str, scopes: Sequence[Scope]) -> Account:
    """Prepare `scopes`, the customer's first. Dollars are rounded down to whole micro-dollars."""
    if not scopes or scopes[0].kind != "customer":
        raise ValueError("scopes: the customer's must be the first")
    names = tuple(_name(scope) for scope in scopes)
    rows = [
        [name, *(_figure(limit, scope.limits.get(limit)) for limit in LIMITS)]
        for name, scope in zip(names, scopes, strict=True)
    ]
    given = {limit for scope in scopes for limit in scope.limits}
    return Account(
        customer_id,
        tuple(scopes),
        names,
        _exact(orjson.dumps(names)),
        _exact(orjson.dumps(rows)),
        limited=bool(given),
        hard=not given.isdisjoint(HARD),
        dollars=any(limit.startswith("usd_") for limit in given),
    )


def _exact(text: bytes) -> bytes:
    """A copy without the 4 kB that orjson reserves, for what is kept."""
    return memoryview(text).tobytes()


def settled_account(customer_id: str, names: Sequence[str]) -> Account:
    """Enough of an account to settle what it admitted, of which only the scopes' names were kept."""
    return Account(
        customer_id,
        (),
        tuple(names),
        _exact(orjson.dumps(names)),
        b"[]",
        limited=False,
        hard=False,
        dollars=False,
    )


def _name(scope: Scope) -> str:
    return "c" if scope.kind == "customer" else f"{scope.kind[0]}:{scope.id}"


def _figure(limit: str, value: float | None) -> float:
    if value is None:
        return _NONE
    if limit.startswith("usd_"):
        return int((Decimal(str(value)) * _MICRO).to_integral_value(ROUND_DOWN))
    return value


class Claim(NamedTuple):
    """What a request may use at most.

    Attributes:
        reservation_id: opaque; one per request.
        step: 1, or one more each time a reservation is extended; the figures are those of the step alone.
        tokens, microusd: an upper bound.
        minute_tokens: a good guess, for the rate.
        about: kept with the reservation, opaque.
    """

    reservation_id: str
    step: int
    tokens: int
    microusd: int
    minute_tokens: int
    about: bytes = b""


class Rate(NamedTuple):
    """The tighter bucket: whose it is, requests or tokens a minute, what is left, seconds until nothing is used."""

    scope: Kind
    limit: float
    remaining: int
    reset_after_s: float


class Level(NamedTuple):
    """How far a limit is used: tokens, requests or micro-dollars, those held for requests under way included."""

    scope: Kind
    limit: Limit
    used: int
    maximum: float


class Refusal(NamedTuple):
    """The limit that is in the way; of several, the one that lasts longest.

    Attributes:
        used: as in `Level`.
        reset_after_s: until the limit begins anew; `None`: it never does.
        retry_after_s: until this request may pass; `None`: it never will.
    """

    scope: Kind
    limit: Limit
    used: int
    maximum: float
    reset_after_s: float | None
    retry_after_s: float | None


class Room(NamedTuple):
    """The least that is left of any window of an account; `None` where no limit counts it."""

    tokens: int | None
    microusd: int | None


class Margin(NamedTuple):
    """How far what is spent of a window, holds aside, is from the soft ratio.

    Attributes:
        scope: whose window.
        dollars: whether it counts micro-dollars; else tokens.
        left: tokens or micro-dollars until then; 0 or less once it is reached.
        ends_after_s: until the window begins anew; `None`: it never does.
    """

    scope: Scope
    dollars: bool
    left: int
    ends_after_s: float | None


class Decision(NamedTuple):
    """Whether a request may run.

    Attributes:
        admitted_us: the server's clock, microseconds since the epoch; 0 when refused.
        requests, tokens: the rates' figures, `None` without such a limit.
        soft: the window nearest to its limit, when it is above the soft ratio.
        refusal: why not; `None` when it may, and when the reservation is over already.
        room: what a smaller request might have found, when this one was refused.
        margins: of tokens and of dollars the window that reaches the soft ratio first; none without such limits.
    """

    allowed: bool
    admitted_us: int
    requests: Rate | None
    tokens: Rate | None
    soft: Level | None
    refusal: Refusal | None
    room: Room = Room(None, None)
    margins: tuple[Margin, ...] = ()


class Row(NamedTuple):
    """What is kept of a request that ran.

    Attributes:
        text: of the ledger, opaque; empty where only its sums are to be kept.
        group: what its figures are counted under for its day; a JSON array whose fourth member is the tags.
        figures: whole numbers, always as many.
    """

    text: bytes
    group: bytes
    figures: tuple[int, ...]


NO_ROW: Final = Row(b"", b"", ())


class Window(NamedTuple):
    """A day, a month, or for ever. `held`: for requests under way. `ends_after_s`: `None` for ever."""

    spent_tokens: int
    spent_microusd: int
    held_tokens: int
    held_microusd: int
    ends_after_s: float | None


class Look(NamedTuple):
    """What one scope has used.

    Attributes:
        at_us: the server's clock, microseconds since the epoch.
        minute_requests, minute_tokens: of the rates, what has not come back yet.
    """

    scope: Scope
    at_us: int
    minute_requests: int
    minute_tokens: int
    in_flight: int
    day: Window
    month: Window
    total: Window


class Standing(NamedTuple):
    """How one limit stands: requests, tokens or micro-dollars.

    Attributes:
        used: what is held for requests under way included.
        held: that part of it.
        remaining: never below 0, although `used` may be above a limit that was lowered.
        reset_after_s: until the limit begins anew, or a rate's bucket is full; `None` where that never happens.
    """

    limit: Limit
    maximum: float
    used: int
    held: int
    remaining: float
    reset_after_s: float | None


def standings(look: Look, limits: Mapping[str, float] | None = None) -> tuple[Standing, ...]:
    """How the limits of a scope stand, those of `limits` instead where given; dollars in micro-dollars."""
    given = look.scope.limits if limits is None else limits
    return tuple(_standing(look, limit, given[limit]) for limit in LIMITS if limit in given)


def _standing(look: Look, limit: Limit, value: float) -> Standing:
    maximum = _figure(limit, value)
    held = 0
    reset_after_s: float | None = None
    if limit == "in_flight":
        used = held = look.in_flight
    elif limit.endswith("_per_minute"):
        used = look.minute_requests if limit.startswith("requests") else look.minute_tokens
        reset_after_s = used * 60 / maximum if maximum else None
    else:
        window = {"day": look.day, "month": look.month, "total": look.total}[limit.rpartition("_")[2]]
        dollars = limit.startswith("usd_")
        held = window.held_microusd if dollars else window.held_tokens
        used = held + (window.spent_microusd if dollars else window.spent_tokens)
        reset_after_s = window.ends_after_s
    return Standing(limit, maximum, used, held, max(0, maximum - used), reset_after_s)


Mode = Literal["held", "unheld", "void", "unserved"]


class Settlement(NamedTuple):
    """What a request has used, for `Reservations.settle`."""

    account: Account
    reservation_id: str
    tokens: int = 0
    microusd: int = 0
    mode: Mode = "held"
    uncertain: bool = False
    admitted_us: int = 0
    row: Row = NO_ROW
