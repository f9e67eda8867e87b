"""A value that satisfies a JSON schema: small, plausible, always the same."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import orjson

from proxy.sandbox import leaves, merging
from proxy.sandbox.merging import SchemaError

# Understood nowhere here: a value might break them without being noticed.
UNCHECKED = ("not", "if", "dependentRequired", "dependentSchemas", "contains", "propertyNames", "$dynamicRef")

_MOST_VALUES = 5_000  # in one answer; more than a model would write
_MOST_HOPS = 32  # references that lead to references
_DEEPEST = 60  # levels; well under the interpreter's own limit
_USUAL_ITEMS = 2

_KEYWORD_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "properties": "object",
        "required": "object",
        "additionalProperties": "object",
        "minProperties": "object",
        "items": "array",
        "prefixItems": "array",
        "minItems": "array",
        "minLength": "string",
        "maxLength": "string",
        "pattern": "string",
        "format": "string",
        "minimum": "number",
        "maximum": "number",
        "exclusiveMinimum": "number",
        "exclusiveMaximum": "number",
        "multipleOf": "number",
    }
)


def unchecked(schema: Any) -> str | None:
    """A keyword of `UNCHECKED` somewhere in `schema`; None when all of it is understood."""
    return next((name for part in _subschemas(schema) for name in UNCHECKED if name in part), None)


def _subschemas(schema: Any) -> Iterator[Mapping[str, Any]]:
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, Mapping):
            continue
        yield part
        for name in ("properties", "$defs", "definitions", "patternProperties"):
            waiting.extend(part[name].values() if isinstance(part.get(name), Mapping) else ())
        for name in ("anyOf", "oneOf", "allOf", "prefixItems"):
            waiting.extend(part[name] if isinstance(part.get(name), list) else ())
        waiting.extend(part.get(name) for name in ("items", "additionalProperties"))


def fill(schema: Mapping[str, Any], phrase: str) -> Any:
    """A value for `schema`, with `phrase` where any text will do. Keywords of `UNCHECKED` are passed over.

    Raises:
        SchemaError: it contradicts itself, refers to nothing, never ends, or needs too much.
    """
    return _Filler(root=schema, phrase=phrase).value(schema, variant=0, depth=0)


@dataclass(slots=True)
class _Filler:
    """One filling. `open_references` are those being filled now: meeting one again means recursion."""

    root: Mapping[str, Any]
    phrase: str
    open_references: list[str] = field(default_factory=lambda: ["#"])
    made: int = 0

    def value(self, schema: Any, *, variant: int, depth: int) -> Any:
        self.made += 1
        if self.made > _MOST_VALUES or depth > _DEEPEST:
            raise SchemaError("it needs too many values or levels")
        opened = len(self.open_references)
        try:
            plain = self.resolve(schema)
            for name in ("anyOf", "oneOf"):
                if name in plain:
                    return self.first_possible(plain, name, variant=variant, depth=depth)
            return self.plain_value(plain, variant=variant, depth=depth)
        finally:
            del self.open_references[opened:]

    def resolve(self, schema: Any) -> Mapping[str, Any]:
        """`schema` without `$ref` and `allOf`; the references followed stay open."""
        current = merging.as_schema(schema)
        for _ in range(_MOST_HOPS):
            if "$ref" in current:
                reference = current["$ref"]
                if not isinstance(reference, str) or self.open_references.count(reference) > 1:
                    raise SchemaError(f"{reference!r} leads back to itself without end")
                self.open_references.append(reference)
                target, rest = self.look_up(reference), _without(current, "$ref")
            elif "allOf" in current:
                first, *others = current["allOf"]
                target, rest = merging.as_schema(first), _without(current, "allOf")
                if others:
                    rest = merging.merge(rest, {"allOf": others})
            else:
                return current
            current = merging.merge(target, rest)
        raise SchemaError("its references are nested too deeply")

    def look_up(self, reference: str) -> Mapping[str, Any]:
        if not reference.startswith("#"):
            raise SchemaError(f"the reference {reference!r} leads outside the schema")
        found: Any = self.root
        for step in reference.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or name not in found:
                raise SchemaError(f"the reference {reference!r} leads nowhere")
            found = found[name]
        return merging.as_schema(found)

    def first_possible(self, plain: Mapping[str, Any], name: str, *, variant: int, depth: int) -> Any:
        """The first alternative that can be filled; those that lead back are tried last."""
        alternatives = sorted(plain[name], key=self.leads_back)
        rest = _without(plain, name)
        problem: SchemaError | None = None
        for alternative in alternatives:
            try:
                merged = merging.merge(rest, merging.as_schema(alternative))
                return self.value(merged, variant=variant, depth=depth + 1)
            except SchemaError as error:
                problem = error
        raise problem or SchemaError(f"'{name}' is empty")

    def leads_back(self, schema: Any) -> bool:
        return isinstance(schema, Mapping) and schema.get("$ref") in self.open_references

    def plain_value(self, schema: Mapping[str, Any], *, variant: int, depth: int) -> Any:
        if "const" in schema:
            return schema["const"]
        kinds = _kinds(schema)
        if "enum" in schema:
            return _listed_value(schema["enum"], kinds, variant)
        problem: SchemaError | None = None
        for kind in kinds or ("string",):
            try:
                return self.of_kind(kind, schema, variant=variant, depth=depth)
            except SchemaError as error:
                problem = error
        raise problem or SchemaError("it allows no type")

    def of_kind(self, kind: str, schema: Mapping[str, Any], *, variant: int, depth: int) -> Any:
        if kind == "object":
            return self.object(schema, variant=variant, depth=depth)
        if kind == "array":
            return self.array(schema, variant=variant, depth=depth)
        makers: Mapping[str, Callable[[], Any]] = {
            "string": lambda: leaves.text(schema, self.phrase, variant),
            "integer": lambda: leaves.number(schema, variant, whole=True),
            "number": lambda: leaves.number(schema, variant, whole=False),
            "boolean": lambda: variant % 2 == 0,
            "null": lambda: None,
        }
        if kind not in makers:
            raise SchemaError(f"the type {kind!r} is unknown")
        return makers[kind]()

    def object(self, schema: Mapping[str, Any], *, variant: int, depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        others = schema.get("additionalProperties", True)
        made: dict[str, Any] = {}
        for name, part in properties.items():
            if name in required:
                made[name] = self.value(part, variant=variant, depth=depth + 1)
            elif not self.leads_back(part):
                self.add_optional(made, name, part, variant=variant, depth=depth)
        for name in required:
            if name not in made:
                made[name] = self.value(others, variant=variant, depth=depth + 1)
        self.trim(made, required, schema.get("maxProperties"))
        for number in range(len(made), schema.get("minProperties", 0)):
            made[f"extra_{number + 1}"] = self.value(others, variant=variant, depth=depth + 1)
        return made

    def add_optional(self, made: dict[str, Any], name: str, part: Any, *, variant: int, depth: int) -> None:
        try:
            made[name] = self.value(part, variant=variant, depth=depth + 1)
        except SchemaError:
            if self.made > _MOST_VALUES:
                raise
            # An optional member nothing can satisfy is simply left out.

    @staticmethod
    def trim(made: dict[str, Any], required: list[str], most: int | None) -> None:
        for name in [name for name in made if name not in required][::-1]:
            if most is None or len(made) <= most:
                return
            del made[name]

    def array(self, schema: Mapping[str, Any], *, variant: int, depth: int) -> list[Any]:
        least = schema.get("minItems", 0)
        most = schema.get("maxItems")
        leading = schema.get("prefixItems", [])
        items = schema.get("items", True)
        wished = max(least, len(leading), 0 if items is False or self.leads_back(items) else _USUAL_ITEMS)
        wished = wished if most is None else min(wished, most)
        if items is False:
            wished = min(wished, len(leading))
        if least > wished:
            raise SchemaError(f"an array of {least} items cannot be made")
        made: list[Any] = []
        for index in range(min(wished, _MOST_VALUES)):
            part = leading[index] if index < len(leading) else items
            try:
                made.append(
                    self.item(part, made, unique=bool(schema.get("uniqueItems")), shift=variant, depth=depth)
                )
            except SchemaError:
                if len(made) < least:
                    raise
                break
        return made

    def item(self, part: Any, made: list[Any], *, unique: bool, shift: int, depth: int) -> Any:
        """The next item, unlike those already there when they have to differ."""
        variant = shift + len(made)
        value = self.value(part, variant=variant, depth=depth + 1)
        if not unique:
            return value
        seen = {orjson.dumps(other, option=orjson.OPT_SORT_KEYS) for other in made}
        for _ in range(len(made) + 1):
            if orjson.dumps(value, option=orjson.OPT_SORT_KEYS) not in seen:
                return value
            variant += 1
            value = self.value(part, variant=variant, depth=depth + 1)
        raise SchemaError("not enough different items can be made")


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    """The types allowed, null last; empty when nothing tells."""
    given = schema.get("type")
    if isinstance(given, list):
        return sorted(given, key=lambda kind: kind == "null")
    if given is not None:
        return [given]
    if "enum" in schema:
        return []
    return list(dict.fromkeys(kind for keyword, kind in _KEYWORD_TYPES.items() if keyword in schema))[:1]


def _listed_value(values: list[Any], kinds: list[str], variant: int) -> Any:
    allowed = {*kinds, *(["integer"] if "number" in kinds else [])}
    fitting = [value for value in values if not kinds or leaves.kind(value) in allowed]
    if not fitting:
        raise SchemaError("its 'enum' has no value of its type")
    return fitting[variant % len(fitting)]


def _without(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != name}
