"""Answers of upstreams with another dialect, for clients of OpenAI's: events in, chunks or one whole answer out.

Objects are complete: every member that OpenAI's published schema requires is there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from providers import events
from providers.reasoning_details import merged
from providers.types import Completion, Frame, UpstreamError, Usage

_Said = events.Text | events.Reasoning | events.Refusal | events.ToolDelta | events.Opaque

_TOO_DEEP: Final = "the provider's answer is nested too deeply"

_TEXT_HEAD: Final = b'"delta":{"content":'
_TEXT_TAIL: Final = b'},"logprobs":null,"finish_reason":null}]}\n\n'


class Renderer:
    """Events in, frames out. One per response."""

    __slots__ = ("_base", "_listed", "_started", "_text_heads")

    def __init__(self, *, answer_id: str, model: str, created_s: int) -> None:
        """`answer_id` and `model` stand until the provider says its own."""
        self._base: dict[str, Any] = {
            "id": answer_id,
            "object": "chat.completion.chunk",
            "created": created_s,
            "model": model,
        }
        self._started: set[int] = set()
        self._listed: dict[tuple[int, str], int] = {}
        self._text_heads: dict[int, bytes] = {}

    def render(self, event: events.Event) -> Frame:
        """One chunk for one event."""
        match event:
            case events.Text(choice, text) if choice in self._started:
                return self._text(choice, text)
            case events.Begin(answer_id, model):
                self._base["id"] = answer_id or self._base["id"]
                self._base["model"] = model or self._base["model"]
                self._text_heads.clear()
                return Frame(b"")
            case events.Broken(error):
                return Frame(b"", marked=True, error=error)
            case events.UsageReport(usage):
                return self._frame([], usage=usage)
            case events.Finish(choice, reason, native):
                # A choice that said nothing still has a role: clients send its message back.
                delta = {} if choice in self._started else {"role": "assistant", "content": None}
                members = {"index": choice, "delta": delta, "logprobs": None, "finish_reason": reason}
                if native != reason:
                    members["native_finish_reason"] = native
                return self._frame([members], choices=(choice,), finished=(choice,))
            case _:
                return self._delta(event)

    def _text(self, choice: int, text: str) -> Frame:
        """By far the most events: only the text is written, the rest is ready."""
        head = self._text_heads.get(choice)
        if head is None:
            base = orjson.dumps({**self._base, "choices": [{"index": choice}]})
            head = self._text_heads[choice] = b"data: " + base[:-3] + b"," + _TEXT_HEAD
        written = orjson.dumps(text)
        return Frame(
            head + written + _TEXT_TAIL,
            marked=True,
            content=True,
            text_bytes=len(written) - 2,
            choices=(choice,),
        )

    def _delta(self, event: _Said) -> Frame:
        if isinstance(event, events.Opaque):
            event = self._numbered(event)
        delta, text_bytes = _delta_of(event)
        if event.choice not in self._started:
            self._started.add(event.choice)
            delta = {"role": "assistant", "content": None, **delta}
        members = {"index": event.choice, "delta": delta, "logprobs": None, "finish_reason": None}
        return self._frame([members], choices=(event.choice,), content=True, text_bytes=text_bytes)

    def _numbered(self, event: events.Opaque) -> events.Opaque:
        """Entries of a list with their place in all of it: the stream helper of the `openai` package wants one."""
        if not isinstance(event.value, list) or not all(isinstance(entry, dict) for entry in event.value):
            return event
        first = self._listed.get((event.choice, event.name), 0)
        self._listed[event.choice, event.name] = first + len(event.value)
        entries = [{**entry, "index": number} for number, entry in enumerate(event.value, first)]
        return events.Opaque(event.choice, event.name, entries)

    def _frame(self, listed: list[dict[str, Any]], **marks: Any) -> Frame:
        members = {**self._base, "choices": listed}
        try:
            written = orjson.dumps(members)
        except orjson.JSONEncodeError:
            return Frame(b"", marked=True, error=UpstreamError("protocol", _TOO_DEEP))
        return Frame(b"data: " + written + b"\n\n", marked=True, members=members, **marks)


def assemble(said: Sequence[events.Event], *, answer_id: str, model: str, created_s: int) -> Completion:
    """A whole answer.

    Raises:
        UpstreamError: the events end in a failure.
    """
    members: dict[str, Any] = {
        "id": answer_id,
        "object": "chat.completion",
        "created": created_s,
        "model": model,
        "choices": [],
    }
    usage: Usage | None = None
    choices: dict[int, _Choice] = {}
    for event in said:
        match event:
            case events.Begin(own_id, own_model):
                members["id"], members["model"] = own_id or answer_id, own_model or model
            case events.Broken(error):
                raise error
            case events.UsageReport(reported):
                usage = reported
            case events.Finish(choice, reason, native):
                finished = choices.setdefault(choice, _Choice(choice))
                finished.reason, finished.native_reason = reason, native
            case _:
                choices.setdefault(event.choice, _Choice(event.choice)).add(event)
    members["choices"] = [choices[index].members() for index in sorted(choices)]
    text_bytes = sum(choice.text_bytes for choice in choices.values()) if usage is None else 0
    try:
        written = orjson.dumps(members)
    except orjson.JSONEncodeError:
        raise UpstreamError("protocol", _TOO_DEEP) from None
    return Completion(written, members, usage, text_bytes // 4 + 1 if usage is None else 0)


@dataclass(slots=True)
class _Choice:
    """One choice, gathered from its pieces."""

    index: int
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    details: list[Mapping[str, Any]] = field(default_factory=list)
    calls: dict[int, dict[str, Any]] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)
    reason: str | None = None
    native_reason: str | None = None

    def add(self, event: _Said) -> None:
        match event:
            case events.Text(_, text):
                self.text.append(text)
            case events.Reasoning(_, text, detail):
                self.reasoning.append(text)
                if detail is not None:
                    self.details.append(detail)
            case events.Refusal(_, text):
                self.refusal.append(text)
            case events.ToolDelta(_, call_index, call_id, name, arguments):
                call = self.calls.setdefault(
                    call_index,
                    {"id": call_id, "type": "function", "function": {"name": name, "arguments": ""}},
                )
                call["function"]["arguments"] += arguments
            case events.Opaque(_, name, value):
                known = self.others.get(name)
                self.others[name] = (
                    known + value if isinstance(known, list) and isinstance(value, list) else value
                )

    @property
    def text_bytes(self) -> int:
        """Of all that was said, in UTF-8."""
        arguments = [call["function"]["arguments"] for call in self.calls.values()]
        return sum(len(text.encode()) for text in (*self.text, *self.reasoning, *self.refusal, *arguments))

    def members(self) -> dict[str, Any]:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(self.text) if self.text else None,
            "refusal": "".join(self.refusal) if self.refusal else None,
        }
        if reasoning := "".join(self.reasoning):
            message["reasoning_content"] = message["reasoning"] = reasoning
        if self.details:
            message["reasoning_details"] = list(merged(self.details))
        if self.calls:
            message["tool_calls"] = [self.calls[index] for index in sorted(self.calls)]
        message |= self.others
        choice: dict[str, Any] = {
            "index": self.index,
            "message": message,
            "logprobs": None,
            "finish_reason": self.reason,
        }
        if self.native_reason != self.reason:
            choice["native_finish_reason"] = self.native_reason
        return choice


def _delta_of(event: _Said) -> tuple[dict[str, Any], int]:
    match event:
        case events.Text(_, text):
            return {"content": text}, len(text.encode())
        case events.Reasoning(_, text, detail):
            delta: dict[str, Any] = {"reasoning_content": text, "reasoning": text} if text else {}
            if detail is not None:
                delta["reasoning_details"] = [detail]
            return delta, len(text.encode())
        case events.Refusal(_, text):
            return {"refusal": text}, len(text.encode())
        case events.ToolDelta(_, call_index, call_id, name, arguments):
            call: dict[str, Any] = {"index": call_index}
            if call_id or name:
                call |= {
                    "id": call_id,
                    "type": "function",
                    "function": {"name": name, "arguments": arguments},
                }
            else:
                call["function"] = {"arguments": arguments}
            return {"tool_calls": [call]}, len(arguments.encode())
        case events.Opaque(_, name, value):
            return {name: value}, 0
