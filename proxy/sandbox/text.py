"""Words: splitting text into pieces, shortening it, and what the sandbox has to say."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import cycle, islice

# A piece stands for one token: up to eight letters or digits, or one sign, with the blank before it.
_PIECE = re.compile(r"\s?\w{1,8}|\s?[^\w\s]|\s")
_WORD = re.compile(r"[\w'-]+")
_QUOTED = re.compile(r"[\"“«]([^\"”»]{1,60})[\"”»]")

_GREETINGS = (
    "Hello from the Headgate sandbox!",
    "Bonjour, and welcome to the Headgate sandbox!",
    "Good to see you: this is the Headgate sandbox.",
    "¡Hola! You have reached the Headgate sandbox.",
)
_WHAT_IT_IS = (
    "I am a small built-in stand-in for a real model — no provider was called, no key was needed, "
    "nothing was spent."
)
_LESS = "Ask me anything else; I shall repeat it just as happily."
_MORE = (
    "Everything around my words is the real thing, though: the stream, the token counts, the limits and "
    "the routing facts are just what your client would meet in front of a genuine backend, naïve questions "
    "included."
)
_FILLER = (
    " The river keeps its pace, the lock-keeper counts each boat, and the café on the bank stays open — "
    "word after word, piece after piece."
)


def split(text: str) -> tuple[str, ...]:
    """`text` in pieces; joined they are `text` again."""
    return tuple(_PIECE.findall(text))


def shorten(text: str, most_characters: int) -> str:
    """`text` on one line, at most so long, with an ellipsis where something was left out."""
    line = " ".join(text.split())
    if len(line) <= most_characters:
        return line
    return line[: most_characters - 1].rstrip() + "…"


def phrase(text: str) -> str:
    """The words of `text` that look like its subject: quoted ones, a name, or else the beginning."""
    quoted = _QUOTED.search(text)
    if quoted:
        return quoted[1].strip() or "sandbox"
    named: list[str] = []
    for word in _WORD.findall(text)[1:]:
        if word[0].isupper() and len(word) > 1:
            named.append(word)
        elif named:
            break
    return " ".join(named[:3]) or shorten(text, 40) or "sandbox"


def counted(nouns: Iterable[str]) -> str:
    """`1 image and 2 files`; empty without any."""
    parts = [f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in Counter(nouns).items()]
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def introduction(*, asked: str, media: Sequence[str], variant: int, long: bool) -> str:
    """What the sandbox answers to a plain question."""
    sentences = [_GREETINGS[variant % len(_GREETINGS)], _WHAT_IT_IS]
    sentences.append(f"You asked: “{shorten(asked, 90)}”" if asked else "You sent me no text of your own.")
    if media:
        sentences.append(f"You also sent {counted(media)}, which I can only admire ✨.")
    sentences.append(_MORE if long else _LESS)
    return " ".join(sentences)


def report(results: Sequence[tuple[str, str]]) -> str:
    """An answer that uses tool results, as (tool name, result)."""
    told = "; ".join(f"{name} answered “{shorten(result, 200)}”" for name, result in results)
    return (
        f"Thank you — the tools have spoken: {told}. That is all the Headgate sandbox can tell you about it."
    )


def reasoning(asked: str, effort: str) -> str:
    """What is thought before the answer; longer for more effort, empty for none."""
    thoughts = (
        f"The user asks: “{shorten(asked, 60)}”.",
        " A sandbox has no opinion, so the honest way is to say what I am — briefly.",
        " I should repeat the question, so that they can see it arrived unharmed.",
        " It may also help to mention that limits and prices work as they would elsewhere.",
        " Checking once more: nothing here needs a tool, a provider or a key. Voilà.",
    )
    share = {"none": 0, "minimal": 1, "low": 2, "medium": 3, "high": 4, "xhigh": 5}
    return "".join(thoughts[: share[effort]])


def stretch(pieces: Sequence[str], wanted: int) -> tuple[str, ...]:
    """Exactly `wanted` pieces: the first of `pieces`, continued with small talk where they do not suffice."""
    return (*pieces[:wanted], *islice(cycle(split(_FILLER)), max(0, wanted - len(pieces))))
