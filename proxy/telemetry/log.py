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
    if pretty:
        processors: list[Any] = [
            _spread,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(),
        ]
        factory: Any = structlog.PrintLoggerFactory(sys.stderr)
    else:
        lines = _Lines(sys.stderr.buffer, shared=shared)
        processors = [_json_line]
        factory = lambda *_: lines  # noqa: E731 - structlog wants a factory; there is one destination
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    return structlog.get_logger().bind()


def _spread(_: Any, __: str, line: Any) -> Any:
    """`fields` are fields of the line: passed whole, they are not repacked at each step of the call."""
    fields = line.pop("fields", None)
    if fields is not None:
        line.update(fields)
    return line


def _json_line(logger: Any, method: str, line: Any) -> bytes:
    """One line with its level and time. One step: each request makes a line, and each step of a chain has its price."""
    fields = _spread(logger, method, line)
    if "exc_info" in fields:
        fields = structlog.processors.format_exc_info(logger, method, fields)
    fields["level"] = method
    fields["timestamp"] = datetime.now(UTC)  # written as ISO 8601, without a step of Python
    return orjson.dumps(fields, default=repr, option=orjson.OPT_APPEND_NEWLINE)


class _Lines:
    """Writes lines; those of one turn of the event loop in one system call."""

    __slots__ = ("_file", "_pending", "_shared")

    def __init__(self, file: BinaryIO, *, shared: bool) -> None:
        self._file = file
        self._shared = shared
        self._pending: list[bytes] = []

    def msg(self, line: bytes) -> None:
        """Take a line."""
        self._pending.append(line)
        if len(self._pending) == 1:
            try:
                asyncio.get_running_loop().call_soon(self._flush)
            except RuntimeError:  # no loop runs: before and after serving
                self._flush()

    debug = info = warning = error = critical = msg

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
