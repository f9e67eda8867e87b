"""Frames of OpenAI's dialect: what is read in them, what is mapped, and the byte search that spares reading."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.types import Frame, Unparsable
from providers.upstreams.openai_chat.dialect import OpenAIChat, edit
from tests.support.recordings import chunk_of

DIALECT = OpenAIChat()
COUNTS = {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42}


def frame(chunk: Any) -> Frame:
    return DIALECT.inspect(b"data: " + orjson.dumps(chunk) + b"\n\n")


def test_inspect_content() -> None:
    """What counts as content, and how much of it is text."""
    cases: list[tuple[dict[str, Any], bool, int]] = [
        ({"role": "assistant"}, False, 0),
        ({"role": "assistant", "content": ""}, False, 0),
        ({"content": None}, False, 0),
        ({"content": "hé"}, True, 3),
        ({"content": [{"type": "text", "text": "x"}]}, True, 0),
        ({"content": []}, False, 0),
        ({"reasoning_content": "abc"}, True, 3),
        ({"reasoning": "abc"}, True, 3),
        ({"reasoning": "abc", "reasoning_content": "abc"}, True, 3),
        ({"reasoning_details": [{"type": "reasoning.encrypted"}]}, True, 0),
        ({"reasoning_details": []}, False, 0),
        ({"refusal": "no"}, True, 2),
        ({"tool_calls": [{"index": 0}]}, True, 0),
        ({"tool_calls": []}, False, 0),
        ({"function_call": {"name": "x"}}, True, 0),
        ({"audio": {"data": "x"}}, True, 0),
        ({"images": [{}]}, True, 0),
    ]
    for delta, content, text_bytes in cases:
        read = frame({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        assert (content, text_bytes, True, (0,), ()) == (
            read.content,
            read.text_bytes,
            read.marked,
            read.choices,
            read.finished,
        ), delta


def test_inspect_choices() -> None:
    """A frame says whose it is and who finished; a missing index is the first."""
    read = frame(
        {
            "choices": [
                {"index": 2, "finish_reason": "stop"},
                {"finish_reason": None},
                {"index": None, "delta": None},
            ]
        }
    )
    assert ((2, 0, 0), (2,)) == (read.choices, read.finished)


@pytest.mark.parametrize(
    "raw", [b": c\n\n", b"\n", b"event: ping\n\n", b"data:\n\n", b"data:  \n\n", b"id: 1\r\n\r\n"]
)
def test_frames_without_data(raw: bytes) -> None:
    """Comments and empty frames are unremarkable."""
    read = DIALECT.inspect(raw)
    assert (raw, False, False) == (read.raw, read.marked, read.done)


@pytest.mark.parametrize(
    "raw", [b"data: [DONE]\n\n", b"data:[DONE]\r\n\r\n", b"data:  [DONE] \n\n", b"event: x\ndata: [DONE]\n\n"]
)
def test_end_mark(raw: bytes) -> None:
    """The end mark, as its spellings go."""
    read = DIALECT.inspect(raw)
    assert (raw, True, True) == (read.raw, read.marked, read.done)


@pytest.mark.parametrize("data", [b"{", b"[]", b"5", b"null", b"[DONE", b"{} {}", b"\xff"])
def test_unparsable_frames(data: bytes) -> None:
    """Data that is no JSON object is told from data that is."""
    with pytest.raises(Unparsable):
        DIALECT.inspect(b"data: " + data + b"\n\n")


def test_error_members() -> None:
    """An error inside the stream is read, whatever stands beside it; what it reports as usage counts."""
    read = frame({"error": {"message": "busy", "code": 503}, "choices": [{"index": 0}], "usage": COUNTS})
    assert read.error is not None
    assert ("overloaded", "busy") == (read.error.kind, read.error.message)
    assert read.usage is not None
    assert 30 == read.usage.input_tokens
    assert frame({"error": None, "choices": []}).error is None


def test_error_as_finish_reason() -> None:
    """`finish_reason: "error"` is an error, not an answer."""
    read = frame({"choices": [{"index": 0, "finish_reason": "error"}]})
    assert read.error is not None
    assert "overloaded" == read.error.kind


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        ("eos", "stop"),
        ("end_turn", "stop"),
        ("MAX_TOKENS", "length"),
        ("model_length", "length"),
        ("insufficient_system_resource", "length"),
        ("tool_use", "tool_calls"),
        ("tool_call", "tool_calls"),
        ("sensitive", "content_filter"),
        ("something_new", "stop"),
        (7, "stop"),
    ],
)
def test_finish_reasons_are_mapped(native: Any, expected: str) -> None:
    """A finish reason outside OpenAI's set is mapped, the original beside it, and no other byte changes."""
    spelled = orjson.dumps(native)
    read = DIALECT.inspect(
        b'data: { "x" : 1.0, "choices": [ {"index":0,"finish_reason":' + spelled + b"} ] }\n\n"
    )
    assert (
        b'data: { "x" : 1.0, "choices": [{"index":0,"finish_reason":"'
        + expected.encode()
        + b'","native_finish_reason":'
        + spelled
        + b"}] }\n\n"
        == read.raw
    )
    assert (0,) == read.finished


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter", "function_call"])
def test_known_finish_reasons_stay(reason: str) -> None:
    """OpenAI's own finish reasons leave as they came."""
    raw = (
        b'data: {"choices":[ {"index":0,"finish_reason":"'
        + reason.encode()
        + b'","native_finish_reason":"X"}]}\n\n'
    )
    assert raw == DIALECT.inspect(raw).raw


def test_an_edit_of_several_data_lines() -> None:
    """A payload over several lines comes back on one, whole."""
    raw = b'data: {"choices":\ndata: [],"usage":{"a":1}}\n\n'
    assert {"choices": [], "usage": {"b": 2}} == chunk_of(
        edit(raw, chunk_of(raw) or {}, {"usage": b'{"b":2}'})
    )


# The byte search

QUIET = (
    b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":null}],"usage":null}\n\n',
    b'data: {"choices":[{"delta":{"content":"x"},"finish_reason": null}],"usage" : null}\n\n',
    b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n',
    b'data: {"choices":[{"delta":{"content":"\\"finish_reason\\": \\"stop\\""},"finish_reason":null}]}\n\n',
    b'data: {"choices":[{"delta":{"content":"\\"usage\\": {"},"finish_reason":null}]}\n\n',
    b'data: {"choices":[{"delta":{"content":"finish_reason usage error DONE"},"finish_reason":\tnull}]}\n\n',
    b": OPENROUTER PROCESSING\n\n",
    b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":null,"native_finish_reason":null}]}\r\n\r\n',
)
LOUD = (
    b'data: {"choices":[{"finish_reason":"stop"}]}\n\n',
    b'data: {"choices":[{"finish_reason" :\n "stop"}]}\n\n',
    b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n',
    b'data: {"choices":[],"usage" : { "prompt_tokens":1}}\n\n',
    b'data: {"choices":[],"x_groq":{"usage":{"prompt_tokens":1}}}\n\n',
    b'data: {"error":{"message":"x"}}\n\n',
    b'data: {"error" : "x"}\n\n',
    b"data: [DONE]\n\n",
    b"data:[DONE]\n\n",
    b"data:  [DONE]\n\n",
)


@pytest.mark.parametrize("run", QUIET)
def test_quiet_runs(run: bytes) -> None:
    """Nothing is parsed for words inside the content, for nulls, or for spaces around a colon."""
    assert 0 > DIALECT.first_mark(run, 0)


@pytest.mark.parametrize("run", LOUD)
def test_loud_runs(run: bytes) -> None:
    """Finish reasons, usage, errors and end marks are seen, alone or among quiet frames."""
    assert 0 <= DIALECT.first_mark(run, 0)
    before = b"".join(QUIET)
    mark = DIALECT.first_mark(before + run + before, 0)
    assert len(before) <= mark < len(before + run)
    assert -1 == DIALECT.first_mark(before + run + before, len(before + run))


@given(st.lists(st.sampled_from((*QUIET, *LOUD)), min_size=1, max_size=6))
def test_the_search_misses_nothing(frames: list[bytes]) -> None:
    """A run is quiet only when reading each of its frames would find nothing to act on."""
    if DIALECT.first_mark(b"".join(frames), 0) < 0:
        for raw in frames:
            read = DIALECT.inspect(raw)
            assert [False, (), None, None] == [read.done, read.finished, read.usage, read.error]
