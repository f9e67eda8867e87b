"""An ask as a set of features: words, their stems and neighbours, and the form of the text.

Every feature is there or not; a scorer adds up what it learnt of each. Languages without spaces are read in n-grams of
characters, the others in words. Nothing is lower-cased by locale, so the same text gives the same features everywhere.
"""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from classifiers.lexicon import KNOWN, LEXICON
from classifiers.types import Ask

# Latin words, numbers, scripts without spaces, scripts whose vowels are marks, other words, single signs.
_TOKEN: Final = re.compile(
    r"[a-zà-öø-ɏḀ-ỿ]+|[0-9]+|[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+|"
    r"[\u0900-\u0963\u0966-\u0dff]+|[^\W\d_]+|[^\w\s]"
)
# Full-width forms, ligatures, letters of formulas: the same letters in other dress.
_FOLDABLE: Final = re.compile("[\u00a0\u2000-\u200a\u3000\uf900-\uffef\U0001d400-\U0001d7ff]")
_CODE_SIGNS: Final = "{;_=<[#`"
_MATH_SIGN: Final = re.compile(r"[\\^$∑∫√≤≥≠→∀∃∈⊂∞±×÷π]")
_COMMA: Final = re.compile("[,，、،]")
_FULL_STOP: Final = re.compile("[。！？؟।]")
_SCRIPTED: Final = re.compile("[\u0370-\u0dff\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_SENTENCE_ENDS: Final = (". ", "? ", "! ", ".\n", "?\n")
_OPTIONS: Final = tuple((f"\n{letter}.", f"\n{letter})", f"\n({letter})") for letter in "ABCDEFGHIJ")
_SECOND_OPTION: Final = ("\nB", "\n(B")
_BULLETS: Final = ("\n- ", "\n* ", "\n• ", "\n0. ", "\n0) ")
_STEM_CHARS: Final = 5
_MOST_TOKENS: Final = 400
_HEAD_TOKENS: Final = 280
_OTHER_SCRIPTS: Final = "\u0370"
_ENDS: Final = "?？؟.!:"
_SCRIPTS: Final = (
    ("cjk", "\u3400", "\u9fff"),
    ("kana", "\u3040", "\u30ff"),
    ("hangul", "\uac00", "\ud7af"),
    ("cyrillic", "\u0400", "\u052f"),
    ("arabic", "\u0600", "\u06ff"),
    ("indic", "\u0900", "\u0dff"),
    ("thai", "\u0e00", "\u0e7f"),
    ("greek", "\u0370", "\u03ff"),
)


@dataclass(frozen=True, slots=True)
class Features:
    """Names of what was found. `words` weigh less the more there are; `forms` weigh the same at any length."""

    words: frozenset[str]
    forms: tuple[str, ...]
    material: frozenset[str]  # words of what the ask points at


def features(ask: Ask) -> Features:
    """What the scorer sees of `ask`. Bounded by the bound of the ask."""
    text = _folded(ask.text)
    tokens = _TOKEN.findall(text)
    if len(tokens) > _MOST_TOKENS:
        tokens = tokens[:_HEAD_TOKENS] + tokens[_HEAD_TOKENS - _MOST_TOKENS :]
    words, named = _words(tokens, plain=text.isascii())
    material = _TOKEN.findall(_folded(ask.material)) if ask.material else ()
    return Features(frozenset(words), (*_forms(ask.text, text, tokens), *_fields(named)), frozenset(material))


def _folded(text: str) -> str:
    if not text.isascii() and _FOLDABLE.search(text) is not None:
        text = unicodedata.normalize("NFKC", text)
    text = text.lower()
    for digit in "123456789":  # numbers are alike; how many digits they have stays
        text = text.replace(digit, "0")
    return text


def _words(tokens: list[str], *, plain: bool) -> tuple[set[str], set[str]]:
    """Words, the stems of long ones, and pairs; runs of unspaced script also as pieces of one to three signs.

    `plain` text is ASCII and needs no second look. Also those of them that name a field.
    """
    found = set(tokens)
    others = [] if plain else [token for token in found if token >= _OTHER_SCRIPTS]
    found.update([token[:_STEM_CHARS] + "-" for token in found if len(token) > _STEM_CHARS])
    for token in others:
        if _unspaced(token):
            _grams(token, found)
            found.add("$" + token[-2:])
        elif len(token) > 2:  # Hangul and Devanagari say much in two signs, Arabic begins with its article
            stem = token.removeprefix("ال")
            found.add(stem[:2] + "-")
            found.add(stem[:4] + "-")
    named = found & KNOWN
    found.update(map(" ".join, pairwise(tokens)))
    _first(tokens, found)
    return found, named


def _fields(named: set[str]) -> list[str]:
    """Which fields the words name, once and several times over."""
    counts = Counter([field for word in named for field in LEXICON[word]])
    return [f"@{field}{min(count, 4)}" for field, count in counts.items()] + [f"@{field}" for field in counts]


def _first(tokens: list[str], found: set[str]) -> None:
    """How a request begins says most about it."""
    if tokens:
        first = tokens[0][:2] if _unspaced(tokens[0]) else tokens[0]
        found.add("^" + first)
        found.add("^" + first + " " + (tokens[1] if len(tokens) > 1 else "$"))


def _unspaced(token: str) -> bool:
    first = token[0]
    return "\u0e00" <= first <= "\u0e7f" or "\u3040" <= first <= "\u30ff" or "\u3400" <= first <= "\u9fff"


def _grams(run: str, found: set[str]) -> None:
    found.update(run)
    found.update(map("".join, pairwise(run)))
    found.update([run[at : at + 3] for at in range(len(run) - 2)])


def _forms(raw: str, text: str, tokens: list[str]) -> tuple[str, ...]:
    """Length, layout and density of signs, each as one of a few steps. Counting is left to `str.count`."""
    chars, count, plain = len(text), len(tokens) or 1, text.isascii()
    unspaced = not plain and any(map(_unspaced, tokens[:20]))
    # Signs of unspaced scripts say about as much as three letters.
    length = 3 * chars if unspaced else chars
    words = text.count(" ") + text.count("\n") + 1
    lined = "\n" in text
    options = (
        sum(any(mark in raw for mark in marks) for marks in _OPTIONS)
        if lined and any(mark in raw for mark in _SECOND_OPTION)
        else 0
    )
    code = sum(map(text.count, _CODE_SIGNS))
    math = sum(map(text.count, "\\^$")) if plain else len(_MATH_SIGN.findall(text))
    commas = text.count(",") if plain else len(_COMMA.findall(text))
    sentences = sum(map(text.count, _SENTENCE_ENDS)) + (0 if plain else len(_FULL_STOP.findall(text)))
    digits = text.count("0")
    return (
        f"#chars{length.bit_length()}",
        f"#chars/{_half_steps(length)}",
        f"#words{words.bit_length()}",
        f"#sentences{min(sentences, 12).bit_length()}",
        f"#lines{min(text.count(chr(10)), 63).bit_length()}",
        f"#list{min(sum(map(text.count, _BULLETS)), 8).bit_length() if lined else 0}",
        f"#options{options}",
        f"#commas{min(commas, 12).bit_length()}",
        f"#density{min(commas * 40 // count, 6)}",
        f"#digits{min(digits, 60).bit_length()}",
        f"#figures{min(digits * 20 // count, 6)}",
        f"#code{min(code, 60).bit_length()}",
        f"#code/{min(code * 20 // count, 6)}",
        f"#math{min(math, 60).bit_length()}",
        f"#math/{min(math * 20 // count, 6)}",
        f"#wordlength{min(chars // words, 12) if not unspaced else 'none'}",
        f"#ends{text[-1:] if text[-1:] in _ENDS else '-'}",
        f"#question{min(text.count('?') + text.count('？'), 3)}",
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
    """The script of the first letter that is not Latin."""
    if text.isascii():
        return "ascii"
    found = _SCRIPTED.search(text)
    if found is not None:
        for name, first, last in _SCRIPTS:
            if first <= found[0] <= last:
                return name
    return "latin"
