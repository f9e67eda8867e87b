"""Requests to Cohere's chat, version 2, from OpenAI's vocabulary.

Source: docs.cohere.com/reference/chat and github.com/cohere-ai/cohere-python (src/cohere/v2), November 2026, and
recorded exchanges.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from providers import conversation
from providers.conversation import Conversation, Message, Part, Tool
from providers.types import Canonical, RequestError
from providers.upstreams.openai_chat.chunks import object_of
from providers.upstreams.openai_chat.members import HARMLESS, matters

REASONING_FORMAT: Final = "cohere-chat-v2"
"""Marks the entries of `reasoning_details` that can go back."""

TOOL_PLAN: Final = "tool_plan"
"""The id of the entry that holds what a model without thinking wrote before its tool calls."""

_MOST_STOPS: Final = 5
_MOST_K: Final = 500
_LEAST_P: Final = 0.01
_MOST_P: Final = 0.99

_FOR_THE_GATEWAY: Final = frozenset(
    {"headgate", "models", "provider", "session_id", "stream_options", "usage"}
)

# Members with a counterpart, whole or in part.
_TRANSLATED: Final = frozenset(
    {
        "frequency_penalty", "function_call", "functions", "include_reasoning", "max_completion_tokens", "max_tokens",
        "messages", "model", "parallel_tool_calls", "presence_penalty", "reasoning", "reasoning_effort",
        "response_format", "seed", "stop", "stream", "temperature", "thinking", "tool_choice", "tools", "top_k",
        "top_p",
    }
)  # fmt: skip

# Cohere's own: as the client wrote them.
_PASSED_ON: Final = ("citation_options", "documents", "k", "p", "priority", "safety_mode", "strict_tools")

_KNOWN: Final = _FOR_THE_GATEWAY | _TRANSLATED | frozenset(_PASSED_ON)

# Hints about the price alone, beyond what is harmless everywhere.
_HARMLESS: Final = HARMLESS | {"cache_control"}

# Cohere has a budget in tokens, OpenAI an effort. The shares are those by which OpenRouter does the same
# (openrouter.ai/docs/use-cases/reasoning-tokens, November 2026), of the answer's limit or, where none is given, of the
# budget below. More effort than this: no budget, as much as the model likes.
_SHARES: Final[Mapping[str, float]] = {"minimal": 0.1, "low": 0.2, "medium": 0.5}
_USUAL_LIMIT_TOKENS: Final = 16_000


def lacking(request: Canonical) -> Iterator[str]:
    """What this request needs and Cohere does not have, by path.

    Raises:
        RequestError: something in it has the wrong type or no meaning.
    """
    talk = conversation.read(request)
    members = request.members
    for name, value in members.items():
        if name not in _KNOWN and name not in _HARMLESS and matters(name, value):
            yield name
    if talk.tools and talk.parallel_calls is False:
        yield "parallel_tool_calls"
    for name in ("frequency_penalty", "presence_penalty"):
        if not _between(members.get(name), 0, 1):
            yield name
    if not _between(members.get("top_k"), 0, _MOST_K):
        yield "top_k"
    if len(talk.stop) > _MOST_STOPS:
        yield "stop"
    # "response_format is not supported with RAG", by which tools are meant, too (docs.cohere.com, November 2026).
    if (talk.schema is not None or talk.json_object) and (talk.tools or members.get("documents")):
        yield "response_format"
    yield from _tools_lacking(members, talk)
    for message in talk.messages:
        yield from (part.where for part in message.parts if not _has(message, part))
    yield from (part.where for part in talk.system if part.kind != "text")


def dropping(request: Canonical) -> Iterator[str]:
    """What Cohere does not have and without which the answer is the same."""
    members = request.members
    for name, value in members.items():
        if name not in _KNOWN and name in _HARMLESS and matters(name, value):
            yield name
    if object_of(members, "reasoning").get("exclude") is True:
        yield "reasoning.exclude"
    if members.get("include_reasoning") is False:
        yield "include_reasoning"


def body(request: Canonical, model: str) -> bytes:
    """The whole body.

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
    made: dict[str, Any] = {
        "model": model,
        "messages": [*_system(talk), *(_message(message) for message in talk.messages)],
        "stream": request.stream,
        "max_tokens": limit_tokens,
        "temperature": members.get("temperature"),
        "p": _p(members.get("top_p")),
        "k": members.get("top_k"),
        "seed": members.get("seed"),
        "frequency_penalty": members.get("frequency_penalty"),
        "presence_penalty": members.get("presence_penalty"),
        "stop_sequences": talk.stop or None,
        "response_format": _response_format(talk),
        "thinking": _thinking(members, limit_tokens),
        **_tools(talk),
    }
    made |= {name: members[name] for name in _PASSED_ON if members.get(name) is not None}
    try:
        return orjson.dumps({name: value for name, value in made.items() if value is not None})
    except orjson.JSONEncodeError:
        raise RequestError("the request is nested too deeply") from None


def _system(talk: Conversation) -> list[dict[str, Any]]:
    """One message in front: a system turn elsewhere is refused."""
    texts = [{"type": "text", "text": part.text} for part in talk.system if part.text]
    return [{"role": "system", "content": texts}] if texts else []


def _message(message: Message) -> dict[str, Any]:
    match message.role:
        case "assistant":
            return _assistant(message)
        case "tool":
            return {"role": "tool", "tool_call_id": message.call_id, "content": _content(message)}
        case _:
            return {"role": "user", "content": _content(message)}


def _content(message: Message) -> str | list[dict[str, Any]]:
    """A text where it is one; else the parts."""
    if not message.parts:
        return ""
    if len(message.parts) == 1 and message.parts[0].kind == "text":
        return message.parts[0].text
    return [_part(part) for part in message.parts]


def _part(part: Part) -> dict[str, Any]:
    match part.kind:
        case "text" | "refusal":
            return {"type": "text", "text": part.text}
        case "image":
            image = part.raw.get("image_url")
            return {"type": "image_url", "image_url": image if isinstance(image, dict) else {"url": image}}
        case _:
            return dict(part.raw)


def _has(message: Message, part: Part) -> bool:
    match part.kind:
        case "text":
            return True
        case "refusal":
            return message.role == "assistant"
        case "image":
            return message.role == "user" and bool(part.url or part.data)
        case _:
            return message.role == "tool" and part.raw.get("type") == "document"


def _assistant(message: Message) -> dict[str, Any]:
    """An earlier answer: thinking and plan as they came, those of other providers left out."""
    own = [
        block for block in message.reasoning if block.get("format") == REASONING_FORMAT and block.get("text")
    ]
    content = [
        {"type": "thinking", "thinking": block["text"]} for block in own if block.get("id") != TOOL_PLAN
    ]
    content += [_part(part) for part in message.parts]
    made: dict[str, Any] = {"role": "assistant"}
    if content or not message.calls:
        made["content"] = content or ""
    if message.calls:
        made["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.calls
        ]
        if plan := "".join(block["text"] for block in own if block.get("id") == TOOL_PLAN):
            made["tool_plan"] = plan
    return made


def _tools(talk: Conversation) -> dict[str, Any]:
    if not talk.tools:
        return {}
    offered = talk.tools
    if talk.tool_choice == "named":
        # There is no word for one tool: it must call a tool, and there is but this one.
        offered = tuple(tool for tool in offered if tool.name == talk.tool_named)
        if not offered:
            raise RequestError(
                f"`tool_choice` names a tool that is not in `tools`: {talk.tool_named}", param="tool_choice"
            )
    choices = {"none": "NONE", "required": "REQUIRED", "named": "REQUIRED"}
    return {
        "tools": [_tool(tool) for tool in offered],
        "tool_choice": choices.get(talk.tool_choice or ""),
        "strict_tools": True if any(tool.strict for tool in offered) else None,
    }


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "parameters": tool.parameters or {"type": "object", "properties": {}}}
    if tool.description:
        function["description"] = tool.description
    return {"type": "function", "function": function}


def _tools_lacking(members: Mapping[str, Any], talk: Conversation) -> Iterator[str]:
    for number, tool in enumerate(members.get("tools") or ()):
        if not conversation.is_function(tool):
            yield f"tools[{number}]"
    # It is for all tools or for none, and each of them must have a required parameter
    # (docs.cohere.com/docs/structured-outputs, November 2026).
    if any(tool.strict for tool in talk.tools) and not all(
        tool.parameters.get("required") for tool in talk.tools
    ):
        number = next(number for number, tool in enumerate(talk.tools) if tool.strict)
        yield f"tools[{number}].function.strict"


def _response_format(talk: Conversation) -> dict[str, Any] | None:
    if talk.json_object:
        return {"type": "json_object"}
    if talk.schema is None:
        return None
    described = {"description": talk.schema.description} if talk.schema.description else {}
    return {"type": "json_object", "json_schema": {**described, **talk.schema.schema}}


def _thinking(members: Mapping[str, Any], limit_tokens: Any) -> dict[str, Any] | None:
    """From Cohere's own member, or Anthropic's of that name, else from OpenRouter's or OpenAI's."""
    own = object_of(members, "thinking")
    if own:
        budget = own.get("token_budget", own.get("budget_tokens"))
        return {"type": own.get("type", "enabled"), **({} if budget is None else {"token_budget": budget})}
    wanted = object_of(members, "reasoning")
    effort = wanted.get("effort") or members.get("reasoning_effort")
    if effort == "none" or wanted.get("enabled") is False:
        return {"type": "disabled"}
    budget = wanted.get("max_tokens")
    if budget is None and isinstance(effort, str) and effort in _SHARES:
        whole = limit_tokens if isinstance(limit_tokens, int) else _USUAL_LIMIT_TOKENS
        budget = max(int(whole * _SHARES[effort]), 1)
    if budget is not None:
        return {"type": "enabled", "token_budget": budget}
    return {"type": "enabled"} if effort or wanted.get("enabled") is True else None


def _p(top_p: Any) -> Any:
    """Cohere's range has no 0 and no 1; its ends stand for them."""
    if isinstance(top_p, int | float) and 0 <= top_p <= 1:
        return min(max(top_p, _LEAST_P), _MOST_P)
    return top_p


def _between(value: Any, least: float, most: float) -> bool:
    """Also true of what is no number: that is for Cohere to judge."""
    return not isinstance(value, int | float) or least <= value <= most
