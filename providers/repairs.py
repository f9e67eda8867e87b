"""Repairs of answers: where a provider's JSON breaks clients of OpenAI's dialect, and how it is put right.

Only frames that a repair matches are rewritten; docs/providers.md lists them all. An entry of the registry names those
its provider needs.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Piece = Mapping[str, Any]
"""The `delta` of a stream's chunk, or the `message` of a plain answer."""

_CONTENT_LIST: Final = re.compile(rb'"content"\s*:\s*\[')
_EMPTY_NAME: Final = re.compile(rb'"(?:id|name)"\s*:\s*""')


class CallNumbers:
    """Which index each tool call of one answer has. One per answer, because calls come over several frames."""

    __slots__ = ("_by_id", "_last", "_next")

    def __init__(self) -> None:
        self._by_id: dict[tuple[int, str], int] = {}
        self._last: dict[int, int] = {}
        self._next: dict[int, int] = {}

    def numbered(self, choice: int, call: Any) -> Any:
        """`call` with an index; itself when it has one.

        A known id means its call; a new id or a name opens the next one; a piece with neither belongs to the last.
        """
        if not isinstance(call, dict):
            return call
        call_id = call.get("id")
        # "null" is what the provider's own library takes for no id (mistralai/client-python, November 2026).
        key = (choice, call_id) if isinstance(call_id, str) and call_id not in {"", "null"} else None
        index = call.get("index")
        if isinstance(index, int) and not isinstance(index, bool):
            self._note(choice, key, index)
            return call
        number = self._number(choice, key, named=bool(_function_of(call).get("name")))
        self._note(choice, key, number)
        return {**call, "index": number}

    def _note(self, choice: int, key: tuple[int, str] | None, number: int) -> None:
        if key is not None:
            self._by_id[key] = number
        self._last[choice] = number
        self._next[choice] = max(self._next.get(choice, 0), number + 1)

    def _number(self, choice: int, key: tuple[int, str] | None, *, named: bool) -> int:
        if key is not None and key in self._by_id:
            return self._by_id[key]
        following = self._next.get(choice, 0)
        return following if key is not None or named else self._last.get(choice, following)


@dataclass(frozen=True, slots=True)
class Repair:
    """One deviation of a provider, put right.

    Attributes:
        name: as in the documentation.
        find: where in a run of frames, from a position on, it may be needed; negative: nowhere. A byte search; false
            alarms only cost time.
        mend: a piece, the index of its choice and the answer's call numbers -> the piece as it should be; the same
            object when nothing is wrong with it.
        plain: messages of plain answers have it too.
    """

    name: str
    find: Callable[[bytes, int], int]
    mend: Callable[[Piece, int, CallNumbers], Piece]
    plain: bool = False


def _find_content_list(run: bytes, start: int) -> int:
    found = _CONTENT_LIST.search(run, start)
    return -1 if found is None else found.start()


def _with_text_content(piece: Piece, _choice: int, _numbers: CallNumbers) -> Piece:
    parts = piece.get("content")
    if not isinstance(parts, list):
        return piece
    texts: list[str] = []
    thoughts: list[str] = []
    others: list[Any] = []
    for part in parts:
        inner = part.get("thinking") if isinstance(part, dict) else None
        if isinstance(inner, list):
            _sort(inner, thoughts, others)
        else:
            _sort([part], texts, others)
    mended = {**piece, "content": "".join(texts)}
    if thought := "".join(thoughts):
        mended["reasoning_content"] = mended["reasoning"] = thought
    if others:
        mended["content_parts"] = others
    return mended


def _sort(parts: list[Any], texts: list[str], others: list[Any]) -> None:
    for part in parts:
        text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
        if isinstance(text, str):
            texts.append(text)
        else:
            others.append(part)


def _find_calls(run: bytes, start: int) -> int:
    return run.find(b'"tool_calls"', start)


def _with_indexes(piece: Piece, choice: int, numbers: CallNumbers) -> Piece:
    calls = piece.get("tool_calls")
    if not isinstance(calls, list):
        return piece
    return _with_calls(piece, calls, [numbers.numbered(choice, call) for call in calls])


def _find_empty_name(run: bytes, start: int) -> int:
    if run.find(b'""', start) < 0:  # the cheaper search; most frames hold no empty string
        return -1
    found = _EMPTY_NAME.search(run, start)
    return -1 if found is None else found.start()


def _without_empty_names(piece: Piece, _choice: int, _numbers: CallNumbers) -> Piece:
    calls = piece.get("tool_calls")
    if not isinstance(calls, list):
        return piece
    return _with_calls(piece, calls, [_continued(call) for call in calls])


def _continued(call: Any) -> Any:
    """A later piece of a call without id and name, which only the piece that opens it has; that one stays."""
    if not isinstance(call, dict):
        return call
    function = _function_of(call)
    if function.get("name"):
        return call
    mended = call
    if call.get("id") == "" or ("id" in call and function.get("name") == ""):
        mended = {name: value for name, value in mended.items() if name != "id"}
    if function.get("name") == "":
        mended = {**mended, "function": {name: value for name, value in function.items() if name != "name"}}
    return mended


def _with_calls(piece: Piece, calls: list[Any], mended: list[Any]) -> Piece:
    if all(new is old for new, old in zip(mended, calls, strict=True)):
        return piece
    return {**piece, "tool_calls": mended}


def _function_of(call: Mapping[str, Any]) -> Mapping[str, Any]:
    function = call.get("function")
    return function if isinstance(function, dict) else {}


# Recorded 2026 (magistral): reasoning comes as parts of `content`, where clients expect a string.
CONTENT_LIST: Final = Repair("content list", _find_content_list, _with_text_content, plain=True)

# Recorded 2024: a call in a delta has no `index`, which clients need to join its pieces.
MISSING_INDEX: Final = Repair("missing index", _find_calls, _with_indexes)

# Recorded 2026: later pieces of a call say `"id":""` and `"name":""`, which clients take for new values, or repeat the
# id beside an empty name, which clients append to the first.
EMPTY_NAME: Final = Repair("empty id and name", _find_empty_name, _without_empty_names)
