"""The words of this room: what was asked, what stands around it, and what was concluded."""

from dataclasses import dataclass
from typing import Final, Literal

Complexity = Literal["simple", "moderate", "complex"]
TaskType = Literal["code_review", "debugging", "generation", "explanation", "other"]
Source = Literal["rules", "scorer", "micro", "default"]
Material = Literal["code", "prose", "quote", "log"]

COMPLEXITIES: Final[tuple[Complexity, ...]] = ("simple", "moderate", "complex")
TASK_TYPES: Final[tuple[TaskType, ...]] = ("code_review", "debugging", "generation", "explanation", "other")
# Domains are an open set: operators' rules may name others. This one means "none stood out".
GENERAL: Final = "general"


@dataclass(frozen=True, slots=True)
class Facts:
    """What stands around the ask. It decides capabilities, size and a floor; it never enters the score."""

    system_chars: int = 0
    history_chars: int = 0
    turns: int = 0  # user turns, this one included
    tools: int = 0  # how many are offered
    tool_steps: int = 0  # results of tools since the ask: how far an agent has gone on its own
    attachments: tuple[str, ...] = ()  # types of content parts that are not text, as the client named them
    message_chars: int = 0  # the whole message the ask was found in
    materials: tuple[Material, ...] = ()  # what was pasted beside the ask


@dataclass(frozen=True, slots=True)
class Ask:
    """The last real ask of the user. `text` is bounded, has its case kept and its envelopes removed."""

    text: str
    refers: bool = False  # the ask points at what was pasted ("this code", "the following")
    material: str = ""  # the beginning of what it points at; empty when it points at nothing
    facts: Facts = Facts()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a request is. `confidence` is the estimated probability that `complexity` is right, 0 to 1."""

    complexity: Complexity
    task_type: TaskType
    domain: str
    confidence: float
    source: Source
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Undecided:
    """Rules and scorer do not know enough: ask a micro-classifier. `fallback` stands if none answers."""

    fallback: Verdict


@dataclass(frozen=True, slots=True)
class Rule:
    """One form of request. It speaks only within its bounds, and only `unless` does not match."""

    name: str
    pattern: str
    complexity: Complexity
    task_type: TaskType
    domain: str = GENERAL
    examples: tuple[str, ...] = ()
    why: str = ""
    unless: str = ""
    most_chars: int = 2_000  # of the ask
    least_message_chars: int = 0  # of the message with all that was pasted
    confidence: float = 0.97
