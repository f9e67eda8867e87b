"""Records of past requests: kept for days, as many as there may be over all customers. What they say is not known here.

Each is a blob under its customer's tag. One index over all of them says whose a record is, and which is the oldest.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, cast

from ratelimit.memory.waiting import Waiting
from ratelimit.store import keys as spelled
from ratelimit.store.errors import StoreFault, StoreUnavailable
from ratelimit.store.scripts import load_script
from ratelimit.store.store import Store

_INDEX: Final = load_script("ratelimit.memory", "index_generations")
_PUT: Final = load_script("ratelimit.memory", "put_generations")

AT_ONCE: Final = 64
"""Records written together: one call for the index, one for each customer among them."""
LEAVING_AT_ONCE: Final = 256
"""More than come with one call, so that what was lowered is reached; few, so that no call takes long."""
GATHERED_S: Final = 0.05
"""What comes within this time is written together; as long it takes until other workers find a record."""
WAITING_MAX: Final = 4_000
WAITING_MAX_BYTES: Final = 16 * 1024 * 1024
"""What waits for the store: beyond either the oldest is dropped, so that an outage costs records, not memory."""
_PAUSE_S: Final = 0.25
_DAY_MS: Final = 86_400_000


class _Record(NamedTuple):
    customer_id: str
    blob: bytes


class Generations:
    """One per process. `run` must be under way for anything to reach the store."""

    __slots__ = ("_kept_ms", "_leaving", "_most", "_on_fault", "_store", "_waiting")

    def __init__(
        self, store: Store, *, most: int, kept_days: float, on_fault: Callable[[StoreFault], None]
    ) -> None:
        """
        Args:
            most: how many are kept over all customers; the oldest go. 0: none.
            kept_days: how long. 0: none.
            on_fault: told why the store will never take or remove something; must not block.
        """
        self._store = store
        self.keep(most=most, kept_days=kept_days)
        self._on_fault = on_fault
        self._waiting: Waiting[str, _Record] = Waiting(
            most=WAITING_MAX, most_bytes=WAITING_MAX_BYTES, size_bytes=lambda each: len(each.blob)
        )
        self._leaving: list[str] = []

    def keep(self, *, most: int, kept_days: float) -> None:
        """From the next write on, so many for so long; see above. What is kept already stays as long as it was to."""
        self._most = most
        self._kept_ms = int(kept_days * _DAY_MS)

    @property
    def keeps(self) -> bool:
        """Whether anything is kept at all."""
        return self._most > 0 and self._kept_ms > 0

    @property
    def waiting(self) -> int:
        """Records that the store has not taken yet."""
        return len(self._waiting)

    @property
    def dropped(self) -> int:
        """How many records were given up because the store did not take them in time."""
        return self._waiting.dropped

    def put(self, customer_id: str, generation_id: str, blob: bytes) -> None:
        """Keep a record as soon as the store takes it. Never waits."""
        if not self.keeps:
            return
        self._waiting.put(generation_id, _Record(customer_id, blob))

    async def get(self, customer_id: str, generation_id: str) -> bytes | None:
        """The record, if it is this customer's; `None` when there is none, or no longer.

        What this process has put is found before the store has it. At most one round trip.

        Raises:
            StoreUnavailable: the store is away.
        """
        waiting = self._waiting.get(generation_id)
        if waiting is not None:
            return waiting.blob if waiting.customer_id == customer_id else None
        key = spelled.generation(customer_id, generation_id)
        return cast("bytes | None", await self._store.call("GET", key))

    async def owner(self, generation_id: str) -> str | None:
        """The id of the customer whose record this is; `None` when there is none. Raises as `get` does."""
        waiting = self._waiting.get(generation_id)
        if waiting is not None:
            return waiting.customer_id
        reply = await self._store.call("HGET", spelled.GENERATION_OWNERS, generation_id)
        return reply.decode() if isinstance(reply, bytes) else None

    def forget(self, customer_id: str) -> None:
        """Drop what of a customer has not reached the store."""
        mine = [name for name, each in self._waiting.items() if each.customer_id == customer_id]
        self._waiting.forget(mine)

    async def unlist(self, customer_id: str) -> int:
        """Take all of a customer's records out of the index; how many there were. Raises as `get` does.

        Reads the whole index, some at a time.
        """
        cursor, gone = b"0", 0
        while True:
            reply = await self._store.call("HSCAN", spelled.GENERATION_OWNERS, cursor, "COUNT", 1000)
            cursor, found = cast("tuple[bytes, list[bytes]]", reply)
            owner = customer_id.encode()
            mine = [name for name, whose in zip(found[::2], found[1::2], strict=True) if whose == owner]
            if mine:
                await self._store.call("ZREM", spelled.GENERATIONS, *mine, writes=True)
                await self._store.call("HDEL", spelled.GENERATION_OWNERS, *mine, writes=True)
                gone += len(mine)
            if cursor == b"0":
                return gone

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._waiting.news(gathered_s=GATHERED_S)
            while self._waiting or self._leaving:
                if not await self._step():
                    await asyncio.sleep(_PAUSE_S)
            self._waiting.written()

    async def emptied(self, limit_s: float) -> bool:
        """Wait until everything is written; false when it is not within `limit_s`."""
        return await self._waiting.emptied(limit_s)

    async def _step(self) -> bool:
        """Write some records and remove some; false when the store is away."""
        batch = self._waiting.first(AT_ONCE)
        try:
            # First the index: a record that nobody lists would escape the bound.
            await self._index(batch)
            whose: dict[str, list[tuple[str, _Record]]] = {}
            for name, each in batch:
                whose.setdefault(each.customer_id, []).append((name, each))
            await asyncio.gather(*(self._write(*mine) for mine in whose.items()))
            await self._remove()
        except StoreUnavailable:
            return False
        return True

    async def _index(self, batch: Sequence[tuple[str, _Record]]) -> None:
        words = [word for name, each in batch for word in (name, each.customer_id)]
        while True:
            try:
                reply = await self._store.run(
                    _INDEX,
                    (spelled.GENERATIONS, spelled.GENERATION_OWNERS),
                    (self._store.offset_us, self._kept_ms, self._most, LEAVING_AT_ONCE, *words),
                )
            except StoreFault as fault:
                self._on_fault(fault)
                return
            left = cast("list[bytes]", reply)
            names = zip(left[::2], left[1::2], strict=True)
            self._leaving += [spelled.generation(whose.decode(), name.decode()) for name, whose in names]
            if len(left) < 2 * LEAVING_AT_ONCE:
                return
            words = []

    async def _write(self, customer_id: str, batch: Sequence[tuple[str, _Record]]) -> None:
        """Records of one customer, which share a hash tag."""
        leaving = frozenset(self._leaving)
        kept = [
            (key, each.blob)
            for key, each in ((spelled.generation(customer_id, name), each) for name, each in batch)
            if key not in leaving
        ]
        if kept:
            names, blobs = zip(*kept, strict=True)
            try:
                await self._store.run(_PUT, names, (self._kept_ms, *blobs))
            except StoreFault as fault:
                self._on_fault(fault)
        for each in batch:
            self._waiting.taken(*each)

    async def _remove(self) -> None:
        leaving = self._leaving
        try:
            await asyncio.gather(*(self._store.call("UNLINK", key, writes=True) for key in leaving))
        except StoreFault as fault:
            self._on_fault(fault)
        self._leaving = []
