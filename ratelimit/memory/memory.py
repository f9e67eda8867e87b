"""Blobs that are kept for a while, by customer and kind. Written behind the requests' backs, read in one round trip."""

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Final, NamedTuple, cast

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

    Attributes:
        dropped: how many blobs were given up because the store did not take them in time.
    """

    __slots__ = ("_idle", "_news", "_on_fault", "_store", "_waiting", "_waiting_bytes", "dropped")

    def __init__(self, store: Store, *, on_fault: Callable[[StoreFault], None]) -> None:
        """`on_fault`: told why the store will never take or give something; must not block."""
        self._store = store
        self._on_fault = on_fault
        self._waiting: dict[_Place, _Blob] = {}
        self._waiting_bytes = 0
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """Blobs that the store has not taken yet."""
        return len(self._waiting)

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
        place = (customer_id, kind, digest)
        before = self._waiting.pop(place, None)
        if before is not None:
            self._waiting_bytes -= len(before.data)
        self._waiting[place] = _Blob(blob, ttl_s, most)
        self._waiting_bytes += len(blob)
        self._bounded()
        self._idle.clear()
        self._news.set()

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
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                places = list(islice(self._waiting, AT_ONCE))
                batch = [self._waiting[place] for place in places]
                taken = await asyncio.gather(*map(self._written, places, batch))
                for place, blob, done in zip(places, batch, taken, strict=True):
                    # A newer one of the same name may have come meanwhile.
                    if done and self._waiting.get(place) is blob:
                        del self._waiting[place]
                        self._waiting_bytes -= len(blob.data)
                if not all(taken):
                    await asyncio.sleep(_PAUSE_S)
            self._idle.set()

    async def emptied(self, limit_s: float) -> bool:
        """Wait until everything is written; false when it is not within `limit_s`."""
        try:
            async with asyncio.timeout(limit_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def _bounded(self) -> None:
        while self._waiting and (len(self._waiting) > WAITING_MAX or self._waiting_bytes > WAITING_MAX_BYTES):
            oldest = next(iter(self._waiting))
            self._waiting_bytes -= len(self._waiting.pop(oldest).data)
            self.dropped += 1

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
