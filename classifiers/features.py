"""An ask as a set of features: words, their stems and neighbours, and the form of the text.

Every feature is there or not; a scorer adds up what it learnt of each. Languages without spaces are read in n-grams of
characters, the others in words. Nothing is lower-cased by locale, so the same text gives the same features everywhere.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from classifiers.types import Ask

# Latin words, numbers, scripts without spaces, words of other scripts, single signs.
_TOKEN: Final = re.compile(
    r"[a-zà-öø-ɏḀ-ỿ]+|[0-9]+|[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+|[^\W\d_]+|[^\w\s]"
)
_SIGN: Final = re.compile(r"[^\w\s]")
_OPTION: Final = re.compile(r"^[ \t]*\(?[A-J][.):][ \t]?\S", re.MULTILINE)
_LIST: Final = re.compile(r"^[ \t]*(?:[-*•]|\d{1,2}[.)])[ \t]", re.MULTILINE)
_SENTENCE: Final = re.compile(r"[.!?。！？؟।](?:\s|$)|[。！？।]")  # noqa: RUF001
_CODE_SIGNS: Final = frozenset("{};_=<>[]#`")
_MATH_SIGNS: Final = frozenset("\\^∑∫√≤≥≠→∀∃∈⊂∞±×÷π$")
_STEM_CHARS: Final = 5
_MOST_TOKENS: Final = 500
_UNSPACED_FIRST: Final = "\u0e00"
_SCRIPTS: Final = (
    ("cjk", "\u3400", "\u9fff"), ("kana", "\u3040", "\u30ff"), ("hangul", "\uac00", "\ud7af"), ("cyrillic", "\u0400", "\u052f"),
    ("arabic", "\u0600", "\u06ff"), ("indic", "\u0900", "\u0dff"), ("thai", "\u0e00", "\u0e7f"), ("greek", "\u0370", "\u03ff"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Features:
    """Names of what was found. `words` weigh less the more there are; `forms` weigh the same at any length."""

    words: frozenset[str]
    forms: tuple[str, ...]
    material: frozenset[str]  # words of what the ask points at; they say what it is about, not how hard it is to ask


def features(ask: Ask) -> Features:
    """What the scorer sees of `ask`. Bounded by the bound of the ask."""
    text = _folded(ask.text)
    tokens = _TOKEN.findall(text)[:_MOST_TOKENS]
    material = frozenset(_TOKEN.findall(_folded(ask.material))[:_MOST_TOKENS]) if ask.material else frozenset()
    return Features(_words(tokens), _forms(ask.text, tokens), material)


def _folded(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).lower()


def _words(tokens: list[str]) -> frozenset[str]:
    found: set[str] = set(tokens)
    add = found.add
    before = "^"
    for position, token in enumerate(tokens):
        if token.isascii():
            if token.isdigit():
                token = "0" if len(token) < 3 else "00"  # noqa: PLW2901 - numbers are alike
            elif len(token) > _STEM_CHARS:
                add(token[:_STEM_CHARS] + "-")
        elif _unspaced(token):
            _grams(token, found)
            if position == 0:
                add("^" + token[:2])
            add("$" + token[-2:])
            before = token[-1]
            continue
        elif len(token) > 2:  # Hangul and Devanagari say much in two signs, Arabic begins with its article
            stem = token[2:] if token.startswith("ال") else token
            add(stem[:2] + "-")
            add(stem[:4] + "-")
        add(before + " " + token)
        before = token
    if len(tokens) > 1:
        add("^" + tokens[0] + " " + tokens[1])
        add("^^" + tokens[0])
    return frozenset(found)


def _unspaced(token: str) -> bool:
    first = token[0]
    return "\u0e00" <= first <= "\u0e7f" or "\u3040" <= first <= "\u30ff" or "\u3400" <= first <= "\u9fff" or "\uf900" <= first <= "\ufaff"


def _grams(run: str, found: set[str]) -> None:
    found.update(run)
    found.update(map("".join, zip(run, run[1:], strict=False)))
    found.update(map("".join, zip(run, run[1:], run[2:], strict=False)))
    found.discard(run)


def _forms(text: str, tokens: list[str]) -> tuple[str, ...]:
    """Length, layout and density of signs, each as one of a few steps."""
    chars = len(text)
    count = len(tokens) or 1
    signs = _SIGN.findall(text)
    words = count - len(signs)
    digits = sum(1 for token in tokens if token.isdigit())
    options = len(_OPTION.findall(text)) if "\n" in text else 0
    code = sum(1 for sign in signs if sign in _CODE_SIGNS)
    math = sum(1 for sign in signs if sign in _MATH_SIGNS)
    commas = sum(1 for sign in signs if sign in ",，、،")  # noqa: RUF001
    unspaced = not text.isascii() and any(_unspaced(token) for token in tokens[:20])
    return (
        f"#chars{(chars if not unspaced else 3 * chars).bit_length()}",
        f"#chars/{_half_steps(chars if not unspaced else 3 * chars)}",
        f"#words{words.bit_length()}",
        f"#sentences{min(len(_SENTENCE.findall(text)), 12).bit_length()}",
        f"#lines{min(text.count(chr(10)), 63).bit_length()}",
        f"#list{min(len(_LIST.findall(text)), 8).bit_length() if chr(10) in text else 0}",
        f"#options{min(options, 10)}",
        f"#commas{min(commas, 12).bit_length()}",
        f"#density{min(commas * 40 // count, 6)}",
        f"#digits{min(digits, 40).bit_length()}",
        f"#figures{min(digits * 20 // count, 6)}",
        f"#code{min(code, 60).bit_length()}",
        f"#code/{min(code * 20 // count, 6)}",
        f"#math{min(math, 60).bit_length()}",
        f"#math/{min(math * 20 // count, 6)}",
        f"#wordlength{min((chars - len(signs)) // max(words, 1), 12) if not unspaced else 'none'}",
        f"#ends{text[-1:] if text[-1:] in '?？؟.!:' else '-'}",  # noqa: RUF001
        f"#question{min(text.count('?') + text.count('？'), 3)}",  # noqa: RUF001
        f"#script-{_script(text)}",
        "#quoted" if '"' in text or "“" in text or "「" in text else "#plain",
        "#dollars" if "$" in text else "#nodollars",
        "#blank" if "___" in text else "#noblank",
    )


def _half_steps(chars: int) -> int:
    """Steps of about a factor of the square root of two."""
    bits = chars.bit_length()
    return 2 * bits + (chars >> (bits - 2) & 1) if bits > 1 else bits


def _script(text: str) -> str:
    if text.isascii():
        return "ascii"
    for letter in text:
        if letter >= "\u0250":
            for name, first, last in _SCRIPTS:
                if first <= letter <= last:
                    return name
    return "latin"
