"""From a key's text to its subject: fresh, coalesced, bounded, and through an outage."""

import asyncio
from dataclasses import replace

import pytest

from ratelimit.store.address import parse_address
from ratelimit.store.errors import StoreUnavailable
from ratelimit.store.store import Store
from ratelimit.subjects.directory import Directory
from ratelimit.subjects.lookup import MISSING, Lookup
from ratelimit.subjects.secret import digest_of
from ratelimit.subjects.types import ConfiguredKey, NewCustomer, NewKey, Scope, Subject
from tests.ratelimit.clocks import PATIENT_MS, Clock
from tests.support.valkey import PrivateServer

FILED = "test-key-0001-abcdef"


async def calls(store: Store) -> int:
    """How many scripts the server, or the cluster, has run."""
    infos = await store.call_all("INFO", "commandstats")
    told = b"".join(info for info in infos if isinstance(info, bytes))
    lines = [line for line in told.decode().splitlines() if line.startswith("cmdstat_eval")]
    return sum(int(line.partition("calls=")[2].partition(",")[0]) for line in lines)


async def test_subject(directory: Directory, lookup: Lookup) -> None:
    """One look-up tells all that a request needs of a key and its customer."""
    await directory.create_customer(
        NewCustomer(
            "acme",
            limits={"requests_per_minute": 60, "usd_per_month": 5},
            models=("a", "b"),
            priority="high",
            tags=("t", "u"),
        )
    )
    key, secret = await directory.create_key(
        NewKey(
            "acme",
            limits={"in_flight": 2},
            models=("b", "c"),
            expires_at="2026-01-01T01:00:00+01:00",
            model_limits={"b": {"usd_per_day": 1}, "c": {}},
            tags=("v", "t"),
        )
    )
    expected = Subject(
        key_id=key.id,
        customer_id="acme",
        key_models=("b", "c"),
        customer_models=("a", "b"),
        priority="high",
        expires_at_s=1_767_225_600.0,
        disabled="key expired",
        key_model_limits={"b": {"usd_per_day": 1}},
        tags=("t", "u", "v"),
        scopes=(
            Scope("customer", "acme", {"requests_per_minute": 60, "usd_per_month": 5}),
            Scope("key", key.id, {"in_flight": 2}),
            Scope("model", "b", {"usd_per_day": 1}),
        ),
    )
    assert expected == await lookup.find(secret)
    assert expected == await lookup.find(secret.encode())
    assert expected == await lookup.find_digest(digest_of(secret))
    assert await lookup.find("test-key-9999-abcdef") is None


async def test_scopes_of_a_request(directory: Directory, lookup: Lookup) -> None:
    """A request counts for customer and key, and for each name it goes by that has limits of its own."""
    await directory.create_customer(NewCustomer("acme"))
    _, plain = await directory.create_key(NewKey("acme", models=("a",), model_limits={"a": {}}))
    _, limited = await directory.create_key(
        NewKey("acme", models=("a", "b"), model_limits={"a": {"usd_total": 1}, "b": {"usd_total": 2}})
    )
    subject = await lookup.find(plain)
    assert subject is not None
    assert subject.scopes is subject.scopes_for("a")
    assert ["customer", "key"] == [scope.kind for scope in subject.scopes]
    subject = await lookup.find(limited)
    assert subject is not None
    found = {
        names: [scope.id for scope in subject.scopes_for(*names) if scope.kind == "model"]
        for names in (("a",), ("c",), ("auto", "b"), ())
    }
    assert {("a",): ["a"], ("c",): [], ("auto", "b"): ["b"], (): []} == found
    assert 2 == len(subject.scopes_for("c"))


async def test_remembered_for_a_second(
    directory: Directory, lookup: Lookup, store: Store, clock: Clock
) -> None:
    """Within a second the store is not asked again, for a known key nor for an unknown one."""
    await directory.create_customer(NewCustomer("acme"))
    _, secret = await directory.create_key(NewKey("acme"))
    assert MISSING is lookup.peek(secret)
    before = await calls(store)
    found = await lookup.find(secret)
    assert found is not None
    assert await lookup.find("unknown") is None
    clock.now += 0.9
    assert found is lookup.peek(secret)
    assert found is await lookup.find(secret)
    assert lookup.peek("unknown") is None
    assert await lookup.find("unknown") is None
    assert before + 2 == await calls(store)
    clock.now += 0.2
    assert MISSING is lookup.peek(secret)
    assert MISSING is lookup.peek("unknown")


async def test_revoked_key(directory: Directory, lookup: Lookup, clock: Clock) -> None:
    """A key deleted, disabled or disabled with its customer is refused once a second has passed."""
    await directory.create_customer(NewCustomer("acme"))
    made = [await directory.create_key(NewKey("acme")) for _ in range(3)]
    for _, secret in made:
        assert await lookup.find(secret) is not None
    await directory.delete_key(made[0][0].id)
    await directory.update_key(made[1][0].id, lambda key: replace(key, disabled=True))
    clock.now += 1
    assert await lookup.find(made[0][1]) is None
    assert "revoked" == lookup.ended(made[0][1])
    assert await lookup.find("test-key-9999-abcdef") is None
    assert lookup.ended("test-key-9999-abcdef") is None
    disabled = await lookup.find(made[1][1])
    assert disabled is not None
    assert "key disabled" == disabled.disabled
    await directory.update_customer("acme", lambda customer: replace(customer, disabled=True))
    clock.now += 1
    disabled = await lookup.find(made[2][1])
    assert disabled is not None
    assert "customer disabled" == disabled.disabled


async def test_own_changes_count_at_once(
    store: Store, directory: Directory, clock: Clock, wall: Clock
) -> None:
    """What the same process has changed is not remembered from before, nor heard from a look-up under way."""
    lookup = Lookup(
        store,
        directory.configured,
        clock_s=clock,
        wall_clock_s=wall,
        key_grace_s=300,
        changes=directory.changes,
    )
    await directory.create_customer(NewCustomer("acme"))
    key, secret = await directory.create_key(NewKey("acme"))
    assert await lookup.find(secret) is not None
    assert MISSING is not lookup.peek(secret)
    await directory.update_customer("acme", lambda customer: replace(customer, limits={"in_flight": 1}))
    assert MISSING is lookup.peek(secret)
    begun = asyncio.ensure_future(lookup.find(secret))
    await asyncio.sleep(0)
    await directory.delete_key(key.id)
    assert await lookup.find(secret) is None
    await begun
    assert await lookup.find(secret) is None
    assert "revoked" == lookup.ended(secret)
    await lookup.close()


async def test_expiry_is_looked_at_each_time(directory: Directory, lookup: Lookup, wall: Clock) -> None:
    """A key expires at its moment, remembered or not."""
    await directory.create_customer(NewCustomer("acme"))
    _, secret = await directory.create_key(NewKey("acme", expires_at="2026-01-01T00:00:10"))
    found = await lookup.find(secret)
    assert found is not None
    assert found.disabled is None
    wall.now += 9.9
    assert found is lookup.peek(secret)
    wall.now += 0.1
    assert replace(found, disabled="key expired") == lookup.peek(secret)
    assert replace(found, disabled="key expired") == await lookup.find(secret)


async def test_equal_lookups_are_one(directory: Directory, lookup: Lookup, store: Store) -> None:
    """A hundred look-ups of one key at once ask once; a caller who leaves takes nothing from the others."""
    await directory.create_customer(NewCustomer("acme"))
    _, secret = await directory.create_key(NewKey("acme"))
    before = await calls(store)
    waiting = [asyncio.ensure_future(lookup.find(secret)) for _ in range(100)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    found = await asyncio.gather(*waiting[1:])
    assert 1 == len({id(subject) for subject in found})
    assert found[0] is not None
    assert before + 1 == await calls(store)
    assert waiting[0].cancelled()


async def test_memory_is_bounded(store: Store, directory: Directory, clock: Clock, wall: Clock) -> None:
    """The oldest are forgotten first; unknown texts push no known key out."""
    lookup = Lookup(
        store,
        directory.configured,
        clock_s=clock,
        wall_clock_s=wall,
        key_grace_s=300,
        known_max=3,
        unknown_max=2,
    )
    await directory.create_customer(NewCustomer("acme"))
    secrets = [(await directory.create_key(NewKey("acme")))[1] for _ in range(4)]
    for secret in secrets:
        await lookup.find(secret)
    for number in range(10):
        assert await lookup.find(f"unknown-{number}") is None
    remembered = [lookup.peek(secret) is not MISSING for secret in secrets]
    assert [False, True, True, True] == remembered
    unknown = [number for number in range(10) if lookup.peek(f"unknown-{number}") is None]
    assert [8, 9] == unknown
    await lookup.close()


async def test_lost_data(directory: Directory, lookup: Lookup, store: Store) -> None:
    """A configured key works though the store has lost everything."""
    await directory.sync_configured(
        [], [ConfiguredKey("k", "acme", digest_of(FILED).hex())], default_limits={}
    )
    await store.call_all("FLUSHALL")
    found = await lookup.find(FILED)
    assert found is not None
    assert ("k", "acme") == (found.key_id, found.customer_id)


async def test_outage(fragile_server: PrivateServer, clock: Clock, wall: Clock) -> None:
    """While the store is away configured keys pass, and those seen within the grace; others do not."""
    store = Store(parse_address(fragile_server.url), timeout_ms=PATIENT_MS)
    await store.open()
    directory = Directory(store, wall_clock_s=wall)
    lookup = Lookup(store, directory.configured, clock_s=clock, wall_clock_s=wall, key_grace_s=300)
    await directory.create_customer(NewCustomer("acme"))
    _, seen = await directory.create_key(NewKey("acme", expires_at="2026-01-01T00:10:00"))
    _, unseen = await directory.create_key(NewKey("acme"))
    _, revoked = await directory.create_key(NewKey("acme", disabled=True))
    await directory.sync_configured(
        [], [ConfiguredKey("k", "filed", digest_of(FILED).hex())], default_limits={"usd_total": 1}
    )
    found = await lookup.find(seen)
    assert await lookup.find(revoked) is not None
    assert await lookup.find("unknown") is None

    fragile_server.kill()
    # The first look-up still finds the store available, the later ones do not: all behave the same.
    clock.now += 300
    for _ in range(2):
        assert found is await lookup.find(seen)
    assert MISSING is lookup.peek(seen)
    still_revoked = await lookup.find(revoked)
    assert still_revoked is not None
    assert "key disabled" == still_revoked.disabled
    filed = await lookup.find(FILED)
    assert filed is not None
    assert {"usd_total": 1} == filed.scopes[0].limits
    for stranger in (unseen, "unknown"):
        with pytest.raises(StoreUnavailable):
            await lookup.find(stranger)
    wall.now += 600
    expired = await lookup.find(seen)
    assert expired is not None
    assert "key expired" == expired.disabled
    clock.now += 0.1
    with pytest.raises(StoreUnavailable):
        await lookup.find(seen)
    assert await lookup.find(FILED) is not None
    await lookup.close()
    await store.close()


async def test_started_in_an_outage(fragile_server: PrivateServer, clock: Clock, wall: Clock) -> None:
    """Configured keys pass from the start, though they could not be written."""
    fragile_server.kill()
    store = Store(parse_address(fragile_server.url), timeout_ms=PATIENT_MS)
    await store.open()
    directory = Directory(store, wall_clock_s=wall)
    lookup = Lookup(store, directory.configured, clock_s=clock, wall_clock_s=wall, key_grace_s=300)
    keys = [ConfiguredKey("k", "acme", digest_of(FILED).hex())]
    with pytest.raises(StoreUnavailable):
        await directory.sync_configured([], keys, default_limits={})
    found = await lookup.find(FILED)
    assert found is not None
    assert found.disabled is None
    await lookup.close()
    await store.close()
