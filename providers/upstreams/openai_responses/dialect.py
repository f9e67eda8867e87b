"""OpenAI's Responses, as an upstream.

Source: platform.openai.com/docs/api-reference/responses, November 2026, and recorded exchanges.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from providers import events
from providers.types import Canonical, UpstreamError, UpstreamRequest
from providers.upstreams.failures import classify
from providers.upstreams.openai_responses import answers, requests
from providers.upstreams.openai_responses.answers import FAILURES, Decoder


@dataclass(frozen=True, slots=True)
class OpenAIResponses:
    """The dialect, with the accents of one provider as fields.

    Attributes:
        path: what is appended to the base URL.
        reasoning_format: marks the entries of `reasoning_details` that this provider can read again.
    """

    speaks: ClassVar[str] = "openai_responses"

    path: str = "/responses"
    reasoning_format: str = "openai-responses-v1"

    def encode(self, request: Canonical, model: str) -> UpstreamRequest:
        """The provider's request; a stream is asked for in the body.

        Raises:
            RequestError: something in the client's request has the wrong type or no meaning.
        """
        return UpstreamRequest(self.path, requests.body(request, model, self.reasoning_format))

    def lacks(self, request: Canonical, model: str = "") -> tuple[str, ...]:  # noqa: ARG002 - all its models are alike
        """What this request needs and Responses does not have, by path."""
        return tuple(requests.lacking(request))

    def drops(self, request: Canonical) -> tuple[str, ...]:
        """What is left out, because the answer is the same without it."""
        return tuple(requests.dropping(request))

    def read(self, body: bytes) -> Sequence[events.Event]:
        """A plain answer as events."""
        return answers.read(body, self.reasoning_format)

    def decoder(self) -> Decoder:
        """Events of a stream."""
        return Decoder(self.reasoning_format)

    def error(
        self, status: int, headers: Mapping[str, str], body: bytes, *, now_epoch_s: float
    ) -> UpstreamError:
        """An answer whose status is not 200, in one form."""
        return classify(status, headers, body, now_epoch_s=now_epoch_s, rules=FAILURES)
