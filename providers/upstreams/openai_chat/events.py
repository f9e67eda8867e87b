"""Streams of OpenAI's dialect as events, for clients of another one."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from providers import events
from providers.framing import sse
from providers.passthrough import Inspector
from providers.types import Completion, Unparsable, UpstreamError
from providers.upstreams.openai_chat.chunks import choices_of, index_of, object_of


class Decoder:
    """Upstream bytes in, events out. One per response."""

    __slots__ = ("_finished", "_inspector", "_seen", "_splitter")

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector
        self._splitter = sse.Splitter()
        self._seen: set[int] = set()
        self._finished: set[int] = set()

    def feed(self, data: bytes) -> Sequence[events.Event]:
        """Events that `data` completes; nonsense, or an error the provider sent, is the last of them."""
        try:
            run = self._splitter.feed(data)
        except sse.FrameTooLarge:
            return (events.Broken(UpstreamError("protocol", "the provider sent a frame beyond the limit")),)
        found: list[events.Event] = []
        for raw in sse.frames(run):
            found += self._events(raw)
            if found and isinstance(found[-1], events.Broken):
                break
        return found

    def close(self) -> Sequence[events.Event]:
        """The end of the body. While a choice has no finish reason, the stream was cut short."""
        rest = self._splitter.close()
        last: list[events.Event] = []
        if rest.strip():
            last = self._events(rest + b"\n\n")
            if last and isinstance(last[-1], events.Broken) and last[-1].error.kind != "protocol":
                return last
            last = [event for event in last if not isinstance(event, events.Broken)]
        if not self._seen or self._seen - self._finished:
            last.append(events.Broken(UpstreamError("protocol", "the provider's stream was cut short")))
        return last

    def _events(self, raw: bytes) -> list[events.Event]:
        try:
            frame = self._inspector.inspect(raw)
        except Unparsable as problem:
            return [events.Broken(UpstreamError("protocol", str(problem)))]
        if frame.error is not None:
            reported = [] if frame.usage is None else [events.UsageReport(frame.usage)]
            return [*reported, events.Broken(frame.error)]
        if frame.members is None:
            return []
        found = _choice_events(frame.members, "delta")
        self._seen.update(frame.choices)
        self._finished.update(frame.finished)
        if frame.usage is not None:
            found.append(events.UsageReport(frame.usage))
        return found


def answer_events(answer: Completion) -> list[events.Event]:
    """A plain answer: what a stream of it would say."""
    found: list[events.Event] = [
        events.Begin(_string(answer.members, "id"), _string(answer.members, "model")),
        *_choice_events(answer.members, "message"),
    ]
    if answer.usage is not None:
        found.append(events.UsageReport(answer.usage))
    return found


def _choice_events(members: Mapping[str, Any], piece: str) -> list[events.Event]:
    """`piece` is `delta` in a chunk and `message` in a plain answer."""
    found: list[events.Event] = []
    choices = choices_of(members)
    for choice in choices:
        found += _delta_events(index_of(choice), object_of(choice, piece))
    for choice in choices:
        if reason := choice.get("finish_reason"):
            native = str(choice.get("native_finish_reason") or reason)
            found.append(events.Finish(index_of(choice), reason, native))
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
        function = object_of(call, "function")
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
        for name in ("audio", "images", "annotations", "function_call", "content_parts")
        if delta.get(name)
    ]
    return found


def _string(members: Mapping[str, Any], name: str) -> str:
    """A member that should be a string; an object in its place (arguments, at times) is spelled as JSON."""
    value = members.get(name)
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode() if isinstance(value, dict) else ""
