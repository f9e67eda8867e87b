"""Usage as the providers of OpenAI's dialect report it: in many places, and not always adding up."""

from collections.abc import Mapping
from typing import Any, Final

from providers.types import Usage
from providers.upstreams.openai_chat.chunks import choices_of, object_of

# xai: 1 USD = 10^10 ticks (docs.x.ai/developers/cost-tracking, November 2026).
_TICKS_PER_USD: Final = 10_000_000_000


def read_usage(members: Mapping[str, Any]) -> Usage | None:
    """Usage wherever the members of a chunk or an answer say so; `None` when they do not.

    Whole prompt and whole answer: parts that the provider leaves out of its two sums, but not of its total, are added.
    Cached parts are never larger than the prompt.
    """
    reported = _reported(members)
    if reported is None:
        return None
    prompt = object_of(reported, "prompt_tokens_details") or object_of(reported, "prompt_token_details")
    answer = object_of(reported, "completion_tokens_details")
    input_tokens = _count(reported, "prompt_tokens")
    output_tokens = _count(reported, "completion_tokens")
    reasoning_tokens = _count(answer, "reasoning_tokens") or _count(reported, "reasoning_tokens")
    beyond_tokens = _count(reported, "total_tokens") - input_tokens - output_tokens
    if beyond_tokens > 0:
        audio_tokens = _count(prompt, "audio_tokens")
        # xai counts reasoning, and mistral the audio of a prompt, in the total alone (both recorded 2026).
        if beyond_tokens in (reasoning_tokens, reasoning_tokens + audio_tokens):
            output_tokens += reasoning_tokens
        if beyond_tokens in (audio_tokens, reasoning_tokens + audio_tokens):
            input_tokens += audio_tokens
    # azure with grok-4: 403 cached tokens of a prompt of 347 (recorded 2026).
    read_tokens = min(_cache_read(reported, prompt), input_tokens)
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=read_tokens,
        cache_write_tokens=min(_cache_write(reported, prompt), input_tokens - read_tokens),
        reasoning_tokens=reasoning_tokens,
        provider_cost_usd=_cost_usd(reported),
        reported=reported,
    )


def _reported(members: Mapping[str, Any]) -> Mapping[str, Any] | None:
    reported = members.get("usage")
    if isinstance(reported, dict):
        return reported
    extra = members.get("x_groq")  # groq, recorded 2026: usage stands there too, at times only there
    reported = extra.get("usage") if isinstance(extra, dict) else None
    if isinstance(reported, dict):
        return reported
    for choice in choices_of(members):
        # moonshot: in the choice that finishes (earendil-works/pi issue 2017, higress pull 1568, November 2026).
        reported = choice.get("usage")
        if isinstance(reported, dict):
            return reported
    return None


def _cache_read(reported: Mapping[str, Any], prompt: Mapping[str, Any]) -> int:
    if "cached_tokens" in prompt:
        return _count(prompt, "cached_tokens")
    return (
        _count(reported, "prompt_cache_hit_tokens")  # deepseek, recorded 2026
        # together, recorded 2026; moonshot, platform.kimi.ai, November 2026
        or _count(reported, "cached_tokens")
        or _count(reported, "cache_read_input_tokens")  # doubleword, recorded 2026
    )


def _cache_write(reported: Mapping[str, Any], prompt: Mapping[str, Any]) -> int:
    return (
        _count(prompt, "cache_write_tokens")  # openrouter, recorded 2026
        # dashscope's explicit cache (alibabacloud.com/help/en/model-studio/context-cache, November 2026)
        or _count(prompt, "cache_creation_input_tokens")
        or _count(reported, "cache_creation_input_tokens")  # doubleword, recorded 2026
    )


def _cost_usd(reported: Mapping[str, Any]) -> float | None:
    said = reported.get("cost")
    cost = _number(said)
    if isinstance(said, dict):
        cost = _number(said.get("total_cost"))  # perplexity, recorded 2026
    elif cost is not None and reported.get("is_byok") is True:
        # openrouter: `cost` is its fee alone when the key is one's own (openrouter.ai/docs, November 2026).
        cost += _number(object_of(reported, "cost_details").get("upstream_inference_cost")) or 0.0
    if cost is None and "cost_in_usd_ticks" in reported:
        ticks = _number(reported["cost_in_usd_ticks"])
        if ticks:  # zero where azure serves xai's models (recorded 2026): not said
            cost = ticks / _TICKS_PER_USD
    return cost


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _count(members: Mapping[str, Any], name: str) -> int:
    value = members.get(name, 0)
    if type(value) is int:  # as nearly always
        return value if value > 0 else 0  # noqa: FURB136 - a call of `max` would be half the price of this function
    return int(value) if isinstance(value, float) and value > 0 else 0
