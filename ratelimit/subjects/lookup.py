"""From a key's text to its subject: remembered for a second, and through an outage for as long as allowed."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, cast

from ratelimit.store import keys as spelled
from ratelimit.store.errors import StoreUnavailable
from ratelimit.store.scripts import load_script
from ratelimit.store.store import Store
from ratelimit.subjects.changes import Changes
from ratelimit.subjects.configured import Configured
from ratelimit.subjects.records import decode_customer, decode_key, subject_of
from ratelimit.subjects.secret import digest_of
from ratelimit.subjects.types import Subject

_FIND: Final = load_script("ratelimit.subjects", "find", writes=False)

# With the time-out of one call on top, a revoked key works nowhere after two seconds.
_FRESH_S: Final = 1.0
# About 1 kB each. Unknown keys have their own, smaller memory: whoever tries random ones cannot push out
# the keys that are to work through an outage.
_KNOWN_MAX: Final = 100_000
_UNKNOWN_MAX: Final = 10_000


class Missing(Enum):
    """The type of MISSING: nothing fresh is remembered, so that the store has to be asked."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING


@dataclass(frozen=True, slots=True)
class _Seen:
    subject: Subject
    at_s: float
    change: int


@dataclass(frozen=True, slots=True)
class _Nobody:
    """`ended`: why the text opens nothing any more, None where it never did, or too long ago."""

    ended: str | None
    at_s: float
    change: int


class Lookup:
    """Finds subjects. One per process; `close` it before the loop ends.

    Memory is keyed by the full SHA-256 digest. Ages are counted from when the store was asked. Equal
    look-ups under way are one. What this process has changed itself counts at once.

    Attributes:
        key_grace_s: how long after it was last seen a key passes while the store is away; may be changed.
    """

    __slots__ = (
        "_changes",
        "_clock_s",
        "_configured",
        "_known",
        "_known_max",
        "_loads",
        "_store",
        "_unknown",
        "_unknown_max",
        "_wall_clock_s",
        "key_grace_s",
    )

    def __init__(
        self,
        store: Store,
        configured: Configured,
        *,
        clock_s: Callable[[], float],
        wall_clock_s: Callable[[], float],
        key_grace_s: float,
        changes: Changes | None = None,
        known_max: int = _KNOWN_MAX,
        unknown_max: int = _UNKNOWN_MAX,
    ) -> None:
        """Nothing is remembered yet.

        Args:
            store: where keys and customers are.
            configured: those that need no store.
            clock_s: monotonic; for ages.
            wall_clock_s: seconds since the epoch; for `expires_at`.
            key_grace_s: see above.
            changes: of the directory of this process.
            known_max: how many keys are remembered, the oldest dropped first.
            unknown_max: how many texts that are no key are remembered.
        """
        self._store = store
        self._configured = configured
        self._changes = changes or Changes()
        self._clock_s = clock_s
        self._wall_clock_s = wall_clock_s
        self.key_grace_s = key_grace_s
        self._known: dict[bytes, _Seen] = {}
        self._known_max = known_max
        self._unknown: dict[bytes, _Nobody] = {}
        self._unknown_max = unknown_max
        self._loads: dict[tuple[bytes, int], asyncio.Task[Subject | StoreUnavailable | None]] = {}

    async def close(self) -> None:
        """Abandon look-ups under way."""
        tasks = list(self._loads.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def peek(self, secret: str | bytes) -> Subject | Literal[Missing.MISSING] | None:
        """What is freshly remembered of a key's text, without waiting: None is an unknown key.

        MISSING: ask `find`.
        """
        return self._remembered(digest_of(secret))

    def ended(self, secret: str | bytes) -> str | None:
        """Of a text that has just been found to be nobody's: `revoked`, `replaced`, or None for unknown."""
        nobody = self._unknown.get(digest_of(secret))
        return None if nobody is None else nobody.ended

    async def find(self, secret: str | bytes) -> Subject | None:
        """The subject of a key's text, None when there is no such key. A subject may be `disabled`.

        Raises:
            StoreUnavailable: the store is away, and the key is neither configured nor seen recently.
        """
        return await self.find_digest(digest_of(secret))

    async def find_digest(self, digest: bytes) -> Subject | None:
        """Like `find`, by the SHA-256 (32 bytes) of the key's text."""
        remembered = self._remembered(digest)
        if remembered is not MISSING:
            return remembered
        asked = digest, self._changes.count
        load = self._loads.get(asked)
        if load is None:
            if not self._store.available:
                return self._through_outage(
                    digest, StoreUnavailable(self._store.down_reason or "the store is away")
                )
            load = asyncio.get_running_loop().create_task(self._load(*asked))
            self._loads[asked] = load
        # Shielded: one caller's leaving must not end the look-up for the others.
        found = await asyncio.shield(load)
        if isinstance(found, StoreUnavailable):
            return self._through_outage(digest, found)
        return None if found is None else found.at(self._wall_clock_s())

    def _remembered(self, digest: bytes) -> Subject | Literal[Missing.MISSING] | None:
        oldest_s, change = self._clock_s() - _FRESH_S, self._changes.count
        seen = self._known.get(digest)
        if seen is not None:
            if seen.at_s > oldest_s and seen.change == change:
                return seen.subject.at(self._wall_clock_s())
        else:
            nobody = self._unknown.get(digest)
            if nobody is not None and nobody.at_s > oldest_s and nobody.change == change:
                return None
        return MISSING

    async def _load(self, digest: bytes, change: int) -> Subject | StoreUnavailable | None:
        """Ask the store and remember. An outage is a value: with no caller left nobody takes an exception."""
        asked_at_s = self._clock_s()
        hexadecimal = digest.hex()
        try:
            reply = await self._store.run(
                _FIND,
                (spelled.DIGESTS, spelled.KEYS, spelled.CUSTOMERS, spelled.former_secret(hexadecimal)),
                (hexadecimal, self._store.offset_us),
            )
        except StoreUnavailable as error:
            return error
        finally:
            del self._loads[digest, change]
        found = cast("list[bytes]", reply)
        subject: Subject | None
        if len(found) > 1:
            key, customer, *until_s = found
            replaced_at_s = float(until_s[0]) if until_s else None
            subject = subject_of(decode_key(key), decode_customer(customer), replaced_at_s=replaced_at_s)
        else:
            # A configured key works also before it has been written, and after the store has lost its data.
            subject = self._configured.subject(digest)
        if subject is None:
            ended = found[0].decode() if found else None
            self._remember(digest, _Nobody(ended, asked_at_s, change))
        else:
            self._remember(digest, _Seen(subject, asked_at_s, change))
        return subject

    def _remember(self, digest: bytes, found: _Seen | _Nobody) -> None:
        # Removed first, so that the order of insertion is the order of age.
        self._known.pop(digest, None)
        self._unknown.pop(digest, None)
        if isinstance(found, _Nobody):
            if len(self._unknown) >= self._unknown_max:
                del self._unknown[next(iter(self._unknown))]
            self._unknown[digest] = found
        else:
            if len(self._known) >= self._known_max:
                del self._known[next(iter(self._known))]
            self._known[digest] = found

    def _through_outage(self, digest: bytes, error: StoreUnavailable) -> Subject | None:
        seen = self._known.get(digest)
        if seen is not None and self._clock_s() - seen.at_s <= self.key_grace_s:
            return seen.subject.at(self._wall_clock_s())
        configured = self._configured.subject(digest)
        if configured is None:
            raise error
        return configured.at(self._wall_clock_s())
