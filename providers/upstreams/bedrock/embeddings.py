"""Embeddings of Amazon Titan and of Cohere on Bedrock: OpenAI's requests out, answers in OpenAI's shape in.

Sources: docs.aws.amazon.com/bedrock/latest/userguide, pages "model-parameters-titan-embed-text",
"model-parameters-embed-v3" and "model-parameters-embed-v4", November 2026. The models' own bodies are told apart by the
model's name on the way out, and by their members on the way in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from providers.types import Canonical, Completion, UpstreamError, UpstreamRequest, Usage
from providers.upstreams import vectors
from providers.upstreams.bedrock import failures
from providers.upstreams.bedrock.dialect import path_for
from providers.upstreams.openai_chat.members import matters

_CARRIED: Final = frozenset(
    {"model", "input", "dimensions", "encoding_format", "normalize", "input_type", "truncate"}
)
_OF_THE_GATEWAY: Final = frozenset({"headgate", "models", "provider", "session_id"})
_MOST_TEXTS: Final = 96  # of Cohere's
_DEFAULT_INPUT_TYPE: Final = "search_document"  # Cohere wants one; OpenAI's clients cannot say


@dataclass(frozen=True, slots=True)
class BedrockEmbeddings:
    """The dialect."""

    def encode(self, request: Canonical, model: str) -> UpstreamRequest:
        """The provider's request."""
        members = request.members
        texts = _texts(members["input"]) or ()
        made = _cohere(texts, members, model) if _is_cohere(model) else _titan(texts, members)
        return UpstreamRequest(path_for(model, "invoke"), orjson.dumps(made))

    def lacks(self, request: Canonical, model: str = "") -> tuple[str, ...]:
        """Members that this request needs and the provider does not have.

        Titan takes one text at a time. What its first generation lacks beside that, it says itself.

        Args:
            model: the provider's name of it; without one, only what no model has.
        """
        members = request.members
        texts = _texts(members["input"])
        most = 1 if model and not _is_cohere(model) else _MOST_TEXTS
        lacking = []
        if texts is None or len(texts) > most:
            lacking.append("input")
        if members.get("encoding_format") not in (None, "float", "base64"):
            lacking.append("encoding_format")
        return tuple(lacking)

    def drops(self, request: Canonical) -> tuple[str, ...]:
        """Members that say something but are left out."""
        known = _CARRIED | _OF_THE_GATEWAY
        return tuple(
            name for name, value in request.members.items() if name not in known and matters(name, value)
        )

    def decode(self, body: bytes, request: Canonical | None = None) -> Completion:
        """An answer, in OpenAI's shape.

        Raises:
            UpstreamError: an error under status 200, or no embeddings.
        """
        try:
            answer = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise UpstreamError("protocol", "the provider's answer is not JSON") from None
        found = _vectors(answer) if isinstance(answer, dict) else None
        if not found:
            error = failures.in_answer(answer) if isinstance(answer, dict) else None
            raise error or UpstreamError("protocol", "the provider's answer has no embeddings")
        count = answer.get("inputTextTokenCount")
        usage = None
        if isinstance(count, int):
            usage = Usage(count, 0, reported={"prompt_tokens": count, "total_tokens": count})
        return vectors.answer(found, usage, request)


def _titan(texts: Sequence[str], members: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"inputText": texts[0]}
    made |= {name: members[name] for name in ("dimensions", "normalize") if members.get(name) is not None}
    return made


def _cohere(texts: Sequence[str], members: Mapping[str, Any], model: str) -> dict[str, Any]:
    made: dict[str, Any] = {"texts": texts, "input_type": members.get("input_type") or _DEFAULT_INPUT_TYPE}
    if members.get("truncate") is not None:
        made["truncate"] = members["truncate"]
    if members.get("dimensions") is not None:
        made["output_dimension"] = members["dimensions"]
    if "embed-v4" in model:
        made["embedding_types"] = ["float"]
    return made


def _is_cohere(model: str) -> bool:
    return "cohere." in model


def _texts(given: Any) -> list[str] | None:
    """The texts of `input`; `None` for ids of tokens, which are those of another tokeniser."""
    texts = [given] if isinstance(given, str) else given
    return texts if isinstance(texts, list) and all(isinstance(text, str) for text in texts) else None


def _vectors(answer: Mapping[str, Any]) -> list[Any]:
    """Titan's one, or all of Cohere's: a list, or by type."""
    one = answer.get("embedding")
    if isinstance(one, list) and one:
        return [one]
    many = answer.get("embeddings")
    if isinstance(many, dict):
        many = many.get("float")
    return [each for each in many if isinstance(each, list)] if isinstance(many, list) else []
