"""Converse's answers as events: recorded ones, made ones, and bytes of any kind at all."""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple
from zlib import crc32

import orjson
import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from providers.events import (
    Broken,
    Event,
    Finish,
    Opaque,
    Reasoning,
    Text,
    ToolDelta,
    UsageReport,
)
from providers.types import UpstreamError, Usage
from providers.upstreams.anthropic.requests import ANSWER_TOOL
from providers.upstreams.bedrock.answers import REASONING_FORMAT, read_usage
from providers.upstreams.bedrock.dialect import BedrockConverse
from tests.support.foreign import (
    Answer,
    answer_of,
    answered,
    check_cuts,
    check_order,
    comparable,
    decoded,
    exchanges,
    refused,
)
from tests.support.recordings import Recording, observed, parameters

DIALECT: Final = BedrockConverse()
OWN: Final = Path(__file__).parents[1] / "recordings" / "bedrock"
ALL: Final = exchanges("bedrock", "converse", "converse-stream")
# Errors come in one form from all operations.
REFUSED: Final = refused(exchanges("bedrock", "converse", "converse-stream", "invoke"))
STREAMS: Final = tuple(recording for recording in answered(ALL) if recording.stream)
PLAIN: Final = tuple(recording for recording in answered(ALL) if not recording.stream)


def of(recording: Recording) -> Answer:
    """What a client sees of a recorded answer."""
    if recording.stream:
        return answer_of(decoded(DIALECT.decoder(), [recording.body]))
    return answer_of(DIALECT.read(recording.body))


def messages_of(body: bytes) -> list[tuple[str, Any, bytes]]:
    """Name, payload and bytes of each message of a stream, by AWS' own package."""
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    found, start = [], 0
    for event in buffer:
        end = start + int(event.prelude.total_length)
        found.append((event.headers[":event-type"], orjson.loads(event.payload), body[start:end]))
        start = end
    return found


# Recorded answers


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_streams_at_every_cut(recording: Recording) -> None:
    """Events of a stream do not depend on its cuts and come in order; usage comes last, behind the finish reason."""
    said = check_cuts(DIALECT.decoder, recording.body)
    check_order(said)
    assert [Finish, UsageReport] == [type(event) for event in said[-2:]]


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_streams_cut_short(recording: Recording) -> None:
    """A stream without its stop reason is broken, wherever it ends; with it, it is complete, even without usage."""
    messages = messages_of(recording.body)
    ends = [name for name, _, _ in messages].index("messageStop")
    for number in range(len(messages)):
        whole = b"".join(raw for _, _, raw in messages[:number])
        for rest in (b"", messages[number][2][: len(messages[number][2]) // 2]):
            last = decoded(DIALECT.decoder(), [whole + rest])[-1]
            if number > ends:
                assert isinstance(last, Finish)
            else:
                assert isinstance(last, Broken)
                assert ("protocol", 0, True) == (last.error.kind, last.error.status, last.error.again)


REASONS: Final = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "guardrail_intervened": "content_filter",
}
# Where AWS' own package is read otherwise: the notes take the text of blocks alone, and this one is of citations.
TEXTS: Final = {
    "bedrock-converse-unary-document-in-020d2c14-0": (
        "The Ruby programming language was created by Yukihiro Matsumoto in 1993."
    )
}


@pytest.mark.parametrize("recording", parameters(answered(ALL)))
def test_answers_read_as_aws_package_reads_them(recording: Recording) -> None:
    """Text, reasoning, calls, reason and counts are those that AWS' own package makes of the same bytes."""
    note, answer = observed()[recording.id], of(recording)
    assert TEXTS.get(recording.id, note["text"]) == answer.text
    assert note["reasoning"] == answer.reasoning
    assert [
        (call["id"], call["name"], parsed(call["arguments"])) for call in note["tool_calls"]
    ] == answer.calls
    assert note["finish_reason"] == answer.native_finish_reason
    assert REASONS[note["finish_reason"]] == answer.finish_reason
    said, usage = note["usage"], answer.usage
    assert usage is not None
    cached = said.get("cacheReadInputTokens", 0), said.get("cacheWriteInputTokens", 0)
    assert cached == (usage.cache_read_tokens, usage.cache_write_tokens)
    assert said["inputTokens"] + sum(cached) == usage.input_tokens
    assert said["outputTokens"] == usage.output_tokens
    assert said["totalTokens"] == usage.reported["total_tokens"]


def parsed(arguments: Any) -> Any:
    """The notes hold text for streams, and members for plain answers."""
    return orjson.loads(arguments) if isinstance(arguments, str) else arguments


def plain_of(body: bytes) -> bytes:
    """The plain answer that a stream spells out, put together without this project's code."""
    blocks: dict[int, dict[str, Any]] = {}
    answer: dict[str, Any] = {}
    for name, members, _ in messages_of(body):
        block = blocks.setdefault(members["contentBlockIndex"], {}) if "contentBlockIndex" in members else {}
        if name == "contentBlockStart":
            block["toolUse"] = {**members["start"]["toolUse"], "input": ""}
        elif name == "contentBlockDelta":
            for kind, value in members["delta"].items():
                if kind == "text":
                    block["text"] = block.get("text", "") + value
                elif kind == "toolUse":
                    block["toolUse"]["input"] += value["input"]
                elif kind == "citation":
                    block.setdefault("citations", []).append(value)
                else:
                    thought = block.setdefault("thought", {"text": ""})
                    for part, piece in value.items():
                        thought[part] = thought.get(part, "") + piece
        else:
            answer |= members
    answer["output"] = {"message": {"content": [whole(block) for _, block in sorted(blocks.items())]}}
    return orjson.dumps(answer)


def whole(block: dict[str, Any]) -> dict[str, Any]:
    if "citations" in block:
        return {"citationsContent": {"citations": block["citations"], "content": [{"text": block["text"]}]}}
    if "thought" in block:
        thought = block["thought"]
        redacted = "redactedContent" in thought
        return {"reasoningContent": thought if redacted else {"reasoningText": thought}}
    if "toolUse" in block:
        return {"toolUse": {**block["toolUse"], "input": orjson.loads(block["toolUse"]["input"] or "{}")}}
    return block


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_stream_and_plain_answer_say_the_same(recording: Recording) -> None:
    """A stream and the plain answer of the same content give equal messages, reasons and usage."""
    streamed, plain = of(recording), answer_of(DIALECT.read(plain_of(recording.body)))
    assert streamed.calls == plain.calls
    for answer in (streamed, plain):
        for call in answer.message.get("tool_calls") or ():
            call["function"]["arguments"] = "compared above"
    assert streamed == plain


class Expected(NamedTuple):
    kind: str
    status: int
    code: str
    again: bool = False
    context_overflow: bool = False


ERRORS: Final = {
    "bedrock-converse-unary-error-400-05c2cb13-0": Expected(
        "bad_request", 400, "ValidationException", context_overflow=True
    ),
    "bedrock-invoke-unary-error-403-cd15dfe4-0": Expected("auth", 403, "ExpiredTokenException"),
    "bedrock-invoke-unary-error-503-c6cc2b16-0": Expected(
        "overloaded", 503, "ServiceUnavailableException", again=True
    ),
}


@pytest.mark.parametrize("recording", parameters(REFUSED))
def test_recorded_errors(recording: Recording) -> None:
    """Each recorded error has the kind a person would give it, and AWS' own name as its code."""
    error = DIALECT.error(recording.status, recording.headers, recording.body, now_epoch_s=0.0)
    assert ERRORS[recording.id] == Expected(
        error.kind, error.status, error.code or "", error.again, error.context_overflow
    )
    assert error.message


# Recordings of the project's own: messages of a stream one a line, headers and payload


@pytest.mark.parametrize("case", sorted(OWN.iterdir()), ids=lambda case: case.name)
def test_own_recordings(case: Path) -> None:
    """What a client sees of each case, failures too; a stream at any cut."""
    exchange = orjson.loads((case / "exchange.json").read_bytes())
    expected = orjson.loads((case / "answer.json").read_bytes())
    if (case / "messages.jsonl").exists():
        lines = (case / "messages.jsonl").read_bytes().splitlines()
        body = b"".join(framed(**orjson.loads(line)) for line in lines)
        said: Sequence[Event] = check_cuts(DIALECT.decoder, body)
    elif exchange["status"] == 200:
        said = DIALECT.read((case / "body.json").read_bytes())
    else:
        body = (case / "body.json").read_bytes()
        said = [Broken(DIALECT.error(exchange["status"], exchange["headers"], body, now_epoch_s=0.0))]
    assert expected == shown(said)


def shown(said: Sequence[Event]) -> dict[str, Any]:
    """Events as `answer.json` holds them."""
    check_order(said)
    if isinstance(said[-1], Broken):
        error = said[-1].error
        return {
            "text": "".join(event.text for event in said if isinstance(event, Text)),
            "error": {
                name: getattr(error, name)
                for name in ("kind", "status", "code", "message", "again", "context_overflow")
            },
        }
    answer = answer_of(said)
    return {
        "message": answer.message,
        "finish_reason": answer.finish_reason,
        "native_finish_reason": answer.native_finish_reason,
        "usage": answer.usage.reported if answer.usage else None,
    }


# Made ones


def framed(headers: Mapping[str, str], payload: Any) -> bytes:
    """A message, written without this project's code."""
    written = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    prelude = struct.pack(">II", 16 + len(written) + len(body), len(written))
    message = prelude + struct.pack(">I", crc32(prelude)) + written + body
    return message + struct.pack(">I", crc32(message))


def event(name: str, payload: Any) -> bytes:
    return framed({":event-type": name, ":message-type": "event"}, payload)


def opened(index: int, **call: Any) -> bytes:
    return event("contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": call}, "p": "abc"})


def piece(index: int, **delta: Any) -> bytes:
    return event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta, "p": "abcdef"})


def stopped(index: int) -> bytes:
    return event("contentBlockStop", {"contentBlockIndex": index})


def ended(reason: str) -> bytes:
    return event("messageStop", {"stopReason": reason})


def exception(name: str, payload: Any) -> bytes:
    return framed({":exception-type": name, ":message-type": "exception"}, payload)


def said_of(*messages: bytes) -> list[Event]:
    return check_cuts(DIALECT.decoder, b"".join(messages))


def plain(*blocks: Any, reason: str = "end_turn", **members: Any) -> list[Event]:
    answer = {"output": {"message": {"role": "assistant", "content": list(blocks)}}, "stopReason": reason}
    return list(DIALECT.read(orjson.dumps({**answer, **members})))


def failure_of(said: Sequence[Event]) -> UpstreamError:
    assert isinstance(said[-1], Broken)
    return said[-1].error


def test_parallel_calls_interleaved() -> None:
    """Pieces of two calls find their calls, each call has its id and name once, and one without arguments gets `{}`."""
    said = said_of(
        opened(1, toolUseId="t1", name="first"),
        opened(2, toolUseId="t2", name="second"),
        piece(2, toolUse={"input": '{"a":'}),
        piece(1, toolUse={"input": ""}),
        piece(2, toolUse={"input": "1}"}),
        stopped(1),
        stopped(2),
        ended("tool_use"),
    )
    assert [
        ToolDelta(0, 0, "t1", "first", ""),
        ToolDelta(0, 1, "t2", "second", ""),
        ToolDelta(0, 1, "", "", '{"a":'),
        ToolDelta(0, 1, "", "", "1}"),
        ToolDelta(0, 0, "", "", "{}"),
        Finish(0, "tool_calls", "tool_use"),
    ] == said


def test_blocks_that_are_never_closed() -> None:
    """A call without arguments whose block is not closed still gets them, before the finish reason."""
    said = said_of(opened(0, toolUseId="t", name="f"), ended("tool_use"))
    assert [
        ToolDelta(0, 0, "t", "f", ""),
        ToolDelta(0, 0, "", "", "{}"),
        Finish(0, "tool_calls", "tool_use"),
    ] == said


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("malformed_model_output", "stop"),
        ("malformed_tool_use", "stop"),
        ("tool_use", "stop"),
        ("something_new", "stop"),
    ],
)
def test_stop_reasons(native: str, expected: str) -> None:
    """Each has one of OpenAI's reasons, in streams and plain answers; the provider's own word stays beside it."""
    assert [Text(0, "x"), Finish(0, expected, native)] == said_of(piece(0, text="x"), ended(native))
    assert [Text(0, "x"), Finish(0, expected, native)] == plain({"text": "x"}, reason=native)


@pytest.mark.parametrize(
    ("native", "expected"), [("tool_use", "tool_calls"), ("end_turn", "tool_calls"), ("max_tokens", "length")]
)
def test_a_call_decides_the_reason(native: str, expected: str) -> None:
    """An answer with calls finishes with them, whatever the provider calls it, unless it was cut at its limit."""
    said = plain({"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1}}}, reason=native)
    assert [
        ToolDelta(0, 0, "t", "f", ""),
        ToolDelta(0, 0, "", "", '{"a":1}'),
        Finish(0, expected, native),
    ] == said


def test_reasoning_keeps_what_must_come_back() -> None:
    """Text, signature and encrypted blocks are details with the place of their block, a run of texts counted as one."""

    def detail(kind: str, index: int, **members: str) -> dict[str, Any]:
        return {"type": f"reasoning.{kind}", **members, "format": REASONING_FORMAT, "index": index}

    said = said_of(
        piece(0, reasoningContent={"text": "Hm"}),
        piece(0, reasoningContent={"signature": "c2ln"}),
        stopped(0),
        piece(1, text="a"),
        stopped(1),
        piece(2, text="b"),
        stopped(2),
        piece(3, reasoningContent={"redactedContent": "UkVE"}),
        stopped(3),
        ended("end_turn"),
    )
    assert [
        Reasoning(0, "Hm", detail("text", 0, text="Hm")),
        Reasoning(0, "", detail("text", 0, text="", signature="c2ln")),
        Text(0, "a"),
        Text(0, "b"),
        Reasoning(0, "", detail("encrypted", 2, data="UkVE")),
        Finish(0, "stop", "end_turn"),
    ] == said
    assert answer_of(said) == answer_of(
        plain(
            {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "c2ln"}}},
            {"text": "a"},
            {"text": "b"},
            {"reasoningContent": {"redactedContent": "UkVE"}},
        )
    )


def test_citations() -> None:
    """What was found on the web is an annotation of the text it belongs to; other citations keep their own form."""
    web = {"title": "Ruby", "location": {"web": {"url": "https://ruby.test/", "domain": "ruby.test"}}}
    paper = {"title": "facts", "location": {"documentChar": {"documentIndex": 0, "start": 0, "end": 4}}}
    said = said_of(
        piece(0, text="So: "),
        piece(1, citation=web),
        piece(1, text="1993"),
        piece(1, citation=paper),
        stopped(1),
        ended("end_turn"),
    )
    cited = {"url": "https://ruby.test/", "title": "Ruby", "start_index": 4, "end_index": 8}
    assert [
        Text(0, "So: "),
        Text(0, "1993"),
        Opaque(0, "annotations", [{"type": "url_citation", "url_citation": cited}]),
        Opaque(0, "citations", [paper]),
        Finish(0, "stop", "end_turn"),
    ] == said
    cited_block = {"citationsContent": {"citations": [web, paper], "content": [{"text": "1993"}]}}
    assert answer_of(said) == answer_of(plain({"text": "So: "}, cited_block))


def test_the_answer_given_by_a_tool() -> None:
    """The call that stands for a structured answer is its text, and no call at all."""
    expected = [Text(0, '{"a":'), Text(0, "1}"), Finish(0, "stop", "tool_use")]
    assert expected == said_of(
        opened(0, toolUseId="t", name=ANSWER_TOOL),
        piece(0, toolUse={"input": '{"a":'}),
        piece(0, toolUse={"input": "1}"}),
        stopped(0),
        ended("tool_use"),
    )
    call = {"toolUseId": "t", "name": ANSWER_TOOL, "input": {}}
    assert [Text(0, "{}"), Finish(0, "stop", "tool_use")] == plain({"toolUse": call}, reason="tool_use")


def test_tools_of_amazons_own() -> None:
    """What Amazon's own tools do is no call of the client's."""
    call = {"toolUseId": "t", "name": "nova_grounding", "type": "server_tool_use"}
    expected = [Text(0, "x"), Finish(0, "stop", "end_turn")]
    assert expected == said_of(
        opened(0, **call),
        piece(0, toolUse={"input": "{}"}),
        stopped(0),
        piece(1, text="x"),
        ended("end_turn"),
    )
    assert expected == plain({"toolUse": {**call, "input": {"q": 1}}}, {"toolResult": {}}, {"text": "x"})


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ({"inputTokens": 10, "outputTokens": 4, "totalTokens": 14}, Usage(10, 4)),
        (
            {"inputTokens": 10, "outputTokens": 4, "totalTokens": 117, "cacheReadInputTokens": 100,
             "cacheWriteInputTokens": 3},
            Usage(113, 4, 100, 3),
        ),
        ({"inputTokens": 10, "outputTokens": 4, "cacheReadInputTokenCount": 5}, Usage(15, 4, 5)),
        # Counted in already, as its own total shows.
        (
            {"inputTokens": 110, "outputTokens": 4, "totalTokens": 114, "cacheReadInputTokens": 100},
            Usage(110, 4, 100),
        ),
        ({"inputTokens": None, "outputTokens": "4", "totalTokens": -1}, Usage(0, 0)),
    ],
)  # fmt: skip
def test_usage(reported: Mapping[str, Any], expected: Usage) -> None:
    """The whole prompt is counted, cached parts included, and shown in OpenAI's form."""
    usage = read_usage({"usage": reported})
    assert usage is not None
    assert expected == usage._replace(reported={})
    assert {
        "prompt_tokens": expected.input_tokens,
        "completion_tokens": expected.output_tokens,
        "total_tokens": expected.input_tokens + expected.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": expected.cache_read_tokens,
            "cache_write_tokens": expected.cache_write_tokens,
        },
    } == usage.reported


def test_usage_comes_behind_the_finish_reason() -> None:
    """The finish is seen at once; usage follows it, and an answer without it is whole."""
    decoder = DIALECT.decoder()
    assert [Text(0, "x"), Finish(0, "stop", "end_turn")] == list(
        decoder.feed(piece(0, text="x") + ended("end_turn"))
    )
    (report,) = decoder.feed(
        event("metadata", {"usage": {"inputTokens": 1, "outputTokens": 2}, "metrics": {}})
    )
    assert isinstance(report, UsageReport)
    assert [] == list(decoder.close())


# Failures


@pytest.mark.parametrize(
    ("name", "payload", "kind", "status", "again", "overflow"),
    [
        ("throttlingException", {"message": "Too many tokens, please wait before trying again."},
         "rate_limited", 429, True, False),
        ("throttlingException", {"message": "Too many tokens per day, please wait before trying again."},
         "rate_limited", 429, False, False),
        ("modelStreamErrorException",
         {"message": "The model failed", "originalStatusCode": 500, "originalMessage": "x"},
         "overloaded", 424, True, False),
        ("modelStreamErrorException", {"originalMessage": "x"}, "overloaded", 424, True, False),
        ("internalServerException", {"message": "x"}, "overloaded", 500, True, False),
        ("serviceUnavailableException", {"message": "x"}, "overloaded", 503, True, False),
        ("modelTimeoutException", {"message": "x"}, "timeout", 408, True, False),
        ("validationException", {"message": "Malformed input request"}, "bad_request", 400, False, False),
        ("validationException", {"message": "Input is too long for requested model."},
         "bad_request", 400, False, True),
        ("somethingNewException", {}, "overloaded", 0, True, False),
    ],
)  # fmt: skip
def test_exceptions_in_the_stream(
    name: str,
    payload: Any,
    kind: str,
    status: int,
    again: bool,  # noqa: FBT001 - a table
    overflow: bool,  # noqa: FBT001 - a table
) -> None:
    """An exception in the middle of an answer is its end, of the kind that its name says; nothing comes behind it."""
    said = said_of(piece(0, text="Half an"), exception(name, payload), piece(0, text="!"), ended("end_turn"))
    assert [Text, Broken] == [type(each) for each in said]
    error = failure_of(said)
    assert (kind, status, again, overflow) == (error.kind, error.status, error.again, error.context_overflow)
    assert name[:1].upper() + name[1:] == error.code
    assert error.message


def test_an_exception_behind_the_finish_reason() -> None:
    """It is an error all the same."""
    said = said_of(
        piece(0, text="x"), ended("end_turn"), exception("internalServerException", {"message": "x"})
    )
    assert [Text, Finish, Broken] == [type(each) for each in said]


def test_an_error_message() -> None:
    """An error that is not part of the service's model has its words in headers."""
    headers = {":message-type": "error", ":error-code": "InternalFailure", ":error-message": "Try again"}
    error = failure_of(said_of(framed(headers, b"")))
    assert ("overloaded", "InternalFailure", "Try again") == (error.kind, error.code, error.message)


def test_messages_of_unknown_kinds() -> None:
    """Kinds of messages, events, blocks and members that do not exist yet are passed over."""
    said = said_of(
        framed({":message-type": "new"}, b"\xff"),
        framed({}, b""),
        event("newEvent", {"usage": {"inputTokens": 1}}),
        event("contentBlockStart", {"contentBlockIndex": 0, "start": {"image": {"format": "png"}}}),
        piece(0, image={"source": {"bytes": "AAAA"}}),
        piece(1, text="x", more=1),
        ended("end_turn"),
    )
    assert [Text(0, "x"), Finish(0, "stop", "end_turn")] == said


@pytest.mark.parametrize("payload", [b"", b"[1]", b"{", b"\xff"])
def test_events_that_are_no_json(payload: bytes) -> None:
    """They break an answer that is under way, and take nothing from one that is finished."""
    assert "protocol" == failure_of(said_of(event("messageStart", payload))).kind
    assert isinstance(said_of(ended("end_turn"), event("metadata", payload))[-1], Finish)


def test_damage() -> None:
    """A damaged message breaks an answer under way; what came before it has been said."""
    damaged = bytearray(piece(0, text="lost"))
    damaged[-6] ^= 1
    said = said_of(piece(0, text="said"), bytes(damaged), piece(0, text="never"))
    assert Text(0, "said") == said[0]
    assert ("protocol", 2) == (failure_of(said).kind, len(said))
    assert isinstance(said_of(ended("end_turn"), bytes(damaged))[-1], Finish)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"message":"Too many requests","__type":"ThrottlingException"}', "rate_limited", 429),
        (
            b'{"__type":"com.amazon.coral.service#UnrecognizedClientException","Message":"bad"}',
            "auth",
            403,
        ),
        (b'{"Message":"User is not authorized","code":"AccessDeniedException"}', "auth", 403),
        (b'{"message":"Something"}', "overloaded", 0),
        (b'{"foo":1}', "protocol", 0),
        (b"{", "protocol", 0),
        (b"[]", "protocol", 0),
        (b"<html>", "protocol", 0),
        (b'{"output":{"message":{"content":[{"text":"x"}]}}}', "protocol", 0),
    ],
)
def test_errors_under_status_200(body: bytes, kind: str, status: int) -> None:
    """An error body where an answer should be is that error; anything else is nonsense."""
    error = failure_of(DIALECT.read(body))
    assert (kind, status) == (error.kind, error.status)
    said = said_of(body)
    assert kind == failure_of(said).kind
    assert 1 == len(said)


@pytest.mark.parametrize(
    ("status", "header", "body", "kind", "again", "overflow"),
    [
        (403, "UnrecognizedClientException", {"message": "The security token is invalid."}, "auth", False, False),
        (403, "AccessDeniedException", {"Message": "no access to the model"}, "auth", False, False),
        (404, "ResourceNotFoundException", {"message": "end of its life"}, "auth", False, False),
        (400, "ValidationException", {"message": "The provided model identifier is invalid."},
         "auth", False, False),
        (400, "ValidationException",
         {"message": "Invocation of model ID x.y-v1:0 with on-demand throughput isn\u2019t supported. Retry"},
         "auth", False, False),
        (400, "ValidationException", {"message": "Malformed input request: #: extraneous key [x]"},
         "bad_request", False, False),
        (400, "ValidationException",
         {"message": "The model returned the following errors: prompt is too long: 200049 tokens > 200000 maximum"},
         "bad_request", False, True),
        (400, "ValidationException",
         {"message": "The model returned the following errors: input length and `max_tokens` exceed context limit"},
         "bad_request", False, True),
        (400, "ServiceQuotaExceededException", {"message": "quota"}, "rate_limited", False, False),
        (408, "ModelTimeoutException", {"message": "too long"}, "timeout", True, False),
        (424, "ModelErrorException", {"message": "failed", "originalStatusCode": 500}, "overloaded", True, False),
        (429, "ThrottlingException", {"message": "Too many requests, please wait"}, "rate_limited", True, False),
        (429, "ThrottlingException", {"message": "Too many tokens per day"}, "rate_limited", False, False),
        (429, "ModelNotReadyException", {"message": "not ready"}, "overloaded", True, False),
        (500, "InternalServerException", {"message": "x"}, "overloaded", True, False),
        (503, "ServiceUnavailableException", {"message": "x"}, "overloaded", True, False),
    ],
)  # fmt: skip
def test_errors(
    status: int,
    header: str,
    body: Any,
    kind: str,
    again: bool,  # noqa: FBT001 - a table
    overflow: bool,  # noqa: FBT001 - a table
) -> None:
    """Each exception has its kind, whether its name stands in the header, where it has a tail, or in the body."""
    tail = ":http://internal.amazon.com/coral/com.amazon.bedrock/"
    for headers, members in (
        ({"x-amzn-errortype": header}, body),
        ({"x-amzn-errortype": header + tail}, body),
        ({}, {**body, "__type": f"com.amazon.bedrock#{header}"}),
    ):
        error = DIALECT.error(status, headers, orjson.dumps(members), now_epoch_s=0.0)
        assert (kind, again, overflow) == (error.kind, error.again, error.context_overflow)
        assert (status, header) == (error.status, error.code)


def test_errors_without_json() -> None:
    """A load balancer's page is judged by its status, and how long to wait is read from the headers."""
    error = DIALECT.error(503, {"retry-after": "7"}, b"<html>busy</html>", now_epoch_s=0.0)
    assert ("overloaded", 503, 7.0, None) == (error.kind, error.status, error.retry_after_s, error.code)


# Anything at all

junk = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**40) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(
    ["output", "message", "content", "text", "toolUse", "toolUseId", "name", "input", "reasoningContent", "start",
     "reasoningText", "signature", "redactedContent", "citationsContent", "citations", "citation", "location", "web",
     "url", "usage", "inputTokens", "totalTokens", "cacheReadInputTokens", "stopReason", "contentBlockIndex", "delta",
     "type", "__type"]
)  # fmt: skip
shaped = st.recursive(
    junk, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4), max_leaves=10
)
kinds = st.sampled_from(
    ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"]
)


@given(st.lists(st.tuples(kinds, shaped), max_size=5), shaped)
def test_any_shape_can_be_read(parts: list[tuple[str, Any]], answer: Any) -> None:
    """Events, answers and errors of any shape are read or refused; nothing is raised."""
    said = decoded(DIALECT.decoder(), [event(name, payload) for name, payload in parts])
    assert comparable(said)
    body = orjson.dumps(answer)
    assert DIALECT.read(body)
    DIALECT.error(400, {}, body, now_epoch_s=0.0)
    decoded(DIALECT.decoder(), [exception("throttlingException", body)])


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_any_bytes(pieces: list[bytes]) -> None:
    """Any bytes end in a failure; nothing is raised."""
    assert isinstance(decoded(DIALECT.decoder(), pieces)[-1], Broken)
    assert isinstance(DIALECT.read(b"".join(pieces))[-1], Broken)
    DIALECT.error(500, {}, b"".join(pieces), now_epoch_s=0.0)
