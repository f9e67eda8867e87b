"""`GET /v1/key` and `/v1/credits`: what a customer may spend, has spent and has left, in OpenRouter's shapes."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from proxy.exchange.arrival import Arrival
from proxy.exchange.books.ledger_row import Figures, group_of, time_text
from proxy.exchange.books.record import usd
from proxy.exchange.books.standing import figure, shown
from proxy.exchange.money.admission import account_of
from proxy.http.door import ARRIVAL
from ratelimit.ledger.ledger import Ledger
from ratelimit.limits.reservations import Reservations
from ratelimit.limits.types import Look, Standing, standings
from ratelimit.subjects.types import Subject

_RESETS: Final[Mapping[str, str | None]] = MappingProxyType(
    {"usd_per_day": "daily", "usd_per_month": "monthly", "usd_total": None}
)
_NO_RATE: Final = -1
"""OpenRouter's figure for requests without a limit."""
_DAY_US: Final = 86_400_000_000
_FIRST_MONDAY: Final = 4
"""Days since 1970-01-01. OpenRouter's weeks begin then, UTC (openrouter.ai/docs/api-reference/limits, 2026-11)."""


class Account:
    """The two endpoints. Raises StoreUnavailable when the store is away.

    One round trip each, and one more for the earlier days of the week.
    """

    def __init__(self, reservations: Reservations, ledger: Ledger) -> None:
        self._reservations = reservations
        self._ledger = ledger

    async def key(self, request: Request) -> Response:
        """The key: its own use, and the dollar limit that it meets first, its own or its customer's."""
        arrival: Arrival = request.scope[ARRIVAL]
        subject = arrival.subject
        customer, own, *models = await self._looks(arrival)
        tightest = _tightest((customer, own))
        requests = [
            look.scope.limits["requests_per_minute"]
            for look in (customer, own)
            if "requests_per_minute" in look.scope.limits
        ]
        expires_at_s = subject.expires_at_s
        return _json(
            {
                "label": subject.key_id,
                "usage": usd(own.total.spent_microusd),
                "usage_daily": usd(own.day.spent_microusd),
                "usage_weekly": usd(await self._week_microusd(own, subject)),
                "usage_monthly": usd(own.month.spent_microusd),
                "limit": None if tightest is None else figure(tightest, tightest.maximum),
                "limit_remaining": None if tightest is None else figure(tightest, tightest.remaining),
                "limit_reset": None if tightest is None else _RESETS[tightest.limit],
                "is_free_tier": False,
                "expires_at": None if expires_at_s is None else time_text(round(expires_at_s * 1000)),
                "include_byok_in_limit": False,
                "byok_usage": 0,
                "byok_usage_daily": 0,
                "byok_usage_weekly": 0,
                "byok_usage_monthly": 0,
                "rate_limit": {"requests": min(requests, default=_NO_RATE), "interval": "1m"},
            },
            arrival,
            {"customer": shown(customer), "key": shown(own), "models": [shown(look) for look in models]},
        )

    async def credits(self, request: Request) -> Response:
        """The customer: all it has spent, and that together with what it may still spend now."""
        arrival: Arrival = request.scope[ARRIVAL]
        customer = (await self._looks(arrival))[0]
        tightest = _tightest((customer,))
        spent_microusd = customer.total.spent_microusd
        total = None if tightest is None else usd(spent_microusd + int(tightest.remaining))
        return _json(
            {"total_credits": total, "total_usage": usd(spent_microusd)},
            arrival,
            {"customer": shown(customer)},
        )

    async def _week_microusd(self, own: Look, subject: Subject) -> int:
        """What the key has spent since Monday: the days before this one by their figures, without what is lost."""
        today = own.at_us // _DAY_US
        monday = today - (today - _FIRST_MONDAY) % 7
        before = await self._ledger.figures(subject.customer_id, monday, today - 1)
        return own.day.spent_microusd + sum(
            Figures(*each.figures).cost_microusd
            for each in before
            if group_of(each.group).key == subject.key_id
        )

    async def _looks(self, arrival: Arrival) -> tuple[Look, ...]:
        """Of the customer, of the key, then of each of its models with limits."""
        subject = arrival.subject
        return await self._reservations.look(account_of(subject, *subject.key_model_limits))


def _tightest(looks: Iterable[Look]) -> Standing | None:
    """The dollar limit of which least is left."""
    dollars = [standing for look in looks for standing in standings(look) if standing.limit in _RESETS]
    return min(dollars, key=lambda standing: standing.remaining, default=None)


def _json(data: Mapping[str, Any], arrival: Arrival, own: Mapping[str, Any]) -> Response:
    response = Response(orjson.dumps({"data": data, "headgate": own}), media_type="application/json")
    response.raw_headers.extend(((b"cache-control", b"no-store"), *arrival.said))
    return response
