"""A small JSON schema checker, for the keywords the sandbox fills; anything else is an error, not a pass."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import orjson

NOTES = {"title", "description", "default", "examples", "$defs", "definitions", "$schema", "$id", "strict"}
FORMATS: dict[str, Callable[[str], Any]] = {
    "date-time": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": lambda text: datetime.fromisoformat(f"2026-01-01T{text}"),
    "duration": lambda text: fits(re.fullmatch(r"P(\d+D)?(T(\d+H)?(\d+M)?(\d+S)?)?", text)),
    "email": lambda text: fits(re.fullmatch(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", text)),
    "hostname": lambda text: fits(re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*", text)),
    "ipv4": IPv4Address,
    "ipv6": IPv6Address,
    "uuid": UUID,
    "uri": lambda text: fits(urlsplit(text).scheme and urlsplit(text).netloc),
}

# A keyword says nothing about values of other types; a boolean is no number.
APPLIES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("pattern", "format", "minLength", "maxLength"), str),
    **dict.fromkeys(
        ("properties", "required", "additionalProperties", "minProperties", "maxProperties"), dict
    ),
    **dict.fromkeys(("items", "prefixItems", "uniqueItems", "minItems", "maxItems"), list),
}
_NUMERIC = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
APPLIES |= dict.fromkeys(_NUMERIC, (int, float))
UNLESS: dict[str, type] = dict.fromkeys(_NUMERIC, bool)


def fits(condition: object) -> None:
    if not condition:
        raise ValueError("it does not fit")


class Checker:
    """Says what is wrong with a value; an empty list means nothing is."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.root = root

    def problems(self, schema: Any, value: Any, path: str = "$") -> list[str]:
        if isinstance(schema, bool):
            return [] if schema else [f"{path}: nothing is allowed here"]
        found: list[str] = []
        for keyword, rule in schema.items():
            if keyword in NOTES:
                continue
            check = getattr(self, "check_" + keyword.lstrip("$"))
            if not isinstance(value, APPLIES.get(keyword, object)) or isinstance(
                value, UNLESS.get(keyword, ())
            ):
                continue
            found += [f"{path}: {problem}" for problem in check(rule, value, schema)]
        return found

    def check_ref(self, rule: str, value: Any, _: Any) -> list[str]:
        target: Any = self.root
        for step in rule.removeprefix("#").split("/")[1:]:
            target = target[step.replace("~1", "/").replace("~0", "~")]
        return self.problems(target, value)

    def check_type(self, rule: Any, value: Any, _: Any) -> list[str]:
        kinds = {
            str: "string",
            bool: "boolean",
            int: "integer",
            float: "number",
            dict: "object",
            list: "array",
        }
        kind = kinds.get(type(value), "null")
        allowed = rule if isinstance(rule, list) else [rule]
        right = kind in allowed or (kind == "integer" and "number" in allowed)
        return [] if right else [f"{kind} is not {allowed}"]

    def check_const(self, rule: Any, value: Any, _: Any) -> list[str]:
        return [] if same(rule, value) else [f"{value!r} is not {rule!r}"]

    def check_enum(self, rule: list[Any], value: Any, _: Any) -> list[str]:
        return [] if any(same(entry, value) for entry in rule) else [f"{value!r} is not among {rule!r}"]

    def check_anyOf(self, rule: list[Any], value: Any, _: Any) -> list[str]:  # noqa: N802 - a keyword's name
        tried = [self.problems(part, value) for part in rule]
        return [] if [] in tried else [f"no alternative fits: {tried}"]

    def check_oneOf(self, rule: list[Any], value: Any, _: Any) -> list[str]:  # noqa: N802 - a keyword's name
        fitting = [self.problems(part, value) for part in rule].count([])
        return [] if fitting == 1 else [f"{fitting} alternatives fit"]

    def check_allOf(self, rule: list[Any], value: Any, _: Any) -> list[str]:  # noqa: N802 - a keyword's name
        return [problem for part in rule for problem in self.problems(part, value)]

    def check_properties(self, rule: Mapping[str, Any], value: Any, _: Any) -> list[str]:
        return [
            p for name, part in rule.items() if name in value for p in self.problems(part, value[name], name)
        ]

    def check_required(self, rule: list[str], value: Any, _: Any) -> list[str]:
        return [f"{name} is missing" for name in rule if name not in value]

    def check_additionalProperties(self, rule: Any, value: Any, schema: Any) -> list[str]:  # noqa: N802 - see above
        others = set(value) - set(schema.get("properties", {}))
        return [problem for name in sorted(others) for problem in self.problems(rule, value[name], name)]

    def check_items(self, rule: Any, value: Any, schema: Any) -> list[str]:
        rest = value[len(schema.get("prefixItems", [])) :]
        return [
            problem
            for index, entry in enumerate(rest)
            for problem in self.problems(rule, entry, f"[{index}]")
        ]

    def check_prefixItems(self, rule: list[Any], value: Any, _: Any) -> list[str]:  # noqa: N802 - a keyword's name
        pairs = zip(rule, value, strict=False)
        return [problem for part, entry in pairs for problem in self.problems(part, entry)]

    def check_uniqueItems(self, rule: bool, value: Any, _: Any) -> list[str]:  # noqa: N802, FBT001 - a keyword
        distinct = {orjson.dumps(entry, option=orjson.OPT_SORT_KEYS) for entry in value}
        return ["items repeat"] if rule and len(distinct) < len(value) else []

    def check_pattern(self, rule: str, value: Any, _: Any) -> list[str]:
        return [] if re.search(rule, value) else [f"{value!r} does not match {rule!r}"]

    def check_format(self, rule: str, value: Any, _: Any) -> list[str]:
        try:
            FORMATS[rule](value)
        except ValueError:
            return [f"{value!r} is no {rule}"]
        return []

    def check_multipleOf(self, rule: float, value: Any, _: Any) -> list[str]:  # noqa: N802 - a keyword's name
        return (
            [] if Decimal(repr(value)) % Decimal(repr(rule)) == 0 else [f"{value} is no multiple of {rule}"]
        )


def _bound(name: str, measure: Callable[[Any], Any], right: Callable[[Any, Any], bool]) -> None:
    def check(self: Checker, rule: Any, value: Any, _: Any) -> list[str]:
        del self
        return [] if right(measure(value), rule) else [f"{value!r} breaks {name} {rule}"]

    setattr(Checker, f"check_{name}", check)


for _suffix in ("Length", "Items", "Properties"):
    _bound(f"min{_suffix}", len, lambda size, rule: size >= rule)
    _bound(f"max{_suffix}", len, lambda size, rule: size <= rule)
_bound("minimum", lambda value: value, lambda value, rule: value >= rule)
_bound("maximum", lambda value: value, lambda value, rule: value <= rule)
_bound("exclusiveMinimum", lambda value: value, lambda value, rule: value > rule)
_bound("exclusiveMaximum", lambda value: value, lambda value, rule: value < rule)


def same(one: Any, two: Any) -> bool:
    return orjson.dumps(one) == orjson.dumps(two)


def problems(schema: Mapping[str, Any], value: Any) -> list[str]:
    return Checker(schema).problems(schema, value)
