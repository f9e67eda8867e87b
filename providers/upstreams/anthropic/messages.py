"""A conversation as Claude takes it: turns of blocks, users and assistants by turns.

Sources: platform.claude.com/docs, pages "messages", "vision", "pdf-support", "tool-use" and "preserved-thinking",
November 2026, and recorded requests of other clients.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from providers.conversation import Call, Conversation, Message, Part

REASONING_FORMAT: Final = "anthropic-claude-v1"
"""OpenRouter's name for blocks with Claude's signatures."""

_IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_TEXTS: Final = ("text/", "application/json", "application/xml")
_WEB: Final = ("http://", "https://")
# Claude's signatures hold wherever it runs.
_BEDROCK_FORMAT: Final = "amazon-bedrock-v1"
OWN_FORMATS: Final = (REASONING_FORMAT, _BEDROCK_FORMAT, None)

# Blocks in Anthropic's own spelling, which some clients send among OpenAI's parts.
_OWN_BLOCKS: Final = frozenset(
    {
        "image", "document", "search_result", "container_upload", "thinking", "redacted_thinking", "server_tool_use",
        "web_search_tool_result", "web_fetch_tool_result", "code_execution_tool_result",
    }
)  # fmt: skip

_ID: Final = re.compile(r"[^a-zA-Z0-9_-]")

Block = Mapping[str, Any]


def missing(conversation: Conversation) -> Iterator[str]:
    """Paths of parts that Claude cannot read."""
    for part in conversation.system:
        if part.kind != "text":
            yield part.where
    for message in conversation.messages:
        for part in message.parts:
            if _block(part) is None:
                yield part.where


def system(conversation: Conversation) -> list[Block]:
    """Blocks of the system prompt."""
    return [_text(part) for part in conversation.system if part.text.strip()]


def turns(conversation: Conversation) -> list[dict[str, Any]]:
    """The messages, neighbours of one side joined; in a user's turn all results of tools come first."""
    made: list[dict[str, Any]] = []
    for message in conversation.messages:
        side = "assistant" if message.role == "assistant" else "user"
        blocks = _assistant(message) if side == "assistant" else _user(message)
        if not blocks:
            continue
        if made and made[-1]["role"] == side:
            made[-1]["content"] += blocks
        else:
            made.append({"role": side, "content": blocks})
    for turn in made:
        if turn["role"] == "user":
            turn["content"].sort(key=_after_results)
    if made and made[-1]["role"] == "assistant":
        _without_blank_end(made[-1]["content"])
    return made


def tool_id(call_id: str) -> str:
    """An id of a call with the letters Claude takes: those of other providers may hold more."""
    return _ID.sub("_", call_id) or "call"


def _after_results(block: Block) -> bool:
    return block.get("type") != "tool_result"


def _without_blank_end(content: list[Block]) -> None:
    """The answer continues the last message, which may not end in blanks."""
    last = content[-1]
    if last.get("type") == "text":
        content[-1] = {**last, "text": last["text"].rstrip()}


def _user(message: Message) -> list[Block]:
    blocks = [block for part in message.parts if _says(part) and (block := _block(part)) is not None]
    if message.role != "tool":
        return blocks
    result: dict[str, Any] = {"type": "tool_result", "tool_use_id": tool_id(message.call_id)}
    cache = next((part.cache for part in reversed(message.parts) if part.cache is not None), None)
    plain = [{name: value for name, value in block.items() if name != "cache_control"} for block in blocks]
    if len(plain) == 1 and plain[0]["type"] == "text":
        result["content"] = plain[0]["text"]
    elif plain:
        result["content"] = plain
    if cache is not None:
        result["cache_control"] = cache
    return [result]


def _assistant(message: Message) -> list[Block]:
    """Reasoning goes back to where it stood: its index counts what came before it, a run of texts as one."""
    said = [block for part in message.parts if _says(part) and (block := _block(part)) is not None]
    others: list[Block] = [*said, *(_use(call) for call in message.calls)]
    blocks: list[Block] = []
    for entry in message.reasoning:
        block = _reasoning(entry)
        if block is None:
            continue
        index = entry.get("index")
        while others and isinstance(index, int) and len(blocks) < index:
            blocks.append(others.pop(0))
        blocks.append(block)
    return blocks + others


def _reasoning(entry: Mapping[str, Any]) -> Block | None:
    """A block of reasoning; `None` for what another provider made, or what nobody signed."""
    if entry.get("format") not in OWN_FORMATS:
        return None
    if entry.get("type") == "reasoning.encrypted" and isinstance(entry.get("data"), str):
        data = entry["data"]
        if entry.get("format") == _BEDROCK_FORMAT:  # there the same data is written in base64 once more
            try:
                data = base64.b64decode(data, validate=True).decode()
            except ValueError:
                return None
        return {"type": "redacted_thinking", "data": data}
    signature = entry.get("signature")
    if entry.get("type") != "reasoning.text" or not isinstance(signature, str) or not signature:
        return None
    text = entry.get("text")
    return {
        "type": "thinking",
        "thinking": text if isinstance(text, str) else "",
        "signature": signature,
    }


def _use(call: Call) -> Block:
    return {
        "type": "tool_use",
        "id": tool_id(call.id),
        "name": call.name,
        "input": _arguments(call.arguments),
    }


def _arguments(written: str) -> Any:
    """Arguments as they were written, so that a cached prompt stays the same; wrapped when they are no object."""
    try:
        members = orjson.loads(written)
    except orjson.JSONDecodeError:
        return {"invalid_json": written}
    return orjson.Fragment(written) if isinstance(members, dict) else {"value": members}


def _says(part: Part) -> bool:
    """Claude refuses texts that are blank."""
    return part.kind not in ("text", "refusal") or bool(part.text.strip())


def _block(part: Part) -> Block | None:
    """A part as a block; `None` when Claude cannot read it."""
    match part.kind:
        case "text" | "refusal":
            return _text(part)
        case "image":
            return _cached(part, _image(part))
        case "file":
            return _cached(part, _file(part))
        case "other" if part.raw.get("type") in _OWN_BLOCKS:
            return part.raw
        case _:
            return None


def _text(part: Part) -> Block:
    block: dict[str, Any] = {"type": "text", "text": part.text}
    if part.cache is not None:
        block["cache_control"] = part.cache
    return block


def _cached(part: Part, block: dict[str, Any] | None) -> Block | None:
    if block is not None and part.cache is not None:
        block["cache_control"] = part.cache
    return block


def _image(part: Part) -> dict[str, Any] | None:
    if part.data and part.media_type in _IMAGES:
        return {
            "type": "image",
            "source": {"type": "base64", "media_type": part.media_type, "data": part.data},
        }
    if part.url.startswith(_WEB):
        return {"type": "image", "source": {"type": "url", "url": part.url}}
    return None


def _file(part: Part) -> dict[str, Any] | None:
    source = _document_source(part)
    if source is None:
        return _image(part) if part.data else None
    block: dict[str, Any] = {"type": "document", "source": source}
    if part.name:
        block["title"] = part.name
    return block


def _document_source(part: Part) -> dict[str, Any] | None:
    if part.data and part.media_type == "application/pdf":
        return {"type": "base64", "media_type": part.media_type, "data": part.data}
    if part.data and part.media_type.startswith(_TEXTS):
        try:
            text = base64.b64decode(part.data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        return {"type": "text", "media_type": "text/plain", "data": text}
    if part.url.startswith(_WEB):
        return {"type": "url", "url": part.url}
    if part.file_id.startswith("file_"):  # of Anthropic's own store; OpenAI's begin with `file-`
        return {"type": "file", "file_id": part.file_id}
    return None


def last_is_prefill(conversation: Conversation) -> str | None:
    """The path of an assistant's message at the end, which the answer would continue."""
    last: Sequence[Message] = conversation.messages[-1:]
    return last[0].where if last and last[0].role == "assistant" else None
