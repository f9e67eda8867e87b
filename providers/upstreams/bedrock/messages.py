"""A conversation as Converse takes it: turns of blocks, users and assistants by turns.

Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html and the service model of botocore
1.44, November 2026, and recorded requests of other clients.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final

import orjson

from providers.conversation import Call, Conversation, Message, Part
from providers.upstreams.anthropic.messages import REASONING_FORMAT as CLAUDE_FORMAT
from providers.upstreams.bedrock.answers import REASONING_FORMAT
from providers.upstreams.bedrock.models import Place, Traits

Block = dict[str, Any]

_IMAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "image/png": "png",
        "image/jpeg": "jpeg",
        "image/jpg": "jpeg",
        "image/gif": "gif",
        "image/webp": "webp",
    }
)
_DOCUMENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "application/pdf": "pdf",
        "text/csv": "csv",
        "application/msword": "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
        "application/vnd.ms-excel": "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
        "text/html": "html",
        "text/plain": "txt",
        "text/markdown": "md",
    }
)
_AUDIO: Final = frozenset({"aac", "flac", "m4a", "mp3", "mp4", "ogg", "opus", "pcm", "wav", "webm"})
_STORED: Final = "s3://"

# What a name may hold; it may not hold two blanks in a row.
_UNNAMEABLE: Final = re.compile(r"[^A-Za-z0-9\s\-()\[\]]+")
_BLANKS: Final = re.compile(r"\s+")
_MAX_NAME_CHARS: Final = 180  # 200, with room for a number

_CALL_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_NOT_IN_ID: Final = re.compile(r"[^A-Za-z0-9_.:-]")


def missing(said: Conversation) -> Iterator[str]:
    """Paths of parts that Converse has no block for, or that it would have to fetch."""
    for part in said.system:
        if part.kind != "text":
            yield part.where
    for message in said.messages:
        for part in message.parts:
            block = _block(part, "document")
            unfit = message.role != "user" and part.kind == "audio"
            if block is None or unfit or (message.role == "assistant" and "text" not in block):
                yield part.where


def is_blank(said: Conversation) -> bool:
    """Whether nothing would be left to send: blank texts are refused."""
    return not any(
        message.role == "tool"
        or message.calls
        or any(part.kind not in ("text", "refusal") or part.text.strip() for part in message.parts)
        for message in said.messages
    )


def system(said: Conversation, traits: Traits) -> list[Block]:
    """Blocks of the system prompt."""
    blocks: list[Block] = []
    for part in said.system:
        if part.text.strip():
            blocks.append({"text": part.text})
            blocks += cache_point(part.cache, "system", traits)
    return blocks


def turns(said: Conversation, members: Mapping[str, Any], traits: Traits) -> list[dict[str, Any]]:
    """The messages, neighbours of one side joined; in a user's turn all results of tools come first."""
    names = _Names()
    made: list[dict[str, Any]] = []
    for message in said.messages:
        if message.role == "assistant":
            side, blocks = "assistant", _assistant(message, traits)
        elif message.role == "tool":
            side, blocks = "user", _result(message, _failed(message, members), names, traits)
        else:
            side, blocks = "user", _parts(message, names, traits)
        if not blocks:
            continue
        if not made or made[-1]["role"] != side:
            made.append({"role": side, "content": []})
        content = made[-1]["content"]
        if message.role == "tool":
            at = next(
                (
                    at
                    for at, block in enumerate(content)
                    if "toolResult" not in block and "cachePoint" not in block
                ),
                len(content),
            )
            content[at:at] = blocks
        else:
            content += blocks
    if made and not any("cachePoint" in block for block in made[-1]["content"][-1:]):
        made[-1]["content"] += cache_point(members.get("cache_control"), "messages", traits)
    return made


def cache_point(cache: Any, place: Place, traits: Traits) -> list[Block]:
    """The block that says "remember all before this"; none where the model has no cache there."""
    if not isinstance(cache, dict) or place not in traits.cache:
        return []
    point = {"type": "default"}
    if cache.get("ttl") == "1h" and traits.long_cache:
        point["ttl"] = "1h"
    return [{"cachePoint": point}]


def call_id(given: str) -> str:
    """An id of a call with the letters and the length Converse takes; the same for the same id."""
    if _CALL_ID.fullmatch(given):
        return given
    return f"{_NOT_IN_ID.sub('_', given)[:47]}.{sha256(given.encode()).hexdigest()[:16]}"


class _Names:
    """Names of documents: each once in a request."""

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def name(self, given: str) -> str:
        plain = _BLANKS.sub(" ", _UNNAMEABLE.sub(" ", given.rpartition(".")[0] or given)).strip()
        plain = plain[:_MAX_NAME_CHARS].strip() or "document"
        name, number = plain, 1
        while name in self._taken:
            number += 1
            name = f"{plain} {number}"
        self._taken.add(name)
        return name


def _parts(message: Message, names: _Names, traits: Traits) -> list[Block]:
    blocks: list[Block] = []
    for part in message.parts:
        blocks += _said(part, names)
        blocks += cache_point(part.cache, "messages", traits)
    return blocks


def _said(part: Part, names: _Names) -> list[Block]:
    """The block of a part; none for a text that is blank, which is refused."""
    if part.kind in ("text", "refusal"):
        return [{"text": part.text}] if part.text.strip() else []
    block = _block(part, "")
    if block is None:
        return []
    if "document" in block:
        block["document"]["name"] = names.name(part.name)
    return [block]


def _result(message: Message, failed: bool, names: _Names, traits: Traits) -> list[Block]:  # noqa: FBT001 - one caller
    content = [block for part in message.parts for block in _said(part, names)]
    result: Block = {"toolUseId": call_id(message.call_id), "content": content}
    if failed:
        result["status"] = "error"
    cache = next((part.cache for part in reversed(message.parts) if part.cache is not None), None)
    return [{"toolResult": result}, *cache_point(cache, "messages", traits)]


def _failed(message: Message, members: Mapping[str, Any]) -> bool:
    """Whether the client marks the result as an error, in a member that OpenAI does not have."""
    number = int(message.where.partition("[")[2].partition("]")[0])
    return members["messages"][number].get("is_error") is True


def _assistant(message: Message, traits: Traits) -> list[Block]:
    """Reasoning goes back to where it stood: its index counts what came before it, a run of texts as one."""
    others: list[Block] = []
    for part in message.parts:
        if part.kind in ("text", "refusal") and part.text.strip():
            others.append({"text": part.text})
            others += cache_point(part.cache, "messages", traits)
    others += [_use(call) for call in message.calls]
    blocks: list[Block] = []
    for entry in message.reasoning:
        block = _reasoning(entry, traits)
        if block is None:
            continue
        index = entry.get("index")
        while others and isinstance(index, int) and len(blocks) < index:
            blocks.append(others.pop(0))
        blocks.append(block)
    return blocks + others


def _reasoning(entry: Mapping[str, Any], traits: Traits) -> Block | None:
    """A block of reasoning; `None` for what another provider made, or what nobody signed.

    Claude's signatures hold wherever it runs. What it encrypts is wrapped once more here: binary data in JSON.
    """
    form = entry.get("format")
    own = form in (REASONING_FORMAT, None) or (form == CLAUDE_FORMAT and traits.claude is not None)
    if not own or not traits.replays:
        return None
    data, signature, text = entry.get("data"), entry.get("signature"), entry.get("text")
    if entry.get("type") == "reasoning.encrypted" and isinstance(data, str) and data:
        if form == CLAUDE_FORMAT:
            data = base64.b64encode(data.encode()).decode()
        return {"reasoningContent": {"redactedContent": data}}
    if entry.get("type") != "reasoning.text" or not isinstance(signature, str) or not signature:
        return None
    thought = {"text": text if isinstance(text, str) else "", "signature": signature}
    return {"reasoningContent": {"reasoningText": thought}}


def _use(call: Call) -> Block:
    use = {"toolUseId": call_id(call.id), "name": call.name, "input": _arguments(call.arguments)}
    return {"toolUse": use}


def _arguments(written: str) -> Any:
    """Arguments as they were written, so that a cached prompt stays the same; wrapped when they are no object."""
    try:
        members = orjson.loads(written)
    except orjson.JSONDecodeError:
        return {"invalid_json": written}
    return orjson.Fragment(written) if isinstance(members, dict) else {"value": members}


def _block(part: Part, name: str) -> Block | None:
    """A part as a block; `None` when there is none for it."""
    match part.kind:
        case "text" | "refusal":
            return {"text": part.text}
        case "image":
            return _image(part)
        case "file":
            return _document(part, name) or _image(part)
        case "audio" if part.data and part.media_type in _AUDIO:
            return {"audio": {"format": part.media_type, "source": {"bytes": part.data}}}
        case _:
            return None


def _image(part: Part) -> Block | None:
    form = _IMAGES.get(part.media_type) or _IMAGES.get(f"image/{_ending(part)}")
    source = _source(part)
    return None if form is None or source is None else {"image": {"format": form, "source": source}}


def _document(part: Part, name: str) -> Block | None:
    ending = _ending(part)
    form = _DOCUMENTS.get(part.media_type) or (ending if ending in _DOCUMENTS.values() else None)
    source = _source(part)
    if form is None or source is None:
        return None
    return {"document": {"format": form, "name": name, "source": source}}


def _source(part: Part) -> Block | None:
    """Bytes, or an object in S3; nothing else is fetched."""
    if part.data:
        return {"bytes": part.data}
    return {"s3Location": {"uri": part.url}} if part.url.startswith(_STORED) else None


def _ending(part: Part) -> str:
    return (part.name or part.url).rpartition(".")[2].lower()
