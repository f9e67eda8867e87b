"""Cohere's answers as events: recorded ones, made ones, and bytes of any kind at all."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.events import Begin, Broken, Event, Finish, Opaque, Reasoning, Text, ToolDelta, UsageReport
from providers.framing import sse
from providers.upstreams.cohere.answers import usage_of
from providers.upstreams.cohere.dialect import CohereChat
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
from tests.support.recordings import Recording, frames_of, observed, parameters

DIALECT: Final = CohereChat()
OWN: Final = Path(__file__).parents[1] / "recordings" / "cohere"
ALL: Final = exchanges("cohere", "v2.chat")
STREAMS: Final = tuple(recording for recording in answered(ALL) if recording.stream)
PLAIN: Final = tuple(recording for recording in answered(ALL) if not recording.stream)
FINISH: Final[Mapping[str, str]] = {
    "COMPLETE": "stop",
    "MAX_TOKENS": "length",
    "STOP_SEQUENCE": "stop",
    "TOOL_CALL": "tool_calls",
}


def said_in(recording: Recording) -> Sequence[Event]:
    if recording.stream:
        return decoded(DIALECT.decoder(), [recording.body])
    return DIALECT.read(recording.body)


# Recorded answers


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_streams_at_every_cut(recording: Recording) -> None:
    """Events of a stream do not depend on its cuts, and come in order."""
    said = check_cuts(DIALECT.decoder, recording.body)
    check_order(said)
    assert isinstance(said[0], Begin)


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_streams_cut_short(recording: Recording) -> None:
    """A stream without the end of its message is broken, wherever it ends; with it, it is complete."""
    frames = frames_of(recording.body)
    ends = next(number for number, frame in enumerate(frames) if b'"type":"message-end"' in frame)
    for number in range(len(frames)):
        part = b"".join(frames[:number])
        found = decoded(DIALECT.decoder(), [part])
        assert (number <= ends) == isinstance(found[-1], Broken), number
    halved = b"".join(frames[:ends]) + frames[ends][: len(frames[ends]) // 2]
    broken = decoded(DIALECT.decoder(), [halved])[-1]
    assert isinstance(broken, Broken)
    assert ("protocol", "the provider's stream was cut short") == (broken.error.kind, broken.error.message)


@pytest.mark.parametrize("recording", parameters((*STREAMS, *PLAIN)))
def test_recorded_answers(recording: Recording) -> None:
    """Text, reasoning, calls, finish and billed tokens are those that Cohere's own package reads.

    Two differences: the plan of a model without thinking is its reasoning, and a call without arguments has an empty
    object, which clients can parse.
    """
    expected = observed()[recording.id]
    answer = answer_of(said_in(recording))
    assert expected["text"] == answer.text
    assert expected["reasoning"] + expected["tool_plan"] == answer.reasoning
    calls = [
        (call["id"], call["name"], orjson.loads(call["arguments"] or "{}")) for call in expected["tool_calls"]
    ]
    assert calls == answer.calls
    assert expected["finish_reason"] == answer.native_finish_reason
    assert FINISH[expected["finish_reason"]] == answer.finish_reason
    usage = answer.usage
    assert usage is not None
    billed = expected["usage"]["billed_units"]
    assert (billed["input_tokens"], billed["output_tokens"]) == (usage.input_tokens, usage.output_tokens)
    assert 0 == usage.cache_read_tokens
    assert usage.reported["tokens"] == expected["usage"]["tokens"]


@pytest.mark.parametrize("recording", parameters(PLAIN))
def test_cohere_counts_billed_tokens(recording: Recording) -> None:
    """Where Cohere states one number for the whole exchange in a header, it is the sum of what it bills."""
    stated = recording.headers.get("num_tokens") or recording.headers.get("num-tokens")
    usage = answer_of(said_in(recording)).usage
    assert usage is not None
    if stated is not None:
        assert int(stated) == usage.input_tokens + usage.output_tokens


@pytest.mark.parametrize("recording", parameters(refused(ALL)))
def test_recorded_errors(recording: Recording) -> None:
    """A wrong key and an unknown model: another backend may have better ones, and no client can help it."""
    error = DIALECT.error(recording.status, recording.headers, recording.body, now_epoch_s=0.0)
    assert ("auth", recording.status, False) == (error.kind, error.status, error.again)
    assert not error.context_overflow


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
        names = ("kind", "status", "message", "again", "context_overflow")
        return {"error": {name: getattr(error, name) for name in names}}
    answer: Answer = answer_of(said)
    return {
        "message": answer.message,
        "finish_reason": answer.finish_reason,
        "native_finish_reason": answer.native_finish_reason,
        "usage": None if answer.usage is None else answer.usage.reported,
    }


# Made answers


def frame(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: ".encode() + orjson.dumps({"type": kind, **members}) + b"\n\n"


def delta(kind: str, message: Mapping[str, Any], index: int = 0) -> bytes:
    return frame(kind, index=index, delta={"message": message})


def end(reason: str | None = "COMPLETE", **members: Any) -> bytes:
    return frame("message-end", delta={"finish_reason": reason, **members})


START: Final = frame("message-start", id="id-1", delta={"message": {"role": "assistant"}})


def read(*frames: bytes) -> list[Event]:
    said = decoded(DIALECT.decoder(), [b"".join(frames)])
    check_order(said)
    return said


def test_text() -> None:
    """Begin, pieces of text, finish; nothing is said of the model."""
    pieces = [delta("content-delta", {"content": {"text": text}}) for text in ("Hel", "lo")]
    assert [Begin("id-1", ""), Text(0, "Hel"), Text(0, "lo"), Finish(0, "stop", "COMPLETE")] == read(
        START, *pieces, frame("content-end", index=0), end(), b"data: [DONE]\n\n"
    )


def test_text_at_the_start_of_a_block() -> None:
    """A block that begins with text loses none of it."""
    block = delta("content-start", {"content": {"type": "text", "text": "Hi"}})
    assert Text(0, "Hi") in read(START, block, end())


def test_thinking_then_plan() -> None:
    """Blocks of reasoning are numbered as they begin, and the plan is marked as one."""
    said = read(
        START,
        delta("content-delta", {"content": {"thinking": "Hm"}}),
        delta("content-delta", {"content": {"thinking": "."}}),
        delta("tool-plan-delta", {"tool_plan": "I will look."}),
        end(),
    )
    details = [event.detail for event in said if isinstance(event, Reasoning)]
    own = {"type": "reasoning.text", "format": "cohere-chat-v2"}
    assert [
        {**own, "text": "Hm", "index": 0},
        {**own, "text": ".", "index": 0},
        {**own, "text": "I will look.", "index": 1, "id": "tool_plan"},
    ] == details


def test_calls_that_interleave() -> None:
    """Pieces go to the call they belong to; id and name come once; numbers follow the order of beginning."""

    def call(kind: str, index: int, **given: Any) -> bytes:
        return delta(kind, {"tool_calls": given}, index)

    said = read(
        START,
        call("tool-call-start", 3, id="a", function={"name": "x", "arguments": ""}),
        call("tool-call-start", 5, id="b", function={"name": "y", "arguments": '{"q":'}),
        call("tool-call-delta", 3, function={"arguments": "{}"}),
        call("tool-call-delta", 5, function={"arguments": "1}"}),
        frame("tool-call-end", index=3),
        end("TOOL_CALL"),
    )
    assert [
        ToolDelta(0, 0, "a", "x", ""),
        ToolDelta(0, 1, "b", "y", '{"q":'),
        ToolDelta(0, 0, "", "", "{}"),
        ToolDelta(0, 1, "", "", "1}"),
        Finish(0, "tool_calls", "TOOL_CALL"),
    ] == said[1:]


def test_calls_without_arguments() -> None:
    """An empty object, once, whether or not the end of the call is announced."""
    begun = delta("tool-call-start", {"tool_calls": {"id": "a", "function": {"name": "x"}}})
    for frames in ((begun, frame("tool-call-end", index=0)), (begun,)):
        (call,) = answer_of(read(START, *frames, end("TOOL_CALL"))).calls
        assert ("a", "x", {}) == call


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("TOOL_CALL", "tool_calls"),
        ("ERROR_LIMIT", "length"),
        ("ERROR_TOXIC", "content_filter"),
        ("SOMETHING_NEW", "stop"),
    ],
)
def test_finish_reasons(native: str, reason: str) -> None:
    """Each in OpenAI's words, with Cohere's own beside it."""
    assert Finish(0, reason, native) == read(START, end(native))[-1]


def test_calls_decide_the_finish() -> None:
    """An answer that calls tools waits for them, whatever its word for the end."""
    begun = delta(
        "tool-call-start", {"tool_calls": {"id": "a", "function": {"name": "x", "arguments": "{}"}}}
    )
    assert Finish(0, "tool_calls", "COMPLETE") == read(START, begun, end())[-1]


@pytest.mark.parametrize(("native", "kind"), [("ERROR", "overloaded"), ("TIMEOUT", "timeout")])
def test_failures_at_the_end(native: str, kind: str) -> None:
    """A message that ends in a failure is none, in a stream and plain; what it cost is still told."""
    usage = {"billed_units": {"input_tokens": 3, "output_tokens": 1}}
    streamed = read(START, end(native, error="it broke", usage=usage))
    plain = DIALECT.read(
        orjson.dumps({"id": "x", "message": {}, "finish_reason": native, "error": "it broke", "usage": usage})
    )
    for said in (streamed, plain):
        reported, broken = said[-2:]
        assert isinstance(reported, UsageReport)
        assert isinstance(broken, Broken)
        assert 3 == reported.usage.input_tokens
        assert (kind, "it broke", True) == (broken.error.kind, broken.error.message, broken.error.again)


@pytest.mark.parametrize(
    "problem",
    [{"type": "error", "message": "it broke"}, {"message": "it broke"}, {"error": {"message": "it broke"}}],
)
def test_failures_in_the_middle(problem: Mapping[str, Any]) -> None:
    """An error between events ends the stream, in any of its forms; nothing is read behind it."""
    said = read(START, b"data: " + orjson.dumps(problem) + b"\n\n", end())
    assert isinstance(said[-1], Broken)
    assert ("overloaded", "it broke") == (said[-1].error.kind, said[-1].error.message)


def test_an_error_after_the_end() -> None:
    """A failure behind the end of the message is a failure still."""
    assert isinstance(read(START, end(), b'data: {"type":"error","message":"x"}\n\n')[-1], Broken)


def test_what_is_unknown() -> None:
    """Events, blocks and members of kinds we do not know are passed over; so is a debug event."""
    said = read(
        START,
        frame("debug", prompt="…"),
        frame("something-new", index=0),
        delta("content-delta", {"content": {"type": "image", "image": "…"}}),
        delta("citation-start", {"citations": None}),
        b": comment\n\n",
        end(),
    )
    assert [Begin, Finish] == [type(event) for event in said]


@pytest.mark.parametrize("nonsense", [b"data: {\n\n", b"data: 3\n\n", b"data: []\n\n"])
def test_frames_that_are_none(nonsense: bytes) -> None:
    """A frame that cannot be read ends the stream, and nothing comes behind."""
    said = read(START, nonsense, end())
    assert isinstance(said[-1], Broken)
    assert "protocol" == said[-1].error.kind


def test_a_frame_beyond_the_limit() -> None:
    """Memory is bounded."""
    decoder = DIALECT.decoder()
    said = decoder.feed(b"data: " + b"x" * sse.MAX_FRAME_BYTES)
    assert isinstance(said[-1], Broken)
    assert () == (*decoder.feed(b"\n\n"), *decoder.close())


def test_citations() -> None:
    """They are carried along under Cohere's own name, one list in all."""
    one, two = {"start": 0, "end": 1}, {"start": 2, "end": 3}
    said = read(
        START,
        delta("citation-start", {"citations": one}),
        frame("citation-end", index=0),
        delta("citation-start", {"citations": two}),
        end(),
    )
    assert [Opaque(0, "citations", [one]), Opaque(0, "citations", [two])] == said[1:3]
    plain = DIALECT.read(orjson.dumps({"message": {"citations": [one, two]}, "finish_reason": "COMPLETE"}))
    assert answer_of(plain).message == answer_of(said).message


def test_usage() -> None:
    """What is billed counts; what was processed is told beside it, the cached part too."""
    usage = usage_of(
        {
            "billed_units": {"input_tokens": 44, "output_tokens": 28.0},
            "tokens": {"input_tokens": 1476, "output_tokens": 58, "reasoning_tokens": 40},
            "cached_tokens": 1376,
        }
    )
    assert (44, 28, 0, 28) == (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.reasoning_tokens,
    )
    assert {
        "prompt_tokens": 44,
        "completion_tokens": 28,
        "total_tokens": 72,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 28},
        "billed_units": {"input_tokens": 44, "output_tokens": 28},
        "tokens": {"input_tokens": 1476, "output_tokens": 58, "reasoning_tokens": 40},
        "cached_tokens": 1376,
    } == usage.reported


def test_usage_without_bill() -> None:
    """Where nothing is said of the bill, what was processed counts, images included."""
    usage = usage_of({"tokens": {"input_tokens": 34, "output_tokens": 56, "image_tokens": 259}})
    assert (293, 56) == (usage.input_tokens, usage.output_tokens)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"message":null}', b'{"error":"x"}', b'{"message":"overloaded"}'],
)
def test_plain_answers_that_are_none(body: bytes) -> None:
    """An error under status 200, or no answer at all."""
    assert isinstance(DIALECT.read(body)[-1], Broken)


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (400, "invalid request: model is required", ("bad_request", False, False)),
        (400, "too many tokens: size limit exceeded by 11 tokens.", ("bad_request", False, True)),
        (
            400,
            "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292.",
            ("bad_request", False, True),
        ),
        (
            400,
            "too many tokens: max tokens must be less than or equal to 4096, the maximum output for this model",
            ("bad_request", False, False),
        ),
        (402, "Please add or update your payment method", ("auth", False, False)),
        (422, "unprocessable", ("bad_request", False, False)),
        (
            429,
            "You are using a Trial key, which is limited to 40 API calls / minute.",
            ("rate_limited", True, False),
        ),
        (
            429,
            "You are using a Trial key, which is limited to 1000 API calls / month.",
            ("rate_limited", False, False),
        ),
        (498, "invalid token", ("auth", False, False)),
        (499, "request cancelled", ("overloaded", True, False)),
        (500, "internal server error", ("overloaded", True, False)),
        (501, "not implemented", ("bad_request", False, False)),
        (503, "service unavailable", ("overloaded", True, False)),
        (504, "timeout", ("timeout", True, False)),
    ],
)
def test_errors(status: int, message: str, expected: tuple[str, bool, bool]) -> None:
    """Cohere's documented errors: kind, whether to ask again, whether a longer context would do."""
    body = orjson.dumps({"id": "id-1", "message": message})
    error = DIALECT.error(status, {}, body, now_epoch_s=0.0)
    assert expected == (error.kind, error.again, error.context_overflow)


# Bytes of any kind

VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "arguments", "billed_units", "citations", "content", "delta", "error", "finish_reason", "function",
                    "id", "index", "input_tokens", "message", "text", "thinking", "tokens", "tool_calls", "tool_plan",
                    "type", "usage",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)  # fmt: skip
KINDS: Final = st.sampled_from(
    [
        "message-start", "content-start", "content-delta", "content-end", "tool-plan-delta", "tool-call-start",
        "tool-call-delta", "tool-call-end", "citation-start", "citation-end", "message-end", "error", 3, None,
    ]
)  # fmt: skip


@given(
    st.lists(st.tuples(KINDS, st.dictionaries(st.sampled_from(["delta", "index", "id"]), VALUES)), max_size=8)
)
def test_events_of_any_shape(frames: list[tuple[Any, dict[str, Any]]]) -> None:
    """No exception escapes, and it does not matter how the stream is cut."""
    body = b"".join(b"data: " + orjson.dumps({"type": kind, **members}) + b"\n\n" for kind, members in frames)
    whole = decoded(DIALECT.decoder(), [body])
    check_order([event for event in whole if not isinstance(event, Begin | Finish)])
    single = decoded(DIALECT.decoder(), [body[at : at + 1] for at in range(len(body))])
    assert comparable(whole) == comparable(single)


@given(VALUES | st.binary())
def test_plain_answers_of_any_shape(given_body: Any) -> None:
    """No exception escapes."""
    body = given_body if isinstance(given_body, bytes) else orjson.dumps(given_body)
    assert DIALECT.read(body)
    assert DIALECT.error(400, {}, body, now_epoch_s=0.0).message
