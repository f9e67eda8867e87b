"""What a provider still lets us send is read from its headers, whatever they are called."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers import rate_limits
from providers.rate_limits import STANDARD, HeaderNames, RateLimits, Window, WindowNames, read, reset_wait_s

NOW_S: Final = 1_754_667_634.0  # Fri, 08 Aug 2025 15:40:34 GMT

HUGE: Final = "9223372036854767616"


def suffixed(window: str, limit: str, remaining: str, reset: str | None = None) -> dict[str, str]:
    """The headers of one window."""
    headers = {f"x-ratelimit-limit-{window}": limit, f"x-ratelimit-remaining-{window}": remaining}
    return headers if reset is None else {**headers, f"x-ratelimit-reset-{window}": reset}


def infixed(window: str, limit: str, remaining: str, reset: str) -> dict[str, str]:
    """The same in Anthropic's scheme."""
    prefix = f"anthropic-ratelimit-{window}"
    return {f"{prefix}-limit": limit, f"{prefix}-remaining": remaining, f"{prefix}-reset": reset}


# Headers as recorded.
EXAMPLES: Final[list[tuple[str, HeaderNames, dict[str, str], RateLimits | None]]] = [
    ("nothing", STANDARD, {"content-type": "application/json"}, None),
    (
        "openai",
        rate_limits.OPENAI,
        {
            **suffixed("requests", "10000", "9990", "1m19.156s"),
            **suffixed("tokens", "200000", "199956", "13ms"),
        },
        RateLimits(Window(10_000, 9_990, 79.156), Window(200_000, 199_956, 0.013)),
    ),
    (
        "openai, other windows beside",
        rate_limits.OPENAI,
        {
            **suffixed("requests", "500", "499", "120ms"),
            **suffixed("tokens", "200000", "199227", "231ms"),
            **suffixed("input-images", "50000", "1", "1ms"),
        },
        RateLimits(Window(500, 499, 0.12), Window(200_000, 199_227, 0.231)),
    ),
    (
        "openai, requests only",
        rate_limits.OPENAI,
        suffixed("requests", "10000", "9999", "6ms"),
        RateLimits(Window(10_000, 9_999, 0.006), None),
    ),
    ("azure, unknown", rate_limits.AZURE, suffixed("tokens", "-1", "-1", "0"), None),
    (
        "azure",
        rate_limits.AZURE,
        {**suffixed("requests", "250", "249", "0"), **suffixed("tokens", "250000", "249861", "0")},
        RateLimits(Window(250, 249, 0.0), Window(250_000, 249_861, 0.0)),
    ),
    (
        "groq",
        rate_limits.GROQ,
        {
            **suffixed("requests", "1000", "928", "1h43m40.8s"),
            **suffixed("tokens", "8000", "3031", "37.2675s"),
        },
        RateLimits(Window(1_000, 928, 6_220.8), Window(8_000, 3_031, 37.2675)),
    ),
    (
        "xai",
        rate_limits.XAI,
        {**suffixed("requests", "480", "480"), **suffixed("tokens", "4000000", "4000000")},
        RateLimits(Window(480, 480, None), Window(4_000_000, 4_000_000, None)),
    ),
    (
        "mistral",
        rate_limits.MISTRAL,
        {
            **suffixed("req-minute", "60", "50"),
            **suffixed("tokens-minute", "500000", "499246"),
            **suffixed("tokens-month", "1000000000", "999993638"),
            "x-ratelimit-tokens-query-cost": "152",
        },
        RateLimits(Window(60, 50, None), Window(500_000, 499_246, None)),
    ),
    (
        "mistral, the month nearly used up",
        rate_limits.MISTRAL,
        {**suffixed("tokens-minute", "500000", "499246"), **suffixed("tokens-month", "1000000000", "12")},
        RateLimits(None, Window(1_000_000_000, 12, None)),
    ),
    (
        "mistral, older",
        rate_limits.MISTRAL,
        {
            "ratelimitbysize-limit": "500000",
            "ratelimitbysize-remaining": "307190",
            "ratelimitbysize-reset": "46",
            "x-ratelimitbysize-limit-month": "1000000000",
            "x-ratelimitbysize-remaining-month": "997278920",
        },
        RateLimits(None, Window(500_000, 307_190, 46.0)),
    ),
    (
        "cerebras",
        rate_limits.CEREBRAS,
        {
            **suffixed("requests-day", "1440000", "1439993", "3563.8418328762054"),
            **suffixed("tokens-minute", "1000000", "999858", "23.841832876205444"),
        },
        RateLimits(Window(1_440_000, 1_439_993, 3563.841833), Window(1_000_000, 999_858, 23.841833)),
    ),
    (
        "cerebras, the minute is tighter",
        rate_limits.CEREBRAS,
        {
            **suffixed("requests-day", "2400", "2398", "80000.5"),
            **suffixed("requests-minute", "5", "0", "12.25"),
        },
        RateLimits(Window(5, 0, 12.25), None),
    ),
    (
        "huggingface",
        rate_limits.HUGGINGFACE,
        {
            "x-ratelimit-remaining-requests-minute": "1999",
            "x-ratelimit-remaining-requests-hour": "119999",
            "x-ratelimit-remaining-requests-day": "2879999",
            "x-ratelimit-remaining-tokens-minute": HUGE,
            "x-ratelimit-remaining-tokens-hour": HUGE,
            "x-ratelimit-remaining-tokens-day": HUGE,
        },
        RateLimits(Window(None, 1_999, None), None),
    ),
    (
        "openrouter",
        rate_limits.OPENROUTER,
        {"x-ratelimit-limit": "1", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1754667660000"},
        RateLimits(Window(1, 0, 26.0), None),
    ),
    (
        "together",
        rate_limits.TOGETHER,
        {
            "x-ratelimit": "false",
            "x-ratelimit-limit": "10",
            "x-ratelimit-remaining": "19",
            "x-ratelimit-reset": "2",
            "x-ratelimit-limit-tokens": "3000",
            "x-ratelimit-remaining-tokens": "3000",
            "retry-after": "2",
        },
        RateLimits(Window(10, 19, 2.0), Window(3_000, 3_000, None)),
    ),
    (
        "fireworks",
        rate_limits.FIREWORKS,
        {**suffixed("tokens-prompt", "60000", "59000"), **suffixed("tokens-generated", "600", "6")},
        RateLimits(None, Window(600, 6, None)),
    ),
    (
        "moonshot",
        rate_limits.MOONSHOT,
        {"x-ratelimit-limit": "3", "x-ratelimit-remaining": "2", "x-ratelimit-reset": "1754667637"},
        RateLimits(Window(3, 2, 3.0), None),
    ),
    (
        "anthropic",
        rate_limits.ANTHROPIC,
        {
            **infixed("requests", "4000", "3999", "2025-08-08T15:40:49Z"),
            **infixed("tokens", "2400000", "2000900", "2025-08-08T15:40:33Z"),
            **infixed("input-tokens", "2000000", "2000000", "2025-08-08T15:40:33Z"),
            **infixed("output-tokens", "400000", "900", "2025-08-08T15:41:33Z"),
        },
        RateLimits(Window(4_000, 3_999, 15.0), Window(400_000, 900, 59.0)),
    ),
    ("no allowance", STANDARD, suffixed("requests", "0", "0"), RateLimits(Window(0, 0, None), None)),
    ("fractions", STANDARD, suffixed("tokens", "60.5", "12.75"), RateLimits(None, Window(60, 12, None))),
    ("words", STANDARD, suffixed("tokens", "many", "some", "soon"), None),
    ("reset alone", STANDARD, {"x-ratelimit-reset-tokens": "1s"}, None),
    ("bad reset", STANDARD, suffixed("tokens", "9", "8", "soon"), RateLimits(None, Window(9, 8, None))),
]


@pytest.mark.parametrize(
    ("names", "headers", "expected"), [row[1:] for row in EXAMPLES], ids=[row[0] for row in EXAMPLES]
)
def test_examples(names: HeaderNames, headers: dict[str, str], expected: RateLimits | None) -> None:
    """Each provider's headers come out as its tightest windows of requests and tokens."""
    assert expected == rounded(read(headers, names, now_epoch_s=NOW_S))


def test_a_point_in_time_says_nothing_without_a_clock() -> None:
    """What is left is known without a clock; when it resets may not be."""
    headers = {"x-ratelimit-limit": "1", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1754667660000"}
    expected = RateLimits(Window(1, 0, None), None)
    assert expected == read(headers, rate_limits.OPENROUTER, now_epoch_s=None)


def test_of_equals_the_first() -> None:
    """Windows of which the same share is left: the one named first."""
    names = HeaderNames(tokens=(WindowNames("a", "b"), WindowNames("c", "d")))
    headers = {"a": "10", "b": "5", "c": "100", "d": "50"}
    assert RateLimits(None, Window(10, 5, None)) == read(headers, names, now_epoch_s=None)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6m0s"}, 360.0),
        ({"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-reset-tokens": "1s"}, 360.0),
        # A day's requests, of which some are left, are not what refused; tokens may be too few.
        (
            {
                **suffixed("requests", "1000", "928", "1h43m40.8s"),
                **suffixed("tokens", "8000", "31", "37.2675s"),
            },
            37.2675,
        ),
        ({**suffixed("requests", "1000", "0", "1h0m0s"), **suffixed("tokens", "8000", "31", "37s")}, 3600.0),
        (suffixed("requests", "1000", "928", "1h0m0s"), 3600.0),
        (
            {**suffixed("requests-day", "9", "8", "3563.5"), **suffixed("tokens-minute", "9", "8", "23.5")},
            23.5,
        ),
        ({"x-ratelimit-reset": "1754667660000"}, 26.0),
        ({"ratelimitbysize-reset": "46"}, 46.0),
        ({"anthropic-ratelimit-tokens-reset": "2025-08-08T15:41:34Z"}, 60.0),
        (suffixed("tokens", "-1", "-1", "0"), None),
        ({"x-ratelimit-reset-requests": "0s", "x-ratelimit-reset-tokens": "0"}, None),
        ({"x-ratelimit-reset-tokens": "-5", "x-ratelimit-reset-requests": "nan"}, None),
        ({"x-ratelimit-renewalperiod-tokens": "60"}, None),
    ],
)
def test_longest_reset(headers: dict[str, str], expected: float | None) -> None:
    """Without a better word, the wait is the longest reset of the windows that may have refused."""
    made = reset_wait_s(headers, NOW_S)
    assert expected == (None if made is None else round(made, 6))


def rounded(limits: RateLimits | None) -> RateLimits | None:
    """Resets to the microsecond, where two ways of adding up agree."""
    if limits is None:
        return None
    requests, tokens = (
        None
        if window is None
        else window._replace(reset_s=None if window.reset_s is None else round(window.reset_s, 6))
        for window in limits
    )
    return RateLimits(requests, tokens)


ALL_NAMES: Final = [row[1] for row in EXAMPLES]


@given(
    st.sampled_from(ALL_NAMES),
    st.lists(st.text(max_size=25) | st.integers(-5, 2**64).map(str), min_size=30, max_size=30),
    st.none() | st.floats(0, 4e9),
)
def test_nothing_raises(names: HeaderNames, values: list[str], now_s: float | None) -> None:
    """Any values in the right headers give windows with sensible numbers, or none."""
    spelled_out = [
        header
        for window in (*names.requests, *names.tokens)
        for header in (window.limit, window.remaining, window.reset)
        if header is not None
    ]
    headers = dict(zip(spelled_out, values, strict=False))
    limits = read(headers, names, now_epoch_s=now_s)
    for window in limits or ():
        if window is not None:
            assert all(number is None or number >= 0 for number in window)
    wait_s = reset_wait_s(headers, now_s)
    assert wait_s is None or wait_s > 0
