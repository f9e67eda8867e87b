"""Rate limits of every recorded answer that tells any, against a second reading of its headers, made for this test."""

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from fractions import Fraction
from functools import cache
from typing import Final, NamedTuple

import pytest

from providers.rate_limits import ANTHROPIC, HeaderNames, Window, read
from providers.registry import REGISTRY
from tests.support import recordings
from tests.support.recordings import Recording

FEATURE: Final = "ratelimit_headers"
LATER_S: Final = 40.0
"""Where an answer bears no date, it is read so long before the moment that it names."""

_NAME: Final = re.compile(
    r"anthropic-ratelimit-(?P<anthropic>[a-z-]+)-(?P<anthropic_part>limit|remaining|reset)"
    r"|x-ratelimit-(?P<part>limit|remaining|reset)(?:-(?P<window>.+))?"
    r"|(?:x-)?ratelimitbysize-(?P<size_part>limit|remaining|reset)(?:-(?P<size>.+))?"
)
_UNITS_S: Final = {"h": Fraction(3600), "m": Fraction(60), "s": Fraction(1), "ms": Fraction(1, 1000)}
_UNKNOWN_FROM: Final = 2**53

# Counted by nobody: pictures; and OpenAI's second bucket, which is the plain one again.
_OTHER_WINDOWS: Final = {"input-images", "tokens_usage_based"}


class Told(NamedTuple):
    """What the headers say of one window."""

    limit: int | None
    remaining: int | None
    reset: str | None


@cache
def recorded() -> tuple[Recording, ...]:
    """Answers of any endpoint and status; none when there is no set."""
    return recordings.load(lambda entry: FEATURE in entry["features"])


def scheme_of(recording: Recording) -> HeaderNames:
    """The names under which its provider's limits are looked for."""
    return ANTHROPIC if recording.provider == "anthropic" else REGISTRY[recording.adapter].rate_limits


def windows_of(headers: Mapping[str, str]) -> dict[str, list[Told]]:
    """All windows, by what they count."""
    parts: dict[str, dict[str, str]] = {}
    for name, value in headers.items():
        found = _NAME.fullmatch(name)
        if found is None:
            continue
        if found["anthropic"]:
            window, part = found["anthropic"], found["anthropic_part"]
        elif found["size_part"]:
            window, part = f"tokens by size {found['size'] or ''}", found["size_part"]
        else:
            window, part = found["window"] or "requests", found["part"]
        if window not in _OTHER_WINDOWS:
            parts.setdefault(window, {})[part] = value
    kinds: dict[str, list[Told]] = {"requests": [], "tokens": []}
    for window, said in parts.items():
        told = Told(count(said.get("limit")), count(said.get("remaining")), said.get("reset"))
        if told.limit is not None or told.remaining is not None:
            kinds["tokens" if "token" in window else "requests"].append(told)
    return kinds


def count(text: str | None) -> int | None:
    """A count; `None` for -1 and for what no counter reaches, which both mean that there is none."""
    number = -1 if text is None else int(text)
    return number if 0 <= number < _UNKNOWN_FROM else None


def share(told: Told) -> Fraction:
    """What is left, of 1; a window without limit counts as whole unless nothing is left."""
    if told.remaining == 0:
        return Fraction(0)
    if not told.limit or told.remaining is None:
        return Fraction(1)
    return Fraction(told.remaining, told.limit)


def moment_of(recording: Recording) -> float:
    """When it was answered, or a moment that fits what it says."""
    date = recording.headers.get("date")
    if date is not None:
        return parsedate_to_datetime(date).timestamp()
    resets = [value for name, value in recording.headers.items() if "reset" in name and "ratelimit" in name]
    points_s = [point_s for value in resets if (point_s := point_of(value)) is not None]
    return min(points_s, default=0.0) - LATER_S


def point_of(text: str) -> float | None:
    """A reset that is a point in time: RFC 3339, or the epoch's milliseconds."""
    if re.fullmatch(r"\d{13}", text):
        return int(text) / 1000
    return datetime.fromisoformat(text).timestamp() if re.match(r"\d{4}-", text) else None


def wait_of(text: str | None, now_s: float) -> float | None:
    """Seconds until a window is whole."""
    if text is None:
        return None
    point_s = point_of(text)
    if point_s is not None:
        return max(0.0, point_s - now_s)
    if re.fullmatch(r"[\d.]+", text):
        return float(text)
    pieces = re.findall(r"([\d.]+)([a-z]+)", text)
    assert text == "".join(number + unit for number, unit in pieces), f"no duration: {text}"
    return float(sum(Fraction(number) * _UNITS_S[unit] for number, unit in pieces))


def check(window: Window | None, told: list[Told], now_s: float) -> None:
    """The window read is the tightest of those told; of equals one that says when it is whole again."""
    if not told:
        assert window is None
        return
    assert window is not None
    tightest = min(map(share, told))
    fitting = [each for each in told if share(each) == tightest]
    counts = [(each.limit, each.remaining) for each in fitting]
    assert (window.limit, window.remaining) in counts
    waits_s = [
        wait_of(each.reset, now_s)
        for each in fitting
        if (each.limit, each.remaining) == (window.limit, window.remaining)
    ]
    known_s = [wait_s for wait_s in waits_s if wait_s is not None]
    if not known_s:
        assert window.reset_s is None
    else:
        assert window.reset_s is not None
        assert any(window.reset_s == pytest.approx(wait_s, abs=1e-6) for wait_s in known_s)


@pytest.mark.parametrize("recording", recordings.parameters(recorded()))
def test_as_the_headers_say(recording: Recording) -> None:
    """Limit, remaining and reset of requests and tokens; where a provider has several windows, of the tightest."""
    now_s = moment_of(recording)
    limits = read(recording.headers, scheme_of(recording), now_epoch_s=now_s)
    windows = windows_of(recording.headers)
    if limits is None:
        assert {"requests": [], "tokens": []} == windows
        return
    check(limits.requests, windows["requests"], now_s)
    check(limits.tokens, windows["tokens"], now_s)


def test_the_set_says_something() -> None:
    """Most recordings tell something; otherwise the test above would prove nothing."""
    if not recordings.DIRECTORY.is_dir():
        pytest.skip("no recorded exchanges beside the project")
    telling = [
        recording
        for recording in recorded()
        if read(recording.headers, scheme_of(recording), now_epoch_s=moment_of(recording)) is not None
    ]
    assert len(telling) > len(recorded()) / 2 > 0
    assert len({recording.provider for recording in telling}) > 1
