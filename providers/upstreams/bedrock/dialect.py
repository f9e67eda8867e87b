"""Amazon Bedrock's Converse, as an upstream: one dialect for all models behind it.

Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, seen November 2026, and recorded
exchanges. Requests, answers, failures and what single models take are in the modules beside this one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final
from urllib.parse import quote

from providers import events
from providers.types import Canonical, UpstreamError, UpstreamRequest
from providers.upstreams.bedrock import answers, failures, requests
from providers.upstreams.bedrock.answers import Decoder
from providers.upstreams.bedrock.models import ANY, traits

DEFAULT_OUTPUT_TOKENS: Final = 4096
"""What is left for the answer beside a budget for thinking, where the client sets no limit."""


def path_for(model: str, operation: str) -> str:
    """The path of an operation. Signed as it is sent, so colons and the slashes of ARNs are escaped here."""
    return f"/model/{quote(model, safe='')}/{operation}"


@dataclass(frozen=True, slots=True)
class BedrockConverse:
    """The dialect.

    Attributes:
        default_output_tokens: room for the answer beside thinking; without thinking the model's own limit holds.
    """

    speaks: ClassVar[str] = "bedrock_converse"

    default_output_tokens: int = DEFAULT_OUTPUT_TOKENS

    def encode(self, request: Canonical, model: str) -> UpstreamRequest:
        """The provider's request.

        Raises:
            RequestError: something in it has no meaning.
        """
        made = requests.body(request, traits(model), self.default_output_tokens)
        path = path_for(model, "converse-stream" if request.stream else "converse")
        return UpstreamRequest(path, requests.written(made))

    def lacks(self, request: Canonical, model: str = "") -> tuple[str, ...]:
        """Members and parts that this request needs and the provider lacks; sent all the same, where possible.

        Args:
            model: the provider's name of it; without one, only what no model has.

        Raises:
            RequestError: something in it has no meaning.
        """
        found = requests.lacks(request, traits(model) if model else ANY, known=bool(model))
        return tuple(dict.fromkeys(found))

    def drops(self, request: Canonical) -> tuple[str, ...]:
        """Members that say something but are left out."""
        return tuple(requests.drops(request))

    def read(self, body: bytes) -> Sequence[events.Event]:
        """A plain answer as events."""
        return answers.read(body)

    def decoder(self) -> Decoder:
        """Events of a stream."""
        return Decoder()

    def error(
        self, status: int, headers: Mapping[str, str], body: bytes, *, now_epoch_s: float
    ) -> UpstreamError:
        """An answer whose status is not 200, in one form."""
        return failures.of_answer(status, headers, body, now_epoch_s=now_epoch_s)
