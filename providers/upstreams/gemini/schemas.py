"""JSON schemas as Gemini's structured outputs take them.

Only some keywords are known (ai.google.dev/api/generate-content, `responseJsonSchema`, November 2026): older models
overlook the others, newer ones may refuse them. What narrows a value moves into its description, where the model still
reads it; what no description can say is lacking. Schemas of functions are taken whole.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

_TAKEN: Final = frozenset(
    {
        "$id", "$anchor", "type", "format", "title", "description", "minItems", "maxItems", "minimum",
        "maximum", "required", "propertyOrdering",
    }
)  # fmt: skip
_OF_SCHEMAS: Final[Mapping[str, str]] = {
    "$defs": "$defs",
    "definitions": "$defs",  # as older generators write it
    "properties": "properties",
}
_ABOUT: Final = frozenset(
    {"$schema", "$comment", "examples", "default", "deprecated", "readOnly", "writeOnly"}
)
_STRUCTURAL: Final = frozenset(
    {
        "not", "if", "then", "else", "patternProperties", "dependentSchemas", "dependentRequired", "dependencies",
        "propertyNames", "contains", "unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "additionalItems",
    }
)  # fmt: skip
_MOST_LEVELS: Final = 100  # orjson writes 254


def lacking(schema: Any, where: str, levels: int = _MOST_LEVELS) -> Iterator[str]:
    """Paths of keywords that cannot be said to Gemini in any way."""
    if not isinstance(schema, dict):
        return
    if levels <= 0:
        yield where
        return
    for name, value in schema.items():
        path = f"{where}.{name}"
        if name in _STRUCTURAL or (name == "allOf" and _only(value) is None):
            yield path
        elif name in _OF_SCHEMAS and isinstance(value, dict):
            for key, each in value.items():
                yield from lacking(each, f"{path}.{key}", levels - 1)
        elif name in ("anyOf", "oneOf", "allOf", "prefixItems") and isinstance(value, list):
            for number, each in enumerate(value):
                yield from lacking(each, f"{path}[{number}]", levels - 1)
        elif name in ("items", "additionalProperties"):
            yield from lacking(value, path, levels - 1)


def taken(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with the keywords that are known. Nothing in it is `lacking`."""
    made: dict[str, Any] = {}
    notes: list[str] = []
    for name, value in schema.items():
        if name in _ABOUT:
            continue
        if name == "allOf" and (only := _only(value)) is not None:
            made = {**taken(only), **made}
            continue
        keyword = _keyword(name, value)
        if keyword is None:
            notes.append(f"{name}: {orjson.dumps(value).decode()}")
        else:
            made[keyword[0]] = keyword[1]
    if notes:
        said = made.get("description")
        made["description"] = (f"{said}\n\n" if isinstance(said, str) and said else "") + "; ".join(notes)
    return made


def _keyword(name: str, value: Any) -> tuple[str, Any] | None:
    """A keyword as Gemini knows it; `None` when it does not."""
    if name in _OF_SCHEMAS and isinstance(value, dict):
        return _OF_SCHEMAS[name], {key: _inner(each) for key, each in value.items()}
    if name in ("anyOf", "oneOf", "prefixItems") and isinstance(value, list):
        return name, [_inner(each) for each in value]
    if name in ("items", "additionalProperties"):
        return name, _inner(value)
    if name == "$ref" and isinstance(value, str):
        return name, value.replace("#/definitions/", "#/$defs/", 1)
    if name == "const" and _countable(value):
        return "enum", [value]
    known = name in _TAKEN or (name == "enum" and isinstance(value, list) and all(map(_countable, value)))
    return (name, value) if known else None


def _inner(schema: Any) -> Any:
    return taken(schema) if isinstance(schema, dict) else schema


def _only(value: Any) -> Mapping[str, Any] | None:
    """The one schema of an `allOf` that has one: as generators write a reference with a description."""
    return value[0] if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict) else None


def _countable(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)
