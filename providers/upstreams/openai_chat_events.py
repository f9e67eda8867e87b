"""Streams of OpenAI's dialect as events, for clients of another one."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from providers import events
from providers.framing import sse
from providers.passthrough import Inspector
from providers.types import Unparsable, UpstreamError
from providers.upstreams.openai_chat_chunks import choices_of, index_of, object_of


class Decoder:
    """Upstream bytes in, events out. One per response."""

    __slots__ = ("_finished", "_inspector", "_seen", "_splitter")

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector
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
            frame = self._inspector.inspect(raw)
        except Unparsable as problem:
            raise UpstreamError("protocol", str(problem)) from None
        if frame.error is not None:
            raise frame.error
        if frame.members is None:
            return []
        found: list[events.Event] = []
        choices = choices_of(frame.members)
        for choice in choices:
            found += _delta_events(index_of(choice), object_of(choice, "delta"))
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
