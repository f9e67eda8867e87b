"""Requests to generateContent and streamGenerateContent, made of OpenAI's.

Sources: ai.google.dev/api/generate-content, docs.cloud.google.com/vertex-ai (page "inference"), November 2026.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from providers.conversation import Conversation, read
from providers.types import Canonical
from providers.upstreams.gemini import schemas, thinking
from providers.upstreams.gemini.messages import contents, is_known
from providers.upstreams.openai_chat.members import HARMLESS, matters

_MOST_CHOICES: Final = 8
_MOST_STOPS: Final = 5
_FOR_THE_GATEWAY: Final = frozenset(
    {"headgate", "model", "models", "provider", "session_id", "stream", "stream_options", "usage"}
)

# OpenAI's name, and OpenRouter's for `top_k`: Gemini's in `generationConfig`.
_SAMPLING: Final[Mapping[str, str]] = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}

# Gemini's own, as the client wrote them; labels are Vertex AI's.
_PASSED_ON: Final = frozenset({"cachedContent", "labels", "safetySettings"})

# Tools at Google's, as `{"type": "google_search", …}`.
_TOOLS: Final[Mapping[str, str]] = {
    "google_search": "googleSearch",
    "google_maps": "googleMaps",
    "code_execution": "codeExecution",
    "url_context": "urlContext",
}

_READ: Final = frozenset(
    {
        "function_call", "functions", "include_reasoning", "max_completion_tokens", "max_tokens", "messages",
        "modalities", "n", "parallel_tool_calls", "reasoning", "reasoning_effort", "response_format", "stop",
        "tool_choice", "tools",
    }
)  # fmt: skip
_KNOWN: Final = _FOR_THE_GATEWAY | _READ | _SAMPLING.keys() | _PASSED_ON

_MODES: Final[Mapping[str, str]] = {"auto": "AUTO", "none": "NONE", "required": "ANY", "named": "ANY"}


def body(request: Canonical, model: str, *, call_ids: bool) -> dict[str, Any]:
    """The whole body, as JSON.

    Raises:
        RequestError: something in the client's request has the wrong type or no meaning.
    """
    members = request.members
    talk = read(request)
    made: dict[str, Any] = {"contents": contents(talk, model, call_ids=call_ids)}
    system = [{"text": part.text} for part in talk.system if part.text]
    if system:
        made["systemInstruction"] = {"parts": system}
    tools = [*_functions(talk), *_own_tools(members)]
    if tools:
        made["tools"] = tools
    if talk.tools and talk.tool_choice is not None:
        calling: dict[str, Any] = {"mode": _MODES[talk.tool_choice]}
        if talk.tool_choice == "named":
            calling["allowedFunctionNames"] = [talk.tool_named]
        made["toolConfig"] = {"functionCallingConfig": calling}
    config = _generation_config(request, talk, model)
    if config:
        made["generationConfig"] = config
    return made | {
        name: members[name] for name in sorted(_PASSED_ON & members.keys()) if members[name] is not None
    }


def lacking(request: Canonical, model: str) -> Iterator[str]:
    """Members and parts that Gemini cannot do, by path.

    Args:
        model: the provider's name of it; without one, only what no model can do.
    """
    members = request.members
    for name, value in members.items():
        if name not in _KNOWN and name not in HARMLESS and matters(name, value):
            yield name
    if request.choices > _MOST_CHOICES:
        yield "n"
    stops = members.get("stop")
    if isinstance(stops, list) and len(stops) > _MOST_STOPS:
        yield "stop"
    modalities = members.get("modalities")
    if isinstance(modalities, list) and not set(map(str, modalities)) <= {"text", "image"}:
        yield "modalities"
    yield from _lacking_of_reasoning(members)
    yield from _lacking_of_tools(members)
    yield from _lacking_of_format(members, model)
    yield from _lacking_of_messages(members.get("messages"))


def dropping(request: Canonical) -> Iterator[str]:
    """Members that are left out because the answer is the same, or as good, without them."""
    members = request.members
    for name, value in members.items():
        if name in HARMLESS and name not in _KNOWN and matters(name, value):
            yield name
    for number, tool in enumerate(_listed(members.get("tools"))):
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict) and function.get("strict") is True:
            yield f"tools[{number}].function.strict"
    for number, message in enumerate(_listed(members.get("messages"))):
        if not isinstance(message, dict):
            continue
        if message.get("name") and message.get("role") not in ("tool", "function"):
            yield f"messages[{number}].name"
        for place, part in enumerate(_listed(message.get("content"))):
            image = part.get("image_url") if isinstance(part, dict) else None
            if isinstance(image, dict) and image.get("detail") not in (None, "auto"):
                yield f"messages[{number}].content[{place}].image_url.detail"


def _functions(talk: Conversation) -> Iterator[dict[str, Any]]:
    declared: list[dict[str, Any]] = []
    for tool in talk.tools:
        made: dict[str, Any] = {"name": tool.name}
        if tool.description:
            made["description"] = tool.description
        if tool.parameters:
            made["parametersJsonSchema"] = tool.parameters
        declared.append(made)
    if declared:
        yield {"functionDeclarations": declared}


def _own_tools(members: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for tool in _listed(members.get("tools")):
        name = (
            _TOOLS.get(tool["type"]) if isinstance(tool, dict) and isinstance(tool.get("type"), str) else None
        )
        if name is not None:
            yield {name: {key: value for key, value in tool.items() if key != "type"}}


def _generation_config(request: Canonical, talk: Conversation, model: str) -> dict[str, Any]:
    members = request.members
    made: dict[str, Any] = {
        own: members[name]
        for name, own in _SAMPLING.items()
        if members.get(name) is not None and matters(name, members[name])
    }
    if request.output_limit_tokens is not None:
        made["maxOutputTokens"] = request.output_limit_tokens
    if talk.stop:
        made["stopSequences"] = list(talk.stop)
    if request.choices > 1:
        made["candidateCount"] = request.choices
    modalities = members.get("modalities")
    if isinstance(modalities, list) and modalities not in ([], ["text"]):
        made["responseModalities"] = [str(modality).upper() for modality in modalities]
    if talk.json_object or talk.schema is not None:
        made["responseMimeType"] = "application/json"
    if talk.schema is not None and talk.schema.schema:
        made["responseJsonSchema"] = schemas.taken(talk.schema.schema)
    thought = thinking.config(members, model)
    if thought is not None:
        made["thinkingConfig"] = thought
    return made


def _lacking_of_reasoning(members: Mapping[str, Any]) -> Iterator[str]:
    if not thinking.is_known(members.get("reasoning_effort")):
        yield "reasoning_effort"
    reasoning = members.get("reasoning")
    if isinstance(reasoning, dict) and not thinking.is_known(reasoning.get("effort")):
        yield "reasoning.effort"


def _lacking_of_tools(members: Mapping[str, Any]) -> Iterator[str]:
    alone = members.get("parallel_tool_calls") is False and members.get("tool_choice") != "none"
    if alone and _calls_functions(members):
        yield "parallel_tool_calls"
    for number, tool in enumerate(_listed(members.get("tools"))):
        kind = tool.get("type", "function") if isinstance(tool, dict) else ""
        if kind != "function" and not (isinstance(kind, str) and kind in _TOOLS):
            yield f"tools[{number}]"


def _lacking_of_format(members: Mapping[str, Any], model: str) -> Iterator[str]:
    wanted = members.get("response_format")
    if not isinstance(wanted, dict) or wanted.get("type") not in ("json_object", "json_schema"):
        return
    known = thinking.generation(model)
    if known is not None and known < (3, 0) and _calls_functions(members):
        # 400: function calling with JSON as the type of the answer is unsupported.
        yield "response_format"
    given = wanted.get("json_schema")
    if isinstance(given, dict):
        yield from schemas.lacking(given.get("schema"), "response_format.json_schema.schema")


def _calls_functions(members: Mapping[str, Any]) -> bool:
    return bool(members.get("tools") or members.get("functions"))


def _lacking_of_messages(messages: Any) -> Iterator[str]:
    for number, message in enumerate(_listed(messages)):
        if not isinstance(message, dict):
            continue
        says_system = message.get("role") in ("system", "developer")
        for place, part in enumerate(_listed(message.get("content"))):
            if isinstance(part, dict) and (
                not is_known(part) or (says_system and part.get("type") not in ("text", "refusal"))
            ):
                yield f"messages[{number}].content[{place}]"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
