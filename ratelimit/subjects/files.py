"""Which configuration files the gateways of one store run with, so that none takes away what another's file names."""

import secrets
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, cast

from ratelimit.store import keys as spelled
from ratelimit.store.scripts import load_script
from ratelimit.store.store import Store
from ratelimit.subjects.types import Kind

HOLD_S: Final = 10.0
"""How often a gateway is to say that it runs."""
HELD_S: Final = 30.0
"""How long it counts as running after it last said so: one that was killed says nothing."""

_HOLD: Final = load_script("ratelimit.subjects", "hold_file")
_NAME: Final = load_script("ratelimit.subjects", "name_file")
_DISABLE: Final = load_script("ratelimit.subjects", "disable_unheld")
_BATCH: Final = 200


def member(kind: Kind, record_id: str) -> str:
    """A record, as files name it."""
    return f"{kind} {record_id}"


class Change(NamedTuple):
    """A record that is to be disabled: what it was when it was read, and what it is to be (JSON)."""

    kind: Kind
    record_id: str
    raw: bytes
    disabled: bytes


class Files:
    """The file of this gateway among those of others.

    Attributes:
        others: digests of the other files that gateways run with, as of the last `hold`.
    """

    __slots__ = ("_digest", "_holder", "_members", "_store", "others")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._holder = secrets.token_hex(8)
        self._digest = ""
        self._members: frozenset[str] = frozenset()
        self.others: frozenset[str] = frozenset()

    def opened(self, digest: str, members: Iterable[str]) -> None:
        """From now on this gateway's file. `digest`: of all it says; `members`: see `member`."""
        self._digest, self._members = digest, frozenset(members)

    async def hold(self) -> bool:
        """Say that this gateway runs with its file, which the store is told once.

        Returns:
            Whether a file is gone that another gateway ran with.

        Raises:
            StoreUnavailable: others take this gateway's file for gone if that lasts for `HELD_S`.
        """
        held = await self._held()
        if not held:
            await self._name()
            held = await self._held()
        others = frozenset(digest.decode() for digest in held) - {self._digest}
        gone, self.others = self.others - others, others
        return bool(gone)

    async def release(self) -> bool:
        """Say that this gateway ends. Returns whether others go on. Raises StoreUnavailable."""
        await self._store.call("HDEL", spelled.FILE_HOLDERS, self._holder, writes=True)
        return bool(await self._store.call("HLEN", spelled.FILE_HOLDERS))

    async def forget(self) -> None:
        """Take nobody for running: for a store that no other gateway uses. Raises StoreUnavailable."""
        await self._store.call("DEL", spelled.FILE_HOLDERS, writes=True)

    async def names(self, kind: Kind, record_id: str) -> bool:
        """Whether the file of another gateway names a record, as of the last `hold`. Raises StoreUnavailable."""
        for digest in self.others:
            if await self._store.call("SISMEMBER", spelled.file_members(digest), member(kind, record_id)):
                return True
        return False

    async def disable(self, records: str, changes: Sequence[Change]) -> None:
        """Disable those that no gateway's file names and that are still as they were read, in one script."""
        arguments: list[str | bytes | int] = [self._store.offset_us, spelled.FILE_MEMBERS]
        for change in changes:
            named = member(change.kind, change.record_id)
            arguments += (change.record_id, change.raw, change.disabled, named)
        await self._store.run(_DISABLE, (records, spelled.FILE_HOLDERS), arguments)

    async def _held(self) -> list[bytes]:
        found = await self._store.run(
            _HOLD,
            (spelled.FILE_HOLDERS, spelled.file_members(self._digest)),
            (self._holder, self._digest, int(HELD_S * 1000), self._store.offset_us),
        )
        return cast("list[bytes]", found)

    async def _name(self) -> None:
        names = (spelled.file_members(f"{self._digest}:{self._holder}"), spelled.file_members(self._digest))
        members = ["", *sorted(self._members)]  # a file that names nothing is one, too
        for start in range(0, len(members), _BATCH):
            batch = members[start : start + _BATCH]
            last = int(start + _BATCH >= len(members))
            await self._store.run(_NAME, names, (int(HELD_S * 1000), last, *batch))
