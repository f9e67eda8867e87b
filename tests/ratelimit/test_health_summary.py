"""Tallies: binned, merged, shrunk, packed."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratelimit.health.packed import unpack_numbers, unpack_tally
from ratelimit.health.summary import (
    FIRST_CONTENT_MS,
    KINDS,
    NEUTRAL_AVAILABILITY,
    RELATIVE_ERROR,
    SPEED_TOKENS_S,
    Scale,
    merged,
    outcomes,
    shrunk,
)
from ratelimit.store.errors import StoreFault
from ratelimit.store.store import Store

SCALES = st.sampled_from([FIRST_CONTENT_MS, SPEED_TOKENS_S])
TALLIES = st.dictionaries(st.integers(1, 124), st.integers(1, 2**40), max_size=124)


def counted(scale: Scale, values: list[float]) -> dict[int, int]:
    tally: dict[int, int] = {}
    for value in values:
        index = scale.index(value)
        tally[index] = tally.get(index, 0) + 1
    return tally


@given(
    SCALES,
    st.lists(st.floats(0, 1), min_size=1, max_size=200),
    st.floats(1e-6, 1),
)
def test_quantiles(scale: Scale, places: list[float], share: float) -> None:
    """Any quantile of any values in range is within the promised error of the true one."""
    values = sorted(scale.lowest * (scale.highest / scale.lowest) ** place for place in places)
    true = values[ceil(share * len(values)) - 1]
    (found,) = scale.quantiles(counted(scale, values), share)
    assert found == pytest.approx(true, rel=RELATIVE_ERROR + 1e-9)
    assert [found] * 2 == scale.quantiles(counted(scale, values), share, share)
    assert len(values) == scale.samples(counted(scale, values))


def test_promised_error() -> None:
    """A tenth at most."""
    assert RELATIVE_ERROR < 0.1


@given(SCALES, st.floats(0, 1e12))
def test_out_of_range(scale: Scale, value: float) -> None:
    """Whatever is measured has a bin of its scale; what is beyond the range counts at its end."""
    index = scale.index(value)
    assert 0 <= index - scale.first_index < scale.size
    if value <= scale.lowest:
        assert scale.first_index == index
    if value >= scale.highest:
        assert scale.first_index + scale.size - 1 == index


def test_no_overlap() -> None:
    """Kinds and the bins of both scales have indexes of their own, all of one packed byte."""
    ranges = [
        set(KINDS.values()),
        {FIRST_CONTENT_MS.first_index + i for i in range(FIRST_CONTENT_MS.size)},
        {SPEED_TOKENS_S.first_index + i for i in range(SPEED_TOKENS_S.size)},
    ]
    every = set.union(*ranges)
    assert sum(map(len, ranges)) == len(every)
    assert every <= set(range(1, 128))


def test_nothing_seen() -> None:
    """Without samples there is no figure."""
    assert [None, None] == FIRST_CONTENT_MS.quantiles({}, 0.5, 0.95)
    assert [None] == FIRST_CONTENT_MS.quantiles({KINDS["ok"]: 5}, 0.5)
    assert 0 == FIRST_CONTENT_MS.samples({KINDS["ok"]: 5})


@given(TALLIES, TALLIES, TALLIES)
def test_merge(one: dict[int, int], two: dict[int, int], three: dict[int, int]) -> None:
    """In whatever order tallies meet, the sum is the same, and nothing is lost."""
    assert merged(one, two, three) == merged(merged(three, one), two)
    assert merged(one) == merged(one, {})
    assert sum(one.values()) + sum(two.values()) == sum(merged(one, two).values())


@given(SCALES, st.lists(st.floats(0.1, 1e6)), st.lists(st.floats(0.1, 1e6)))
def test_merged_is_counted_together(scale: Scale, left: list[float], right: list[float]) -> None:
    """Merged summaries are the summary of all values."""
    assert counted(scale, left + right) == merged(counted(scale, left), counted(scale, right))


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_shrunk(answered: int, failed: int) -> None:
    """Availability lies between what was seen and the neutral value, and no failure ever raises it."""
    figure = shrunk(answered, failed)
    if answered + failed:
        low, high = sorted((answered / (answered + failed), NEUTRAL_AVAILABILITY))
        assert low - 1e-9 <= figure <= high + 1e-9
    assert shrunk(answered, failed + 1) < figure < shrunk(answered + 1, failed) + 1e-12


def test_shrunk_figures() -> None:
    """The documented examples."""
    figures = [(0, 0), (10, 0), (100, 0), (10_000, 0), (0, 2), (5, 5), (50, 50), (9_500, 500)]
    expected = [0.99, 0.9917, 0.9967, 0.99995, 0.9519, 0.9083, 0.6633, 0.9502]
    assert expected == [pytest.approx(shrunk(*figure), abs=0.00005) for figure in figures]


def test_outcomes() -> None:
    """Kinds by name, those that never happened left out."""
    assert {"ok": 3, "auth": 1} == outcomes({KINDS["ok"]: 3, KINDS["auth"]: 1, 17: 9, KINDS["timeout"]: 0})


PACK_TALLY = """
local tally = {}
for i = 1, #ARGV, 2 do tally[tonumber(ARGV[i])] = tonumber(ARGV[i + 1]) end
return cmsgpack.pack(tally)"""
PACK_NUMBERS = """
local numbers = {}
for i = 1, #ARGV do numbers[i] = tonumber(ARGV[i]) end
return cmsgpack.pack(numbers)"""


@pytest.mark.parametrize(
    "tally",
    [
        {},
        {1: 1},
        {1: 5, 2: 300, 3: 70_000},
        {2: 1},
        {1: 127, 17: 128, 18: 255, 19: 256, 76: 65_535, 77: 65_536, 100: 2**32 - 1, 124: 2**32, 3: 2**50},
        {index: index for index in range(2, 125)},
        dict.fromkeys(range(1, 125), 1),
    ],
)
async def test_unpack(store: Store, tally: dict[int, int]) -> None:
    """What a real server packs is read back, whatever form it chose."""
    entries = [number for entry in tally.items() for number in entry]
    packed = await store.call("EVAL", PACK_TALLY, 0, *entries)
    assert isinstance(packed, bytes)
    assert tally == unpack_tally(packed)
    packed = await store.call("EVAL", PACK_NUMBERS, 0, *entries)
    assert isinstance(packed, bytes)
    assert entries == unpack_numbers(packed)


@pytest.mark.parametrize(
    "packed", [b"", b"\x05", b"\x81\x01", b"\x91\xa1x", b"\x91\xcd\x01", b"\x91\x01\x02"]
)
def test_not_ours(packed: bytes) -> None:
    """What the scripts never pack is said to be wrong, not guessed at."""
    with pytest.raises(StoreFault):
        unpack_tally(packed)
    with pytest.raises(StoreFault):
        unpack_numbers(packed)


def test_no_array() -> None:
    """A map is no array."""
    with pytest.raises(StoreFault):
        unpack_numbers(b"\x81\x02\x03")
