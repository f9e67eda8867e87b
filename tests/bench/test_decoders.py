"""The measurement of decoders reads whole streams."""

import pytest

from tests.bench.decoders import by_adapter, microseconds_per_frame, pieces_of
from tests.support.recordings import Recording, parameters

STREAMS = [(name, each) for name, recordings in by_adapter().items() for each in recordings]


@pytest.mark.parametrize("recording", parameters([each for name, each in STREAMS if name == "bedrock"]))
def test_frames_of_bedrock(recording: Recording) -> None:
    """Its frames are cut where they end."""
    pieces = pieces_of("bedrock", recording.body)
    assert recording.body == b"".join(pieces)
    assert [len(piece) for piece in pieces] == [int.from_bytes(piece[:4], "big") for piece in pieces]


@pytest.mark.skipif(not STREAMS, reason="no recorded exchanges beside the project")
def test_a_figure() -> None:
    """Something is measured."""
    assert microseconds_per_frame("openai", by_adapter()["openai"][:2], 0.01) > 0
