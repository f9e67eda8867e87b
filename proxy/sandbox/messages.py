"""The messages of a request: text, media and the rules about tool results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from types import MappingProxyType

from proxy.sandbox.fields import Fields, RequestError, missing, unsupported

ROLES = ("system", "developer", "user", "assistant", "tool")

# Part type -> (member that holds it, what it is called when mentioned).
MEDIA: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "image_url": ("image_url", "image"),
        "input_audio": ("input_audio", "audio clip"),
        "file": ("file", "file"),
    }
)
_PARTS = ("text", "refusal", *MEDIA)


@dataclass(frozen=True, slots=True)
class Media:
    """An image, audio clip or file; `digest` stands for its content, which is not looked at."""

    noun: str
    digest: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `calls` maps call id to function name; `answers` is the call a tool message belongs to."""

    role: str
    text: str
    media: tuple[Media, ...]
    calls: Mapping[str, str]
    answers: str | None


def read(body: Fields) -> tuple[Message, ...]:
    """All messages of `body`.

    Raises:
        RequestError: none at all, a malformed one, or tool calls and results that do not match.
    """
    if body.get("messages") is None:
        raise missing("messages")
    messages = tuple(_message(fields) for fields in body.children("messages"))
    if not messages:
        raise RequestError(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, "
            "but got an empty array instead.",
            param="messages",
            code="empty_array",
        )
    _check_tool_results(messages)
    return messages


def _message(fields: Fields) -> Message:
    role = fields.word("role", ROLES)
    if role is None:
        raise missing(fields.at("role"))
    calls = _calls(fields) if role == "assistant" else {}
    text, media = _content(fields)
    if fields.get("content") is None and not calls and not fields.get("refusal"):
        raise RequestError(
            f"Invalid value for '{fields.at('content')}': expected a string, got null.",
            param=fields.at("content"),
            code="invalid_value",
        )
    answers = fields.needed_text("tool_call_id") if role == "tool" else None
    return Message(role=role, text=text, media=media, calls=MappingProxyType(calls), answers=answers)


def _content(fields: Fields) -> tuple[str, tuple[Media, ...]]:
    content = fields.get("content")
    if content is None or isinstance(content, str):
        return content or "", ()
    texts: list[str] = []
    media: list[Media] = []
    for part in fields.children("content"):
        kind = part.word("type", _PARTS)
        if kind is None:
            raise missing(part.at("type"))
        if kind in MEDIA:
            media.append(_media(part, kind))
        else:
            text = part.text(kind)
            if text is None:
                raise missing(part.at(kind))
            texts.append(text)
    return "\n".join(texts), tuple(media)


def _media(part: Fields, kind: str) -> Media:
    member, noun = MEDIA[kind]
    holder = part.child(member)
    if holder is None:
        raise missing(part.at(member))
    given = {"image_url": ("url",), "input_audio": ("data",), "file": ("file_id", "file_data")}[kind]
    values = [value for name in given if (value := holder.text(name))]
    if not values:
        raise missing(holder.at(given[0]))
    return Media(noun=noun, digest=blake2b("\n".join(values).encode(), digest_size=8).hexdigest())


def _calls(fields: Fields) -> dict[str, str]:
    calls: dict[str, str] = {}
    for call in fields.children("tool_calls"):
        kind = call.text("type") or "function"
        holder = call.child(kind)
        if holder is None:
            raise unsupported(call.at("type"), kind, ("function", "custom"))
        calls[call.needed_text("id")] = holder.needed_text("name")
    return calls


def _check_tool_results(messages: Sequence[Message]) -> None:
    """Every tool message answers a call made just before it, and every call is answered."""
    waiting: dict[str, str] = {}
    answered: set[str] = set()
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        if message.answers is not None:
            if message.answers not in waiting and message.answers not in answered:
                raise RequestError(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceding message "
                    f"with 'tool_calls'; '{message.answers}' was not called.",
                    param=f"{path}.tool_call_id",
                )
            waiting.pop(message.answers, None)
            answered.add(message.answers)
            continue
        _check_answered(waiting, path)
        waiting, answered = dict(message.calls), set()
    _check_answered(waiting, f"messages[{len(messages)}]")


def _check_answered(waiting: Mapping[str, str], path: str) -> None:
    if waiting:
        raise RequestError(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following had no response: {', '.join(waiting)}.",
            param=path,
        )
