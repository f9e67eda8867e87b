"""`/admin/v1/ledger`: rows, whether the books add up, and what dead gateways had held."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from proxy.admin.answers import answer, page
from proxy.admin.bodies import Reconcile, Release
from proxy.admin.books import Reconciling
from proxy.admin.reading import page_limit, read_body, read_query
from proxy.admin.spans import since_ms, until_ms
from proxy.exchange.books.ledger_row import about_members, members_of, time_text
from proxy.exchange.books.record import usd
from proxy.exchange.errors import Refused
from ratelimit.ledger.ledger import Ledger
from ratelimit.ledger.types import Entry, Reconciliation, Sums
from ratelimit.limits.lost import Lost, LostReservation
from ratelimit.subjects.directory import Directory
from ratelimit.subjects.records import epoch_s

_MICRO: Final = 1_000_000
_SUBJECTS: Final = {"c": "customer", "k": "key", "m": "model"}
_CURSOR: Final = "cursor: must be `next` of the page before"


class LedgerDesk:
    """The endpoints."""

    def __init__(self, directory: Directory, ledger: Ledger, lost: Lost, reconcile: Reconciling) -> None:
        """`reconcile`: of one customer, by id."""
        self._directory = directory
        self._ledger = ledger
        self._lost = lost
        self._reconcile = reconcile

    async def rows(self, request: Request) -> Response:
        """Oldest first, customer by customer."""
        query = read_query(request, ("customer", "since", "until", "limit", "cursor"))
        limit = page_limit(query)
        since = since_ms("since", query["since"]) if "since" in query else 0
        until = until_ms("until", query["until"]) if "until" in query else None
        customer = query.get("customer")
        at, after = _cursor(query.get("cursor"))
        if customer is not None:
            await self._check(customer)
            if at not in (None, customer):
                raise Refused("invalid_request", _CURSOR, param="cursor")
        found: list[tuple[str, Entry]] = []
        for customer_id in await self._from(customer, at):
            entries = await self._ledger.rows(
                customer_id,
                after=after if customer_id == at else None,
                since_ms=since,
                until_ms=until,
                limit=limit + 1 - len(found),
            )
            found += [(customer_id, entry) for entry in entries]
            if len(found) > limit:
                break
        last = found[limit - 1] if len(found) > limit else None
        following = None if last is None else f"{last[0]}:{last[1].id}"
        return page(request, [_row(*each) for each in found[:limit]], following)

    async def reconcile(self, request: Request) -> Response:
        """One customer, or all of them, deleted ones whose books are kept as well."""
        body = await read_body(request, Reconcile, empty={})
        if body.customer is not None:
            await self._check(body.customer)
        books = [await self._reconcile(customer_id) for customer_id in await self._from(body.customer, None)]
        return answer(
            request,
            {
                "ok": not any(each.differences for each in books),
                "customers": len(books),
                "rows": sum(each.rows for each in books),
                "data": [_books(each) for each in books],
            },
        )

    async def lost(self, request: Request) -> Response:
        query = read_query(request, ("customer",))
        customer = query.get("customer")
        if customer is not None:
            await self._check(customer)
        found = [
            _lost(customer_id, each)
            for customer_id in await self._from(customer, None)
            for each in await self._lost.listed(customer_id)
        ]
        return page(request, found, None)

    async def release(self, request: Request) -> Response:
        body = await read_body(request, Release)
        if sum(each not in (None, False) for each in (body.ids, body.before, body.all)) != 1:
            raise Refused("invalid_request", "one of ids, before and all must say what is to be released")
        await self._check(body.customer)
        if body.ids is not None:
            released = await self._lost.release(body.customer, body.ids) if body.ids else ()
        elif body.before is not None:
            before_us = int(epoch_s(body.before) * _MICRO)
            released = await self._lost.release(body.customer, before_us=before_us)
        else:
            released = await self._lost.release(body.customer)
        return page(request, [_lost(body.customer, each) for each in released], None)

    async def _check(self, customer_id: str) -> None:
        """An empty list for a misspelt customer would look like an answer."""
        if not await self._directory.known.has(customer_id):
            raise Refused("not_found", f"there is no customer `{customer_id}`", param="customer")

    async def _from(self, customer: str | None, first: str | None) -> list[str]:
        """Ids from `first` on, in order."""
        if customer is not None:
            return [customer]
        found = [] if first is None else [first]
        after = first
        while ids := await self._directory.known.ids(after):
            found += ids
            after = ids[-1]
        return found


def _cursor(text: str | None) -> tuple[str | None, str | None]:
    """Customer and row that a page begins behind. Raises Refused unless it is `next` of a page."""
    if text is None:
        return None, None
    customer, colon, row_id = text.partition(":")
    numbers = row_id.split("-")
    if not customer or not colon or len(numbers) != 2 or not all(_is_number(each) for each in numbers):
        raise Refused("invalid_request", _CURSOR, param="cursor")
    return customer, row_id


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 15


def _row(customer_id: str, entry: Entry) -> dict[str, Any]:
    if entry.text:
        return {"object": "row", **members_of(entry.text, customer_id, entry.id, entry.settled_ms)}
    released = entry.released
    assert released is not None
    return {
        "object": "released",
        "id": entry.id,
        "request_id": released.reservation_id,
        "customer": customer_id,
        "key": _key(entry.scopes),
        **about_members(released.about),
        "outcome": "released",
        "released_tokens": released.tokens,
        "released_usd": usd(released.microusd),
        "arrived_at": time_text(released.admitted_us // 1000),
        "settled_at": time_text(entry.settled_ms),
    }


def _books(books: Reconciliation) -> dict[str, Any]:
    return {
        "customer": books.customer_id,
        "ok": not books.differences,
        "scopes": books.scopes,
        "rows": books.rows,
        "counted": _sums(books.counted),
        "closed": _sums(books.closed),
        "booked": _sums(books.booked),
        "lost": _sums(books.lost),
        "lost_by": [
            {**about_members(each.about), "requests": each.requests, **_sums(each.sums)}
            for each in books.lost_by
        ],
        "beyond": books.beyond,
        "differences": [
            {
                **_scope(each.scope),
                "window": each.span,
                "counted": _sums(each.counted),
                "booked": _sums(each.booked),
                "difference": _sums(
                    Sums(
                        each.counted.tokens - each.booked.tokens, each.counted.microusd - each.booked.microusd
                    )
                ),
            }
            for each in books.differences
        ],
    }


def _sums(sums: Sums) -> dict[str, Any]:
    return {"tokens": sums.tokens, "usd": usd(sums.microusd)}


def _scope(name: str) -> dict[str, Any]:
    kind, _, rest = name.partition(":")
    key, _, model = rest.partition(":")
    return {"subject": _SUBJECTS[kind], "key": key or None, "model": model or None}


def _lost(customer_id: str, each: LostReservation) -> dict[str, Any]:
    return {
        "request_id": each.reservation_id,
        "customer": customer_id,
        "key": _key(each.scopes),
        **about_members(each.about),
        "tokens": each.tokens,
        "usd": usd(each.microusd),
        "arrived_at": time_text(each.admitted_us // 1000),
    }


def _key(scopes: tuple[str, ...]) -> str | None:
    return next((name.partition(":")[2] for name in scopes if name.startswith("k:")), None)
