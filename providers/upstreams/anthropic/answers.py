"""Claude's answers, plain and streamed, as events.

Sources: platform.claude.com/docs, pages "streaming", "handling-stop-reasons", "citations" and "errors", November 2026,
and recorded answers.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import orjson

from providers import events
from providers.types import UpstreamError, Usage
from providers.upstreams.anthropic.messages import REASONING_FORMAT
from providers.upstreams.anthropic.requests import ANSWER_TOOL
from providers.upstreams.failures import Rule, from_body
from providers.upstreams.json_stream import JsonStream, nonsense

# The status that stands for each type of error inside a stream (page "errors").
_STATUS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "invalid_request_error": 400,
        "authentication_error": 401,
        "billing_error": 402,
        "permission_error": 403,
        "not_found_error": 404,
        "conflict_error": 409,
        "request_too_large": 413,
        "rate_limit_error": 429,
        "api_error": 500,
        "timeout_error": 504,
        "overloaded_error": 529,
    }
)
_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "pause_turn": "stop",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "tool_use": "tool_calls",
        "refusal": "content_filter",
    }
)
_WRITTEN: Final = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")

# Blocks that come out in one form or another.
_SEEN: Final = ("text", "thinking", "redacted_thinking", "tool_use")


class Answer:
    """One answer under way: its pieces in, events out. A plain one comes in whole blocks."""

    __slots__ = ("_blocks", "_calls", "_chars", "_in_text", "_passed", "_usage", "finished")

    def __init__(self) -> None:
        self._blocks: dict[int, _Block] = {}
        self._calls = 0
        self._chars = 0  # of text, so far
        self._passed = 0  # blocks that a client sees, so far; neighbouring texts are one
        self._in_text = False
        self._usage: dict[str, Any] = {}
        self.finished = False

    def begin(self, message: Mapping[str, Any]) -> list[events.Event]:
        """The answer's id and model, and what the prompt cost."""
        begun: list[events.Event] = [events.Begin(_string(message, "id"), _string(message, "model"))]
        return begun + self._report(message.get("usage"))

    def start(self, index: int, block: Mapping[str, Any]) -> list[events.Event]:
        """A block begins; in a plain answer all of it is there."""
        kind = block.get("type")
        opened = self._blocks[index] = _Block(self._passed, self._chars)
        if kind != "text" or not self._in_text:
            self._passed += kind in _SEEN
            self._in_text = kind == "text" or (self._in_text and kind not in _SEEN)
        match kind:
            case "text":
                opened.citations += _objects(block.get("citations"))
                return self._text(_string(block, "text"))
            case "thinking":
                return [
                    *_reasoning(opened.place, "text", _string(block, "thinking")),
                    *_reasoning(opened.place, "signature", _string(block, "signature")),
                ]
            case "redacted_thinking":
                return _reasoning(opened.place, "data", _string(block, "data"))
            case "tool_use":
                return self._call(opened, block)
        return []

    def delta(self, index: int, delta: Mapping[str, Any]) -> list[events.Event]:
        """A piece of a block."""
        if delta.get("type") == "text_delta":  # by far the most
            text = delta.get("text")
            return self._text(text) if isinstance(text, str) else []
        opened = self._blocks.get(index)
        if opened is None:
            return []
        match delta.get("type"):
            case "input_json_delta":
                return self._arguments(opened, _string(delta, "partial_json"))
            case "thinking_delta":
                return _reasoning(opened.place, "text", _string(delta, "thinking"))
            case "signature_delta":
                return _reasoning(opened.place, "signature", _string(delta, "signature"))
            case "citations_delta" if isinstance(delta.get("citation"), dict):
                opened.citations.append(delta["citation"])
        return []

    def stop(self, index: int) -> list[events.Event]:
        """A block is whole."""
        opened = self._blocks.pop(index, None)
        if opened is None:
            return []
        ended: list[events.Event] = []
        if not opened.filled:
            # Without pieces the input is what stood at the beginning; mostly nothing.
            ended += self._arguments(opened, orjson.dumps(opened.given).decode())
        return ended + _cited(opened.citations, opened.first_char, self._chars)

    def end(self, delta: Mapping[str, Any], usage: Any) -> list[events.Event]:
        """What ends the answer: its reason and its usage; either may be missing."""
        reason = delta.get("stop_reason")
        if not isinstance(reason, str) or not reason:
            return self._report(usage)
        ended: list[events.Event] = []
        for index in sorted(self._blocks):
            ended += self.stop(index)
        details = delta.get("stop_details")
        if reason == "refusal" and isinstance(details, dict) and _string(details, "explanation"):
            ended.append(events.Refusal(0, _string(details, "explanation")))
        meant = _REASONS.get(reason, "stop")
        if meant in ("stop", "tool_calls"):
            meant = "tool_calls" if self._calls else "stop"
        self.finished = True
        return [*ended, events.Finish(0, meant, reason), *self._report(usage)]

    def _text(self, text: str) -> list[events.Event]:
        if not text:
            return []
        self._chars += len(text)
        return [events.Text(0, text)]

    def _call(self, opened: "_Block", block: Mapping[str, Any]) -> list[events.Event]:
        given = block.get("input")
        opened.given = given if isinstance(given, dict) else {}
        opened.filled = False
        if _string(block, "name") == ANSWER_TOOL:
            opened.answers = True
            return []
        opened.call_index = self._calls
        self._calls += 1
        return [events.ToolDelta(0, opened.call_index, _string(block, "id"), _string(block, "name"), "")]

    def _arguments(self, opened: "_Block", arguments: str) -> list[events.Event]:
        if not arguments:
            return []
        if opened.answers:
            opened.filled = True
            return self._text(arguments)
        if opened.call_index is None:
            return []
        opened.filled = True
        return [events.ToolDelta(0, opened.call_index, "", "", arguments)]

    def _report(self, usage: Any) -> list[events.Event]:
        """Counts are running ones; a later report may leave out what an earlier one said."""
        if not isinstance(usage, dict) or not usage:
            return []
        self._usage |= {name: value for name, value in usage.items() if value is not None}
        return [events.UsageReport(read_usage(self._usage))]


class _Block:
    """A block that is under way.

    Attributes:
        place: how many blocks a client saw before it.
        first_char: of the text, where it began.
        call_index: of a call of the client's tools.
        answers: its arguments are the answer.
        given: a call's input as it stood at the beginning.
        filled: nothing is owed at its end.
    """

    __slots__ = ("answers", "call_index", "citations", "filled", "first_char", "given", "place")

    def __init__(self, place: int, first_char: int) -> None:
        self.place = place
        self.first_char = first_char
        self.call_index: int | None = None
        self.answers = False
        self.given: Mapping[str, Any] = {}
        self.filled = True
        self.citations: list[Mapping[str, Any]] = []


class Decoder(JsonStream):
    """Upstream bytes in, events out. One per response."""

    __slots__ = ("_answer", "_rules")

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        super().__init__()
        self._answer = Answer()
        self._rules = rules

    def said(self, members: Mapping[str, Any]) -> list[events.Event]:
        """What an event says; those of an unknown type say nothing."""
        found = self._events(members)
        self.finished = self._answer.finished
        return found

    def _events(self, members: Mapping[str, Any]) -> list[events.Event]:
        kind = members.get("type")
        answer = self._answer
        if kind == "content_block_delta":
            delta = members.get("delta")
            return answer.delta(_index(members), delta) if isinstance(delta, dict) else []
        if kind == "error" or (kind is None and members.get("error")):
            return [events.Broken(problem_of(members.get("error"), self._rules))]
        match kind:
            case "message_start":
                return answer.begin(_object(members, "message"))
            case "content_block_start":
                return answer.start(_index(members), _object(members, "content_block"))
            case "content_block_stop":
                return answer.stop(_index(members))
            case "message_delta":
                return answer.end(_object(members, "delta"), members.get("usage"))
        return []  # ping, message_stop, and what is still to come


def answer_events(body: bytes, rules: tuple[Rule, ...]) -> list[events.Event]:
    """A plain answer: what a stream of it would say."""
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError:
        return [nonsense("the provider's answer is not JSON")]
    if isinstance(members, dict) and (members.get("type") == "error" or members.get("error")):
        return [events.Broken(problem_of(members.get("error"), rules))]
    if not isinstance(members, dict) or not isinstance(members.get("content"), list):
        return [nonsense("the provider's answer has no content")]
    answer = Answer()
    found = answer.begin({"id": members.get("id"), "model": members.get("model")})
    for index, block in enumerate(_objects(members["content"])):
        found += answer.start(index, block)
        found += answer.stop(index)
    reason = _string(members, "stop_reason") or "end_turn"
    return found + answer.end({**members, "stop_reason": reason}, members.get("usage"))


def problem_of(problem: Any, rules: tuple[Rule, ...]) -> UpstreamError:
    """An error inside an answer: its type stands for a status."""
    kind = problem.get("type") if isinstance(problem, dict) else None
    status = _STATUS.get(kind, 200) if isinstance(kind, str) else 200
    return from_body(problem, status=status, rules=rules)


def read_usage(said: Mapping[str, Any]) -> Usage:
    """Tokens as this project counts them: Anthropic's `input_tokens` leave out what a cache read or wrote."""
    read_tokens = _count(said, "cache_read_input_tokens")
    write_tokens = _count(said, "cache_creation_input_tokens")
    input_tokens = _count(said, "input_tokens") + read_tokens + write_tokens
    output_tokens = _count(said, "output_tokens")
    thinking_tokens = _count(_object(said, "output_tokens_details"), "thinking_tokens")
    reported: dict[str, Any] = {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
        "prompt_tokens_details": {"cached_tokens": read_tokens, "cache_write_tokens": write_tokens},
        "completion_tokens_details": {"reasoning_tokens": thinking_tokens},
    }
    # A search costs by itself, and a cache that is to hold for an hour more than one for minutes. How the written part
    # divides is said at the beginning of a stream alone, and may be overtaken by what is written later.
    kept = ["server_tool_use", "service_tier", "inference_geo"]
    if sum(_count(_object(said, "cache_creation"), name) for name in _WRITTEN) == write_tokens:
        kept.append("cache_creation")
    reported |= {name: said[name] for name in kept if said.get(name) is not None}
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=read_tokens,
        cache_write_tokens=write_tokens,
        reasoning_tokens=min(thinking_tokens, output_tokens),
        reported=reported,
    )


def _reasoning(place: int, member: str, value: str) -> list[events.Event]:
    """A piece of reasoning: `text`, `signature` or `data`; nothing when it is empty."""
    if not value:
        return []
    kind = "reasoning.encrypted" if member == "data" else "reasoning.text"
    detail = {"type": kind, member: value, "format": REASONING_FORMAT, "index": place}
    return [events.Reasoning(0, value if member == "text" else "", detail)]


def _cited(citations: Sequence[Mapping[str, Any]], start: int, end: int) -> list[events.Event]:
    """Sources on the web as OpenAI's annotations of the text between `start` and `end`; others as they came."""
    web: list[Mapping[str, Any]] = []
    others: list[Mapping[str, Any]] = []
    for citation in citations:
        if citation.get("type") != "web_search_result_location":
            others.append(citation)
            continue
        source = {
            "url": _string(citation, "url"),
            "title": _string(citation, "title"),
            "start_index": start,
            "end_index": end,
            "content": _string(citation, "cited_text"),
        }
        web.append({"type": "url_citation", "url_citation": source})
    made: list[events.Event] = []
    if web:
        made.append(events.Opaque(0, "annotations", web))
    if others:
        made.append(events.Opaque(0, "citations", others))
    return made


def _index(members: Mapping[str, Any]) -> int:
    index = members.get("index")
    return index if isinstance(index, int) else 0


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _object(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = members.get(name)
    return value if isinstance(value, dict) else {}


def _string(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""


def _count(members: Mapping[str, Any], name: str) -> int:
    value = members.get(name)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else 0
