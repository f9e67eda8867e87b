"""Messages as Gemini's contents: roles, media, function calls with their signatures, results.

Sources: ai.google.dev/api/caching#Content, /gemini-api/docs/thought-signatures, /function-calling, November 2026, and
recorded requests.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from providers.conversation import Conversation, Message, Part
from providers.upstreams.gemini.answers import FORMAT
from providers.upstreams.gemini.thinking import checks_signatures

# Stands for a signature that a client lost or that another provider's model never made; Gemini then checks none
# (ai.google.dev/gemini-api/docs/thought-signatures, "FAQs"). The model answers, but does not remember its reasons.
NO_SIGNATURE: Final = "skip_thought_signature_validator"

_PLACE_OF_TEXT: Final = re.compile(r"text_([0-9]{1,9})_([0-9]{1,9})")
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_EXTENSION: Final = re.compile(r"\.([A-Za-z0-9]{2,5})(?:[?#]|$)")
_DATA: Final = re.compile(r"data:([^;,]*)[^,]*;base64,", re.IGNORECASE)

# ai.google.dev/gemini-api/docs, pages on images, documents, audio and video.
_MEDIA_TYPES: Final[Mapping[str, str]] = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp", "heic": "image/heic",
    "heif": "image/heif", "gif": "image/gif", "pdf": "application/pdf", "txt": "text/plain", "md": "text/md",
    "csv": "text/csv", "html": "text/html", "xml": "text/xml", "json": "application/json", "wav": "audio/wav",
    "mp3": "audio/mp3", "aiff": "audio/aiff", "aac": "audio/aac", "ogg": "audio/ogg", "flac": "audio/flac",
    "m4a": "audio/m4a", "mp4": "video/mp4", "mpeg": "video/mpeg", "mpg": "video/mpg", "mov": "video/mov",
    "avi": "video/avi", "flv": "video/x-flv", "webm": "video/webm", "wmv": "video/wmv", "3gp": "video/3gpp",
}  # fmt: skip
_USUAL_MEDIA_TYPE: Final[Mapping[str, str]] = {
    "image": "image/jpeg",
    "audio": "audio/wav",
    "file": "application/pdf",
}


def contents(talk: Conversation, model: str, *, call_ids: bool) -> list[dict[str, Any]]:
    """All messages but system ones. A message that says nothing is left out.

    Args:
        call_ids: the provider knows ids of calls.
    """
    made: list[dict[str, Any]] = []
    results = _Results(talk, call_ids=call_ids)
    for message in talk.messages:
        if message.role == "tool":
            results.add(message)
            continue
        made += results.contents()
        if message.role == "assistant":
            parts = _of_model(message, model, call_ids=call_ids)
        else:
            parts = [part_of(part) for part in message.parts]
        if parts:
            made.append({"role": "model" if message.role == "assistant" else "user", "parts": parts})
    return [*made, *results.contents()]


def part_of(part: Part) -> dict[str, Any]:
    """One part of a user's message. What is not known here becomes empty text; `lacks` names it beforehand."""
    if part.kind in ("text", "refusal"):
        return {"text": part.text}
    if part.kind == "other":
        video = _video(part.raw)
        if not video:
            return {"text": ""}
        match = _DATA.match(video)
        if match is not None:
            return _inline(match[1].lower() or "video/mp4", video[match.end() :])
        return _linked(video, "")
    media_type = part.media_type
    if part.kind == "audio" and media_type and "/" not in media_type:
        media_type = f"audio/{media_type}"
    if part.data:
        return _inline(media_type or _media_type(part), part.data)
    url = part.url or part.file_id
    # A file may come as bare base64, though OpenAI wants a data URL.
    return _linked(url, media_type) if _URL.match(url) else _inline(media_type or _media_type(part), url)


def is_known(part: Mapping[str, Any]) -> bool:
    """Whether a part as the client wrote it can be said to Gemini."""
    kind = part.get("type")
    if kind in ("text", "refusal", "image_url", "input_audio"):
        return True
    if kind == "file":
        file = part.get("file")
        return isinstance(file, dict) and bool(
            file.get("file_data") or file.get("file_url") or _URL.match(str(file.get("file_id")))
        )
    return bool(_video(part))


def _video(part: Mapping[str, Any]) -> str:
    """OpenRouter's part for videos: a URL, of YouTube too, or a data URL."""
    video = part.get("video_url") if part.get("type") == "video_url" else None
    if isinstance(video, dict):
        video = video.get("url")
    return video if isinstance(video, str) else ""


def _inline(media_type: str, data: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": media_type, "data": data}}


def _linked(url: str, media_type: str) -> dict[str, Any]:
    """Media that Google fetches itself. The type is optional there, and a wrong one is worse than none."""
    media_type = media_type or _by_extension(url)
    linked = {"fileUri": url}
    return {"fileData": {"mimeType": media_type, **linked} if media_type else linked}


def _media_type(part: Part) -> str:
    return _by_extension(part.name) or _USUAL_MEDIA_TYPE[part.kind]


def _by_extension(name: str) -> str:
    match = _EXTENSION.search(name.rpartition("/")[2])
    return _MEDIA_TYPES.get(match[1].lower(), "") if match else ""


def _of_model(message: Message, model: str, *, call_ids: bool) -> list[dict[str, Any]]:
    """An earlier answer: signed thoughts, text, then calls, each signature at the part it came with.

    Thoughts without a signature are summaries for people and stay out.
    """
    signatures = _Signatures(message)
    if message.calls and not signatures.calls and (signatures.loose or checks_signatures(model)):
        # The first of parallel calls carries the signature.
        signatures.calls[message.calls[0].id] = signatures.loose.pop(0) if signatures.loose else NO_SIGNATURE
    parts = [*signatures.thoughts, *_signed_text(message.parts, signatures)]
    for call in message.calls:
        made: dict[str, Any] = {"functionCall": {"name": call.name, "args": _arguments(call.arguments)}}
        if call_ids and call.id:
            made["functionCall"]["id"] = call.id
        if signature := signatures.calls.pop(call.id, ""):
            made["thoughtSignature"] = signature
        parts.append(made)
    return parts


class _Signatures:
    """Signatures of one earlier answer, sorted by what they belong to; those of other providers left out.

    Attributes:
        thoughts: whole parts.
        calls: by id of the call.
        text: with the places where the signed text begins and ends, in characters.
        loose: they say of no part, or of one that is no longer there.
    """

    __slots__ = ("calls", "loose", "text", "thoughts")

    def __init__(self, message: Message) -> None:
        self.thoughts: list[dict[str, Any]] = []
        self.calls: dict[str, str] = {}
        self.text: list[tuple[int, int, str]] = []
        self.loose: list[str] = []
        ids = {call.id for call in message.calls}
        for block in message.reasoning:
            if block.get("format") == FORMAT:
                self._sort(block, ids)

    def _sort(self, block: Mapping[str, Any], ids: Collection[str]) -> None:
        is_thought = block.get("type") == "reasoning.text"
        signature = block.get("signature" if is_thought else "data")
        if not isinstance(signature, str) or not signature:
            return
        place = str(block.get("id"))
        if is_thought:
            text = str(block.get("text") or "")
            self.thoughts.append({"text": text, "thought": True, "thoughtSignature": signature})
        elif place in ids:
            self.calls[place] = signature
        elif match := _PLACE_OF_TEXT.fullmatch(place):
            self.text.append((int(match[1]), int(match[2]), signature))
        else:
            self.loose.append(signature)


def _signed_text(parts: Sequence[Part], signatures: _Signatures) -> Iterator[dict[str, Any]]:
    """The text, cut into the parts that signatures belong to; media the model made, as they stand."""
    text = "".join(part.text for part in parts if part.kind in ("text", "refusal"))
    loose = list(signatures.loose)
    cursor = 0
    for start, end, signature in sorted(signatures.text):
        if not cursor <= start <= end <= len(text):  # not the text that was signed
            loose.append(signature)
            continue
        if start > cursor:
            yield {"text": text[cursor:start]}
        yield {"text": text[start:end], "thoughtSignature": signature}
        cursor = end
    if cursor < len(text):
        yield {"text": text[cursor:]}
    for signature in loose:
        yield {"text": "", "thoughtSignature": signature}
    for part in parts:
        if part.kind not in ("text", "refusal", "other"):
            yield part_of(part)


class _Results:
    """Results of tools that follow one another: one content, in the order of the calls; then media in another one."""

    __slots__ = ("_call_ids", "_media", "_names", "_order", "_parts")

    def __init__(self, talk: Conversation, *, call_ids: bool) -> None:
        self._call_ids = call_ids
        self._names = talk.tool_names()
        calls = [call.id for message in talk.messages for call in message.calls]
        self._order = {call_id: number for number, call_id in enumerate(calls)}
        self._parts: list[tuple[int, dict[str, Any]]] = []
        self._media: list[dict[str, Any]] = []

    def add(self, message: Message) -> None:
        """One result."""
        response: dict[str, Any] = {
            "name": self._names.get(message.call_id) or message.tool_name or message.call_id,
            "response": _result(message.text),
        }
        if self._call_ids and message.call_id in self._names:
            response["id"] = message.call_id
        self._parts.append(
            (self._order.get(message.call_id, len(self._order)), {"functionResponse": response})
        )
        self._media += [part_of(part) for part in message.parts if part.kind != "text"]

    def contents(self) -> Iterator[dict[str, Any]]:
        """What was added since the last time."""
        if self._parts:
            parts = [part for _, part in sorted(self._parts, key=lambda placed: placed[0])]
            yield {"role": "user", "parts": parts}
        if self._media:
            yield {"role": "user", "parts": self._media}
        self._parts, self._media = [], []


def _result(text: str) -> Any:
    """A JSON object as it is; anything else under a name."""
    return orjson.Fragment(text) if _is_object(text) else {"result": text}


def _arguments(text: str) -> Any:
    """What the model wrote may not be what a function takes; Gemini wants an object."""
    return orjson.Fragment(text) if _is_object(text) else {"arguments": text}


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False
