"""OpenAI's chat completions, as an upstream: requests out; answers, streams and errors in.

Source: platform.openai.com/docs/api-reference/chat, seen November 2026, and recorded exchanges of two dozen providers
that speak it with accents. A provider of the family is a value in the registry; this file names none.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import orjson

from providers import events
from providers.framing import sse
from providers.members import locate, splice
from providers.passthrough import Passthrough
from providers.types import Canonical, Completion, Frame, Unparsable, UpstreamError, UpstreamRequest, Usage
from providers.upstreams.failures import classify, from_body

PATH: Final = "/chat/completions"
FINISH_REASONS: Final = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})

# Finish reasons outside OpenAI's set, as seen in recordings and in providers' documentation.
_MAPPED_FINISH: Final = {
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_length": "length",  # mistral, docs.mistral.ai/api, November 2026
    "insufficient_system_resource": "length",  # deepseek, api-docs.deepseek.com, November 2026: cut short
    "tool_use": "tool_calls",
    "sensitive": "content_filter",  # zai, docs.z.ai, November 2026
    "safety": "content_filter",
}

# Members that are addressed to the gateway. OpenRouter reads the same words, so they stay for it unless a tier was
# asked for: then the gateway has chosen already. (`usage`, an object in a request, is OpenRouter's own switch.)
_GATEWAY_MEMBERS: Final = frozenset({"headgate", "models", "provider", "session_id"})
_OPENROUTER_MEMBERS: Final = frozenset({"models", "provider", "session_id"})

_FINISH: Final = re.compile(rb'"finish_reason"\s*:\s*(?!null)\S')
_USAGE: Final = re.compile(rb'"usage"\s*:\s*\{')


@dataclass(frozen=True, slots=True)
class OpenAIChat:
    """The dialect, with the accents of one provider as fields.

    Attributes:
        ask_for_usage: send `stream_options.include_usage`; without it this provider reports no usage in streams.
        openrouter_members: `models`, `provider`, `session_id` and `usage` mean something to this provider.
    """

    speaks: ClassVar[str] = "openai_chat"

    ask_for_usage: bool = True
    openrouter_members: bool = False

    def encode(self, request: Canonical, model: str) -> UpstreamRequest:
        """The provider's request: the client's own bytes, with only the members replaced that must be."""
        put = {"model": orjson.dumps(model)}
        if request.stream and self.ask_for_usage and not request.usage_wanted:
            options = request.members.get("stream_options") or {}
            put["stream_options"] = orjson.dumps({**options, "include_usage": True})
        drop = _GATEWAY_MEMBERS
        if self.openrouter_members and request.named:
            drop = drop - _OPENROUTER_MEMBERS
        elif isinstance(request.members.get("usage"), dict):
            drop = drop | {"usage"}
        return UpstreamRequest(PATH, splice(request.raw, request.layout, put, drop))

    def decode(self, body: bytes) -> Completion:
        """A plain answer.

        Raises:
            UpstreamError: an error under status 200, or nothing this dialect knows.
        """
        try:
            members = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise UpstreamError("protocol", "the provider's answer is not JSON") from None
        if isinstance(members, dict) and members.get("error"):
            raise from_body(members["error"], status=200)
        if not isinstance(members, dict) or not isinstance(members.get("choices"), list):
            raise UpstreamError("protocol", "the provider's answer has no choices")
        body, members = _with_known_finish(body, members)
        return Completion(body, members, read_usage(members))

    def estimated_output_tokens(self, completion: Completion) -> int:
        """A guess for a plain answer whose provider reported no usage: four bytes of text make a token."""
        messages = (choice.get("message") or {} for choice in completion.members["choices"])
        return sum(_content_of(message)[0] for message in messages) // 4 + 1

    def reader(self, *, many_choices: bool) -> Passthrough:
        """Frames of a stream for a client of the same dialect."""
        return Passthrough(self, many_choices=many_choices)

    def decoder(self) -> "Decoder":
        """Events of a stream for a client of another dialect."""
        return Decoder(self)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        """An answer whose status is not 200, in one form."""
        return classify(status, headers, body)

    def quiet(self, run: bytes) -> bool:
        """See `passthrough.Inspector`. Two counts at C speed; a search only where they differ."""
        if run.count(b'"finish_reason"') != run.count(b'"finish_reason":null') and _FINISH.search(run):
            return False
        if run.count(b'"usage"') != run.count(b'"usage":null') and _USAGE.search(run):
            return False
        return b'"error"' not in run and b"data: [DONE]" not in run and b"data:[DONE]" not in run

    def inspect(self, raw: bytes) -> Frame:
        """See `passthrough.Inspector`."""
        data = sse.payload(raw)
        if data is None or not (data := data.strip()):
            return Frame(raw)
        if data == b"[DONE]":
            return Frame(raw, marked=True, done=True)
        members = _parse(data)
        if members.get("error"):
            return Frame(raw, marked=True, error=from_body(members["error"], status=200), members=members)
        choices = [choice for choice in members.get("choices") or () if isinstance(choice, dict)]
        finished = tuple(_index(choice) for choice in choices if choice.get("finish_reason"))
        if finished:
            raw, members = _with_known_finish(raw, members)
        usage = read_usage(members)
        text_bytes, has_content = 0, False
        for choice in choices:
            chars, content = _content_of(choice.get("delta") or choice.get("message") or {})
            text_bytes += chars
            has_content = has_content or content
        return Frame(
            raw,
            marked=bool(choices) or usage is not None,
            content=has_content,
            text_bytes=text_bytes,
            choices=tuple(_index(choice) for choice in choices),
            finished=finished,
            usage=usage,
            error=_ended_in_error(choices),
            members=members,
        )


def read_usage(members: Mapping[str, Any]) -> Usage | None:
    """Usage as this family reports it, wherever its members say so; `None` when there is none."""
    reported = members.get("usage")
    if not isinstance(reported, dict):
        extra = members.get("x_groq")  # groq, recorded 2026: usage stands there too, at times only there
        reported = extra.get("usage") if isinstance(extra, dict) else None
        if not isinstance(reported, dict):
            return None
    prompt_details = _object(reported, "prompt_tokens_details")
    completion_details = _object(reported, "completion_tokens_details")
    cached = _count(prompt_details, "cached_tokens") or _count(reported, "prompt_cache_hit_tokens")
    cost = reported.get("cost")
    return Usage(
        input_tokens=_count(reported, "prompt_tokens"),
        output_tokens=_count(reported, "completion_tokens"),
        cache_read_tokens=cached,
        cache_write_tokens=_count(prompt_details, "cache_write_tokens"),
        reasoning_tokens=_count(completion_details, "reasoning_tokens"),
        provider_cost_usd=float(cost)
        if isinstance(cost, int | float) and not isinstance(cost, bool)
        else None,
        reported=reported,
    )


class Decoder:
    """Upstream bytes in, events out. One per response."""

    __slots__ = ("_dialect", "_done", "_splitter", "_unfinished")

    def __init__(self, dialect: OpenAIChat) -> None:
        self._dialect = dialect
        self._splitter = sse.Splitter()
        self._unfinished: set[int] | None = None
        self._done = False

    def feed(self, data: bytes) -> Sequence[events.Event]:
        """Events that `data` completes.

        Raises:
            UpstreamError: nonsense, or an error the provider sent.
        """
        try:
            run = self._splitter.feed(data)
        except sse.FrameTooLarge:
            raise UpstreamError("protocol", "the provider sent a frame beyond the limit") from None
        return [event for raw in sse.frames(run) for event in self._events(raw)]

    def close(self) -> Sequence[events.Event]:
        """The end of the body.

        Raises:
            UpstreamError: a choice has no finish reason: the stream was cut short.
        """
        rest = self._splitter.close()
        last: list[events.Event] = []
        if rest.strip():
            try:
                last = self._events(rest + b"\n\n")
            except UpstreamError as error:
                if error.kind != "protocol":
                    raise
        if self._unfinished is None or self._unfinished:
            raise UpstreamError("protocol", "the provider's stream was cut short")
        return last

    def _events(self, raw: bytes) -> list[events.Event]:
        try:
            frame = self._dialect.inspect(raw)
        except Unparsable as problem:
            raise UpstreamError("protocol", str(problem)) from None
        if frame.error is not None:
            raise frame.error
        if frame.members is None:
            return []
        found: list[events.Event] = []
        for choice in frame.members.get("choices") or ():
            index = _index(choice)
            self._unfinished = (self._unfinished or set()) | {index}
            found += _delta_events(index, choice.get("delta") or {})
        for choice in frame.members.get("choices") or ():
            if reason := choice.get("finish_reason"):
                index = _index(choice)
                assert self._unfinished is not None
                self._unfinished.discard(index)
                found.append(events.Finish(index, reason, choice.get("native_finish_reason") or reason))
        if frame.usage is not None:
            found.append(events.UsageReport(frame.usage))
        return found


def _delta_events(index: int, delta: Mapping[str, Any]) -> list[events.Event]:
    found: list[events.Event] = []
    reasoning = delta.get("reasoning_content") or delta.get("reasoning")
    if isinstance(reasoning, str) and reasoning:
        found.append(events.Reasoning(index, reasoning))
    if details := delta.get("reasoning_details"):
        found.append(events.Opaque(index, "reasoning_details", details))
    content = delta.get("content")
    if isinstance(content, str) and content:
        found.append(events.Text(index, content))
    elif content:
        found.append(events.Opaque(index, "content", content))
    if refusal := delta.get("refusal"):
        found.append(events.Refusal(index, refusal))
    for position, call in enumerate(delta.get("tool_calls") or ()):
        function = call.get("function") or {}
        found.append(
            events.ToolDelta(
                index,
                call_index=call["index"] if isinstance(call.get("index"), int) else position,
                call_id=call.get("id") or "",
                name=function.get("name") or "",
                arguments=function.get("arguments") or "",
            )
        )
    found += [
        events.Opaque(index, name, delta[name])
        for name in ("audio", "images", "annotations", "function_call")
        if delta.get(name)
    ]
    return found


def _parse(data: bytes) -> dict[str, Any]:
    try:
        members = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise Unparsable("the provider sent a frame that is not JSON") from None
    if not isinstance(members, dict):
        raise Unparsable("the provider sent a frame that is no JSON object")
    return members


def _content_of(delta: Mapping[str, Any]) -> tuple[int, bool]:
    """Bytes of text in a delta, and whether it holds any content at all."""
    text_bytes = 0
    for name in ("content", "reasoning_content", "reasoning", "refusal"):
        value = delta.get(name)
        if isinstance(value, str) and not (name == "reasoning" and delta.get("reasoning_content")):
            text_bytes += len(value.encode())
    rich = any(
        delta.get(name) for name in ("tool_calls", "function_call", "audio", "images", "reasoning_details")
    )
    return text_bytes, text_bytes > 0 or rich or (isinstance(delta.get("content"), list) and bool(
        delta["content"]
    ))


def _with_known_finish(raw: bytes, members: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """Map finish reasons outside OpenAI's set; the original stays in `native_finish_reason`."""
    choices = members["choices"]
    if all(_known_finish(choice) for choice in choices):
        return raw, members
    mapped = [
        choice
        if _known_finish(choice)
        else {
            **choice,
            "finish_reason": _MAPPED_FINISH.get(str(choice["finish_reason"]).lower(), "stop"),
            "native_finish_reason": choice.get("native_finish_reason") or choice["finish_reason"],
        }
        for choice in choices
    ]
    members = {**members, "choices": mapped}
    return edit(raw, {"choices": orjson.dumps(mapped)}), members


def edit(raw: bytes, put: Mapping[str, bytes], drop: frozenset[str] = frozenset()) -> bytes:
    """Edit top-level members of the JSON in a frame or a plain body; all other bytes stay.

    A payload spread over several `data:` lines comes back on one.
    """
    if raw.lstrip()[:1] == b"{":
        return splice(raw, locate(raw, orjson.loads(raw)), put, drop)
    span = sse.payload_span(raw)
    if span is None:
        data = sse.payload(raw)
        assert data is not None
        return b"data: " + splice(data, locate(data, orjson.loads(data)), put, drop) + b"\n\n"
    data = raw[span[0] : span[1]]
    return raw[: span[0]] + splice(data, locate(data, orjson.loads(data)), put, drop) + raw[span[1] :]


def _known_finish(choice: Any) -> bool:
    return (
        not isinstance(choice, dict)
        or not choice.get("finish_reason")
        or choice["finish_reason"] in FINISH_REASONS
    )


def _ended_in_error(choices: Sequence[Mapping[str, Any]]) -> UpstreamError | None:
    if any(choice.get("finish_reason") == "error" for choice in choices):
        return UpstreamError("overloaded", "the provider ended the answer with an error")
    return None


def _index(choice: Mapping[str, Any]) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) else 0


def _object(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = members.get(name)
    return value if isinstance(value, dict) else {}


def _count(members: Mapping[str, Any], name: str) -> int:
    value = members.get(name)
    return int(value) if isinstance(value, int | float) and value > 0 else 0
