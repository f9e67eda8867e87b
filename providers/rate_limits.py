"""How much a provider still lets us send, as the headers of its answers say; one form for all of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from providers import durations

# A whole number; some give a fraction. Negative ones mean "unknown" (Azure) and do not match.
_COUNT: Final = re.compile(r"([0-9]{1,19})(?:\.[0-9]{0,20})?")
_UNLIMITED_FROM: Final = 2**53  # Hugging Face says 9223372036854767616 for no limit (recorded December 2025)


class Window(NamedTuple):
    """One allowance.

    Attributes:
        limit: how much a whole window holds, or `None` when it is not said.
        remaining: how much is left of it, or `None`.
        reset_s: seconds until it is whole again, or `None`.
    """

    limit: int | None
    remaining: int | None
    reset_s: float | None


class RateLimits(NamedTuple):
    """The tightest allowance of each kind; `None` where the provider says nothing."""

    requests: Window | None
    tokens: Window | None


@dataclass(frozen=True, slots=True)
class WindowNames:
    """The headers of one window, in lower case; `None` for what this provider does not send."""

    limit: str | None
    remaining: str | None
    reset: str | None = None


@dataclass(frozen=True, slots=True)
class HeaderNames:
    """One provider's scheme. Of several windows that are present the tightest counts, of equals the first.

    Attributes:
        requests: windows that count requests.
        tokens: windows that count tokens.
    """

    requests: tuple[WindowNames, ...] = ()
    tokens: tuple[WindowNames, ...] = ()


def _suffixed(*windows: str) -> tuple[WindowNames, ...]:
    """`x-ratelimit-{limit,remaining,reset}-WINDOW`, one for each."""
    return tuple(
        WindowNames(*(f"x-ratelimit-{part}-{window}" for part in ("limit", "remaining", "reset")))
        for window in windows
    )


def _infixed(*windows: str) -> tuple[WindowNames, ...]:
    """`anthropic-ratelimit-WINDOW-{limit,remaining,reset}`, one for each."""
    return tuple(
        WindowNames(*(f"anthropic-ratelimit-{window}-{part}" for part in ("limit", "remaining", "reset")))
        for window in windows
    )


_BARE: Final = (WindowNames("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),)

STANDARD: Final = HeaderNames(requests=_suffixed("requests"), tokens=_suffixed("tokens"))
"""For any URL of the family."""

# Reset as a Go duration (recorded 2023 to 2026).
OPENAI: Final = STANDARD

# Reset in whole seconds; its Responses API says -1, -1 and 0 for "unknown" (recorded November 2025).
AZURE: Final = STANDARD

# Requests per day, tokens per minute; reset as a Go duration with fractions (console.groq.com/docs/rate-limits,
# November 2026, and recorded).
GROQ: Final = STANDARD

# Without reset (recorded January and August 2026).
XAI: Final = STANDARD

# Reset in seconds with fractions (recorded October 2025); the minute's and hour's windows as quoted by users, 2026.
CEREBRAS: Final = HeaderNames(
    requests=_suffixed("requests-minute", "requests-hour", "requests-day"),
    tokens=_suffixed("tokens-minute", "tokens-hour", "tokens-day"),
)

# Its router hands on what the provider behind it sends: remaining without limit or reset (recorded December 2025).
HUGGINGFACE: Final = CEREBRAS

# Without reset (recorded December 2025 to August 2026); the older scheme with it (recorded August 2024).
MISTRAL: Final = HeaderNames(
    requests=_suffixed("req-minute"),
    tokens=(
        *_suffixed("tokens-minute", "tokens-month"),
        WindowNames("ratelimitbysize-limit", "ratelimitbysize-remaining", "ratelimitbysize-reset"),
        WindowNames("x-ratelimitbysize-limit-month", "x-ratelimitbysize-remaining-month"),
    ),
)

# Only on 429, and about requests; reset as epoch milliseconds (recorded August 2025).
OPENROUTER: Final = HeaderNames(requests=_BARE)

# www.kimi.com/help/kimi-api/api-rate-limits, November 2026; none recorded.
MOONSHOT: Final = HeaderNames(requests=_BARE)

# Reset in seconds; bursts may leave more than the limit (recorded December 2025).
TOGETHER: Final = HeaderNames(
    requests=_BARE,
    tokens=(
        WindowNames("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens"),
        WindowNames("x-tokenlimit-limit", "x-tokenlimit-remaining"),
    ),
)

# docs.fireworks.ai/guides/quotas_usage/rate-limits, November 2026; none recorded.
FIREWORKS: Final = HeaderNames(
    requests=_suffixed("requests"),
    tokens=_suffixed("tokens-prompt", "tokens-cache-adjusted-prompt", "tokens-generated"),
)

# Reset as RFC 3339 (recorded 2024 to 2026). `tokens` is the sum of the other two, so it hides which of them is short.
ANTHROPIC: Final = HeaderNames(
    requests=_infixed("requests"), tokens=_infixed("tokens", "input-tokens", "output-tokens")
)


def read(
    headers: Mapping[str, str], names: HeaderNames = STANDARD, *, now_epoch_s: float | None
) -> RateLimits | None:
    """The allowances that an answer reports, of whatever status; `None` when it reports none. Never raises.

    Args:
        headers: with lower-case names.
        now_epoch_s: the time it is; without it a reset that is given as a point in time is not known.
    """
    requests = _tightest(headers, names.requests, now_epoch_s)
    tokens = _tightest(headers, names.tokens, now_epoch_s)
    return None if requests is None and tokens is None else RateLimits(requests, tokens)


def reset_wait_s(headers: Mapping[str, str], now_epoch_s: float | None) -> float | None:
    """How long to wait after a 429 without a better word: the longest reset, whatever the scheme; seconds.

    A window of requests that has some left is passed over, because it is not what refused this one: Groq's and
    Cerebras's day would hide their minute. Of tokens some may be left and still too few.

    Args:
        headers: with lower-case names.
        now_epoch_s: as for `read`.
    """
    every_s: list[float] = []
    refusing_s: list[float] = []
    for name, value in headers.items():
        if "ratelimit" not in name or "reset" not in name:
            continue
        reset_s = durations.reset_s(value, now_epoch_s)
        if not reset_s:  # 0 is "unknown", or a window that is whole: neither is a wait
            continue
        every_s.append(reset_s)
        if "token" in name or not _count(headers, name.replace("reset", "remaining")):
            refusing_s.append(reset_s)
    return max(refusing_s or every_s, default=None)


def _tightest(
    headers: Mapping[str, str], windows: tuple[WindowNames, ...], now_epoch_s: float | None
) -> Window | None:
    tightest: Window | None = None
    least = float("inf")
    for names in windows:
        window = _window(headers, names, now_epoch_s)
        if window is None:
            continue
        share = _share_left(window)
        if tightest is None or share < least:
            tightest, least = window, share
    return tightest


def _share_left(window: Window) -> float:
    """What is left of it, as a share; the whole, where that cannot be told."""
    if window.remaining is None or (window.remaining and not window.limit):
        return 1.0
    return window.remaining / window.limit if window.limit else 0.0


def _window(headers: Mapping[str, str], names: WindowNames, now_epoch_s: float | None) -> Window | None:
    limit = _count(headers, names.limit)
    remaining = _count(headers, names.remaining)
    if limit is None and remaining is None:
        return None
    reset = headers.get(names.reset) if names.reset is not None else None
    return Window(limit, remaining, durations.reset_s(reset, now_epoch_s) if reset is not None else None)


def _count(headers: Mapping[str, str], name: str | None) -> int | None:
    value = headers.get(name) if name is not None else None
    if value is None:
        return None
    match = _COUNT.fullmatch(value.strip())
    count = int(match[1]) if match is not None else _UNLIMITED_FROM
    return count if count < _UNLIMITED_FROM else None
