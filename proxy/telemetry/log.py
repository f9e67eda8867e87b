"""Structured logs: JSON lines, or readable ones on a terminal. They go to standard error.

Standard output belongs to what a command was asked to print.
"""

import asyncio
import logging
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final, Literal

import orjson
import structlog

Format = Literal["json", "pretty", "auto"]


_ATOMIC_BYTES: Final = 4096
"""A pipe takes so much in one piece, whoever else writes to it (PIPE_BUF, pipe(7))."""


def configure(level: str, log_format: Format, *, shared: bool = False) -> Any:
    """Set up logging for the process and give the gateway's logger.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        log_format: `auto` is `pretty` on a terminal and `json` elsewhere.
        shared: other processes write to the same place: lines must not be mixed with theirs.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    pretty = log_format == "pretty" or (log_format == "auto" and sys.stderr.isatty())
    _configure_libraries(number, pretty=pretty)
    if not pretty:
        return JsonLog(_Lines(sys.stderr.buffer, shared=shared), number)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    return structlog.get_logger().bind()


class JsonLog:
    """Writes lines of JSON with level and time. Each request makes one, and a chain of processors has its price."""

    __slots__ = ("_least", "_lines")

    def __init__(self, lines: "_Lines", least: int) -> None:
        """`least`: the number of the lowest level that is written."""
        self._lines = lines
        self._least = least

    def debug(self, event: str, **fields: Any) -> None:
        self._say(logging.DEBUG, "debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._say(logging.INFO, "info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._say(logging.WARNING, "warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._say(logging.ERROR, "error", event, fields)

    def _say(self, number: int, level: str, event: str, line: dict[str, Any]) -> None:
        if number < self._least:
            return
        if "exc_info" in line:
            line = {**structlog.processors.format_exc_info(self, level, line)}
        line["event"] = event
        line["level"] = level
        line["timestamp"] = datetime.now(UTC)  # written as ISO 8601, without a step of Python
        self._lines.write(orjson.dumps(line, default=repr, option=orjson.OPT_APPEND_NEWLINE))


class _Lines:
    """Writes lines; those of one turn of the event loop in one system call."""

    __slots__ = ("_file", "_pending", "_shared")

    def __init__(self, file: BinaryIO, *, shared: bool) -> None:
        self._file = file
        self._shared = shared
        self._pending: list[bytes] = []

    def write(self, line: bytes) -> None:
        """Take a line."""
        self._pending.append(line)
        if len(self._pending) == 1:
            try:
                asyncio.get_running_loop().call_soon(self._flush)
            except RuntimeError:  # no loop runs: before and after serving
                self._flush()

    def _flush(self) -> None:
        pending, self._pending = self._pending, []
        for piece in _pieces(pending) if self._shared else (b"".join(pending),):
            self._file.write(piece)
            self._file.flush()


def _pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines, together as long as a pipe takes them in one piece."""
    piece = b""
    for line in lines:
        if piece and len(piece) + len(line) > _ATOMIC_BYTES:
            yield piece
            piece = b""
        piece += line
    yield piece


def _configure_libraries(number: int, *, pretty: bool) -> None:
    """What libraries log goes the same way: a line of ours, with the library's name."""
    renderer: Any = (
        structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer(serializer=_dumps)
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.stdlib.add_logger_name,
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)


def _dumps(value: Any, default: Any = None, **_: Any) -> str:
    return orjson.dumps(value, default=default).decode()
