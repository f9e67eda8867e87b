"""A store on a cluster: to the right node, along with what moves, through the loss of nodes."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
from redis.crc import key_slot

from ratelimit.limits.reservations import Reservations
from ratelimit.limits.types import Claim, Scope, account
from ratelimit.store.address import parse_address
from ratelimit.store.errors import StoreRefused, StoreUnavailable
from ratelimit.store.keys import IDENTITY
from ratelimit.store.scripts import Script
from ratelimit.store.store import Store
from ratelimit.subjects.directory import Directory
from ratelimit.subjects.types import ConfiguredKey, NewCustomer, NewKey
from tests.ratelimit.clocks import PATIENT_MS
from tests.ratelimit.watching import SLACK_S, Watch, opened
from tests.support.fleet import SLOTS, ClusterFleet, cluster

IMPATIENT_MS: Final = 150
IDENTITY_SLOT: Final = key_slot(b"store")
SOURCE: Final = b"redis.call('SET', KEYS[1], '1') return redis.call('GET', KEYS[1])"
ONE: Final = Script("one", SOURCE, hashlib.sha1(SOURCE, usedforsecurity=False).hexdigest().encode())


@pytest.fixture(scope="module")
def formed() -> Iterator[ClusterFleet]:
    with cluster() as fleet:
        yield fleet


@pytest.fixture
def fleet(formed: ClusterFleet) -> Iterator[ClusterFleet]:
    """For a test that hurts nothing, or one that is followed by healing."""
    yield formed
    for port in formed.roles()[0]:
        formed.call(port, "FLUSHALL")


@pytest.fixture
def fragile(formed: ClusterFleet) -> Iterator[ClusterFleet]:
    """For a test that kills and hangs nodes."""
    yield formed
    formed.heal()


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
async def gate(fleet: ClusterFleet, watch: Watch) -> AsyncIterator[Store]:
    async with opened(fleet.url, watch, PATIENT_MS) as store:
        yield store


def key_in(slots: range) -> str:
    return next(f"k{number}" for number in range(SLOTS * 9) if key_slot(f"k{number}".encode()) in slots)


def keys_of(fleet: ClusterFleet, *ports: int) -> list[str]:
    """A key for each of the masters, none in the identity's slot."""
    found: dict[int, str] = {}
    for start in (500, 6000, 12000):
        slot = start if start != IDENTITY_SLOT else start + 1
        found[fleet.owner(slot)] = key_in(range(slot, slot + 1))
    return [found[port] for port in ports]


def by_role(fleet: ClusterFleet) -> tuple[int, list[int]]:
    """The master with the identity's slot, and the others."""
    holder = fleet.owner(IDENTITY_SLOT)
    return holder, [port for port in fleet.roles()[0] if port != holder]


async def answered(store: Store, key: str) -> None:
    """Repeat a call until it succeeds."""
    async with asyncio.timeout(20):
        while True:
            try:
                await store.call("SET", key, "x", writes=True)
            except StoreUnavailable:
                await asyncio.sleep(0.01)
            else:
                return


async def test_each_key_reaches_its_master(fleet: ClusterFleet, gate: Store) -> None:
    """Keys of all slots are written and read where the cluster keeps them, each in one round trip."""
    names = [f"key-{number}" for number in range(300)]
    await asyncio.gather(*(gate.call("SET", name, name) for name in names))
    assert [name.encode() for name in names] == await asyncio.gather(*(gate.call("GET", n) for n in names))
    for name in names[:30]:
        assert name == fleet.call(fleet.owner(key_slot(name.encode())), "GET", name)
    counts = await gate.call_all("DBSIZE")
    assert 3 == len(counts)
    assert len(names) + 1 == sum(int(str(count)) for count in counts)  # the identity besides
    assert b"PONG" == await gate.call("PING")


async def test_key_is_where_the_caller_says(gate: Store) -> None:
    """`key_at` names the word that decides where a command goes."""
    source = "return redis.call('SET', KEYS[1], 'x')"
    for name in ("a", "b", "c", "d"):
        assert b"OK" == await gate.call("EVAL", source, 1, name, key_at=3)


async def test_slot_that_has_moved(fleet: ClusterFleet, gate: Store, watch: Watch) -> None:
    """A call for a slot that has moved is answered by the new node, within the same call; no outage is told."""
    slot = next(slot for slot in range(3000, SLOTS) if slot != IDENTITY_SLOT)
    name = key_in(range(slot, slot + 1))
    old = fleet.owner(slot)
    new = next(port for port in fleet.roles()[0] if port != old)
    for port in (new, old, *fleet.roles()[0]):
        fleet.call(port, "CLUSTER", "SETSLOT", str(slot), "NODE", fleet.call(new, "CLUSTER", "MYID"))
    assert b"OK" == await gate.call("SET", name, "moved")
    assert "moved" == fleet.call(new, "GET", name)
    assert [] == watch.told


async def test_slot_that_is_moving(fleet: ClusterFleet, gate: Store, watch: Watch) -> None:
    """While a slot moves, a new key is asked for at the node that gets it; keys on both sides must wait."""
    slot = next(slot for slot in range(9000, SLOTS) if slot != IDENTITY_SLOT)
    tag = key_in(range(slot, slot + 1))
    old = fleet.owner(slot)
    new = next(port for port in fleet.roles()[0] if port != old)
    here, there = f"{{{tag}}}here", f"{{{tag}}}there"
    await gate.call("SET", here, "old")
    assert "+OK" == fleet.call(
        new, "CLUSTER", "SETSLOT", str(slot), "IMPORTING", fleet.call(old, "CLUSTER", "MYID")
    )
    assert "+OK" == fleet.call(
        old, "CLUSTER", "SETSLOT", str(slot), "MIGRATING", fleet.call(new, "CLUSTER", "MYID")
    )
    try:
        assert b"OK" == await gate.call("SET", there, "new")
        assert b"new" == await gate.call("GET", there)
        assert b"old" == await gate.call("GET", here)
        with pytest.raises(StoreUnavailable, match="TRYAGAIN"):
            await gate.call("MGET", here, there)
        assert [] == watch.told
    finally:
        fleet.call(old, "DEL", here)
        for port in (new, old, *fleet.roles()[0]):
            fleet.call(port, "CLUSTER", "SETSLOT", str(slot), "NODE", fleet.call(new, "CLUSTER", "MYID"))


async def test_killed_master(fragile: ClusterFleet, watch: Watch) -> None:
    """Calls for a lost master fail at once, then reach its promoted replica by themselves; others go on."""
    loop = asyncio.get_running_loop()
    _, (victim, bystander) = by_role(fragile)
    lost, kept = keys_of(fragile, victim, bystander)
    async with opened(fragile.url, watch, IMPATIENT_MS) as store:
        assert b"1" == await store.run(ONE, (lost,), ())
        fragile.kill(victim)
        await watch.until("down")
        assert str(victim) in watch.reasons[0]
        started = loop.time()
        with pytest.raises(StoreUnavailable):
            await store.call("GET", lost)
        assert loop.time() - started < IMPATIENT_MS / 1000 + SLACK_S
        assert b"OK" == await store.call("SET", kept, "x")
        assert store.available
        await answered(store, lost)
        await watch.until("down", "up")
        assert fragile.owner(key_slot(lost.encode())) != victim
        assert b"1" == await store.run(ONE, (lost,), ())  # which the new master has never heard of


async def test_hung_master(fragile: ClusterFleet, watch: Watch) -> None:
    """A hung master costs one time-out, and its replica takes over without a restart of ours."""
    loop = asyncio.get_running_loop()
    _, (victim, _) = by_role(fragile)
    (lost,) = keys_of(fragile, victim)
    async with opened(fragile.url, watch, IMPATIENT_MS) as store:
        fragile.pause(victim)
        started = loop.time()
        late = await asyncio.gather(*(store.call("GET", lost) for _ in range(20)), return_exceptions=True)
        assert {StoreUnavailable} == {type(outcome) for outcome in late}
        assert loop.time() - started < IMPATIENT_MS / 1000 + SLACK_S
        await answered(store, lost)
        await watch.until("down", "up")


async def test_all_masters_hang(fragile: ClusterFleet, watch: Watch) -> None:
    """With no master left the store is away, and back when they wake."""
    masters, _ = fragile.roles()
    names = keys_of(fragile, *masters)
    async with opened(fragile.url, watch, IMPATIENT_MS) as store:
        for port in masters:
            fragile.pause(port)
        late = await asyncio.gather(*(store.call("GET", name) for name in names), return_exceptions=True)
        assert {StoreUnavailable} == {type(outcome) for outcome in late}
        assert store.down_reason is not None
        for port in masters:
            fragile.resume(port)
        await watch.until("down", "up")
        assert store.available
        for name in names:
            await answered(store, name)


async def test_cluster_that_is_down(fragile: ClusterFleet, watch: Watch) -> None:
    """A cluster that has lost a master for good serves nobody: told once, and over when it is up again.

    So says one of its nodes that is used as a server of its own.
    """
    holder, (victim, bystander) = by_role(fragile)
    alone = Watch()
    (kept,) = keys_of(fragile, bystander)
    replica = fragile.replica_of(victim)
    async with (
        opened(fragile.url, watch, PATIENT_MS) as store,
        opened(f"redis://127.0.0.1:{holder}", alone, PATIENT_MS) as node,
    ):
        fragile.kill(replica)
        fragile.kill(victim)
        async with asyncio.timeout(20):
            while store.available or node.available:
                with suppress(StoreUnavailable):
                    await store.call("SET", kept, "x", writes=True)
                with suppress(StoreUnavailable):
                    await node.call("GET", IDENTITY)
                await asyncio.sleep(0.01)
        with pytest.raises(StoreUnavailable):
            await store.call("GET", kept)
        assert ["down"] == watch.told
        fragile.start(victim)
        await watch.until("down", "up")
        await alone.until("down", "up")
        assert b"OK" == await store.call("SET", kept, "x")


async def test_started_without_its_cluster() -> None:
    """With nobody at the addresses the store is away, and says so."""
    watch = Watch()
    async with opened("redis+cluster://127.0.0.1:1,127.0.0.1:2", watch, PATIENT_MS) as store:
        assert not store.available
        with pytest.raises(StoreUnavailable, match="no connection"):
            await store.call("GET", "x")
        with pytest.raises(StoreUnavailable, match="no connection"):
            await store.call_all("PING")
        await watch.until("down")


async def test_one_address_is_enough(fleet: ClusterFleet, watch: Watch) -> None:
    """The cluster is found by any one of its nodes, a replica too; addresses without anybody do not matter."""
    replica = fleet.roles()[1][0]
    async with opened(f"redis+cluster://127.0.0.1:1,127.0.0.1:{replica}", watch, PATIENT_MS) as store:
        for name in ("a", "b", "c", "d"):
            assert b"OK" == await store.call("SET", name, "x")
    assert [] == watch.told


async def test_address_of_the_wrong_kind(fleet: ClusterFleet) -> None:
    """One node of a cluster is not taken for a store, and a server without a cluster not for a cluster."""
    _, (node, _) = by_role(fleet)
    single = Store(parse_address(f"redis://127.0.0.1:{node}"), timeout_ms=PATIENT_MS)
    with pytest.raises(StoreRefused, match=r"redis\+cluster://"):
        await single.open()
    await single.close()


async def test_node_that_evicts_is_refused(fleet: ClusterFleet) -> None:
    """Every master has to keep what it is given."""
    node = fleet.roles()[0][1]
    fleet.call(node, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    store = Store(parse_address(fleet.url), timeout_ms=PATIENT_MS)
    try:
        with pytest.raises(StoreRefused, match=f"{node} has maxmemory-policy allkeys-lru"):
            await store.open()
    finally:
        fleet.call(node, "CONFIG", "SET", "maxmemory-policy", "noeviction")
        await store.close()


async def test_rights_in_the_manual_are_enough(fleet: ClusterFleet, watch: Watch) -> None:
    """A user with the rights that docs/store.md names can do all that the room does."""
    manual = (Path(__file__).parents[2] / "docs" / "store.md").read_text()
    rights = next(line.split()[2:] for line in manual.splitlines() if line.startswith("    ACL SETUSER"))
    for port in (*fleet.masters, *fleet.replicas):
        assert "+OK" == fleet.call(port, "ACL", "SETUSER", *rights)
    url = fleet.url.replace("://", f"://{rights[0]}:{rights[2].removeprefix('>')}@")
    async with opened(url, watch, PATIENT_MS) as store:
        directory = Directory(store, wall_clock_s=lambda: 1_767_225_600.0)
        await directory.sync_configured([], [ConfiguredKey("k", "filed", "ab" * 32)], default_limits={})
        await directory.sync_configured([], [], default_limits={})
        await directory.create_customer(NewCustomer("acme"))
        key, _ = await directory.create_key(NewKey("acme"))
        assert [key] == list((await directory.list_keys(None, 9, customer_id="acme")).items)
        counts_for = account("acme", [Scope("customer", "acme", {"in_flight": 1})])
        reservations = Reservations(store)
        decision = await reservations.admit(counts_for, Claim("r", 1, 1, 1, 1), soft_ratio=0.8)
        assert decision.allowed
        assert (await reservations.settle(counts_for, "r", tokens=1, microusd=1)).now
        await directory.delete_customer("acme")
        assert not await store.accept()
    assert [] == watch.told


async def test_full_node_does_not_flap(fleet: ClusterFleet, gate: Store, watch: Watch) -> None:
    """A node that is full is told once, whatever the others take meanwhile, and over when it takes writes."""
    masters, _ = fleet.roles()
    full, fine = keys_of(fleet, masters[0], masters[1])
    fleet.call(masters[0], "CONFIG", "SET", "maxmemory", "1")
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="OOM"):
            await gate.call("SET", full, "x", writes=True)
        await gate.call("SET", fine, "x", writes=True)
    await watch.until("down")
    fleet.call(masters[0], "CONFIG", "SET", "maxmemory", "0")
    await gate.call("SET", fine, "x", writes=True)
    assert ["down"] == watch.told
    await gate.call("SET", full, "x", writes=True)
    await watch.until("down", "up")


async def test_cluster_that_comes_back_empty(fragile: ClusterFleet, watch: Watch) -> None:
    """A cluster that has lost everything is not used until it is accepted; then every gateway uses it."""
    masters, _ = fragile.roles()
    names = keys_of(fragile, *masters)
    other = Watch()
    async with (
        opened(fragile.url, watch, PATIENT_MS) as store,
        opened(fragile.url, other, PATIENT_MS) as second,
    ):
        for port in (*fragile.masters, *fragile.replicas):
            fragile.kill(port)
        await watch.until("down")
        fragile.heal()
        async with asyncio.timeout(20):
            while "accept" not in str(store.down_reason):  # noqa: ASYNC110 - a reason that changes tells nobody
                await asyncio.sleep(0.01)
        assert "accept it with `headgate store accept`" in str(store.down_reason)
        for name in names:
            with pytest.raises(StoreUnavailable, match="accept"):
                await store.call("GET", name)
        assert await store.accept()
        for name in names:
            assert b"OK" == await store.call("SET", name, "x")
        await other.until_up()
        for name in names:
            assert b"x" == await second.call("GET", name)
        await watch.until_up()
