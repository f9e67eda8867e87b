"""A JSON object is edited at its top level, and every byte that was not meant stays."""

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.members import DuplicateMember, locate, splice
from providers.types import Member

Spell = Callable[[Mapping[str, Any]], bytes]


def compact(value: Mapping[str, Any]) -> bytes:
    return orjson.dumps(value)


def indented(value: Mapping[str, Any]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)


def spaced(value: Mapping[str, Any]) -> bytes:
    return b" " + _spelled(value, b" ", orjson.dumps) + b"\n"


def wide(value: Mapping[str, Any]) -> bytes:
    return b"\r\n" + _spelled(value, b" \t\r\n", orjson.dumps)


def escaped(value: Mapping[str, Any]) -> bytes:
    return _spelled(value, b"", _escaped_string)


SPELLINGS: tuple[Spell, ...] = (compact, indented, spaced, wide, escaped)


def _escaped_string(text: str) -> bytes:
    units = text.encode("utf-16-be")
    return (
        b'"' + b"".join(b"\\u%04x" % int.from_bytes(units[i : i + 2]) for i in range(0, len(units), 2)) + b'"'
    )


def _spelled(value: Any, space: bytes, string: Callable[[str], bytes]) -> bytes:
    """`value` as JSON, with `space` wherever white space may stand and strings as `string` writes them."""
    match value:
        case str():
            return string(value)
        case dict():
            pairs = [
                space.join((b"", string(name), b":", _spelled(each, space, string), b""))
                for name, each in value.items()
            ]
            return b"{" + (b",".join(pairs) or space) + b"}"
        case list():
            items = [space + _spelled(each, space, string) + space for each in value]
            return b"[" + (b",".join(items) or space) + b"]"
        case _:
            return orjson.dumps(value)


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ['"', "\\", '\\"', "{", "}", "[", ',"', ": ", "model", "ünï", "\U0001f600", "\n", "/"]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(text, values, max_size=5)


def layout_of(raw: bytes) -> tuple[Member, ...]:
    return locate(raw, orjson.loads(raw))


def whole(raw: bytes, member: Member) -> bytes:
    """The bytes of one member."""
    return raw[member.key_start : member.value_end]


def check_edit(raw: bytes, put: Mapping[str, bytes], drop: frozenset[str]) -> None:
    """An edit does what it does to the parsed object, and leaves all other bytes as they were."""
    before = orjson.loads(raw)
    layout = locate(raw, before)
    edited = splice(raw, layout, put, drop)
    expected = {name: value for name, value in before.items() if name not in drop}
    expected |= {name: orjson.loads(value) for name, value in put.items()}
    assert list(expected.items()) == list(orjson.loads(edited).items())
    kept = {
        member.name: whole(raw, member)
        for member in layout
        if member.name in expected and member.name not in put
    }
    after = {member.name: whole(edited, member) for member in layout_of(edited)}
    assert kept == {name: after[name] for name in kept}
    assert raw[: raw.index(b"{") + 1] == edited[: edited.index(b"{") + 1]
    assert raw[raw.rindex(b"}") :] == edited[edited.rindex(b"}") :]
    if not put and not drop:
        assert raw == edited


@given(objects, st.sampled_from(SPELLINGS))
def test_locate(value: dict[str, Any], spell: Spell) -> None:
    """Each member is found, in order, with exactly its bytes."""
    raw = spell(value)
    assert value == orjson.loads(raw)
    layout = layout_of(raw)
    assert list(value) == [member.name for member in layout]
    for member in layout:
        assert {member.name: value[member.name]} == orjson.loads(b"{" + whole(raw, member) + b"}")
        assert value[member.name] == orjson.loads(raw[member.value_start : member.value_end])
        assert (
            raw[member.value_start : member.value_end] == raw[member.value_start : member.value_end].strip()
        )


@given(st.data(), objects, st.sampled_from(SPELLINGS))
def test_splice(data: st.DataObject, value: dict[str, Any], spell: Spell) -> None:
    """Any members may be replaced, added and removed at once."""
    names = st.sampled_from([*value, "added", "headgate"])
    put = data.draw(st.dictionaries(names, values.map(orjson.dumps), max_size=3))
    drop = data.draw(st.frozensets(names, max_size=3)) - put.keys()
    check_edit(spell(value), put, drop)


@pytest.mark.parametrize("spell", SPELLINGS)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_every_combination(spell: Spell, count: int) -> None:
    """First, middle, last, all: every way to keep, replace and remove, with and without additions."""
    value: dict[str, Any] = {"a": {"x": [1, "}"]}, "b": None, "c": 'q"', "d": [[], {}]}
    raw = spell(dict(list(value.items())[:count]))
    for fates in product(("keep", "put", "drop"), repeat=count):
        named = dict(zip(value, fates, strict=False))
        put = {name: b'{"new": true}' for name, fate in named.items() if fate == "put"}
        drop = frozenset(name for name, fate in named.items() if fate == "drop")
        for added in ({}, {"y": b"1"}, {"y": b"1", 'z"': b'"2"'}):
            check_edit(raw, put | added, drop)


@pytest.mark.parametrize(
    ("put", "drop", "expected"),
    [
        ({}, (), b'{ "a" : 1 ,\n "b":[ 2 ], "c": "3" }'),
        ({"a": b"9"}, (), b'{ "a" : 9 ,\n "b":[ 2 ], "c": "3" }'),
        ({"b": b"9"}, (), b'{ "a" : 1 ,\n "b":9, "c": "3" }'),
        ({"c": b"9"}, (), b'{ "a" : 1 ,\n "b":[ 2 ], "c": 9 }'),
        ({"d": b"9"}, (), b'{ "a" : 1 ,\n "b":[ 2 ], "c": "3","d":9 }'),
        ({}, ("a",), b'{ "b":[ 2 ], "c": "3" }'),
        ({}, ("b",), b'{ "a" : 1, "c": "3" }'),
        ({}, ("c",), b'{ "a" : 1 ,\n "b":[ 2 ] }'),
        ({}, ("a", "b", "c"), b"{  }"),
        ({"d": b"9"}, ("a", "b", "c"), b'{ "d":9 }'),
        ({"d": b"9"}, ("nothing",), b'{ "a" : 1 ,\n "b":[ 2 ], "c": "3","d":9 }'),
    ],
)
def test_exact_bytes(put: dict[str, bytes], drop: tuple[str, ...], expected: bytes) -> None:
    """Only the members that were meant change, with one comma for each that comes or goes."""
    raw = b'{ "a" : 1 ,\n "b":[ 2 ], "c": "3" }'
    assert expected == splice(raw, layout_of(raw), put, drop)


def test_empty_object() -> None:
    """The first member of an empty object needs no comma."""
    assert () == layout_of(b" { } ")
    assert b' {"a":1 } ' == splice(b" { } ", (), {"a": b"1"})


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b'{"model":1,"model":1}', "model"),
        (b'{"model":1,"x":{"model":2},"model":3}', "model"),
        (b'{"model":1,"\\u006dodel":2}', "model"),
        (b'{"\\u006dodel":1,"m\\u006fdel":2}', "model"),
        (b'{"":1,"":2}', ""),
        (b'{"\xc3\xa9":1,"\\u00e9":2}', "é"),
        (b'{"\\ud83d\\ude00":1,"\xf0\x9f\x98\x80":2}', "\U0001f600"),
    ],
)
def test_duplicates(raw: bytes, name: str) -> None:
    """A name that occurs twice is refused, however it is spelled."""
    with pytest.raises(DuplicateMember) as refusal:
        layout_of(raw)
    assert name == refusal.value.name


def test_deeper_duplicates_travel_on() -> None:
    """A name that occurs twice deeper down is nobody's business here."""
    raw = b'{"a":{"x":1,"x":{"x":[2]}},"b":[{"y":1,"y":2}]}'
    assert [b'"a":{"x":1,"x":{"x":[2]}}', b'"b":[{"y":1,"y":2}]'] == [
        whole(raw, each) for each in layout_of(raw)
    ]


@pytest.mark.parametrize("depth", [1, 254, 255, 1000])
def test_deep_nesting(depth: int) -> None:
    """Whatever depth can be parsed can be edited."""
    deep = b"[" * depth + b"]" * depth
    raw = b'{"a":' + deep + b',"model":1}'
    assert b'{"a":' + deep + b',"model":2}' == splice(raw, layout_of(raw), {"model": b"2"})


@pytest.mark.parametrize("number", [b"123456789012345678901234567890", b"-0.0", b"1E+2", b"1e-7", b"0.10"])
def test_numbers_stay_as_spelled(number: bytes) -> None:
    """A number that another parser would spell differently leaves as it came, in containers too."""
    raw = b'{"a":' + number + b',"b":[' + number + b'],"c":1}'
    assert b'{"a":' + number + b',"b":[' + number + b'],"c":2}' == splice(raw, layout_of(raw), {"c": b"2"})
