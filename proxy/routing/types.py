"""What goes into a choice and what comes out of it: values only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from proxy.routing.catalogue.types import Backend

Complexity = Literal["simple", "moderate", "complex"]
Priority = Literal["low", "normal", "high"]

AllowLists = Sequence[Sequence[str]]
"""Of a key and of its customer, as far as they have one; none means everything may be asked for."""

POSITION: Final[Mapping[Complexity, int]] = {"simple": 0, "moderate": 1, "complex": 2}
"""The place of a request's tier in a mode's list."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What kind of request this is, as far as anybody knows.

    Attributes:
        source: who decided; `default` means undecided, `named` that nobody had to.
        domain: what it is about, in the classifiers' words; `general` where none stood out.
    """

    source: Literal["rules", "scorer", "micro", "default", "named"]
    complexity: Complexity | None = None
    task_type: str | None = None
    confidence: float | None = None
    rule: str | None = None
    domain: str | None = None


NAMED: Final = Verdict("named")
UNDECIDED: Final = Verdict("default", "moderate", "other", 0.0)


class Attempt(NamedTuple):
    """A backend to try.

    Attributes:
        model: the public id of the model it serves.
        context_tokens: of that model, `None` when unknown.
        reason: why it is a candidate at all, in words an operator understands; `explain` adds those of this request.
    """

    backend: Backend
    model: str
    context_tokens: int | None
    reason: tuple[str, ...]


class Lacks(dict[str, tuple[str, ...]]):
    """By backend id, what of a request a provider does not take, by path; nothing of backends that are not in it."""

    def __missing__(self, backend_id: str) -> tuple[str, ...]:
        return ()


TAKES_ALL: Final = Lacks()


class Facts(NamedTuple):
    """What is known of a request without asking anybody.

    Attributes:
        asked: the name in the request: a model, a mode, `headgate/<mode>` or an alias.
        request_id: what draws by lot draw by.
        allow_lists: a name must be in each.
        priority: the customer's; a request may lower its own.
        prompt_tokens: a guess.
        least_prompt_tokens, most_prompt_tokens: no tokenizer gives fewer, or more; `None`: there is no such bound.
            The latter is without images.
        images: how many.
        output_limit_tokens: the client's own limit of each answer.
        most_output_tokens: of all answers together.
        predicted_tokens: at most what of a prediction is billed as output on top.
        regions: the customer's: where it may be answered at all, in lower case; none means anywhere.
        choices: how many answers it asks for.
        needs: words of a model's `can`.
        lacks: see `Lacks`.
        drops: the same of members that would be left out because the answer is the same without them.
        passed_on: providers that are sent the wishes of a request for a named model.
    """

    asked: str
    operation: str = "chat/completions"
    request_id: str = ""
    allow_lists: AllowLists = ()
    priority: Priority = "normal"
    prompt_tokens: int = 0
    least_prompt_tokens: int = 0
    most_prompt_tokens: int | None = None
    output_limit_tokens: int | None = None
    most_output_tokens: int = 0
    choices: int = 1
    needs: frozenset[str] = frozenset()
    lacks: Lacks = TAKES_ALL
    drops: Lacks = TAKES_ALL
    passed_on: frozenset[str] = frozenset()
    images: int = 0
    predicted_tokens: int = 0
    regions: tuple[str, ...] = ()


Code = Literal[
    "model_not_found",
    "model_not_allowed",
    "no_capable_backend",
    "context_length_exceeded",
    "invalid_request",
    "overloaded",
]


class Unroutable(Exception):
    """Nothing can be tried.

    Attributes:
        code: the error code of the answer.
        message: for the client.
        param: what of the request is in the way, by path.
    """

    def __init__(self, code: Code, message: str, param: str = "model") -> None:
        super().__init__(message)
        self.code: Code = code
        self.message = message
        self.param = param


IMAGE_TOKENS: Final = 50_000
"""At most of one image, where the catalogue does not know: gpt-4o-mini takes 2,833 and 5,667 a tile of up to eight
(OpenAI, page "vision")."""

EXPECTED_OUTPUT_TOKENS: Final[Mapping[str | None, int]] = MappingProxyType(
    {"code_review": 700, "debugging": 800, "generation": 1000, "explanation": 600, "other": 400, None: 500}
)
"""Of one answer, by kind of task: what a price is worked out with. Assumed, not measured; it only weighs the price
of answers against that of prompts. What is not in it counts as `other`."""


def expected_output_tokens(facts: Facts, task_type: str | None) -> int:
    """Of all answers together; the client's limit caps it."""
    expected = EXPECTED_OUTPUT_TOKENS.get(task_type)
    if expected is None:
        expected = EXPECTED_OUTPUT_TOKENS["other"]
    if facts.operation == "embeddings":
        return 0
    limit = facts.output_limit_tokens
    return facts.choices * (expected if limit is None or limit > expected else limit)
