"""YAML text to plain values: mappings with text keys, lists, text, whole numbers, numbers, true, false, null.

Built from the parser's events, so that nothing YAML could do beyond that exists here: no tags, no aliases,
no objects. Words are resolved as YAML 1.2 does: `on`, `yes`, `1:30` and `1_000` are text, `010` is ten.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

# A configuration with a thousand models is about half of this.
MAX_BYTES: Final = 4_000_000

# The schema is seven levels deep; far more is a mistake, or an attack on the stack of its readers.
MAX_DEPTH: Final = 32

_WORDS: Final[Mapping[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}

# More digits than fit 64 bits are read as a number with a fraction, which no key for a whole number takes.
_NUMBERS: Final[tuple[tuple[re.Pattern[str], Callable[[str], int | float]], ...]] = (
    (re.compile(r"[-+]?[0-9]{1,19}"), int),
    (re.compile(r"0o[0-7]{1,21}|0x[0-9a-fA-F]{1,16}"), lambda word: int(word, 0)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
    (re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"), lambda word: float(word.replace(".", ""))),
)


class DocumentError(Exception):
    """The text is not such a document; the message says why and, where known, the line and column."""


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not been reached."""

    values: dict[str, Any] | list[Any]
    key: str | None = None
    marks: dict[str, Any] = field(default_factory=dict)

    def awaits_key(self) -> bool:
        return isinstance(self.values, dict) and self.key is None

    def put(self, value: Any) -> None:
        if isinstance(self.values, list):
            self.values.append(value)
        elif self.key is not None:
            self.values[self.key] = value
            self.key = None


def parse(data: bytes) -> Any:
    """The values of one YAML document; `None` when it holds nothing but comments.

    Raises:
        DocumentError: not UTF-8, not YAML, too large or deep, a key twice in one mapping, a tag or an alias.
    """
    if len(data) > MAX_BYTES:
        raise DocumentError(f"is larger than {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(f"is not UTF-8 text (byte {error.start})") from error
    try:
        return _build(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{_place(mark)}: " if mark else ""
        raise DocumentError(f"{where}{error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise DocumentError("holds a character that YAML does not allow") from error


def _build(text: str) -> Any:
    root = _Open([])
    stack = [root]
    documents = 0
    for event in iter(yaml.CSafeLoader(text).get_event, None):
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise DocumentError(f"{_place(event.start_mark)}: a second document; one is all there may be")
        elif isinstance(event, yaml.NodeEvent):
            _node(event, stack)
        elif isinstance(event, yaml.CollectionEndEvent):
            closed = stack.pop()
            stack[-1].put(closed.values)
    return root.values[0] if isinstance(root.values, list) and root.values else None


def _node(event: yaml.NodeEvent, stack: list[_Open]) -> None:
    if isinstance(event, yaml.AliasEvent):
        raise DocumentError(
            f"{_place(event.start_mark)}: aliases (*name) are not read here; write the value out"
        )
    if getattr(event, "tag", None) is not None:
        raise DocumentError(f"{_place(event.start_mark)}: tags (!name) are not read here")
    top = stack[-1]
    if isinstance(event, yaml.ScalarEvent):
        if top.awaits_key():
            _key(event, top)
        else:
            top.put(_resolve(event.value) if event.implicit[0] else event.value)
        return
    if top.awaits_key():
        raise DocumentError(f"{_place(event.start_mark)}: a key must be text")
    if len(stack) > MAX_DEPTH:
        raise DocumentError(f"{_place(event.start_mark)}: nested more than {MAX_DEPTH} deep")
    stack.append(_Open({} if isinstance(event, yaml.MappingStartEvent) else []))


def _key(event: yaml.ScalarEvent, top: _Open) -> None:
    # Keys are names: never resolved, so that a model or an alias may be called `on`, `null` or `5`.
    key, mark = event.value, event.start_mark
    if key in top.marks:
        raise DocumentError(f'{_place(mark)}: the key "{key}" is there already ({_place(top.marks[key])})')
    top.marks[key] = mark
    top.key = key


def _resolve(word: str) -> Any:
    """The value of an unquoted word."""
    if word in _WORDS:
        return _WORDS[word]
    for pattern, value_of in _NUMBERS:
        if pattern.fullmatch(word):
            return value_of(word)
    return word


def _place(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}"
