"""Every spelling of a wait comes out as seconds from now; what says nothing sensible is no wait."""

from datetime import UTC, datetime
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.durations import LONGEST_S, go_duration_s, reset_s, retry_after_s, said_s

NOW_S: Final = datetime(2026, 10, 21, 7, 27, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12ms", 0.012),
        ("1s", 1.0),
        ("0s", 0.0),
        ("6m0s", 360.0),
        ("2.003s", 2.003),
        ("1m19.156s", 79.156),
        ("1h2m3.5s", 3723.5),
        ("1h43m40.799999999s", 6220.8),
        ("1d2h", 93_600.0),
        ("250us", 0.00025),
        ("", None),
        ("5", None),
        ("s", None),
        ("-5s", None),
        ("5 s", None),
        ("1x", None),
        ("1s2", None),
        ("999999999999h", None),
        ("infs", None),
    ],
)
def test_go_durations(text: str, expected: float | None) -> None:
    """A Go duration is read to its last digit; half of one is none."""
    made = go_duration_s(text)
    assert expected == (made if made is None else pytest.approx(made))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0.0),
        ("46", 46.0),
        (" 46 ", 46.0),
        ("24481.883708953857", 24481.883708953857),
        ("25m54.826s", 1554.826),
        (str(int(NOW_S) + 26), 26.0),
        (str((int(NOW_S) + 26) * 1000), 26.0),
        (str(int(NOW_S) - 26), 0.0),
        ("2026-10-21T07:28:00Z", 60.0),
        ("2026-10-21T07:28:00.5+00:00", 60.5),
        ("2026-10-21T09:27:30+02:00", 30.0),
        ("2026-10-21T07:28:00", 60.0),
        ("2026-10-20T07:28:00Z", 0.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 60.0),
        ("", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("1e3", None),
        ("20261021", None),
        ("9" * 40, None),
        ("9999-12-31T23:59:59Z", None),
        ("2026-13-41T07:28:00Z", None),
        ("tomorrow", None),
    ],
)
def test_resets(text: str, expected: float | None) -> None:
    """A reset is seconds, a Go duration, an epoch time in seconds or milliseconds, or a date; what is past is 0."""
    made = reset_s(text, NOW_S)
    assert expected == (made if made is None else pytest.approx(made))


@pytest.mark.parametrize("text", ["2026-10-21T07:28:00Z", str(int(NOW_S)), "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_point_in_time_says_nothing_without_a_clock(text: str) -> None:
    """Who does not say what time it is gets no guess."""
    assert reset_s(text, None) is None
    assert retry_after_s({"retry-after": text}, None) is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after": "7s"}, 7.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "1"}, 1.0),
        ({"retry-after-ms": "2500", "retry-after": "1"}, 2.5),
        ({"retry-after-ms": "0", "retry-after": "1"}, 1.0),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, 60.0),
        ({"retry-after": "Wednesday, 21-Oct-26 07:28:00 GMT"}, 60.0),
        ({"retry-after": "Wed Oct 21 07:28:00 2026"}, 60.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 +0000"}, 60.0),
        ({"retry-after": "Wed, 99 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e3"}, None),
        ({"retry-after": "86400"}, 86_400.0),
        ({"retry-after": "99999999"}, None),
        ({"retry-after": "\u0661"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    """Seconds, milliseconds or an HTTP date in any of its three forms; the larger where two stand."""
    assert expected == retry_after_s(headers, NOW_S)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Limit 3, Used 3. Please try again in 20s. Visit https://x.example", 20.0),
        ("Please try again in 1.2s.", 1.2),
        ("Please try again in 6m0s.", 360.0),
        ("Please try again in 7m12s", 432.0),
        ("please try again in 192ms.", 0.192),
        ("model: gemini-2.5-flash\nPlease retry in 48.939935699s.", 48.939935699),
        ("Please retry in 10h17m30.5s.", 37_050.5),
        ("Please retry in 10h17m…", 37_020.0),
        ("pricing tier. Please retry after 86400 seconds. Please go here", 86_400.0),
        ("max RPM: 3, please try again after 1 seconds", 1.0),
        ("Rate limit is exceeded. Try again in 30 seconds.", 30.0),
        ("Try again in about 5 minutes", 300.0),
        ("retry your request in 2 hours", 7200.0),
        ("try again in 1 min", 60.0),
        ("Please retry shortly.", None),
        ("retry in 3 models", None),
        ("try again in 5", None),
        ("5 minutes ago", None),
        ("", None),
    ],
)
def test_waits_in_words(message: str, expected: float | None) -> None:
    """A wait that a message asks for is found, with its unit."""
    assert expected == said_s(message)


@given(st.text(max_size=40) | st.from_regex(r"[0-9a-zA-Z:.,+\- ]{0,40}"), st.none() | st.floats(0, 4e9))
def test_nothing_raises_and_every_wait_is_sensible(text: str, now_s: float | None) -> None:
    """Any text gives a wait within a provider's longest window, or none."""
    waits = (
        go_duration_s(text),
        reset_s(text, now_s),
        retry_after_s({"retry-after": text}, now_s),
        said_s(text),
    )
    for wait_s in waits:
        assert wait_s is None or 0.0 <= wait_s <= LONGEST_S


@given(st.integers(0, 31), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59_999))
def test_go_durations_add_up(days: int, hours: int, minutes: int, milliseconds: int) -> None:
    """A duration is the sum of its parts, or none when it is longer than a month."""
    total_ms = ((days * 24 + hours) * 60 + minutes) * 60_000 + milliseconds
    text = f"{days}d{hours}h{minutes}m{milliseconds // 1000}.{milliseconds % 1000:03}s"
    made = go_duration_s(text)
    if total_ms / 1000 > LONGEST_S:
        assert made is None
    else:
        assert pytest.approx(total_ms / 1000) == made
