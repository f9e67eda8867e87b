"""Parts of a number that several processes share."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.assembly.seat import Seat
from proxy.settings.reload import Reloaded


async def never() -> Reloaded:
    raise AssertionError("nothing is reloaded here")


@given(st.integers(1, 64), st.integers(1, 1000))
def test_parts_make_the_whole(of: int, whole: int) -> None:
    """They add up, and differ by one at most; each has one at least, even where there are not enough."""
    parts = [Seat(never, number, of).part(whole) for number in range(of)]
    assert max(whole, of) == sum(parts)
    assert max(parts) - min(parts) <= 1
    assert min(parts) >= 1
