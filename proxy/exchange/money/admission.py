"""Whether a request may run: what it may use is held against every limit before any attempt, settled afterwards."""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from proxy.exchange.errors import Refused
from proxy.exchange.money.bounds import Bound
from proxy.exchange.money.soft_limits import Ahead, SoftLimits
from ratelimit.limits.bookings import Booking
from ratelimit.limits.reservations import Reservations
from ratelimit.limits.settling import Settler
from ratelimit.limits.types import (
    HARD,
    NO_ROW,
    Account,
    Claim,
    Decision,
    Rate,
    Refusal,
    Room,
    Row,
    Scope,
    Settlement,
    account,
)
from ratelimit.store.errors import StoreUnavailable
from ratelimit.subjects.types import Scope as SubjectScope
from ratelimit.subjects.types import Subject

Headers = Sequence[tuple[bytes, bytes]]

NOTHING: Final = Bound(0, 0, 0)

_MICRO: Final = 1_000_000
_ACCOUNTS_KEPT: Final = 10_000
_CODES: Final = {"usd": "budget_exceeded", "tokens": "quota_exceeded"}


class Admission(NamedTuple):
    """A request that may run.

    Attributes:
        account: what it counts for.
        admitted_us: microseconds since the epoch.
        held: whether something is held for it. Nothing is where there is no limit, and where requests pass while
            the store is away: what those use is booked when they are over.
        headers: tell the tighter limits, what is left of them, and which is nearly used up.
        step: how often it has been admitted.
        output_tokens: the shorter limit of its answer that it was admitted with; `None`: as it was asked for.
        ahead: soft limits that it may reach.
    """

    account: Account
    admitted_us: int
    held: bool
    headers: Headers = ()
    step: int = 1
    output_tokens: int | None = None
    ahead: tuple[Ahead, ...] = ()


class Smaller(NamedTuple):
    """The same request for less.

    Attributes:
        output_tokens: the shorter limit of its answer; `None`: as it was asked for.
        about: as `admit` takes it.
    """

    bound: Bound
    output_tokens: int | None
    about: bytes


@dataclass(frozen=True, slots=True)
class Terms:
    """How admission behaves.

    Attributes:
        open_on_outage: requests of known keys pass while the store is away.
        soft_ratio: see the settings.
        timeout_s: of one admission as a whole, a second try included.
    """

    open_on_outage: bool
    soft_ratio: float
    timeout_s: float


class Counted(Protocol):
    """Metrics."""

    def limit_refused(self, scope: str, limit: str) -> None: ...
    def soft_limit(self, scope: str, limit: str) -> None: ...


class Admissions:
    """The gate in front of every attempt."""

    def __init__(
        self,
        reservations: Reservations,
        settler: Settler,
        terms: Terms,
        counted: Counted,
        *,
        wall_clock_s: Callable[[], float],
    ) -> None:
        self._reservations = reservations
        self._settler = settler
        self._terms = terms
        self._counted = counted
        self._wall_clock_s = wall_clock_s
        self._accounts: dict[tuple[str, tuple[str, ...]], tuple[Subject, Account]] = {}
        self._soft_limits = SoftLimits(wall_clock_s)

    def account(self, subject: Subject, *names: str) -> Account:
        """What a request for these names counts for."""
        # Names make a difference for keys with limits of single models only.
        place = (subject.key_id, names if subject.key_model_limits else ())
        known = self._accounts.get(place)
        if known is None or known[0] is not subject:
            if known is None and len(self._accounts) >= _ACCOUNTS_KEPT:
                del self._accounts[next(iter(self._accounts))]
            known = self._accounts[place] = (subject, account_of(subject, *names))
        return known[1]

    def soft_limit_reached(self, counts_for: Account) -> bool:
        """Whether a quota or budget is known to be used up to its soft ratio. Nothing is asked."""
        return self._soft_limits.reached(counts_for)

    async def admit(
        self,
        counts_for: Account,
        request_id: str,
        bound: Bound,
        *,
        about: bytes = b"",
        earlier: Admission | None = None,
        smaller: Callable[[Room], Smaller | None] | None = None,
    ) -> Admission:
        """Hold what the request may use, all or nothing. Without limits nothing is awaited.

        Args:
            about: kept with what is held, for whoever looks at it after this gateway died; see `about_of`.
            earlier: what it was admitted with before: `bound` comes on top, and the request counts once.
            smaller: asked once, when a quota or budget is in the way, for a request that fits what is left.

        Raises:
            Refused: a limit is reached, or limits cannot be checked.
        """
        if self._settler.full:
            raise Refused("overloaded", "too much waits to be settled; try again shortly", retry_after_s=1.0)
        if earlier is not None and not earlier.held:
            return earlier
        known_away = not self._reservations.available
        if counts_for.limited and not known_away:
            step = 1 if earlier is None else earlier.step + 1
            return await self._held(counts_for, Claim(request_id, step, *bound, about), earlier, smaller)
        if known_away or self._settler.failing(counts_for.customer_id):
            return self._during_outage(counts_for, earlier, None)
        return self._unheld(counts_for)

    async def _held(
        self,
        counts_for: Account,
        claim: Claim,
        earlier: Admission | None,
        smaller: Callable[[Room], Smaller | None] | None,
    ) -> Admission:
        request_id = claim.reservation_id
        try:
            decision, output_tokens = await self._decided(counts_for, claim, smaller)
        except StoreUnavailable as outage:
            if earlier is None:
                self._void(counts_for, request_id)
            return self._during_outage(counts_for, earlier, outage)
        except asyncio.CancelledError:
            if earlier is None:
                self._void(counts_for, request_id)
            raise
        headers = _headers(decision)
        ahead = self._soft_limits.admitted(counts_for, decision.margins)
        if decision.refusal is not None:
            self._counted.limit_refused(decision.refusal.scope, decision.refusal.limit)
            raise _refusal(decision.refusal, headers)
        if not decision.allowed:
            raise Refused("limits_unavailable", "this request is over already", retry_after_s=1.0)
        if decision.soft is not None:
            self._counted.soft_limit(decision.soft.scope, decision.soft.limit)
        if earlier is None:
            self._settler.opened(counts_for, request_id)
        if output_tokens is not None:
            headers = (*headers, (b"x-headgate-output-limit", b"%d" % output_tokens))
        return Admission(
            counts_for,
            decision.admitted_us,
            held=True,
            headers=headers,
            step=claim.step,
            output_tokens=output_tokens,
            ahead=ahead,
        )

    def settle(
        self,
        admission: Admission,
        request_id: str,
        *,
        tokens: int,
        microusd: int,
        row: Row = NO_ROW,
        served: bool = True,
    ) -> None:
        """Charge what the request used and give back the rest. Never waits.

        Args:
            served: false where it was refused after its first step: it does not count as a request.
        """
        counts_for = admission.account
        if admission.ahead:
            self._soft_limits.settled(counts_for, admission.ahead, tokens=tokens, microusd=microusd)
        if admission.held:
            self._settler.settle(
                Settlement(
                    counts_for,
                    request_id,
                    tokens,
                    microusd,
                    "held" if served else "unserved",
                    admitted_us=admission.admitted_us,
                    row=row,
                )
            )
        else:
            self._settler.book(
                counts_for.customer_id,
                Booking(counts_for.names, admission.admitted_us, tokens, microusd, row),
            )

    async def _decided(
        self, counts_for: Account, claim: Claim, smaller: Callable[[Room], Smaller | None] | None
    ) -> tuple[Decision, int | None]:
        """Ask, and once more where the answer was lost on the way, or where a shorter one may fit.

        All of it is within one time-out. Repeated, a claim is held once.

        Raises:
            StoreUnavailable: no answer in time. The claim may be held.
        """
        soft_ratio = self._terms.soft_ratio
        until_s = asyncio.get_running_loop().time() + self._terms.timeout_s
        try:
            decision = await self._reservations.admit(counts_for, claim, soft_ratio=soft_ratio)
        except StoreUnavailable:
            if not self._reservations.available:
                raise
            decision = await self._asked_again(counts_for, claim, until_s)
        refusal = decision.refusal
        if refusal is None or smaller is None or refusal.limit not in HARD:
            return decision, None
        shorter = smaller(decision.room)
        if shorter is None:
            return decision, None
        claim = Claim(claim.reservation_id, claim.step, *shorter.bound, shorter.about)
        return await self._asked_again(counts_for, claim, until_s), shorter.output_tokens

    async def _asked_again(self, counts_for: Account, claim: Claim, until_s: float) -> Decision:
        try:
            async with asyncio.timeout_at(until_s):
                return await self._reservations.admit(counts_for, claim, soft_ratio=self._terms.soft_ratio)
        except TimeoutError as late:
            raise StoreUnavailable("no second answer in time") from late

    def _during_outage(
        self, counts_for: Account, earlier: Admission | None, outage: StoreUnavailable | None
    ) -> Admission:
        if self._terms.open_on_outage:
            # What was held before is settled by its hold, whatever it uses.
            return earlier or self._unheld(counts_for)
        raise Refused(
            "limits_unavailable",
            "limits cannot be checked at the moment; try again shortly",
            retry_after_s=1.0,
        ) from outage

    def _unheld(self, counts_for: Account) -> Admission:
        return Admission(counts_for, int(self._wall_clock_s() * _MICRO), held=False)

    def _void(self, counts_for: Account, request_id: str) -> None:
        """It may be held, and will not run, or not under this hold."""
        self._settler.settle(Settlement(counts_for, request_id, mode="void", uncertain=True))


def account_of(subject: Subject, *names: str) -> Account:
    """What a request for these names counts for."""
    scopes = tuple(_scope(scope, subject) for scope in subject.scopes_for(*names))
    return account(subject.customer_id, scopes)


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
