"""Answers of OpenAI's Responses as events: recorded ones, made ones, and bytes of any kind at all."""

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
from providers.upstreams.openai_responses.answers import usage_of
from providers.upstreams.openai_responses.dialect import OpenAIResponses
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
from tests.support.recordings import Recording, frames_of, observed, parameters

DIALECT: Final = OpenAIResponses()
OWN: Final = Path(__file__).parents[1] / "recordings" / "openai-responses"
PROVIDERS: Final = ("openai", "azure", "xai", "deepseek", "lmstudio", "openrouter")
ALL: Final = tuple(
    recording for provider in PROVIDERS for recording in answered(exchanges(provider, "responses"))
)
FAILED: Final = "openai-responses-stream-mid-stream-error-8b15f39f-0"
STREAMS: Final = tuple(recording for recording in ALL if recording.stream and recording.id != FAILED)
PLAIN: Final = tuple(recording for recording in ALL if not recording.stream)
END_TYPES: Final = (b'"type":"response.completed"', b'"type":"response.incomplete"')

# OpenAI's package gathers summaries alone; these servers show the reasoning itself.
READABLE: Final[Mapping[str, str]] = {
    "deepseek-responses-stream-tool-call-d6c16d85-0": "The user asks about temperature in Tokyo.",
    "lmstudio-responses-unary-reasoning-2fb0c648-0": "reasoning content",
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
    """A stream without the end of its answer is broken, wherever it ends; with it, it is complete."""
    frames = frames_of(recording.body)
    ends = next(number for number, frame in enumerate(frames) if any(kind in frame for kind in END_TYPES))
    for number in range(len(frames)):
        found = decoded(DIALECT.decoder(), [b"".join(frames[:number])])
        assert (number <= ends) == isinstance(found[-1], Broken), number
    halved = b"".join(frames[:ends]) + frames[ends][: len(frames[ends]) // 2]
    broken = decoded(DIALECT.decoder(), [halved])[-1]
    assert isinstance(broken, Broken)
    assert ("protocol", "the provider's stream was cut short") == (broken.error.kind, broken.error.message)


@pytest.mark.parametrize("recording", parameters((*STREAMS, *PLAIN)))
def test_recorded_answers(recording: Recording) -> None:
    """Text, reasoning, calls, end and tokens are those that OpenAI's own package reads."""
    expected = observed()[recording.id]
    answer = answer_of(said_in(recording))
    assert expected["text"] == answer.text
    details = answer.message.get("reasoning_details", ())
    readable = "".join(block.get("summary") or block.get("text") or "" for block in details)
    if recording.id in READABLE:
        assert "" == expected["reasoning"]
        assert readable.startswith(READABLE[recording.id])
    else:
        assert expected["reasoning"] == readable
    assert readable.replace("\n\n", "") == answer.reasoning.replace("\n\n", "")
    calls = [(call["id"], call["name"], orjson.loads(call["arguments"])) for call in expected["tool_calls"]]
    assert calls == answer.calls
    if expected["status"] == "incomplete":
        assert ("length", "max_output_tokens") == (answer.finish_reason, answer.native_finish_reason)
    else:
        assert ("tool_calls" if calls else "stop") == answer.finish_reason
    usage, counted = answer.usage, expected["usage"]
    assert usage is not None
    assert (counted["input_tokens"], counted["output_tokens"]) == (usage.input_tokens, usage.output_tokens)
    assert counted["input_tokens_details"]["cached_tokens"] == usage.cache_read_tokens
    assert counted["output_tokens_details"]["reasoning_tokens"] == usage.reasoning_tokens


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_stream_and_plain_say_the_same(recording: Recording) -> None:
    """A stream ends with the whole answer: read as a plain one, it says what the stream has said.

    What is encrypted differs from event to event, and both are good.
    """
    last = next(frame for frame in frames_of(recording.body) if any(kind in frame for kind in END_TYPES))
    data = sse.payload(last)
    assert data is not None
    plain = answer_of(DIALECT.read(orjson.dumps(orjson.loads(data)["response"])))
    streamed = answer_of(said_in(recording))
    assert without_data(plain.message) == without_data(streamed.message)
    assert (plain.finish_reason, plain.usage) == (streamed.finish_reason, streamed.usage)


def without_data(message: Mapping[str, Any]) -> dict[str, Any]:
    details = [
        {**block, "data": "…"} if "data" in block else block for block in message.get("reasoning_details", ())
    ]
    return {**message, "reasoning_details": details}


@pytest.mark.parametrize("recording", parameters([recording for recording in ALL if recording.id == FAILED]))
def test_a_recorded_failure(recording: Recording) -> None:
    """Money that has run out is no rate limit to wait for, and comes under status 200 here."""
    begun, broken = check_cuts(DIALECT.decoder, recording.body)
    assert isinstance(begun, Begin)
    assert isinstance(broken, Broken)
    error = broken.error
    assert ("rate_limited", "insufficient_quota", False) == (error.kind, error.code, error.again)


# Recordings of the project's own


@pytest.mark.parametrize("case", sorted(OWN.iterdir()), ids=lambda case: case.name)
def test_own_recordings(case: Path) -> None:
    """What a client sees of each case, failures too; a stream at any cut."""
    expected = orjson.loads((case / "answer.json").read_bytes())
    if (case / "body.sse").exists():
        said: Sequence[Event] = check_cuts(DIALECT.decoder, (case / "body.sse").read_bytes())
    else:
        said = DIALECT.read((case / "body.json").read_bytes())
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


def item(stage: str, index: int, **members: Any) -> bytes:
    return frame(f"response.output_item.{stage}", output_index=index, item=members)


def end(status: str = "completed", **members: Any) -> bytes:
    return frame(f"response.{status}", response={"status": status, **members})


def call(stage: str, index: int, name: str, arguments: str = "") -> bytes:
    return item(stage, index, type="function_call", call_id=f"id-{name}", name=name, arguments=arguments)


START: Final = frame("response.created", response={"id": "resp-1", "model": "gpt-x"})
DONE: Final = Finish(0, "stop", "completed")


def read(*frames: bytes) -> list[Event]:
    said = decoded(DIALECT.decoder(), [b"".join(frames)])
    check_order(said)
    return said


def test_text() -> None:
    """Begin, pieces of text, finish; what the done events repeat is not said twice."""
    assert [Begin("resp-1", "gpt-x"), Text(0, "Hel"), Text(0, "lo"), DONE] == read(
        START,
        frame("response.in_progress", response={}),
        item("added", 0, type="message", content=[]),
        frame("response.output_text.delta", output_index=0, delta="Hel", logprobs=[], obfuscation="xx"),
        frame("response.output_text.delta", output_index=0, delta="lo"),
        frame("response.output_text.done", output_index=0, text="Hello"),
        item("done", 0, type="message", content=[{"type": "output_text", "text": "Hello"}]),
        end(),
    )


def test_a_server_without_pieces() -> None:
    """Items that come whole, or only with the end, are said once all the same."""
    whole: list[dict[str, Any]] = [
        {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "Hm"}]},
        {
            "type": "message",
            "content": [
                {
                    "type": "output_text",
                    "text": "Hello",
                    "annotations": [{"type": "file_citation", "index": 1}],
                },
                {"type": "refusal", "refusal": "No."},
            ],
        },
        {"type": "function_call", "call_id": "c", "name": "look", "arguments": '{"a":1}'},
    ]
    usual = [
        type(event)
        for event in read(START, *(item("done", n, **each) for n, each in enumerate(whole)), end())
    ]
    assert [Begin, Reasoning, Text, Opaque, Refusal, ToolDelta, Finish] == usual
    assert usual == [type(event) for event in read(START, end(output=whole))]
    assert usual[1:] == [type(event) for event in DIALECT.read(orjson.dumps({"output": whole}))][1:]


def test_calls_that_interleave() -> None:
    """Pieces go to the call they belong to; id and name come once; numbers count calls, not items."""
    delta = "response.function_call_arguments.delta"
    assert [
        ToolDelta(0, 0, "id-x", "x", ""),
        ToolDelta(0, 1, "id-y", "y", ""),
        ToolDelta(0, 0, "", "", "{}"),
        ToolDelta(0, 1, "", "", '{"q":1}'),
        Finish(0, "tool_calls", "completed"),
    ] == read(
        START,
        call("added", 1, "x"),
        call("added", 4, "y"),
        frame(delta, output_index=1, delta="{}"),
        frame(delta, output_index=4, delta='{"q":1}'),
        call("done", 4, "y", '{"q":1}'),
        call("done", 1, "x", "{}"),
        end(),
    )[1:]


@pytest.mark.parametrize("frames", [(), (call("done", 0, "x"),)])
def test_calls_without_arguments(frames: tuple[bytes, ...]) -> None:
    """An empty object, once."""
    (made,) = answer_of(read(START, call("added", 0, "x"), *frames, end())).calls
    assert ("id-x", "x", {}) == made


def test_summaries_are_paragraphs() -> None:
    """Parts of a summary are blocks of their own, and paragraphs for a reader."""
    delta = "response.reasoning_summary_text.delta"
    said = read(
        START,
        *(
            frame(delta, output_index=0, item_id="rs", summary_index=part, delta=text)
            for part, text in ((0, "One"), (0, "."), (1, "Two."))
        ),
        item("done", 0, type="reasoning", id="rs", encrypted_content="AAAA", summary=[{"text": "One."}]),
        end(),
    )
    answer = answer_of(said)
    own = {"format": "openai-responses-v1", "id": "rs"}
    assert "One.\n\nTwo." == answer.reasoning
    assert [
        {"type": "reasoning.summary", "summary": "One.", "index": 0, **own},
        {"type": "reasoning.summary", "summary": "Two.", "index": 1, **own},
        {"type": "reasoning.encrypted", "data": "AAAA", "index": 2, **own},
    ] == answer.message["reasoning_details"]


def test_reasoning_of_hosted_tools_is_not_kept() -> None:
    """What is encrypted belongs to the next item; behind a search, which cannot be sent back, it would be refused."""

    def thought(index: int, data: str) -> bytes:
        return item("done", index, type="reasoning", id=f"rs{index}", encrypted_content=data)

    search = {"type": "web_search_call", "id": "ws", "status": "completed"}
    said = read(
        START,
        thought(0, "lost"),
        item("done", 1, **search),
        thought(2, "kept"),
        item("added", 3, type="message"),
        thought(4, "last"),
        end(),
    )
    details = [event.detail for event in said if isinstance(event, Reasoning)]
    assert ["kept", "last"] == [detail["data"] for detail in details if detail is not None]
    assert Opaque(0, "web_search_call", [search]) in said


def test_annotations() -> None:
    """Web sources in chat's shape; others under their own name; once."""
    source = {
        "type": "url_citation",
        "start_index": 1,
        "end_index": 2,
        "title": "T",
        "url": "https://example.com",
    }
    cited = {name: value for name, value in source.items() if name != "type"}
    message = {"type": "message", "content": [{"type": "output_text", "text": "Hi", "annotations": [source]}]}
    said = read(
        START,
        frame("response.output_text.delta", output_index=0, delta="Hi"),
        frame("response.output_text.annotation.added", output_index=0, annotation=source),
        frame("response.output_text.annotation.added", output_index=0, annotation={"type": "file_path"}),
        item("done", 0, **message),
        end(),
    )
    assert [
        Opaque(0, "annotations", [{"type": "url_citation", "url_citation": cited}]),
        Opaque(0, "file_path", [{"type": "file_path"}]),
    ] == said[2:4]
    assert Finish is type(said[4])


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("max_output_tokens", Finish(0, "length", "max_output_tokens")),
        ("content_filter", Finish(0, "content_filter", "content_filter")),
        ("something_new", Finish(0, "length", "something_new")),
        (None, Finish(0, "length", "incomplete")),
    ],
)
def test_incomplete(reason: str | None, expected: Finish) -> None:
    """Why an answer is incomplete, in a stream and plain."""
    details = {"incomplete_details": {"reason": reason}}
    assert expected == read(START, end("incomplete", **details))[-1]
    assert expected == DIALECT.read(orjson.dumps({"status": "incomplete", "output": [], **details}))[-1]


@pytest.mark.parametrize(
    ("error", "kind", "again"),
    [
        ({"code": "server_error", "message": "it broke"}, "overloaded", True),
        ({"code": "rate_limit_exceeded", "message": "it broke"}, "rate_limited", True),
        ({"code": "invalid_prompt", "message": "it broke"}, "bad_request", False),
        ({"code": "image_too_large", "message": "it broke"}, "bad_request", False),
        ({"code": "new", "message": "it broke"}, "overloaded", True),
    ],
)
def test_failures(error: Mapping[str, Any], kind: str, again: bool) -> None:  # noqa: FBT001 - a table's column
    """A failed answer is none, in each of its forms; what it cost is told where it is said."""
    usage = {"input_tokens": 3, "output_tokens": 1}
    failed = [
        read(START, end("failed", error=error, usage=usage)),
        DIALECT.read(orjson.dumps({"status": "failed", "error": error, "output": [], "usage": usage})),
    ]
    for said in failed:
        assert isinstance(said[-2], UsageReport)
    bare = [
        read(START, frame("error", **error), end()),
        read(START, frame("error", error=error), end()),
        read(START, b"data: " + orjson.dumps({"error": error}) + b"\n\n"),
        DIALECT.read(orjson.dumps({"error": error})),
    ]
    for said in (*failed, *bare):
        assert isinstance(said[-1], Broken)
        assert (kind, "it broke", again) == (
            said[-1].error.kind,
            said[-1].error.message,
            said[-1].error.again,
        )


def test_a_context_that_is_too_long() -> None:
    """Said inside a stream, it still leads to a model with a longer context."""
    broken = read(START, frame("error", code="context_length_exceeded", message="too long"))[-1]
    assert isinstance(broken, Broken)
    assert ("bad_request", True) == (broken.error.kind, broken.error.context_overflow)


def test_an_answer_that_was_cancelled() -> None:
    """An end without a reason is a failure."""
    for said in (read(START, end("cancelled")), DIALECT.read(b'{"status":"in_progress","output":[]}')):
        assert isinstance(said[-1], Broken)
        assert "overloaded" == said[-1].error.kind


def test_an_error_after_the_end() -> None:
    """A failure behind the end is a failure still; a second end says nothing."""
    assert isinstance(read(START, end(), frame("error", message="x"))[-1], Broken)
    assert [DONE] == read(START, end(), end())[1:]


def test_what_is_unknown() -> None:
    """Events, items and parts of kinds we do not know are passed over; the end mark of a chat, too."""
    assert [Opaque(0, "new_item", [{"type": "new_item"}]), DONE] == read(
        START,
        frame("response.something.new", output_index=0),
        b'data: {"sequence_number":1}\n\n',
        item("added", 0, type="new_item"),
        item("done", 0, type="new_item"),
        item("done", 1, type="message", content=[{"type": "new_part"}, 3]),
        b": comment\n\n",
        end(),
        b"data: [DONE]\n\n",
    )[1:]


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


def test_usage() -> None:
    """Chat's words, cached and written parts, and money as xAI states it."""
    usage = usage_of(
        {
            "input_tokens": 340,
            "input_tokens_details": {"cached_tokens": 320, "cache_write_tokens": 5},
            "output_tokens": 105,
            "output_tokens_details": {"reasoning_tokens": 83},
            "total_tokens": 445,
            "cost_in_usd_ticks": 3_515_000,
            "server_side_tool_usage_details": {},
        }
    )
    assert usage is not None
    assert (340, 105, 320, 5, 83) == usage[:5]
    assert pytest.approx(0.0003515) == usage.provider_cost_usd
    assert {
        "prompt_tokens": 340,
        "completion_tokens": 105,
        "total_tokens": 445,
        "prompt_tokens_details": {"cached_tokens": 320, "cache_write_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 83},
        "cost_in_usd_ticks": 3_515_000,
    } == usage.reported


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"output":null}', b'{"error":"x"}'])
def test_plain_answers_that_are_none(body: bytes) -> None:
    """An error under status 200, or no answer at all."""
    assert isinstance(DIALECT.read(body)[-1], Broken)


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (400, {"code": "context_length_exceeded", "message": "x"}, ("bad_request", False, True)),
        (400, {"type": "invalid_request_error", "message": "x"}, ("bad_request", False, False)),
        (401, {"code": "invalid_api_key", "message": "x"}, ("auth", False, False)),
        (429, {"code": "insufficient_quota", "message": "x"}, ("rate_limited", False, False)),
        (429, {"code": "rate_limit_exceeded", "message": "x"}, ("rate_limited", True, False)),
        (503, {"code": "server_is_overloaded", "message": "x"}, ("overloaded", True, False)),
    ],
)
def test_errors(status: int, error: Mapping[str, Any], expected: tuple[str, bool, bool]) -> None:
    """Errors before the answer are those of the family."""
    made = DIALECT.error(status, {}, orjson.dumps({"error": error}), now_epoch_s=0.0)
    assert expected == (made.kind, made.again, made.context_overflow)


# Bytes of any kind

NAMES: Final = st.sampled_from(
    [
        "annotation", "annotations", "arguments", "call_id", "code", "content", "delta", "encrypted_content", "error",
        "id", "incomplete_details", "input_tokens", "item", "item_id", "message", "model", "name", "output",
        "output_index", "reason", "refusal", "response", "status", "summary", "summary_index", "text", "type", "usage",
    ]
)  # fmt: skip
WORDS: Final = st.sampled_from(
    [
        "message",
        "function_call",
        "reasoning",
        "output_text",
        "refusal",
        "summary_text",
        "completed",
        "failed",
        "x",
    ]
)
VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)
KINDS: Final = st.sampled_from(
    [
        "error", "response.completed", "response.created", "response.failed", "response.incomplete",
        "response.function_call_arguments.delta", "response.output_item.added", "response.output_item.done",
        "response.output_text.annotation.added", "response.output_text.delta", "response.reasoning_summary_text.delta",
        "response.reasoning_text.delta", "response.refusal.delta", 3, None,
    ]
)  # fmt: skip


@given(st.lists(st.tuples(KINDS, st.dictionaries(NAMES, VALUES, max_size=4)), max_size=8))
def test_events_of_any_shape(frames: list[tuple[Any, dict[str, Any]]]) -> None:
    """No exception escapes, and it does not matter how the stream is cut."""
    body = b"".join(b"data: " + orjson.dumps({**members, "type": kind}) + b"\n\n" for kind, members in frames)
    whole = decoded(DIALECT.decoder(), [body])
    check_order([event for event in whole if not isinstance(event, Begin)])
    single = decoded(DIALECT.decoder(), [body[at : at + 1] for at in range(len(body))])
    assert comparable(whole) == comparable(single)


@given(VALUES | st.binary())
def test_plain_answers_of_any_shape(given_body: Any) -> None:
    """No exception escapes."""
    body = given_body if isinstance(given_body, bytes) else orjson.dumps(given_body)
    assert DIALECT.read(body)
    assert DIALECT.error(400, {}, body, now_epoch_s=0.0).message
