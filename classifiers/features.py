"""An ask as a set of features: words, their stems and neighbours, and the form of the text.

Every feature is there or not; a scorer adds up what it learnt of each. Languages without spaces are read in n-grams of
characters, the others in words. Nothing is lower-cased by locale, so the same text gives the same features everywhere.
"""

import re
from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise
from operator import add
from typing import Final

from classifiers.lexicon import KNOWN, LEXICON
from classifiers.linear import Literals
from classifiers.spelling import Spelled, spelled, tokens
from classifiers.types import Ask

_CODE_SIGNS: Final = frozenset("{;_=<[#`")
_MATH_SIGNS: Final = frozenset("\\^$∑∫√≤≥≠→∀∃∈⊂∞±×÷")
_MATH_LETTER: Final = "π"
_COMMAS: Final = frozenset(",，、،")
_FULL_STOPS: Final = frozenset("。！？؟।")
_SCRIPTED: Final = re.compile("[\u0370-\u0dff\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_SENTENCE_ENDS: Final = (". ", "? ", "! ", ".\n", "?\n")
_OPTION: Final = re.compile(r"\n(?:([A-J])[.)]|\(([A-J])\))")
_SECOND_OPTION: Final = ("\nB", "\n(B")
_BULLETS: Final = ("\n- ", "\n* ", "\n• ", "\n0. ", "\n0) ")
_STEM_CHARS: Final = 5
_NOTHING: Final[frozenset[str]] = frozenset()
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
_PIECE_SIGNS: Final = 3


@dataclass(frozen=True, slots=True)
class Features:
    """Names of what was found. `words` weigh less the more there are; `forms` weigh the same at any length.

    Attributes:
        words: each at least once.
        runs: of scripts without spaces, a line each. Their `pieces` are words, too, but few are ever looked for.
        forms: each once.
        material: words of what the ask points at.
    """

    words: list[str]
    runs: str
    forms: tuple[str, ...]
    material: AbstractSet[str]


def features(ask: Ask) -> Features:
    """What the scorer sees of `ask`. Bounded by the bound of the ask."""
    text = spelled(ask.text)
    read = tokens(text)
    if len(read) > _MOST_TOKENS:
        read = read[:_HEAD_TOKENS] + read[_HEAD_TOKENS - _MOST_TOKENS :]
    distinct = set(read)
    others = [] if text.text.isascii() else [token for token in distinct if token >= _OTHER_SCRIPTS]
    runs = list(filter(_unspaced, others)) if text.claimed else []
    spaced = [word for word in others if not _unspaced(word)] if runs else others
    words = [*distinct, *_stems(distinct, spaced), *["$" + run[-2:] for run in runs]]
    named = KNOWN.intersection(words)
    lines = "\n".join(runs)
    if runs:
        named = named.union(_KNOWN_PIECES(lines))
    words.extend(map(" ".join, pairwise(read)))
    words.extend(_first(read))
    material = frozenset(tokens(spelled(ask.material))) if ask.material else _NOTHING
    return Features(words, lines, (*_forms(ask.text, text, read), *_fields(named)), material)


def pieces(runs: str) -> set[str]:
    """What `runs` of a script without spaces are read in: each sign, and each two and three neighbours."""
    found: set[str] = set()
    for run in runs.split("\n"):
        pairs = list(map(add, run, run[1:]))
        found.update(run, pairs, map(add, pairs, run[2:]))
    return found


def _unspaced(token: str) -> bool:
    first = token[0]
    return "\u0e00" <= first <= "\u0e7f" or "\u3040" <= first <= "\u30ff" or "\u3400" <= first <= "\u9fff"


def is_piece(name: str) -> bool:
    """Whether a word may be one of `pieces`."""
    return 0 < len(name) <= _PIECE_SIGNS and all(map(_unspaced, name))


_KNOWN_PIECES: Final = Literals(filter(is_piece, sorted(KNOWN)))


def _stems(distinct: AbstractSet[str], spaced: list[str]) -> list[str]:
    """What words begin with. Hangul and Devanagari say much in two signs, Arabic begins with its article."""
    found = [word[:_STEM_CHARS] + "-" for word in distinct if len(word) > _STEM_CHARS]
    if spaced:
        bare = [word.removeprefix("ال") for word in spaced if len(word) > 2]
        found += [word[:2] + "-" for word in bare]
        found += [word[:4] + "-" for word in bare]
    return found


def _fields(named: AbstractSet[str]) -> list[str]:
    """Which fields the words name, once and several times over."""
    counts = Counter([field for word in named for field in LEXICON[word]])
    return [f"@{field}{min(count, 4)}" for field, count in counts.items()] + [f"@{field}" for field in counts]


def _first(read: list[str]) -> tuple[str, ...]:
    """How a request begins says most about it."""
    if not read:
        return ()
    first = read[0][:2] if _unspaced(read[0]) else read[0]
    return ("^" + first, "^" + first + " " + (read[1] if len(read) > 1 else "$"))


def _forms(raw: str, of: Spelled, read: list[str]) -> tuple[str, ...]:
    """Length, layout and density of signs, each as one of a few steps. Counting is left to `str.count`."""
    text, signs, claimed, _ = of
    chars, count, plain = len(text), len(read) or 1, text.isascii()
    unspaced = claimed and any(map(_unspaced, read[:20]))
    # Signs of unspaced scripts say about as much as three letters.
    length = 3 * chars if unspaced else chars
    words = text.count(" ") + text.count("\n") + 1
    lined = "\n" in text
    options = 0
    if lined and any(mark in raw for mark in _SECOND_OPTION):
        options = len({bare or bracketed for bare, bracketed in _OPTION.findall(raw)})
    code = sum(map(text.count, signs & _CODE_SIGNS))
    math = sum(map(text.count, signs & _MATH_SIGNS)) + (0 if plain else text.count(_MATH_LETTER))
    commas = sum(map(text.count, signs & _COMMAS))
    sentences = sum([text.count(end) for end in _SENTENCE_ENDS if end[0] in signs]) + sum(
        map(text.count, signs & _FULL_STOPS)
    )
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
