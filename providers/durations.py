"""How long to wait, in the spellings providers use: seconds, Go durations, dates, epoch times, plain words.

All functions give seconds from now, or `None` for text that says nothing sensible: not a number, negative, infinite,
or further away than any provider's window. What lies in the past is 0.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_S: Final = 31 * 86_400.0
"""The longest window a provider has is a calendar month; a greater number is an epoch time or a mistake."""

_NUMBER: Final = re.compile(r"[0-9]{1,15}(?:\.[0-9]{0,20})?")
_PART: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{0,20})?)(d|h|ms|us|µs|ns|m|s)")
_UNIT_S: Final[Mapping[str, float]] = {
    "d": 86_400.0,
    "h": 3_600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "µs": 1e-6,
    "ns": 1e-9,
}
# Epoch times: seconds lie between the years 2001 and 5138, what is greater are milliseconds.
_SECONDS_FROM: Final = 1e9
_MILLISECONDS_FROM: Final = 1e11

_DATE: Final = re.compile(r"[A-Za-z]{3,9},? .{0,30}[0-9]{2}:[0-9]{2}:[0-9]{2}.{0,10}")
_TIMESTAMP: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.]{5,25}(?:[Zz]|[+-][0-9:]{4,6})?")

# OpenAI and Groq: "Please try again in 6m0s." Gemini: "Please retry in 48.9s." Azure: "Please retry after 10 seconds."
# Moonshot: "please try again after 1 seconds". Recorded, and quoted in public issues, November 2026.
_SAID: Final = re.compile(
    r"\b(?:re)?try(?:ing)?(?: again| your request| the request)? (?:in|after)(?: about)? "
    r"((?:[0-9]{1,12}(?:\.[0-9]{1,20})?(?:d|h|ms|us|ns|m|s)(?![a-z])?)+(?![a-z0-9])"
    r"|[0-9]{1,12}(?:\.[0-9]{1,20})? ?(?:milliseconds?|seconds?|secs?|minutes?|mins?|hours?|days?)\b)",
    re.IGNORECASE,
)
_SPELLED: Final = re.compile(r"([0-9.]+) ?([a-z]+)", re.IGNORECASE)
_SPELLED_UNITS: Final = {"mil": "ms", "sec": "s", "min": "m", "hou": "h", "day": "d"}


def go_duration_s(text: str) -> float | None:
    """`12ms`, `1s`, `6m0s`, `1h43m40.799999999s`; days, which some providers add, too."""
    position = 0
    total_s = 0.0
    while match := _PART.match(text, position):
        total_s += float(match[1]) * _UNIT_S[match[2]]
        position = match.end()
    return _sensible(total_s) if position and position == len(text) else None


def reset_s(text: str, now_epoch_s: float | None) -> float | None:
    """When a window starts anew: seconds from now, a Go duration, an epoch time in seconds or milliseconds, a date.

    Args:
        now_epoch_s: the time it is; without it a point in time says nothing.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text):
        number = float(text)
        if number < _SECONDS_FROM:
            return _sensible(number)
        return _until(number / 1000 if number >= _MILLISECONDS_FROM else number, now_epoch_s)
    return _duration_or_date(text, now_epoch_s)


def retry_after_s(headers: Mapping[str, str], now_epoch_s: float | None) -> float | None:
    """What `retry-after` (seconds or an HTTP date) and `retry-after-ms` ask for; the larger where both stand.

    Azure sent `retry-after: 1` with `retry-after-ms: 0` (recorded August 2026), so neither alone is to be trusted.

    Args:
        headers: with lower-case names.
        now_epoch_s: the time it is; without it a date says nothing.
    """
    waits_s: list[float] = []
    for name, unit_s in (("retry-after", 1.0), ("retry-after-ms", 1e-3)):
        value = headers.get(name, "").strip()
        plain = _NUMBER.fullmatch(value) is not None
        wait_s = _sensible(float(value) * unit_s) if plain else _duration_or_date(value, now_epoch_s)
        if wait_s is not None:
            waits_s.append(wait_s)
    return max(waits_s, default=None)


def said_s(message: str) -> float | None:
    """A wait that a message asks for in words."""
    found = _SAID.search(message)
    if found is None:
        return None
    duration_s = go_duration_s(found[1].lower())
    if duration_s is not None:
        return duration_s
    spelled = _SPELLED.fullmatch(found[1])
    if spelled is None:
        return None
    unit = _SPELLED_UNITS[spelled[2][:3].lower()]
    return go_duration_s(spelled[1] + unit)


def _duration_or_date(text: str, now_epoch_s: float | None) -> float | None:
    if not text or len(text) > 64:
        return None
    duration_s = go_duration_s(text)
    return duration_s if duration_s is not None else _until(_epoch_s(text), now_epoch_s)


def _epoch_s(text: str) -> float | None:
    """An RFC 3339 timestamp, or an HTTP date in any of its three forms."""
    try:
        if _TIMESTAMP.fullmatch(text):
            moment = datetime.fromisoformat(text)
        elif _DATE.fullmatch(text):
            moment = parsedate_to_datetime(text)
        else:
            return None
        # A date without a zone is UTC: HTTP knows no other, and naive ones would be read as local time.
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _until(epoch_s: float | None, now_epoch_s: float | None) -> float | None:
    if epoch_s is None or now_epoch_s is None:
        return None
    return _sensible(max(0.0, epoch_s - now_epoch_s))


def _sensible(wait_s: float) -> float | None:
    return wait_s if 0.0 <= wait_s <= LONGEST_S else None
