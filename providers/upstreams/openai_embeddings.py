"""OpenAI's embeddings, as an upstream: requests out, answers in.

Source: platform.openai.com/docs/api-reference/embeddings, seen November 2026, and recorded answers.
"""

from dataclasses import dataclass
from typing import Final

import orjson

from providers.endpoints import DEFAULT, Endpoint
from providers.members import splice
from providers.types import Canonical, Completion, UpstreamError, UpstreamRequest
from providers.upstreams.failures import from_body
from providers.upstreams.openai_chat_members import HARMLESS, matters
from providers.upstreams.openai_chat_usage import read_usage

_GATEWAY_MEMBERS: Final = frozenset({"headgate", "models", "provider", "session_id"})


@dataclass(frozen=True, slots=True)
class OpenAIEmbeddings:
    """The dialect, with the accents of one provider as fields.

    Attributes:
        endpoint: how its paths are made.
        refuses: members it answers with an error.
    """

    endpoint: Endpoint = DEFAULT
    refuses: frozenset[str] = frozenset()

    def lacks(self, request: Canonical) -> tuple[str, ...]:
        """Members that this request needs and the provider does not have."""
        return tuple(name for name in self._refused(request) if name not in HARMLESS)

    def drops(self, request: Canonical) -> tuple[str, ...]:
        """Members that are left out, because the answer is the same without them."""
        return tuple(name for name in self._refused(request) if name in HARMLESS)

    def _refused(self, request: Canonical) -> list[str]:
        members = request.members
        return [name for name in self.refuses & members.keys() if matters(name, members[name])]

    def encode(self, request: Canonical, model: str) -> UpstreamRequest:
        """The client's own bytes, with the model's name and without what the provider does not take."""
        drop = _GATEWAY_MEMBERS | (self.refuses - set(self.lacks(request)))
        body = splice(request.raw, request.layout, {"model": orjson.dumps(model)}, drop)
        return UpstreamRequest(self.endpoint.path_for("embeddings", model), body)

    def decode(self, body: bytes) -> Completion:
        """An answer.

        Raises:
            UpstreamError: an error under status 200, or no embeddings.
        """
        try:
            members = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise UpstreamError("protocol", "the provider's answer is not JSON") from None
        if isinstance(members, dict) and members.get("error"):
            raise from_body(members["error"], status=200)
        if not isinstance(members, dict) or not isinstance(members.get("data"), list) or not members["data"]:
            raise UpstreamError("protocol", "the provider's answer has no embeddings")
        return Completion(body, members, read_usage(members))
