"""What an operator is told of settlements that the store does not take."""

from pathlib import Path
from typing import Protocol


class Log(Protocol):
    """A structured logger."""

    def info(self, event: str, **fields: object) -> object: ...
    def error(self, event: str, **fields: object) -> object: ...


class UnsettledLog:
    """Log lines, for `ratelimit`'s settler and its spill file."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def fault(self, what: str, fault: Exception) -> None:
        """The store will never take it."""
        self._log.error("not settled", what=what, reason=str(fault))

    def unsettled(self, count: int) -> None:
        """Lost at the end."""
        self._log.error("settlements were not taken by the store and are kept nowhere", count=count)

    def kept(self, count: int, path: Path) -> None:
        """Kept at the end."""
        self._log.error(
            "settlements were not taken by the store; the next start settles them",
            count=count,
            file=str(path),
        )

    def not_kept(self, count: int, reason: str) -> None:
        """They could not be written down."""
        self._log.error("settlements could not be kept", count=count, reason=reason)

    def taken_up(self, count: int, path: Path) -> None:
        """Of an earlier process."""
        self._log.info("settlements of an earlier process are settled", count=count, file=str(path))

    def unreadable(self, path: Path, line_number: int | None, reason: str) -> None:
        """A line or a file."""
        self._log.error(
            "settlements cannot be read; kept aside", file=str(path), line=line_number, reason=reason
        )
