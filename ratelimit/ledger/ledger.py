"""Rows page by page, figures per day, and the retention of both."""

from typing import Final, cast

import orjson

from ratelimit.ledger.types import Entry, Figures, Released
from ratelimit.store import keys as spelled
from ratelimit.store.scripts import load_script
from ratelimit.store.store import Store

_TRIM: Final = load_script("ratelimit.ledger", "trim", when_full=True, prelude="rows")
_FIGURES: Final = load_script("ratelimit.ledger", "figures", writes=False)

FIGURES_KEPT_DAYS: Final = 400
_TRIMMED_AT_ONCE: Final = 100
_DAYS_AT_ONCE: Final = 64
_GROUPS_AT_ONCE: Final = 500
"""About a millisecond of the store, which requests wait for."""
_DAY_US: Final = 86_400_000_000


class Ledger:
    """The ledgers of one store. Raises StoreUnavailable when the store is away.

    A customer that nobody knows has an empty one.
    """

    __slots__ = ("_rows_kept_us", "_store")

    def __init__(self, store: Store, *, rows_kept_days: int) -> None:
        """`rows_kept_days`: older rows become closing balances; 0: all of them."""
        self._store = store
        self._rows_kept_us = rows_kept_days * _DAY_US

    async def rows(
        self,
        customer_id: str,
        *,
        after: str | None = None,
        since_ms: int = 0,
        until_ms: int | None = None,
        limit: int,
    ) -> list[Entry]:
        """At most `limit` rows, oldest first, behind the row `after`, settled from `since_ms` to before `until_ms`.

        Raises:
            StoreFault: `after` is no id of a row.
        """
        start = f"({after}" if after is not None else str(since_ms)
        end = "+" if until_ms is None else str(until_ms - 1)
        reply = await self._store.call("XRANGE", spelled.ledger(customer_id), start, end, "COUNT", limit)
        return [_entry(name, fields) for name, fields in cast("list[tuple[bytes, list[bytes]]]", reply)]

    async def figures(self, customer_id: str, first: int, last: int) -> list[Figures]:
        """All groups of some days (since 1970-01-01, both included), day by day, in no order within one.

        One round trip, or one for some 500 groups where there are more.
        """
        found: list[Figures] = []
        prefix = spelled.figures(customer_id)
        day = first
        while day <= last:
            reply = await self._store.run(
                _FIGURES,
                (f"{prefix}{day}",),
                (prefix, day, min(last, day + _DAYS_AT_ONCE - 1), _GROUPS_AT_ONCE),
            )
            day, *days = cast("tuple[int, ...]", reply)
            for number, *groups in cast("list[tuple[int, ...]]", days):
                words = cast("list[bytes | list[int]]", groups)
                found += [
                    Figures(number, cast("bytes", group), tuple(cast("list[int]", figures)))
                    for group, figures in zip(words[::2], words[1::2], strict=True)
                ]
        return found

    async def trim(self, customer_id: str) -> int:
        """Make closing balances of all rows that are too old, some at a time; how many there were."""
        gone = 0
        while True:
            reply = await self._store.run(
                _TRIM,
                (spelled.ledger(customer_id), spelled.closing(customer_id)),
                (self._store.offset_us, self._rows_kept_us, _TRIMMED_AT_ONCE),
            )
            gone += cast("int", reply)
            if reply != _TRIMMED_AT_ONCE:
                return gone


def _entry(name: bytes, fields: list[bytes]) -> Entry:
    kind, text, _, scopes, _, tokens, _, microusd, _, day = fields
    row_id = name.decode()
    return Entry(
        id=row_id,
        settled_ms=int(row_id.partition("-")[0]),
        day=int(day),
        scopes=tuple(scopes.decode().split("\n")),
        tokens=int(tokens),
        microusd=int(microusd),
        text=text if kind == b"row" else b"",
        released=_released(text) if kind == b"released" else None,
    )


def _released(text: bytes) -> Released:
    members = orjson.loads(text)
    return Released(
        members["id"],
        int(members["tokens"]),
        int(members["microusd"]),
        int(members["admitted_us"]),
        members["about"].encode(),
    )
