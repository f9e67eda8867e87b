"""A chat request, read once for dialects that spell it another way.

Everything OpenAI's vocabulary can say about messages, tools and the shape of the answer, with older spellings folded
into the newer ones. Sampling parameters keep their names and are read from `Canonical.members` where they are needed.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from providers.reasoning_details import merged
from providers.types import Canonical, RequestError

Role = Literal["user", "assistant", "tool"]
Kind = Literal["text", "refusal", "image", "audio", "file", "other"]

_DATA_URL: Final = re.compile(r"data:([^;,]*)(?:;[^,]*?)?;base64,", re.IGNORECASE)
_SYSTEM: Final = ("system", "developer")
_ROLES: Final[Mapping[str, Role]] = {
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}


class Part(NamedTuple):
    """One piece of a message.

    Attributes:
        kind: `other` is a kind that has no word here; `raw` tells.
        text: of a text or a refusal.
        media_type: of media, where it is said; of audio, its format (`wav`).
        data: media in base64, empty when there is a `url` or a `file_id`.
        name: of a file.
        cache: `cache_control` as the client wrote it, or `None`.
        raw: the part as sent; empty for a message whose content is a plain string.
        where: its path in the request, for errors.
    """

    kind: Kind
    where: str
    text: str = ""
    media_type: str = ""
    data: str = ""
    url: str = ""
    file_id: str = ""
    name: str = ""
    cache: Mapping[str, Any] | None = None
    raw: Mapping[str, Any] = {}


class Call(NamedTuple):
    """A tool call of an earlier answer. `arguments` is JSON as the model wrote it."""

    id: str
    name: str
    arguments: str


class Message(NamedTuple):
    """One message.

    Attributes:
        parts: empty parts are left out.
        calls: of an assistant.
        call_id: which call a tool's result answers.
        tool_name: its name, where the client says it; see `Conversation.tool_names`.
        reasoning: blocks of `reasoning_details`, each whole, in order; see `reasoning_details.merged`.
        where: its path in the request, for errors.
    """

    role: Role
    where: str
    parts: tuple[Part, ...] = ()
    calls: tuple[Call, ...] = ()
    call_id: str = ""
    tool_name: str = ""
    reasoning: tuple[Mapping[str, Any], ...] = ()

    @property
    def text(self) -> str:
        """All its text, joined."""
        return "".join(part.text for part in self.parts if part.kind == "text")


class Tool(NamedTuple):
    """A function that may be called. `parameters` is JSON schema; empty when it takes none."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    strict: bool
    cache: Mapping[str, Any] | None


class Schema(NamedTuple):
    """The shape an answer must have."""

    name: str
    description: str
    schema: Mapping[str, Any]
    strict: bool


class Conversation(NamedTuple):
    """What the request says.

    Attributes:
        system: the parts of system and developer messages, wherever they stand.
        messages: the others, in order; never empty.
        tool_choice: `auto`, `none`, `required` or `named`; `None` when nothing is said.
        tool_named: the tool that must be called, with `named`.
        parallel_calls: whether several calls at once are allowed; `None` when nothing is said.
        schema: of `response_format` json_schema.
        json_object: `response_format` asks for any JSON object.
        stop: stop sequences.
    """

    system: tuple[Part, ...]
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]
    tool_choice: Literal["auto", "none", "required", "named"] | None
    tool_named: str
    parallel_calls: bool | None
    schema: Schema | None
    json_object: bool
    stop: tuple[str, ...]

    def tool_names(self) -> dict[str, str]:
        """Call id to the name of the tool that was called: results carry the id alone."""
        return {call.id: call.name for message in self.messages for call in message.calls}


def read(request: Canonical) -> Conversation:
    """Read a chat request.

    Raises:
        RequestError: something in it has the wrong type or no meaning; it names the path.
    """
    members = request.members
    system: list[Part] = []
    messages: list[Message] = []
    for number, message in enumerate(members["messages"]):
        where = f"messages[{number}]"
        role = message.get("role")
        if role in _SYSTEM:
            system += _parts(message.get("content"), f"{where}.content")
            continue
        if role not in _ROLES:
            raise RequestError(
                f"`{where}.role` must be system, developer, user, assistant or tool", param=f"{where}.role"
            )
        messages.append(_message(_ROLES[role], message, where))
    if not messages:
        raise RequestError("`messages` must hold more than system messages", param="messages")
    choice, named = _tool_choice(members)
    schema, json_object = _response_format(members.get("response_format"))
    return Conversation(
        system=tuple(system),
        messages=tuple(messages),
        tools=tuple(_tools(members)),
        tool_choice=choice,
        tool_named=named,
        parallel_calls=members.get("parallel_tool_calls"),
        schema=schema,
        json_object=json_object,
        stop=_stop(members.get("stop")),
    )


def forgets_thoughts(said: Conversation, formats: Collection[str | None]) -> bool:
    """Whether it stands in the middle of a tool loop whose reasoning the client did not send back.

    Args:
        formats: of reasoning that counts.
    """
    answered = False
    for message in reversed(said.messages):
        if message.role == "assistant":
            own = [entry for entry in message.reasoning if entry.get("format") in formats]
            return answered and bool(message.calls) and not own
        answered = answered or message.role == "tool"
    return False


def _message(role: Role, message: Mapping[str, Any], where: str) -> Message:
    calls = tuple(_calls(message, where)) if role == "assistant" else ()
    parts = _parts(message.get("content"), f"{where}.content")
    refusal = message.get("refusal")
    if role == "assistant" and isinstance(refusal, str) and refusal:
        parts.append(Part("refusal", f"{where}.refusal", text=refusal))
    return Message(
        role=role,
        where=where,
        parts=tuple(parts),
        calls=calls,
        call_id=_string(message, "tool_call_id") or (_string(message, "name") if role == "tool" else ""),
        tool_name=_string(message, "name") if role == "tool" else "",
        reasoning=merged(message.get("reasoning_details")) if role == "assistant" else (),
    )


def _parts(content: Any, where: str) -> list[Part]:
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [Part("text", where, text=content)]
    if not isinstance(content, list):
        raise RequestError(f"`{where}` must be a text or a list of parts", param=where)
    parts = [_part(part, f"{where}[{number}]") for number, part in enumerate(content)]
    return [part for part in parts if part.kind not in ("text", "refusal") or part.text]


def _part(part: Any, where: str) -> Part:
    if isinstance(part, str):
        return Part("text", where, text=part)
    if not isinstance(part, dict):
        raise RequestError(f"`{where}` must be an object with a `type`", param=where)
    cache = part.get("cache_control")
    cache = cache if isinstance(cache, dict) else None
    match part.get("type"):
        case "text":
            return Part("text", where, text=_string(part, "text"), cache=cache, raw=part)
        case "refusal":
            return Part("refusal", where, text=_string(part, "refusal"), cache=cache, raw=part)
        case "image_url":
            image = part.get("image_url")
            url = image if isinstance(image, str) else _string(_object(part, "image_url"), "url")
            return _media("image", where, url, cache=cache, raw=part)
        case "input_audio":
            audio = _object(part, "input_audio")
            return Part(
                "audio",
                where,
                media_type=_string(audio, "format"),
                data=_string(audio, "data"),
                cache=cache,
                raw=part,
            )
        case "file":
            file = _object(part, "file")
            made = _media(
                "file", where, _string(file, "file_data") or _string(file, "file_url"), cache=cache, raw=part
            )
            return made._replace(name=_string(file, "filename"), file_id=_string(file, "file_id"))
        case _:
            return Part("other", where, cache=cache, raw=part)


def _media(
    kind: Kind, where: str, url: str, *, cache: Mapping[str, Any] | None, raw: Mapping[str, Any]
) -> Part:
    """Media by URL, or in base64 when the URL holds it."""
    match = _DATA_URL.match(url)
    if match is None:
        return Part(kind, where, url=url, cache=cache, raw=raw)
    return Part(
        kind, where, media_type=match[1].strip().lower(), data=url[match.end() :], cache=cache, raw=raw
    )


def _calls(message: Mapping[str, Any], where: str) -> Iterator[Call]:
    listed = message.get("tool_calls")
    if listed is not None and not isinstance(listed, list):
        raise RequestError(f"`{where}.tool_calls` must be a list", param=f"{where}.tool_calls")
    for call in listed or ():
        if isinstance(call, dict):
            function = _object(call, "function")
            yield Call(_string(call, "id"), _string(function, "name"), _string(function, "arguments") or "{}")
    legacy = _object(message, "function_call")
    if legacy:
        name = _string(legacy, "name")
        yield Call(name, name, _string(legacy, "arguments") or "{}")


def _tools(members: Mapping[str, Any]) -> Iterator[Tool]:
    listed = members.get("tools")
    if listed is not None and not isinstance(listed, list):
        raise RequestError("`tools` must be a list", param="tools")
    for number, tool in enumerate(listed or ()):
        if not is_function(tool):
            continue  # tools of a provider's own: a dialect that has them reads `Canonical.members`
        function = _object(tool, "function")
        if not function.get("name"):
            where = f"tools[{number}].function.name"
            raise RequestError(f"`{where}` is missing", param=where)
        yield _tool(function, tool.get("cache_control") or function.get("cache_control"))
    older = members.get("functions")
    for function in older if isinstance(older, list) else ():
        if isinstance(function, dict):
            yield _tool(function, None)


def is_function(tool: Any) -> bool:
    """Whether an entry of `tools` is a function of the client's, and so one of `Conversation.tools`."""
    return isinstance(tool, dict) and tool.get("type", "function" if "function" in tool else "") == "function"


def _tool(function: Mapping[str, Any], cache: Any) -> Tool:
    return Tool(
        name=_string(function, "name"),
        description=_string(function, "description"),
        parameters=_object(function, "parameters"),
        strict=function.get("strict") is True,
        cache=cache if isinstance(cache, dict) else None,
    )


def _tool_choice(
    members: Mapping[str, Any],
) -> tuple[Literal["auto", "none", "required", "named"] | None, str]:
    choice = members.get("tool_choice", members.get("function_call"))
    if choice is None:
        return None, ""
    if choice in ("auto", "none", "required"):
        return choice, ""
    if choice == "any":
        return "required", ""
    if isinstance(choice, dict):
        name = _string(_object(choice, "function"), "name") or _string(choice, "name")
        if name:
            return "named", name
    raise RequestError("`tool_choice` must be auto, none, required or name a function", param="tool_choice")


def _response_format(wanted: Any) -> tuple[Schema | None, bool]:
    if wanted is None:
        return None, False
    if not isinstance(wanted, dict):
        raise RequestError("`response_format` must be an object", param="response_format")
    match wanted.get("type"):
        case "text" | None:
            return None, False
        case "json_object":
            return None, True
        case "json_schema":
            inner = _object(wanted, "json_schema")
            schema = _object(inner, "schema")
            return Schema(
                _string(inner, "name") or "answer",
                _string(inner, "description"),
                schema,
                inner.get("strict") is True,
            ), False
        case _:
            raise RequestError(
                "`response_format.type` must be text, json_object or json_schema",
                param="response_format.type",
            )


def _stop(stop: Any) -> tuple[str, ...]:
    if isinstance(stop, str):
        return (stop,) if stop else ()
    if stop is None:
        return ()
    if not isinstance(stop, list) or not all(isinstance(each, str) for each in stop):
        raise RequestError("`stop` must be a text or a list of texts", param="stop")
    return tuple(stop)


def _string(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""


def _object(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = members.get(name)
    return value if isinstance(value, dict) else {}
