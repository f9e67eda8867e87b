"""Lines of several processes that write to one pipe are not mixed."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.telemetry.log import _ATOMIC_BYTES, _pieces


@given(st.lists(st.integers(1, 6000).map(lambda length: b"x" * length + b"\n"), max_size=20))
def test_pieces_are_whole_lines(lines: list[bytes]) -> None:
    """Together they are the lines; only a line that is too long alone exceeds what is atomic."""
    pieces = list(_pieces(lines))
    assert b"".join(lines) == b"".join(pieces)
    for piece in pieces:
        assert not piece or piece.endswith(b"\n")
        assert len(piece) <= _ATOMIC_BYTES or piece in lines
