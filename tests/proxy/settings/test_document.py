"""YAML text to plain values."""

import math

import pytest

from proxy.settings.document import MAX_BYTES, DocumentError, parse


def _error(data: bytes) -> str:
    with pytest.raises(DocumentError) as caught:
        parse(data)
    return str(caught.value)


def test_words_that_older_yaml_turns_into_switches_and_minutes_stay_text() -> None:
    """Only true and false are switches, and no number hides in a time of day."""
    words = b"[on, off, yes, no, y, 1:30, 1_000, 0b1, 2026-12-31, 1.2.3, '5', \"true\"]"
    expected = ["on", "off", "yes", "no", "y", "1:30", "1_000", "0b1", "2026-12-31", "1.2.3", "5", "true"]
    assert expected == parse(words)


def test_numbers_switches_and_nothing() -> None:
    """Unquoted words of YAML 1.2 have their values."""
    words = b"[1, -2, +3, 010, 0x1F, 0o17, 1.5, .5, 1e3, true, FALSE, null, ~, ]"
    assert [1, -2, 3, 10, 31, 15, 1.5, 0.5, 1000.0, True, False, None, None] == parse(words)


def test_numbers_that_are_none_are_left_to_the_schema() -> None:
    """Infinity and not-a-number are read as such, and so is a number too long for 64 bits."""
    infinite, negative, none, long = parse(b"[.inf, -.inf, .nan, 99999999999999999999]")
    assert (math.inf, -math.inf) == (infinite, negative)
    assert math.isnan(none)
    assert isinstance(long, float)


def test_keys_are_always_text() -> None:
    """A model or alias may be called `on`, `5` or `null`."""
    assert {"on": 1, "5": 2, "null": 3, "true": 4} == parse(b"{on: 1, 5: 2, null: 3, true: 4}")


@pytest.mark.parametrize("data", [b"", b"# nothing\n", b"---\n", b"null", b"\xef\xbb\xbf"])
def test_nothing_is_none(data: bytes) -> None:
    """A document without a value is no error here."""
    assert parse(data) is None


def test_a_key_written_twice_is_refused_with_both_places() -> None:
    """Neither of the two silently wins."""
    message = 'line 3, column 3: the key "port" is there already (line 2, column 3)'
    assert message == _error(b"server:\n  port: 1\n  port: 2\n")


def test_the_same_key_may_stand_in_two_mappings() -> None:
    """Only one mapping is looked at for repeats."""
    assert {"a": {"x": 1}, "b": [{"x": 2}, {"x": 3}]} == parse(b"{a: {x: 1}, b: [{x: 2}, {x: 3}]}")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a: [1, 2\nb: 3", "line 2, column 2: did not find expected ',' or ']'"),
        (b"a:\n\t- 1", "line 2, column 1: found character that cannot start any token"),
        (b"a: &x 1\nb: *x", "line 2, column 4: aliases (*name) are not read here; write the value out"),
        (b"a: !!python/object:os.system x", "line 1, column 4: tags (!name) are not read here"),
        (b"a: 1\n---\nb: 2", "line 2, column 1: a second document; one is all there may be"),
        (b"{[a]: 1}", "line 1, column 2: a key must be text"),
        (b"[" * 40 + b"]" * 40, "line 1, column 33: nested more than 32 deep"),
        (b"a: \xff", "is not UTF-8 text (byte 3)"),
        (b"a: \x00", "holds a character that YAML does not allow"),
        (b"#" * (MAX_BYTES + 1), f"is larger than {MAX_BYTES} bytes"),
    ],
)
def test_what_cannot_be_read_is_one_message_with_its_place(data: bytes, expected: str) -> None:
    """Line and column count from one, as editors do."""
    assert expected == _error(data)
