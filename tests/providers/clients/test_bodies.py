"""Clients' JSON bodies: what is wrong with one is named; what is right is found at its place."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.clients.bodies import load, model_of, optional, whole
from providers.types import Member, RequestError

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty; a JSON object was expected"),
        (b" \r\n\t", "the body is empty; a JSON object was expected"),
        (b"[]", "the body must be a JSON object"),
        (b'"model"', "the body must be a JSON object"),
        (b"null", "the body must be a JSON object"),
        (b"7", "the body must be a JSON object"),
        (b"{", "the body is not valid JSON (line 1, column 2)"),
        (b'{"a": 1,\n "b": }', "the body is not valid JSON (line 2, column 7)"),
        (b'{"a": NaN}', "the body is not valid JSON (line 1, column 7)"),
        (b'{"a": 1} {"b": 2}', "the body is not valid JSON (line 1, column 10)"),
        (b"{'a': 1}", "the body is not valid JSON (line 1, column 2)"),
        (b'{"a": 1,}', "the body is not valid JSON (line 1, column 8)"),
        (b'\xef\xbb\xbf{"a": 1}', "the body is not valid JSON (line 1, column 1)"),
        (b'{"a": "\xff"}', "the body is not valid UTF-8 (byte 7)"),
        (b'{"a": "\xed\xa0\x80"}', "the body is not valid UTF-8 (byte 7)"),
        (
            b'{"a": ' + b"[" * 1025 + b"]" * 1025 + b"}",
            "the body is nested too deeply (more than 1,024 levels)",
        ),
        (b'{"a": "\\ud800"}', "the body is not valid JSON (line 1, column 8)"),
    ],
)
def test_what_is_wrong(body: bytes, message: str) -> None:
    """The message says what and where."""
    with pytest.raises(RequestError) as wrong:
        load(body)
    assert (message, None, "invalid_request") == (wrong.value.message, wrong.value.param, wrong.value.code)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model": "a", "model": "a"}',
        b'{"model": "a", "x": {"y": [1, 2]}, "\\u006dodel": "b"}',
        b'{"mod\\u0065l": 1, "m\\u006fdel": 2}',
    ],
)
def test_a_name_that_stands_twice(body: bytes) -> None:
    """Readers would disagree on what it means, however it is spelled."""
    with pytest.raises(RequestError) as wrong:
        load(body)
    assert "model" == wrong.value.param
    assert 'the body names "model" twice at its top level; which one is meant?' == wrong.value.message


def test_deeper_down_a_name_may_stand_twice() -> None:
    """That is for the provider to judge."""
    members, layout = load(b'{"a": {"b": 1, "b": 2}, "b": {"a": 1}}')
    assert {"a": {"b": 2}, "b": {"a": 1}} == members
    assert ["a", "b"] == [member.name for member in layout]


def test_deep_but_not_too_deep() -> None:
    """What can be read is found, though it cannot be written again."""
    members, layout = load(b'{"a": ' + b"[" * 1000 + b"]" * 1000 + b', "b": 1}')
    assert ["a", "b"] == [member.name for member in layout] == list(members)


@given(st.dictionaries(st.text(), VALUES, max_size=6), st.sampled_from([0, orjson.OPT_INDENT_2]))
def test_members_are_where_the_layout_says(members: dict[str, Any], option: int) -> None:
    """Each value's bytes are that value, each member's bytes begin with its name; whatever the spacing."""
    raw = orjson.dumps(members, option=option)
    found, layout = load(raw)
    assert members == found
    assert list(members) == [member.name for member in layout]
    for member in layout:
        assert members[member.name] == orjson.loads(raw[member.value_start : member.value_end])
        assert raw[member.key_start :].startswith(orjson.dumps(member.name))


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_nothing_else_is_raised(body: bytes) -> None:
    """Whatever bytes come, the answer is members or a message."""
    told = ""
    layout: tuple[Member, ...] = ()
    members: dict[str, Any] = {}
    try:
        members, layout = load(body)
    except RequestError as wrong:
        told = wrong.message
    assert list(members) == [member.name for member in layout]
    assert told.startswith("the body ") or (not told and isinstance(orjson.loads(body), dict))


def test_model() -> None:
    """A text, and not an empty one."""
    assert "gpt-5-mini" == model_of({"model": "gpt-5-mini"})
    for members in ({}, {"model": None}, {"model": ""}, {"model": 5}, {"model": ["a"]}):
        with pytest.raises(RequestError) as wrong:
            model_of(members)
        assert ("`model` must name a model or a tier", "model") == (wrong.value.message, wrong.value.param)


def test_optional() -> None:
    """Null and missing mean the same; another type is refused."""
    assert optional({}, "stream", bool, "true or false") is None
    assert optional({"stream": None}, "stream", bool, "true or false") is None
    assert optional({"stream": False}, "stream", bool, "true or false") is False
    wrong_ones: tuple[Any, ...] = (0, 1, "true", [], {})
    for value in wrong_ones:
        with pytest.raises(RequestError) as wrong:
            optional({"stream": value}, "stream", bool, "true or false")
        assert ("`stream` must be true or false", "stream") == (wrong.value.message, wrong.value.param)


@pytest.mark.parametrize("value", [None, 1, 5, 2**70])
def test_a_whole_number(value: int | None) -> None:
    """From `least` on, of any size."""
    assert value == whole({"n": value}, "n", least=1)
    assert whole({}, "n", least=1) is None


@pytest.mark.parametrize("value", [0, -1, 1.0, 1.5, True, False, "1", [], {}])
def test_no_whole_number(value: Any) -> None:
    """Below `least`, a switch, a fraction, a text."""
    with pytest.raises(RequestError) as wrong:
        whole({"n": value}, "n", least=1)
    assert ("`n` must be a whole number of at least 1", "n") == (wrong.value.message, wrong.value.param)
