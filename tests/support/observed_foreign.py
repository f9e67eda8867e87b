"""What other vendors' own packages made of recorded answers, said in OpenAI's words.

The translation here is written from the vendors' documentation and knows nothing of the gateway's.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Final

import orjson

from tests.support.observed import Call, Failure, Reading
from tests.support.recordings import DIRECTORY, Recording, chunk_of, frames_of, observed
from tests.support.scripted import Exchange
from tests.support.translating import ADAPTERS

_SAID: Final = re.compile(rb"play the recording ([\w-]+)\.")

# A provider's own word, to OpenAI's. `None` is the answer to a prompt that was refused.
_REASONS: Final[Mapping[str, Mapping[str | None, str]]] = {
    "anthropic": {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "tool_use": "tool_calls",
        "max_tokens": "length",
        "refusal": "content_filter",
    },
    "bedrock": {
        "end_turn": "stop",
        "tool_use": "tool_calls",
        "max_tokens": "length",
        "guardrail_intervened": "content_filter",
    },
    "cohere": {"COMPLETE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tool_calls"},
    "gemini": {
        "STOP": "stop",
        "MAX_TOKENS": "length",
        "RECITATION": "content_filter",
        None: "content_filter",
    },
    "openai-responses": {"completed": "stop", "incomplete": "length"},
}


def adapter_of(recording: Recording) -> str:
    """Whose configured provider is to read it: Google's two places are two adapters."""
    adapter = ADAPTERS[recording.provider, recording.endpoint]
    return "vertex" if (adapter, recording.provider) == ("gemini", "vertex") else adapter


@cache
def model_names() -> Mapping[str, str]:
    """The provider's name of the model that was asked, by id of a recording; empty when there is no set."""
    if not DIRECTORY.is_dir():
        return {}
    index = orjson.loads((DIRECTORY / "index.json").read_bytes())
    return {entry["id"]: entry["model"] or "a-model" for entry in index}


def asking_for(recording: Recording) -> list[dict[str, str]]:
    """Messages that name the recording to be played: words travel in every dialect, unknown members do not."""
    return [{"role": "user", "content": f"Please play the recording {recording.id}."}]


def named_in_words(exchange: Exchange) -> str:
    """The recording that the last message of that kind in a request names."""
    name: bytes = _SAID.findall(exchange.body)[-1]
    return name.decode()


def in_openais_words(recording: Recording) -> Reading:
    """What the vendor's package made of the provider's own bytes; of Claude's at other clouds none was asked."""
    note = observed().get(recording.id) or _spelled_out(recording)
    if "error" in note:
        error = note["error"]
        return Reading(
            failure=Failure(error["class"].partition(".")[2], str(error["status"]), error["message"])
        )
    dialect = ADAPTERS[recording.provider, recording.endpoint]
    calls = tuple(
        Call(call["id"], call["name"], in_one_form(call["arguments"])) for call in note["tool_calls"]
    )
    reason = _REASONS[dialect][note["status"] if dialect == "openai-responses" else note["finish_reason"]]
    return Reading(
        text=note["text"],
        reasoning=_in_paragraphs(recording, note["reasoning"]) + note.get("tool_plan", ""),
        tool_calls=calls,
        finish_reason="tool_calls" if calls and reason == "stop" else reason,
        usage=_COUNTED[dialect](note["usage"] or {}),
    )


def comparable(recording: Recording, actual: Reading) -> Reading:
    """What came through the gateway, without spellings that mean nothing, and the ids that the gateway had to make.

    Of usage the counts that providers have in common are left, and the mark of an estimate.
    """
    calls = tuple(replace(call, arguments=in_one_form(call.arguments)) for call in actual.tool_calls)
    ids = [call.id for call in calls]
    assert all(ids), ids
    assert len(ids) == len(set(ids)), ids
    known = in_openais_words(recording).tool_calls
    if known and all(call.id is None for call in known):
        calls = tuple(replace(call, id=None) for call in calls)
    return replace(actual, tool_calls=calls, usage=counts_of(actual.usage))


def counts_of(usage: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The counts that mean the same at all providers."""
    if usage is None:
        return None
    prompt = usage.get("prompt_tokens_details") or {}
    answer = usage.get("completion_tokens_details") or {}
    counts = _counts(
        usage["prompt_tokens"],
        usage["completion_tokens"],
        read=prompt.get("cached_tokens") or 0,
        written=prompt.get("cache_write_tokens") or 0,
        reasoning=answer.get("reasoning_tokens") or 0,
    )
    return {**counts, "estimated": True} if usage.get("estimated") else counts


def in_one_form(arguments: str | Mapping[str, Any]) -> str:
    """Arguments of a call as JSON in one spelling; as they are when they are none."""
    try:
        members = orjson.loads(arguments) if isinstance(arguments, str) else arguments
    except orjson.JSONDecodeError:
        assert isinstance(arguments, str)
        return arguments
    return orjson.dumps(members, option=orjson.OPT_SORT_KEYS).decode()


def _spelled_out(recording: Recording) -> Mapping[str, Any]:
    """The plainest reading of Claude's answer: of text and thinking alone."""
    assert ADAPTERS[recording.provider, recording.endpoint] == "anthropic", recording.id
    if not recording.stream:
        answer = orjson.loads(recording.body)
        blocks, usage, reason = answer["content"], answer["usage"], answer["stop_reason"]
    else:
        said = [members for frame in frames_of(recording.body) if (members := chunk_of(frame))]
        blocks = [members["delta"] for members in said if members["type"] == "content_block_delta"]
        usage = said[0]["message"]["usage"]
        for members in said:
            if members["type"] == "message_delta":
                usage, reason = usage | members["usage"], members["delta"]["stop_reason"]
    return {
        "text": "".join(block.get("text", "") for block in blocks),
        "reasoning": "".join(block.get("thinking", "") for block in blocks),
        "tool_calls": [],
        "finish_reason": reason,
        "usage": usage,
    }


def _in_paragraphs(recording: Recording, reasoning: str) -> str:
    """Responses' summaries are lists of paragraphs, which the note joins without a space."""
    if ADAPTERS[recording.provider, recording.endpoint] != "openai-responses":
        return reasoning
    if recording.stream:
        said = [chunk_of(frame) or {} for frame in frames_of(recording.body)]
        answer = [members["response"] for members in said if "response" in members][-1]
    else:
        answer = orjson.loads(recording.body)
    items = [item for item in answer["output"] if item["type"] == "reasoning"]
    paragraphs = [part["text"] for item in items for part in item.get("summary") or ()]
    assert reasoning == "".join(paragraphs)
    return "\n\n".join(paragraphs)


def _counts(prompt: int, answer: int, *, read: int, written: int, reasoning: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "cached_tokens": read,
        "cache_write_tokens": written,
        "reasoning_tokens": reasoning,
    }


def _of_anthropic(usage: Mapping[str, Any]) -> dict[str, Any]:
    """What was read from the cache and written to it stands beside the rest of the prompt."""
    read, written = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0
    details = usage.get("output_tokens_details") or {}
    return _counts(
        usage["input_tokens"] + read + written,
        usage["output_tokens"],
        read=read,
        written=written,
        reasoning=details.get("thinking_tokens") or 0,
    )


def _of_bedrock(usage: Mapping[str, Any]) -> dict[str, Any]:
    """The total says that what was read from the cache and written to it stands beside the input."""
    read, written = usage.get("cacheReadInputTokens") or 0, usage.get("cacheWriteInputTokens") or 0
    prompt = usage["inputTokens"] + read + written
    assert usage["totalTokens"] == prompt + usage["outputTokens"]
    return _counts(prompt, usage["outputTokens"], read=read, written=written, reasoning=0)


def _of_cohere(usage: Mapping[str, Any]) -> dict[str, Any]:
    """What is charged, of which nothing is cheaper for being cached."""
    billed, tokens = usage["billed_units"], usage["tokens"]
    answer = int(billed["output_tokens"])
    reasoning = min(int(tokens.get("reasoning_tokens") or 0), answer)
    return _counts(int(billed["input_tokens"]), answer, read=0, written=0, reasoning=reasoning)


def _of_gemini(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Four counts make the total: prompt, what tools at Google's read, thoughts and the answer."""
    prompt = (usage.get("prompt_token_count") or 0) + (usage.get("tool_use_prompt_token_count") or 0)
    thoughts = usage.get("thoughts_token_count") or 0
    answer = (usage.get("candidates_token_count") or 0) + thoughts
    assert (usage.get("total_token_count") or 0) == prompt + answer
    return _counts(
        prompt, answer, read=usage.get("cached_content_token_count") or 0, written=0, reasoning=thoughts
    )


def _of_responses(usage: Mapping[str, Any]) -> dict[str, Any]:
    """As in chat, with other names."""
    return _counts(
        usage["input_tokens"],
        usage["output_tokens"],
        read=usage["input_tokens_details"].get("cached_tokens") or 0,
        written=usage["input_tokens_details"].get("cache_write_tokens") or 0,
        reasoning=usage["output_tokens_details"].get("reasoning_tokens") or 0,
    )


_COUNTED: Final[Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "anthropic": _of_anthropic,
    "bedrock": _of_bedrock,
    "cohere": _of_cohere,
    "gemini": _of_gemini,
    "openai-responses": _of_responses,
}
