"""The file of weights."""

import pytest

from classifiers.weights_file import BLOCKS, BadWeights, Block, Weights, from_bytes

SMALL = Weights(
    (("form", "simple"), ("form", "moderate"), ("gain", "gain")),
    (0.25, -0.5, 0.0),
    {
        "words": Block(
            ("a b", "ü", "証明"), (b"\x00\x80\xff", b"\x80\x80\x80", b"\x81\x7f\x80"), (0.5, 0.25, 1.0)
        ),
        "forms": Block(("#chars3",), (b"\x90\x70\x80",), (1.0, 1.0, 1.0)),
        "material": Block((), (), (1.0, 1.0, 1.0)),
    },
    {"open simple": ((0.5, 0.6), (0.9, 0.95))},
    (-1.0, 0.0, 1.0),
    "abc",
)


def test_what_is_written_is_read_back() -> None:
    """Weights survive the file unchanged, and the same weights always give the same bytes."""
    data = SMALL.to_bytes()
    assert SMALL == from_bytes(data)
    assert data == from_bytes(data).to_bytes()
    assert set(BLOCKS) == set(from_bytes(data).blocks)


@pytest.mark.parametrize("data", [b"", b"something else\n{}", SMALL.to_bytes()[:-1], SMALL.to_bytes() + b"x"])
def test_another_file_is_refused(data: bytes) -> None:
    """Not these weights, cut short, or longer than it says: refused, never half read."""
    with pytest.raises(BadWeights):
        from_bytes(data)
