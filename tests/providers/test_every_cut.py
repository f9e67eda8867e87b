"""Every recorded stream, cut at each of its bytes: its provider's reader gives the same bytes and the same marks."""

import pytest

from providers.types import Frame
from tests.support.recordings import Recording, chat_streams, parameters, sweep


def read(recording: Recording, pieces: list[bytes]) -> tuple[bytes, list[Frame]]:
    """All bytes, and the frames that say how the answer ends."""
    reader = recording.dialect.reader(many_choices=recording.choices != 1)
    frames = [frame for piece in pieces for frame in reader.feed(piece)]
    frames += reader.close()
    telling = [frame for frame in frames if frame.finished or frame.usage or frame.error or frame.done]
    return b"".join(frame.raw for frame in frames), telling


def marks(frame: Frame) -> tuple[object, ...]:
    error = None if frame.error is None else (frame.error.kind, frame.error.message, frame.error.status)
    return frame.raw, frame.choices, frame.finished, frame.usage, frame.done, error


@pytest.mark.parametrize("recording", parameters(chat_streams()))
def test_every_cut(recording: Recording) -> None:
    """Wherever a stream is cut, nothing is lost, nothing is added and nothing remarkable is missed."""
    whole, telling = read(recording, [recording.body])
    expected = [marks(frame) for frame in telling]
    for pieces in sweep(recording.body):
        body, found = read(recording, pieces)
        assert whole == body, len(pieces[0])
        assert expected == [marks(frame) for frame in found], len(pieces[0])
