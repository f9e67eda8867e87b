"""What a request needs of a model, and about how long it is: read off its members, without a tokenizer."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from providers.types import Canonical

BYTES_PER_TOKEN: Final = 4
"""A guess. JSON around the text makes it err on the high side for English."""

MOST_BYTES_PER_TOKEN: Final = 8
"""Hardly any text has longer tokens: a prompt that is too long by this measure is too long."""

ATTACHMENT_TOKENS: Final = 1000
"""A guess for an image, a document or a recording, whose bytes say little: models scale them down."""

_NEEDED_BY_PART: Final = {
    "image_url": "vision",
    "input_image": "vision",
    "input_audio": "audio_in",
    "file": "pdf",
    "input_file": "pdf",
}
_NO_REASONING: Final = frozenset({"none", "minimal"})
_NOTHING: Final = frozenset[str]()
_TELLING: Final = frozenset(
    {"tools", "functions", "response_format", "logprobs", "top_logprobs", "reasoning_effort", "reasoning"}
)


class Needs(NamedTuple):
    """
    Attributes:
        can: words of a model's `can`.
        prompt_tokens: a guess.
        least_prompt_tokens: as good as surely it has these.
    """

    can: frozenset[str]
    prompt_tokens: int
    least_prompt_tokens: int


def needs_of(request: Canonical, operation: str) -> Needs:
    """What a request needs."""
    members = request.members
    if operation == "embeddings":
        # Each of its inputs has the context for itself.
        return Needs(frozenset({"embeddings"}), len(request.raw) // BYTES_PER_TOKEN + 1, 0)
    found: set[str] = set()
    attachments = attached_chars = 0
    for message in members.get("messages") or ():
        content = message.get("content")
        if isinstance(content, list):
            for part in content:
                need = _needed_by(part) if isinstance(part, dict) else None
                if need is not None:
                    found.add(need)
                    attachments += 1
                    attached_chars += _chars(part)
    if not _TELLING.isdisjoint(members):
        found.update(_of_members(members))
    text_bytes = max(0, len(request.raw) - attached_chars)
    return Needs(
        frozenset(found) if found else _NOTHING,
        text_bytes // BYTES_PER_TOKEN + 1 + attachments * ATTACHMENT_TOKENS,
        text_bytes // MOST_BYTES_PER_TOKEN,
    )


def _needed_by(part: Mapping[str, Any]) -> str | None:
    kind = part.get("type")
    return _NEEDED_BY_PART.get(kind) if isinstance(kind, str) else None


def _of_members(members: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    if members.get("tools") or members.get("functions"):
        found.add("tools")
    wanted = members.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") == "json_schema":
        found.add("json_schema")
    if members.get("logprobs") or members.get("top_logprobs"):
        found.add("logprobs")
    if _reasons(members.get("reasoning_effort"), members.get("reasoning")):
        found.add("reasoning")
    return found


def _reasons(effort: object, reasoning: object) -> bool:
    """Whether it asks for reasoning. An effort that means none needs no model that can."""
    if isinstance(reasoning, dict):
        if reasoning.get("enabled") is False:
            return False
        effort = reasoning.get("effort") or effort
        if reasoning.get("enabled") or reasoning.get("max_tokens"):
            return True
    return isinstance(effort, str) and effort not in _NO_REASONING


def _chars(part: Mapping[str, Any]) -> int:
    """How much of the body an attachment takes."""
    longest = 0
    for value in part.values():
        if isinstance(value, dict):
            longest += sum(len(inner) for inner in value.values() if isinstance(inner, str))
        elif isinstance(value, str):
            longest += len(value)
    return longest
