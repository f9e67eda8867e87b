"""Is an agent going round in circles? Read off the calls and results of tools since the user's last ask."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import orjson
import re2

Loop = Literal["repeating", "failing"]
"""`repeating`: the same call with the same arguments again and again; `failing`: one result after the other failed."""

REPEATED: Final = 3
FAILED: Final = 3
_LATEST_CALLS: Final = 12
"""Two equal calls of a long work mean nothing; three among so many do."""
_MOST_SEARCHED: Final = 60
_HEAD_CHARS: Final = 300
_READ_CHARS: Final = 2_000
"""Longer arguments are compared as they are written: most are files, and reading them takes its time."""

_FAILURE: Final = re2.compile(
    r"(?i)^[\s\[(*_`#\"'-]*(?:(?:\w+)?error|(?:\w+)?exception|failed|failure|fatal|traceback \(most recent|"
    r"command (?:failed|not found)|permission denied|no such file)\b"
    r'|^\s*\{\s*"(?:error|is_?error)"\s*:\s*(?:true|"[^"]|\{|\[)'
    r'|^\s*\{\s*"(?:ok|success)"\s*:\s*false'
    r"|<tool_use_error>|\bexit(?:ed with)?(?: code| status):? *[1-9]"
)


class _Step(NamedTuple):
    call: str | None = None
    failed: bool | None = None


def looping(messages: Sequence[Mapping[str, Any]]) -> Loop | None:
    """Whether the last steps of `messages` (OpenAI's or Anthropic's shape) go in circles. Never raises; bounded."""
    calls: list[str] = []
    results: list[bool] = []
    for step in _steps(messages):
        if step.call is not None:
            calls.append(step.call)
        if step.failed is not None and len(results) < FAILED:
            results.append(step.failed)
        if len(calls) == _LATEST_CALLS:
            break
    if calls and Counter(calls).most_common(1)[0][1] >= REPEATED:
        return "repeating"
    return "failing" if len(results) == FAILED and all(results) else None


def _steps(messages: Sequence[Mapping[str, Any]]) -> Iterator[_Step]:
    """Calls and results, the last first, back to what the user said."""
    for message in reversed(messages[-_MOST_SEARCHED:]):
        role, content = message.get("role"), message.get("content")
        parts = content if isinstance(content, Sequence) and not isinstance(content, str) else ()
        if role == "tool":
            yield _Step(failed=_failed(_text(content)))
        elif role == "user":
            results = [part for part in parts if _kind(part) == "tool_result"]
            yield from (_Step(failed=_result_failed(part)) for part in reversed(results))
            if len(results) < len(parts) or not parts:
                return
        elif role == "assistant":
            listed = message.get("tool_calls")
            yield from (_Step(call) for each in _list(listed) if (call := _openai_call(each)) is not None)
            yield from (_Step(_named(part)) for part in parts if _kind(part) == "tool_use")


def _openai_call(call: object) -> str | None:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping):
        return None
    arguments = function.get("arguments")
    return f"{function.get('name')} {_plain(arguments) if isinstance(arguments, str) else ''}"


def _named(part: Mapping[str, Any]) -> str:
    try:
        return f"{part.get('name')} {_written(part.get('input'))}"
    except TypeError:  # nested more deeply than orjson writes: equal to nothing
        return f"{part.get('name')} {id(part)}"


def _plain(arguments: str) -> str:
    """The same for arguments that differ in spacing or order alone."""
    if len(arguments) > _READ_CHARS:
        return arguments
    try:
        return _written(orjson.loads(arguments))
    except (ValueError, TypeError):  # not JSON, or nested more deeply than orjson writes
        return arguments


def _written(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _result_failed(part: Mapping[str, Any]) -> bool:
    return part.get("is_error") is True or _failed(_text(part.get("content")))


def _failed(text: str) -> bool:
    head = text[:_HEAD_CHARS]
    if not head.isascii():  # half a surrogate pair is no text, and RE2 refuses it
        head = head.encode("utf-8", "replace").decode()
    return _FAILURE.search(head) is not None


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    for part in _list(content):
        if isinstance(part, Mapping) and isinstance(part.get("text"), str):
            return str(part["text"])
    return ""


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _kind(part: object) -> object:
    return part.get("type") if isinstance(part, Mapping) else None
