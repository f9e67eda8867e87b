"""A catalogue's file, read to be changed and written again: always in one form, so that a diff shows changes alone.

The comment at the top is kept. Any other would be lost, so a file with one is refused.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from proxy.settings.document import DocumentError, parse

_SECTIONS: Final = ("models", "tiers")
_LINE_CHARACTERS: Final = 110

# What may stand without quotes: nothing that YAML or our own reader would take for something else.
_BARE: Final = re.compile(r"[A-Za-z_~][A-Za-z0-9_.@/+~-]*(?:[A-Za-z0-9_.@/+~ -]*[A-Za-z0-9_.@/+~-])?")
_WORDS: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n", "~"})
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


class Unwritable(Exception):
    """The file cannot be changed by a program; the message says why."""


@dataclass(frozen=True, slots=True)
class CatalogueFile:
    """A catalogue's values, plain, and the comment above them."""

    header: str
    values: dict[str, Any]

    @property
    def models(self) -> list[dict[str, Any]]:
        models: list[dict[str, Any]] = self.values["models"]
        return models

    @property
    def tiers(self) -> dict[str, dict[str, Any]]:
        tiers: dict[str, dict[str, Any]] = self.values["tiers"]
        return tiers

    def to_bytes(self) -> bytes:
        """The file's text, the same for the same values."""
        lines = [self.header.rstrip("\n")] if self.header else []
        lines.append("models:" if self.models else "models: []")
        for model in self.models:
            lines += _entry(model, "  ")
        lines.append("tiers:" if self.tiers else "tiers: {}")
        for name, tier in self.tiers.items():
            lines.append(f"  {_scalar(name)}:" if tier else f"  {_scalar(name)}: {{}}")
            lines += _members(tier, "    ")
        return ("\n".join(lines) + "\n").encode()


def read_catalogue(data: bytes, name: str) -> CatalogueFile:
    """A catalogue that holds models and tiers and nothing else.

    Raises:
        Unwritable: it holds more, or comments among its values, or is no such file.
    """
    try:
        values = parse(data)
    except DocumentError as error:
        raise Unwritable(f"{name}: {error}") from error
    if not isinstance(values, dict) or set(values) != set(_SECTIONS):
        raise Unwritable(f"{name}: must hold the sections models and tiers and nothing else")
    if not isinstance(values["models"], list) or not all(isinstance(each, dict) for each in values["models"]):
        raise Unwritable(f"{name}: models must be a list of mappings")
    if not isinstance(values["tiers"], dict) or not all(
        isinstance(each, dict) for each in values["tiers"].values()
    ):
        raise Unwritable(f"{name}: tiers must be a mapping of mappings")
    lines = data.decode("utf-8-sig").splitlines()
    top = next((number for number, line in enumerate(lines) if line and not line.startswith("#")), 0)
    for number, line in enumerate(lines[top:], top + 1):
        if re.search(r"(^|\s)#", line):
            raise Unwritable(
                f"{name}, line {number}: a comment among the values would be lost; put it on top"
            )
    return CatalogueFile("\n".join(lines[:top]), values)


def _entry(values: Mapping[str, Any], indent: str) -> list[str]:
    """A mapping as an entry of a list."""
    lines = _members(values, indent + "  ")
    return [f"{indent}- {lines[0].lstrip()}", *lines[1:]]


def _members(values: Mapping[str, Any], indent: str) -> list[str]:
    return [line for key, value in values.items() for line in _member(key, value, indent)]


def _member(key: str, value: Any, indent: str) -> Iterator[str]:
    flow = f"{indent}{_scalar(key)}: {_flow(value)}"
    if len(flow) <= _LINE_CHARACTERS and not _nested(value):
        yield flow
    elif isinstance(value, Mapping):
        yield f"{indent}{_scalar(key)}:"
        yield from _members(value, indent + "  ")
    elif isinstance(value, list):
        yield f"{indent}{_scalar(key)}:"
        for entry in value:
            line = f"{indent}  - {_flow(entry)}"
            if len(line) > _LINE_CHARACTERS and isinstance(entry, Mapping):
                yield from _entry(entry, indent + "  ")
            else:
                yield line
    else:
        yield flow


def _nested(value: Any) -> bool:
    """Whether a list holds mappings: each then has a line of its own, and a diff names it."""
    return isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value)


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return _text(value) if isinstance(value, str) else _number(value)


def _text(value: str) -> str:
    """A text as it stands in the file, in quotes where it could be read as something else."""
    if _DATE.fullmatch(value) or (_BARE.fullmatch(value) and value.lower() not in _WORDS):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _number(value: float) -> str:
    """The shortest text without an exponent; `2` and not `2.0`."""
    text = f"{Decimal(str(value)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
