"""Repairs of answers: what they match, what they make of it, and that nothing else changes."""

import random
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from providers.clients.openai_chat import OpenAIChat as Client
from providers.dialects import open_reader
from providers.events import Finish, Reasoning, Text, ToolDelta
from providers.registry import REGISTRY
from providers.repairs import CONTENT_LIST, EMPTY_NAME, MISSING_INDEX, CallNumbers, Repair
from providers.types import Frame, UpstreamError
from providers.upstreams.openai_chat.dialect import Mending, OpenAIChat
from tests.support.recordings import chunk_of, cut, frames_of

RECORDINGS: Final = Path(__file__).parent / "recordings"


def cases(end: str) -> list[Path]:
    found = sorted(RECORDINGS.glob(f"*/*/expected.{end}"))
    assert found, "the small recordings are part of the project"
    return [expected.parent for expected in found]


def frames(dialect: OpenAIChat, *pieces: bytes) -> list[Frame]:
    reader = dialect.reader(many_choices=False)
    found = [frame for piece in pieces for frame in reader.feed(piece)]
    return [*found, *reader.close()]


def dialect_of(case: Path) -> OpenAIChat:
    dialect = REGISTRY[case.parent.name].dialect
    assert isinstance(dialect, OpenAIChat)
    return dialect


# Recordings of the project's own, so that repairs are proved where the larger set is absent


@pytest.mark.parametrize("case", cases("sse"), ids=lambda case: f"{case.parent.name}-{case.name}")
def test_recorded_streams(case: Path) -> None:
    """A stream leaves as expected: in one piece, byte by byte, frame by frame, at any cuts, and without content yet."""
    body, expected = (case / "body.sse").read_bytes(), (case / "expected.sse").read_bytes()
    dialect = dialect_of(case)
    chance = random.Random(case.name)
    ways = [[body], cut(body, range(len(body))), frames_of(body)]
    ways += [
        cut(body, [chance.randrange(len(body)) for _ in range(chance.randrange(1, 20))]) for _ in range(50)
    ]
    for pieces in ways:
        assert expected == b"".join(frame.raw for frame in frames(dialect, *pieces))
    for raw in frames(dialect, body):
        if raw.members is not None:
            assert raw.members == chunk_of(raw.raw)


@pytest.mark.parametrize("case", cases("sse"), ids=lambda case: f"{case.parent.name}-{case.name}")
def test_recorded_streams_only_change_in_choices(case: Path) -> None:
    """In a frame that is repaired every byte outside `choices` stays; other frames stay whole."""
    body, expected = (case / "body.sse").read_bytes(), (case / "expected.sse").read_bytes()
    for came, left in zip(frames_of(body), frames_of(expected), strict=True):
        if came != left:
            before, after = (chunk_of(raw) or {} for raw in (came, left))
            assert left == came.replace(orjson.dumps(before["choices"]), orjson.dumps(after["choices"]))


@pytest.mark.parametrize("case", cases("json"), ids=lambda case: f"{case.parent.name}-{case.name}")
def test_recorded_answers(case: Path) -> None:
    """A plain answer leaves as expected, and its members say the same."""
    made = dialect_of(case).decode((case / "body.json").read_bytes())
    assert (case / "expected.json").read_bytes() == made.raw
    assert orjson.loads(made.raw) == made.members


def test_recorded_streams_as_events() -> None:
    """A client of another dialect gets repaired pieces, too."""
    body = (RECORDINGS / "mistral/2026-07-content-list/body.sse").read_bytes()
    decoder = REGISTRY["mistral"].dialect.decoder()
    found = [*decoder.feed(body), *decoder.close()]
    assert "Two and two" == "".join(event.text for event in found if isinstance(event, Reasoning))
    assert "Vieré 4." == "".join(event.text for event in found if isinstance(event, Text))
    body = (RECORDINGS / "mistral/2024-08-missing-index/body.sse").read_bytes()
    decoder = REGISTRY["mistral"].dialect.decoder()
    calls = [event for event in decoder.feed(body) if isinstance(event, ToolDelta)]
    assert [(0, "aaaaaaaa1"), (1, "aaaaaaaa2")] == [(call.call_index, call.call_id) for call in calls]


def test_one_stream_does_not_know_another() -> None:
    """Call numbers belong to one answer; the dialect is shared."""
    body = (RECORDINGS / "mistral/2024-08-missing-index/body.sse").read_bytes()
    dialect = REGISTRY["mistral"].dialect
    assert isinstance(dialect, OpenAIChat)
    assert [frame.raw for frame in frames(dialect, body)] == [frame.raw for frame in frames(dialect, body)]


# The search


CONTENT = OpenAIChat(repairs=(CONTENT_LIST, MISSING_INDEX))
SAID = b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}\n\n'


def delta(value: bytes) -> bytes:
    return b'data: {"choices":[{"index":0,"delta":' + value + b',"finish_reason":null}]}\n\n'


LOUD = (
    (CONTENT_LIST, delta(b'{"content":[{"type":"text","text":"a"}]}')),
    (CONTENT_LIST, delta(b'{"content" : [ ]}')),
    (MISSING_INDEX, delta(b'{"tool_calls":[{"id":"a"}]}')),
    (MISSING_INDEX, delta(b'{"tool_calls" : []}')),
    (EMPTY_NAME, delta(b'{"tool_calls":[{"id":""}]}')),
    (EMPTY_NAME, delta(b'{"tool_calls":[{"function":{"name" : ""}}]}')),
)
QUIET = (
    (CONTENT_LIST, SAID),
    (CONTENT_LIST, delta(b'{"content":"\\"content\\":["}')),
    (MISSING_INDEX, delta(b'{"content":"\\"tool_calls\\":["}')),
    (EMPTY_NAME, delta(b'{"content":"","role":null}')),
    (EMPTY_NAME, delta(b'{"tool_calls":[{"id":"a","function":{"name":"b"}}]}')),
    (EMPTY_NAME, delta(b'{"content":"\\"id\\":\\"\\""}')),
)


@pytest.mark.parametrize(("repair", "raw"), LOUD)
def test_the_search_finds(repair: Repair, raw: bytes) -> None:
    """A frame that may need the repair is found among others, after the first content, too."""
    mending = Mending(OpenAIChat(repairs=(repair,)))
    run = SAID * 3 + raw + SAID * 3
    assert 3 * len(SAID) <= mending.first_mark(run, 0) < len(SAID * 3 + raw)
    assert 0 > mending.first_mark(run, len(SAID * 3 + raw))
    assert 0 > OpenAIChat().first_mark(run, 0)


@pytest.mark.parametrize(("repair", "raw"), QUIET)
def test_the_search_leaves_alone(repair: Repair, raw: bytes) -> None:
    """Words inside the content, and what is in order, are not parsed."""
    assert 0 > repair.find(SAID + raw, 0)


def test_quiet_frames_stay_together() -> None:
    """Frames between two repaired ones leave in one piece."""
    listed, repaired = delta(b'{"content":[{"type":"text","text":"a"}]}'), delta(b'{"content":"a"}')
    found = frames(CONTENT, SAID + SAID * 4 + listed + SAID * 2)
    assert [SAID, SAID * 4, repaired, SAID * 2] == [frame.raw for frame in found]


def test_a_provider_without_repairs() -> None:
    """Where the registry names no repair, nothing is matched and the dialect itself reads frames."""
    raw = delta(b'{"content":[{"type":"text","text":"a"}],"tool_calls":[{"id":""}]}')
    assert [raw] == [frame.raw for frame in frames(OpenAIChat(), raw)]


def test_any_way_of_framing() -> None:
    """Line ends, comments and other fields of a repaired frame stay."""
    raw = b': c\r\nid: 7\r\ndata: {"x": 1.0, "choices": [{"delta":{"content":[]},"index":0}] }\r\n\r\n'
    assert [raw.replace(b'{"content":[]}', b'{"content":""}')] == [
        frame.raw for frame in frames(CONTENT, raw)
    ]


def test_a_repaired_finish_frame_is_mapped_too() -> None:
    """Repair and finish mapping meet in one frame."""
    raw = b'data: {"choices":[{"index":0,"delta":{"content":[]},"finish_reason":"model_length"}]}\n\n'
    (frame,) = frames(CONTENT, raw)
    assert (
        b'data: {"choices":[{"index":0,"delta":{"content":""},"finish_reason":"length",'
        b'"native_finish_reason":"model_length"}]}\n\n'
    ) == frame.raw
    assert (0,) == frame.finished


def test_what_cannot_be_written_again() -> None:
    """Nesting beyond what is written makes a failure, not a crash."""
    deep = b"[" * 300 + b"]" * 300
    raw = delta(b'{"content":[],"x":' + deep + b"}")
    (frame,) = frames(CONTENT, raw)
    assert frame.error is not None
    assert "protocol" == frame.error.kind
    with pytest.raises(UpstreamError, match="nested too deeply"):
        CONTENT.decode(b'{"choices":[{"message":{"content":[],"x":' + deep + b"}}]}")


# Each repair


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([], {"content": ""}),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], {"content": "ab"}),
        (
            [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}],
            {"content": "", "reasoning_content": "a", "reasoning": "a"},
        ),
        ([{"type": "thinking"}], {"content": "", "content_parts": [{"type": "thinking"}]}),
        (
            [{"type": "text", "text": None}],
            {"content": "", "content_parts": [{"type": "text", "text": None}]},
        ),
        (
            [{"type": "thinking", "thinking": [{"type": "reference", "reference_ids": [1]}]}],
            {"content": "", "content_parts": [{"type": "reference", "reference_ids": [1]}]},
        ),
        (["a", 7, {"type": "image_url"}], {"content": "", "content_parts": ["a", 7, {"type": "image_url"}]}),
    ],
)
def test_content_list(content: list[Any], expected: dict[str, Any]) -> None:
    """Text becomes a string, thinking becomes reasoning, and parts of another kind are kept beside them."""
    assert expected == CONTENT_LIST.mend({"content": content}, 0, CallNumbers())


@pytest.mark.parametrize("content", ["a", "", None, 7, {}])
def test_content_that_is_no_list(content: Any) -> None:
    """The piece itself comes back, so that its bytes stay."""
    piece = {"content": content}
    assert piece is CONTENT_LIST.mend(piece, 0, CallNumbers())


def numbered(*deltas: list[Any]) -> list[list[Any]]:
    numbers = CallNumbers()
    made = [MISSING_INDEX.mend({"tool_calls": calls}, 0, numbers)["tool_calls"] for calls in deltas]
    return [[call["index"] for call in calls] for calls in made]


def call(call_id: str | None, name: str | None = "f", **more: Any) -> dict[str, Any]:
    return {"id": call_id, "function": {"name": name, "arguments": "{}"}, **more}


def test_missing_index_in_one_frame() -> None:
    """Calls are counted as they stand."""
    assert [[0, 1, 2]] == numbered([call("a"), call("b"), call("c")])


def test_missing_index_over_frames() -> None:
    """Calls of several frames never share an index; a known id means its call."""
    assert [[0], [1], [0], [1, 2]] == numbered(
        [call("a")], [call("b")], [call("a", None)], [call("b"), call("c")]
    )


def test_missing_index_without_ids() -> None:
    """A name opens a call; a piece without id and name belongs to the last one."""
    assert [[0], [0], [1], [1]] == numbered(
        [call("null")], [call(None, "")], [call(None)], [{"function": {"arguments": "x"}}]
    )
    assert [[0]] == numbered([{"function": {"arguments": "x"}}])


def test_missing_index_among_others() -> None:
    """An index that is given stays, and the next free one follows."""
    assert [[3], [4], [3]] == numbered([call("a", index=3)], [call("b", index=None)], [call("a", None)])


def test_missing_index_of_several_choices() -> None:
    """Each choice counts its own calls."""
    numbers = CallNumbers()
    for choice in (0, 1):
        made = MISSING_INDEX.mend({"tool_calls": [call("a"), call("b")]}, choice, numbers)
        assert [0, 1] == [each["index"] for each in made["tool_calls"]]


@pytest.mark.parametrize("calls", [None, [], {}, [None], [7], [call("a", index=0)]])
def test_calls_in_order(calls: Any) -> None:
    """The piece itself comes back when each call has an index, or is none."""
    piece = {"tool_calls": calls}
    assert piece is MISSING_INDEX.mend(piece, 0, CallNumbers())


def test_plain_answers_need_no_index() -> None:
    """OpenAI's plain answers have none, so none is added there."""
    body = b'{"choices":[{"message":{"content":"","tool_calls":[{"id":"a"}]},"finish_reason":"tool_calls"}]}'
    assert body == CONTENT.decode(body).raw


@pytest.mark.parametrize(
    ("came", "expected"),
    [
        ({"id": "", "index": 0}, {"index": 0}),
        (
            {"id": "a", "function": {"name": "", "arguments": "x"}},
            {"function": {"arguments": "x"}},
        ),
        ({"id": "", "function": {"name": "", "arguments": "x"}}, {"function": {"arguments": "x"}}),
        ({"id": "", "function": None}, {"function": None}),
    ],
)
def test_empty_name(came: dict[str, Any], expected: dict[str, Any]) -> None:
    """Later pieces of a call lose what is empty, and an id that is repeated."""
    assert {"tool_calls": [expected]} == EMPTY_NAME.mend({"tool_calls": [came]}, 0, CallNumbers())


@pytest.mark.parametrize(
    "calls",
    [None, [None], [{"id": "", "function": {"name": "f"}}], [{"id": "a", "function": {}}], [{"id": None}]],
)
def test_empty_name_leaves_alone(calls: Any) -> None:
    """The piece that opens a call keeps its id, empty or not; so does what is in order."""
    piece = {"tool_calls": calls}
    assert piece is EMPTY_NAME.mend(piece, 0, CallNumbers())


def test_a_client_of_another_dialect_is_told_the_finish() -> None:
    """Repairs leave finish reasons alone on the way to events."""
    body = (RECORDINGS / "dashscope/2026-02-empty-id-and-name/body.sse").read_bytes()
    decoder = REGISTRY["dashscope"].dialect.decoder()
    found = [*decoder.feed(body), *decoder.close()]
    assert [Finish(0, "tool_calls", "tool_calls")] == [event for event in found if isinstance(event, Finish)]
    pieces = [event for event in found if isinstance(event, ToolDelta)]
    assert '{"query": "AI news"}' == "".join(piece.arguments for piece in pieces)
    assert ["search", "", "", ""] == [piece.name for piece in pieces]


def test_readers_are_opened_with_repairs() -> None:
    """The surface above gets repaired frames without asking for them."""
    case = RECORDINGS / "dashscope/2026-02-empty-id-and-name"
    reader = open_reader(
        REGISTRY["dashscope"].dialect, Client(), many_choices=False, answer_id="a", model="m", created_s=1
    )
    found = reader.feed((case / "body.sse").read_bytes())
    assert (case / "expected.sse").read_bytes() == b"".join(frame.raw for frame in found)
