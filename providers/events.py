"""What a stream can say, in a vocabulary every dialect shares. Small and closed: an unknown thing is `Opaque`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from providers.types import UpstreamError, Usage


@dataclass(frozen=True, slots=True)
class Begin:
    """The answer has the provider's id and the provider's name of its model. Comes first, or not at all."""

    answer_id: str
    model: str


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer."""

    choice: int
    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A piece of the model's reasoning.

    Attributes:
        text: the readable part; empty where there is none.
        detail: the piece as an entry of OpenRouter's `reasoning_details`, with whatever must come back on the next
            turn: `{"type": "reasoning.text" | "reasoning.summary" | "reasoning.encrypted", "format": …, "index": …}`.
            Pieces of one block share an index; a signature may come in a piece of its own. `None` where nothing must
            come back.
    """

    choice: int
    text: str
    detail: Mapping[str, Any] | None = None


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


@dataclass(frozen=True, slots=True)
class Broken:
    """The provider failed, sent nonsense, or stopped in the middle. Nothing comes behind it."""

    error: UpstreamError


Event = Begin | Broken | Text | Reasoning | Refusal | ToolDelta | Finish | UsageReport | Opaque
