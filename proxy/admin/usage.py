"""`GET /admin/v1/usage`: what was used, by whom and for what, summed up from each day's figures."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from proxy.admin.answers import answer, text
from proxy.admin.reading import read_query
from proxy.admin.spans import date_text, day_of, since_ms, until_ms
from proxy.exchange.books.ledger_row import Figures, Group, group_of
from proxy.exchange.books.record import usd
from proxy.exchange.errors import Refused
from ratelimit.ledger.ledger import FIGURES_KEPT_DAYS, Ledger
from ratelimit.subjects.directory import Directory

GROUPS: Final = ("customer", "key", "model", "backend", "tag", "day")
QUERY: Final = ("customer", "key", "model", "tag", "since", "until", "group_by", "format")
DEFAULT_DAYS: Final = 30
_CUSTOMERS_AT_ONCE: Final = 16
FIGURES: Final = (
    "requests",
    "errors",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_usd",
    "estimated",
    "unpriced",
)
_MICRO_DIGITS: Final = 6

Place = tuple[str | None, ...]
"""Values of the groups asked for, in order."""


class Asked(NamedTuple):
    """`first`, `last`: days since 1970-01-01, both included. `None` as a filter lets everything pass."""

    customer: str | None
    key: str | None
    model: str | None
    tag: str | None
    first: int
    last: int
    group_by: tuple[str, ...]
    as_csv: bool


class Summed:
    """Figures by group; `total` counts each request once, whatever its tags."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self.total = Figures()
        self.by_group: dict[Place, Figures] = {}

    def add(self, customer_id: str, day: int, group: Group, figures: Figures) -> None:
        """Take what passes the filters."""
        asked = self._asked
        if asked.key not in (None, group.key) or asked.model not in (None, group.model):
            return
        if asked.tag is not None and asked.tag not in (group.tags or ()):
            return
        self.total = self.total.plus(figures)
        tags: Sequence[str | None] = group.tags or (None,)
        for tag in tags if "tag" in asked.group_by else (None,):
            values = {
                "customer": customer_id,
                "key": group.key,
                "model": group.model or None,
                "backend": group.backend or None,
                "tag": tag,
                "day": date_text(day),
            }
            place = tuple(values[name] for name in asked.group_by)
            self.by_group[place] = self.by_group.get(place, Figures()).plus(figures)

    def rows(self) -> list[tuple[Place, Figures]]:
        """In order of the groups; what has no value comes first."""
        return sorted(self.by_group.items(), key=lambda row: [value or "" for value in row[0]])


class UsageDesk:
    """Its endpoint."""

    def __init__(self, directory: Directory, ledger: Ledger, *, wall_clock_s: Callable[[], float]) -> None:
        self._directory = directory
        self._ledger = ledger
        self._wall_clock_s = wall_clock_s

    async def show(self, request: Request) -> Response:
        asked = _asked(request, today=day_of(int(self._wall_clock_s() * 1000)))
        if asked.customer is not None and not await self._directory.known.has(asked.customer):
            raise Refused("not_found", f"there is no customer `{asked.customer}`", param="customer")
        summed = Summed(asked)
        async for customers in self._customers(asked):
            # Their calls share a write, and are few, so that requests need not wait long behind them.
            days = await asyncio.gather(
                *(self._ledger.figures(customer_id, asked.first, asked.last) for customer_id in customers)
            )
            for customer_id, figures in zip(customers, days, strict=True):
                for found in figures:
                    summed.add(customer_id, found.day, group_of(found.group), Figures(*found.figures))
        if asked.as_csv:
            return text(request, csv_text(asked.group_by, summed.rows()), "text/csv; charset=utf-8")
        return answer(
            request,
            {
                "object": "list",
                "since": date_text(asked.first),
                "until": date_text(asked.last),
                "group_by": asked.group_by,
                "data": [
                    {**dict(zip(asked.group_by, place, strict=True)), **shown(figures)}
                    for place, figures in summed.rows()
                ],
                "total": shown(summed.total),
            },
        )

    async def _customers(self, asked: Asked) -> AsyncIterator[list[str]]:
        """Ids, some at a time."""
        if asked.customer is not None:
            yield [asked.customer]
            return
        after: str | None = None
        while ids := await self._directory.known.ids(after):
            for start in range(0, len(ids), _CUSTOMERS_AT_ONCE):
                yield ids[start : start + _CUSTOMERS_AT_ONCE]
            after = ids[-1]


def shown(figures: Figures) -> dict[str, Any]:
    """Figures as members of an answer."""
    values = [*figures[:7], usd(figures.cost_microusd), *figures[8:]]
    return dict(zip(FIGURES, values, strict=True))


def csv_text(group_by: Iterable[str], rows: Iterable[tuple[Place, Figures]]) -> str:
    """RFC 4180, with a heading. Dollars have six digits behind the point: all there are."""
    written = io.StringIO()
    lines = csv.writer(written)
    lines.writerow([*group_by, *FIGURES])
    for place, figures in rows:
        whole, micro = divmod(figures.cost_microusd, 10**_MICRO_DIGITS)
        cost = f"{whole}.{micro:0{_MICRO_DIGITS}d}"
        lines.writerow(
            [*("" if value is None else value for value in place), *figures[:7], cost, *figures[8:]]
        )
    return written.getvalue()


def _asked(request: Request, *, today: int) -> Asked:
    query = read_query(request, QUERY)
    group_by = tuple(query.get("group_by", "customer").split(","))
    unknown = [name for name in group_by if name not in GROUPS]
    if unknown or len(set(group_by)) != len(group_by):
        raise _wrong("group_by", f"must be some of {', '.join(GROUPS)}, each once, with commas between")
    last = day_of(until_ms("until", query["until"]) - 1) if "until" in query else today
    first = day_of(since_ms("since", query["since"])) if "since" in query else last - DEFAULT_DAYS + 1
    if first > last:
        raise _wrong("since", "must not be after until")
    # Older figures are gone, and days to come have none.
    oldest = today - FIGURES_KEPT_DAYS
    return Asked(
        query.get("customer"),
        query.get("key"),
        query.get("model"),
        query.get("tag"),
        max(first, oldest),
        max(min(last, today + 1), max(first, oldest) - 1),
        group_by,
        _wants_csv(request, query),
    )


def _wants_csv(request: Request, query: Mapping[str, str]) -> bool:
    form = query.get("format")
    if form is None:
        kinds = [each.partition(";")[0].strip() for each in request.headers.get("accept", "").split(",")]
        return "text/csv" in kinds and "application/json" not in kinds
    if form not in ("json", "csv"):
        raise _wrong("format", "must be json or csv")
    return form == "csv"


def _wrong(name: str, message: str) -> Refused:
    return Refused("invalid_request", f"{name}: {message}", param=name)
