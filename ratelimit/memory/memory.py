"""Blobs that are kept for a while, by customer and kind. Written behind the requests' backs, read in one round trip."""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple, cast

from ratelimit.memory.waiting import Waiting
from ratelimit.store import keys as spelled
from ratelimit.store.errors import StoreFault, StoreUnavailable
from ratelimit.store.scripts import load_script
from ratelimit.store.store import Store

_PUT: Final = load_script("ratelimit.memory", "put")

KEPT_MAX: Final = 10_000
"""Of one kind of one customer, unless said otherwise."""
AT_ONCE: Final = 64
"""Blobs sent in one write."""
WAITING_MAX: Final = 10_000
WAITING_MAX_BYTES: Final = 32 * 1024 * 1024
"""What waits for the store: beyond either the oldest is dropped, so that an outage costs memories, not memory."""
_PAUSE_S: Final = 0.25
_MILLI: Final = 1000

_Place = tuple[str, str, str]


class _Blob(NamedTuple):
    data: bytes
    ttl_s: float
    most: int


class Memory:
    """One per process. `run` must be under way for anything to reach the store.

    What is not there, has expired or cannot be read because the store is away is `None` alike: nothing may depend on
    being remembered.
    """

    __slots__ = ("_on_fault", "_store", "_waiting")

    def __init__(self, store: Store, *, on_fault: Callable[[StoreFault], None]) -> None:
        """`on_fault`: told why the store will never take or give something; must not block."""
        self._store = store
        self._on_fault = on_fault
        self._waiting: Waiting[_Place, _Blob] = Waiting(
            most=WAITING_MAX, most_bytes=WAITING_MAX_BYTES, size_bytes=lambda each: len(each.data)
        )

    @property
    def waiting(self) -> int:
        """Blobs that the store has not taken yet."""
        return len(self._waiting)

    @property
    def dropped(self) -> int:
        """How many blobs were given up because the store did not take them in time."""
        return self._waiting.dropped

    def put(
        self, customer_id: str, kind: str, digest: str, blob: bytes, *, ttl_s: float, most: int = KEPT_MAX
    ) -> None:
        """Keep a blob as soon as the store takes it, instead of an earlier one of the same name. Never waits.

        Args:
            kind: what it is, a word of our own.
            digest: its name; whoever must not be able to guess it makes it with a key.
            ttl_s: how long it is kept, from when the store takes it.
            most: how many of this customer and kind are kept; the one that expires first goes.
        """
        self._waiting.put((customer_id, kind, digest), _Blob(blob, ttl_s, most))

    async def get(self, customer_id: str, kind: str, digest: str) -> bytes | None:
        """The blob; what this process has put is found before the store has it. At most one round trip."""
        waiting = self._waiting.get((customer_id, kind, digest))
        if waiting is not None:
            return waiting.data
        if not self._store.available:
            return None
        try:
            return cast(
                "bytes | None",
                await self._store.call("GET", spelled.remembered(customer_id, kind, digest)),
            )
        except StoreUnavailable:
            return None
        except StoreFault as fault:
            self._on_fault(fault)
            return None

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._waiting.news()
            while batch := self._waiting.first(AT_ONCE):
                taken = await asyncio.gather(*(self._written(*each) for each in batch))
                for each, done in zip(batch, taken, strict=True):
                    if done:
                        self._waiting.taken(*each)
                if not all(taken):
                    await asyncio.sleep(_PAUSE_S)
            self._waiting.written()

    async def emptied(self, limit_s: float) -> bool:
        """Wait until everything is written; false when it is not within `limit_s`."""
        return await self._waiting.emptied(limit_s)

    async def _written(self, place: _Place, blob: _Blob) -> bool:
        """Whether it need not be tried again."""
        customer_id, kind, digest = place
        try:
            await self._store.run(
                _PUT,
                (spelled.remembered(*place), spelled.remembered_index(customer_id, kind)),
                (
                    digest,
                    blob.data,
                    max(1, int(blob.ttl_s * _MILLI)),
                    blob.most,
                    self._store.offset_us,
                    spelled.remembered(customer_id, kind, ""),
                ),
            )
        except StoreUnavailable:
            return False
        except StoreFault as fault:
            self._on_fault(fault)
        return True
