"""Tells the ask from what was pasted beside it: code, logs, quotations, long prose.

Pasted matter is a fact, not a measure of difficulty: three kilobytes of article do not make "what does HTTP stand for?"
hard. A message that is nothing but matter, or one long request, is its own ask.
"""

from dataclasses import dataclass
from itertools import groupby, islice
from typing import Final

import re2

from classifiers.linear import Occurs
from classifiers.types import Material

# The ask as it is looked at. Its two ends say what is wanted; 2,000 characters hold 19 of 20 real ones whole.
HEAD_CHARS: Final = 1_400
TAIL_CHARS: Final = 600
# Shorter than this nothing was pasted.
_LEAST_CHARS: Final = 320
_LEAST_PROSE_CHARS: Final = 500
_LEAST_INLINE_PROSE_CHARS: Final = 1_500
# An ask beside long prose is short; longer text is a request of its own.
_MOST_ASK_CHARS: Final = 420
_MOST_BLOCKS: Final = 200
_MOST_LINES: Final = 60
_LEAST_CODE_LINES: Final = 3
_LEAST_LINE_OF_ASK: Final = 8
_MOST_NAME_CHARS: Final = 40
# A text is judged as an ask by its two ends.
_END_CHARS: Final = 300
_IMPERATIVE_CHARS: Final = 60
_LEAST_LINE_CHARS: Final = 60

# Looked for with string methods: a line is judged in a microsecond.
_CODE_STARTS: Final = (
    "def ", "class ", "import ", "return ", "return;", "if (", "if(", "for (", "for(", "while (", "while(",
    "else:", "else {", "elif ",
    "try:", "try {", "except", "#include", "public ", "private ", "static ", "const ", "let ", "var ",
    "function ", "func ", "fn ",
    "package ", "using ", "SELECT ", "INSERT ", "@", "//", "/*", "*/", "$ ", ">>> ", "#!/", "<?", "</", "<div",
    "<p>", "assert ",
)  # fmt: skip
_CODE_ENDS: Final = (";", "{", "}", "\\", "):", "];", ");", "},", "],", "/>", "</")
# By their first two signs, so that most lines are compared with one or none; one of them has but one.
_CODE_SIGN: Final = "@"
_CODE_STARTS_BY_TWO: Final = {
    start[:2]: tuple(each for each in _CODE_STARTS if each[:2] == start[:2])
    for start in _CODE_STARTS
    if start != _CODE_SIGN
}
_CODE_LAST: Final = frozenset(end[-1] for end in _CODE_ENDS)
_INDENTS: Final = ("    ", "\t")
_LOG_STARTS: Final = ("Traceback", "at ", 'File "', "ERROR", "WARN", "INFO", "DEBUG", "FATAL")
_LOG_FIRST: Final = frozenset(start[0] for start in _LOG_STARTS)
_LOG_LINE: Final = Occurs(
    r"^\[?(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d|\d\d:\d\d:\d\d|(?:ERROR|WARN|INFO|DEBUG|FATAL))"
)
# What a line looks like.
_PLAIN, _SHORT, _BLANK, _QUOTE, _LIST, _CODE, _LOG = "p", "s", " ", ">", "l", "c", "g"
_LIST_SIGNS: Final = "-*•‣+#|"
# Words by which somebody speaks to the one who is to answer; an article has few of them.
_ADDRESS: Final = re2.compile(
    r"(?i)\b(?:you|your|please|i|i'm|i've|my|me|we|our|should|must|need|want|make sure|write|create|"
    r"generate|explain|give|find|"
    r"compute|calculate|prove|show|determine|input|output|tu|usted|por favor|vous|votre|bitte|sie|ich)\b"
    r"|[?？؟]|пожалуйста|мне |请|你|我|您|você|ください|주세요|من فضلك|कृपया"
)
_ADDRESSES: Final = Occurs(_ADDRESS.pattern)
_ADDRESSES_PER_1000: Final = 6.0
_MOST_DIGITS: Final = 0.02
_HEADLINE: Final = 0.6
# What an ask points at is looked at this far.
_MATERIAL_CHARS: Final = 800
# How requests begin; a paragraph that begins so is part of the ask.
_IMPERATIVE: Final = Occurs(
    r"(?i)^\W{0,4}(?:(?:please|now|then|next|finally|also|first)[, ]+)?(?:add|analy[sz]e|answer|apply|"
    r"assess|assume|attempt|avoid|brainstorm|"
    r"build|calculate|change|check|choose|cite|classify|code|come up|compare|complete|compose|compute|"
    r"consider|construct|continue|"
    r"convert|correct|craft|create|debug|define|deploy|derive|describe|design|determine|develop|discuss|"
    r"do|does|draft|draw|edit|"
    r"ensure|estimate|evaluate|examine|explain|extract|find|fix|follow|format|generate|give|help|how|"
    r"identify|imagine|implement|"
    r"improve|include|is|are|can|could|should|would|list|make|match|migrate|name|optimi[sz]e|output|"
    r"outline|perform|plan|play|"
    r"produce|propose|prove|provide|rank|read|recommend|refactor|remove|reply|rephrase|return|review|"
    r"rewrite|run|search|select|"
    r"set up|show|simplify|solve|sort|start|state|suggest|summari[sz]e|take|tell|test|translate|turn|"
    r"use|verify|what|when|where|"
    r"which|who|whom|whose|why|write|you are|act as)\b"
)
# A sentence ends at its mark, or where a small word with a capital begins the next although the mark is missing.
_FIRST_SENTENCE: Final = re2.compile(
    r"^([^.!?。！？؟।]{4,420}?)([.!?؟]+\s|[。！？।]|"
    r"\s(?:The|A|An|In|On|At|It|This|These|There|When|While|After|Before|For|As|He|She|They|We|By|From|Its|His|Her|Once|During|"
    r"Many|Most|Some|One|Although|However|With|Since|Each|Every|Few|If) [a-z])"
)
_SENTENCE_END: Final = (".", "!", "?", ":", "。", "！", "？", "؟", "।", "：")
_REFERS: Final = Occurs(
    r"(?i)\b(?:this|these|the following|following|below|above|attached|provided|given|here is|here are|"
    r"here's|est[aeo]s?|siguientes?|"
    r"adjunto|ce(?:t|tte|s)?|suivante?s?|ci-dess\w+|diese[rsnm]?|folgende\w*|obige\w*|seguintes?|abaixo|"
    r"acima)\b|[:：]\s*$|"
    r"(?:^|\PL)эт\pL{1,3}\PL|следующ|ниже|выше|这|以下|下面|上面|如下|この|次の|上記|이 |다음|아래|위의|"
    r"هذا|هذه|التالي|أدناه|"
    r"इस |यह |निम्न|नीचे"
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
    fenced: bool = False


def parted(text: str) -> Parts:
    """Tell ask and material apart. `text` is bounded by the caller; each line is looked at a few times."""
    least = _LEAST_CHARS if "\n" in text else _LEAST_INLINE_PROSE_CHARS
    if len(text) <= least and "```" not in text:
        return Parts(text)
    blocks = _without_prose(_blocks(text))
    asks = [block.text for block in blocks if block.kind is None]
    matter = [block for block in blocks if block.kind is not None]
    ask = "\n\n".join(asks).strip()
    # An ask stands at an end of its message. Text in the middle of code belongs to the code.
    at_an_end = bool(asks) and (blocks[0].kind is None or blocks[-1].kind is None)
    if not matter or not at_an_end or _strength(ask) == 0:
        return Parts(bounded(text))
    refers = _REFERS(bounded(ask))
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
    ends = text if len(text) <= 2 * _END_CHARS else text[:_END_CHARS] + "\n" + text[-_END_CHARS:]
    if not any(map(str.isalpha, ends)):
        return 0
    if text.rstrip().endswith(("?", "？", "؟")) or _IMPERATIVE(text[:_IMPERATIVE_CHARS]) or _ADDRESSES(ends):
        return 2
    if text.rstrip().endswith(_SENTENCE_END) or not text.isascii():
        return 1
    words = [word for word in text.split() if word[0].isalpha()]
    # Three words without an end are an ask if they are no headline.
    return int(len(words) > 2 and sum(word[0].isupper() for word in words) < _HEADLINE * len(words))


def _blocks(text: str) -> list[_Block]:
    """Fenced code, and paragraphs with what they are."""
    blocks: list[_Block] = []
    for index, part in enumerate(text.split("```", _MOST_BLOCKS)):
        if index % 2:
            blocks.append(_Block(part, "code", fenced=True))
            continue
        for paragraph in part.split("\n\n", _MOST_BLOCKS):
            if paragraph.strip():
                blocks.extend(_paragraph(paragraph.strip("\n")))
    return _enough_code(blocks)


def _paragraph(paragraph: str) -> list[_Block]:
    """One paragraph: whole, or its first or last line apart from matter that lies right below or above it."""
    lines = paragraph.split("\n", _MOST_LINES)
    flags = "".join(map(_flag, lines))
    kind = _kind(flags)
    if len(lines) == 1:
        return [_Block(paragraph, kind)]
    first, last = lines[0], lines[-1]
    if flags[0] == _PLAIN and len(first) <= _MOST_ASK_CHARS and (under := _kind(flags[1:])) is not None:
        return [_Block(first, None), _Block("\n".join(lines[1:]), under)]
    if flags[-1] == _PLAIN and len(last) <= _MOST_ASK_CHARS and (over := _kind(flags[:-1])) is not None:
        return [_Block("\n".join(lines[:-1]), over), _Block(last, None)]
    return [_Block(paragraph, kind)]


def _flag(line: str) -> str:
    """What one line looks like: one sign, so that lines are counted by counting signs."""
    own = line.strip()
    if not own:
        return _BLANK
    first, long = own[0], len(own) >= _LEAST_LINE_OF_ASK
    if first == ">":
        return _QUOTE
    if long and (first in _LIST_SIGNS or _is_numbered(own)):
        return _LIST
    if _is_code(line, own):
        return _CODE
    if (first in _LOG_FIRST and own.startswith(_LOG_STARTS)) or (first in "[0123456789" and _LOG_LINE(own)):
        return _LOG
    return _PLAIN if long and first != "[" else _SHORT


def _is_code(line: str, own: str) -> bool:
    if own[-1] in _CODE_LAST and own.endswith(_CODE_ENDS):
        return True
    if line.startswith(_INDENTS) or own.startswith(_CODE_STARTS_BY_TWO.get(own[:2], _CODE_SIGN)):
        return True
    if own[-1] == ")" and "(" in own and " " not in own[: own.index("(")]:  # a call
        return True
    equals = own.find("=", 0, _MOST_NAME_CHARS + 1)
    return 0 <= equals < len(own) - 1 and " " not in own[:equals].strip()  # an assignment


def _is_numbered(own: str) -> bool:
    """A line of a list or an answer option: a few signs that end in a dot or bracket."""
    space = own.find(" ", 0, 5)
    return (space > 1 and own[space - 1] in ".):") or own[1:2] == "、"


def _kind(flags: str) -> Material | None:
    lines = len(flags) - flags.count(_BLANK)
    if not lines or flags.count(_LIST) * 2 > lines:
        return None
    if flags.count(_QUOTE) * 2 > lines:
        return "quote"
    if flags.count(_CODE) * 5 >= lines * 3:
        return "code"
    return "log" if lines > 1 and flags.count(_LOG) * 2 >= lines else None


def _enough_code(blocks: list[_Block]) -> list[_Block]:
    """Code is a run of blocks with a few lines between them; a lone line that looks like it may be a request."""
    kept: list[_Block] = []
    for _, run in groupby(blocks, key=lambda block: block.kind == "code"):
        own = list(run)
        fenced = any(block.fenced for block in own)
        lines = sum(block.text.count("\n") + 1 for block in own)
        if own[0].kind == "code" and not fenced and lines < _LEAST_CODE_LINES:
            own = [_Block(block.text, None) for block in own]
        kept.extend(own)
    return kept


def _without_prose(blocks: list[_Block]) -> list[_Block]:
    """Mark long prose that stands beside one short ask, at the head or the tail, as material."""
    texts = [block.text for block in blocks if block.kind is None]
    if sum(map(len, texts)) < _LEAST_PROSE_CHARS:
        return blocks
    if len(texts) == 1:  # one paragraph: perhaps a line over or under the others
        texts = [line for line in texts[0].split("\n", _MOST_BLOCKS) if line.strip()]
    if len(texts) == 1:  # one line: only a first sentence can be told from a long rest
        texts = _first_sentence(texts[0])
        if sum(map(len, texts[1:])) < _LEAST_INLINE_PROSE_CHARS:
            return blocks
    chars = sum(map(len, texts))
    ends = [
        (-strength, len(texts[at]), at)
        for at in (0, len(texts) - 1)
        if len(texts[at]) <= min(_MOST_ASK_CHARS, chars - _LEAST_PROSE_CHARS)
        and (strength := _strength(texts[at]))
    ]
    for _, _, at in sorted(ends):
        rest = texts[:at] + texts[at + 1 :]
        if _is_prose(rest):
            others = [block for block in blocks if block.kind is not None]
            ask, prose = _Block(texts[at], None), _Block("\n".join(rest), "prose")
            return [*others, prose, ask]
    return blocks


def _first_sentence(line: str) -> list[str]:
    found = _FIRST_SENTENCE.match(line)
    if found is None:
        return [line]
    end = found.end(1) if found[2][:1].isspace() else found.end(2)
    return [line[:end].strip(), line[end:].strip()]


def _is_prose(texts: list[str]) -> bool:
    """Long running text that addresses nobody."""
    joined = "\n".join(texts)
    lines = joined.split("\n")
    chars = len(joined)
    if len(lines) > 3 and "".join(map(_flag, lines[:_MOST_LINES])).count(_LIST) * 4 > len(lines):
        return False
    if chars < _LEAST_LINE_CHARS * len(lines):  # a form, a table, verses, a list of options
        return False
    if sum(map(joined.count, "0123456789")) > _MOST_DIGITS * chars:  # a problem to be worked out
        return False
    if any(_IMPERATIVE(text[:_IMPERATIVE_CHARS]) for text in texts):
        return False
    # As bytes: where in the text they stand is not asked.
    allowed = int(_ADDRESSES_PER_1000 * chars / 1000)
    return sum(1 for _ in islice(_ADDRESS.finditer(joined.encode()), allowed + 1)) <= allowed
