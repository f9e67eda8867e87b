"""Server-sent events are cut at their blank lines, however they arrive, and no byte is lost."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.framing import sse
from tests.support.recordings import cut, data_of, frames_of

LINES = (
    b"data: one",
    b"data:two",
    b"data:",
    b"data",
    b": a comment",
    b"event: error",
    b"id: 7",
    b"dataset: 3",
)
ENDS = (b"\n", b"\r\n", b"\r")

STREAMS = {
    "lf": b"data: a\n\n: c\n\ndata: b\ndata: c\n\ndata: [DONE]\n\n",
    "crlf": b"data: a\r\n\r\n: c\r\n\r\ndata: b\r\ndata: c\r\n\r\ndata: [DONE]\r\n\r\n",
    "cr": b"data: a\r\r: c\r\rdata: b\rdata: c\r\rdata: [DONE]\r\r",
    "mixed": b"data: a\r\n\n: c\n\r\ndata: b\rdata: c\n\rdata: [DONE]\n\n",
}
DATA = [b"a", b"b\nc", b"[DONE]"]


def feed(pieces: Iterable[bytes]) -> list[bytes]:
    """All frames of a stream that comes in these pieces, an unfinished last one included."""
    splitter = sse.Splitter()
    found = [frame for piece in pieces for frame in sse.frames(splitter.feed(piece))]
    return [*found, *sse.frames(splitter.close())]


def data(frames: Iterable[bytes]) -> list[bytes]:
    return [payload for frame in frames if (payload := sse.payload(frame)) is not None]


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Frames of a stream in one kind of line end, each with at least one line."""
    end = draw(st.sampled_from(ENDS))
    lines = st.lists(st.sampled_from(LINES), min_size=1, max_size=4)
    return [b"".join(line + end for line in frame) + end for frame in draw(st.lists(lines, max_size=8))]


positions = st.lists(st.integers(0, 400), max_size=12)


@pytest.mark.parametrize("name", STREAMS)
def test_any_two_cuts(name: str) -> None:
    """Whatever two places a stream is cut at, its frames are the same."""
    stream = STREAMS[name]
    expected = frames_of(stream)
    for first in range(len(stream)):
        for second in range(first, len(stream)):
            assert expected == feed(cut(stream, (first, second)))


@pytest.mark.parametrize("name", STREAMS)
def test_single_bytes(name: str) -> None:
    """A stream that comes byte by byte has the same frames."""
    stream = STREAMS[name]
    assert frames_of(stream) == feed(cut(stream, range(len(stream))))
    assert data(feed([stream])) == DATA


@pytest.mark.parametrize("name", ["lf", "crlf"])
def test_frames_leave_at_once(name: str) -> None:
    """A frame leaves with the last byte of its blank line, no later."""
    stream = STREAMS[name]
    frames = frames_of(stream)
    borders = [len(b"".join(frames[:count])) for count in range(len(frames) + 1)]
    splitter = sse.Splitter()
    left = 0
    for position in range(len(stream)):
        left += len(splitter.feed(stream[position : position + 1]))
        assert max(border for border in borders if border <= position + 1) == left


def test_a_last_carriage_return_waits() -> None:
    """A CR at the end may be half of a CRLF: its frame leaves with the next byte, or at the end of the body."""
    splitter = sse.Splitter()
    assert b"" == splitter.feed(b"data: a\r\r")
    assert b"data: a\r\r" == splitter.feed(b"d")
    assert b"" == splitter.feed(b"ata: b\r\n\r")
    assert b"data: b\r\n\r\n" == splitter.feed(b"\n")
    assert b"" == splitter.feed(b"data: c\r\r")
    assert b"data: c\r\r" == splitter.close()


@given(streams(), positions)
def test_frames_do_not_depend_on_cuts(frames: list[bytes], at: list[int]) -> None:
    """Frames are what the sender wrote, whatever the reads were."""
    assert frames == feed(cut(b"".join(frames), at))


@given(
    st.lists(st.sampled_from((*LINES, *ENDS, *ENDS, b"\xc3\xa9", b"")), max_size=40).map(b"".join), positions
)
def test_any_bytes(stream: bytes, at: list[int]) -> None:
    """Frames join to the input and carry the same data for any bytes and cuts, stray blank lines included."""
    found = feed(cut(stream, at))
    assert stream == b"".join(found)
    assert data(found) == [payload for frame in frames_of(stream) if (payload := data_of(frame)) is not None]


@given(streams(), positions)
def test_runs_are_whole(frames: list[bytes], at: list[int]) -> None:
    """What `feed` gives ends with a blank line; what `close` gives is the frame under way."""
    stream = b"".join(frames) + b"data: cut sho"
    splitter = sse.Splitter()
    for piece in cut(stream, at):
        run = splitter.feed(piece)
        assert not run or run.endswith((b"\n\n", b"\n\r\n", b"\r\r"))
    assert b"data: cut sho" == splitter.close()
    assert b"" == splitter.close()


def test_blank_lines_first() -> None:
    """Blank lines before the first frame lose nothing and hide nothing."""
    for stream in (b"\ndata: a\n\n", b"\n\n\ndata: a\n\n", b"\r\n\r\n\r\ndata: a\r\n\r\n"):
        for position in range(len(stream)):
            found = feed(cut(stream, (position,)))
            assert stream == b"".join(found)
            assert [b"a"] == data(found)


def test_no_bytes_change_nothing() -> None:
    """An empty read in the middle of a blank line is no read."""
    splitter = sse.Splitter()
    assert b"" == b"".join(map(splitter.feed, (b"data: a\n", b"", b"", b"", b"", b"")))
    assert b"data: a\n\n" == splitter.feed(b"\n")


def test_comments_have_no_data() -> None:
    """Comments and other fields are frames without data."""
    assert sse.payload(b": OPENROUTER PROCESSING\n\n") is None
    assert sse.payload(b"event: ping\nid: data:3\n\n") is None
    assert sse.payload(b"\n") is None


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (b"data: a\n\n", b"a"),
        (b"data:a\n\n", b"a"),
        (b"data:  a \n\n", b" a "),
        (b"data\n\n", b""),
        (b"data:\n\n", b""),
        (b"data: a\ndata: b\n\n", b"a\nb"),
        (b"data: a\r\ndata:\r\ndata: b\r\n\r\n", b"a\n\nb"),
        (b"data: a\rdata: b\r\r", b"a\nb"),
        (b"event: error\ndata: a\n\n", b"a"),
        (b"data: a\nid: 1\n\n", b"a"),
        (b"data: a\ndataset: b\n\n", b"a"),
        (b": data: x\ndata: a\n\n", b"a"),
        (b"\n\ndata: a\n\n", b"a"),
        (b"data: a", b"a"),
        (b"\xef\xbb\xbfdata: a\n\n", b"a"),
    ],
)
def test_payload(frame: bytes, expected: bytes) -> None:
    """Data lines are joined by LF; one space after the colon, other fields and a byte order mark do not count."""
    assert expected == sse.payload(frame)


@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=4), st.sampled_from(ENDS))
def test_payload_span(lines: list[bytes], end: bytes) -> None:
    """A span is given only for a payload on one line, and then it is exactly the payload."""
    frame = b"".join(line + end for line in lines) + end
    span = sse.payload_span(frame)
    if span is not None:
        assert data_of(frame) == frame[slice(*span)]


@pytest.mark.parametrize("end", ENDS)
def test_payload_span_of_the_usual_frame(end: bytes) -> None:
    """The usual frames have a span."""
    assert (6, 8) == sse.payload_span(b"data: {}" + end + end)
    assert (5, 7) == sse.payload_span(b"data:{}" + end + end)
    assert (8 + len(end), 10 + len(end)) == sse.payload_span(b": " + end + b"data: {}" + end + end)
    assert sse.payload_span(b"data: {" + end + b"data: }" + end + end) is None


def test_too_large_a_frame() -> None:
    """A frame may have 16 MB; one byte more raises."""
    splitter = sse.Splitter()
    megabyte = b"x" * 1024 * 1024
    for _ in range(16):
        assert b"" == splitter.feed(megabyte)
    with pytest.raises(sse.FrameTooLarge):
        splitter.feed(b"x")


def test_a_whole_large_frame_resets_the_limit() -> None:
    """The limit is for one frame, not for a stream."""
    splitter = sse.Splitter()
    frame = b"data: " + b"x" * 1024 * 1024 + b"\n\n"
    for _ in range(20):
        assert frame == splitter.feed(frame[:9]) + splitter.feed(frame[9:])


def test_many_tiny_reads_of_one_frame() -> None:
    """A frame of many reads is put together once it is whole."""
    frame = b"data: " + b"x" * 10_000 + b"\r\n\r\n"
    assert [frame] == feed(cut(frame, range(len(frame))))
