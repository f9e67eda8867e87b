"""Claude's answers as events: recorded ones, made ones, and bytes of any kind at all."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.events import (
    Begin,
    Broken,
    Event,
    Finish,
    Opaque,
    Reasoning,
    Refusal,
    Text,
    ToolDelta,
    UsageReport,
)
from providers.framing import sse
from providers.upstreams.anthropic.answers import read_usage
from providers.upstreams.anthropic.dialect import Anthropic
from providers.upstreams.anthropic.requests import ANSWER_TOOL
from tests.support.foreign import (
    Answer,
    answer_of,
    answered,
    check_cuts,
    check_order,
    comparable,
    decoded,
    exchanges,
)
from tests.support.recordings import Recording, chunk_of, frames_of, observed, parameters

DIALECT: Final = Anthropic()
OWN: Final = Path(__file__).parents[1] / "recordings" / "anthropic"
ALL: Final = (*exchanges("anthropic", "messages"), *exchanges("azure", "messages"))
STREAMS: Final = tuple(recording for recording in answered(ALL) if recording.stream)
PLAIN: Final = tuple(recording for recording in answered(ALL) if not recording.stream)


def of(recording: Recording) -> Answer:
    """What a client sees of a recorded answer."""
    if recording.stream:
        return answer_of(decoded(DIALECT.decoder(), [recording.body]))
    return answer_of(DIALECT.read(recording.body))


# Recorded answers


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_streams_at_every_cut(recording: Recording) -> None:
    """Events of a stream do not depend on its cuts, come in order, and tell what it cost before the first content."""
    said = check_cuts(DIALECT.decoder, recording.body)
    check_order(said)
    assert [Begin, UsageReport] == [type(event) for event in said[:2]]


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_streams_cut_short(recording: Recording) -> None:
    """A stream without its stop reason is broken, wherever it ends; with it, it is complete."""
    frames = frames_of(recording.body)
    ends = next(number for number, frame in enumerate(frames) if b'"type":"message_delta"' in frame)
    for number in range(len(frames)):
        half = b"".join(frames[:number]) + frames[number][: len(frames[number]) // 2]
        last = decoded(DIALECT.decoder(), [half])[-1]
        if number > ends:
            assert not isinstance(last, Broken)
        else:
            assert isinstance(last, Broken)
            assert ("protocol", 0, True) == (last.error.kind, last.error.status, last.error.again)


REASONS: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "refusal": "content_filter",
}


@pytest.mark.parametrize("recording", parameters(answered(ALL)))
def test_answers_read_as_anthropics_package_reads_them(recording: Recording) -> None:
    """Text, reasoning, calls, reason and counts are those that Anthropic's own package makes of the same bytes."""
    note, answer = observed()[recording.id], of(recording)
    assert note["text"] == answer.text
    assert note["reasoning"] == answer.reasoning
    assert [tuple(call.values()) for call in note["tool_calls"]] == answer.calls
    assert note["finish_reason"] == answer.native_finish_reason
    assert REASONS[note["finish_reason"]] == answer.finish_reason
    said, usage = note["usage"], answer.usage
    assert usage is not None
    cached = said.get("cache_read_input_tokens", 0), said.get("cache_creation_input_tokens", 0)
    assert cached == (usage.cache_read_tokens, usage.cache_write_tokens)
    assert said["input_tokens"] + sum(cached) == usage.input_tokens
    assert said["output_tokens"] == usage.output_tokens
    thinking = (said.get("output_tokens_details") or {}).get("thinking_tokens", 0)
    assert thinking == usage.reasoning_tokens


def plain_of(body: bytes) -> bytes:
    """The plain answer that a stream spells out, put together without this project's code."""
    message: dict[str, Any] = {}
    for chunk in filter(None, map(chunk_of, frames_of(body))):
        match chunk["type"]:
            case "message_start":
                message = chunk["message"]
            case "content_block_start":
                message["content"].append({**chunk["content_block"], "json": ""})
            case "content_block_delta":
                block, delta = message["content"][chunk["index"]], chunk["delta"]
                for name in ("text", "thinking", "signature"):
                    block[name] = block.get(name, "") + delta.get(name, "")
                block["json"] += delta.get("partial_json", "")
                if "citation" in delta:
                    block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
            case "message_delta":
                message |= chunk["delta"]
                message["usage"] |= chunk["usage"]
    for block in message["content"]:
        if block["json"]:
            block["input"] = orjson.loads(block["json"])
        del block["json"]
    return orjson.dumps(message)


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_stream_and_plain_answer_say_the_same(recording: Recording) -> None:
    """A stream and the plain answer of the same content give equal messages, reasons and usage."""
    streamed, plain = of(recording), answer_of(DIALECT.read(plain_of(recording.body)))
    assert streamed.calls == plain.calls
    for answer in (streamed, plain):
        for call in answer.message.get("tool_calls") or ():
            call["function"]["arguments"] = "compared above"
    assert streamed == plain


# Recordings of the project's own


@pytest.mark.parametrize("case", sorted(OWN.iterdir()), ids=lambda case: case.name)
def test_own_recordings(case: Path) -> None:
    """What a client sees of each case, failures too; a stream at any cut."""
    exchange = orjson.loads((case / "exchange.json").read_bytes())
    expected = orjson.loads((case / "answer.json").read_bytes())
    if (case / "body.sse").exists():
        said: Sequence[Event] = check_cuts(DIALECT.decoder, (case / "body.sse").read_bytes())
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
        usage = [event.usage.reported for event in said if isinstance(event, UsageReport)]
        return {
            "text": "".join(event.text for event in said if isinstance(event, Text)),
            "usage": usage[-1] if usage else None,
            "error": {
                name: getattr(error, name)
                for name in ("kind", "status", "message", "again", "retry_after_s", "context_overflow")
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


def frame(kind: str, **members: Any) -> bytes:
    data = orjson.dumps({"type": kind, **members})
    return b"event: " + kind.encode() + b"\ndata: " + data + b"   \n\n"


START: Final = frame(
    "message_start", message={"id": "msg_1", "model": "claude-x", "content": [], "usage": {"input_tokens": 9}}
)


def opened(index: int, **block: Any) -> bytes:
    return frame("content_block_start", index=index, content_block=block)


def piece(index: int, **delta: Any) -> bytes:
    return frame("content_block_delta", index=index, delta=delta)


def stopped(index: int) -> bytes:
    return frame("content_block_stop", index=index)


def ended(reason: str, **delta: Any) -> bytes:
    stop = frame("message_delta", delta={"stop_reason": reason, **delta}, usage={"output_tokens": 5})
    return stop + frame("message_stop")


def events_of(*frames: bytes) -> list[Event]:
    said = check_cuts(DIALECT.decoder, b"".join((START, *frames)))
    check_order(said)
    return said


def text(words: str, index: int = 0) -> bytes:
    return opened(index, type="text", text="") + piece(index, type="text_delta", text=words) + stopped(index)


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("some_day", "stop"),
    ],
)
def test_stop_reasons(native: str, reason: str) -> None:
    """Reasons are OpenAI's; Anthropic's own word stays beside it."""
    said = events_of(text("x"), ended(native))
    assert Finish(0, reason, native) in said


@pytest.mark.parametrize(
    ("native", "reason"), [("tool_use", "tool_calls"), ("end_turn", "tool_calls"), ("max_tokens", "length")]
)
def test_stop_reasons_of_calls(native: str, reason: str) -> None:
    """Where a tool is called the reason says so, unless the call was cut off."""
    said = events_of(opened(0, type="tool_use", id="toolu_1", name="f", input={}), stopped(0), ended(native))
    assert Finish(0, reason, native) in said


def test_calls_in_pieces() -> None:
    """A call's id and name come once; calls are counted; one without arguments ends as an empty object."""
    said = events_of(
        text("hi"),
        opened(1, type="tool_use", id="toolu_1", name="f", input={}),
        piece(1, type="input_json_delta", partial_json=""),
        piece(1, type="input_json_delta", partial_json='{"a":'),
        piece(1, type="input_json_delta", partial_json="1}"),
        stopped(1),
        opened(2, type="tool_use", id="toolu_2", name="g", input={}),
        stopped(2),
        opened(3, type="tool_use", id="toolu_3", name="h", input={"b": 2}),
        ended("tool_use"),
    )
    assert [
        ToolDelta(0, 0, "toolu_1", "f", ""),
        ToolDelta(0, 0, "", "", '{"a":'),
        ToolDelta(0, 0, "", "", "1}"),
        ToolDelta(0, 1, "toolu_2", "g", ""),
        ToolDelta(0, 1, "", "", "{}"),
        ToolDelta(0, 2, "toolu_3", "h", ""),
        ToolDelta(0, 2, "", "", '{"b":2}'),
    ] == [event for event in said if isinstance(event, ToolDelta)]


def test_reasoning_keeps_what_must_come_back() -> None:
    """Thinking, its signature and redacted blocks carry what the next turn needs; their index counts what is seen."""
    said = events_of(
        opened(0, type="thinking", thinking="", signature=""),
        piece(0, type="thinking_delta", thinking="hm"),
        piece(0, type="signature_delta", signature="sig"),
        stopped(0),
        opened(1, type="redacted_thinking", data="blob"),
        stopped(1),
        opened(2, type="server_tool_use", id="srvtoolu_1", name="web_search", input={}),
        stopped(2),
        text("so", 3),
        text(" it is", 4),
        opened(5, type="thinking", thinking="", signature=""),
        piece(5, type="signature_delta", signature="later"),
        stopped(5),
        ended("end_turn"),
    )
    own = {"format": "anthropic-claude-v1"}
    assert [
        Reasoning(0, "hm", {"type": "reasoning.text", "text": "hm", "index": 0, **own}),
        Reasoning(0, "", {"type": "reasoning.text", "signature": "sig", "index": 0, **own}),
        Reasoning(0, "", {"type": "reasoning.encrypted", "data": "blob", "index": 1, **own}),
        Reasoning(0, "", {"type": "reasoning.text", "signature": "later", "index": 3, **own}),
    ] == [event for event in said if isinstance(event, Reasoning)]


def test_citations() -> None:
    """Sources on the web become annotations of the text they stand for; others come as they are."""
    web = {
        "type": "web_search_result_location",
        "url": "https://example.com/a",
        "title": "A",
        "cited_text": "q",
    }
    page = {"type": "page_location", "document_index": 0, "start_page_number": 1, "end_page_number": 2}
    said = events_of(
        text("By rumour, "),
        opened(1, type="text", text="", citations=[]),
        piece(1, type="citations_delta", citation=web),
        piece(1, type="citations_delta", citation=page),
        piece(1, type="text_delta", text="it rains."),
        stopped(1),
        ended("end_turn"),
    )
    source = {
        "url": "https://example.com/a",
        "title": "A",
        "start_index": 11,
        "end_index": 20,
        "content": "q",
    }
    assert [
        Opaque(0, "annotations", [{"type": "url_citation", "url_citation": source}]),
        Opaque(0, "citations", [page]),
    ] == [event for event in said if isinstance(event, Opaque)]


def test_refusal() -> None:
    """A refusal that is explained says so in words."""
    details = {"type": "refusal", "category": "cyber", "explanation": "Not this."}
    said = events_of(ended("refusal", stop_details=details))
    assert [Refusal(0, "Not this."), Finish(0, "content_filter", "refusal")] == [
        event for event in said if isinstance(event, Refusal | Finish)
    ]


def test_an_answer_given_by_a_call_is_text() -> None:
    """The arguments of our own tool are the answer; nobody sees a call."""
    said = events_of(
        opened(0, type="tool_use", id="toolu_1", name=ANSWER_TOOL, input={}),
        piece(0, type="input_json_delta", partial_json='{"a":'),
        piece(0, type="input_json_delta", partial_json="1}"),
        stopped(0),
        ended("tool_use"),
    )
    assert [Text(0, '{"a":'), Text(0, "1}"), Finish(0, "stop", "tool_use")] == [
        event for event in said if isinstance(event, Text | ToolDelta | Finish)
    ]
    block = {"type": "tool_use", "id": "toolu_1", "name": ANSWER_TOOL, "input": {"a": 1}}
    plain = answer_of(DIALECT.read(orjson.dumps({"content": [block], "stop_reason": "tool_use"})))
    assert ('{"a":1}', [], "stop") == (plain.text, plain.calls, plain.finish_reason)


def test_strange_frames_are_passed_over() -> None:
    """Pings, unknown events, unknown blocks and deltas, comments and another family's end mark change nothing."""
    said = events_of(
        b": hello\n\n",
        frame("ping"),
        b'data: {"type": "ping"}\n\n',
        frame("fallback_started", index=3),
        opened(0, type="hologram", shape="cube"),
        piece(0, type="hologram_delta", shape="sphere"),
        stopped(0),
        piece(7, type="input_json_delta", partial_json="{}"),
        stopped(7),
        text("x", 1),
        b"data:\n\n",
        ended("end_turn"),
        b"data: [DONE]\n\n",
    )
    assert [Begin, UsageReport, Text, Finish, UsageReport] == [type(event) for event in said]
    no_object = events_of(text("x", 1), b"data: [1, 2]\n\n")
    assert [Begin, UsageReport, Text, Broken] == [type(event) for event in no_object]


ERROR_FRAMES: Final[Mapping[str, tuple[str, int, bool]]] = {
    "overloaded_error": ("overloaded", 529, True),
    "api_error": ("overloaded", 500, True),
    "rate_limit_error": ("rate_limited", 429, True),
    "timeout_error": ("timeout", 504, True),
    "invalid_request_error": ("bad_request", 400, False),
    "authentication_error": ("auth", 401, False),
    "billing_error": ("auth", 402, False),
    "permission_error": ("auth", 403, False),
    "not_found_error": ("auth", 404, False),
    "request_too_large": ("bad_request", 413, False),
    "some_error": ("overloaded", 0, True),
}


@pytest.mark.parametrize(("kind", "expected"), ERROR_FRAMES.items())
@pytest.mark.parametrize("before", [b"", START, START + text("x")], ids=["first", "begun", "content"])
def test_error_frames(kind: str, expected: tuple[str, int, bool], before: bytes) -> None:
    """An error inside a stream is the last event, and its type stands for a status."""
    body = (
        before
        + frame("error", error={"type": kind, "message": "Sorry"}, request_id="req_1")
        + ended("end_turn")
    )
    last = check_cuts(DIALECT.decoder, body)[-1]
    assert isinstance(last, Broken)
    assert expected == (last.error.kind, last.error.status, last.error.again)


def test_error_after_the_end() -> None:
    """An error behind the stop reason is still an error."""
    body = (
        START + text("x") + ended("end_turn") + frame("error", error={"type": "api_error", "message": "Oh"})
    )
    assert isinstance(check_cuts(DIALECT.decoder, body)[-1], Broken)


def test_nothing_behind_a_failure() -> None:
    """A stream that broke says nothing more, whatever still comes."""
    decoder = DIALECT.decoder()
    (broken,) = decoder.feed(b"data: {nonsense\n\n")
    assert isinstance(broken, Broken)
    assert ((), ()) == (decoder.feed(START), decoder.close())


def test_endless_frame() -> None:
    """A frame beyond the limit is a failure, not a memory leak."""
    decoder = DIALECT.decoder()
    assert not decoder.feed(b"data: " + b"x" * (sse.MAX_FRAME_BYTES - 10))
    (broken,) = decoder.feed(b"x" * 10)
    assert isinstance(broken, Broken)
    assert "protocol" == broken.error.kind


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"content": "x"}', b"null"])
def test_plain_nonsense(body: bytes) -> None:
    """A plain answer that is none of Claude's is a failure of the protocol."""
    (broken,) = DIALECT.read(body)
    assert isinstance(broken, Broken)
    assert "protocol" == broken.error.kind


def test_plain_error_under_200() -> None:
    """An error body under status 200 is the error that it names."""
    body = orjson.dumps({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    (broken,) = DIALECT.read(body)
    assert isinstance(broken, Broken)
    assert ("overloaded", 529, "Overloaded") == (broken.error.kind, broken.error.status, broken.error.message)


def test_usage() -> None:
    """The prompt is counted whole; a later report adds to an earlier one; OpenAI's names hold the same figures."""
    said = check_cuts(
        DIALECT.decoder,
        frame(
            "message_start",
            message={
                "usage": {
                    "input_tokens": 3,
                    "cache_creation_input_tokens": 20,
                    "cache_read_input_tokens": 100,
                }
            },
        )
        + frame("message_delta", delta={}, usage={"output_tokens": 7, "cache_read_input_tokens": None})
        + frame(
            "message_delta",
            delta={"stop_reason": "end_turn"},
            usage={"output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}},
        ),
    )
    reports = [event.usage for event in said if isinstance(event, UsageReport)]
    assert [(123, 0), (123, 7), (123, 9)] == [(usage.input_tokens, usage.output_tokens) for usage in reports]
    last = reports[-1]
    assert (100, 20, 4) == (last.cache_read_tokens, last.cache_write_tokens, last.reasoning_tokens)
    assert {
        "prompt_tokens": 123,
        "completion_tokens": 9,
        "total_tokens": 132,
        "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 20},
        "completion_tokens_details": {"reasoning_tokens": 4},
    } == last.reported


def test_usage_keeps_what_costs_by_itself() -> None:
    """How long the cache holds and how often the web was searched stay in the report."""
    kept = {
        "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2},
        "server_tool_use": {"web_search_requests": 3},
        "service_tier": "standard",
    }
    reported = read_usage({"input_tokens": 1, "cache_creation_input_tokens": 3, **kept, "secret": 1}).reported
    assert kept == {name: reported[name] for name in kept}
    assert "secret" not in reported
    overtaken = read_usage({"input_tokens": 1, "cache_creation_input_tokens": 4, **kept}).reported
    assert "cache_creation" not in overtaken


# Anything at all

junk = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**40) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(
    ["type", "index", "delta", "message", "content_block", "usage", "error", "content", "text", "thinking",
     "signature", "data", "input", "partial_json", "citation", "citations", "stop_reason", "stop_details", "id",
     "name", "model", "input_tokens", "output_tokens", "output_tokens_details", "details", "explanation"]
)  # fmt: skip
kinds = st.sampled_from(
    ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "error",
     "text", "tool_use", "thinking", "redacted_thinking", "text_delta", "input_json_delta", "thinking_delta",
     "signature_delta", "citations_delta", "web_search_result_location", "refusal", "end_turn", ANSWER_TOOL]
)  # fmt: skip
shaped = st.recursive(
    junk | kinds,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
    max_leaves=12,
)
members = st.dictionaries(names, shaped, max_size=5) | shaped


@given(st.lists(members, max_size=6))
def test_any_stream_can_be_read(chunks: list[Any]) -> None:
    """Frames of any shape are read or end in a failure; nothing is ever raised, and cuts do not matter."""
    body = b"".join(b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks)
    said = decoded(DIALECT.decoder(), [body])
    assert comparable(said) == comparable(decoded(DIALECT.decoder(), [body[:11], body[11:]]))
    assert all(not isinstance(event, Broken) for event in said[:-1])


@given(members | junk)
def test_any_answer_can_be_read(answer: Any) -> None:
    """A plain answer of any shape is read or is a failure; nothing is ever raised."""
    said = DIALECT.read(orjson.dumps(answer))
    assert isinstance(said[-1], Broken | Finish | UsageReport)


@given(st.binary(max_size=60), st.integers(100, 599))
def test_any_bytes_can_be_read(body: bytes, status: int) -> None:
    """No bytes at all make a decoder, a reader or an error raise."""
    decoded(DIALECT.decoder(), [body])
    DIALECT.read(body)
    assert DIALECT.error(status, {}, body, now_epoch_s=0.0).message
