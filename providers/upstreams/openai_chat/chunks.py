"""Chunks and plain answers of OpenAI's dialect: read leniently, edited without touching their other bytes."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from providers.framing import sse
from providers.members import locate, put_members, splice
from providers.types import Unparsable

FINISH_REASONS: Final = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})

# Finish reasons that say the answer broke. zai: docs.z.ai, November 2026.
BROKEN: Final = ("error", "network_error")

# Finish reasons outside OpenAI's set, as seen in recordings and in providers' documentation.
_MAPPED_FINISH: Final = {
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_length": "length",  # mistral, docs.mistral.ai/api, November 2026
    "insufficient_system_resource": "length",  # deepseek, api-docs.deepseek.com, November 2026: cut short
    "model_context_window_exceeded": "length",  # zai, anomalyco/opencode issue 18814, November 2026
    "tool_use": "tool_calls",
    "tool_call": "tool_calls",  # azure with deepseek-r1, recorded 2026
    "sensitive": "content_filter",  # zai, docs.z.ai, November 2026
    "safety": "content_filter",
}

_TEXTS: Final = ("content", "reasoning_content", "reasoning", "refusal")
_RICH: Final = ("tool_calls", "function_call", "audio", "images", "reasoning_details")


def parse(data: bytes) -> dict[str, Any]:
    """The JSON of a frame.

    Raises:
        Unparsable: it is none, or no object.
    """
    try:
        members = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise Unparsable("the provider sent a frame that is not JSON") from None
    if not isinstance(members, dict):
        raise Unparsable("the provider sent a frame that is no JSON object")
    return members


def choices_of(members: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The choices that are objects."""
    listed = members.get("choices")
    return [choice for choice in listed if isinstance(choice, dict)] if isinstance(listed, list) else []


def index_of(choice: Mapping[str, Any]) -> int:
    """Which choice this is; a provider that names none means the first."""
    index = choice.get("index")
    return index if isinstance(index, int) else 0


def object_of(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A member that should be an object; empty when it is none."""
    value = members.get(name)
    return value if isinstance(value, dict) else {}


def content_of(piece: Mapping[str, Any]) -> tuple[int, bool]:
    """Bytes of text in a delta or message, and whether it holds any content at all."""
    text_bytes = 0
    for name in _TEXTS:
        value = piece.get(name)
        if value and isinstance(value, str) and not (name == "reasoning" and piece.get("reasoning_content")):
            text_bytes += len(value.encode())
    if text_bytes:
        return text_bytes, True
    return 0, bool(piece.get("content")) or any(piece.get(name) for name in _RICH)


def finishes_plainly(choices: list[Any]) -> bool:
    """Whether each is an object whose finish reason is one of OpenAI's, as nearly always."""
    for choice in choices:
        reason = choice.get("finish_reason") if isinstance(choice, dict) else None
        if not isinstance(reason, str) or reason not in FINISH_REASONS:
            return False
    return True


def with_known_finish(raw: bytes, members: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """Map finish reasons outside OpenAI's set; the original stays in `native_finish_reason`."""
    choices = members["choices"]
    if all(_known_finish(choice) for choice in choices):
        return raw, members
    mapped = [
        choice
        if _known_finish(choice)
        else {
            **choice,
            "finish_reason": _MAPPED_FINISH.get(str(choice["finish_reason"]).lower(), "stop"),
            "native_finish_reason": choice.get("native_finish_reason") or choice["finish_reason"],
        }
        for choice in choices
    ]
    return with_choices(raw, members, mapped)


def with_choices(raw: bytes, members: dict[str, Any], choices: list[Any]) -> tuple[bytes, dict[str, Any]]:
    """Frame or plain body with other choices.

    Raises:
        Unparsable: they nest more deeply than can be written again.
    """
    try:
        written = orjson.dumps(choices)
    except orjson.JSONEncodeError:
        raise Unparsable("the provider's answer is nested too deeply") from None
    return edit(raw, members, {"choices": written}), {**members, "choices": choices}


def edit(
    raw: bytes, members: Mapping[str, Any], put: Mapping[str, bytes], drop: frozenset[str] = frozenset()
) -> bytes:
    """Edit top-level members of the JSON in a frame or a plain body; all other bytes stay.

    A payload spread over several `data:` lines comes back on one.

    Args:
        members: the JSON, parsed.
    """
    if raw[:1] == b"{" or raw.lstrip()[:1] == b"{":
        return _edited(raw, members, put, drop)
    span = sse.payload_span(raw)
    if span is None:
        data = sse.payload(raw)
        assert data is not None
        # Between the lines of valid JSON a line end is blank space.
        return b"data: " + _edited(data.replace(b"\n", b" "), members, put, drop) + b"\n\n"
    return raw[: span[0]] + _edited(raw[span[0] : span[1]], members, put, drop) + raw[span[1] :]


def _edited(data: bytes, members: Mapping[str, Any], put: Mapping[str, bytes], drop: frozenset[str]) -> bytes:
    if drop:
        return splice(data, locate(data, members), put, drop)
    return put_members(data, members, put)


def _known_finish(choice: Any) -> bool:
    reason = choice.get("finish_reason") if isinstance(choice, dict) else None
    return not reason or (isinstance(reason, str) and reason in FINISH_REASONS)
