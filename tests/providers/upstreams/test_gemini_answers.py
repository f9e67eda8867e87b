"""Gemini's and Vertex AI's answers as events: recorded ones, made ones, and bytes of any kind at all."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.clients.openai_chat import OpenAIChat as Client
from providers.events import Begin, Broken, Event, Finish, Opaque, Reasoning, Text, ToolDelta, UsageReport
from providers.framing import sse
from providers.types import UpstreamError
from providers.upstreams.gemini.citations import Citations
from providers.upstreams.gemini.dialect import Gemini
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
from tests.support.recordings import Recording, chunk_of, frames_of, observed, parameters

DIALECT: Final = Gemini()
OWN: Final = Path(__file__).parents[1] / "recordings"
ENDPOINTS: Final = ("generateContent", "streamGenerateContent")
ALL: Final = (*exchanges("gemini", *ENDPOINTS), *exchanges("vertex", *ENDPOINTS))
ANSWERED: Final = answered(ALL)
STREAMS: Final = tuple(recording for recording in ANSWERED if recording.stream)


def events_of(recording: Recording) -> Sequence[Event]:
    if recording.stream:
        return decoded(DIALECT.decoder(), [recording.body])
    return DIALECT.read(recording.body)


# Recorded answers


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_streams_at_every_cut(recording: Recording) -> None:
    """Events of a stream do not depend on its cuts, and come in order."""
    check_order(check_cuts(DIALECT.decoder, recording.body))


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_streams_cut_short(recording: Recording) -> None:
    """A stream without a finish reason is broken, wherever it ends; with one, it is complete."""
    frames = frames_of(recording.body)
    for number, frame in enumerate(frames):
        said = decoded(DIALECT.decoder(), [b"".join(frames[:number]) + frame[: len(frame) // 2]])
        whole = any(b'"finishReason"' in each or b'"blockReason"' in each for each in frames[:number])
        assert whole == (not isinstance(said[-1], Broken))
        if isinstance(said[-1], Broken):
            assert ("protocol", 0, True) == (said[-1].error.kind, said[-1].error.status, said[-1].error.again)


REASONS: Final = {"STOP": "stop", "MAX_TOKENS": "length", "RECITATION": "content_filter"}


@pytest.mark.parametrize("recording", parameters(ANSWERED))
def test_answers_read_as_googles_package_reads_them(recording: Recording) -> None:
    """Text, thoughts, calls, reason and counts are those that Google's own package makes of the same bytes."""
    note, answer = observed()[recording.id], answer_of(events_of(recording))
    assert note["text"] == answer.text
    assert note["reasoning"] == answer.reasoning
    noted = [(call["name"], call["arguments"]) for call in note["tool_calls"]]
    assert noted == [(name, arguments) for _, name, arguments in answer.calls]
    named = [call["id"] for call in note["tool_calls"] if call["id"] is not None]
    assert named == [call_id for call_id, _, _ in answer.calls][: len(named)]
    assert len(answer.calls) == len({call_id for call_id, _, _ in answer.calls})
    # A refused prompt has no finish reason there, and `content_filter` here.
    native = note["finish_reason"] or note["block_reason"]
    assert native == answer.native_finish_reason
    expected = "tool_calls" if noted else REASONS.get(native, "content_filter")
    assert expected == answer.finish_reason
    counts, usage = note["usage"] or {}, answer.usage
    assert usage is not None
    prompt = (counts.get("prompt_token_count") or 0) + (counts.get("tool_use_prompt_token_count") or 0)
    assert prompt == usage.input_tokens
    thoughts = counts.get("thoughts_token_count") or 0
    assert (counts.get("candidates_token_count") or 0) + thoughts == usage.output_tokens
    assert thoughts == usage.reasoning_tokens
    assert (counts.get("cached_content_token_count") or 0) == usage.cache_read_tokens
    assert (counts.get("total_token_count") or 0) == usage.reported["total_tokens"]


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_stream_and_plain_say_the_same(recording: Recording) -> None:
    """The same objects as one JSON array, as a stream comes without `alt=sse`, give the same events."""
    chunks = [chunk for frame in frames_of(recording.body) if (chunk := chunk_of(frame)) is not None]
    body = orjson.dumps(chunks, option=orjson.OPT_INDENT_2)
    streamed = decoded(DIALECT.decoder(), [recording.body])
    assert streamed == list(DIALECT.read(body))
    assert streamed == check_cuts(DIALECT.decoder, b"\r\n " + body)


class Expected(NamedTuple):
    kind: str
    status: int
    again: bool
    retry_after_s: float | None = None
    context_overflow: bool = False


AUTH_403: Final = Expected("auth", 403, again=False)
AUTH_404: Final = Expected("auth", 404, again=False)
ERRORS: Final[Mapping[str, Expected]] = {
    "gemini-generateContent-unary-error-403-689a384d-0": AUTH_403,
    "gemini-generateContent-unary-error-404-fcd204a3-0": AUTH_404,
    # The prompt was longer than the model's context; what is said is that a minute's tokens are used up, and when to
    # come back. Nothing tells it from any other rate limit.
    "gemini-generateContent-unary-error-429-0c20f8d4-0": Expected("rate_limited", 429, again=True, retry_after_s=48.0),
    "vertex-generateContent-unary-error-400-d81aaeb8-1": Expected(
        "bad_request", 400, again=False, context_overflow=True
    ),
    "vertex-generateContent-unary-error-403-30020302-0": AUTH_403,
    "vertex-generateContent-unary-error-404-16d37e68-0": AUTH_404,
    # A quota of zero.
    "vertex-generateContent-unary-error-429-61c8ce3c-0": Expected("rate_limited", 429, again=False),
}  # fmt: skip


def test_no_recorded_error_is_missing() -> None:
    """The table names every recorded error."""
    recorded = {recording.id for recording in refused(ALL)}
    assert not recorded or set(ERRORS) == recorded


@pytest.mark.parametrize("recording", parameters(refused(ALL)))
def test_recorded_errors(recording: Recording) -> None:
    """Each has the kind, delay and course that a person would give it."""
    made = DIALECT.error(recording.status, recording.headers, recording.body, now_epoch_s=0.0)
    seen = Expected(made.kind, made.status, made.again, made.retry_after_s, made.context_overflow)
    assert ERRORS[recording.id] == seen
    assert made.message


def details(kind: str, **members: Any) -> list[dict[str, Any]]:
    return [{"@type": f"type.googleapis.com/google.rpc.{kind}", **members}]


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (
            400,
            {"status": "INVALID_ARGUMENT", "details": details("ErrorInfo", reason="API_KEY_INVALID")},
            Expected("auth", 400, again=False),
        ),
        (400, {"status": "FAILED_PRECONDITION"}, Expected("bad_request", 400, again=False)),
        (
            429,
            {
                "status": "RESOURCE_EXHAUSTED",
                "details": [
                    *details(
                        "QuotaFailure", violations=[{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}]
                    ),
                    *details("RetryInfo", retryDelay="37s"),
                ],
            },
            Expected("rate_limited", 429, again=False, retry_after_s=37.0),
        ),
        (500, {"status": "INTERNAL"}, Expected("overloaded", 500, again=True)),
        (503, {"status": "UNAVAILABLE"}, Expected("overloaded", 503, again=True)),
        (504, {"status": "DEADLINE_EXCEEDED"}, Expected("timeout", 504, again=True)),
    ],
)
def test_errors(status: int, error: dict[str, Any], expected: Expected) -> None:
    """Documented errors: our key under 400, a day's quota, and failures of Google's own; in a stream the same."""
    body = {"error": {"code": status, "message": "words", **error}}
    made = DIALECT.error(status, {}, orjson.dumps(body), now_epoch_s=0.0)
    assert expected == Expected(made.kind, made.status, made.again, made.retry_after_s, made.context_overflow)
    said = decoded(DIALECT.decoder(), [stream(SAID, body)])
    assert isinstance(said[-1], Broken)
    assert (expected.kind, status) == (said[-1].error.kind, said[-1].error.status)


# Small recordings of the project's own


def shown(said: Sequence[Event]) -> dict[str, Any]:
    """Events as `answer.json` holds them."""
    check_order(said)
    if isinstance(said[-1], Broken):
        error = said[-1].error
        names = ("kind", "status", "message", "again", "retry_after_s", "context_overflow")
        usage = [event.usage.reported for event in said if isinstance(event, UsageReport)]
        return {
            "text": "".join(event.text for event in said if isinstance(event, Text)),
            "usage": usage[-1] if usage else None,
            "error": {name: getattr(error, name) for name in names},
        }
    answer: Answer = answer_of(said)
    return {
        "message": answer.message,
        "finish_reason": answer.finish_reason,
        "native_finish_reason": answer.native_finish_reason,
        "usage": answer.usage.reported if answer.usage else None,
    }


CASES: Final = sorted(
    case
    for name in ("gemini", "vertex")
    for case in (OWN / name).iterdir()
    if (case / "answer.json").exists()
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_own_recordings(case: Path) -> None:
    """What a client sees of each case, failures too; a stream at any cut."""
    exchange = orjson.loads((case / "exchange.json").read_bytes())
    if (case / "body.sse").exists():
        said: Sequence[Event] = check_cuts(DIALECT.decoder, (case / "body.sse").read_bytes())
    elif exchange["status"] == 200:
        said = DIALECT.read((case / "body.json").read_bytes())
    else:
        body = (case / "body.json").read_bytes()
        said = [Broken(DIALECT.error(exchange["status"], exchange["headers"], body, now_epoch_s=0.0))]
    assert orjson.loads((case / "answer.json").read_bytes()) == shown(said)


# Made answers


def stream(*chunks: Any) -> bytes:
    return b"".join(b"data: " + orjson.dumps(chunk) + b"\r\n\r\n" for chunk in chunks)


def candidate(*parts: Any, **members: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, **members}]}


SAID: Final = candidate({"text": "one"})
STOP: Final = candidate({"text": ""}, finishReason="STOP")


def read(*chunks: Any) -> list[Event]:
    return decoded(DIALECT.decoder(), [stream(*chunks)])


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("LANGUAGE", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "stop"),
        ("OTHER", "stop"),
        ("SOMETHING_NEW", "stop"),
    ],
)
def test_finish_reasons(native: str, expected: str) -> None:
    """Google's reasons in OpenAI's words, the original beside them."""
    assert [Text(0, "one"), Finish(0, expected, native)] == read(SAID, candidate(finishReason=native))
    assert [Finish(0, expected, native)] == read({"candidates": [{"finishReason": native}]})


def test_calls_finish_as_tool_calls() -> None:
    """Parallel calls count from 0, have ids that are the same at each reading, and end the answer as `tool_calls`."""
    chunk = {
        "responseId": "r1",
        **candidate(
            {"functionCall": {"name": "a", "args": {"x": 1}}, "thoughtSignature": "c2ln"},
            {"functionCall": {"name": "a"}},
            {"functionCall": {"name": "b", "args": {}, "id": "own"}},
            finishReason="STOP",
        ),
    }
    signed = {
        "type": "reasoning.encrypted",
        "data": "c2ln",
        "id": "call_r1_0",
        "format": "google-gemini-v1",
        "index": 0,
    }
    assert [
        Begin("r1", ""),
        Reasoning(0, "", signed),
        ToolDelta(0, 0, "call_r1_0", "a", '{"x":1}'),
        ToolDelta(0, 1, "call_r1_1", "a", "{}"),
        ToolDelta(0, 2, "own", "b", "{}"),
        Finish(0, "tool_calls", "STOP"),
    ] == read(chunk)


def test_calls_without_an_answer_id() -> None:
    """Where an answer has no id, ids of calls are made of what is called; two calls never share one."""
    call = {"functionCall": {"name": "a", "args": {"x": 1}}}
    ids = [
        event.call_id
        for event in read(candidate(call, call, finishReason="STOP"))
        if isinstance(event, ToolDelta)
    ]
    again = [
        event.call_id
        for event in read(candidate(call, call, finishReason="STOP"))
        if isinstance(event, ToolDelta)
    ]
    assert ids == again
    assert 2 == len(set(ids))


def test_several_candidates() -> None:
    """Choices keep their numbers; each must finish."""
    both = {
        "candidates": [
            {"index": 0, "content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"},
            {"index": 1, "content": {"parts": [{"text": "b"}]}},
        ]
    }
    last = {"candidates": [{"index": 1, "finishReason": "MAX_TOKENS"}]}
    assert [Text(0, "a"), Finish(0, "stop", "STOP"), Text(1, "b"), Finish(1, "length", "MAX_TOKENS")] == read(
        both, last
    )
    assert isinstance(read(both)[-1], Broken)


def test_thoughts() -> None:
    """Thoughts that follow one another are one block; a signature ends it."""
    said = read(
        candidate({"text": "first ", "thought": True}),
        candidate({"text": "then", "thought": True, "thoughtSignature": "c2ln"}),
        candidate({"text": "again", "thought": True}),
        candidate({"text": "answer"}, finishReason="STOP"),
    )
    message = answer_of(said).message
    assert "first thenagain" == message["reasoning"]
    assert [
        {
            "type": "reasoning.text",
            "text": "first then",
            "format": "google-gemini-v1",
            "index": 0,
            "signature": "c2ln",
        },
        {"type": "reasoning.text", "text": "again", "format": "google-gemini-v1", "index": 1},
    ] == message["reasoning_details"]


def test_usage_is_the_last_reported() -> None:
    """Usage is told as soon as it is known, not twice, and counts without numbers are not told."""
    first, last = (
        {"promptTokenCount": 55},
        {"promptTokenCount": 257, "candidatesTokenCount": 3, "thoughtsTokenCount": 4},
    )
    said = read(
        {**SAID, "usageMetadata": {"trafficType": "ON_DEMAND"}},
        {**SAID, "usageMetadata": first},
        {**SAID, "usageMetadata": first},
        {**STOP, "usageMetadata": last},
    )
    usages = [event.usage for event in said if isinstance(event, UsageReport)]
    assert [(55, 0, 0), (257, 7, 4)] == [
        (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) for usage in usages
    ]


def test_audio_and_cache_in_usage() -> None:
    """Heard tokens and the cached part are told; the cached part never exceeds the prompt."""
    reported = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 120,
        "toolUsePromptTokenCount": 7,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 20},
            {"modality": "AUDIO", "tokenCount": 80},
        ],
    }
    usage = answer_of(read({**STOP, "usageMetadata": reported})).usage
    assert usage is not None
    assert (107, 107) == (usage.input_tokens, usage.cache_read_tokens)
    assert {"cached_tokens": 107, "audio_tokens": 80} == usage.reported["prompt_tokens_details"]


@pytest.mark.parametrize("reason", ["SAFETY", "PROHIBITED_CONTENT", "MODEL_ARMOR"])
def test_refused_prompts(reason: str) -> None:
    """A refused prompt is a legal answer without content; where nothing is counted, it took nothing."""
    said = read({"promptFeedback": {"blockReason": reason}})
    assert [Finish(0, "content_filter", reason)] == [
        event for event in said if not isinstance(event, UsageReport)
    ]
    usage = answer_of(said).usage
    assert usage is not None
    assert (0, 0) == (usage.input_tokens, usage.output_tokens)
    counted = read({"promptFeedback": {"blockReason": reason}, "usageMetadata": {"promptTokenCount": 9}})
    assert [9] == [event.usage.input_tokens for event in counted if isinstance(event, UsageReport)]


def test_feedback_without_a_block() -> None:
    """Ratings of a prompt that was not refused say nothing."""
    assert [Text(0, "one"), Finish(0, "stop", "STOP")] == read(
        {**SAID, "promptFeedback": {"safetyRatings": []}}, STOP
    )


def test_code_that_runs_at_googles() -> None:
    """STOP behind code that is yet to run does not end the answer; the parts are carried along."""
    code = {"executableCode": {"language": "PYTHON", "code": "print(1)"}}
    result = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}}
    assert [
        Opaque(0, "gemini_parts", [{**code, "index": 0}]),
        Opaque(0, "gemini_parts", [{**result, "index": 1}]),
        Text(0, "one"),
        Finish(0, "stop", "STOP"),
    ] == read(candidate(code, finishReason="STOP"), candidate(result), SAID, STOP)
    assert [Opaque(0, "gemini_parts", [{**code, "index": 0}]), Finish(0, "stop", "STOP")] == read(
        candidate(code, finishReason="STOP")
    )


def test_images() -> None:
    """Images the model made are told as OpenRouter tells them; drafts among its thoughts are not."""
    image = {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}
    said = read(candidate({**image, "thought": True}, image, finishReason="STOP"))
    url = {"url": "data:image/png;base64,QUJD"}
    expected = [{"type": "image_url", "image_url": url, "index": 0}]
    assert expected == answer_of(said).message["images"]


def test_citations() -> None:
    """Sources become annotations, once each and numbered, with places in characters where Google counts bytes."""
    text = "é is a letter. So is b."
    grounding = {
        "groundingChunks": [
            {"web": {"uri": "https://a.example", "title": "a"}},
            {"web": {"uri": "https://b.example"}},
            {"retrievedContext": {"uri": "gs://bucket/c", "title": "c"}},
        ],
        "groundingSupports": [{"segment": {"endIndex": 15}, "groundingChunkIndices": [0, 1, 9]}],
    }
    said = read(
        candidate({"text": text}, groundingMetadata=grounding),
        candidate({"text": ""}, groundingMetadata=grounding, finishReason="STOP"),
    )

    def citation(index: int, url: str, title: str, end: int) -> dict[str, Any]:
        place = {"url": url, "title": title, "start_index": 0, "end_index": end}
        return {"type": "url_citation", "url_citation": place, "index": index}

    assert [
        citation(0, "https://a.example", "a", 14),
        citation(1, "https://b.example", "https://b.example", 14),
        citation(2, "gs://bucket/c", "c", 0),
    ] == answer_of(said).message["annotations"]


def test_recitations() -> None:
    """What the model quotes is told, too, if there is a page; both places spell it their own way."""
    for name in ("citationSources", "citations"):
        made = Citations().read(
            "citationMetadata", {name: [{"uri": "https://a.example", "endIndex": 2}, {}]}, ["abc"]
        )
        assert [("https://a.example", 0, 2)] == [
            (
                each["url_citation"]["url"],
                each["url_citation"]["start_index"],
                each["url_citation"]["end_index"],
            )
            for each in made
        ]


@pytest.mark.parametrize(
    "tail",
    [
        b'{"error": {"code": 503, "status": "UNAVAILABLE", "message": "busy"}}',
        b'{\r\n  "error": {\r\n    "code": 503,\r\n    "message": "busy"\r\n  }\r\n}\r\n',
        b'data: {"error": {"code": 503, "message": "busy"}}\r\n\r\n',
        b'data: {"error": {"code": 503, "message": "busy"}}',
    ],
)
def test_errors_in_the_middle(tail: bytes) -> None:
    """An error in the middle ends the stream, with `data:` before it or without; nothing comes behind it."""
    decoder = DIALECT.decoder()
    said = [*decoder.feed(stream(SAID) + tail), *decoder.close()]
    assert [Text(0, "one"), ("overloaded", 503, "busy", True)] == comparable(said)
    assert () == decoder.feed(stream(STOP))
    assert () == decoder.close()


def test_nonsense_in_the_middle() -> None:
    """What is no JSON breaks the stream; comments, blank frames and an end mark do not."""
    assert isinstance(decoded(DIALECT.decoder(), [stream(SAID) + b"data: {nonsense}\n\n"])[-1], Broken)
    assert isinstance(read(SAID, ["list"])[-1], Broken)
    odd = b": comment\r\n\r\n" + stream(SAID) + b"data:\n\n" + stream(STOP) + b"data: [DONE]\n\n"
    assert [Text(0, "one"), Finish(0, "stop", "STOP")] == decoded(DIALECT.decoder(), [odd])


def test_frames_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame, and an answer that is one JSON array, may only be so large."""
    monkeypatch.setattr(sse, "MAX_FRAME_BYTES", 100)
    for begin in (b"data: ", b"["):
        decoder = DIALECT.decoder()
        decoder.feed(begin + b"x" * 60)
        (last,) = decoder.feed(b"x" * 60)
        assert isinstance(last, Broken)
        assert () == decoder.close()


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"{}", b'{"candidates": []}', orjson.dumps(SAID)]
)
def test_plain_answers_that_are_none(body: bytes) -> None:
    """An answer without a candidate that finished is no answer."""
    assert ["protocol"] == [event.error.kind for event in DIALECT.read(body) if isinstance(event, Broken)]


# Anything at all

names = st.sampled_from(
    ["candidates", "content", "parts", "text", "thought", "thoughtSignature", "functionCall", "name", "args", "id",
     "inlineData", "mimeType", "data", "finishReason", "index", "usageMetadata", "promptTokenCount", "error",
     "candidatesTokenCount", "groundingMetadata", "groundingChunks", "web", "uri", "groundingSupports", "segment",
     "groundingChunkIndices", "startIndex", "citationMetadata", "citationSources", "promptFeedback", "blockReason",
     "responseId", "modelVersion", "promptTokensDetails", "modality", "executableCode"]
)  # fmt: skip
junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3)
    | st.sampled_from(["STOP", "SAFETY", "image/png"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
    max_leaves=16,
)
parts = st.lists(st.dictionaries(names, junk, max_size=4), max_size=3)
shaped = st.fixed_dictionaries(
    {},
    optional={
        "candidates": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "content": st.fixed_dictionaries({"parts": parts | junk}),
                    "groundingMetadata": junk,
                    "citationMetadata": junk,
                    "finishReason": junk,
                    "index": junk,
                },
            ),
            max_size=2,
        ),
        "usageMetadata": junk,
        "promptFeedback": junk,
        "error": junk,
        "responseId": junk,
    },
)
CLIENT: Final = Client()


@given(st.lists(junk | shaped, max_size=4))
def test_any_chunks_can_be_read(chunks: list[Any]) -> None:
    """Chunks of any shape are read or refused and can be rendered; no other exception escapes."""
    for said in (decoded(DIALECT.decoder(), [stream(*chunks)]), DIALECT.read(orjson.dumps(chunks))):
        renderer = CLIENT.renderer(answer_id="r", model="m", created_s=1)
        for event in said:
            renderer.render(event)
        with contextlib.suppress(UpstreamError):
            CLIENT.assemble(said, answer_id="r", model="m", created_s=1)
    for chunk in chunks:
        DIALECT.error(400, {}, orjson.dumps(chunk), now_epoch_s=0.0)


@given(st.binary(max_size=120))
def test_any_bytes_can_be_read(body: bytes) -> None:
    """Bytes of any kind are read or refused; no exception escapes."""
    decoded(DIALECT.decoder(), [body])
    decoded(DIALECT.decoder(), [b"data: ", body, b"\n\n"])
    assert isinstance(DIALECT.read(body)[-1], Broken)
    DIALECT.error(500, {}, body, now_epoch_s=0.0)


@pytest.mark.parametrize("member", ["args", "executableCode"])
def test_answers_nested_too_deeply(member: str) -> None:
    """What can be read but not written again is nonsense."""
    deep = b'{"a":' * 300 + b"1" + b"}" * 300
    part = {"functionCall": {"name": "f", "args": 0}} if member == "args" else {"executableCode": 0}
    body = orjson.dumps(candidate(part, finishReason="STOP")).replace(b":0", b":" + deep)
    assert ["protocol"] == [event.error.kind for event in DIALECT.read(body) if isinstance(event, Broken)]
