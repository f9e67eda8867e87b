"""The contract of pass-through, over every recorded stream through its provider's own entry of the registry.

Bytes leave as they came, but for frames that a named repair matches, which are listed here; and nothing is missed.
"""

import random
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.clients.openai_chat import OpenAIChat as Client
from providers.framing import sse
from providers.passthrough import Passthrough
from providers.types import Frame, UpstreamError, Usage
from providers.upstreams.openai_chat.dialect import OpenAIChat, read_usage
from proxy.exchange.tail import Facts, Tail
from tests.support.recordings import Recording, chat_streams, chunk_of, cut, data_of, frames_of, parameters
from tests.support.repaired import repaired_frames

DIALECT = OpenAIChat()
RECORDED = parameters(chat_streams())


def leaving(recording: Recording) -> bytes:
    """The whole stream as it should leave."""
    return b"".join(raw for _, raw in repaired_frames(recording))


def read(recording: Recording, pieces: Iterable[bytes]) -> list[Frame]:
    reader = recording.dialect.reader(many_choices=recording.choices != 1)
    found = [frame for piece in pieces for frame in reader.feed(piece)]
    return [*found, *reader.close()]


def remarkable(frames: Iterable[Frame]) -> list[tuple[Any, ...]]:
    """What must be seen, whatever the cuts: finish reasons, usage, errors, the end mark, and their bytes."""
    return [
        (frame.raw, frame.choices, frame.finished, _usage(frame.usage), _error(frame.error), frame.done)
        for frame in frames
        if frame.finished or frame.usage or frame.error or frame.done
    ]


def _usage(usage: Usage | None) -> Any:
    return None if usage is None else usage.reported


def _error(error: UpstreamError | None) -> Any:
    return None if error is None else (error.kind, error.message, error.status)


def expected(recording: Recording) -> list[tuple[Any, ...]]:
    """The same, by reading each frame on its own."""
    found: list[tuple[Any, ...]] = []
    for _, raw in repaired_frames(recording):
        chunk = chunk_of(raw)
        if chunk is None:
            if (data_of(raw) or b"").strip() == b"[DONE]":
                found.append((raw, (), (), None, None, True))
            continue
        finished = tuple(each["index"] for each in chunk.get("choices") or () if each.get("finish_reason"))
        usage = read_usage(chunk)
        problem = chunk.get("error")
        if problem:
            found.append((raw, None, None, _usage(usage), problem["message"], False))
        elif finished or usage:
            choices = tuple(each.get("index", 0) for each in chunk.get("choices") or ())
            found.append((raw, choices, finished, _usage(usage), None, False))
    return found


def check(recording: Recording, pieces: Sequence[bytes]) -> None:
    frames = read(recording, pieces)
    assert leaving(recording) == b"".join(frame.raw for frame in frames)
    assert remarkable(read(recording, [recording.body])) == remarkable(frames)


# Every recorded stream that is repaired, by which repair, and how many of its frames.
REPAIRED = {
    "mistral-chat_completions-stream-reasoning-017744a7-0": {"content list": 41},
    "mistral-chat_completions-stream-tool-call-2184f3a8-0": {"missing index": 1},
    "qwen-chat_completions-stream-tool-call-5f53698c-1": {"empty id and name": 2},
}


@pytest.mark.parametrize("recording", RECORDED)
def test_only_listed_frames_change(recording: Recording) -> None:
    """A frame leaves as it came unless a repair of its provider matches it; then only its choices differ."""
    reader = recording.dialect.reader(many_choices=False)
    changed: dict[str, int] = {}
    for came, (name, expected) in zip(frames_of(recording.body), repaired_frames(recording), strict=True):
        assert expected == b"".join(frame.raw for frame in reader.feed(came))
        if expected != came:
            changed[name] = changed.get(name, 0) + 1
            before, after = chunk_of(came) or {}, chunk_of(expected) or {}
            assert {**before, "choices": None} == {**after, "choices": None}
    assert REPAIRED.get(recording.id, {}) == changed


@pytest.mark.parametrize("recording", RECORDED)
def test_whole(recording: Recording) -> None:
    """A stream that comes in one piece: every byte, every finish reason, all usage, the error and the end mark."""
    frames = read(recording, [recording.body])
    assert leaving(recording) == b"".join(frame.raw for frame in frames)
    seen = [
        (raw, None, None, usage, error[1], done) if error else (raw, choices, finished, usage, error, done)
        for raw, choices, finished, usage, error, done in remarkable(frames)
    ]
    assert expected(recording) == seen


@pytest.mark.parametrize("recording", RECORDED)
def test_byte_by_byte(recording: Recording) -> None:
    """The same when it comes byte by byte."""
    check(recording, cut(recording.body, range(len(recording.body))))


@pytest.mark.parametrize("recording", RECORDED)
def test_frame_by_frame(recording: Recording) -> None:
    """The same when each frame comes on its own, and then each frame leaves with the read that completes it."""
    frames = frames_of(recording.body)
    check(recording, frames)
    reader = recording.dialect.reader(many_choices=False)
    for came, (_, expected) in zip(frames, repaired_frames(recording), strict=True):
        assert expected == b"".join(frame.raw for frame in reader.feed(came))


@pytest.mark.parametrize("recording", RECORDED)
def test_as_it_was_delivered(recording: Recording) -> None:
    """The same in the pieces in which the recorded connection delivered it, or in pieces of a usual size."""
    lengths = recording.chunk_lens or [1400] * (len(recording.body) // 1400)
    positions = [sum(lengths[:count]) for count in range(len(lengths))]
    check(recording, cut(recording.body, positions))


@pytest.mark.parametrize("recording", RECORDED)
def test_random_cuts(recording: Recording) -> None:
    """The same at any cuts."""
    chance = random.Random(recording.id)
    for _ in range(10):
        count = chance.randrange(1, 40)
        check(recording, cut(recording.body, [chance.randrange(len(recording.body)) for _ in range(count)]))


SMALL = [recording for recording in chat_streams() if len(recording.body) < 6000]


@pytest.mark.skipif(not SMALL, reason="no recorded exchanges beside the project")
@given(st.data())
def test_cuts_that_try_to_hurt(data: st.DataObject) -> None:
    """The same at cuts that are searched for."""
    recording = data.draw(st.sampled_from(SMALL))
    positions = st.lists(st.integers(1, len(recording.body) - 1), max_size=30)
    check(recording, cut(recording.body, data.draw(positions)))


def tail_of() -> Tail[Frame]:
    return Tail(Client().closer(), usage_wanted=True, facts=lambda _usage, _error: Facts(b"{}", b"{}"))


def fed(tail: Tail[Frame], frames: Iterable[Frame]) -> bool:
    """Feed as the relay does; false when an error or the end mark ends the answer."""
    for frame in frames:
        if frame.error is not None or frame.done:
            return False
        tail.feed(frame)
    return True


def finished_before(recording: Recording, count: int) -> bool:
    """Whether each choice in the first `count` frames has finished there."""
    seen: set[int] = set()
    finished: set[int] = set()
    for raw in frames_of(recording.body)[:count]:
        for choice in (chunk_of(raw) or {}).get("choices") or ():
            seen.add(choice["index"])
            if choice.get("finish_reason"):
                finished.add(choice["index"])
    return bool(seen) and seen == finished


@pytest.mark.parametrize("recording", RECORDED)
def test_cut_short_at_any_frame(recording: Recording) -> None:
    """A stream cut short never looks complete, unless each of its choices has finished."""
    frames = frames_of(recording.body)
    complete = [finished_before(recording, count) for count in range(len(frames) + 1)]
    reader = recording.dialect.reader(many_choices=recording.choices != 1)
    tail = tail_of()
    for count, raw in enumerate(frames, 1):
        if not fed(tail, reader.feed(raw)):
            break
        assert complete[count] == tail.complete
    first_whole = complete.index(True) if True in complete else len(frames)
    for count in {0, 1, len(frames) // 2, first_whole - 1}:
        tail, reader = tail_of(), recording.dialect.reader(many_choices=recording.choices != 1)
        fed(tail, [*reader.feed(b"".join(frames[:count])), *reader.close()])
        assert complete[count] == tail.complete


@pytest.mark.parametrize("recording", RECORDED)
def test_cut_short_inside_the_finish_frame(recording: Recording) -> None:
    """A finish frame that did not come whole is none; one that lacks only its blank line counts."""
    frames = frames_of(recording.body)
    whole = [count for count in range(len(frames) + 1) if finished_before(recording, count)]
    if not whole:
        assert {"mid_stream_error"} & recording.features
        return
    before, finish = b"".join(frames[: whole[0] - 1]), frames[whole[0] - 1]
    for length in range(0, len(finish), 1 if len(finish) < 2000 else 41):
        tail, reader = tail_of(), recording.dialect.reader(many_choices=recording.choices != 1)
        fed(tail, [*reader.feed(before + finish[:length]), *reader.close()])
        assert (length >= len(finish.rstrip())) == tail.complete


# Small streams of our own

SAID = b'data: {"choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":null}]}\n\n'
ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'


def passing(*pieces: bytes, many: bool = False) -> list[Frame]:
    reader = Passthrough(DIALECT, many_choices=many)
    return [frame for piece in pieces for frame in reader.feed(piece)] + list(reader.close())


def test_quiet_frames_stay_together() -> None:
    """Frames in which nothing is remarkable leave in one piece, up to the next mark."""
    found = passing(ROLE + SAID + SAID * 5 + STOP + SAID)
    assert [ROLE, SAID, SAID * 5, STOP, SAID] == [frame.raw for frame in found]
    assert [True, True, False, True, True] == [frame.marked for frame in found]


def test_several_choices_are_told_apart() -> None:
    """With several choices asked for, each frame says whose it is."""
    found = passing(SAID * 3, many=True)
    assert [(0,)] * 3 == [frame.choices for frame in found]


def test_everything_is_read_behind_the_finish() -> None:
    """Few frames follow a finish reason, and their order matters."""
    found = passing(SAID + STOP, SAID + SAID)
    assert [SAID, STOP, SAID, SAID] == [frame.raw for frame in found]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_stray_blank_lines(end: bytes) -> None:
    """Blank lines that nobody asked for pass, wherever they come."""
    for count in (1, 2, 3, 4):
        said, stop = SAID.replace(b"\n", end), STOP.replace(b"\n", end)
        stream = end * count + said + end * count + said + end * count + stop + end * count
        for position in range(len(stream)):
            found = passing(*cut(stream, (position,)))
            assert stream.rstrip() == b"".join(frame.raw for frame in found).rstrip()
            assert [(0,)] == [frame.finished for frame in found if frame.finished]


def test_nonsense_before_the_first_content() -> None:
    """A frame that is no JSON, before anything was said, is a failure."""
    found = passing(ROLE + b"data: <html>\n\n")
    assert found[1].error is not None
    assert ("protocol", "the provider sent a frame that is not JSON") == (
        found[1].error.kind,
        found[1].error.message,
    )


@pytest.mark.parametrize(
    "nonsense", [b"data: <html>\n\n", b"data: []\n\n", b'data: {"error"\n\n', b"data: \xff[DONE]\n\n"]
)
def test_nonsense_after_the_first_content(nonsense: bytes) -> None:
    """Later it is forwarded: the client may know better."""
    found = passing(SAID + nonsense + STOP)
    assert SAID + nonsense + STOP == b"".join(frame.raw for frame in found)
    assert [] == [frame for frame in found if frame.error]


def test_too_large_a_frame() -> None:
    """A frame beyond 16 MB is a failure, not memory."""
    reader = Passthrough(DIALECT, many_choices=False)
    assert [True] == [frame.content for frame in reader.feed(SAID)]
    piece = b"x" * (1024 * 1024)
    found = [frame for _ in range(17) for frame in reader.feed(piece)]
    assert sse.MAX_FRAME_BYTES == 16 * len(piece)
    assert 1 == len(found)
    assert found[0].error is not None
    assert ("protocol", "the provider sent a frame of more than 16 MB") == (
        found[0].error.kind,
        found[0].error.message,
    )


@pytest.mark.parametrize("end", [b"\n\n", b"\n", b""])
def test_a_last_frame_without_its_blank_line(end: bytes) -> None:
    """It counts when it is whole, and leaves with a blank line so that the client sees it."""
    found = passing(SAID + STOP.rstrip() + end)
    assert [(0,)] == [frame.finished for frame in found if frame.finished]
    assert STOP.rstrip() == found[-1].raw.rstrip()
    assert found[-1].raw.endswith(b"\n\n")


def test_a_last_frame_cut_in_the_middle() -> None:
    """It is dropped: whether the answer was complete is for the tail to say."""
    assert [SAID] == [frame.raw for frame in passing(SAID + STOP[:40])]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("size", [1, 50, 1000, 100_000])
def test_estimate_of_short_frames(end: bytes, size: int) -> None:
    """A token a frame, whatever the line ends and the reads."""
    reader = Passthrough(DIALECT, many_choices=False)
    stream = (ROLE + SAID.replace(b"hello", b"four") * 200).replace(b"\n", end)
    for start in range(0, len(stream), size):
        reader.feed(stream[start : start + size])
    assert 200 == reader.estimated_output_tokens()


def test_estimate_of_long_frames() -> None:
    """Where a frame holds much text, four bytes make a token."""
    reader = Passthrough(DIALECT, many_choices=False)
    reader.feed(SAID + SAID.replace(b"hello", b"x" * 4000) * 10)
    assert 9_990 <= reader.estimated_output_tokens() <= 10_010


def test_estimate_of_nothing() -> None:
    """What was not relayed is not billed."""
    assert 0 == Passthrough(DIALECT, many_choices=False).estimated_output_tokens()
