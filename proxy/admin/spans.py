"""Spans of time in queries: a date means the whole day, a moment with its zone means itself; all in UTC."""

import re
from datetime import UTC, date, datetime
from typing import Final

from proxy.exchange.errors import Refused

DAY_MS: Final = 86_400_000
_EPOCH: Final = date(1970, 1, 1)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def since_ms(name: str, text: str) -> int:
    """Milliseconds since the epoch of the first moment meant. Raises Refused unless `text` is a date or a moment."""
    return _read(name, text)[0]


def until_ms(name: str, text: str) -> int:
    """The first moment that is not meant any more: a day counts to its end. Raises as `since_ms` does."""
    return _read(name, text)[1]


def day_of(at_ms: int) -> int:
    """Days since 1970-01-01."""
    return at_ms // DAY_MS


def date_text(day: int) -> str:
    """`2026-11-28`, of days since 1970-01-01."""
    return date.fromordinal(_EPOCH.toordinal() + day).isoformat()


def _read(name: str, text: str) -> tuple[int, int]:
    try:
        if _DATE.fullmatch(text):
            start = (date.fromisoformat(text).toordinal() - _EPOCH.toordinal()) * DAY_MS
            if start >= 0:
                return start, start + DAY_MS
        else:
            moment = datetime.fromisoformat(text.upper())
            if moment.tzinfo is not None:
                at_ms = round(moment.astimezone(UTC).timestamp() * 1000)
                if at_ms >= 0:
                    return at_ms, at_ms
    except (ValueError, OverflowError):
        pass  # said below, with what would be understood
    raise Refused(
        "invalid_request",
        f"{name}: must be a date, like 2026-12-31, or a time with its zone, like 2026-12-31T12:00:00Z "
        "(a `+` of a zone is written %2B)",
        param=name,
    )
