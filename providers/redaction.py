"""Words of others made safe to show: printable, bounded, without credentials.

By pattern, because this room knows no keys. Providers quote keys whole, in part (`sk-ab***yz`) and inside URLs.
"""

import re
from typing import Final

MASK: Final = "***"

MAX_CHARS: Final = 2_000
"""Of a message that is shown; the longest sensible one recorded has 700."""

# What is looked at: enough that MAX_CHARS are left when much of it was masked, little enough to be quick.
_READ_CHARS: Final = 8_000

# Invisible characters would let a key slip through the patterns, or turn the reading direction of a log line.
_INVISIBLE: Final = re.compile(
    "[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ud800-\udfff]+"
)
_CONTROL: Final = re.compile("[\x00-\x20\x7f-\x9f\u2028\u2029]+")

# What a credential consists of, and what it may end with: not the sentence's own full stop.
_OPENING: Final = r"[\"'`(<\[{]?"
_INNER: Final = r"[^\s\"'`<>(){}\[\],;|\\]"
_LAST: Final = r"[^\s\"'`<>(){}\[\],;|\\:!?.]"
_BEFORE_STARS: Final = r"[^\s\"'`<>(){}\[\],;|\\:!?=&*]"
_AFTER_STARS: Final = r"[^\s\"'`<>(){}\[\],;|\\=&]"


def _pattern(*parts: str) -> re.Pattern[str]:
    return re.compile("".join(parts), re.IGNORECASE)


_PATTERNS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    # URLs lose user, password, query and fragment.
    (
        _pattern(
            r"\b([a-z][a-z0-9+.-]{1,20}://)(?:[^\s\"'`<>]*@)?([^\s?#\"'`<>]*)(?:[?#][^\s\"'`<>]*)?",
        ),
        r"\1\2",
    ),
    # `key=…`, `"api_key": "…"`, `X-Goog-Api-Key: …`, `Authorization: Bearer …`
    (
        _pattern(
            r"(\b[\w-]{0,40}(?:",
            r"(?:key|token|secret|password|passwd|signature|credential)[\"'`]?\s?=",
            r"|(?:api[ _-]?key|access[ _-]?key|[_-]token|secret|password|passwd|authorization)[\"'`]?\s?:",
            rf")\s?{_OPENING}(?:(?:bearer|basic)\s)?){_INNER}{{3,}}{_LAST}",
        ),
        rf"\1{MASK}",
    ),
    # `Bearer …`, but not "Bearer authentication"; `Basic …`, but not "basic information".
    (
        _pattern(
            rf"\b((?:bearer\s{_OPENING}(?!(?:auth\w*|tokens?|scheme|header)\b)|basic\s{_OPENING}(?={_INNER}*[\d=])))",
            rf"{_INNER}{{5,}}{_LAST}",
        ),
        rf"\1{MASK}",
    ),
    # In sentences: an API key that is provided, given, used; its id; a subscription key.
    (
        _pattern(
            r"\b((?:api|access|secret|subscription|auth)[ _-]?(?:keys?|tokens?)",
            r"(?:[ :=-]{1,3}(?:provided|given|used|supplied|id|is|was|of|with|value|not valid)){0,3}[ :=]{1,3}",
            rf"{_OPENING})(?=(?:{_INNER}*[\d*…])|{_INNER}{{20}}){_INNER}{{7,}}{_LAST}",
        ),
        rf"\1{MASK}",
    ),
    # "key …", "token …" alone: only what nobody would take for a word or a path.
    (
        _pattern(
            rf"\b((?:keys?|tokens?|secret|password|credentials?)[ :=]{{1,3}}(?:is |was |id ){{0,2}}{_OPENING})",
            r"(?=[\w*+/=~-]*[\d*]|[\w*+/=~-]{32})[\w*+/=~-]{16,}",
        ),
        rf"\1{MASK}",
    ),
    # Beginnings that say what they are, anywhere.
    (re.compile(rf"(?<![A-Za-z0-9])(?:sk|gsk|csk|rk|pk)[-_]{_INNER}{{3,}}{_LAST}"), MASK),
    (
        re.compile(
            r"(?<![A-Za-z0-9])(?:xai-|hf_|fw_|pplx-|tgp_v1_|nvapi-|r8_|AIza|AKIA|ASIA|ya29\.|eyJ|gh[pousr]_|glpat-)"
            rf"{_INNER}{{11,}}{_LAST}"
        ),
        MASK,
    ),
    # Names of accounts are no credentials, but nobody's business: Moonshot, OpenAI and Groq write them into messages.
    (re.compile(r"(?<![A-Za-z0-9])(?:org|proj|ak)[-_](?=[A-Za-z0-9]*[0-9])[A-Za-z0-9]{12,}"), MASK),
    # Masked in part by the provider: what is left of it goes, too.
    (_pattern(rf"{_BEFORE_STARS}{{0,80}}\*{{3,}}(?:{_AFTER_STARS}{{0,80}}(?<![:!?.]))"), MASK),
)


def redact(text: str) -> str:
    """`text` with everything masked that looks like a credential; other words stay as they are."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def presentable(text: str, *, max_chars: int = MAX_CHARS) -> str:
    """One line of at most `max_chars` characters: redacted, without control characters and invisible ones."""
    if len(text) > _READ_CHARS:
        # At a word's end, so that no half of a credential escapes its pattern.
        text = text[:_READ_CHARS].rpartition(" ")[0] or text[:max_chars]
    text = _CONTROL.sub(" ", _INVISIBLE.sub("", text)).strip()
    return redact(text)[:max_chars]
