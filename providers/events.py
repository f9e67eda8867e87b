"""What a stream can say, in a vocabulary every dialect shares. Small and closed: an unknown thing is `Opaque`."""

from dataclasses import dataclass
from typing import Any

from providers.types import Usage


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer."""

    choice: int
    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A readable piece of the model's reasoning."""

    choice: int
    text: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A piece of a refusal."""

    choice: int
    text: str


@dataclass(frozen=True, slots=True)
class ToolDelta:
    """A piece of a tool call. Id and name come once, on its first piece; later they are empty."""

    choice: int
    call_index: int
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Finish:
    """A choice ended. `reason` is one of OpenAI's; `native_reason` is the provider's own word."""

    choice: int
    reason: str
    native_reason: str


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Tokens so far; the last report of a stream counts."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Opaque:
    """Something of the provider's that has no word here, carried along under its own name."""

    choice: int
    name: str
    value: Any


Event = Text | Reasoning | Refusal | ToolDelta | Finish | UsageReport | Opaque
