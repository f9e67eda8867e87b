"""What is not settled outlives its process in a file: whole, private, and read once."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratelimit.limits.bookings import Batch, Booking
from ratelimit.limits.settling import Unsettled
from ratelimit.limits.spill import Spill
from ratelimit.limits.types import Row, Settlement, settled_account
from tests.ratelimit.telling import Told

NAMES = st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=3).map(tuple)
COUNTS = st.integers(0, 2**53)
TEXTS = st.text(max_size=40)
ROWS = st.builds(Row, TEXTS.map(str.encode), TEXTS.map(str.encode), st.lists(COUNTS, max_size=3).map(tuple))
SETTLEMENTS = st.builds(
    Settlement,
    st.builds(settled_account, TEXTS, NAMES),
    TEXTS,
    COUNTS,
    COUNTS,
    st.sampled_from(["held", "unheld", "void"]),
    st.booleans(),
    COUNTS,
    ROWS,
)
BATCHES = st.builds(
    Batch,
    TEXTS,
    TEXTS,
    COUNTS,
    st.lists(st.builds(Booking, NAMES, COUNTS, COUNTS, COUNTS, ROWS), min_size=1, max_size=3).map(tuple),
)
A = Settlement(settled_account("acme", ("c", "k:k")), "a", 7, 8, row=Row(b'{"x":1}', b"[1]", (1, 2)))
B = Batch("acme", "g", 3, (Booking(("c", "k:k"), 17, 1, 2, Row(b"{}", b"", ())),))


@pytest.fixture
def told() -> Told:
    return Told()


@settings(max_examples=50)
@given(st.lists(SETTLEMENTS | BATCHES, min_size=1, max_size=5))
def test_read_as_written(tmp_path_factory: pytest.TempPathFactory, unsettled: list[Unsettled]) -> None:
    """Every member comes back, and the order stays: batches of one gateway depend on it."""
    directory = tmp_path_factory.mktemp("spill")
    told = Told()
    assert Spill(directory, "one", told).keep(unsettled)
    assert unsettled == Spill(directory, "two", told).load()
    assert ([len(unsettled)], [len(unsettled)], []) == (told.kept_counts, told.taken_counts, told.problems)


def test_private(tmp_path: Path, told: Told) -> None:
    """Nobody but its owner reads it; one line each."""
    Spill(tmp_path, "one", told).keep([A, B])
    (path,) = tmp_path.iterdir()
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert 2 == path.read_bytes().count(b"\n")


def test_removed_when_settled(tmp_path: Path, told: Told) -> None:
    """It stays until its content is settled, and is another process's for no moment before."""
    Spill(tmp_path, "one", told).keep([A])
    reader = Spill(tmp_path, "two", told)
    assert [A] == reader.load()
    assert [] == Spill(tmp_path, "three", told).load()
    assert 1 == len(list(tmp_path.iterdir()))
    reader.settled()
    reader.settled()
    assert [] == list(tmp_path.iterdir())


def test_a_reader_that_dies(tmp_path: Path, told: Told) -> None:
    """What it had taken up is there for the next one."""
    Spill(tmp_path, "one", told).keep([A, B])
    reader = Spill(tmp_path, "two", told)
    reader.load()
    for _, descriptor in reader._taken:  # as the end of a process does
        os.close(descriptor)
    assert [A, B] == Spill(tmp_path, "three", told).load()


def test_kept_anew(tmp_path: Path, told: Told) -> None:
    """What one process took up and could not settle either is kept once."""
    Spill(tmp_path, "one", told).keep([A, B])
    second = Spill(tmp_path, "two", told)
    assert second.keep(second.load())
    assert [A, B] == Spill(tmp_path, "three", told).load()
    assert 1 == len(list(tmp_path.glob("unsettled-*")))


def test_broken_lines(tmp_path: Path, told: Told) -> None:
    """Each is told with its number and kept aside; the others are settled."""
    Spill(tmp_path, "one", told).keep([A, B])
    (path,) = tmp_path.iterdir()
    first, second = path.read_bytes().splitlines()
    broken = [b"{", b"7", b'{"kind":"other"}', first.replace(b'"tokens":7', b'"tokens":-7'), second[:-9]]
    path.write_bytes(b"\n".join([broken[0], first, *broken[1:4], second, broken[4]]))
    reader = Spill(tmp_path, "two", told)
    assert [A, B] == reader.load()
    assert [(path.name, number) for number in (1, 3, 4, 5, 7)] == told.problems
    assert b"\n".join(broken) + b"\n" == (tmp_path / "unsettled.corrupt").read_bytes()
    reader.settled()
    assert ["unsettled.corrupt"] == [each.name for each in tmp_path.iterdir()]


def test_nowhere_to_write(tmp_path: Path, told: Told) -> None:
    """It is said, with the reason, and what was taken up stays where it was."""
    Spill(tmp_path, "one", told).keep([A])
    second = Spill(tmp_path, "two", told)
    second.load()
    (tmp_path / "unsettled-two.jsonl").mkdir()
    assert not second.keep([A, B])
    assert [2] == told.lost
    assert (tmp_path / "unsettled-one.jsonl").exists()


def test_no_such_place(tmp_path: Path, told: Told) -> None:
    """It is said at the start that nothing could be kept at the end."""
    with pytest.raises(OSError, match="nowhere"):
        Spill(tmp_path / "nowhere", "one", told)
