"""Answers of Gemini's generateContent and streamGenerateContent as events.

Sources: ai.google.dev/api/generate-content, docs.cloud.google.com/vertex-ai, November 2026, and recorded answers.
Events are separated by CRLF and there is no end mark. Each carries usage, of which the last counts. A function call
comes whole, in one part, and the reason is STOP all the same. Without `alt=sse` a stream is one JSON array: it is read,
too, but only when it is whole.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

import orjson

from providers import events
from providers.framing import sse
from providers.types import UpstreamError
from providers.upstreams.failures import Rule, from_body
from providers.upstreams.gemini.citations import Citations
from providers.upstreams.gemini.usage import NOTHING, usage_of
from providers.upstreams.openai_chat.chunks import index_of, object_of

FORMAT: Final = "google-gemini-v1"
"""Of entries in `reasoning_details`, as OpenRouter names it (recorded 2026)."""

_FINISH: Final[Mapping[str, str]] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        (
            "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR",
            "ESCALATION", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION",
        ),
        "content_filter",
    ),
}  # fmt: skip
"""Others (OTHER, MALFORMED_FUNCTION_CALL, TOO_MANY_TOOL_CALLS …) end the answer with no word of OpenAI's: `stop`."""

_UNSAID: Final = frozenset({"", "FINISH_REASON_UNSPECIFIED", "BLOCK_REASON_UNSPECIFIED"})
_OF_A_PART: Final = frozenset(
    {"thought", "thoughtSignature", "partMetadata", "videoMetadata", "mediaResolution"}
)


class Decoder:
    """Upstream bytes in, events out. One per response."""

    __slots__ = ("_answer", "_body", "_body_bytes", "_broken", "_head", "_splitter")

    def __init__(self, rules: tuple[Rule, ...] = ()) -> None:
        self._answer = Answer(rules)
        self._splitter = sse.Splitter()
        self._head: bytes | None = b""
        self._body: list[bytes] | None = None
        self._body_bytes = 0
        self._broken = False

    def feed(self, data: bytes) -> Sequence[events.Event]:
        """Events that `data` completes; nonsense, or an error the provider sent, is the last of them."""
        if self._broken:
            return ()
        if self._head is not None:
            data = self._begun(data)
        try:
            if self._body is not None:
                self._keep(data)
                return ()
            run = self._splitter.feed(data)
        except sse.FrameTooLarge:
            return self._ended([_broken("the provider sent a frame beyond the limit")])
        found: list[events.Event] = []
        for raw in sse.frames(run):
            found += self._framed(raw)
            if found and isinstance(found[-1], events.Broken):
                return self._ended(found)
        return found

    def close(self) -> Sequence[events.Event]:
        """The end of the body. While a choice has no finish reason, the stream was cut short."""
        if self._broken:
            return ()
        self._broken = True
        if self._body is not None:
            return self._answer.whole(b"".join(self._body))
        last: list[events.Event] = []
        rest = self._splitter.close()
        if rest.strip():
            last = self._framed(rest + b"\n\n")
            if last and isinstance(last[-1], events.Broken):
                if last[-1].error.kind != "protocol":
                    return last
                last.pop()  # half an event: whether it matters is for the choices to say
        return [*last, *self._answer.end()]

    def _begun(self, data: bytes) -> bytes:
        """Find out from the first byte that says something whether this is a stream of events at all."""
        assert self._head is not None
        head = self._head + data
        said = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if not said:
            self._head = head[-64:]
            return b""
        self._head = None
        if said[:1] in (b"[", b"{"):
            self._body = []
        return head

    def _keep(self, data: bytes) -> None:
        assert self._body is not None
        self._body.append(data)
        self._body_bytes += len(data)
        if self._body_bytes > sse.MAX_FRAME_BYTES:
            raise sse.FrameTooLarge

    def _framed(self, raw: bytes) -> list[events.Event]:
        data = sse.payload(raw)
        if data is None:
            # An error in the middle may come as it would without a stream, no `data:` before it.
            data = raw.strip()
            if data[:1] != b"{":
                return []
        data = data.strip()
        if not data or data == b"[DONE]":
            return []
        try:
            members = orjson.loads(data)
        except orjson.JSONDecodeError:
            return [_broken("the provider sent a frame that is not JSON")]
        return self._answer.chunk(members)

    def _ended(self, found: Sequence[events.Event]) -> Sequence[events.Event]:
        self._broken = True
        return found


@dataclass(slots=True, eq=False)
class _Choice:
    """What is known of one candidate so far."""

    index: int
    text: list[str] = field(default_factory=list)
    text_chars: int = 0
    calls: int = 0
    images: int = 0
    others: int = 0  # parts without a word of OpenAI's
    blocks: int = 0  # entries in `reasoning_details`
    thinking: bool = False  # the last piece was a thought, so that the next one belongs to it
    reason: str = ""  # kept back: a server-side tool is still running
    finished: bool = False
    citations: Citations = field(default_factory=Citations)

    def block(self) -> int:
        """The index of a new entry."""
        self.blocks += 1
        return self.blocks - 1


class Answer:
    """Turns `GenerateContentResponse` objects into events. One per response."""

    __slots__ = ("_begun", "_choices", "_id", "_refused", "_reported", "_rules")

    def __init__(self, rules: tuple[Rule, ...] = ()) -> None:
        self._rules = rules
        self._id = ""
        self._begun = False
        self._choices: dict[int, _Choice] = {}
        self._refused = False
        self._reported: Mapping[str, Any] | None = None

    def whole(self, body: bytes) -> list[events.Event]:
        """All events of a plain answer, or of a stream that came as one JSON array."""
        try:
            members = orjson.loads(body)
        except orjson.JSONDecodeError:
            return [_broken("the provider's answer is not JSON")]
        found: list[events.Event] = []
        for chunk in members if isinstance(members, list) else [members]:
            found += self.chunk(chunk)
            if found and isinstance(found[-1], events.Broken):
                return found
        return [*found, *self.end()]

    def chunk(self, members: Any) -> list[events.Event]:
        """What one object says; an error is the last event."""
        if not isinstance(members, dict):
            return [_broken("the provider sent a frame that is no JSON object")]
        found: list[events.Event] = []
        if not self._begun:
            self._begin(members, found)
        if members.get("error"):
            self._report(members, found)
            return [*found, events.Broken(from_body(members["error"], status=200, rules=self._rules))]
        candidates = members.get("candidates")
        listed = (
            [each for each in candidates if isinstance(each, dict)] if isinstance(candidates, list) else []
        )
        try:
            for candidate in listed:
                self._candidate(candidate, found)
        except orjson.JSONEncodeError:
            return [*found, _broken("the provider's answer is nested too deeply")]
        blocked = object_of(members, "promptFeedback").get("blockReason")
        if not listed and isinstance(blocked, str) and blocked not in _UNSAID:
            self._blocked(blocked, found)
        self._report(members, found)
        return found

    def end(self) -> list[events.Event]:
        """The end of the body."""
        found: list[events.Event] = []
        for choice in self._choices.values():
            if not choice.finished and choice.reason:
                self._finish(choice, choice.reason, found)
        if self._refused and self._reported is None:
            # Refused before any model saw it, as often said without counts (recorded 2026): nothing to charge.
            found.append(events.UsageReport(NOTHING))
        if not self._choices or not all(choice.finished for choice in self._choices.values()):
            found.append(_broken("the provider's stream was cut short"))
        return found

    def _begin(self, members: Mapping[str, Any], found: list[events.Event]) -> None:
        self._begun = True
        self._id, model = _string(members, "responseId"), _string(members, "modelVersion")
        if self._id or model:
            found.append(events.Begin(self._id, model))

    def _report(self, members: Mapping[str, Any], found: list[events.Event]) -> None:
        reported = members.get("usageMetadata")
        if not isinstance(reported, dict) or reported == self._reported:
            return
        usage = usage_of(reported)
        if usage is not None:
            self._reported = reported
            found.append(events.UsageReport(usage))

    def _blocked(self, reason: str, found: list[events.Event]) -> None:
        """The prompt was refused: a legal answer without content."""
        self._refused = not self._choices
        if self._refused:
            self._choices[0] = _Choice(0)
        for choice in self._choices.values():
            if not choice.finished:
                choice.finished = True
                found.append(events.Finish(choice.index, "content_filter", reason))

    def _candidate(self, candidate: Mapping[str, Any], found: list[events.Event]) -> None:
        index = index_of(candidate)
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice(index)
        parts = object_of(candidate, "content").get("parts")
        parts = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
        for part in parts:
            self._part(choice, part, found)
        for name in ("groundingMetadata", "citationMetadata"):
            if isinstance(cited := candidate.get(name), dict):
                annotations = choice.citations.read(name, cited, choice.text)
                if annotations:
                    found.append(events.Opaque(index, "annotations", annotations))
        reason = candidate.get("finishReason")
        if not isinstance(reason, str) or reason in _UNSAID or choice.finished:
            return
        if parts and "executableCode" in parts[-1]:
            # STOP behind code that is yet to run, then its result and another STOP (recorded 2026).
            choice.reason = reason
        else:
            self._finish(choice, reason, found)

    def _finish(self, choice: _Choice, reason: str, found: list[events.Event]) -> None:
        choice.finished = True
        mapped = _FINISH.get(reason, "stop")
        if mapped == "stop" and choice.calls:
            mapped = "tool_calls"
        found.append(events.Finish(choice.index, mapped, reason))

    def _part(self, choice: _Choice, part: Mapping[str, Any], found: list[events.Event]) -> None:
        signature = _string(part, "thoughtSignature")
        text = part.get("text")
        call = part.get("functionCall")
        if isinstance(call, dict):
            self._call(choice, call, signature, found)
        elif isinstance(text, str):
            if part.get("thought") is True:
                _thought(choice, text, signature, found)
            else:
                _text(choice, text, signature, found)
        else:
            choice.thinking = False
            found += _others(choice, part)

    def _call(
        self, choice: _Choice, call: Mapping[str, Any], signature: str, found: list[events.Event]
    ) -> None:
        name = _string(call, "name")
        arguments = orjson.dumps(object_of(call, "args"))
        # Many models give no id. Ours is the same whenever the same answer is read.
        call_id = _string(call, "id")
        if not call_id:
            told = self._id or blake2b(name.encode() + arguments, digest_size=9).hexdigest()
            call_id = (
                f"call_{told}_{choice.index}_{choice.calls}"
                if choice.index
                else f"call_{told}_{choice.calls}"
            )
        choice.thinking = False
        if signature:
            detail = _signed(choice, signature, call_id)
            found.append(events.Reasoning(choice.index, "", detail))
        found.append(events.ToolDelta(choice.index, choice.calls, call_id, name, arguments.decode()))
        choice.calls += 1


def _thought(choice: _Choice, text: str, signature: str, found: list[events.Event]) -> None:
    if not text and not signature:
        return
    block = choice.blocks - 1 if choice.thinking else choice.block()
    detail: dict[str, Any] = {"type": "reasoning.text", "text": text, "format": FORMAT, "index": block}
    if signature:
        detail["signature"] = signature
    choice.thinking = not signature
    found.append(events.Reasoning(choice.index, text, detail))


def _text(choice: _Choice, text: str, signature: str, found: list[events.Event]) -> None:
    start = choice.text_chars
    if text:
        choice.thinking = False
        choice.text.append(text)
        choice.text_chars += len(text)
        found.append(events.Text(choice.index, text))
    if signature:
        # Streams carry it in an empty part at the end; it goes back to where it was (see `requests.py`).
        choice.thinking = False
        detail = _signed(choice, signature, f"text_{start}_{choice.text_chars}")
        found.append(events.Reasoning(choice.index, "", detail))


def _signed(choice: _Choice, signature: str, place: str) -> dict[str, Any]:
    """A signature, and the part it belongs to: a call by its id, text by where it begins and ends."""
    return {
        "type": "reasoning.encrypted",
        "data": signature,
        "id": place,
        "format": FORMAT,
        "index": choice.block(),
    }


def _others(choice: _Choice, part: Mapping[str, Any]) -> Iterator[events.Event]:
    """Media the model made, and parts that have no word in OpenAI's vocabulary (code that ran, tools at Google's).

    Numbered, for OpenAI's own package gathers the lists of a stream by `index`.
    """
    media = object_of(part, "inlineData")
    media_type, data = _string(media, "mimeType"), _string(media, "data")
    if part.get("thought") is True:
        return  # a draft of an image
    if data and media_type.startswith("image/"):
        url = {"url": f"data:{media_type};base64,{data}"}
        yield events.Opaque(
            choice.index, "images", [{"type": "image_url", "image_url": url, "index": choice.images}]
        )
        choice.images += 1
        return
    told = {name: value for name, value in part.items() if name not in _OF_A_PART and value is not None}
    if told:
        orjson.dumps(told)  # too deep for that, and nobody could pass it on
        yield events.Opaque(choice.index, "gemini_parts", [{**told, "index": choice.others}])
        choice.others += 1


def _broken(message: str) -> events.Broken:
    return events.Broken(UpstreamError("protocol", message))


def _string(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""
