"""JSON schemas as values: checking their shape, and two that must hold together as one."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any


class SchemaError(ValueError):
    """No value can be given for a schema; the message says why."""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


def _is_type(value: Any) -> bool:
    return isinstance(value, str) or (bool(value) and _is_names(value))


_SHAPES: Mapping[str, tuple[Callable[[Any], bool], str]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
            (_is_number, "a number"),
        ),
        **dict.fromkeys(
            ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"),
            (_is_count, "a whole number from 0"),
        ),
        **dict.fromkeys(
            ("enum", "anyOf", "oneOf", "allOf", "prefixItems"), (_is_list, "a list that is not empty")
        ),
        **dict.fromkeys(("pattern", "format", "$ref"), (_is_text, "a string")),
        "properties": (_is_object, "an object"),
        "required": (_is_names, "a list of names"),
        "type": (_is_type, "a type or a list of types"),
    }
)

_LARGEST_WINS = ("minimum", "exclusiveMinimum", "minItems", "minLength", "minProperties")
_SMALLEST_WINS = ("maximum", "exclusiveMaximum", "maxItems", "maxLength", "maxProperties")
_NOTES = (
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "strict",
)
_DEFINITIONS = ("$defs", "definitions", "$id", "$schema", "$comment")


def as_schema(value: Any) -> Mapping[str, Any]:
    """`value` as an object schema, its own keywords well-formed; `true` is the schema without any.

    Raises:
        SchemaError: it is `false`, no schema at all, or a keyword has the wrong type.
    """
    if value is True:
        return {}
    if value is False:
        raise SchemaError("the schema false allows nothing")
    if not isinstance(value, Mapping):
        raise SchemaError(f"a schema must be an object or a boolean, not {value!r}")
    for name, (fits, expected) in _SHAPES.items():
        if name in value and not fits(value[name]):
            raise SchemaError(f"'{name}' must be {expected}")
    return value


def merge(one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, Any]:
    """A schema for what satisfies both.

    Raises:
        SchemaError: where they cannot hold together, or this cannot tell.
    """
    merged = _shut_out(one, two)
    for name, value in _shut_out(two, one).items():
        merged[name] = _together(name, merged[name], value) if name in merged else value
    return merged


def _shut_out(schema: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """`schema`, where properties that `other` does not allow are forbidden."""
    if other.get("additionalProperties") is not False or "properties" not in schema:
        return dict(schema)
    known = other.get("properties", {})
    closed = {name: part if name in known else False for name, part in schema["properties"].items()}
    return {**schema, "properties": closed}


def _together(name: str, one: Any, two: Any) -> Any:
    if one == two or name in _DEFINITIONS:
        return one
    if name in _LARGEST_WINS:
        return max(one, two)
    if name in _SMALLEST_WINS:
        return min(one, two)
    if name in _NOTES:
        return two
    return _together_by_rule(name, one, two)


def _together_by_rule(name: str, one: Any, two: Any) -> Any:
    if name == "required":
        return [*one, *(entry for entry in two if entry not in one)]
    if name == "properties":
        return _both_properties(one, two)
    if name == "enum":
        return _common(name, one, two)
    if name == "type":
        return _common_types(one, two)
    if name == "allOf":
        return [*one, *two]
    if name in ("items", "additionalProperties"):
        return _both(one, two)
    raise SchemaError(f"two different '{name}' hold at once")


def _both_properties(one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, Any]:
    return {**one, **two, **{name: _both(one[name], two[name]) for name in one if name in two}}


def _both(one: Any, two: Any) -> Any:
    return False if one is False or two is False else merge(as_schema(one), as_schema(two))


def _common(name: str, one: list[Any], two: list[Any]) -> list[Any]:
    common = [value for value in one if value in two]
    if not common:
        raise SchemaError(f"two '{name}' have nothing in common")
    return common


def _common_types(one: Any, two: Any) -> list[Any]:
    first, second = (kinds if isinstance(kinds, list) else [kinds] for kinds in (one, two))
    # An integer is a number, so it is what both allow.
    widened = [[*kinds, *(["integer"] if "number" in kinds else [])] for kinds in (first, second)]
    return _common("type", *widened)
