"""Values that cross the edge of this room: requests, answers, usage, errors. Standard library only.

What every request makes is a named tuple: as unchangeable as a frozen dataclass, at a third of its price.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

ErrorKind = Literal["bad_request", "auth", "rate_limited", "overloaded", "unreachable", "timeout", "protocol"]
"""Why an attempt failed; one row each in the error table of the gateway."""


class RequestError(Exception):
    """The client's body cannot be served as it is. Shown to the client.

    Attributes:
        message: names what is wrong and where.
        param: the member of the body that is wrong, or `None`.
        code: the error code of the answer.
    """

    def __init__(self, message: str, *, param: str | None = None, code: str = "invalid_request") -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


class UpstreamError(Exception):
    """An attempt failed, in one form for all providers.

    Attributes:
        kind: decides the client's status, whether another backend is tried and whether health counts it.
        status: the HTTP status the provider meant, 0 when there was none (connection, time-out).
        message: the provider's own words, safe to show; never a key or a URL.
        code: the provider's own error code, or `None`.
        param: the member of the request that the provider names, or `None`.
        retry_after_s: how long the provider asked to wait, or `None`.
        context_overflow: the prompt was too long for this model; a larger one may take it.
        again: the same backend may be asked once more, where the kind allows that at all; false when waiting
            will not help it.
        no_such_model: it was refused because the provider does not have the model, not because of the key.
        spent: the account's money or a day's quota is used up: other requests will fare no better.
    """

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        status: int = 0,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
        context_overflow: bool = False,
        again: bool = True,
        no_such_model: bool = False,
        spent: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind: Final[ErrorKind] = kind
        self.message = message
        self.status = status
        self.code = code
        self.param = param
        self.retry_after_s = retry_after_s
        self.context_overflow = context_overflow
        self.again = again
        self.no_such_model = no_such_model
        self.spent = spent

    def reworded(self, message: str | None, param: str | None, code: str | None) -> "UpstreamError":
        """The same failure in other words."""
        return UpstreamError(
            self.kind,
            message or self.message,
            status=self.status,
            code=code,
            param=param,
            retry_after_s=self.retry_after_s,
            context_overflow=self.context_overflow,
            again=self.again,
            no_such_model=self.no_such_model,
            spent=self.spent,
        )


class Unparsable(ValueError):
    """A frame whose JSON cannot be read."""


class Member(NamedTuple):
    """Where one top-level member of a JSON object lies: `raw[key_start:value_end]` is `"name": value`."""

    name: str
    key_start: int
    value_start: int
    value_end: int


class Canonical(NamedTuple):
    """A request as every upstream dialect can read it.

    Attributes:
        raw: the client's body, byte for byte.
        layout: the top-level members of `raw`, in order; empty when `raw` is not in the canonical dialect.
        members: the body in OpenAI chat's vocabulary, unknown members included.
        model: the public name asked for: a model, a tier or an alias.
        stream: whether the client asked for a stream.
        usage_wanted: whether the client asked for a usage chunk.
        choices: how many answers it asked for (`n`).
        output_limit_tokens: its own limit on the answer, or `None`.
        named: `model` is the model that was asked for; false when a tier chose it.
    """

    raw: bytes
    layout: tuple[Member, ...]
    members: Mapping[str, Any]
    model: str
    stream: bool
    usage_wanted: bool
    choices: int
    output_limit_tokens: int | None
    named: bool = True


class UpstreamRequest(NamedTuple):
    """What to send to a provider; the transport adds host and credentials.

    Attributes:
        path: appended to the provider's base URL.
        body: the whole body.
    """

    path: str
    body: bytes


class Usage(NamedTuple):
    """Tokens of one answer, as the provider counts them.

    Attributes:
        input_tokens: the whole prompt, cached part included.
        output_tokens: the whole answer, reasoning included.
        cache_read_tokens: the part of the prompt that was read from a cache.
        cache_write_tokens: the part of the prompt that was written to a cache.
        reasoning_tokens: the part of the answer that was reasoning.
        provider_cost_usd: the provider's own figure, when it states one.
        estimated: our estimate, because the provider reported nothing.
        reported: the provider's own object, unknown members included.
    """

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    provider_cost_usd: float | None = None
    estimated: bool = False
    reported: Mapping[str, Any] = MappingProxyType({})


class Completion(NamedTuple):
    """A whole, plain answer, in the client's dialect.

    Attributes:
        raw: the body; the provider's, byte for byte, where it speaks that dialect.
        members: `raw`, parsed.
        usage: as reported.
        guessed_output_tokens: what the answer may have taken, where nothing was reported.
    """

    raw: bytes
    members: Mapping[str, Any]
    usage: Usage | None
    guessed_output_tokens: int = 0


@dataclass(slots=True, eq=False)
class Frame:
    """One frame of a stream, or a run of frames in which nothing is remarkable.

    Never changed once made; not frozen, because that would quadruple the price of what is made per read.

    Attributes:
        raw: the bytes as they leave, each frame with its blank line.
        marked: whether any attribute below says something.
        content: holds content: non-empty text, reasoning, refusal, media or a tool-call delta.
        text_bytes: how much of that is text, in UTF-8.
        done: the end mark of the dialect (`data: [DONE]`).
        choices: indexes of the choices it speaks of.
        finished: those of them that got a finish reason here.
        usage: reported in it; running or final.
        error: reported in it.
        members: its JSON, where it was parsed.
    """

    raw: bytes
    marked: bool = False
    content: bool = False
    text_bytes: int = 0
    done: bool = False
    choices: tuple[int, ...] = ()
    finished: tuple[int, ...] = ()
    usage: Usage | None = None
    error: UpstreamError | None = None
    members: Mapping[str, Any] | None = None
