"""Requests to Claude's Messages API: a chat request in Anthropic's words, and what has no word there.

Source: platform.claude.com/docs/en/api/messages, seen November 2026, and recorded requests of other clients.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson

from providers import conversation
from providers.conversation import Conversation, Tool
from providers.types import Canonical, RequestError
from providers.upstreams.anthropic import messages
from providers.upstreams.anthropic.models import Traits
from providers.upstreams.anthropic.schemas import closed, is_open
from providers.upstreams.anthropic.thinking import LEAST_BUDGET_TOKENS, Thinking, Wish, is_budget, told, wish
from providers.upstreams.openai_chat.members import HARMLESS, matters

ANSWER_TOOL: Final = "headgate_answer"
"""The tool a model must call when its answer has a shape that it cannot be held to otherwise. Clients never see it:
its arguments come out as the text of the answer."""

_ANSWER_HINT: Final = (
    "Give the whole answer by this call: its arguments are the JSON object that was asked for."
)

# Anthropic's own members, which mean nothing else in OpenAI's vocabulary.
_OWN: Final = (
    "top_k", "cache_control", "context_management", "container", "mcp_servers", "inference_geo",
)  # fmt: skip
_TIERS: Final = MappingProxyType(
    {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
)

# Values that ask for nothing, of members that are not carried.
_NEUTRAL: Final[Mapping[str, Any]] = MappingProxyType(
    {"min_p": 0, "repetition_penalty": 1, "top_a": 0, "verbosity": "medium"}
)
_CARRIED: Final = frozenset(
    {
        "messages", "model", "stream", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "tools",
        "tool_choice", "parallel_tool_calls", "functions", "function_call", "response_format", "reasoning",
        "reasoning_effort", "include_reasoning", "thinking", "user", "output_config", *_OWN,
    }
)  # fmt: skip
_OF_THE_GATEWAY: Final = frozenset(
    {"headgate", "models", "provider", "session_id", "stream_options", "usage"}
)
_LEAST_TOP_P: Final = 0.95  # while thinking (platform.claude.com/docs, page "extended-thinking")


def body(request: Canonical, model: str, traits: Traits, default_tokens: int) -> dict[str, Any]:
    """The request. What the model refuses is asked for all the same, and the provider says so.

    Args:
        default_tokens: the limit of an answer where the client sets none.

    Raises:
        RequestError: something in it has no meaning.
    """
    members = request.members
    said = conversation.read(request)
    wanted = wish(members)
    thinking = told(wanted, traits, request.output_limit_tokens, default_tokens)
    if is_budget(thinking, wanted) and conversation.forgets_thoughts(said, messages.OWN_FORMATS):
        # Such a turn must begin with the thoughts it had (page "extended-thinking", November 2026); a client that knows
        # OpenAI's members alone does not send them back, and goes on without new ones.
        wanted, thinking = None, told(None, traits, request.output_limit_tokens, default_tokens)
    made: dict[str, Any] = {"model": model, "max_tokens": thinking.max_tokens}
    if system := messages.system(said):
        made["system"] = system
    made["messages"] = messages.turns(said)
    _add_tools(made, said, members, traits)
    _add_shape(made, said, members, thinking, traits)
    if thinking.thinking is not None:
        made["thinking"] = thinking.thinking
    _add_sampling(made, members, traits, thinking=wanted is not None and wanted.on)
    if said.stop:
        made["stop_sequences"] = said.stop
    user = members.get("user") or members.get("safety_identifier") or _own_user(members)
    if isinstance(user, str) and user:
        made["metadata"] = {"user_id": user}
    if (tier := _tier(members)) is not None:
        made["service_tier"] = tier
    made |= {name: members[name] for name in _OWN if members.get(name) is not None}
    if request.stream:
        made["stream"] = True
    return made


def lacks(request: Canonical, traits: Traits) -> Iterator[str]:
    """Members and parts of this request that cannot be served; see `dialects.PlainUpstream`.

    Raises:
        RequestError: something in it has no meaning.
    """
    members = request.members
    for name in members:
        known = name in _CARRIED or name in _OF_THE_GATEWAY or name in HARMLESS
        if not known and matters(name, members[name]) and members[name] != _NEUTRAL.get(name):
            yield name
    said = conversation.read(request)
    wanted = wish(members)
    yield from _lacking_sampling(members, traits, wanted)
    if any(not stop.strip() for stop in said.stop):
        yield "stop"
    yield from _lacking_thinking(request, traits, wanted)
    yield from _lacking_tools(said, members, traits, wanted)
    yield from messages.missing(said)
    prefill = messages.last_is_prefill(said)
    if prefill is not None and not traits.prefill:
        yield prefill


def drops(request: Canonical) -> Iterator[str]:
    """Members that say something and stay behind."""
    members = request.members
    for name, value in members.items():
        if name in _CARRIED or name not in HARMLESS or not matters(name, value):
            continue
        if (
            (name == "metadata" and isinstance(value, dict) and value.keys() == {"user_id"})
            or (name == "safety_identifier" and not members.get("user"))
            or (name == "service_tier" and _tier(members) is not None)
        ):
            continue
        yield name


def _add_sampling(
    made: dict[str, Any], members: Mapping[str, Any], traits: Traits, *, thinking: bool
) -> None:
    """A value that is the default anyway is left out where the model takes no other, or not both."""
    strict = thinking or not traits.sampling
    temperature, top_p = members.get("temperature"), members.get("top_p")
    if temperature is not None and not (strict and temperature == 1):
        made["temperature"] = temperature
    if top_p is not None and top_p != 1:
        made["top_p"] = top_p


def _lacking_sampling(members: Mapping[str, Any], traits: Traits, wanted: Wish | None) -> Iterator[str]:
    temperature, top_p = members.get("temperature"), members.get("top_p")
    thinking = wanted is not None and wanted.on
    warm = temperature is not None and temperature != 1
    nucleus = top_p is not None and top_p != 1
    if warm and (
        not traits.sampling or thinking or not isinstance(temperature, int | float) or temperature > 1
    ):
        yield "temperature"
    if nucleus and (
        not traits.sampling
        or (warm and not traits.both_samplers)
        or (thinking and not (isinstance(top_p, int | float) and top_p >= _LEAST_TOP_P))
    ):
        yield "top_p"
    if members.get("top_k") is not None and (thinking or not traits.sampling):
        yield "top_k"


def _lacking_thinking(request: Canonical, traits: Traits, wanted: Wish | None) -> Iterator[str]:
    if wanted is None or wanted.own is not None:
        return
    limit = request.output_limit_tokens
    too_short = traits.thinks == "budget" and limit is not None and limit <= LEAST_BUDGET_TOKENS
    if (
        not wanted.understood
        or (wanted.off and traits.off == "never")
        or (wanted.on and (traits.thinks == "no" or too_short))
    ):
        yield wanted.member


def _lacking_tools(
    said: Conversation, members: Mapping[str, Any], traits: Traits, wanted: Wish | None
) -> Iterator[str]:
    for number, tool in enumerate(members.get("tools") or ()):
        if _is_foreign(tool) and _own_tool(tool) is None:
            yield f"tools[{number}]"
    # Thinking and a forced call exclude each other (page "extended-thinking", November 2026).
    unforced = not traits.forced_tools or (wanted is not None and wanted.on)
    if unforced and said.tool_choice in ("required", "named"):
        yield "tool_choice"
    elif unforced and _by_tool(said, traits):
        yield "response_format"


def _add_tools(made: dict[str, Any], said: Conversation, members: Mapping[str, Any], traits: Traits) -> None:
    tools = _tools(said, members, traits)
    choice = _choice(said)
    if _by_tool(said, traits) and said.tool_choice not in ("required", "named"):
        # With tools of the client's beside it, the model may call those before it answers.
        free = bool(tools) and said.tool_choice != "none"
        choice = {"type": "any"} if free else {"type": "tool", "name": ANSWER_TOOL}
        if said.parallel_calls is False or not free:
            choice["disable_parallel_tool_use"] = True
        tools.append(_answer_tool(said))
    if tools:
        made["tools"] = tools
        if choice is not None:
            made["tool_choice"] = choice


def _tools(said: Conversation, members: Mapping[str, Any], traits: Traits) -> list[Mapping[str, Any]]:
    """In the client's order: a cached prompt begins with them."""
    functions = iter(said.tools)
    made: list[Mapping[str, Any]] = []
    for tool in members.get("tools") or ():
        if _is_foreign(tool):
            own = _own_tool(tool)
            made += () if own is None else (own,)
        else:
            made.append(_tool(next(functions), traits))
    return [*made, *(_tool(tool, traits) for tool in functions)]


def _is_foreign(tool: Any) -> bool:
    """Whether `Conversation.tools` leaves it out."""
    return not conversation.is_function(tool)


def _own_tool(tool: Any) -> Mapping[str, Any] | None:
    """A tool of Anthropic's own, such as `web_search_20250305`; `None` for those of others."""
    kind = tool.get("type") if isinstance(tool, dict) else None
    dated = isinstance(kind, str) and kind[-9:-8] == "_" and kind[-8:].isdecimal()
    return tool if dated else None


def _tool(tool: Tool, traits: Traits) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = tool.parameters
    strict = tool.strict and traits.schemas and not is_open(schema)
    if strict:
        schema = closed(schema)
    made: dict[str, Any] = {"name": tool.name}
    if tool.description:
        made["description"] = tool.description
    made["input_schema"] = {"type": "object", **schema} if schema else {"type": "object", "properties": {}}
    if strict:
        made["strict"] = True
    if tool.cache is not None:
        made["cache_control"] = tool.cache
    return made


def _choice(said: Conversation) -> dict[str, Any] | None:
    made: dict[str, Any]
    match said.tool_choice:
        case "none":
            return {"type": "none"}
        case "required":
            made = {"type": "any"}
        case "named":
            made = {"type": "tool", "name": said.tool_named}
        case "auto":
            made = {"type": "auto"}
        case None if said.parallel_calls is False:
            made = {"type": "auto"}
        case _:
            return None
    if said.parallel_calls is False:
        made["disable_parallel_tool_use"] = True
    return made


def _by_tool(said: Conversation, traits: Traits) -> bool:
    """Whether the shape of the answer takes a tool: any object, an open schema, or a model without schemas."""
    if said.schema is None:
        return said.json_object
    return not traits.schemas or is_open(said.schema.schema)


def _answer_tool(said: Conversation) -> Mapping[str, Any]:
    description, schema = _ANSWER_HINT, {"type": "object"}
    if said.schema is not None:
        description = f"{said.schema.description}\n\n{_ANSWER_HINT}".lstrip()
        schema = {**schema, **said.schema.schema}
    return {"name": ANSWER_TOOL, "description": description, "input_schema": schema}


def _add_shape(
    made: dict[str, Any],
    said: Conversation,
    members: Mapping[str, Any],
    thinking: Thinking,
    traits: Traits,
) -> None:
    own = members.get("output_config")
    config: dict[str, Any] = dict(own) if isinstance(own, dict) else {}
    if said.schema is not None and not _by_tool(said, traits):
        config["format"] = {"type": "json_schema", "schema": closed(said.schema.schema)}
    if thinking.effort:
        config.setdefault("effort", thinking.effort)
    if config:
        made["output_config"] = config


def _tier(members: Mapping[str, Any]) -> str | None:
    tier = members.get("service_tier")
    return _TIERS.get(tier) if isinstance(tier, str) else None


def _own_user(members: Mapping[str, Any]) -> Any:
    metadata = members.get("metadata")
    return metadata.get("user_id") if isinstance(metadata, dict) else None


def written(made: Mapping[str, Any]) -> bytes:
    """The bytes of a request.

    Raises:
        RequestError: it nests more deeply than JSON can be written.
    """
    try:
        return orjson.dumps(made)
    except orjson.JSONEncodeError:
        raise RequestError("the request is nested too deeply") from None
