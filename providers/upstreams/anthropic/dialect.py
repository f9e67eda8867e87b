"""Claude's Messages API, as an upstream: requests out; answers, streams and errors in.

Source: platform.claude.com/docs/en/api, seen November 2026, and recorded exchanges with Anthropic, and with Microsoft
Foundry, which speaks the same.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from providers import events
from providers.types import Canonical, UpstreamError, UpstreamRequest
from providers.upstreams.anthropic import requests
from providers.upstreams.anthropic.answers import Decoder, answer_events
from providers.upstreams.anthropic.models import ANY, traits
from providers.upstreams.failures import Rule, classify

DEFAULT_OUTPUT_TOKENS: Final = 4096
"""Anthropic wants a limit on every answer. The smallest that any model on sale has."""

# Pages "errors" and "rate-limits", November 2026, and answers quoted in public issues.
FAILURES: Final[tuple[Rule, ...]] = (
    # Money, under statuses that promise more in a minute or blame the request: nothing changes before it is paid.
    Rule("rate_limited", member=("details", "error_code"), value="enforced_spend_limit_reached"),
    Rule(
        "rate_limited",
        statuses=frozenset({0, 400, 403, 429}),
        pattern=re.compile(
            r"^\s*(?:you have reached your specified .{0,20}API usage limits|your credit balance is too low)",
            re.IGNORECASE,
        ),
    ),
    Rule(
        "bad_request",
        overflow=True,
        statuses=frozenset({0, 400}),
        pattern=re.compile(r"^\s*input length and `?max_tokens`? exceed context limit", re.IGNORECASE),
    ),
)


@dataclass(frozen=True, slots=True)
class Anthropic:
    """The dialect.

    Attributes:
        path: of messages, behind the base URL; see `messages_path`.
        default_output_tokens: the limit of an answer where the client sets none.
        failures: what errors mean where their status misleads.
    """

    speaks: ClassVar[str] = "anthropic_messages"

    path: str = "/v1/messages"
    default_output_tokens: int = DEFAULT_OUTPUT_TOKENS
    failures: tuple[Rule, ...] = FAILURES

    def encode(self, request: Canonical, model: str) -> UpstreamRequest:
        """The provider's request.

        Raises:
            RequestError: something in it has no meaning.
        """
        made = requests.body(request, model, traits(model), self.default_output_tokens)
        return UpstreamRequest(self.path, requests.written(made))

    def lacks(self, request: Canonical, model: str = "") -> tuple[str, ...]:
        """Members and parts that this request needs and the provider lacks; sent all the same, where possible.

        Args:
            model: the provider's name of it; without one, only what no model has.

        Raises:
            RequestError: something in it has no meaning.
        """
        return tuple(dict.fromkeys(requests.lacks(request, traits(model) if model else ANY)))

    def drops(self, request: Canonical) -> tuple[str, ...]:
        """Members that say something but are left out."""
        return tuple(requests.drops(request))

    def read(self, body: bytes) -> Sequence[events.Event]:
        """A plain answer as events."""
        return answer_events(body, self.failures)

    def decoder(self) -> Decoder:
        """Events of a stream."""
        return Decoder(self.failures)

    def error(
        self, status: int, headers: Mapping[str, str], body: bytes, *, now_epoch_s: float
    ) -> UpstreamError:
        """An answer whose status is not 200, in one form."""
        error = classify(status, headers, body, now_epoch_s=now_epoch_s, rules=self.failures)
        if status == 429 and error.kind == "rate_limited" and "retry-after" not in headers:
            # A limit on spending: it says no time, and there is none worth waiting for.
            return UpstreamError(
                error.kind,
                error.message,
                status=status,
                code=error.code,
                param=error.param,
                again=False,
                spent=True,
            )
        return error


def messages_path(base_url: str) -> str:
    """The path of messages behind a base URL, which may or may not end in the version."""
    return "/messages" if base_url.endswith("/v1") else "/v1/messages"
