"""Answers of Cohere's chat, version 2: streams of typed events and plain answers, as events.

Source: docs.cohere.com/reference/chat-stream, November 2026, and recorded exchanges.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from providers import events
from providers.types import UpstreamError, Usage
from providers.upstreams.cohere.requests import REASONING_FORMAT, TOOL_PLAN
from providers.upstreams.failures import Rule, from_body
from providers.upstreams.json_stream import JsonStream, nonsense
from providers.upstreams.openai_chat.chunks import object_of

FAILURES: Final[tuple[Rule, ...]] = (
    Rule("auth", statuses=frozenset({498})),  # a blocked or invalid token
    Rule("bad_request", statuses=frozenset({501})),  # the model cannot do what was asked
    # The limit of the answer, not the prompt, is too large.
    Rule(
        "bad_request",
        statuses=frozenset({0, 400}),
        pattern=re.compile(r"^\s*too many tokens: max tokens must be", re.IGNORECASE),
    ),
    # A trial key's month; its minute has the same words with another end.
    Rule(
        "rate_limited",
        statuses=frozenset({429}),
        pattern=re.compile(r"^\s*you are using a trial key.{0,80}\bcalls / month", re.IGNORECASE),
    ),
)
"""What its errors mean where status or common words mislead (docs.cohere.com/reference/errors, November 2026)."""

_FINISH: Final[Mapping[str, str]] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_LIMIT": "length",
    "ERROR_TOXIC": "content_filter",
}
_BROKEN: Final = frozenset({"ERROR", "TIMEOUT"})


class Decoder(JsonStream):
    """Upstream bytes in, events out. One per response."""

    __slots__ = ("_blocks", "_calls")

    def __init__(self) -> None:
        super().__init__()
        self._blocks: dict[int | str, int] = {}
        self._calls: dict[int, _Call] = {}

    def said(self, members: Mapping[str, Any]) -> list[events.Event]:
        """What an event says; those of an unknown type say nothing."""
        kind = members.get("type")
        match kind:
            case "content-delta" | "content-start":
                return self._content(members)
            case "tool-call-delta" | "tool-call-start" | "tool-call-end":
                return self._call(kind, members)
            case "tool-plan-delta":
                return self._plan(members)
            case "citation-start":
                return self._citation(members)
            case "message-start":
                return [events.Begin(_string(members, "id"), "")]
            case "message-end":
                return self._end(members)
        if kind == "error" or (
            kind is None and (members.get("error") or isinstance(members.get("message"), str))
        ):
            return [events.Broken(_failure(members))]
        return []

    def _content(self, members: Mapping[str, Any]) -> list[events.Event]:
        content = object_of(_delta_message(members), "content")
        text = content.get("text")
        if text and isinstance(text, str):
            return [events.Text(0, text)]
        thinking = content.get("thinking")
        if thinking and isinstance(thinking, str):
            return [_reasoning(thinking, self._block(_index(members)))]
        return []

    def _plan(self, members: Mapping[str, Any]) -> list[events.Event]:
        plan = _string(_delta_message(members), "tool_plan")
        return [_reasoning(plan, self._block(TOOL_PLAN), TOOL_PLAN)] if plan else []

    def _call(self, kind: str, members: Mapping[str, Any]) -> list[events.Event]:
        given = object_of(_delta_message(members), "tool_calls")
        function = object_of(given, "function")
        arguments = _string(function, "arguments")
        if kind == "tool-call-start":
            call = self._calls[_index(members)] = _Call(len(self._calls))
            call.written = bool(arguments)
            call_id, name = _string(given, "id"), _string(function, "name")
            return [events.ToolDelta(0, call.number, call_id, name, arguments)]
        known = self._calls.get(_index(members))
        if known is None:
            return []
        if kind == "tool-call-end":
            return list(known.closed())
        known.written = known.written or bool(arguments)
        return [events.ToolDelta(0, known.number, "", "", arguments)] if arguments else []

    def _citation(self, members: Mapping[str, Any]) -> list[events.Event]:
        citation = _delta_message(members).get("citations")
        if isinstance(citation, dict):
            citation = [citation]
        return [events.Opaque(0, "citations", citation)] if isinstance(citation, list) and citation else []

    def _end(self, members: Mapping[str, Any]) -> list[events.Event]:
        found = [piece for call in self._calls.values() for piece in call.closed()]
        self.finished = True
        return [*found, *_ending(object_of(members, "delta"), called=bool(self._calls))]

    def _block(self, key: int | str) -> int:
        """The number of a block of reasoning, in the order in which they begin."""
        return self._blocks.setdefault(key, len(self._blocks))


class _Call:
    """A tool call under way: whether any of its arguments have been written."""

    __slots__ = ("number", "written")

    def __init__(self, number: int) -> None:
        self.number = number
        self.written = False

    def closed(self) -> Iterator[events.Event]:
        """Nothing is written for a call without arguments (recorded 2026), and clients parse them all the same."""
        if not self.written:
            self.written = True
            yield events.ToolDelta(0, self.number, "", "", "{}")


def read(body: bytes) -> Sequence[events.Event]:
    """A plain answer as events. A failure is the last event."""
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError:
        return (nonsense("the provider's answer is not JSON"),)
    if not isinstance(members, dict):
        return (nonsense("the provider's answer is no JSON object"),)
    message = members.get("message")
    if not isinstance(message, dict):
        if message or members.get("error"):
            return (events.Broken(_failure(members)),)
        return (nonsense("the provider's answer has no message"),)
    return [
        events.Begin(_string(members, "id"), ""),
        *_said(message),
        *_ending(members, called=bool(_objects(message.get("tool_calls")))),
    ]


def _said(message: Mapping[str, Any]) -> Iterator[events.Event]:
    """The content of a plain answer, in the order of a stream."""
    blocks = 0
    for item in _objects(message.get("content")):
        if thinking := _string(item, "thinking"):
            yield _reasoning(thinking, blocks)
            blocks += 1
        elif text := _string(item, "text"):
            yield events.Text(0, text)
    if plan := _string(message, TOOL_PLAN):
        yield _reasoning(plan, blocks, TOOL_PLAN)
    for number, call in enumerate(_objects(message.get("tool_calls"))):
        function = object_of(call, "function")
        yield events.ToolDelta(
            0,
            number,
            _string(call, "id"),
            _string(function, "name"),
            _string(function, "arguments") or "{}",
        )
    if citations := _objects(message.get("citations")):
        yield events.Opaque(0, "citations", citations)


def usage_of(reported: Mapping[str, Any]) -> Usage:
    """Tokens of an answer.

    Cohere counts twice: `tokens` is what the model processed, its own templates and preambles included, and
    `billed_units` is what is charged, at times a tenth of that (docs.cohere.com/docs/how-does-cohere-pricing-work,
    November 2026; recorded: 62 billed of 968). The billed ones are the prompt and the answer here, because costs and
    quotas are made of them; both stay in `reported`. `cached_tokens` counts processed ones and is no part of what is
    billed (recorded: 1,376 of 1,476, 44 billed), so nothing is read from a cache as far as money goes.
    """
    billed, tokens = object_of(reported, "billed_units"), object_of(reported, "tokens")
    if "input_tokens" in billed or "output_tokens" in billed:
        input_tokens, output_tokens = _count(billed, "input_tokens"), _count(billed, "output_tokens")
    else:
        # Images stand beside the text here (recorded 2026), and within the billed ones.
        input_tokens = _count(tokens, "input_tokens") + _count(tokens, "image_tokens")
        output_tokens = _count(tokens, "output_tokens")
    reasoning_tokens = min(_count(tokens, "reasoning_tokens"), output_tokens)
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        reasoning_tokens=reasoning_tokens,
        reported={
            "prompt_tokens": input_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": input_tokens + output_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": reasoning_tokens},
            **numbers_of(reported),
        },
    )


def numbers_of(reported: Mapping[str, Any]) -> dict[str, Any]:
    """Cohere's own counts, as it names them."""
    kept: dict[str, Any] = {}
    for name in ("billed_units", "tokens"):
        if counts := {unit: _count(object_of(reported, name), unit) for unit in object_of(reported, name)}:
            kept[name] = counts
    if "cached_tokens" in reported:
        kept["cached_tokens"] = _count(reported, "cached_tokens")
    return kept


def _ending(members: Mapping[str, Any], *, called: bool) -> Iterator[events.Event]:
    """Usage, and how the answer ended: of a plain answer, or of the last event of a stream."""
    reported = members.get("usage")
    if isinstance(reported, dict):
        yield events.UsageReport(usage_of(reported))
    native = _string(members, "finish_reason")
    if native in _BROKEN or members.get("error"):
        yield events.Broken(_failure({"message": _string(members, "error"), "code": native.lower()}))
        return
    reason = _FINISH.get(native, "stop")
    yield events.Finish(0, "tool_calls" if called and reason == "stop" else reason, native or reason)


def _reasoning(text: str, block: int, block_id: str | None = None) -> events.Reasoning:
    detail: dict[str, Any] = {
        "type": "reasoning.text",
        "text": text,
        "format": REASONING_FORMAT,
        "index": block,
    }
    if block_id is not None:
        detail["id"] = block_id
    return events.Reasoning(0, text, detail)


def _failure(problem: Mapping[str, Any]) -> UpstreamError:
    inner = problem.get("error")
    return from_body(
        inner if isinstance(inner, dict | str) and inner else problem, status=200, rules=FAILURES
    )


def _delta_message(members: Mapping[str, Any]) -> Mapping[str, Any]:
    return object_of(object_of(members, "delta"), "message")


def _index(members: Mapping[str, Any]) -> int:
    index = members.get("index")
    return index if isinstance(index, int) else 0


def _string(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _count(members: Mapping[str, Any], name: str) -> int:
    value = members.get(name)
    # Whole numbers, at times written with a fraction; true is none.
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else 0
