"""OpenAI's embeddings, as an upstream: requests out, answers in.

Source: platform.openai.com/docs/api-reference/embeddings, seen November 2026, and recorded answers.
"""

from dataclasses import dataclass
from typing import Final

import orjson

from providers.endpoints import DEFAULT, Endpoint
from providers.members import splice
from providers.types import Canonical, Completion, UpstreamError, UpstreamRequest
from providers.upstreams.failures import Rule, from_body
from providers.upstreams.openai_chat.members import HARMLESS, matters
from providers.upstreams.openai_chat.usage import read_usage

# As for chat completions: members addressed to the gateway, of which OpenRouter reads some itself.
_GATEWAY_MEMBERS: Final = frozenset({"headgate", "models", "provider", "session_id"})
_OPENROUTER_MEMBERS: Final = frozenset({"models", "provider", "session_id"})


@dataclass(frozen=True, slots=True)
class OpenAIEmbeddings:
    """The dialect, with the accents of one provider as fields.

    Attributes:
        endpoint: how its paths are made.
        openrouter_members: `models`, `provider`, `session_id` and `usage` mean something to this provider.
        refuses: members it answers with an error.
        failures: what its errors mean where their status misleads.
    """

    endpoint: Endpoint = DEFAULT
    openrouter_members: bool = False
    refuses: frozenset[str] = frozenset()
    failures: tuple[Rule, ...] = ()

    def lacks(self, request: Canonical, model: str = "") -> tuple[str, ...]:  # noqa: ARG002 - all its models are alike
        """Members that this request needs and the provider does not have."""
        return tuple(name for name in self._refused(request) if name not in HARMLESS)

    def drops(self, request: Canonical) -> tuple[str, ...]:
        """Members that are left out, because the answer is the same without them."""
        return tuple(name for name in self._refused(request) if name in HARMLESS)

    def _refused(self, request: Canonical) -> list[str]:
        members = request.members
        if self.refuses.isdisjoint(members):
            return []
        return [name for name in members if name in self.refuses and matters(name, members[name])]

    def encode(self, request: Canonical, model: str) -> UpstreamRequest:
        """The client's own bytes, with the model's name and without what the provider does not take."""
        drop = _GATEWAY_MEMBERS
        if self.openrouter_members and request.named:
            drop = drop - _OPENROUTER_MEMBERS
        elif isinstance(request.members.get("usage"), dict):
            drop = drop | {"usage"}
        if not self.refuses.isdisjoint(request.members):
            drop = drop | (self.refuses - set(self.lacks(request)))
        body = splice(request.raw, request.layout, {"model": orjson.dumps(model)}, drop)
        return UpstreamRequest(self.endpoint.path_for("embeddings", model), body)

    def decode(self, body: bytes, request: Canonical | None = None) -> Completion:  # noqa: ARG002 - it says all itself
        """An answer.

        Raises:
            UpstreamError: an error under status 200, or no embeddings.
        """
        try:
            members = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise UpstreamError("protocol", "the provider's answer is not JSON") from None
        if isinstance(members, dict) and members.get("error"):
            raise from_body(members["error"], status=200, rules=self.failures)
        if not isinstance(members, dict) or not isinstance(members.get("data"), list) or not members["data"]:
            raise UpstreamError("protocol", "the provider's answer has no embeddings")
        return Completion(body, members, read_usage(members))
