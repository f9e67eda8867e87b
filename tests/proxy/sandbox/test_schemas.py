"""A filled schema is valid, small and always the same; what cannot be filled is refused with the reason."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.sandbox import schemas
from proxy.sandbox.merging import SchemaError
from tests.proxy.sandbox.schema_checker import problems

NODE = {
    "type": "object",
    "properties": {
        "label": {"type": "string"},
        "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
        "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
    },
    "required": ["label", "next", "children"],
    "additionalProperties": False,
}

FILLABLE: dict[str, Any] = {
    "nothing said": {},
    "a person": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 3},
            "age": {"type": "integer", "minimum": 18, "maximum": 99},
            "email": {"type": "string", "format": "email"},
            "mood": {"type": ["string", "null"], "enum": ["good", "bad", None]},
        },
        "required": ["name", "age", "email", "mood"],
        "additionalProperties": False,
    },
    "a long text": {"type": "string", "minLength": 400, "maxLength": 401},
    "a short text": {"type": "string", "maxLength": 1},
    "no text": {"type": "string", "maxLength": 0},
    "distinct short texts": {
        "type": "array",
        "items": {"type": "string", "maxLength": 4},
        "minItems": 5,
        "uniqueItems": True,
    },
    "distinct words": {
        "type": "array",
        "items": {"enum": ["a", "b", "c"]},
        "minItems": 3,
        "uniqueItems": True,
    },
    "at most one": {"type": "array", "items": {"type": "integer"}, "maxItems": 1},
    "none at all": {"type": "array", "items": False},
    "a tuple": {
        "type": "array",
        "prefixItems": [{"type": "string"}, {"type": "integer"}],
        "items": False,
        "minItems": 2,
    },
    "only one distinct item possible": {"type": "array", "items": {"const": 7}, "uniqueItems": True},
    "open bounds": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001},
    "a point": {"type": "number", "minimum": 1.5, "maximum": 1.5},
    "below zero": {"type": "integer", "exclusiveMaximum": 0},
    "cents": {"type": "number", "multipleOf": 0.01, "minimum": 19.985},
    "sevens": {"type": "integer", "multipleOf": 7, "minimum": 50, "maximum": 60},
    "halves that are whole": {"type": "integer", "multipleOf": 1.5, "minimum": 1},
    "a linked list": {"$ref": "#/$defs/node", "$defs": {"node": NODE}},
    "the root again": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "parts": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["name", "parts"],
    },
    "old definitions": {"$ref": "#/definitions/a~1b", "definitions": {"a/b": {"type": "boolean"}}},
    "both of two": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}, "required": ["a"]},
            {"properties": {"a": {"maximum": 4}, "b": {"type": "string"}}, "required": ["b"]},
        ]
    },
    "closed by one of two": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False},
            {"properties": {"b": {"type": "string"}}},
        ]
    },
    "the second alternative": {
        "anyOf": [
            {"type": "string", "minLength": 3, "maxLength": 2},
            {"type": "array", "items": {"type": "null"}},
        ]
    },
    "a tagged union": {
        "type": "object",
        "properties": {
            "shape": {
                "oneOf": [
                    {
                        "type": "object",
                        "properties": {"kind": {"const": kind}, "size": {"type": "number"}},
                        "required": ["kind", "size"],
                    }
                    for kind in ("circle", "square")
                ]
            }
        },
        "required": ["shape"],
    },
    "a required name without a schema": {
        "type": "object",
        "required": ["x"],
        "additionalProperties": {"type": "integer"},
    },
    "at least three members": {
        "type": "object",
        "minProperties": 3,
        "additionalProperties": {"type": "boolean"},
    },
    "at most one member": {
        "type": "object",
        "properties": {"a": {}, "b": {}, "c": {}},
        "required": ["b"],
        "maxProperties": 1,
    },
    "type from keywords": {
        "properties": {"when": {"format": "date"}, "many": {"minItems": 2}},
        "required": ["when"],
    },
    "a long code": {"type": "string", "pattern": "^[A-Z]{2}-\\d+$", "minLength": 9},
    "an optional impossibility": {
        "type": "object",
        "properties": {"a": {"type": "string", "minLength": 99_999}},
    },
}


@pytest.mark.parametrize("name", FILLABLE)
def test_what_is_made_is_valid(name: str) -> None:
    """Every schema of the table gets a value that satisfies it."""
    schema = FILLABLE[name]
    assert not problems(schema, schemas.fill(schema, "Paris"))


@pytest.mark.parametrize(
    "format_name",
    ["date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"],
)
def test_formats_are_kept_even_when_items_must_differ(format_name: str) -> None:
    """Thirty distinct strings of one format are all of that format."""
    schema = {
        "type": "array",
        "items": {"type": "string", "format": format_name},
        "minItems": 25,
        "uniqueItems": True,
    }
    assert not problems(schema, schemas.fill(schema, "Paris"))


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "integer", "minimum": 5, "maximum": 4}, "no number"),
        ({"type": "integer", "multipleOf": 10, "minimum": 11, "maximum": 19}, "no number"),
        ({"type": "string", "minLength": 5, "maxLength": 4}, "cannot be made"),
        ({"type": "string", "pattern": "(?=x)y"}, "look-around"),
        ({"type": "array", "items": {"enum": [1, 2]}, "minItems": 3, "uniqueItems": True}, "not enough"),
        ({"type": "array", "items": False, "minItems": 1}, "cannot be made"),
        ({"type": "wish"}, "unknown"),
        ({"$ref": "#/$defs/absent"}, "leads nowhere"),
        ({"$ref": "https://example.com/schema"}, "outside"),
        ({"$ref": "#"}, "without end"),
        ({"type": "object", "properties": {"again": {"$ref": "#"}}, "required": ["again"]}, "without end"),
        ({"type": "string", "enum": [1, 2]}, "of its type"),
        ({"enum": []}, "list that is not empty"),
        ({"minLength": "three"}, "whole number"),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "nothing in common"),
        ({"allOf": [{"format": "date"}, {"format": "time"}]}, "hold at once"),
        (
            {"type": "object", "properties": {"a": {"type": "object", "properties": []}}, "required": ["a"]},
            "object",
        ),
    ],
)
def test_what_cannot_be_made_is_refused_with_the_reason(schema: dict[str, Any], reason: str) -> None:
    """A contradiction, a dead reference, endless recursion or a malformed keyword is named."""
    with pytest.raises(SchemaError, match=reason):
        schemas.fill(schema, "Paris")


def test_a_schema_that_explodes_is_refused() -> None:
    """Ten levels of four members each would be a million values: the budget ends it."""
    definitions = {
        f"level{n}": {
            "type": "object",
            "properties": {name: {"$ref": f"#/$defs/level{n + 1}"} for name in "abcd"},
            "required": list("abcd"),
        }
        for n in range(10)
    }
    schema = {"$ref": "#/$defs/level0", "$defs": {**definitions, "level10": {"type": "string"}}}
    with pytest.raises(SchemaError, match="too many"):
        schemas.fill(schema, "Paris")


def test_a_keyword_that_is_not_understood_is_found_at_any_depth() -> None:
    """`not` inside an item's property is seen, so that a strict answer is never wrong unnoticed."""
    schema = {"type": "array", "items": {"properties": {"a": {"anyOf": [{"not": {"type": "null"}}]}}}}
    assert schemas.unchecked(schema) == "not"
    assert schemas.unchecked(FILLABLE["a person"]) is None


LEAVES = st.one_of(
    st.builds(
        lambda low, extra: {"type": "integer", "minimum": low, "maximum": low + extra},
        st.integers(-1000, 1000),
        st.integers(0, 50),
    ),
    st.builds(
        lambda low, extra: {"type": "number", "exclusiveMinimum": low, "maximum": low + extra},
        st.integers(-50, 50),
        st.floats(0.25, 10).map(lambda value: round(value, 2)),
    ),
    st.builds(
        lambda low, extra: {"type": "string", "minLength": low, "maxLength": low + extra},
        st.integers(0, 40),
        st.integers(0, 40),
    ),
    st.sampled_from(
        [{"type": "boolean"}, {"type": "null"}, {"const": "é"}, {"enum": [3, "x"]}, {"format": "uuid"}]
    ),
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(
            lambda members: {
                "type": "object",
                "properties": members,
                "required": sorted(members)[::2],
                "additionalProperties": False,
            },
            st.dictionaries(st.sampled_from(["a", "b", "c", "d e", "ü"]), inner, max_size=4),
        ),
        st.builds(
            lambda item, least: {"type": "array", "items": item, "minItems": least}, inner, st.integers(0, 3)
        ),
        st.builds(lambda parts: {"anyOf": parts}, st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=12,
)


@given(SCHEMAS)
def test_any_schema_of_these_parts_is_filled_validly_and_alike(schema: dict[str, Any]) -> None:
    """Nested objects, arrays and alternatives: valid, and the same each time."""
    made = schemas.fill(schema, "Paris")
    assert not problems(schema, made)
    assert made == schemas.fill(schema, "Paris")
