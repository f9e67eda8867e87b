"""A chat request, read and checked: JSON bytes in, one frozen value out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

import orjson

from proxy.sandbox import messages, models, options
from proxy.sandbox.failures import Failure
from proxy.sandbox.fields import Fields, RequestError, missing, parse, unsupported
from proxy.sandbox.messages import Message
from proxy.sandbox.options import Manner

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")

_FUNCTION_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MOST_TOKENS = 10_000_000
# What OpenAI takes and this sandbox cannot do: refused, since the answer would look different.
_UNSUPPORTED = ("functions", "function_call", "audio", "web_search_options")
# Members that change how an answer is sent, not what it says.
_DELIVERY = ("stream", "stream_options", options.MEMBER)


class Calling(Enum):
    NONE = "none"
    AUTO = "auto"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that is offered; `parameters` is its JSON schema."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Format:
    """The shape asked for: `schema` is None for any JSON object."""

    name: str
    schema: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be answered, and how.

    digest: of what decides the answer; the same for a plain and a streamed request.
    failure: how it is to fail; None when it is to be answered.
    tools: those that may be called, after `tool_choice`.
    prompt: all text as bytes, in the order a model would read it.
    """

    digest: str
    model: str
    failure: Failure | None
    messages: tuple[Message, ...]
    prompt: bytes
    tools: tuple[Tool, ...]
    calling: Calling
    parallel: bool
    format: Format | None
    choices: int
    limit_tokens: int | None
    stop: tuple[str, ...]
    logprobs: bool
    top_logprobs: int
    effort: str
    stream: bool
    include_usage: bool
    manner: Manner

    @property
    def asked(self) -> str:
        """The last text of a user; empty when there is none."""
        return next((m.text for m in reversed(self.messages) if m.role == "user" and m.text), "")


def read(body: bytes, pace_header: str | None = None, fail_header: str | None = None) -> Request:
    """The request in `body`, checked.

    Raises:
        RequestError: with the status and the words OpenAI uses, where it has some.
    """
    fields = parse(body)
    model, failure = models.read(fields, models.CHAT_MODELS, fail_header)
    manner = options.read(fields, pace_header)
    for name in _UNSUPPORTED:
        if fields.get(name) is not None:
            raise RequestError(
                f"Unsupported parameter: '{name}' is not supported with this model.",
                param=name,
                code="unsupported_parameter",
            )
    for modality in fields.texts("modalities"):
        if modality != "text":
            raise unsupported("modalities", modality, ("text",))
    read_messages = messages.read(fields)
    offered = tuple(_tool(entry) for entry in fields.children("tools"))
    calling, tools = _tool_choice(fields, offered)
    _check_sampling(fields)
    stream, include_usage = _delivery(fields)
    logprobs, top_logprobs = _logprobs(fields)
    return Request(
        digest=_digest(fields.values, manner.pieces),
        model=model,
        failure=failure,
        messages=read_messages,
        prompt=_prompt(offered, read_messages),
        tools=tools,
        calling=calling,
        parallel=fields.get("parallel_tool_calls") is None or fields.flag("parallel_tool_calls"),
        format=_format(fields),
        choices=_choices(fields, manner),
        limit_tokens=_limit(fields),
        stop=_stop(fields),
        logprobs=logprobs,
        top_logprobs=top_logprobs,
        effort=fields.word("reasoning_effort", EFFORTS) or "medium",
        stream=stream,
        include_usage=include_usage,
        manner=manner,
    )


def _digest(values: Mapping[str, Any], pieces: int | None) -> str:
    decisive = {name: value for name, value in values.items() if name not in _DELIVERY and value is not None}
    canonical = orjson.dumps([decisive, pieces], option=orjson.OPT_SORT_KEYS)
    return blake2b(canonical, digest_size=16).hexdigest()


def _prompt(tools: tuple[Tool, ...], read_messages: tuple[Message, ...]) -> bytes:
    parts = [
        f"<tool>{tool.name}\n{tool.description}\n".encode() + orjson.dumps(dict(tool.parameters))
        for tool in tools
    ]
    for message in read_messages:
        marks = "".join(f"\n<{media.noun} {media.digest}>" for media in message.media)
        calls = "".join(f"\n<call {name}>" for name in message.calls.values())
        parts.append(f"<{message.role}>{message.text}{marks}{calls}".encode())
    return b"\n".join(parts)


def _tool(entry: Fields) -> Tool:
    kind = entry.word("type", ("function",))
    if kind is None:
        raise missing(entry.at("type"))
    function = entry.child("function")
    if function is None:
        raise missing(entry.at("function"))
    name = function.needed_text("name")
    if not _FUNCTION_NAME.fullmatch(name):
        raise RequestError(
            f"Invalid '{function.at('name')}': string does not match pattern. "
            "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
            param=function.at("name"),
            code="invalid_value",
        )
    parameters = function.child("parameters")
    schema = parameters.values if parameters is not None else {"type": "object", "properties": {}}
    return Tool(
        name=name, description=function.text("description") or "", parameters=MappingProxyType(dict(schema))
    )


def _tool_choice(fields: Fields, offered: tuple[Tool, ...]) -> tuple[Calling, tuple[Tool, ...]]:
    choice = fields.get("tool_choice")
    if choice is None:
        return (Calling.AUTO if offered else Calling.NONE), offered
    if not offered:
        raise RequestError(
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
            param="tool_choice",
        )
    if isinstance(choice, str):
        return Calling(fields.word("tool_choice", [word.value for word in Calling])), offered
    holder = fields.child("tool_choice")
    if holder is None:  # a value that is neither null nor an object was refused by child
        raise missing("tool_choice")
    kind = holder.word("type", ("function", "allowed_tools"))
    if kind == "allowed_tools":
        return _allowed(holder, offered)
    function = holder.child("function")
    if function is None:
        raise missing("tool_choice.function")
    return Calling.REQUIRED, (_named(function, offered),)


def _allowed(holder: Fields, offered: tuple[Tool, ...]) -> tuple[Calling, tuple[Tool, ...]]:
    allowed = holder.child("allowed_tools")
    if allowed is None:
        raise missing("tool_choice.allowed_tools")
    mode = allowed.word("mode", ("auto", "required")) or "auto"
    functions = [entry.child("function") for entry in allowed.children("tools")]
    return Calling(mode), tuple(_named(function, offered) for function in functions if function is not None)


def _named(function: Fields, offered: tuple[Tool, ...]) -> Tool:
    name = function.needed_text("name")
    for tool in offered:
        if tool.name == name:
            return tool
    raise RequestError(
        f"Invalid value for 'tool_choice': the function '{name}' is not among 'tools'.", param="tool_choice"
    )


def _format(fields: Fields) -> Format | None:
    holder = fields.child("response_format")
    if holder is None:
        return None
    kind = holder.word("type", ("text", "json_object", "json_schema"))
    if kind is None:
        raise missing("response_format.type")
    if kind == "text":
        return None
    if kind == "json_object":
        return Format(name="json_object", schema=None)
    described = holder.child("json_schema")
    if described is None:
        raise missing("response_format.json_schema")
    name = described.needed_text("name")
    schema = described.child("schema")
    return Format(name=name, schema=MappingProxyType(dict(schema.values)) if schema is not None else None)


def _choices(fields: Fields, manner: Manner) -> int:
    choices = fields.whole("n", 1, 128) or 1
    if choices * (manner.pieces or 1) > options.MOST_PIECES:
        raise RequestError(
            f"'n' times 'sandbox.pieces' must not be above {options.MOST_PIECES}.",
            param="sandbox.pieces",
            code="integer_above_max_value",
        )
    return choices


def _check_sampling(fields: Fields) -> None:
    """Looks at what changes nothing here but would be refused elsewhere."""
    fields.number("temperature", 0, 2)
    fields.number("top_p", 0, 1)
    fields.number("frequency_penalty", -2, 2)
    fields.number("presence_penalty", -2, 2)
    fields.whole("seed", -(2**63), 2**63 - 1)


def _limit(fields: Fields) -> int | None:
    older = fields.whole("max_tokens", 1, _MOST_TOKENS)
    newer = fields.whole("max_completion_tokens", 1, _MOST_TOKENS)
    if older is not None and newer is not None:
        raise RequestError(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            param="max_tokens",
            code="invalid_parameter_combination",
        )
    return newer if older is None else older


def _stop(fields: Fields) -> tuple[str, ...]:
    stop = fields.texts("stop")
    if len(stop) > 4:
        raise RequestError(
            f"Invalid 'stop': array too long. Expected an array with maximum length 4, got {len(stop)}.",
            param="stop",
            code="array_above_max_length",
        )
    return tuple(word for word in stop if word)


def _logprobs(fields: Fields) -> tuple[bool, int]:
    wanted = fields.flag("logprobs")
    top = fields.whole("top_logprobs", 0, 20)
    if top is not None and not wanted:
        raise RequestError(
            "Invalid value for 'top_logprobs': it may only be set when 'logprobs' is true.",
            param="top_logprobs",
        )
    return wanted, top or 0


def _delivery(fields: Fields) -> tuple[bool, bool]:
    stream = fields.flag("stream")
    stream_options = fields.child("stream_options")
    if stream_options is None:
        return stream, False
    if not stream:
        raise RequestError(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    return stream, stream_options.flag("include_usage")
