"""Answers of OpenAI's Responses: streams of typed events and plain answers, as events.

Source: platform.openai.com/docs/api-reference/responses-streaming and the types of openai-python 3.54, November 2026,
and recorded exchanges with OpenAI, Azure, xAI, OpenRouter, DeepSeek and LM Studio.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from providers import events
from providers.types import UpstreamError, Usage
from providers.upstreams.failures import Rule, from_body
from providers.upstreams.json_stream import JsonStream, nonsense
from providers.upstreams.openai_chat.chunks import object_of
from providers.upstreams.openai_chat.usage import read_usage

FAILURES: Final[tuple[Rule, ...]] = (
    # Said of an answer that failed after it had begun, without a status.
    Rule(
        "bad_request",
        statuses=frozenset({0}),
        words=frozenset(
            {
                "bio_policy", "cyber_policy", "data_residency_mismatch", "empty_image_file", "failed_to_download_image",
                "image_content_policy_violation", "image_file_not_found", "image_file_too_large", "image_parse_error",
                "image_too_large", "image_too_small", "invalid_base64_image", "invalid_encrypted_content",
                "invalid_image", "invalid_image_format", "invalid_image_mode", "invalid_image_url", "invalid_prompt",
                "misalignment_policy_violation", "unsupported_image_media_type",
            }
        ),
    ),
)  # fmt: skip
"""What its errors mean where common words do not tell."""

_INCOMPLETE: Final[Mapping[str, str]] = {"max_output_tokens": "length", "content_filter": "content_filter"}
_ENDS: Final = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
    "response.cancelled": "cancelled",
}
_COSTS: Final = ("cost", "cost_in_usd_ticks", "is_byok")


class Decoder(JsonStream):
    """Upstream bytes in, events out. One per response."""

    __slots__ = ("_items",)

    def __init__(self, reasoning_format: str) -> None:
        super().__init__()
        self._items = _Items(reasoning_format)

    def said(self, members: Mapping[str, Any]) -> list[events.Event]:
        """What an event says; those of an unknown type say nothing."""
        kind = members.get("type")
        match kind:
            case "response.created":
                response = object_of(members, "response")
                return [events.Begin(_string(response, "id"), _string(response, "model"))]
            case "error":
                return [_failed(members.get("error") or members)]
            case None if members.get("error"):  # as servers say it that break off
                return [_failed(members["error"])]
            case "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled":
                return self._end(_ENDS[kind], object_of(members, "response"))
            case _:
                return list(self._items.heard(kind, members))

    def _end(self, status: str, response: Mapping[str, Any]) -> list[events.Event]:
        if self.finished:
            return []
        found: list[events.Event] = []
        if not self._items.said:  # by a server that tells the whole of it at the end
            found += self._items.all_of(response)
        found += self._items.closed()
        found += _ending(status, response, called=self._items.called)
        self.finished = isinstance(found[-1], events.Finish)
        return found


class _Items:
    """The items of an answer as they grow. What came in pieces is not said again when the item is done."""

    __slots__ = ("_blocks", "_calls", "_format", "_held", "_last_block", "_pieces", "said")

    def __init__(self, reasoning_format: str) -> None:
        self.said = False
        self._format = reasoning_format
        self._calls: dict[int, _Call] = {}
        self._blocks: dict[tuple[int, str, int], int] = {}
        self._last_block: tuple[int, str, int] | None = None
        self._pieces: set[tuple[int, str]] = set()
        self._held: list[events.Event] = []

    @property
    def called(self) -> bool:
        return bool(self._calls)

    def heard(self, kind: Any, members: Mapping[str, Any]) -> Iterator[events.Event]:
        """An event of a stream; those of an unknown type say nothing."""
        index = _index(members, "output_index")
        match kind:
            case "response.output_text.delta":
                yield from self._text(index, _string(members, "delta"))
            case "response.function_call_arguments.delta":
                yield from self._arguments(index, _string(members, "delta"))
            case "response.reasoning_summary_text.delta":
                part, item_id = _index(members, "summary_index"), _string(members, "item_id")
                yield from self._reasoning(index, "summary", part, item_id, _string(members, "delta"))
            case "response.reasoning_text.delta":
                part, item_id = _index(members, "content_index"), _string(members, "item_id")
                yield from self._reasoning(index, "text", part, item_id, _string(members, "delta"))
            case "response.refusal.delta":
                yield from self._refusal(index, _string(members, "delta"))
            case "response.output_text.annotation.added":
                yield from self._annotations(index, [object_of(members, "annotation")])
            case "response.output_item.added":
                yield from self._added(index, object_of(members, "item"))
            case "response.output_item.done":
                yield from self.done(index, object_of(members, "item"))

    def all_of(self, response: Mapping[str, Any]) -> Iterator[events.Event]:
        """The items of a plain answer."""
        for index, item in enumerate(_objects(response.get("output"))):
            yield from self.done(index, item)

    def done(self, index: int, item: Mapping[str, Any]) -> Iterator[events.Event]:
        """An item that is whole: what of it has not been said yet."""
        match item.get("type"):
            case "message":
                yield from self._message(index, item)
            case "function_call":
                if index not in self._calls:
                    yield from self._added(index, item)
                if not self._calls[index].written:
                    yield from self._arguments(index, _string(item, "arguments") or "{}")
            case "reasoning":
                yield from self._reasoned(index, item)
            case str() as hosted:
                self.said = True
                # Reasoning belongs to the item behind it, and a call of the provider's own cannot be sent back.
                self._held.clear()
                yield events.Opaque(0, hosted, [item])

    def closed(self) -> Iterator[events.Event]:
        """The end of the answer: what was held, and the arguments of calls that never got any."""
        yield from self._released()
        for index, call in self._calls.items():
            if not call.written:
                yield from self._arguments(index, "{}")

    def _added(self, index: int, item: Mapping[str, Any]) -> Iterator[events.Event]:
        match item.get("type"):
            case "message":
                yield from self._released()
            case "function_call" if index not in self._calls:
                yield from self._released()
                self.said = True
                call = self._calls[index] = _Call(len(self._calls))
                arguments = _string(item, "arguments")
                call.written = bool(arguments)
                yield events.ToolDelta(
                    0, call.number, _string(item, "call_id"), _string(item, "name"), arguments
                )

    def _arguments(self, index: int, text: str) -> Iterator[events.Event]:
        call = self._calls.get(index)
        if call is not None and text:
            call.written = True
            yield events.ToolDelta(0, call.number, "", "", text)

    def _message(self, index: int, item: Mapping[str, Any]) -> Iterator[events.Event]:
        yield from self._released()
        missing = {name for name in ("text", "refusal", "annotations") if (index, name) not in self._pieces}
        for part in _objects(item.get("content")):
            if part.get("type") == "refusal" and "refusal" in missing:
                yield from self._refusal(index, _string(part, "refusal"))
            if part.get("type") == "output_text" and "text" in missing:
                yield from self._text(index, _string(part, "text"))
            if "annotations" in missing:
                yield from self._annotations(index, _objects(part.get("annotations")))

    def _text(self, index: int, text: str) -> Iterator[events.Event]:
        if text:
            self.said = True
            self._pieces.add((index, "text"))
            yield events.Text(0, text)

    def _refusal(self, index: int, text: str) -> Iterator[events.Event]:
        if text:
            self.said = True
            self._pieces.add((index, "refusal"))
            yield events.Refusal(0, text)

    def _annotations(self, index: int, listed: Sequence[Mapping[str, Any]]) -> Iterator[events.Event]:
        for annotation in listed:
            self._pieces.add((index, "annotations"))
            kind = annotation.get("type")
            if kind == "url_citation":
                cited = {name: value for name, value in annotation.items() if name != "type"}
                yield events.Opaque(0, "annotations", [{"type": kind, "url_citation": cited}])
            elif isinstance(kind, str):
                yield events.Opaque(0, kind, [annotation])

    def _reasoned(self, index: int, item: Mapping[str, Any]) -> Iterator[events.Event]:
        item_id = _string(item, "id")
        for kind, name in (("summary", "summary"), ("text", "content")):
            if (index, kind) in self._pieces:
                continue
            for part, piece in enumerate(_objects(item.get(name))):
                yield from self._reasoning(index, kind, part, item_id, _string(piece, "text"))
        if encrypted := _string(item, "encrypted_content"):
            self.said = True
            detail = self._detail(index, "encrypted", 0, item_id, encrypted)
            self._held.append(events.Reasoning(0, "", detail))

    def _reasoning(self, index: int, kind: str, part: int, item_id: str, text: str) -> Iterator[events.Event]:
        """Readable reasoning. Its parts are paragraphs."""
        if not text:
            return
        self.said = True
        self._pieces.add((index, kind))
        block = (index, kind, part)
        begins = self._last_block is not None and block != self._last_block
        self._last_block = block
        shown = f"\n\n{text}" if begins else text
        yield events.Reasoning(0, shown, self._detail(index, kind, part, item_id, text))

    def _detail(self, index: int, kind: str, part: int, item_id: str, value: str) -> dict[str, Any]:
        number = self._blocks.setdefault((index, kind, part), len(self._blocks))
        name = "data" if kind == "encrypted" else kind
        detail = {"type": f"reasoning.{kind}", name: value, "format": self._format, "index": number}
        return {**detail, "id": item_id} if item_id else detail

    def _released(self) -> list[events.Event]:
        held, self._held = self._held, []
        return held


class _Call:
    """A tool call under way: whether any of its arguments have been written."""

    __slots__ = ("number", "written")

    def __init__(self, number: int) -> None:
        self.number = number
        self.written = False


def read(body: bytes, reasoning_format: str) -> Sequence[events.Event]:
    """A plain answer as events. A failure is the last event."""
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError:
        return (nonsense("the provider's answer is not JSON"),)
    if not isinstance(members, dict):
        return (nonsense("the provider's answer is no JSON object"),)
    if not isinstance(members.get("output"), list):
        if members.get("error"):
            return (_failed(members["error"]),)
        return (nonsense("the provider's answer has no output"),)
    items = _Items(reasoning_format)
    said = [
        events.Begin(_string(members, "id"), _string(members, "model")),
        *items.all_of(members),
        *items.closed(),
    ]
    return [*said, *_ending(_string(members, "status") or "completed", members, called=items.called)]


def usage_of(reported: Mapping[str, Any]) -> Usage | None:
    """Tokens of an answer, in chat's words; money as xAI and OpenRouter state it."""
    prompt = object_of(reported, "input_tokens_details")
    answer = object_of(reported, "output_tokens_details")
    shaped: dict[str, Any] = {
        "prompt_tokens": _count(reported, "input_tokens"),
        "completion_tokens": _count(reported, "output_tokens"),
        "total_tokens": _count(reported, "total_tokens"),
        "prompt_tokens_details": {
            name: _count(prompt, name) for name in ("cached_tokens", "cache_write_tokens") if name in prompt
        },
        "completion_tokens_details": {"reasoning_tokens": _count(answer, "reasoning_tokens")},
        **{name: reported[name] for name in _COSTS if isinstance(reported.get(name), int | float)},
    }
    if details := object_of(reported, "cost_details"):
        shaped["cost_details"] = {
            name: value for name, value in details.items() if isinstance(value, int | float)
        }
    return read_usage({"usage": shaped})


def _ending(status: str, response: Mapping[str, Any], *, called: bool) -> Iterator[events.Event]:
    """Usage, and how the answer ended."""
    reported = response.get("usage")
    if isinstance(reported, dict) and (usage := usage_of(reported)) is not None:
        yield events.UsageReport(usage)
    if status == "completed":
        yield events.Finish(0, "tool_calls" if called else "stop", status)
    elif status == "incomplete":
        native = _string(object_of(response, "incomplete_details"), "reason") or status
        yield events.Finish(0, _INCOMPLETE.get(native, "length"), native)
    elif response.get("error"):
        yield _failed(response["error"])
    else:
        yield events.Broken(UpstreamError("overloaded", "the provider did not finish the answer"))


def _failed(problem: Any) -> events.Broken:
    return events.Broken(from_body(problem, status=200, rules=FAILURES))


def _index(members: Mapping[str, Any], name: str) -> int:
    index = members.get(name)
    return index if isinstance(index, int) else 0


def _count(members: Mapping[str, Any], name: str) -> int:
    value = members.get(name)
    return value if isinstance(value, int) and value > 0 else 0


def _string(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
