"""What waits for the store: in order, within bounds, so that an outage costs what was to be kept, not memory."""

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Generic, TypeVar

Name = TypeVar("Name")
Item = TypeVar("Item")


class Waiting(Generic[Name, Item]):
    """Items by name, the oldest first. Beyond a bound the oldest is dropped.

    Attributes:
        dropped: how many were given up because the store did not take them in time.
    """

    __slots__ = ("_bytes", "_idle", "_items", "_most", "_most_bytes", "_news", "_size_bytes", "dropped")

    def __init__(self, *, most: int, most_bytes: int, size_bytes: Callable[[Item], int]) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._size_bytes = size_bytes
        self._items: dict[Name, Item] = {}
        self._bytes = 0
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._items)

    def get(self, name: Name) -> Item | None:
        return self._items.get(name)

    def items(self) -> Iterable[tuple[Name, Item]]:
        return self._items.items()

    def first(self, count: int) -> list[tuple[Name, Item]]:
        """At most so many, the oldest first; they stay."""
        return list(islice(self._items.items(), count))

    def put(self, name: Name, item: Item) -> None:
        """Behind the others, instead of an earlier one of that name."""
        self._remove(name)
        self._items[name] = item
        self._bytes += self._size_bytes(item)
        while self._items and (len(self._items) > self._most or self._bytes > self._most_bytes):
            self._remove(next(iter(self._items)))
            self.dropped += 1
        self._idle.clear()
        self._news.set()

    def taken(self, name: Name, item: Item) -> None:
        """The store has this one. A newer one of its name, which may have come meanwhile, stays."""
        if self._items.get(name) is item:
            self._remove(name)

    def forget(self, names: Iterable[Name]) -> None:
        for name in names:
            self._remove(name)

    async def news(self, *, gathered_s: float = 0.0) -> None:
        """Wait until something was put, and so long for what comes with it."""
        await self._news.wait()
        if gathered_s:
            await asyncio.sleep(gathered_s)
        self._news.clear()

    def written(self) -> None:
        """Nothing waits any more, or is on its way."""
        self._idle.set()

    async def emptied(self, limit_s: float) -> bool:
        """Wait until everything is written; false when it is not within `limit_s`."""
        try:
            async with asyncio.timeout(limit_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def _remove(self, name: Name) -> None:
        item = self._items.pop(name, None)
        if item is not None:
            self._bytes -= self._size_bytes(item)
