"""A text made for a regular expression is matched by it."""

import re

import pytest

from proxy.sandbox import patterns


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "^abc$",
        "^[A-Z]{2}-\\d{3,}$",
        "^(red|green|blue)$",
        "^(?:x|y)+z?$",
        "^(?P<year>\\d{4})-(?<month>0[1-9]|1[0-2])$".replace("?<month>", "?P<month>"),
        '^[^"\\\\]{3}$',
        "^[\\w.+-]+@[\\w-]+\\.[a-z]{2,}$",
        "^\\+?[1-9]\\d{1,14}$",
        "^[-a]$",
        "^[]a]$",
        "^\\u00e9\\x41\\t$",
        "^\\S\\s\\W\\D$",
        "^(a(b(c)*)?){2}$",
        "^.{5}$",
        "^[a-]x*?$",
        "colou?r",
    ],
)
@pytest.mark.parametrize("variant", [0, 1, 7])
def test_the_text_matches(pattern: str, variant: int) -> None:
    """Every pattern of the table, in several variants and lengths."""
    for more in (0, 3):
        assert re.search(pattern, patterns.example(pattern, variant=variant, more=more))


@pytest.mark.parametrize(
    "pattern",
    [
        "(?=a)b",
        "(?!a)b",
        "(?<=a)b",
        "(a)\\1",
        "\\bword",
        "(a",
        "a)",
        "*a",
        "[a",
        "[z-a]",
        "a{2,1}",
        "a{x}",
        "a\\",
        "\\uZZZZ",
    ],
)
def test_what_is_not_understood_is_refused(pattern: str) -> None:
    """Look-around, back-references and malformed expressions raise, they never give a wrong text."""
    with pytest.raises(patterns.PatternError):
        patterns.example(pattern)


def test_an_endless_text_is_refused() -> None:
    """A repeat of repeats cannot fill the memory."""
    with pytest.raises(patterns.PatternError, match="longer"):
        patterns.example("((a{100}){100}){100}")


def test_deep_nesting_is_refused() -> None:
    """Many open groups end in a refusal, not in the interpreter's limit."""
    with pytest.raises(patterns.PatternError, match="nested"):
        patterns.example("(" * 5000 + "a" + ")" * 5000)
