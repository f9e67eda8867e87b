"""Requests to Converse: a chat request in Bedrock's words, and what has no word there.

Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and the service model of botocore
1.44, November 2026, and recorded requests of other clients.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson

from providers import conversation
from providers.conversation import Conversation, Tool
from providers.types import Canonical, RequestError
from providers.upstreams.anthropic.messages import OWN_FORMATS
from providers.upstreams.anthropic.requests import ANSWER_TOOL
from providers.upstreams.anthropic.schemas import closed, is_open
from providers.upstreams.anthropic.thinking import LEAST_BUDGET_TOKENS, Wish, is_budget, told, wish
from providers.upstreams.bedrock import messages
from providers.upstreams.bedrock.models import Traits
from providers.upstreams.openai_chat.members import HARMLESS, matters

# Bedrock's own members, which mean nothing else in OpenAI's vocabulary.
_OWN: Final = ("guardrailConfig", "performanceConfig", "requestMetadata")
# Members of single models, which travel in `additionalModelRequestFields`.
_OF_MODELS: Final = ("anthropic_beta", "output_config")
_FIELDS: Final = "additionalModelRequestFields"

_TIERS: Final = frozenset({"priority", "flex", "reserved"})

# Values that ask for nothing, of members that are not carried.
_NEUTRAL: Final[Mapping[str, Any]] = MappingProxyType(
    {"min_p": 0, "repetition_penalty": 1, "top_a": 0, "verbosity": "medium"}
)
_CARRIED: Final = frozenset(
    {
        "messages", "model", "stream", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "tools",
        "tool_choice", "parallel_tool_calls", "functions", "function_call", "response_format", "reasoning",
        "reasoning_effort", "include_reasoning", "thinking", "top_k", "cache_control", _FIELDS, *_OWN, *_OF_MODELS,
    }
)  # fmt: skip
_OF_THE_GATEWAY: Final = frozenset(
    {"headgate", "models", "provider", "session_id", "stream_options", "usage"}
)

# Converse's efforts in words of OpenRouter's; what a model has not becomes the nearest it has.
_EFFORTS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "nova": {"minimal": "low", "xhigh": "high", "max": "high"},
        "flat": {"minimal": "low", "xhigh": "high", "max": "high"},
        "nested": {"minimal": "low"},
    }
)
_SMALL_BUDGET_TOKENS: Final = 2048
_MIDDLE_BUDGET_TOKENS: Final = 8192
_ANSWER_HINT: Final = (
    "Give the whole answer by this call: its arguments are the JSON object that was asked for."
)


def body(request: Canonical, traits: Traits, default_tokens: int) -> dict[str, Any]:
    """The request. What the model refuses is asked for all the same, and the provider says so.

    Args:
        default_tokens: room for the answer itself, where thinking has a budget and the client set no limit.

    Raises:
        RequestError: something in it has no meaning.
    """
    members = request.members
    said = conversation.read(request)
    made: dict[str, Any] = {"messages": messages.turns(said, members, traits)}
    if system := messages.system(said, traits):
        made["system"] = system
    fields: dict[str, Any] = {name: members[name] for name in _OF_MODELS if members.get(name) is not None}
    sampling = _sampling(members, said, traits)
    limit = _add_reasoning(made, fields, request, said, traits, default_tokens)
    if limit is not None:
        sampling["maxTokens"] = limit
    if sampling:
        made["inferenceConfig"] = sampling
    _add_tools(made, fields, said, traits)
    if said.schema is not None and not _by_tool(said, traits):
        made.setdefault("outputConfig", {})["textFormat"] = _text_format(said, traits)
    if members.get("top_k") is not None:
        _put(fields, traits.top_k or ("top_k",), members["top_k"])
    own = members.get(_FIELDS)
    if isinstance(own, dict):
        fields |= own
    if fields:
        made[_FIELDS] = fields
    if members.get("service_tier") in _TIERS:
        made["serviceTier"] = {"type": members["service_tier"]}
    return made | {name: members[name] for name in _OWN if members.get(name) is not None}


def lacks(request: Canonical, traits: Traits, *, known: bool) -> Iterator[str]:
    """Members and parts of this request that cannot be served; see `dialects.PlainUpstream`.

    Args:
        known: `traits` are those of a model; otherwise only what no model has is named.

    Raises:
        RequestError: something in it has no meaning, or it says nothing.
    """
    members = request.members
    for name in members:
        in_words = name in _CARRIED or name in _OF_THE_GATEWAY or name in HARMLESS
        if not in_words and matters(name, members[name]) and members[name] != _NEUTRAL.get(name):
            yield name
    said = conversation.read(request)
    if messages.is_blank(said):
        raise RequestError("`messages` must hold something that is not blank", param="messages")
    yield from messages.missing(said)
    wanted = wish(members)
    yield from _lacking_sampling(members, traits, wanted, known=known)
    if wanted is not None and known:
        yield from _lacking_reasoning(request, traits, wanted)
    yield from _lacking_tools(said, members, traits, wanted, known=known)
    if known and (said.schema is not None or said.json_object) and not _shapes(said, traits):
        yield "response_format"


def drops(request: Canonical) -> Iterator[str]:
    """Members that say something and stay behind."""
    for name, value in request.members.items():
        if name in _CARRIED or name not in HARMLESS or not matters(name, value):
            continue
        if name != "service_tier" or (value not in _TIERS and value != "default"):
            yield name


def written(made: Mapping[str, Any]) -> bytes:
    """The bytes of a request.

    Raises:
        RequestError: it nests more deeply than JSON can be written.
    """
    try:
        return orjson.dumps(made)
    except orjson.JSONEncodeError:
        raise RequestError("the request is nested too deeply") from None


def _sampling(members: Mapping[str, Any], said: Conversation, traits: Traits) -> dict[str, Any]:
    """Claude's defaults are left out: its newer models refuse to hear of them, or of both."""
    made: dict[str, Any] = {}
    for name, own in (("temperature", "temperature"), ("top_p", "topP")):
        value = members.get(name)
        if value is not None and not (traits.claude is not None and value == 1):
            made[own] = value
    if said.stop:
        made["stopSequences"] = list(said.stop)
    return made


def _lacking_sampling(
    members: Mapping[str, Any], traits: Traits, wanted: Wish | None, *, known: bool
) -> Iterator[str]:
    temperature, top_p = members.get("temperature"), members.get("top_p")
    claude = traits.claude if known else None
    thinking = wanted is not None and wanted.on
    warm = temperature is not None and temperature != 1
    nucleus = top_p is not None and top_p != 1
    free = claude is None or (claude.sampling and not thinking)
    if warm and (not free or not isinstance(temperature, int | float) or temperature > 1):
        yield "temperature"
    if nucleus and (not free or (warm and claude is not None and not claude.both_samplers)):
        yield "top_p"
    if members.get("top_k") is not None and (not free or not traits.top_k):
        yield "top_k"


def _add_reasoning(
    made: dict[str, Any],
    fields: dict[str, Any],
    request: Canonical,
    said: Conversation,
    traits: Traits,
    default_tokens: int,
) -> int | None:
    """How reasoning is asked for.

    Returns:
        The limit of the whole answer; `None` for the model's own.
    """
    limit = request.output_limit_tokens
    wanted = wish(request.members)
    if wanted is None:
        return limit
    if wanted.own is not None and traits.claude is None:
        fields["thinking"] = wanted.own
        return limit
    if traits.claude is not None:
        thinking = told(wanted, traits.claude, limit, default_tokens)
        if is_budget(thinking, wanted) and conversation.forgets_thoughts(said, OWN_FORMATS):
            return limit  # see the same place in Anthropic's own dialect
        if thinking.thinking is not None:
            fields["thinking"] = thinking.thinking
        if thinking.effort:
            made["outputConfig"] = {"effort": thinking.effort}
        budget = (thinking.thinking or {}).get("type") == "enabled"
        return thinking.max_tokens if budget else limit
    effort = _effort(wanted, traits)
    if traits.reasoning == "nova":
        # With the highest effort Nova takes no limit (page "extended-thinking", November 2026).
        effort = "medium" if effort == "high" and limit is not None else effort
        off = {"type": "disabled"}
        fields["reasoningConfig"] = off if wanted.off else {"type": "enabled", "maxReasoningEffort": effort}
    elif traits.reasoning == "nested":
        fields["reasoning"] = {"effort": "none" if wanted.off else effort}
    elif traits.reasoning == "flat" or not wanted.off:
        fields["reasoning_effort"] = effort
    return limit


def _effort(wanted: Wish, traits: Traits) -> str:
    """The effort in the words of the model; of a budget, what it amounts to."""
    word = wanted.effort or "medium"
    if wanted.off:
        word = "low"
    elif wanted.budget_tokens:
        word = "low" if wanted.budget_tokens <= _SMALL_BUDGET_TOKENS else "high"
        word = "medium" if _SMALL_BUDGET_TOKENS < wanted.budget_tokens <= _MIDDLE_BUDGET_TOKENS else word
    return _EFFORTS.get(traits.reasoning, {}).get(word, word)


def _lacking_reasoning(request: Canonical, traits: Traits, wanted: Wish) -> Iterator[str]:
    if wanted.own is not None:
        return
    limit, claude = request.output_limit_tokens, traits.claude
    too_short = (
        claude is not None
        and claude.thinks == "budget"
        and limit is not None
        and limit <= LEAST_BUDGET_TOKENS
    )
    fixed = traits.reasoning == "flat" or (claude is not None and claude.off == "never")
    if (
        not wanted.understood
        or (wanted.off and fixed)
        or (wanted.on and (traits.reasoning == "no" or too_short))
    ):
        yield wanted.member


def _add_tools(made: dict[str, Any], fields: dict[str, Any], said: Conversation, traits: Traits) -> None:
    by_tool = _by_tool(said, traits)
    if said.tool_choice == "none" and not by_tool and not _has_calls(said):
        return  # there is no such choice: without tools none is called
    tools = [block for tool in said.tools for block in _tool(tool, traits)]
    choice: dict[str, Any] | None = None
    if said.tool_choice == "required":
        choice = {"any": {}}
    elif said.tool_choice == "named":
        choice = {"tool": {"name": said.tool_named}}
    if by_tool and choice is None:
        # With tools of the client's beside it, the model may call those before it answers.
        choice = {"any": {}} if tools and said.tool_choice != "none" else {"tool": {"name": ANSWER_TOOL}}
        tools.append(_answer_tool(said))
    if not tools:
        return
    made["toolConfig"] = {"tools": tools}
    if said.parallel_calls is False and traits.claude is not None:
        # Only Claude's own spelling says it, and both spellings at once are refused.
        fields["tool_choice"] = {**_claude_choice(choice), "disable_parallel_tool_use": True}
    elif choice is not None:
        made["toolConfig"]["toolChoice"] = choice


def _claude_choice(choice: dict[str, Any] | None) -> dict[str, Any]:
    if choice is None:
        return {"type": "auto"}
    return {"type": "any"} if "any" in choice else {"type": "tool", **choice["tool"]}


def _tool(tool: Tool, traits: Traits) -> Iterator[dict[str, Any]]:
    schema: Mapping[str, Any] = tool.parameters
    strict = tool.strict and traits.strict_tools and not is_open(schema)
    if strict and traits.claude is not None:
        schema = closed(schema)
    made: dict[str, Any] = {"name": tool.name}
    if tool.description:
        made["description"] = tool.description
    made["inputSchema"] = {"json": {"type": "object", **(schema or {"properties": {}})}}
    if strict:
        made["strict"] = True
    yield {"toolSpec": made}
    yield from messages.cache_point(tool.cache, "tools", traits)


def _lacking_tools(
    said: Conversation, members: Mapping[str, Any], traits: Traits, wanted: Wish | None, *, known: bool
) -> Iterator[str]:
    for number, tool in enumerate(members.get("tools") or ()):
        if not conversation.is_function(tool):
            yield f"tools[{number}]"
    # Converse refuses calls and results in a conversation without tools.
    calling = next((message for message in said.messages if message.calls or message.role == "tool"), None)
    if calling is not None and not said.tools:
        yield calling.where
    elif calling is not None and said.tool_choice == "none":
        yield "tool_choice"
    if said.parallel_calls is False and said.tools and not traits.one_call:
        yield "parallel_tool_calls"
    if not known or traits.claude is None:
        return
    # Thinking and a forced call exclude each other.
    unforced = not traits.claude.forced_tools or (wanted is not None and wanted.on)
    if unforced and said.tool_choice in ("required", "named"):
        yield "tool_choice"
    elif unforced and _by_tool(said, traits):
        yield "response_format"


def _has_calls(said: Conversation) -> bool:
    return any(message.calls or message.role == "tool" for message in said.messages)


def _shapes(said: Conversation, traits: Traits) -> bool:
    """Whether an answer can be held to the shape that is asked for."""
    return _by_tool(said, traits) or (traits.schemas == "native" and said.schema is not None)


def _by_tool(said: Conversation, traits: Traits) -> bool:
    """Whether the shape of the answer takes a tool: any object, an open schema, or a model without schemas."""
    forcible = traits.claude is not None or traits.schemas == "tool"
    if said.schema is None:
        return said.json_object and forcible
    return forcible and (
        traits.schemas == "tool" or (traits.claude is not None and is_open(said.schema.schema))
    )


def _answer_tool(said: Conversation) -> dict[str, Any]:
    description, schema = _ANSWER_HINT, {"type": "object"}
    if said.schema is not None:
        description = f"{said.schema.description}\n\n{_ANSWER_HINT}".lstrip()
        schema = {**schema, **said.schema.schema}
    return {"toolSpec": {"name": ANSWER_TOOL, "description": description, "inputSchema": {"json": schema}}}


def _text_format(said: Conversation, traits: Traits) -> dict[str, Any]:
    assert said.schema is not None
    schema = said.schema.schema
    if traits.claude is not None:
        schema = closed(schema)
    made = {"name": said.schema.name, "schema": written(schema).decode()}
    if said.schema.description:
        made["description"] = said.schema.description
    return {"type": "json_schema", "structure": {"jsonSchema": made}}


def _put(fields: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Set a member that may lie deeper."""
    for name in path[:-1]:
        fields = fields.setdefault(name, {})
    fields[path[-1]] = value
