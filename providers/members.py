"""Top-level members of a JSON object by position, so that a body can be edited without touching its other bytes."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import orjson

from providers.types import Member

_KEY: Final = re.compile(rb'[ \t\n\r]*("[^"\\]*(?:\\.[^"\\]*)*")[ \t\n\r]*:[ \t\n\r]*')
# A member; with its value and what follows where that is a string or a scalar.
_MEMBER: Final = re.compile(
    rb'[ \t\n\r]*("[^"\\]*(?:\\.[^"\\]*)*")[ \t\n\r]*:[ \t\n\r]*'
    rb'(?:("[^"\\]*(?:\\.[^"\\]*)*"|[^\[{",}\] \t\n\r]+)[ \t\n\r]*([,}]))?'
)
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_SCALAR: Final = re.compile(rb"[^,}\] \t\n\r]+")
_AFTER: Final = re.compile(rb"[ \t\n\r]*([,}])")
_STRUCTURE: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]')
_OPENING: Final = frozenset(b"{[")
_QUOTE: Final = ord('"')


class DuplicateMember(ValueError):
    """A name occurs twice at the top level, so that readers would disagree about its value."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def locate(raw: bytes, parsed: Mapping[str, Any]) -> tuple[Member, ...]:
    """Find each top-level member of `raw`.

    Args:
        raw: valid JSON whose top level is an object.
        parsed: the same, parsed; lets containers be skipped at C speed.

    Raises:
        DuplicateMember: a name occurs twice.
    """
    members: list[Member] = []
    position = raw.index(b"{") + 1
    while (match := _MEMBER.match(raw, position)) is not None:
        quoted, value, after = match.groups()
        name = orjson.loads(quoted) if b"\\" in quoted else quoted[1:-1].decode()
        if value is not None:
            value_start, value_end = match.span(2)
            position = match.end()
        else:
            value_start = match.end()
            value_end = _end_of_value(raw, value_start, parsed[name])
            follows = _AFTER.match(raw, value_end)
            assert follows is not None
            after = follows[1]
            position = follows.end()
        members.append(Member(name, match.start(1), value_start, value_end))
        if after == b"}":
            break
    if len(members) != len(parsed):
        seen = Counter(member.name for member in members)
        raise DuplicateMember(next(name for name, times in seen.items() if times > 1))
    return tuple(members)


def locate_some(raw: bytes, parsed: Mapping[str, Any], names: Collection[str]) -> tuple[Member, ...]:
    """Find those top-level members of `raw` that have these names, without walking over the others.

    A quoted name that stands in `raw` once only, before a colon, is a key, and the top-level one if there is a
    top-level one at all. Otherwise every member is located.

    Args:
        raw: as for `locate`, with unique names.
    """
    members: list[Member] = []
    for name in names:
        if name not in parsed:
            continue
        quoted = b'"%b"' % name.encode()
        position = raw.find(quoted)
        if position < 0 or raw.find(quoted, position + 1) >= 0:
            return locate(raw, parsed)
        key = _KEY.match(raw, position)
        if key is None:
            return locate(raw, parsed)
        value_start = key.end()
        members.append(Member(name, position, value_start, _end_of_value(raw, value_start, parsed[name])))
    return tuple(sorted(members, key=_by_position)) if len(members) > 1 else tuple(members)


def put_members(raw: bytes, parsed: Mapping[str, Any], put: Mapping[str, bytes]) -> bytes:
    """`raw` with members replaced or added at the end; like `splice`, for a body that is edited once."""
    pieces: list[bytes] = []
    cursor = 0
    present: list[str] = []
    for member in locate_some(raw, parsed, put):
        value = put.get(member.name)
        if value is not None:
            pieces += (raw[cursor : member.value_start], value)
            cursor = member.value_end
            present.append(member.name)
    added = [orjson.dumps(name) + b":" + value for name, value in put.items() if name not in present]
    if added:
        end = len(raw[: raw.rindex(b"}")].rstrip())
        pieces += (raw[cursor:end], b"," if parsed else b"", b",".join(added))
        cursor = end
    pieces.append(raw[cursor:])
    return b"".join(pieces)


def splice(
    raw: bytes, layout: Sequence[Member], put: Mapping[str, bytes], drop: Collection[str] = ()
) -> bytes:
    """`raw` with members replaced or added (`put`) and removed (`drop`); every other byte stays.

    Args:
        layout: the members of `raw`, as `locate` gave them.
        put: name to JSON; a name that `raw` lacks is added at the end.
    """
    pieces: list[bytes] = []
    cursor = 0
    kept_any = False
    last = len(layout) - 1
    for number, member in enumerate(layout):
        if member.name in drop:
            # With a kept neighbour before it, its comma goes; else the comma behind it.
            if kept_any:
                start, end = layout[number - 1].value_end, member.value_end
            else:
                start, end = (
                    member.key_start,
                    member.value_end if number == last else layout[number + 1].key_start,
                )
            pieces.append(raw[cursor : max(start, cursor)])
            cursor = end
            continue
        kept_any = True
        value = put.get(member.name)
        if value is not None:
            pieces += (raw[cursor : member.value_start], value)
            cursor = member.value_end
    present = {member.name for member in layout}
    added = [orjson.dumps(name) + b":" + value for name, value in put.items() if name not in present]
    if added:
        end = layout[last].value_end if layout else raw.index(b"{") + 1
        pieces += (raw[cursor:end], b"," if kept_any else b"", b",".join(added))
        cursor = max(cursor, end)
    pieces.append(raw[cursor:])
    return b"".join(pieces)


def _by_position(member: Member) -> int:
    return member.key_start


def _end_of_value(raw: bytes, start: int, parsed: Any) -> int:
    first = raw[start]
    if first == _QUOTE:
        string = _STRING.match(raw, start)
        assert string is not None
        return string.end()
    if first not in _OPENING:
        scalar = _SCALAR.match(raw, start)
        assert scalar is not None
        return scalar.end()
    # Clients that write compact JSON (the usual SDKs do) wrote what orjson writes, and a whole container is no
    # prefix of another one. Others pay for a walk over strings and brackets.
    try:
        compact = orjson.dumps(parsed)
    except orjson.JSONEncodeError:  # nested more deeply than orjson writes, though not than it reads
        compact = None
    if compact is not None and raw.startswith(compact, start):
        return start + len(compact)
    depth = 0
    for token in _STRUCTURE.finditer(raw, start):
        symbol = raw[token.start()]
        if symbol == _QUOTE:
            continue
        depth += 1 if symbol in _OPENING else -1
        if depth == 0:
            return token.end()
    raise AssertionError("the container was valid JSON")
