"""Health on a cluster: one slot holds it, whichever node that is."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from ratelimit.health.gathering import HOUR_S, HOURS
from ratelimit.health.summary import shrunk
from ratelimit.store.address import parse_address
from ratelimit.store.store import Store
from tests.ratelimit.clocks import PATIENT_MS, Clock, Offset
from tests.ratelimit.health_gateways import Gateway, Times
from tests.support.fleet import ClusterFleet, cluster


@pytest.fixture(scope="module")
def formed() -> Iterator[ClusterFleet]:
    with cluster() as fleet:
        yield fleet


@pytest.fixture
async def scattered(formed: ClusterFleet, offset: Offset) -> AsyncIterator[Store]:
    store = Store.for_tests(parse_address(formed.url), timeout_ms=PATIENT_MS, offset_us=offset)
    await store.open()
    yield store
    await store.call_all("FLUSHALL")
    await store.close()


@pytest.fixture
async def times(scattered: Store, clock: Clock, offset: Offset) -> Times:
    made = Times(clock, offset)
    await made.begin(scattered)
    return made


async def test_eight_days(scattered: Store, clock: Clock, times: Times) -> None:
    """Over 8 days, hour by hour, for two backends: always exactly the 168 hours that end with the present one."""
    one, other = Gateway(scattered, clock), Gateway(scattered, clock)
    answered: list[int] = []
    failed: list[int] = []
    for hour in range(8 * 24):
        answered.append(1 + hour % 7)
        failed.append(hour % 3)
        one.note("ok", answered[-1])
        other.note("timeout", failed[-1])
        one.note("ok", backend="b")
        await other.beat()
        await one.beat()
        ok, timeouts = sum(answered[-HOURS:]), sum(failed[-HOURS:])
        health = one.health.snapshot().backend("a")
        assert (ok, timeouts) == (health.outcomes_7d.get("ok", 0), health.outcomes_7d.get("timeout", 0))
        assert shrunk(ok, timeouts) == health.availability_7d
        assert min(hour + 1, HOURS) == one.health.snapshot().backend("b").attempts_7d
        times.pass_s(HOUR_S)


async def test_circuits(scattered: Store, clock: Clock, times: Times) -> None:
    """Open for all, one probe among all, closed for all."""
    gateways = [Gateway(scattered, clock) for _ in range(3)]
    for each in gateways:
        await each.beat()
    gateways[0].note("timeout", 10)
    for each in gateways:
        await each.beat()
    assert ["open"] * 3 == [each.state() for each in gateways]
    times.pass_s(11)
    probes = await asyncio.gather(*(each.health.take_probe("a", "provider/1") for each in gateways))
    (taken,) = [place for place, probe in enumerate(probes) if probe is not None]
    gateways[taken].note("ok", probe=probes[taken])
    await gateways[taken].beat()
    for each in gateways:
        await each.beat()
    assert ["closed"] * 3 == [each.state() for each in gateways]
