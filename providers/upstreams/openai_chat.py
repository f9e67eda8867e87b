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
from providers.members import locate, put_members, splice
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
    "tool_call": "tool_calls",  # azure with gpt-oss, recorded 2026
    "sensitive": "content_filter",  # zai, docs.z.ai, November 2026
    "safety": "content_filter",
}

# Members that are addressed to the gateway. OpenRouter reads the same words, so they stay for it unless a tier was
# asked for: then the gateway has chosen already. (`usage`, an object in a request, is OpenRouter's own switch.)
_GATEWAY_MEMBERS: Final = frozenset({"headgate", "models", "provider", "session_id"})
_OPENROUTER_MEMBERS: Final = frozenset({"models", "provider", "session_id"})

_TEXTS: Final = ("content", "reasoning_content", "reasoning", "refusal")
_RICH: Final = ("tool_calls", "function_call", "audio", "images", "reasoning_details")

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
        messages = (_object(choice, "message") for choice in _choices(completion.members))
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

    def first_mark(self, run: bytes, start: int) -> int:
        """See `passthrough.Inspector`. Finds and counts at C speed; a search only where they say it is worth it."""
        first = run.find(b'"error"', start)
        done = run.find(b"[DONE]", start)
        if done >= 0 and (first < 0 or done < first):
            first = done
        if run.count(b'"finish_reason"', start) != run.count(b'"finish_reason":null', start):
            finish = _FINISH.search(run, start)
            if finish is not None and (first < 0 or finish.start() < first):
                first = finish.start()
        if run.count(b'"usage"', start) != run.count(b'"usage":null', start):
            usage = _USAGE.search(run, start)
            if usage is not None and (first < 0 or usage.start() < first):
                first = usage.start()
        return first

    def inspect(self, raw: bytes) -> Frame:
        """See `passthrough.Inspector`."""
        data = sse.payload(raw)
        if data is None or not (data := data.strip()):
            return Frame(raw)
        if data == b"[DONE]":
            return Frame(raw, marked=True, done=True)
        members = _parse(data)
        if members.get("error"):
            error = from_body(members["error"], status=200)
            return Frame(raw, marked=True, error=error, usage=read_usage(members), members=members)
        indexes: list[int] = []
        finished: list[int] = []
        text_bytes, has_content = 0, False
        broken: UpstreamError | None = None
        for choice in _choices(members):
            indexes.append(index_of(choice))
            if reason := choice.get("finish_reason"):
                finished.append(indexes[-1])
                if reason == "error":
                    broken = UpstreamError("overloaded", "the provider ended the answer with an error")
            delta = choice.get("delta") or choice.get("message")
            chars, content = _content_of(delta) if isinstance(delta, dict) else (0, False)
            text_bytes += chars
            has_content = has_content or content
        if finished:
            raw, members = _with_known_finish(raw, members)
        usage = read_usage(members)
        return Frame(
            raw,
            marked=bool(indexes) or usage is not None,
            content=has_content,
            text_bytes=text_bytes,
            choices=tuple(indexes),
            finished=tuple(finished),
            usage=usage,
            error=broken,
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

    __slots__ = ("_dialect", "_finished", "_seen", "_splitter")

    def __init__(self, dialect: OpenAIChat) -> None:
        self._dialect = dialect
        self._splitter = sse.Splitter()
        self._seen: set[int] = set()
        self._finished: set[int] = set()

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
        if not self._seen or self._seen - self._finished:
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
        choices = _choices(frame.members)
        for choice in choices:
            found += _delta_events(index_of(choice), _object(choice, "delta"))
        for choice in choices:
            if reason := choice.get("finish_reason"):
                native = str(choice.get("native_finish_reason") or reason)
                found.append(events.Finish(index_of(choice), reason, native))
        self._seen.update(frame.choices)
        self._finished.update(frame.finished)
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
    refusal = delta.get("refusal")
    if isinstance(refusal, str) and refusal:
        found.append(events.Refusal(index, refusal))
    calls = delta.get("tool_calls")
    for position, call in enumerate(calls if isinstance(calls, list) else ()):
        if not isinstance(call, dict):
            continue
        function = _object(call, "function")
        found.append(
            events.ToolDelta(
                index,
                call_index=call["index"] if isinstance(call.get("index"), int) else position,
                call_id=_string(call, "id"),
                name=_string(function, "name"),
                arguments=_string(function, "arguments"),
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
    for name in _TEXTS:
        value = delta.get(name)
        if value and isinstance(value, str) and not (name == "reasoning" and delta.get("reasoning_content")):
            text_bytes += len(value.encode())
    if text_bytes:
        return text_bytes, True
    return 0, bool(delta.get("content")) or any(delta.get(name) for name in _RICH)


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
    before, members = members, {**members, "choices": mapped}
    return edit(raw, before, {"choices": orjson.dumps(mapped)}), members


def edit(
    raw: bytes, members: Mapping[str, Any], put: Mapping[str, bytes], drop: frozenset[str] = frozenset()
) -> bytes:
    """Edit top-level members of the JSON in a frame or a plain body; all other bytes stay.

    A payload spread over several `data:` lines comes back on one.

    Args:
        members: the JSON, parsed.
    """
    if raw[:1] == b"{" or raw.lstrip()[:1] == b"{":
        return _edited(raw, members, put, drop)
    span = sse.payload_span(raw)
    if span is None:
        data = sse.payload(raw)
        assert data is not None
        # Between the lines of valid JSON a line end is blank space.
        return b"data: " + _edited(data.replace(b"\n", b" "), members, put, drop) + b"\n\n"
    return raw[: span[0]] + _edited(raw[span[0] : span[1]], members, put, drop) + raw[span[1] :]


def _edited(data: bytes, members: Mapping[str, Any], put: Mapping[str, bytes], drop: frozenset[str]) -> bytes:
    if drop:
        return splice(data, locate(data, members), put, drop)
    return put_members(data, members, put)


def _known_finish(choice: Any) -> bool:
    reason = choice.get("finish_reason") if isinstance(choice, dict) else None
    return not reason or (isinstance(reason, str) and reason in FINISH_REASONS)


def _choices(members: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = members.get("choices")
    return [choice for choice in listed if isinstance(choice, dict)] if isinstance(listed, list) else []


def _string(members: Mapping[str, Any], name: str) -> str:
    """A member that should be a string; an object in its place (arguments, at times) is spelled as JSON."""
    value = members.get(name)
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode() if isinstance(value, dict) else ""


def index_of(choice: Mapping[str, Any]) -> int:
    """Which choice this is; a provider that names none means the first."""
    index = choice.get("index")
    return index if isinstance(index, int) else 0


def _object(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = members.get(name)
    return value if isinstance(value, dict) else {}


def _count(members: Mapping[str, Any], name: str) -> int:
    value = members.get(name)
    if type(value) is int:  # as nearly always
        return max(value, 0)
    return int(value) if isinstance(value, float) and value > 0 else 0
