"""Embeddings of the Gemini API and of Vertex AI: texts out, vectors in OpenAI's shape in.

Sources: ai.google.dev/api/embeddings, docs.cloud.google.com/vertex-ai (page "text-embeddings-api"),
google.cloud.aiplatform.v1 EmbedContentRequest, November 2026, and recorded answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson

from providers.types import Canonical, Completion, UpstreamError, UpstreamRequest, Usage
from providers.upstreams import vectors
from providers.upstreams.failures import Rule, from_body
from providers.upstreams.gemini.dialect import gemini_models, path_of, vertex_models
from providers.upstreams.openai_chat.chunks import object_of
from providers.upstreams.openai_chat.members import HARMLESS, matters

_MOST_TEXTS: Final = 100  # "at most 100 requests can be in one batch"
_MOST_INSTANCES: Final = 250
_FOR_THE_GATEWAY: Final = frozenset({"headgate", "models", "provider", "session_id"})
_KNOWN: Final = _FOR_THE_GATEWAY | {"dimensions", "encoding_format", "input", "model"}


@dataclass(frozen=True, slots=True)
class GeminiEmbeddings:
    """The dialect at one of its places.

    Attributes:
        models: what paths begin with, up to the model's name.
        vertex: Vertex AI, where older models are asked with `predict` and newer ones with one text at a time.
        failures: what errors mean where their status misleads.
    """

    models: str = "/v1beta/models/"
    vertex: bool = False
    failures: tuple[Rule, ...] = ()

    @classmethod
    def at(cls, base_url: str) -> Self:
        """The Gemini API behind a base URL."""
        return cls(models=gemini_models(base_url))

    @classmethod
    def at_vertex(cls, base_url: str, project: str | None, location: str | None) -> Self:
        """Vertex AI behind a base URL."""
        return cls(models=vertex_models(base_url, project, location), vertex=True)

    def lacks(self, request: Canonical, model: str = "") -> tuple[str, ...]:  # noqa: ARG002 - all its models are alike
        """What this request needs and Google does not have: token ids, more texts than it takes at once."""
        members = request.members
        lacking = [
            name
            for name, value in members.items()
            if name not in _KNOWN and name not in HARMLESS and matters(name, value)
        ]
        given = members["input"]
        most = _MOST_INSTANCES if self.vertex else _MOST_TEXTS
        if not isinstance(given, str) and (
            len(given) > most or not all(isinstance(text, str) for text in given)
        ):
            lacking.append("input")
        if members.get("encoding_format") not in (None, "float", "base64"):
            lacking.append("encoding_format")
        return tuple(lacking)

    def drops(self, request: Canonical) -> tuple[str, ...]:
        """Members that are left out, because the answer is the same without them."""
        return tuple(
            name
            for name, value in request.members.items()
            if name not in _KNOWN and name in HARMLESS and matters(name, value)
        )

    def encode(self, request: Canonical, model: str) -> UpstreamRequest:
        """Google's request. A text beyond the model's length is an error on Vertex AI, as at OpenAI, and not cut.

        Raises:
            UpstreamError: several texts for a model that takes one.
        """
        given = request.members["input"]
        texts: Sequence[str] = [given] if isinstance(given, str) else given
        sized = {"outputDimensionality": request.members.get("dimensions")}
        if sized["outputDimensionality"] is None:
            sized = {}
        made: dict[str, Any]
        if not self.vertex:
            name = f"models/{model.removeprefix('models/')}"
            made = {"requests": [{"model": name, "content": _content(text), **sized} for text in texts]}
            method = "batchEmbedContents"
        elif _takes_one(model):
            if len(texts) != 1:
                message = f"{model} takes one text at a time on Vertex AI"
                raise UpstreamError("bad_request", message, status=400, param="input", again=False)
            made = {"content": _content(texts[0]), "autoTruncate": False, **sized}
            method = "embedContent"
        else:
            made = {
                "instances": [{"content": text} for text in texts],
                "parameters": {"autoTruncate": False, **sized},
            }
            method = "predict"
        return UpstreamRequest(path_of(self.models, model, method), orjson.dumps(made))

    def decode(self, body: bytes, request: Canonical | None = None) -> Completion:
        """An answer, in OpenAI's shape. Google does not say which model it was.

        Args:
            request: what was asked; without it vectors are lists of numbers.

        Raises:
            UpstreamError: an error under status 200, or no embeddings.
        """
        try:
            members = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise UpstreamError("protocol", "the provider's answer is not JSON") from None
        if not isinstance(members, dict):
            raise UpstreamError("protocol", "the provider's answer is no JSON object")
        if members.get("error"):
            raise from_body(members["error"], status=200, rules=self.failures)
        found = _vectors(members)
        if not found:
            raise UpstreamError("protocol", "the provider's answer has no embeddings")
        usage = _usage(members)
        return vectors.answer(found, usage, request)


def _content(text: str) -> dict[str, Any]:
    return {"parts": [{"text": text}]}


def _takes_one(model: str) -> bool:
    """As Google's own packages choose (googleapis/python-genai, `t_is_vertex_embed_content_model`)."""
    return ("gemini" in model and not model.endswith("gemini-embedding-001")) or "maas" in model


def _vectors(members: Mapping[str, Any]) -> list[list[float]]:
    """Of batchEmbedContents, embedContent and predict; empty when one of them is none."""
    if isinstance(members.get("predictions"), list):
        listed = [object_of(each, "embeddings") for each in members["predictions"] if isinstance(each, dict)]
    elif isinstance(members.get("embeddings"), list):
        listed = [each for each in members["embeddings"] if isinstance(each, dict)]
    else:
        listed = [object_of(members, "embedding")]
    vectors = [each.get("values") for each in listed]
    found = [
        vector for vector in vectors if isinstance(vector, list) and vector and all(map(_is_number, vector))
    ]
    return found if len(found) == len(vectors) else []


def _usage(members: Mapping[str, Any]) -> Usage | None:
    predictions = members.get("predictions")
    if isinstance(predictions, list):
        counted = [
            object_of(object_of(each, "embeddings"), "statistics").get("token_count")
            for each in predictions
            if isinstance(each, dict)
        ]
    else:
        counted = [object_of(members, "usageMetadata").get("promptTokenCount")]
    counts = [int(count) for count in counted if isinstance(count, int | float) and count >= 0]
    if not counts or len(counts) != len(counted):
        return None
    tokens = sum(counts)
    return Usage(tokens, 0, reported={"prompt_tokens": tokens, "total_tokens": tokens})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
