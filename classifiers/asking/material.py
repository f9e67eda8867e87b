"""Tells the ask from what was pasted beside it: code, logs, quotations, long prose.

Pasted matter is a fact, not a measure of difficulty: three kilobytes of article do not make "what does HTTP stand for?"
hard. A message that is nothing but matter, or one long request, is its own ask.
"""

import re
from dataclasses import dataclass
from typing import Final

from classifiers.types import Material

# The ask as it is looked at. Its first and last words say what is wanted; 2,000 characters hold 19 of 20 real ones whole.
HEAD_CHARS: Final = 1_400
TAIL_CHARS: Final = 600
# Shorter than this nothing was pasted.
_LEAST_CHARS: Final = 280
_LEAST_PROSE_CHARS: Final = 500
# An ask beside long prose is short; longer text is a request of its own.
_MOST_ASK_CHARS: Final = 420
_MOST_BLOCKS: Final = 200
_MOST_LINES: Final = 60
_LEAST_LINE_CHARS: Final = 60

_CODE_LINE: Final = re.compile(
    r"[ \t]*(?:def |class |import |from \w+ import|return\b|if ?\(|for ?\(|while ?\(|else\b|elif |try:|except|#include|"
    r"public |private |static |const |let |var |function\b|func |fn |package |using |SELECT |INSERT |@\w|//|/\*|\*/|"
    r"[{}()\[\];]+$|\$ |>>> |#!/|</?\w+[ >/])|.*[;{}\\]$|.*\) ?:$|[ \t]*[\w.\[\]\"']+ ?(?:[-+*/|&]|:)?= ?\S|[ \t]*[\w.]+\(.*\)$|    +\S|\t+\S"
)
_LOG_LINE: Final = re.compile(
    r"[ \t]*(?:\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d|\[?\d\d:\d\d:\d\d|Traceback|at [\w.$]+\(|File \"|[A-Z]\w+(?:Error|Exception):|"
    r"\[?(?:ERROR|WARN|WARNING|INFO|DEBUG|FATAL)\b)"
)
_LIST_LINE: Final = re.compile(r"[ \t]*(?:[-*•‣+][ \t]|\(?\w{1,3}[.):、][ \t]?|#{1,6} |\|)")
# Words by which somebody speaks to the one who is to answer; an article has few of them.
_ADDRESS: Final = re.compile(
    r"\b(?:you|your|please|i|i'm|i've|my|me|we|our|should|must|need|want|make sure|write|create|generate|explain|give|find|"
    r"compute|calculate|prove|show|determine|input|output|tu|usted|por favor|vous|votre|bitte|sie|ich|você|пожалуйста|мне|вы)\b"
    r"|[?？؟]|请|你|我|您|ください|주세요|من فضلك|कृपया",
    re.IGNORECASE,
)
_ADDRESSES_PER_1000: Final = 6.0
# What an ask points at is looked at this far.
_MATERIAL_CHARS: Final = 800
# How requests begin; a paragraph that begins so is part of the ask.
_IMPERATIVE: Final = re.compile(
    r"\W{0,4}(?:(?:please|now|then|next|finally|also|first)[, ]+)?(?:add|analy[sz]e|answer|apply|assess|assume|attempt|avoid|brainstorm|"
    r"build|calculate|change|check|choose|cite|classify|code|come up|compare|complete|compose|compute|consider|construct|continue|"
    r"convert|correct|craft|create|debug|define|deploy|derive|describe|design|determine|develop|discuss|do|does|draft|draw|edit|"
    r"ensure|estimate|evaluate|examine|explain|extract|find|fix|follow|format|generate|give|help|how|identify|imagine|implement|"
    r"improve|include|is|are|can|could|should|would|list|make|match|migrate|name|optimi[sz]e|output|outline|perform|plan|play|"
    r"produce|propose|prove|provide|rank|read|recommend|refactor|remove|reply|rephrase|return|review|rewrite|run|search|select|"
    r"set up|show|simplify|solve|sort|start|state|suggest|summari[sz]e|take|tell|test|translate|turn|use|verify|what|when|where|"
    r"which|who|whom|whose|why|write|you are|act as)\b",
    re.IGNORECASE,
)
_SENTENCE_END: Final = (".", "!", "?", ":", "。", "！", "？", "؟", "।", "：")  # noqa: RUF001
_REFERS: Final = re.compile(
    r"\b(?:this|these|the following|following|below|above|attached|provided|given|here is|here are|here's|est[aeo]s?|siguientes?|"
    r"adjunto|ce(?:t|tte|s)?|suivante?s?|ci-dess\w+|diese[rsnm]?|folgende\w*|obige\w*|seguintes?|abaixo|acima|эт\w{1,3}|следующ\w+|"
    r"ниже|выше)\b|[:：]\s*$|这|以下|下面|上面|如下|この|次の|上記|이 |다음|아래|위의|هذا|هذه|التالي|أدناه|इस |यह |निम्न|नीचे",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Parts:
    """A message taken apart. `ask` is bounded and never empty for a message that is not."""

    ask: str
    refers: bool = False
    material: str = ""  # its beginning, when the ask points at it
    materials: tuple[Material, ...] = ()


@dataclass(frozen=True, slots=True)
class _Block:
    text: str
    kind: Material | None  # None is what may be the ask


def parted(text: str) -> Parts:
    """Tell ask and material apart. `text` is bounded by the caller; each line is looked at a few times."""
    if len(text) <= _LEAST_CHARS and "```" not in text:
        return Parts(text)
    blocks = _without_prose(_blocks(text))
    asks = [block.text for block in blocks if block.kind is None]
    matter = [block for block in blocks if block.kind is not None]
    ask = "\n\n".join(asks).strip()
    # An ask stands at an end of its message. Text in the middle of code belongs to the code.
    at_an_end = bool(asks) and (blocks[0].kind is None or blocks[-1].kind is None)
    if not matter or not at_an_end or _strength(ask) == 0:
        return Parts(bounded(text))
    refers = _REFERS.search(ask) is not None
    sample = "\n".join(block.text for block in matter)[:_MATERIAL_CHARS] if refers else ""
    kinds = tuple(dict.fromkeys(block.kind for block in matter if block.kind is not None))
    return Parts(bounded(ask), refers, sample, kinds)


def bounded(text: str) -> str:
    """At most HEAD_CHARS + TAIL_CHARS of `text`, from its two ends."""
    if len(text) <= HEAD_CHARS + TAIL_CHARS:
        return text
    return f"{text[:HEAD_CHARS]}\n\n{text[-TAIL_CHARS:]}"


def _strength(text: str) -> int:
    """How much `text` looks like an ask: 0 not at all, 2 clearly."""
    if not any(letter.isalpha() for letter in text[:200]):
        return 0
    if text.rstrip().endswith(("?", "？", "؟")) or _IMPERATIVE.match(text) or _ADDRESS.search(text):  # noqa: RUF001
        return 2
    return int(text.rstrip().endswith(_SENTENCE_END) or not text.isascii())


def _blocks(text: str) -> list[_Block]:
    """Fenced code, and paragraphs with what they are."""
    blocks: list[_Block] = []
    for index, part in enumerate(text.split("```", _MOST_BLOCKS)):
        if index % 2:
            blocks.append(_Block(part, "code"))
            continue
        for paragraph in part.split("\n\n", _MOST_BLOCKS):
            if paragraph.strip():
                blocks.extend(_paragraph(paragraph.strip("\n")))
    return blocks


def _paragraph(paragraph: str) -> list[_Block]:
    """One paragraph: whole, or its first or last line apart from matter that lies right below or above it."""
    kind = _kind(paragraph)
    first, _, below = paragraph.partition("\n")
    if not below:
        return [_Block(paragraph, kind)]
    above, _, last = paragraph.rpartition("\n")
    if len(first) <= _MOST_ASK_CHARS and not _is_matter(first) and (under := _kind(below)) is not None:
        return [_Block(first, None), _Block(below, under)]
    if len(last) <= _MOST_ASK_CHARS and not _is_matter(last) and (over := _kind(above)) is not None:
        return [_Block(above, over), _Block(last, None)]
    return [_Block(paragraph, kind)]


def _is_matter(line: str) -> bool:
    return _CODE_LINE.match(line) is not None or _LOG_LINE.match(line) is not None or line[:1] in ">[" or len(line) < 8


def _kind(paragraph: str) -> Material | None:
    lines = [line for line in paragraph.split("\n", _MOST_LINES)[:_MOST_LINES] if line.strip()]
    half = len(lines) / 2
    if not lines or sum(_LIST_LINE.match(line) is not None for line in lines) > half:
        return None
    if sum(line.lstrip()[:1] == ">" for line in lines) > half:
        return "quote"
    if len(lines) > 1 and sum(_LOG_LINE.match(line) is not None for line in lines) >= half:
        return "log"
    if len(lines) > 2 and sum(_CODE_LINE.match(line) is not None for line in lines) >= 0.6 * len(lines):
        return "code"
    return None


def _without_prose(blocks: list[_Block]) -> list[_Block]:
    """Mark long prose that stands beside one short ask, at the head or the tail, as material."""
    texts = [block.text for block in blocks if block.kind is None]
    if sum(map(len, texts)) < _LEAST_PROSE_CHARS:
        return blocks
    if len(texts) == 1:  # one paragraph: perhaps a line over or under the others
        texts = [line for line in texts[0].split("\n", _MOST_BLOCKS) if line.strip()]
        if len(texts) < 2:
            return blocks
    ends = sorted((0, len(texts) - 1), key=lambda at: (-_strength(texts[at]), len(texts[at])))
    for at in ends:
        rest = texts[:at] + texts[at + 1 :]
        short = len(texts[at]) <= _MOST_ASK_CHARS and _strength(texts[at]) > 0
        if short and sum(map(len, rest)) >= _LEAST_PROSE_CHARS and _is_prose(rest):
            others = [block for block in blocks if block.kind is not None]
            ask, prose = _Block(texts[at], None), _Block("\n".join(rest), "prose")
            return [*others, prose, ask]
    return blocks


def _is_prose(texts: list[str]) -> bool:
    """Long running text that addresses nobody."""
    if any(_IMPERATIVE.match(text) for text in texts):
        return False
    lines = "\n".join(texts).split("\n")
    chars = sum(map(len, lines))
    if sum(_LIST_LINE.match(line) is not None for line in lines) * 4 > len(lines):
        return False
    if chars < _LEAST_LINE_CHARS * len(lines):  # a form, a table, verses, a list of options
        return False
    addresses = sum(1 for line in lines for _ in _ADDRESS.finditer(line))
    return addresses * 1000 <= _ADDRESSES_PER_1000 * chars
