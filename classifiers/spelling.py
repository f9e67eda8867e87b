"""A text as the scorer reads it: letters of one dress, cut into words, numbers and signs.

Each step is a pass of the interpreter's own string methods over the whole text: a pattern asked once per word takes
several times as long. What such a pass cannot tell (letters of two scripts in one word) a pattern does.
"""

import re
import unicodedata
from typing import Final, NamedTuple

# Latin words, numbers, scripts without spaces, scripts whose vowels are marks, other words, single signs.
_TOKEN: Final = re.compile(
    r"[a-zà-öø-ɏḀ-ỿ]+|[0-9]+|[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+|"
    r"[\u0900-\u0963\u0966-\u0dff]+|[^\W\d_]+|[^\w\s]"
)
# The last of these alone, where no script claims it for its words.
_SIGNS: Final = re.compile(
    r"[^\w\s\u0900-\u0963\u0966-\u0dff\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
)
# Full-width forms, ligatures, letters of formulas: the same letters in other dress.
_FOLDABLE: Final = re.compile("[\u00a0\u2000-\u200a\u3000\uf900-\uffef\U0001d400-\U0001d7ff]")
# Those that are everywhere in some scripts, with what they are the same as.
_DRESSES: Final = tuple(
    (dress, unicodedata.normalize("NFKC", dress)) for dress in "，！？：；（）\u00a0\u3000～"
)
# Numbers are alike; how many digits they have stays.
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_NOT_SIGNS: Final = (
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 \t\n\r\f\v\x1c\x1d\x1e\x1f"
)
# A pass per sign pays as long as there are few of them.
_MOST_PASSES: Final = 40
# Letters that are neither Latin nor of a script whose words are told by spaces: where there are some, a pattern reads.
_CLAIMED: Final = re.compile(r"[\u0900-\u0dff\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_UNEVEN: Final = re.compile(r"[^\W\x00-\x7fà-öø-ɏḀ-ỿ]")
# The same for texts that Latin-1 can spell, by byte: all but signs, and all but uneven letters.
_LATIN: Final = "".join(map(chr, range(256)))
_LATIN_NOT_SIGNS: Final = "".join(sign for sign in _LATIN if sign.isalnum() or sign.isspace()).encode(
    "latin-1"
)
_LATIN_EVEN: Final = _UNEVEN.sub("", _LATIN).encode("latin-1")


class Spelled(NamedTuple):
    """A text with its letters in one dress.

    Attributes:
        text: lower case, digits all zeros.
        signs: what stands in it that is neither letter, digit nor space; `_` is one, and may be named where it is not.
        claimed: letters of scripts without spaces, or whose vowels are marks, are among its own.
        even: all its letters are Latin, so signs and spaces alone part its words.
    """

    text: str
    signs: frozenset[str]
    claimed: bool = False
    even: bool = True


def spelled(text: str) -> Spelled:
    """The text in its plain dress."""
    if text.isascii():
        plain = text.lower().encode().translate(_DIGITS)
        return Spelled(plain.decode(), frozenset(plain.translate(None, _NOT_SIGNS).decode()))
    text = _folded(text).lower()
    try:
        latin = text.encode("latin-1")
    except UnicodeEncodeError:
        signs = {*_SIGNS.findall(text), "_"}
        digits = text.encode("utf-8", "surrogatepass").translate(_DIGITS).decode("utf-8", "surrogatepass")
        claimed = _CLAIMED.search(text) is not None
        return Spelled(digits, frozenset(signs), claimed, not claimed and _UNEVEN.search(text) is None)
    signs = set(latin.translate(None, _LATIN_NOT_SIGNS).decode("latin-1"))
    even = not latin.translate(None, _LATIN_EVEN)
    return Spelled(latin.translate(_DIGITS).decode("latin-1"), frozenset(signs), even=even)


def tokens(of: Spelled) -> list[str]:
    """Words, numbers and single signs, in their order."""
    if len(of.signs) > _MOST_PASSES or of.claimed:
        return _TOKEN.findall(of.text)
    apart = of.text
    for sign in of.signs:
        apart = apart.replace(sign, " " if sign == "_" else f" {sign} ")
    if (
        "0" in apart
    ):  # numbers stand apart; two passes bring their digits together again, however many there are
        apart = apart.replace("0", " 0 ").replace("0  0", "00").replace("0  0", "00")
    pieces = apart.split()
    return pieces if of.even else _by_script(pieces, of.signs)


def _by_script(pieces: list[str], signs: frozenset[str]) -> list[str]:
    """Pieces that hold letters of several scripts are cut where these meet."""
    found: list[str] = []
    for piece in pieces:
        # Greek to Arabic, and Hangul: a word that begins so is one whatever letters follow.
        if (
            piece.isascii()
            or (piece.isalpha() and ("\u0370" <= piece < "\u0900" or "\uac00" <= piece < "\ud7a4"))
            or piece in signs
        ):
            found.append(piece)
        else:
            found.extend(_TOKEN.findall(piece))
    return found


def _folded(text: str) -> str:
    """Asking whether there is anything to fold is a tenth of the work, and nearly always enough."""
    if unicodedata.is_normalized("NFKC", text) or _FOLDABLE.search(text) is None:
        return text
    for dress, plain in _DRESSES:
        text = text.replace(dress, plain)
    return text if unicodedata.is_normalized("NFKC", text) else unicodedata.normalize("NFKC", text)
