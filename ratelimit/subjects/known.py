"""Customers of whom something is kept: those there are, and deleted ones until their books are forgotten."""

from typing import Final, cast

from ratelimit.store import keys as spelled
from ratelimit.store.store import Store
from ratelimit.subjects.records import is_id

_IDS_AT_ONCE: Final = 1000


class KnownCustomers:
    """Of one store. Every method raises StoreUnavailable when the store is away."""

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    async def has(self, customer_id: str) -> bool:
        """Whether there is such a customer, or what was counted for it is still kept."""
        if not is_id(customer_id):
            return False
        if await self._store.call("HEXISTS", spelled.CUSTOMERS, customer_id):
            return True
        return await self._store.call("ZSCORE", spelled.DELETED_CUSTOMERS, customer_id) is not None

    async def ids(self, after: str | None) -> list[str]:
        """Some ids of customers behind `after` in byte order, deleted ones among them; none at the end."""
        start = "-" if after is None else f"({after}"
        reply = await self._store.call(
            "ZRANGE", spelled.CUSTOMER_IDS, start, "+", "BYLEX", "LIMIT", 0, _IDS_AT_ONCE
        )
        living = [each.decode() for each in cast("list[bytes]", reply)]
        last = living[-1] if len(living) == _IDS_AT_ONCE else None
        gone = cast("list[bytes]", await self._store.call("ZRANGE", spelled.DELETED_CUSTOMERS, 0, -1))
        deleted = [
            name
            for name in (each.decode() for each in gone)
            if (after is None or name > after) and (last is None or name < last)
        ]
        return sorted({*living, *deleted})

    async def deleted_before(self, before_s: float) -> list[str]:
        """Ids of customers deleted before a moment, seconds since the epoch."""
        reply = await self._store.call("ZRANGE", spelled.DELETED_CUSTOMERS, "-inf", f"({before_s}", "BYSCORE")
        return [each.decode() for each in cast("list[bytes]", reply)]

    async def deleted_at(self, customer_id: str, at_s: float) -> None:
        """Count a deleted customer as deleted at this moment, seconds since the epoch; one made again is not."""
        await self._store.call("ZADD", spelled.DELETED_CUSTOMERS, "XX", at_s, customer_id, writes=True)

    async def forget_deleted(self, before_s: float) -> None:
        """From now on those of `deleted_before` are not known."""
        await self._store.call(
            "ZREMRANGEBYSCORE", spelled.DELETED_CUSTOMERS, "-inf", f"({before_s}", writes=True
        )
