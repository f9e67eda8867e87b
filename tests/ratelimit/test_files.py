"""Gateways with different configuration files on one store: what any running one's file names stays in force."""

from collections.abc import Sequence

import pytest

from ratelimit.store.keys import FILE_HOLDERS, file_members
from ratelimit.store.store import Store
from ratelimit.subjects.directory import Directory
from ratelimit.subjects.errors import ManagedByFile
from ratelimit.subjects.files import HELD_S
from ratelimit.subjects.lookup import Lookup
from ratelimit.subjects.secret import digest_of
from ratelimit.subjects.types import ConfiguredKey, NewCustomer
from tests.ratelimit.clocks import Clock, Offset

LATER_US = int((HELD_S + 1) * 1_000_000)


class Gateways:
    """Any number of them. A file is a list of customers, each with the one key `<id>-key`."""

    def __init__(self, store: Store, wall: Clock) -> None:
        self._store = store
        self._wall = wall

    async def start(self, *customers: NewCustomer | str) -> Directory:
        made = Directory(self._store, wall_clock_s=self._wall)
        await self.load(made, *customers)
        return made

    async def load(self, gateway: Directory, *customers: NewCustomer | str) -> None:
        named = [NewCustomer(each) if isinstance(each, str) else each for each in customers]
        keys = [ConfiguredKey(f"{each.id}-key", each.id, digest_of(secret(each.id)).hex()) for each in named]
        await gateway.sync_configured(named, keys, default_limits={})


def secret(customer_id: str) -> str:
    return f"test-key-of-{customer_id}-abcdef"


@pytest.fixture
def gateways(store: Store, wall: Clock) -> Gateways:
    return Gateways(store, wall)


async def enabled(gateway: Directory) -> list[str]:
    """The customers that are, all with their keys."""
    found: list[str] = []
    for customer in (await gateway.list_customers(None, 1000)).items:
        key = await gateway.get_key(f"{customer.id}-key")
        assert customer.disabled == key.disabled
        if not customer.disabled:
            found.append(customer.id)
    return found


async def test_two_files(gateways: Gateways) -> None:
    """Neither disables the other's customers, however often each brings its file; nor may one delete them."""
    one = await gateways.start("a", "shared")
    two = await gateways.start("b", "shared")
    for gateway in (one, two, one):
        await gateway.configured.keep_up()
    await gateways.load(one, "a", "shared")
    await gateways.load(two, "b", "shared")
    assert ["a", "b", "shared"] == await enabled(one)
    assert 1 == len(one.configured.files.others) == len(two.configured.files.others)
    with pytest.raises(ManagedByFile, match="customer `a`"):
        await two.delete_customer("a")
    with pytest.raises(ManagedByFile, match="key `a-key`"):
        await two.delete_key("a-key")


async def test_a_file_without_customers(gateways: Gateways) -> None:
    """It is a file like any other: it takes nothing from the others, and holds nothing."""
    one = await gateways.start("a")
    empty = await gateways.start()
    assert ["a"] == await enabled(empty)
    await one.configured.release()
    await empty.configured.keep_up()
    assert [] == await enabled(empty)


async def test_a_rolling_upgrade(gateways: Gateways, lookup: Lookup, clock: Clock) -> None:
    """What either file names works while both run; when the last old gateway has gone, the new file holds alone."""
    old = [await gateways.start("kept", "removed") for _ in range(2)]
    new = [await gateways.start(NewCustomer("kept", limits={"in_flight": 2}), "added")]
    await old[0].configured.release()
    new.append(await gateways.start(NewCustomer("kept", limits={"in_flight": 2}), "added"))
    for gateway in (*new, old[1]):
        await gateway.configured.keep_up()
    assert ["added", "kept", "removed"] == await enabled(new[0])
    assert {"in_flight": 2} == (await new[0].get_customer("kept")).limits

    # The store was away for the old one: what it says then is in force until it has gone.
    await gateways.load(old[1], "kept", "removed")
    assert {} == (await new[0].get_customer("kept")).limits
    subject = await lookup.find(secret("removed"))
    assert subject is not None
    assert subject.disabled is None

    await old[1].configured.release()
    assert ["added", "kept"] == await enabled(new[0])
    clock.now += 2
    subject = await lookup.find(secret("removed"))
    assert subject is not None
    assert "customer disabled" == subject.disabled
    await new[0].configured.keep_up()
    assert {"in_flight": 2} == (await new[0].get_customer("kept")).limits
    await new[1].configured.keep_up()
    assert not new[0].configured.files.others


async def test_a_gateway_that_was_killed(gateways: Gateways, offset: Offset) -> None:
    """It counts as running for a while, and the others notice its end by themselves."""
    await gateways.start("removed", "kept")
    other = await gateways.start("kept")
    await other.configured.keep_up()
    assert ["kept", "removed"] == await enabled(other)
    offset.us = LATER_US
    await other.configured.keep_up()
    assert ["kept"] == await enabled(other)


async def test_the_last_one_takes_nothing_with_it(gateways: Gateways, store: Store) -> None:
    """What it named is as it was for whoever starts next, whose file then decides at once."""
    only = await gateways.start("a", "b")
    await only.configured.release()
    assert ["a", "b"] == await enabled(only)
    assert 0 == await store.call("EXISTS", FILE_HOLDERS)
    after = await gateways.start("b")
    assert ["b"] == await enabled(after)


async def test_reloads_one_after_the_other(gateways: Gateways) -> None:
    """Workers of one gateway: with the last of them a removal is in force."""
    workers = [await gateways.start("a", "b") for _ in range(3)]
    for worker in workers:
        assert ["a", "b"] == await enabled(worker)
        await gateways.load(worker, "a")
    assert ["a"] == await enabled(workers[0])


async def test_disabling_in_the_newest_file_works_at_once(gateways: Gateways) -> None:
    """Whoever cannot wait for the last old gateway writes `disabled: true` instead of taking it out."""
    old = await gateways.start("a", "b")
    new = await gateways.start("a", NewCustomer("b", disabled=True))
    await old.configured.keep_up()
    assert (await new.get_customer("b")).disabled


async def test_after_the_store_lost_its_data(gateways: Gateways, store: Store) -> None:
    """A gateway that says again that it runs tells the file anew."""
    gateway = await gateways.start("a")
    await store.call_all("FLUSHALL")
    await gateway.configured.keep_up()
    assert ["a"] != await enabled(gateway)  # the records come with the next `sync`
    await gateways.load(gateway, "a")
    assert ["a"] == await enabled(gateway)


async def test_files_larger_than_one_call(gateways: Gateways, store: Store) -> None:
    """Their members are known all at once, and go with their last gateway."""
    many: Sequence[str] = [f"c{number:03}" for number in range(450)]
    big = await gateways.start(*many)
    small = await gateways.start("c000")
    assert [*many] == await enabled(small)
    (digest,) = small.configured.files.others
    assert 2 * len(many) + 1 == await store.call("SCARD", file_members(digest))
    left_ms = await store.call("PTTL", file_members(digest))
    assert isinstance(left_ms, int)
    assert 0 < left_ms <= 2 * HELD_S * 1000
    await big.configured.release()
    assert ["c000"] == await enabled(small)
