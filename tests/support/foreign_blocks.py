"""What a recorded answer holds that its provider wants back on the next turn, and what a request gives back.

Both are read as plainly as can be and said in one form, so that they compare: a list of what the assistant said, in
order, and a list of results. Texts that follow one another are one, because clients join them.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Any, Final, NamedTuple

import orjson

from tests.support.observed_foreign import in_one_form
from tests.support.recordings import Recording, chunk_of, frames_of
from tests.support.translating import ADAPTERS

Block = tuple[Any, ...]


class Turn(NamedTuple):
    """What the assistant said, and the results that followed: id of the call or name of the tool, and text."""

    said: list[Block]
    results: list[tuple[str, str]]


def owed(recording: Recording) -> list[Block]:
    """What the answer holds that has to come back."""
    dialect = ADAPTERS[recording.provider, recording.endpoint]
    return _joined(_OWED[dialect](recording))


def sent_back(dialect: str, request: Mapping[str, Any]) -> Turn:
    """The last turn of the assistant in a provider's request, and the results behind it."""
    said, results = _SENT[dialect](request)
    return Turn(_joined(said), results)


def _joined(blocks: Iterable[Block]) -> list[Block]:
    """Neighbouring texts as one; without texts that say nothing."""
    joined: list[Block] = []
    for block in blocks:
        if block[0] == "text" and not block[2:] and joined and joined[-1][0] == "text" and not joined[-1][2:]:
            joined[-1] = ("text", joined[-1][1] + block[1])
        elif block != ("text", ""):
            joined.append(block)
    return joined


def _chunks(recording: Recording) -> list[dict[str, Any]]:
    return [chunk for frame in frames_of(recording.body) if (chunk := chunk_of(frame)) is not None]


# Anthropic


def _claude_owed(recording: Recording) -> Iterator[Block]:
    if not recording.stream:
        return _claude_blocks(orjson.loads(recording.body)["content"])
    blocks: dict[int, dict[str, Any]] = {}
    written: dict[int, str] = {}
    for event in _chunks(recording):
        if event["type"] == "content_block_start":
            blocks[event["index"]] = event["content_block"]
        if event["type"] == "content_block_delta":
            block, delta = blocks[event["index"]], event["delta"]
            for name in ("text", "thinking", "signature"):
                if name in delta:
                    block[name] = block.get(name, "") + delta[name]
            written[event["index"]] = written.get(event["index"], "") + delta.get("partial_json", "")
    for index, block in blocks.items():
        if written.get(index):
            block["input"] = orjson.loads(written[index])
    return _claude_blocks(blocks.values())


def _claude_blocks(blocks: Iterable[Mapping[str, Any]]) -> Iterator[Block]:
    for block in blocks:
        match block["type"]:
            case "text":
                yield "text", block["text"]
            case "thinking":
                yield "thought", block["thinking"], block["signature"]
            case "redacted_thinking":
                yield "secret", block["data"]
            case "tool_use":
                yield "call", block["id"], block["name"], in_one_form(block["input"])


def _claude_sent(request: Mapping[str, Any]) -> tuple[Iterator[Block], list[tuple[str, str]]]:
    *_, answer, after = request["messages"]
    assert ("assistant", "user") == (answer["role"], after["role"])
    results = [
        (block["tool_use_id"], block["content"])
        for block in after["content"]
        if block["type"] == "tool_result"
    ]
    return _claude_blocks(answer["content"]), results


# Bedrock


def _converse_owed(recording: Recording) -> Iterator[Block]:
    if not recording.stream:
        return _converse_blocks(orjson.loads(recording.body)["output"]["message"]["content"])
    blocks: dict[int, dict[str, Any]] = {}
    for event in _events(recording.body):
        if "contentBlockIndex" not in event:
            continue
        block = blocks.setdefault(event["contentBlockIndex"], {})
        if "start" in event:
            block["toolUse"] = {**event["start"]["toolUse"], "input": ""}
        delta = event.get("delta", {})
        if "text" in delta:
            block["text"] = block.get("text", "") + delta["text"]
        if "toolUse" in delta:
            block["toolUse"]["input"] += delta["toolUse"]["input"]
        thought = delta.get("reasoningContent", {})
        for name in ("text", "signature"):
            if name in thought:
                kept = block.setdefault("reasoningContent", {}).setdefault("reasoningText", {})
                kept[name] = kept.get(name, "") + thought[name]
        if "redactedContent" in thought:
            block["reasoningContent"] = {"redactedContent": thought["redactedContent"]}
    return _converse_blocks(blocks[index] for index in sorted(blocks))


def _events(body: bytes) -> Iterator[dict[str, Any]]:
    """Payloads of an event stream: lengths of the message and of its headers, their sum, headers, payload, sum."""
    while body:
        total_bytes, headers_bytes = struct.unpack_from(">II", body)
        yield orjson.loads(body[12 + headers_bytes : total_bytes - 4])
        body = body[total_bytes:]


def _converse_blocks(blocks: Iterable[Mapping[str, Any]]) -> Iterator[Block]:
    for block in blocks:
        if "text" in block:
            yield "text", block["text"]
        if "citationsContent" in block:
            yield from (("text", part["text"]) for part in block["citationsContent"]["content"])
        if "toolUse" in block:
            call = block["toolUse"]
            yield "call", call["toolUseId"], call["name"], in_one_form(call["input"] or "{}")
        thought = block.get("reasoningContent", {})
        if "reasoningText" in thought:
            yield "thought", thought["reasoningText"].get("text", ""), thought["reasoningText"]["signature"]
        if "redactedContent" in thought:
            yield "secret", thought["redactedContent"]


def _converse_sent(request: Mapping[str, Any]) -> tuple[Iterator[Block], list[tuple[str, str]]]:
    *_, answer, after = request["messages"]
    assert ("assistant", "user") == (answer["role"], after["role"])
    results = [block["toolResult"] for block in after["content"] if "toolResult" in block]
    return _converse_blocks(answer["content"]), [
        (result["toolUseId"], result["content"][0]["text"]) for result in results
    ]


# Gemini


def _gemini_owed(recording: Recording) -> Iterator[Block]:
    if recording.stream:
        chunks = _chunks(recording)
    else:
        answer = orjson.loads(recording.body)
        chunks = answer if isinstance(answer, list) else [answer]
    candidates = [chunk["candidates"][0] for chunk in chunks if chunk.get("candidates")]
    parts = [part for each in candidates for part in each.get("content", {}).get("parts", ())]
    # Thoughts without a signature are for people.
    return _gemini_parts(part for part in parts if not part.get("thought") or part.get("thoughtSignature"))


def _gemini_parts(parts: Iterable[Mapping[str, Any]]) -> Iterator[Block]:
    for part in parts:
        signature = [part["thoughtSignature"]] if part.get("thoughtSignature") else []
        if "functionCall" in part:
            call = part["functionCall"]
            yield "call", call["name"], in_one_form(call.get("args") or {}), *signature
        elif part.get("thought"):
            yield "thought", part["text"], *signature
        elif "text" in part:
            yield "text", part["text"], *signature


def _gemini_sent(request: Mapping[str, Any]) -> tuple[Iterator[Block], list[tuple[str, str]]]:
    *_, answer, after = request["contents"]
    assert ("model", "user") == (answer["role"], after["role"])
    results = [part["functionResponse"] for part in after["parts"] if "functionResponse" in part]
    return _gemini_parts(answer["parts"]), [
        (result["name"], _gemini_text(result["response"])) for result in results
    ]


def _gemini_text(response: Mapping[str, Any]) -> str:
    """Google leaves the form to its users."""
    if "content" in response:
        return "".join(part["text"] for part in response["content"])
    text = response["result"]
    assert isinstance(text, str)
    return text


# Cohere


def _cohere_owed(recording: Recording) -> Iterator[Block]:
    if not recording.stream:
        return _cohere_message(orjson.loads(recording.body)["message"])
    message: dict[str, Any] = {"tool_plan": ""}
    content: dict[int, dict[str, str]] = {}
    calls: dict[int, dict[str, Any]] = {}
    for event in _chunks(recording):
        delta = (event.get("delta") or {}).get("message") or {}
        match event["type"]:
            case "content-start" | "content-delta":
                for name in ("text", "thinking"):
                    if name in delta["content"]:
                        block = content.setdefault(event["index"], {})
                        block[name] = block.get(name, "") + delta["content"][name]
            case "tool-plan-delta":
                message["tool_plan"] += delta["tool_plan"]
            case "tool-call-start":
                calls[event["index"]] = delta["tool_calls"]
            case "tool-call-delta":
                calls[event["index"]]["function"]["arguments"] += delta["tool_calls"]["function"]["arguments"]
    return _cohere_message({**message, "content": list(content.values()), "tool_calls": list(calls.values())})


def _cohere_message(message: Mapping[str, Any]) -> Iterator[Block]:
    if message.get("tool_plan"):
        yield "plan", message["tool_plan"]
    content = message.get("content") or ()
    for block in [{"text": content}] if isinstance(content, str) else content:
        if "thinking" in block:
            yield "thought", block["thinking"]
        if "text" in block:
            yield "text", block["text"]
    for call in message.get("tool_calls") or ():
        function = call["function"]
        yield "call", call["id"], function["name"], in_one_form(function["arguments"] or "{}")


def _cohere_sent(request: Mapping[str, Any]) -> tuple[Iterator[Block], list[tuple[str, str]]]:
    messages = request["messages"]
    answer = max(at for at, message in enumerate(messages) if message["role"] == "assistant")
    results = [message for message in messages[answer:] if message["role"] == "tool"]
    return _cohere_message(messages[answer]), [
        (result["tool_call_id"], _cohere_text(result["content"])) for result in results
    ]


def _cohere_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(
        block["text"] if block["type"] == "text" else block["document"]["data"]["text"] for block in content
    )


# Responses


def _responses_owed(recording: Recording) -> Iterator[Block]:
    """What is secret is encrypted anew in each event of a stream; the one that ends an item is for sending back.

    Reasoning belongs to what follows it; before a call of a hosted tool, which cannot be sent back, it has no place.
    Items that can neither be read nor decrypted say nothing without a store. A chat's message begins with its thoughts.
    """
    if recording.stream:
        events = [event for event in _chunks(recording) if event["type"] == "response.output_item.done"]
        items = [event["item"] for event in sorted(events, key=lambda event: event["output_index"])]
    else:
        items = orjson.loads(recording.body)["output"]
    blocks = list(_responses_items(items))
    kept = [
        block
        for block, follower in zip_longest(blocks, blocks[1:])
        if block[0] != "hosted"
        and (block[0] != "thought" or ((block[2] or block[3]) and (follower or block)[0] != "hosted"))
    ]
    return iter(sorted(kept, key=lambda block: block[0] != "thought"))


def _responses_items(items: Iterable[Mapping[str, Any]]) -> Iterator[Block]:
    for item in items:
        match item.get("type", "message"):
            case "message":
                content = item["content"]
                for part in [{"text": content}] if isinstance(content, str) else content:
                    yield ("refusal", part["refusal"]) if "refusal" in part else ("text", part["text"])
            case "function_call":
                yield "call", item["call_id"], item["name"], in_one_form(item["arguments"])
            case "reasoning":
                parts = (*(item.get("summary") or ()), *(item.get("content") or ()))
                texts = tuple((part["type"], part["text"]) for part in parts)
                yield "thought", item.get("id"), texts, item.get("encrypted_content")
            case hosted:
                yield "hosted", hosted


def _responses_sent(request: Mapping[str, Any]) -> tuple[Iterator[Block], list[tuple[str, str]]]:
    items = request["input"]
    asked = max(at for at, item in enumerate(items) if item.get("role") == "user" and item is not items[-1])
    answer = [
        item
        for item in items[asked + 1 :]
        if item.get("role") != "user" and item.get("type") != "function_call_output"
    ]
    results = [item for item in items if item.get("type") == "function_call_output"]
    return _responses_items(answer), [(item["call_id"], item["output"]) for item in results]


_OWED: Final[Mapping[str, Callable[[Recording], Iterator[Block]]]] = {
    "anthropic": _claude_owed,
    "bedrock": _converse_owed,
    "cohere": _cohere_owed,
    "gemini": _gemini_owed,
    "openai-responses": _responses_owed,
}
_SENT: Final[Mapping[str, Callable[[Mapping[str, Any]], tuple[Iterator[Block], list[tuple[str, str]]]]]] = {
    "anthropic": _claude_sent,
    "bedrock": _converse_sent,
    "cohere": _cohere_sent,
    "gemini": _gemini_sent,
    "openai-responses": _responses_sent,
}
