"""Converse and ConverseStream, as an upstream: answers and streams in, events out.

Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html, the service model of botocore
1.44, both November 2026, and recorded exchanges. Answers carry neither an id nor the name of their model.

Not carried: traces of guardrails (they repeat what a guardrail took out), metrics, and calls of Amazon's own tools.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import orjson

from providers import events
from providers.framing.eventstream import BadMessage, Message, Splitter
from providers.types import UpstreamError, Usage
from providers.upstreams.anthropic.requests import ANSWER_TOOL
from providers.upstreams.bedrock import failures

REASONING_FORMAT: Final = "amazon-bedrock-v1"

_MAX_ERROR_BYTES: Final = 64 * 1024  # of JSON where a stream should be

_FINISH: Final[Mapping[str, str]] = MappingProxyType(
    {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "tool_use": "tool_calls",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "guardrail_intervened": "content_filter",
        "content_filtered": "content_filter",
    }
)


def read(body: bytes) -> Sequence[events.Event]:
    """A plain answer as events. A failure is the last of them."""
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError:
        return (_broken("the provider's answer is not JSON"),)
    if not isinstance(members, dict):
        return (_broken("the provider's answer is no JSON object"),)
    message = _object(_object(members, "output"), "message")
    reason = members.get("stopReason")
    if not message or not isinstance(reason, str):
        error = failures.in_answer(members)
        return (_broken("the provider's answer has no message") if error is None else events.Broken(error),)
    answer = _Answer()
    said: list[events.Event] = []
    content = message.get("content")
    for index, block in enumerate(content if isinstance(content, list) else ()):
        if isinstance(block, dict):
            said += _whole_block(answer, index, block)
    said += answer.finish(reason)
    usage = read_usage(members)
    return said if usage is None else [*said, events.UsageReport(usage)]


class Decoder:
    """A stream in, events out. One per response."""

    __slots__ = ("_answer", "_begun", "_json", "_over", "_splitter")

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._answer = _Answer()
        self._begun = False
        self._over = False
        self._json: bytes | None = None

    def feed(self, data: bytes) -> Sequence[events.Event]:
        """The events that `data` completes."""
        if self._over or not data:
            return ()
        if self._json is not None or (not self._begun and data[:1] == b"{"):
            # No message starts so: its length would be beyond every limit. An error, under status 200.
            self._begun = True
            self._json = ((self._json or b"") + data)[:_MAX_ERROR_BYTES]
            return ()
        self._begun = True
        said: list[events.Event] = []
        try:
            for message in self._splitter.feed(data):
                said += self._read(message)
        except BadMessage as problem:
            # What is damaged behind the finish reason takes nothing from an answer that is whole.
            said += self._end(None if self._answer.finished else f"the provider sent nonsense: {problem}")
        return said

    def close(self) -> Sequence[events.Event]:
        """The end of the body."""
        if self._over:
            return ()
        if self._json is not None:
            self._over = True
            return read(self._json)[-1:]
        self._splitter.close()
        return self._end(
            None if self._answer.finished else "the provider stopped in the middle of its answer"
        )

    def _end(self, problem: str | None) -> Sequence[events.Event]:
        self._over = True
        return () if problem is None else (_broken(problem),)

    def _read(self, message: Message) -> Sequence[events.Event]:
        kind = message.text(":message-type")
        if self._over:
            return ()
        if kind == "event":
            return self._event(message)
        if kind == "exception":
            error = failures.of_exception(message.text(":exception-type"), message.payload)
        elif kind == "error":
            error = failures.of_exception(
                message.text(":error-code"), message.payload, message.text(":error-message")
            )
        else:
            return ()
        self._over = True
        return (events.Broken(error),)

    def _event(self, message: Message) -> Sequence[events.Event]:
        name = message.text(":event-type")
        try:
            members = orjson.loads(message.payload)
        except orjson.JSONDecodeError:
            members = None
        if not isinstance(members, dict):
            return self._end(
                None if self._answer.finished else "the provider sent an event that is no JSON object"
            )
        answer = self._answer
        if name == "contentBlockDelta":
            return _piece(answer, _index(members), _object(members, "delta"))
        if name == "contentBlockStart":
            call = _object(_object(members, "start"), "toolUse")
            return answer.call(_index(members), call) if call else ()
        if name == "contentBlockStop":
            return answer.end_block(_index(members))
        if name == "messageStop":
            return answer.finish(_text(members, "stopReason"))
        usage = read_usage(members) if name == "metadata" else None
        return () if usage is None else (events.UsageReport(usage),)


@dataclass(slots=True)
class _Block:
    """A block of the answer under way.

    Attributes:
        start: where its text begins in the answer.
        place: how many came before it, a run of texts counted as one.
        call: which call it is; `None` when it is none, or one of Amazon's own tools.
        answers: a call whose arguments are the answer.
        silent: a call without arguments so far.
    """

    start: int
    place: int
    call: int | None = None
    answers: bool = False
    silent: bool = True
    citations: list[Mapping[str, Any]] = field(default_factory=list)


class _Answer:
    """An answer, put together from its blocks; the same for streams and plain answers."""

    __slots__ = ("_after_text", "_blocks", "_calls", "_chars", "_placed", "finished")

    def __init__(self) -> None:
        self._blocks: dict[int, _Block] = {}
        self._placed = 0
        self._after_text = False
        self._calls = 0
        self._chars = 0
        self.finished = False

    def text(self, index: int, text: str) -> Sequence[events.Event]:
        if index not in self._blocks:
            self._begin(index, text=True)
        self._chars += len(text)
        return (events.Text(0, text),) if text else ()

    def call(self, index: int, call: Mapping[str, Any]) -> Sequence[events.Event]:
        """A call begins."""
        block = self._block(index)
        name = _text(call, "name")
        if call.get("type") == "server_tool_use":
            return ()
        if name == ANSWER_TOOL:
            block.answers = True
            return ()
        block.call = self._calls
        self._calls += 1
        return (events.ToolDelta(0, block.call, _text(call, "toolUseId") or f"call_{block.call}", name, ""),)

    def arguments(self, index: int, text: str) -> Sequence[events.Event]:
        block = self._block(index)
        if not text:
            return ()
        block.silent = False
        if block.answers:
            self._chars += len(text)
            return (events.Text(0, text),)
        return () if block.call is None else (events.ToolDelta(0, block.call, "", "", text),)

    def reasoning(self, index: int, thought: Mapping[str, Any], redacted: str) -> Sequence[events.Event]:
        """Readable reasoning, its signature, or what the provider has encrypted."""
        said: list[events.Event] = []
        text, signature = _text(thought, "text"), _text(thought, "signature")
        about = {"format": REASONING_FORMAT, "index": self._block(index).place}
        if text or signature:
            detail = {"type": "reasoning.text", "text": text, **about}
            said.append(
                events.Reasoning(0, text, {**detail, "signature": signature} if signature else detail)
            )
        if redacted:
            said.append(events.Reasoning(0, "", {"type": "reasoning.encrypted", "data": redacted, **about}))
        return said

    def cite(self, index: int, citation: Mapping[str, Any]) -> None:
        if index not in self._blocks:
            self._begin(index, text=True)
        self._blocks[index].citations.append(citation)

    def end_block(self, index: int) -> Sequence[events.Event]:
        """What can only be said once a block is whole."""
        block = self._blocks.pop(index, None)
        if block is None:
            return ()
        if block.silent and (block.answers or block.call is not None):
            return self._without_arguments(block)
        web = [citation for citation in block.citations if _web(citation)]
        others = [citation for citation in block.citations if not _web(citation)]
        said: list[events.Event] = []
        if web:
            annotations = [_annotation(citation, block.start, self._chars) for citation in web]
            said.append(events.Opaque(0, "annotations", annotations))
        if others:
            said.append(events.Opaque(0, "citations", others))
        return said

    def finish(self, native: str) -> Sequence[events.Event]:
        """The answer ends, and with it every block that has not."""
        if self.finished:
            return ()
        self.finished = True
        said = [event for index in sorted(self._blocks) for event in self.end_block(index)]
        reason = _FINISH.get(native, "stop")
        if reason in ("stop", "tool_calls"):
            reason = "tool_calls" if self._calls else "stop"
        return [*said, events.Finish(0, reason, native)]

    def _without_arguments(self, block: _Block) -> Sequence[events.Event]:
        return (
            events.Text(0, "{}") if block.call is None else events.ToolDelta(0, block.call, "", "", "{}"),
        )

    def _block(self, index: int) -> _Block:
        return self._blocks.get(index) or self._begin(index, text=False)

    def _begin(self, index: int, *, text: bool) -> _Block:
        if not (text and self._after_text):
            self._placed += 1
        self._after_text = text
        block = self._blocks[index] = _Block(self._chars, self._placed - 1)
        return block


def read_usage(members: Mapping[str, Any]) -> Usage | None:
    """Usage of an answer, or of a stream's metadata; `None` when there is none.

    `inputTokens` leaves out what was read from a cache or written to one (recorded 2026), unless the total says
    otherwise.
    """
    counted = members.get("usage")
    if not isinstance(counted, dict):
        return None
    input_tokens, output_tokens = _count(counted, "inputTokens"), _count(counted, "outputTokens")
    read_tokens = _count(counted, "cacheReadInputTokens") or _count(counted, "cacheReadInputTokenCount")
    write_tokens = _count(counted, "cacheWriteInputTokens") or _count(counted, "cacheWriteInputTokenCount")
    if not (
        input_tokens >= read_tokens + write_tokens
        and _count(counted, "totalTokens") == input_tokens + output_tokens
    ):
        input_tokens += read_tokens + write_tokens
    details = {"cached_tokens": read_tokens, "cache_write_tokens": write_tokens}
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=read_tokens,
        cache_write_tokens=write_tokens,
        reported={
            "prompt_tokens": input_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": input_tokens + output_tokens,
            "prompt_tokens_details": details,
        },
    )


def _piece(answer: _Answer, index: int, delta: Mapping[str, Any]) -> Sequence[events.Event]:
    """What a piece of a block says."""
    text = delta.get("text")
    if isinstance(text, str):
        return answer.text(index, text)
    call = delta.get("toolUse")
    if isinstance(call, dict):
        return answer.arguments(index, _text(call, "input"))
    thought = delta.get("reasoningContent")
    if isinstance(thought, dict):
        return answer.reasoning(index, thought, _text(thought, "redactedContent"))
    citation = delta.get("citation")
    if isinstance(citation, dict):
        answer.cite(index, citation)
    return ()


def _whole_block(answer: _Answer, index: int, block: Mapping[str, Any]) -> Iterator[events.Event]:
    """What a block of a plain answer says."""
    call = block.get("toolUse")
    cited = block.get("citationsContent")
    thought = block.get("reasoningContent")
    if isinstance(call, dict):
        given = call.get("input")
        yield from answer.call(index, call)
        if isinstance(given, str):  # as it wrote it, where that is no JSON
            yield from answer.arguments(index, given)
        elif given:
            yield from answer.arguments(index, _written(given))
    elif isinstance(thought, dict):
        yield from answer.reasoning(
            index, _object(thought, "reasoningText"), _text(thought, "redactedContent")
        )
    elif isinstance(cited, dict):
        for citation in _objects(cited.get("citations")):
            answer.cite(index, citation)
        for content in _objects(cited.get("content")):
            yield from answer.text(index, _text(content, "text"))
    else:
        yield from answer.text(index, _text(block, "text"))
    yield from answer.end_block(index)


def _written(arguments: Any) -> str:
    try:
        return orjson.dumps(arguments).decode()
    except orjson.JSONEncodeError:  # nested beyond what can be written
        return "{}"


def _annotation(citation: Mapping[str, Any], start: int, end: int) -> dict[str, Any]:
    web = _web(citation)
    cited = {
        "url": _text(web, "url"),
        "title": _text(citation, "title") or _text(web, "domain"),
        "start_index": start,
        "end_index": end,
    }
    return {"type": "url_citation", "url_citation": cited}


def _web(citation: Mapping[str, Any]) -> Mapping[str, Any]:
    return _object(_object(citation, "location"), "web")


def _broken(message: str) -> events.Broken:
    return events.Broken(UpstreamError("protocol", message))


def _index(members: Mapping[str, Any]) -> int:
    index = members.get("contentBlockIndex")
    return index if type(index) is int else 0


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""


def _object(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = members.get(name)
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _count(members: Mapping[str, Any], name: str) -> int:
    value = members.get(name)
    return int(value) if isinstance(value, int | float) and value > 0 else 0
