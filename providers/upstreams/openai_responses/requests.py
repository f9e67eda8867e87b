"""Requests to OpenAI's Responses, from the vocabulary of its chat.

Source: platform.openai.com/docs/api-reference/responses and the types of openai-python 3.54, November 2026, and
recorded exchanges.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeGuard

import orjson

from providers import conversation
from providers.conversation import Conversation, Message, Part
from providers.types import Canonical, RequestError
from providers.upstreams.openai_chat.chunks import object_of
from providers.upstreams.openai_chat.members import HARMLESS, matters

_FOR_THE_GATEWAY: Final = frozenset({"headgate", "models", "provider", "session_id", "usage"})

# Members with a counterpart, whole or in part.
_TRANSLATED: Final = frozenset(
    {
        "function_call", "functions", "include_reasoning", "max_completion_tokens", "max_tokens", "messages", "model",
        "reasoning", "reasoning_effort", "response_format", "store", "stream", "stream_options", "tool_choice", "tools",
        "verbosity", "web_search_options",
    }
)  # fmt: skip

# Under the same name in both; the last two are of Responses alone.
_PASSED_ON: Final = (
    "metadata", "parallel_tool_calls", "prompt_cache_key", "prompt_cache_retention", "safety_identifier",
    "service_tier", "temperature", "top_p", "user", "max_tool_calls", "truncation",
)  # fmt: skip

_KNOWN: Final = _FOR_THE_GATEWAY | _TRANSLATED | frozenset(_PASSED_ON)
_HARMLESS: Final = HARMLESS | {"cache_control"}

# Tools that run on OpenAI's side and end in text; the others' results have no word in a chat answer.
_HOSTED_TOOLS: Final = ("web_search", "web_search_preview")

# These models have no reasoning to be encrypted, and refuse to be asked for it.
_WITHOUT_REASONING: Final = re.compile(r"(?:.*/)?(?:ft:)?(?:gpt-3|gpt-4|chatgpt-|gpt-5[0-9.]*-chat)")


def lacking(request: Canonical) -> Iterator[str]:
    """What this request needs and Responses does not have, by path.

    Raises:
        RequestError: something in it has the wrong type or no meaning.
    """
    talk = conversation.read(request)
    members = request.members
    for name, value in members.items():
        if name not in _KNOWN and name not in _HARMLESS and matters(name, value):
            yield name
    wanted = object_of(members, "reasoning")
    if wanted.get("max_tokens") is not None and _effort(members) is None:
        yield "reasoning.max_tokens"  # it knows efforts alone
    for number, tool in enumerate(members.get("tools") or ()):
        kind = tool.get("type", "function") if isinstance(tool, dict) else None
        if kind != "function" and kind not in _HOSTED_TOOLS:
            yield f"tools[{number}]"
    for message in talk.messages:
        yield from (part.where for part in message.parts if not _has(message, part))
    yield from (part.where for part in talk.system if part.kind != "text")


def dropping(request: Canonical) -> Iterator[str]:
    """What Responses does not have and without which the answer is the same."""
    for name, value in request.members.items():
        if name not in _KNOWN and name in _HARMLESS and matters(name, value):
            yield name


def body(request: Canonical, model: str, reasoning_format: str) -> bytes:
    """The whole body. Nothing is stored unless the client asks for it, so reasoning comes back encrypted.

    Raises:
        RequestError: something in the request has the wrong type or no meaning.
    """
    talk = conversation.read(request)
    members = request.members
    limit_tokens = members.get("max_completion_tokens")
    if limit_tokens is None:
        limit_tokens = members.get("max_tokens")
    if limit_tokens is None:
        limit_tokens = request.output_limit_tokens
    store = members.get("store")
    made: dict[str, Any] = {
        "model": model,
        "instructions": "\n\n".join(part.text for part in talk.system) or None,
        "input": [item for message in talk.messages for item in _items(message, reasoning_format)],
        "stream": request.stream,
        "stream_options": _stream_options(request),
        "store": False if store is None else store,
        "include": None if _WITHOUT_REASONING.match(model) else ["reasoning.encrypted_content"],
        "max_output_tokens": limit_tokens,
        "reasoning": _reasoning(members),
        "text": _text(members, talk),
        "tools": _tools(members, talk) or None,
        "tool_choice": _tool_choice(talk),
    }
    made |= {name: members[name] for name in _PASSED_ON if members.get(name) is not None}
    try:
        return orjson.dumps({name: value for name, value in made.items() if value is not None})
    except orjson.JSONEncodeError:
        raise RequestError("the request is nested too deeply") from None


def _items(message: Message, reasoning_format: str) -> Iterator[dict[str, Any]]:
    """The items of one message. An earlier answer: its reasoning, what it said, what it called."""
    match message.role:
        case "tool":
            yield {
                "type": "function_call_output",
                "call_id": message.call_id,
                "output": _content(message.parts),
            }
        case "assistant":
            yield from _reasoning_items(
                block for block in message.reasoning if block.get("format") == reasoning_format
            )
            if message.parts or not message.calls:
                yield _said(message.parts)
            for call in message.calls:
                yield {
                    "type": "function_call",
                    "call_id": call.id,
                    "name": call.name,
                    "arguments": call.arguments,
                }
        case _:
            yield {"role": "user", "content": _content(message.parts)}


def _said(parts: Sequence[Part]) -> dict[str, Any]:
    if all(part.kind == "text" for part in parts) and len(parts) < 2:
        return {"role": "assistant", "content": "".join(part.text for part in parts)}
    content = [
        {"type": "refusal", "refusal": part.text}
        if part.kind == "refusal"
        else {"type": "output_text", "text": part.text, "annotations": []}
        for part in parts
    ]
    return {"type": "message", "role": "assistant", "status": "completed", "content": content}


def _reasoning_items(blocks: Iterator[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Blocks as the items they came from. One that is neither encrypted nor readable cannot be understood later."""
    item: dict[str, Any] | None = None
    for block in blocks:
        if item is None or item.get("id") != block.get("id") or "encrypted_content" in item:
            if _comes_back(item):
                yield item
            item = {"type": "reasoning", "summary": []}
            if block.get("id") is not None:
                item["id"] = block["id"]
        match block.get("type"):
            case "reasoning.summary":
                item["summary"].append({"type": "summary_text", "text": block.get("summary") or ""})
            case "reasoning.text":
                item.setdefault("content", []).append(
                    {"type": "reasoning_text", "text": block.get("text") or ""}
                )
            case "reasoning.encrypted":
                item["encrypted_content"] = block.get("data")
    if _comes_back(item):
        yield item


def _comes_back(item: dict[str, Any] | None) -> TypeGuard[dict[str, Any]]:
    return item is not None and bool(item.get("encrypted_content") or item.get("content"))


def _content(parts: Sequence[Part]) -> str | list[dict[str, Any]]:
    """A text where it is one; else the parts."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0].kind == "text":
        return parts[0].text
    return [_part(part) for part in parts]


def _part(part: Part) -> dict[str, Any]:
    match part.kind:
        case "image":
            image = part.raw.get("image_url")
            url, detail = (
                (image.get("url"), image.get("detail")) if isinstance(image, dict) else (image, None)
            )
            return {"type": "input_image", "image_url": url, "detail": detail or "auto"}
        case "file":
            return {"type": "input_file", **_file(object_of(part.raw, "file"))}
        case _:
            return {"type": "input_text", "text": part.text}


def _file(file: Mapping[str, Any]) -> dict[str, Any]:
    """By id, by URL, or with its data; a URL may stand where the data would."""
    data = file.get("file_data")
    if isinstance(data, str) and data.startswith(("http://", "https://")):
        return {"file_url": data}
    made = {
        name: file[name]
        for name in ("file_id", "file_url", "file_data", "filename")
        if file.get(name) is not None
    }
    if "file_url" in made or "file_id" in made:
        made.pop("filename", None)
    return made


def _has(message: Message, part: Part) -> bool:
    match part.kind:
        case "text":
            return True
        case "refusal":
            return message.role == "assistant"
        case "image" | "file":
            return message.role != "assistant" and bool(part.url or part.data or part.file_id)
        case _:
            return False


def _tools(members: Mapping[str, Any], talk: Conversation) -> list[Any]:
    """Functions, flat. `strict` is always said: here its default is true, in chat it is false."""
    tools: list[Any] = [
        {
            "type": "function",
            "name": tool.name,
            **({"description": tool.description} if tool.description else {}),
            "parameters": tool.parameters or {"type": "object", "properties": {}},
            "strict": tool.strict,
        }
        for tool in talk.tools
    ]
    tools += [
        tool
        for tool in members.get("tools") or ()
        if isinstance(tool, dict) and tool.get("type") in _HOSTED_TOOLS
    ]
    search = members.get("web_search_options")
    if isinstance(search, dict):
        made = {"type": "web_search", **{name: value for name, value in search.items() if value is not None}}
        if place := object_of(search, "user_location"):
            made["user_location"] = {"type": "approximate", **object_of(place, "approximate")}
        tools.append(made)
    return tools


def _tool_choice(talk: Conversation) -> str | dict[str, Any] | None:
    if talk.tool_choice == "named":
        return {"type": "function", "name": talk.tool_named}
    return talk.tool_choice


def _text(members: Mapping[str, Any], talk: Conversation) -> dict[str, Any] | None:
    made: dict[str, Any] = {}
    if talk.json_object:
        made["format"] = {"type": "json_object"}
    elif talk.schema is not None:
        schema = talk.schema
        made["format"] = {
            "type": "json_schema",
            "name": schema.name,
            **({"description": schema.description} if schema.description else {}),
            "schema": schema.schema,
            "strict": schema.strict,
        }
    if members.get("verbosity") is not None:
        made["verbosity"] = members["verbosity"]
    return made or None


def _effort(members: Mapping[str, Any]) -> Any:
    """`None` when nothing is said of it."""
    wanted = object_of(members, "reasoning")
    if wanted.get("enabled") is False:
        return "none"
    return wanted.get("effort") or members.get("reasoning_effort")


def _reasoning(members: Mapping[str, Any]) -> dict[str, Any] | None:
    """Effort, and a summary for who asks for reasoning to be shown: with OpenRouter's members, but not with OpenAI's.

    Some organisations may not ask for summaries, so they are not asked for unasked.
    """
    wanted = object_of(members, "reasoning")
    effort = _effort(members)
    summary = wanted.get("summary")
    hidden = wanted.get("exclude") is True or members.get("include_reasoning") is False
    asked = bool(wanted) or members.get("include_reasoning") is True
    if asked and not hidden and summary is None and effort != "none":
        summary = "auto"
    made = {name: value for name, value in (("effort", effort), ("summary", summary)) if value is not None}
    return made or None


def _stream_options(request: Canonical) -> dict[str, Any] | None:
    """The one option that both have."""
    said = object_of(request.members, "stream_options").get("include_obfuscation")
    return {"include_obfuscation": said} if request.stream and said is not None else None
