"""A line says its level, its time and what a fault was; lines of several processes to one pipe are not mixed."""

import logging
from io import BytesIO

import orjson
from hypothesis import given
from hypothesis import strategies as st

from proxy.telemetry.log import _ATOMIC_BYTES, JsonLog, _Lines, _pieces


def test_lines_of_json() -> None:
    """One a call, from the least level on; what JSON has no word for is shown, and what a fault was."""
    written = BytesIO()
    log = JsonLog(_Lines(written, shared=False), logging.INFO)
    log.debug("too small")
    log.info("request", path="/v1", what={1})
    log.error("fault", exc_info=ValueError("broken"))
    told, fault_told = map(orjson.loads, written.getvalue().splitlines())
    assert told.pop("timestamp").endswith("+00:00")
    assert {"event": "request", "level": "info", "path": "/v1", "what": "{1}"} == told
    assert ("fault", "error") == (fault_told["event"], fault_told["level"])
    assert fault_told["exception"].endswith("ValueError: broken")


@given(st.lists(st.integers(1, 6000).map(lambda length: b"x" * length + b"\n"), max_size=20))
def test_pieces_are_whole_lines(lines: list[bytes]) -> None:
    """Together they are the lines; only a line that is too long alone exceeds what is atomic."""
    pieces = list(_pieces(lines))
    assert b"".join(lines) == b"".join(pieces)
    for piece in pieces:
        assert not piece or piece.endswith(b"\n")
        assert len(piece) <= _ATOMIC_BYTES or piece in lines
