"""Moving between tiers: up at once, down when it pays, and for reasons that are said."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.routing.affinity import Entry, Saving, entry, saving, settle_tier
from proxy.routing.catalogue.cost import cost_picousd
from proxy.routing.catalogue.types import Price
from proxy.routing.policy import NAMED, POSITION, UNDECIDED, Complexity, Verdict

TIERS = ("frugal", "balanced", "premium")
PRICES = st.builds(Price, st.integers(0, 10_000), st.integers(0, 50_000), st.none() | st.integers(0, 10_000))
PAYS = Saving(2, 1)
DOES_NOT_PAY = Saving(1, 1)


def wanted(place: int) -> Entry:
    return Entry(place, TIERS[place], raised=False)


@pytest.mark.parametrize("complexity", get_args(Complexity))
def test_an_entry_is_the_verdicts(complexity: Complexity) -> None:
    """Sure verdicts are taken as they are; doubt moves one up, except from the top."""
    place = POSITION[complexity]
    sure = Verdict("scorer", complexity, "other", 0.6)
    assert (place, TIERS[place], False) == entry(sure, TIERS, 0.6)
    unsure = Verdict("scorer", complexity, "other", 0.59)
    higher = min(place + 1, 2)
    assert (higher, TIERS[higher], higher != place) == entry(unsure, TIERS, 0.6)


def test_undecided_is_the_middle_and_never_raised() -> None:
    """Confidence 0 of nobody's verdict is not doubt."""
    assert (1, "balanced", False) == entry(UNDECIDED, TIERS, 0.6)
    assert (1, "balanced", False) == entry(NAMED, TIERS, 1.0)


def test_raised_says_that_the_tier_changed() -> None:
    """In a mode of one tier nothing changes."""
    unsure = Verdict("scorer", "simple", "other", 0.1)
    assert not entry(unsure, ("premium",) * 3, 0.6).raised


@pytest.mark.parametrize(
    ("previous", "place", "same_turn", "figures", "expected"),
    [
        (None, 0, False, None, ("frugal", "")),
        ("frugal", 0, False, None, ("frugal", "")),
        ("frugal", 2, False, DOES_NOT_PAY, ("premium", "moved up from frugal")),
        ("frugal", 1, True, None, ("balanced", "moved up from frugal")),
        ("premium", 0, False, None, ("frugal", "moved down from premium")),
        ("premium", 0, False, PAYS, ("frugal", "moved down from premium")),
        ("premium", 1, True, PAYS, ("premium", "kept for the turn")),
        ("another-modes", 0, True, DOES_NOT_PAY, ("frugal", "")),
    ],
)
def test_settling(
    previous: str | None, place: int, *, same_turn: bool, figures: Saving | None, expected: tuple[str, str]
) -> None:
    """One row a case."""
    found = settle_tier(previous, wanted(place), TIERS, same_turn=same_turn, saving=figures)
    assert expected == found


def test_a_warm_cache_keeps_the_tier() -> None:
    """Equal is not worth moving either."""
    tier, because = settle_tier("premium", wanted(0), TIERS, same_turn=False, saving=DOES_NOT_PAY)
    assert "premium" == tier
    assert "warm cache" in because


@given(
    st.sampled_from([None, *TIERS]),
    st.integers(0, 2),
    st.booleans(),
    st.none() | st.builds(Saving, st.integers(-5, 5), st.integers(0, 5)),
)
def test_never_below_the_verdict(
    previous: str | None,
    place: int,
    same_turn: bool,  # noqa: FBT001 - hypothesis fills arguments by position
    figures: Saving | None,
) -> None:
    """Whatever is remembered: the tier is the verdict's or the higher one the conversation was in."""
    tier, because = settle_tier(previous, wanted(place), TIERS, same_turn=same_turn, saving=figures)
    assert tier in (TIERS[place], previous)
    assert TIERS.index(tier) >= place
    assert bool(because) == (previous is not None and previous != TIERS[place])


@given(PRICES, PRICES, st.integers(0, 100_000), st.integers(0, 100_000), st.integers(0, 10_000))
def test_moving_pays_exactly_when_it_is_cheaper(
    before: Price, after: Price, cached: int, tokens: int, answer: int
) -> None:
    """`saving > lost` is: fresh in the softer tier costs less than here with the cache."""
    found = saving(before, after, cached_tokens=cached, input_tokens=tokens, output_tokens=answer)
    here = cost_picousd(
        before, input_tokens=tokens, output_tokens=answer, cache_read_tokens=min(cached, tokens)
    )
    there = cost_picousd(after, input_tokens=tokens, output_tokens=answer)
    assert (there < here) == (found.saving_picousd > found.lost_picousd)
