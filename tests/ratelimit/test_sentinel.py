"""A store whose master the sentinels name."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import pytest

from ratelimit.store.address import parse_address
from ratelimit.store.errors import StoreRefused, StoreUnavailable
from ratelimit.store.store import Store
from tests.ratelimit.clocks import PATIENT_MS
from tests.ratelimit.watching import SLACK_S, Watch, opened
from tests.support.fleet import SentinelFleet, sentinels

IMPATIENT_MS: Final = 150
UNTIL_THE_OLD_ONE_IS_TOLD_S: Final = 8.0  # it would take ten for the servers to do it by themselves
PASSWORD: Final = "right-word"


@pytest.fixture(scope="module")
def fleet() -> Iterator[SentinelFleet]:
    """Master and sentinels want a password, so that both ways of asking a sentinel are walked."""
    with sentinels(password=PASSWORD, sentinel_password=PASSWORD) as formed:
        yield formed


async def test_master_is_found(fleet: SentinelFleet) -> None:
    """The store is the master that the sentinels name, database and password included."""
    async with opened(f"{fleet.url}?db=3", Watch(), PATIENT_MS) as store:
        assert b"OK" == await store.call("SET", "where", "three")
        assert b"three" == await store.call("GET", "where")
    (master,) = fleet.roles()[0]
    assert "db3:keys=2" in fleet.call(master, "INFO", "keyspace")  # the identity besides


async def test_one_sentinel_is_enough(fleet: SentinelFleet) -> None:
    """Sentinels that are away do not matter as long as one answers."""
    url = f"redis+sentinel://:{PASSWORD}@127.0.0.1:1,127.0.0.1:{fleet.sentinels[1]}/gate"
    async with opened(url, Watch(), PATIENT_MS) as store:
        assert b"PONG" == await store.call("PING")


@pytest.mark.parametrize(
    ("credentials", "master", "named"),
    [
        (f":{PASSWORD}@", "other", "know no such master"),
        (":wrong-word@", "gate", "refuses us"),
        ("", "gate", "NOAUTH"),
    ],
)
async def test_refusals(fleet: SentinelFleet, credentials: str, master: str, named: str) -> None:
    """An unknown master or a wrong password ends the start, without repeating the password."""
    hosts = ",".join(f"127.0.0.1:{port}" for port in fleet.sentinels)
    store = Store(parse_address(f"redis+sentinel://{credentials}{hosts}/{master}"), timeout_ms=PATIENT_MS)
    with pytest.raises(StoreRefused, match=named) as caught:
        await store.open()
    assert "word" not in str(caught.value).replace("password", "")
    await store.close()


async def test_started_without_sentinels() -> None:
    """With no sentinel at the addresses the store is away, and says so."""
    watch = Watch()
    async with opened("redis+sentinel://127.0.0.1:1,127.0.0.1:2/gate", watch, PATIENT_MS) as store:
        assert not store.available
        assert "no sentinel" in str(store.down_reason)
        await watch.until("down")


async def test_failover(fleet: SentinelFleet) -> None:
    """A lost master costs an outage of seconds: calls fail at once, then reach the promoted replica."""
    watch = Watch()
    loop = asyncio.get_running_loop()
    async with opened(fleet.url, watch, IMPATIENT_MS) as store:
        await store.call("SET", "kept", "x")
        (master,), replicas = fleet.roles()
        fleet.until(
            lambda: all(fleet.call(port, "GET", "kept") == "x" for port in replicas), "it is replicated"
        )
        fleet.kill(master)
        await watch.until("down")
        started = loop.time()
        with pytest.raises(StoreUnavailable):
            await store.call("GET", "kept")
        assert loop.time() - started < IMPATIENT_MS / 1000 + SLACK_S
        await watch.until("down", "up")
        assert b"x" == await store.call("GET", "kept")
        assert b"OK" == await store.call("SET", "kept", "y")


@pytest.fixture
def untouched() -> Iterator[SentinelFleet]:
    """A fleet of the test's own, in which nothing has failed before."""
    with sentinels() as formed:
        yield formed


async def test_planned_failover(untouched: SentinelFleet) -> None:
    """An old master that does not know yet that it is none is left within seconds; told once, if at all."""
    watch, fleet = Watch(), untouched
    (old,) = fleet.roles()[0]
    async with opened(fleet.url, watch, PATIENT_MS) as store:
        await store.call("SET", "kept", "x")
        fleet.until(lambda: fleet.fail_over() == "+OK", "a replica is good enough")
        fleet.until(lambda: any(port != old for port in fleet.roles()[0]), "another master")
        new = next(port for port in fleet.roles()[0] if port != old)
        async with asyncio.timeout(UNTIL_THE_OLD_ONE_IS_TOLD_S):
            while fleet.call(new, "GET", "kept") != "y":
                with suppress(StoreUnavailable):
                    await store.call("SET", "kept", "y")
                await asyncio.sleep(0.01)
        assert b"y" == await store.call("GET", "kept")
    assert watch.told in ([], ["down", "up"])
