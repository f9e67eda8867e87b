"""What the store has not taken by the end of a process, kept in a file until the next one settles it.

One file per process, `unsettled-<booker>.jsonl`, written at its end: JSON, one settlement or batch a line, flushed to
the disk. It is locked while it is written or settled, so that of several processes one takes it up; it is removed when
the store has taken all of it, or what is left has been kept anew. Settled twice, nothing is counted twice: a
reservation is settled while it is held or lost, and a batch carries the number it had when it may have been booked.
"""

import errno
import fcntl
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, cast, get_args

import orjson

from ratelimit.limits.bookings import Batch, Booking
from ratelimit.limits.settling import Unsettled
from ratelimit.limits.types import Mode, Row, Settlement, settled_account

_PATTERN: Final = "unsettled-*.jsonl"
_ASIDE: Final = "unsettled.corrupt"
_OWNER_ONLY: Final = 0o600


class SpillTold(Protocol):
    """Hears what an operator must know."""

    def kept(self, count: int, path: Path) -> None:
        """So many settlements and batches are in the file."""

    def not_kept(self, count: int, reason: str) -> None:
        """So many are lost: the file could not be written."""

    def taken_up(self, count: int, path: Path) -> None:
        """So many of an earlier process are being settled."""

    def unreadable(self, path: Path, line_number: int | None, reason: str) -> None:
        """A line (kept aside in `unsettled.corrupt`), or the whole file."""


class Spill:
    """Keeps, as `settling.Keeper`. One per process."""

    def __init__(self, directory: Path, booker: str, told: SpillTold) -> None:
        """
        Args:
            booker: of the process; no other process has or had the same.

        Raises:
            OSError: the directory is not there or cannot be written.
        """
        if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(directory))
        self._directory = directory
        self._booker = booker
        self._told = told
        # Locked as long as they are open.
        self._taken: list[tuple[Path, int]] = []

    def load(self) -> list[Unsettled]:
        """What earlier processes have left and nobody else is settling."""
        found: list[Unsettled] = []
        for path in sorted(self._directory.glob(_PATTERN)):
            try:
                descriptor = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                continue  # somebody else was quicker
            except OSError as problem:
                self._told.unreadable(path, None, str(problem))
                continue
            if not _locked(descriptor):
                os.close(descriptor)
                continue
            self._taken.append((path, descriptor))
            with open(descriptor, "rb", closefd=False) as file:
                entries = self._read(path, file.read())
            self._told.taken_up(len(entries), path)
            found += entries
        return found

    def keep(self, unsettled: Sequence[Unsettled]) -> bool:
        """Write what is left; false when that failed."""
        path = self._directory / f"unsettled-{self._booker}.jsonl"
        try:
            _append(path, b"".join(_line(each) for each in unsettled))
        except OSError as problem:
            self._told.not_kept(len(unsettled), str(problem))
            return False
        self._told.kept(len(unsettled), path)
        self.settled()
        return True

    def settled(self) -> None:
        """Remove what was loaded. Cheap when there is nothing."""
        for path, descriptor in self._taken:
            path.unlink(missing_ok=True)
            os.close(descriptor)
        self._taken.clear()

    def _read(self, path: Path, lines: bytes) -> list[Unsettled]:
        entries: list[Unsettled] = []
        for number, line in enumerate(lines.splitlines(keepends=True), 1):
            try:
                entries.append(_entry(line))
            except (ValueError, KeyError, TypeError) as problem:
                self._told.unreadable(path, number, f"{type(problem).__name__}: {problem}")
                self._put_aside(path, line)
        return entries

    def _put_aside(self, path: Path, line: bytes) -> None:
        try:
            _append(self._directory / _ASIDE, line if line.endswith(b"\n") else line + b"\n")
        except OSError as problem:
            # The file goes when its other lines are settled, so this one would go with it.
            self._told.not_kept(1, f"{path}: {problem}")


def _append(path: Path, lines: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _OWNER_ONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        written = 0
        while written < len(lines):
            written += os.write(descriptor, lines[written:])
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)  # the file's name, too
    finally:
        os.close(directory)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _line(unsettled: Unsettled) -> bytes:
    made: dict[str, Any]
    if isinstance(unsettled, Settlement):
        made = {
            "kind": "settlement",
            "customer": unsettled.account.customer_id,
            "id": unsettled.reservation_id,
            "names": unsettled.account.names,
            "tokens": unsettled.tokens,
            "microusd": unsettled.microusd,
            "mode": unsettled.mode,
            "uncertain": unsettled.uncertain,
            "admitted_us": unsettled.admitted_us,
            "row": _row_members(unsettled.row),
        }
    else:
        made = {
            "kind": "batch",
            "customer": unsettled.customer_id,
            "booker": unsettled.booker,
            "number": unsettled.number,
            "bookings": [(*each[:-1], _row_members(each.row)) for each in unsettled.bookings],
        }
    return orjson.dumps(made, option=orjson.OPT_APPEND_NEWLINE)


def _entry(line: bytes) -> Unsettled:
    """Raises ValueError, KeyError or TypeError: it is none."""
    members = orjson.loads(line)
    if not isinstance(members, dict):
        raise TypeError("not an object")
    kind = members["kind"]
    if kind == "settlement":
        return _settlement(members)
    if kind == "batch":
        return _batch(members)
    raise ValueError(f"kind: {kind!r}")


def _settlement(members: Mapping[str, Any]) -> Settlement:
    mode = _text(members["mode"])
    if mode not in get_args(Mode):
        raise ValueError(f"mode: {mode!r}")
    return Settlement(
        settled_account(_text(members["customer"]), _names(members["names"])),
        _text(members["id"]),
        _whole(members["tokens"]),
        _whole(members["microusd"]),
        cast("Mode", mode),
        uncertain=members["uncertain"] is True,
        admitted_us=_whole(members["admitted_us"]),
        row=_row(members["row"]),
    )


def _batch(members: Mapping[str, Any]) -> Batch:
    bookings = tuple(
        Booking(_names(names), _whole(admitted_us), _whole(tokens), _whole(microusd), _row(row))
        for names, admitted_us, tokens, microusd, row in members["bookings"]
    )
    return Batch(_text(members["customer"]), _text(members["booker"]), _whole(members["number"]), bookings)


def _row_members(row: Row) -> tuple[object, ...]:
    return row.text.decode(), row.group.decode(), tuple(row.figures)


def _row(value: object) -> Row:
    if not isinstance(value, list):
        raise TypeError(f"not a row: {value!r}")
    text, group, figures = value
    if not isinstance(figures, list):
        raise TypeError(f"not figures: {figures!r}")
    return Row(_text(text).encode(), _text(group).encode(), tuple(_whole(each) for each in figures))


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise TypeError(f"not a list of names: {value!r}")
    return tuple(_text(each) for each in value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"not a text: {value!r}")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"not a count: {value!r}")
    return value
