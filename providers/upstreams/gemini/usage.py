"""Tokens as Gemini and Vertex AI count them."""

from collections.abc import Mapping
from typing import Any, Final

from providers.types import Usage


def usage_of(reported: Mapping[str, Any]) -> Usage | None:
    """`usageMetadata`; `None` when it counts nothing.

    Thoughts are not part of `candidatesTokenCount`, and what tools at Google's read is not part of `promptTokenCount`:
    the total is the sum of all four (recorded 2026). The cached part is one of the prompt.
    """
    prompt_tokens = _count(reported, "promptTokenCount")
    answer_tokens = _count(reported, "candidatesTokenCount")
    thought_tokens = _count(reported, "thoughtsTokenCount")
    if prompt_tokens is None and answer_tokens is None and thought_tokens is None:
        return None
    input_tokens = (prompt_tokens or 0) + (_count(reported, "toolUsePromptTokenCount") or 0)
    output_tokens = (answer_tokens or 0) + (thought_tokens or 0)
    cached_tokens = min(_count(reported, "cachedContentTokenCount") or 0, input_tokens)
    heard_tokens = _of_modality(reported, "promptTokensDetails", "AUDIO")
    return _usage(input_tokens, output_tokens, cached_tokens, thought_tokens or 0, heard_tokens)


def _usage(
    input_tokens: int, output_tokens: int, cached_tokens: int, thought_tokens: int, heard_tokens: int
) -> Usage:
    prompt = {"cached_tokens": cached_tokens}
    if heard_tokens:
        prompt["audio_tokens"] = heard_tokens
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=cached_tokens,
        reasoning_tokens=thought_tokens,
        reported={
            "prompt_tokens": input_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": input_tokens + output_tokens,
            "prompt_tokens_details": prompt,
            "completion_tokens_details": {"reasoning_tokens": thought_tokens},
        },
    )


def _of_modality(reported: Mapping[str, Any], name: str, modality: str) -> int:
    listed = reported.get(name)
    return sum(
        _count(each, "tokenCount") or 0
        for each in (listed if isinstance(listed, list) else ())
        if isinstance(each, dict) and each.get("modality") == modality
    )


def _count(members: Mapping[str, Any], name: str) -> int | None:
    value = members.get(name)
    return max(value, 0) if isinstance(value, int) and not isinstance(value, bool) else None


NOTHING: Final = _usage(0, 0, 0, 0, 0)
"""What a refused prompt takes when nothing is counted."""
