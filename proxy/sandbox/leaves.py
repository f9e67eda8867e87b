"""Texts and numbers within the bounds of a JSON schema."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from types import MappingProxyType
from typing import Any

from proxy.sandbox import patterns
from proxy.sandbox.merging import SchemaError

_LONGEST_TEXT = 10_000
_KINDS: Mapping[type, str] = MappingProxyType(
    {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
)
# By format; {n} is the number of the variant, in one digit or two.
_FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "date-time": "2026-01-{day:02}T09:30:00Z",
        "date": "2026-01-{day:02}",
        "time": "09:{day:02}:00Z",
        "duration": "P{day}D",
        "email": "reader{n}@example.com",
        "idn-email": "reader{n}@example.com",
        "hostname": "host{n}.example.com",
        "idn-hostname": "host{n}.example.com",
        "ipv4": "192.0.2.{day}",
        "ipv6": "2001:db8::{day:x}",
        "uuid": "12345678-1234-4234-8234-{n:012}",
        "uri": "https://example.com/{n}",
        "uri-reference": "/page/{n}",
        "iri": "https://example.com/{n}",
        "iri-reference": "/page/{n}",
        "uri-template": "https://example.com/{{page}}/{n}",
        "json-pointer": "/entry/{n}",
        "relative-json-pointer": "{n}/entry",
        "regex": "^a{{{n}}}$",
    }
)


def kind(value: Any) -> str:
    """The JSON schema type of `value`; a whole number is an integer however it is written."""
    if isinstance(value, float) and value.is_integer():
        return "integer"
    return _KINDS.get(type(value), "null")


def text(schema: Mapping[str, Any], phrase: str, variant: int) -> str:
    """A string for `schema`: by its pattern, else its format, else `phrase` made to fit.

    Raises:
        SchemaError: pattern or format and length cannot both be met.
    """
    least, most = schema.get("minLength", 0), schema.get("maxLength", _LONGEST_TEXT)
    if least > min(most, _LONGEST_TEXT):
        raise SchemaError(f"a string of {least} characters cannot be made")
    if "pattern" in schema:
        return _by_pattern(schema["pattern"], variant, least, most)
    if schema.get("format") in _FORMATS:
        return _fitting(_by_format(schema["format"], variant), least, most)
    return _free(phrase, variant, least, most)


def _by_pattern(pattern: str, variant: int, least: int, most: int) -> str:
    found = ""
    for more in range(least + 1):
        try:
            found = patterns.example(pattern, variant=variant, more=more)
        except patterns.PatternError as error:
            raise SchemaError(f"the pattern {pattern!r} cannot be followed: {error}") from error
        if len(found) >= least:
            break
    return _fitting(found, least, most)


def _by_format(name: str, variant: int) -> str:
    return _FORMATS[name].format(n=variant + 1, day=variant % 28 + 1)


def _fitting(found: str, least: int, most: int) -> str:
    if not least <= len(found) <= most:
        raise SchemaError(f"{found!r} is not between {least} and {most} characters long")
    return found


def _free(phrase: str, variant: int, least: int, most: int) -> str:
    number = f" {variant + 1}" if variant else ""
    words = phrase + number
    if len(words) > most:
        # The number stays, so that texts that have to differ do.
        words = (phrase[: max(0, most - len(number))] + number)[-most:] if most else ""
    while len(words) < least:
        words = f"{words} {phrase or 'sandbox'}"[: max(least, len(words) + 1)]
    return words


def number(schema: Mapping[str, Any], variant: int, *, whole: bool) -> int | float:
    """A number within the bounds of `schema`, `variant` steps above the lowest fitting one.

    Raises:
        SchemaError: there is none.
    """
    step = Fraction(1) if whole else None
    if "multipleOf" in schema:
        step = _exact(schema["multipleOf"])
        if step <= 0:
            raise SchemaError("'multipleOf' must be above 0")
        if whole:
            step = Fraction(step.numerator)  # the whole multiples of a/b in lowest terms are those of a
    low, high = _bounds(schema)
    found = (
        _between(low, high, schema, variant) if step is None else _on_grid(low, high, schema, step, variant)
    )
    if not _allowed(found, schema):
        raise SchemaError("no number lies within its bounds")
    return int(found) if found.denominator == 1 else float(found)


def _exact(value: float) -> Fraction:
    return Fraction(Decimal(repr(value)))


def _bounds(schema: Mapping[str, Any]) -> tuple[Fraction | None, Fraction | None]:
    lows = [_exact(schema[name]) for name in ("minimum", "exclusiveMinimum") if name in schema]
    highs = [_exact(schema[name]) for name in ("maximum", "exclusiveMaximum") if name in schema]
    return max(lows, default=None), min(highs, default=None)


def _allowed(value: Fraction, schema: Mapping[str, Any]) -> bool:
    return (
        ("minimum" not in schema or value >= _exact(schema["minimum"]))
        and ("maximum" not in schema or value <= _exact(schema["maximum"]))
        and ("exclusiveMinimum" not in schema or value > _exact(schema["exclusiveMinimum"]))
        and ("exclusiveMaximum" not in schema or value < _exact(schema["exclusiveMaximum"]))
    )


def _on_grid(
    low: Fraction | None, high: Fraction | None, schema: Mapping[str, Any], step: Fraction, variant: int
) -> Fraction:
    first = None if low is None else ceil(low / step) * step
    last = None if high is None else floor(high / step) * step
    if first is not None and not _allowed(first, schema):
        first += step
    if last is not None and not _allowed(last, schema):
        last -= step
    if first is not None and last is not None:
        # More variants than numbers begin again at the lowest.
        return first + step * (variant % max(1, int((last - first) / step) + 1))
    if first is not None:
        return first + step * variant
    if last is not None and last < step * (variant + 1):
        return last - step * variant
    return step * (variant + 1)


def _between(
    low: Fraction | None, high: Fraction | None, schema: Mapping[str, Any], variant: int
) -> Fraction:
    if low is not None and high is not None:
        return low if low == high else low + (high - low) / (variant + 2)
    if low is not None:
        return low + variant + (0 if "minimum" in schema and _allowed(low, schema) else 1)
    if high is not None:
        return high - variant - (0 if "maximum" in schema and _allowed(high, schema) else 1)
    return Fraction(2 * variant + 3, 2)
