"""Whether a request may run: what it may use is held against every limit before any attempt, settled afterwards."""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from proxy.exchange.bounds import Bound
from proxy.exchange.errors import Refused
from ratelimit.limits.reservations import Mode, Reservations
from ratelimit.limits.settling import Settlement, Settler
from ratelimit.limits.types import NO_ROW, Account, Claim, Decision, Rate, Refusal, Row, Scope, account
from ratelimit.store.errors import StoreUnavailable
from ratelimit.subjects.types import Scope as SubjectScope
from ratelimit.subjects.types import Subject

Headers = Sequence[tuple[bytes, bytes]]

_MICRO: Final = 1_000_000
_ACCOUNTS_KEPT: Final = 10_000
_CODES: Final = {"usd": "budget_exceeded", "tokens": "quota_exceeded"}


class Admission(NamedTuple):
    """A request that may run.

    Attributes:
        headers: tell the tighter limits, what is left of them, and which is nearly used up.
        account: what it counts for; `None` for a subject without limits, of which nothing is held.
        mode: `held`, or `unheld` when the store was away and requests pass uncounted for the time.
        admitted_us: microseconds since the epoch.
    """

    headers: Headers = ()
    account: Account | None = None
    mode: Mode = "held"
    admitted_us: int = 0


@dataclass(frozen=True, slots=True)
class Terms:
    """`open_on_outage`: requests of known keys pass while the store is away. `soft_ratio`: see the settings."""

    open_on_outage: bool
    soft_ratio: float


class Admissions:
    """The gate in front of every attempt."""

    def __init__(
        self,
        reservations: Reservations,
        settler: Settler,
        terms: Terms,
        *,
        wall_clock_s: Callable[[], float],
    ) -> None:
        self._reservations = reservations
        self._settler = settler
        self._terms = terms
        self._wall_clock_s = wall_clock_s
        self._accounts: dict[tuple[str, tuple[str, ...]], tuple[Subject, Account]] = {}

    def account(self, subject: Subject, *names: str) -> Account | None:
        """What a request for these names counts for; `None` without any limit."""
        place = (subject.key_id, names)
        known = self._accounts.get(place)
        if known is None or known[0] is not subject:
            scopes = tuple(_scope(scope, subject) for scope in subject.scopes_for(*names))
            if len(self._accounts) >= _ACCOUNTS_KEPT:
                self._accounts.clear()
            known = self._accounts[place] = (subject, account(subject.customer_id, scopes))
        return known[1] if known[1].limited else None

    async def admit(self, counts_for: Account | None, request_id: str, bound: Bound) -> Admission:
        """Hold what the request may use, all or nothing.

        Raises:
            Refused: a limit is reached, or limits cannot be checked.
        """
        if counts_for is None:
            return Admission()
        if self._settler.full:
            raise Refused("overloaded", "too much waits to be settled; try again shortly", retry_after_s=1.0)
        claim = Claim(request_id, 1, *bound)
        try:
            decision = await self._reservations.admit(counts_for, claim, soft_ratio=self._terms.soft_ratio)
        except StoreUnavailable as outage:
            if self._terms.open_on_outage:
                return Admission((), counts_for, "unheld", int(self._wall_clock_s() * _MICRO))
            self._void(counts_for, request_id)
            raise Refused(
                "limits_unavailable",
                "limits cannot be checked at the moment; try again shortly",
                retry_after_s=1.0,
            ) from outage
        except asyncio.CancelledError:
            self._void(counts_for, request_id)
            raise
        headers = _headers(decision)
        if decision.refusal is not None:
            raise _refusal(decision.refusal, headers)
        self._settler.opened(counts_for, request_id)
        return Admission(headers, counts_for, "held", decision.admitted_us)

    def settle(
        self, admission: Admission, request_id: str, *, tokens: int, microusd: int, row: Row = NO_ROW
    ) -> None:
        """Charge what the request used and give back the rest. Never waits."""
        if admission.account is not None:
            self._settler.settle(
                Settlement(
                    admission.account,
                    request_id,
                    tokens,
                    microusd,
                    admission.mode,
                    admitted_us=admission.admitted_us,
                    row=row,
                )
            )

    def _void(self, counts_for: Account, request_id: str) -> None:
        """It may be held, and will not run."""
        self._settler.settle(Settlement(counts_for, request_id, mode="void", uncertain=True))


def _scope(scope: SubjectScope, subject: Subject) -> Scope:
    own = f"{subject.key_id}:{scope.id}" if scope.kind == "model" else scope.id
    return Scope(scope.kind, own, scope.limits)


def _refusal(refusal: Refusal, headers: Headers) -> Refused:
    name = refusal.limit
    code = _CODES.get(name.split("_", 1)[0], "rate_limit_exceeded")
    if name == "tokens_per_minute":
        code = "rate_limit_exceeded"
    used: float = refusal.used
    maximum = refusal.maximum
    unit = name.replace("_", " ")
    if name.startswith("usd"):
        used, maximum = used / _MICRO, maximum / _MICRO
        unit = f"dollars{name.removeprefix('usd').replace('_', ' ')}"
    reset = None if refusal.reset_after_s is None else duration(refusal.reset_after_s)
    until = f"; it begins anew in {reset}" if reset is not None else ""
    return Refused(
        code,
        f"the {refusal.scope}'s limit of {maximum:g} {unit} is in the way: {used:g} used or held for requests "
        f"under way{until}",
        retry_after_s=refusal.retry_after_s,
        details={
            "subject": refusal.scope,
            "limit": name,
            "used": used,
            "maximum": maximum,
            "reset": reset,
        },
        headers=headers,
    )


def _headers(decision: Decision) -> Headers:
    headers = [*_rate(b"requests", decision.requests), *_rate(b"tokens", decision.tokens)]
    if decision.soft is not None:
        soft = decision.soft
        share = round(100 * soft.used / soft.maximum)
        headers.append((b"x-headgate-soft-limit", f"{soft.scope} {soft.limit} {share}%".encode()))
    return headers


def _rate(kind: bytes, rate: Rate | None) -> Headers:
    if rate is None:
        return ()
    limit = rate.limit
    return (
        (b"x-ratelimit-limit-" + kind, b"%g" % limit if limit < _MICRO else b"%d" % limit),
        (b"x-ratelimit-remaining-" + kind, b"%d" % rate.remaining),
        (b"x-ratelimit-reset-" + kind, duration(rate.reset_after_s).encode()),
    )


def duration(seconds: float) -> str:
    """Whole seconds, rounded up, as OpenAI writes them: `1s`, `6m0s`, `2h0m5s`."""
    whole = math.ceil(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{left}s"
    return f"{minutes}m{left}s" if minutes else f"{left}s"
