"""Structured logs: JSON lines, or readable ones on a terminal. They go to standard error.

Standard output belongs to what a command was asked to print.
"""

import logging
import sys
from typing import Any, Literal

import orjson
import structlog

Format = Literal["json", "pretty", "auto"]


def configure(level: str, log_format: Format) -> Any:
    """Set up logging for the process and give the gateway's logger.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        log_format: `auto` is `pretty` on a terminal and `json` elsewhere.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    pretty = log_format == "pretty" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # What libraries log goes the same way: as a line of ours, with the library's name.
    handler = logging.StreamHandler(sys.stderr)
    renderer: Any = (
        structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer(serializer=_dumps)
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)
    if pretty:
        processors = [*shared, structlog.processors.format_exc_info, renderer]
        factory: Any = structlog.PrintLoggerFactory(sys.stderr)
    else:
        processors = [
            *shared,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ]
        factory = structlog.BytesLoggerFactory(sys.stderr.buffer)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    return structlog.get_logger()


def _dumps(value: Any, default: Any = None, **_: Any) -> str:
    return orjson.dumps(value, default=default).decode()
