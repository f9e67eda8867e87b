"""Hold what a request may use, then settle what it used: one script each, exact over any number of gateways."""

from collections.abc import Sequence
from typing import Final, NamedTuple, cast

import orjson

from ratelimit.limits.types import (
    LIMITS,
    NO_ROW,
    Account,
    Claim,
    Decision,
    Level,
    Limit,
    Look,
    Margin,
    Mode,
    Rate,
    Refusal,
    Room,
    Row,
    Settlement,
    Window,
)
from ratelimit.store import keys as spelled
from ratelimit.store.errors import StoreFault, StoreUnavailable
from ratelimit.store.scripts import load_script
from ratelimit.store.store import Argument, Store

_ADMIT: Final = load_script("ratelimit.limits", "admit", prelude="common")
_SETTLE: Final = load_script(
    "ratelimit.limits", "settle", when_full=True, prelude=("common", "ratelimit.ledger:rows")
)
_RENEW: Final = load_script("ratelimit.limits", "renew", when_full=True, prelude="common")
_LOOK: Final = load_script("ratelimit.limits", "look", when_full=True, prelude="common")

HOLD_S: Final = 28.0
"""How long a reservation is held without being renewed: slots and rates of a dead gateway are back within 30 s."""

MARK_S: Final = 3600.0
"""How long a reservation that may still be on its way to the store is known to be over."""

_MICRO: Final = 1_000_000
ROWS_KEPT_DAYS: Final = 30
FIGURES_KEPT_DAYS: Final = 400
"""Of a day's figures: a year, and time to look at it."""
DAY_S: Final = 86_400


class Settled(NamedTuple):
    """`now`: by this call, not by an earlier one. `over`: more was used than held; all of it is charged."""

    now: bool
    over: bool


class Reservations:
    """The gate that every request of a customer passes. Raises StoreUnavailable when the store is away."""

    __slots__ = ("_rows_kept_us", "_store")

    def __init__(self, store: Store, *, rows_kept_days: int = ROWS_KEPT_DAYS) -> None:
        """`rows_kept_days`: how long the ledger keeps rows before it keeps their sums alone; 0: not at all."""
        self._store = store
        self._rows_kept_us = rows_kept_days * DAY_S * _MICRO

    @property
    def available(self) -> bool:
        """False while the store is known to be away: a call would fail, and nothing would be sent."""
        return self._store.available

    async def admit(
        self, account: Account, claim: Claim, *, soft_ratio: float, hold_s: float = HOLD_S
    ) -> Decision:
        """Hold a claim against every limit of the account: all of it or nothing.

        Repeated with the same id and step it takes nothing more; one taken for lost is brought back. After
        StoreUnavailable the claim may be held all the same: ask again, or settle it as `void`. One round trip; time
        is the server's.
        """
        reply = await self._store.run(
            _ADMIT,
            (*_keys(account.customer_id), spelled.over(account.customer_id, claim.reservation_id)),
            (
                claim.reservation_id,
                claim.step,
                self._store.offset_us,
                int(hold_s * _MICRO),
                account.limits_json,
                claim.tokens,
                claim.microusd,
                claim.minute_tokens,
                soft_ratio,
                claim.about,
            ),
        )
        return _decision(account, cast("list[int]", reply))

    async def settle(
        self,
        account: Account,
        reservation_id: str,
        *,
        tokens: int,
        microusd: int,
        row: Row = NO_ROW,
        mode: Mode = "held",
        uncertain: bool = False,
        admitted_us: int = 0,
    ) -> Settled:
        """Give back what is held and charge what was used, to the windows of the admission. Once only.

        The row is written, and what is older than rows are kept becomes a closing balance, in the same script.

        Args:
            tokens: input and output.
            row: of the ledger; without one the sums are kept all the same. `void` leaves nothing.
            mode: `held` does nothing where nothing is held; `unheld` books a request that ran while the store was
                away; `void` gives everything back, the request too; `unserved` charges what was used and gives the
                request back.
            uncertain: a call that would hold it may still be on its way.
            admitted_us: when it was admitted, microseconds since the epoch; for what is not held any more.
        """
        settlement = Settlement(
            account, reservation_id, tokens, microusd, mode, uncertain, admitted_us=admitted_us, row=row
        )
        return _settled(await self._store.run(_SETTLE, *self._words(settlement)))

    async def settle_all(
        self, settlements: Sequence[Settlement]
    ) -> list[Settled | StoreUnavailable | StoreFault]:
        """Like `settle` for each, all in one write. What became of each, in their order; nothing is raised."""
        outcomes = await self._store.run_all(_SETTLE, [self._words(each) for each in settlements])
        return [
            each if isinstance(each, StoreUnavailable | StoreFault) else _settled(each) for each in outcomes
        ]

    def _words(self, settlement: Settlement) -> tuple[tuple[str, ...], tuple[Argument, ...]]:
        """Keys and arguments of the script."""
        account, reservation_id, tokens, microusd, mode, uncertain, admitted_us, row = settlement
        customer_id = account.customer_id
        if mode == "void":
            tokens = microusd = 0
        return (
            (
                *_keys(customer_id),
                spelled.over(customer_id, reservation_id),
                spelled.ledger(customer_id),
                spelled.closing(customer_id),
            ),
            (
                reservation_id,
                self._store.offset_us,
                mode,
                int(MARK_S * 1000) if uncertain or mode != "held" else 0,
                account.names_json,
                tokens,
                microusd,
                admitted_us,
                row.text,
                self._rows_kept_us,
                spelled.figures(customer_id),
                row.group,
                orjson.dumps(tuple(row.figures)),
                FIGURES_KEPT_DAYS * DAY_S,
            ),
        )

    async def renew(self, customer_id: str, ids: Sequence[str], *, hold_s: float = HOLD_S) -> list[str]:
        """Hold reservations of one customer for `hold_s` from now on; those taken for lost are brought back.

        Returns:
            Ids that are not known: settled, or never held.
        """
        reply = await self._store.run(
            _RENEW, _keys(customer_id), (self._store.offset_us, int(hold_s * _MICRO), *ids)
        )
        return [each.decode() for each in cast("list[bytes]", reply)]

    async def look(self, account: Account) -> tuple[Look, ...]:
        """What each scope of the account has used, in its order. One round trip; nothing is counted."""
        reply = await self._store.run(
            _LOOK, _keys(account.customer_id), (self._store.offset_us, account.limits_json)
        )
        now_us, day_us, month_us, scopes = cast("tuple[int, int, int, list[list[int]]]", reply)
        return tuple(
            Look(
                scope,
                now_us,
                minute_requests,
                minute_tokens,
                in_flight,
                _window(windows[:4], day_us / _MICRO),
                _window(windows[4:8], month_us / _MICRO),
                _window(windows[8:], None),
            )
            for scope, (minute_requests, minute_tokens, in_flight, *windows) in zip(
                account.scopes, scopes, strict=True
            )
        )


def _settled(reply: object) -> Settled:
    now, over = cast("list[int]", reply)
    return Settled(now == 1, over == 1)


def _keys(customer_id: str) -> tuple[str, str, str, str]:
    return (
        spelled.use(customer_id),
        spelled.held(customer_id),
        spelled.due(customer_id),
        spelled.lost(customer_id),
    )


def _window(figures: list[int], ends_after_s: float | None) -> Window:
    spent_tokens, spent_microusd, held_tokens, held_microusd = figures
    return Window(spent_tokens, spent_microusd, held_tokens, held_microusd, ends_after_s)


def _decision(account: Account, reply: list[int]) -> Decision:
    state, admitted_us = reply[0], reply[1]
    refused = reply[12:17]
    return Decision(
        allowed=state == 1,
        admitted_us=admitted_us if state == 1 else 0,
        requests=_rate(account, "requests_per_minute", reply[2:5]),
        tokens=_rate(account, "tokens_per_minute", reply[5:8]),
        soft=_level(account, reply[8:11]) if reply[8] else None,
        refusal=Refusal(*_level(account, refused[:3]), _seconds(refused[3]), _seconds(refused[4]))
        if refused[0]
        else None,
        room=Room(*(None if left < 0 else left for left in reply[17:19])),
        margins=_margins(account, reply[19:25]) if account.hard else (),
    )


def _rate(account: Account, limit: Limit, figures: list[int]) -> Rate | None:
    place, remaining, reset_us = figures
    if not place:
        return None
    scope = account.scopes[place - 1]
    return Rate(scope.kind, scope.limits[limit], remaining, reset_us / _MICRO)


def _level(account: Account, figures: list[int]) -> Level:
    place, number, used = figures
    scope = account.scopes[place - 1]
    limit = LIMITS[number - 1]
    maximum = scope.limits[limit]
    return Level(scope.kind, limit, used, maximum * _MICRO if limit.startswith("usd_") else maximum)


def _margins(account: Account, figures: list[int]) -> tuple[Margin, ...]:
    return tuple(
        Margin(account.scopes[place - 1], dollars, left, _seconds(ends_us))
        for dollars, (place, left, ends_us) in ((False, figures[:3]), (True, figures[3:]))
        if place
    )


def _seconds(us: int) -> float | None:
    return None if us < 0 else us / _MICRO
