"""Which store this is: a mark in the store, remembered here, so that a lost or foreign store is noticed.

A store that comes back empty would grant every budget anew, and another one holds other customers. So the mark
of the first store that answers is remembered, in memory and, when there is a file for it, beyond a restart; a
store without it is not used until an operator accepts it, or the old data are back.
"""

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from ratelimit.store.errors import StoreRefused, StoreUnaccepted

# A gateway that slept through more acceptances than this has to be told itself. The script knows it too.
_LONGEST_HISTORY: Final = 16


@dataclass(frozen=True, slots=True)
class Mark:
    """A store's own id, and the ids of the stores whose place it has been given, the latest first."""

    id: str
    accepts: tuple[str, ...]


def new_mark(accepts: Sequence[str]) -> Mark:
    """A mark with a random id."""
    return Mark(secrets.token_hex(16), tuple(accepts[:_LONGEST_HISTORY]))


def encode_mark(mark: Mark) -> bytes:
    """As it is stored: JSON, `id` and `accepts`."""
    return orjson.dumps({"id": mark.id, "accepts": mark.accepts})


def decode_mark(raw: bytes) -> Mark | None:
    """None when it is none."""
    try:
        members = orjson.loads(raw)
        return Mark(str(members["id"]), tuple(str(earlier) for earlier in members["accepts"]))
    except (ValueError, KeyError, TypeError):
        return None


class Identity:
    """What is remembered of the store, and whether the one that answers is that one."""

    __slots__ = ("_file", "problem", "remembered")

    def __init__(self, file: Path | None) -> None:
        """`file` keeps the memory beyond a restart; it is made with mode 0600. None: memory only."""
        self._file = file
        self.remembered: Mark | None = None
        self.problem: str | None = None
        """What the last check found, in an operator's words; None when all was well."""

    def load(self) -> None:
        """Read the file. Without one nothing is remembered, and the first store that answers is taken.

        Raises:
            StoreRefused: the file is there and cannot be read.
        """
        if self._file is None:
            return
        try:
            raw = self._file.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreRefused(f"the store's identity cannot be read from {self._file}: {error}") from error
        self.remembered = decode_mark(raw)
        if self.remembered is None:
            raise StoreRefused(
                f"{self._file} does not hold a store's identity: restore it, or remove it to take the store as it is"
            )

    def check(self, raw: bytes | None, where: str) -> None:
        """Compare with what the store at `where` has as its identity (None: it has none).

        The first one ever seen, and one that accepts the remembered one, is remembered from now on.

        Raises:
            StoreUnaccepted: the store has lost its data, or is another one.
            StoreRefused: the file cannot be written.
        """
        found = None if raw is None else decode_mark(raw)
        known = self.remembered
        if found is None or not (known is None or known.id == found.id or known.id in found.accepts):
            self.problem = (
                f"{where}: the store has lost its data, or is another one; "
                "accept it with `headgate store accept`"
            )
            raise StoreUnaccepted(self.problem)
        if found != known:
            self._write(found)
            self.remembered = found
        self.problem = None

    def successor(self) -> Mark:
        """A mark for an empty store that is to take the place of the remembered one."""
        known = self.remembered
        return new_mark(()) if known is None else new_mark((known.id, *known.accepts))

    def _write(self, mark: Mark) -> None:
        """Replace the file whole. About a millisecond, at the first log-in and after an acceptance only."""
        if self._file is None:
            return
        fresh = self._file.with_name(f"{self._file.name}.{os.getpid()}.new")
        try:
            with suppress(FileNotFoundError):
                fresh.unlink()  # of a process with our number that was killed meanwhile
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(encode_mark(mark))
                stream.flush()
                os.fsync(descriptor)
            fresh.replace(self._file)
        except OSError as error:
            raise StoreRefused(f"the store's identity cannot be written to {self._file}: {error}") from error
