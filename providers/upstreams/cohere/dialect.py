"""Cohere's chat and embeddings, version 2, as an upstream.

Source: docs.cohere.com/reference, November 2026, and recorded exchanges.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

import orjson

from providers import events
from providers.types import Canonical, Completion, UpstreamError, UpstreamRequest, Usage
from providers.upstreams import vectors
from providers.upstreams.cohere import answers, requests
from providers.upstreams.cohere.answers import FAILURES, Decoder
from providers.upstreams.failures import classify, from_body
from providers.upstreams.openai_chat.chunks import object_of
from providers.upstreams.openai_chat.members import HARMLESS, matters

_MOST_TEXTS: Final = 96
_ENCODINGS: Final = ("float", "base64")
_FOR_THE_GATEWAY: Final = frozenset({"headgate", "models", "provider", "session_id"})
_EMBEDDING_MEMBERS: Final = frozenset({"dimensions", "encoding_format", "input", "model"})

# Cohere's own: as the client wrote them.
_EMBEDDING_PASSED_ON: Final = ("input_type", "max_tokens", "priority", "truncate")
_EMBEDDING_KNOWN: Final = _FOR_THE_GATEWAY | _EMBEDDING_MEMBERS | frozenset(_EMBEDDING_PASSED_ON)


def version_prefix(base_url: str) -> str:
    """What paths begin with: the version, unless the base URL ends in it."""
    return "" if base_url.endswith("/v2") else "/v2"


@dataclass(frozen=True, slots=True)
class CohereChat:
    """The dialect.

    Attributes:
        prefix: what its paths begin with.
    """

    speaks: ClassVar[str] = "cohere_chat"

    prefix: str = "/v2"

    @classmethod
    def at(cls, base_url: str) -> Self:
        """The dialect for a place."""
        return cls(prefix=version_prefix(base_url))

    def encode(self, request: Canonical, model: str) -> UpstreamRequest:
        """Cohere's request; a stream is asked for in the body.

        Raises:
            RequestError: something in the client's request has the wrong type or no meaning.
        """
        return UpstreamRequest(f"{self.prefix}/chat", requests.body(request, model))

    def lacks(self, request: Canonical, model: str = "") -> tuple[str, ...]:  # noqa: ARG002 - all its models are alike
        """What this request needs and Cohere does not have, by path."""
        return tuple(requests.lacking(request))

    def drops(self, request: Canonical) -> tuple[str, ...]:
        """What is left out, because the answer is the same without it."""
        return tuple(requests.dropping(request))

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
        return classify(status, headers, body, now_epoch_s=now_epoch_s, rules=FAILURES)


@dataclass(frozen=True, slots=True)
class CohereEmbeddings:
    """The dialect of embeddings: texts alone, answers in OpenAI's shape.

    Attributes:
        prefix: what its paths begin with.
    """

    prefix: str = "/v2"

    @classmethod
    def at(cls, base_url: str) -> Self:
        """The dialect for a place."""
        return cls(prefix=version_prefix(base_url))

    def lacks(self, request: Canonical, model: str = "") -> tuple[str, ...]:  # noqa: ARG002 - all its models are alike
        """What this request needs and Cohere does not have, by path: token ids, more texts than it takes at once."""
        members = request.members
        lacking = [
            name
            for name, value in members.items()
            if name not in _EMBEDDING_KNOWN and name not in HARMLESS and matters(name, value)
        ]
        given = members["input"]
        if not isinstance(given, str):
            if not all(isinstance(text, str) for text in given):
                lacking.append("input")
            elif len(given) > _MOST_TEXTS:
                lacking.append(f"input[{_MOST_TEXTS}]")
        if members.get("encoding_format") not in (None, *_ENCODINGS):
            lacking.append("encoding_format")
        return tuple(lacking)

    def drops(self, request: Canonical) -> tuple[str, ...]:
        """Members that are left out, because the answer is the same without them."""
        return tuple(
            name
            for name, value in request.members.items()
            if name not in _EMBEDDING_KNOWN and name in HARMLESS and matters(name, value)
        )

    def encode(self, request: Canonical, model: str) -> UpstreamRequest:
        """Cohere's request. What the texts are for must be said: documents, unless the client says otherwise."""
        members = request.members
        given = members["input"]
        made: dict[str, Any] = {
            "model": model,
            "texts": [given] if isinstance(given, str) else given,
            "input_type": "search_document",
            "embedding_types": ["float"],  # base64 is made here: what Cohere's holds is not documented
            "output_dimension": members.get("dimensions"),
        }
        made |= {name: members[name] for name in _EMBEDDING_PASSED_ON if members.get(name) is not None}
        body = orjson.dumps({name: value for name, value in made.items() if value is not None})
        return UpstreamRequest(f"{self.prefix}/embed", body)

    def decode(self, body: bytes, request: Canonical | None = None) -> Completion:
        """An answer, in OpenAI's shape. Cohere does not say which model it was.

        Raises:
            UpstreamError: an error under status 200, or no embeddings.
        """
        try:
            members = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise UpstreamError("protocol", "the provider's answer is not JSON") from None
        if not isinstance(members, dict):
            raise UpstreamError("protocol", "the provider's answer is no JSON object")
        found = _vectors(members.get("embeddings"))
        if not found:
            if members.get("message") or members.get("error"):
                raise from_body(members.get("error") or members, status=200, rules=FAILURES)
            raise UpstreamError("protocol", "the provider's answer has no embeddings")
        usage = _embedding_usage(object_of(members, "meta"))
        return vectors.answer(found, usage, request)


def _vectors(embeddings: Any) -> list[Any]:
    """By the encoding that was asked for; the first version gave floats without naming it."""
    if isinstance(embeddings, dict):
        embeddings = next((embeddings[name] for name in _ENCODINGS if embeddings.get(name)), None)
    if not isinstance(embeddings, list) or not all(isinstance(vector, list | str) for vector in embeddings):
        return []
    return embeddings


def _embedding_usage(meta: Mapping[str, Any]) -> Usage | None:
    if not object_of(meta, "billed_units") and not object_of(meta, "tokens"):
        return None
    counted = answers.usage_of(meta)
    return counted._replace(
        reported={
            "prompt_tokens": counted.input_tokens,
            "total_tokens": counted.input_tokens,
            **answers.numbers_of(meta),
        }
    )
