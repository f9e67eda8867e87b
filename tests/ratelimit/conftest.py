"""A real server for the whole session, emptied for each test; stores and clocks on top of it.

With `HEADGATE_TEST_STORE=cluster` the `store` stands on a cluster of six servers instead.
"""

import os
from collections.abc import AsyncIterator, Iterator

import pytest

from ratelimit.store.address import parse_address
from ratelimit.store.store import Store
from ratelimit.subjects.directory import Directory
from ratelimit.subjects.lookup import Lookup
from tests.ratelimit.clocks import PATIENT_MS, Clock, Offset
from tests.ratelimit.gates import Gate
from tests.support.fleet import cluster
from tests.support.valkey import PrivateServer


@pytest.fixture(scope="session")
def shared_server() -> Iterator[PrivateServer]:
    with PrivateServer() as server:
        yield server


@pytest.fixture
def fragile_server() -> Iterator[PrivateServer]:
    """A server of the test's own, to be hurt."""
    with PrivateServer() as server:
        yield server


@pytest.fixture
def offset() -> Offset:
    return Offset()


@pytest.fixture(scope="session")
def store_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where `store` is."""
    if os.environ.get("HEADGATE_TEST_STORE") == "cluster":
        with cluster() as fleet:
            yield fleet.url
    else:
        yield request.getfixturevalue("shared_server").url


@pytest.fixture
async def store(store_url: str, offset: Offset) -> AsyncIterator[Store]:
    store = Store.for_tests(parse_address(store_url), timeout_ms=PATIENT_MS, offset_us=offset)
    await store.open()
    await store.call_all("FLUSHALL")
    yield store
    await store.close()


@pytest.fixture
def gate(store: Store, offset: Offset) -> Gate:
    return Gate(store, offset)


@pytest.fixture
def wall() -> Clock:
    """2026-01-01T00:00:00Z."""
    return Clock(1_767_225_600.0)


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def directory(store: Store, wall: Clock) -> Directory:
    return Directory(store, wall_clock_s=wall)


@pytest.fixture
async def lookup(store: Store, directory: Directory, clock: Clock, wall: Clock) -> AsyncIterator[Lookup]:
    lookup = Lookup(store, directory.configured, clock_s=clock, wall_clock_s=wall, key_grace_s=300)
    yield lookup
    await lookup.close()
