"""Whatever happens to the store: requests wait its time-out at most, and everything mends itself."""

import asyncio
from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.limited import settled
from tests.support.scripted import good_stream
from tests.support.store_faults import (
    DOWN,
    OUTAGES,
    TIMEOUT_MS,
    UP,
    Fault,
    Place,
    faults,
    hurtable,
    measured,
    of,
    told,
    well,
)

SLACK_MS: Final = 2000
"""For a loaded machine, on top of what is promised."""
WAVES: Final = 6


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with hurtable(tmp_path_factory.mktemp("faults")) as found:
        yield found


@pytest.mark.parametrize("fault", faults(), ids=lambda fault: fault.name)
async def test_fault(place: Place, fault: Fault) -> None:
    """`closed` answers 503 and `open` serves, within the time-out; one line tells the begin and one the end.

    What ran uncounted is booked when the store is back.
    """
    sites = place.sites
    async with sites["closed"].upstream(good_stream):
        await well(place)
        before = {name: len(told(site)) for name, site in sites.items()}
        fault.begin(place)
        try:
            closed, opened = await asyncio.gather(*(measured(place, name, waves=WAVES) for name in OUTAGES))
        finally:
            await fault.end(place)
        assert {503 if fault.away else 200} == set(closed.statuses), closed
        assert {200} == set(opened.statuses), opened
        assert max(*closed.latencies_ms, *opened.latencies_ms) < TIMEOUT_MS + SLACK_MS
        await well(place)
        for name, site in sites.items():
            news = told(site)[before[name] :]
            if fault.accepted and news[:2] == [DOWN, DOWN]:
                news.pop(
                    0
                )  # it was gone for a moment first; that an operator has to act is said all the same
            assert ([DOWN, UP] if fault.away else []) == news, name
        for name, site in () if fault.accepted else sites.items():
            assert 0 < await settled([site], of(name))
