"""JSON schemas as Claude's structured outputs take them.

Objects must be closed, and some keywords are refused: those move into the description, where the model still reads
them, as in Anthropic's own packages (anthropic-sdk-python, lib/_parse/_transform.py; platform.claude.com/docs, page
"structured-outputs"; November 2026).
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

_KEPT: Final = frozenset(
    {"$ref", "type", "enum", "const", "title", "description", "default", "required", "pattern"}
)
_FORMATS: Final = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)
_ABOUT: Final = frozenset({"$schema", "$id", "$comment"})  # of the schema itself
_MOST_LEVELS: Final = 100  # orjson writes 254


def is_open(schema: Any, levels: int = _MOST_LEVELS) -> bool:
    """Whether some object in it may have members that it does not name, so that it cannot be closed."""
    if levels <= 0:
        return True
    if isinstance(schema, dict):
        if schema.get("additionalProperties") not in (None, False):
            return True
        return any(is_open(value, levels - 1) for value in schema.values())
    return isinstance(schema, list) and any(is_open(value, levels - 1) for value in schema)


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with closed objects and without refused keywords. `schema` is not open."""
    made: dict[str, Any] = {}
    notes: list[str] = []
    for name, value in schema.items():
        if name in _ABOUT or name == "additionalProperties":
            continue
        if name in ("properties", "$defs", "definitions") and isinstance(value, dict):
            made[name] = {key: _inner(each) for key, each in value.items()}
        elif name in ("anyOf", "oneOf", "allOf") and isinstance(value, list):
            made["allOf" if name == "allOf" else "anyOf"] = [_inner(each) for each in value]
        elif name == "items":
            made[name] = _inner(value)
        elif name in _KEPT or _taken(name, value):
            made[name] = value
        else:
            notes.append(f"{name}: {orjson.dumps(value).decode()}")
    if made.get("type") == "object" or "properties" in made:
        made["additionalProperties"] = False
    if notes:
        said = made.get("description")
        made["description"] = (
            (f"{said}\n\n" if isinstance(said, str) and said else "") + "{" + ", ".join(notes) + "}"
        )
    return made


def _inner(schema: Any) -> Any:
    return closed(schema) if isinstance(schema, dict) else schema


def _taken(name: str, value: Any) -> bool:
    return (name == "format" and value in _FORMATS) or (name == "minItems" and value in (0, 1))
