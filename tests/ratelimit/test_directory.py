"""Customers and keys over the API: made, paged, changed, deleted; whole or not at all."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest

from ratelimit.store.keys import DELETED_CUSTOMERS, FILE_HOLDERS, former_secret
from ratelimit.store.store import Store
from ratelimit.subjects.directory import Directory
from ratelimit.subjects.errors import AlreadyExists, InvalidRecord, ManagedByFile, NotFound, UnknownCustomer
from ratelimit.subjects.lookup import Lookup
from ratelimit.subjects.secret import digest_of, looks_like_key
from ratelimit.subjects.types import ConfiguredKey, Customer, Key, NewCustomer, NewKey, Scope
from tests.ratelimit.clocks import Clock
from tests.ratelimit.watching import names_in


def file_key(key_id: str, customer: str, secret: str = "test-key-0001-abcdef") -> ConfiguredKey:
    return ConfiguredKey(key_id, customer, digest_of(secret).hex())


async def everything(store: Store) -> dict[bytes, object]:
    """All that the directory keeps."""
    kept: dict[bytes, object] = {}
    for name in await names_in(store):
        kind = await store.call("TYPE", name)
        commands = {b"hash": ("HGETALL",), b"zset": ("ZRANGE",), b"set": ("SMEMBERS",), b"string": ("GET",)}
        assert isinstance(kind, bytes)
        tail = ("0", "-1") if kind == b"zset" else ()
        kept[name] = await store.call(*commands[kind], name, *tail)
    return kept


def revoked(*secrets: str) -> dict[bytes, object]:
    """What stays of keys that are gone: that there was such a text, and nothing of whom."""
    return {former_secret(digest_of(secret).hex()).encode(): b"revoked" for secret in secrets}


async def test_customer_is_kept_whole(directory: Directory) -> None:
    """What was stored of a customer is read back, with the time it was made."""
    new = NewCustomer(
        "acme",
        "Acme",
        limits={"usd_per_month": 12.5, "requests_per_minute": 60},
        models=("balanced", "gpt-5-mini"),
        priority="high",
        metadata={"team": "blue", "depth": {"list": [1, None]}},
        tags=("team:blue", "a/b=c"),
        on_soft_limit="lower",
        regions=("eu", "CH"),
    )
    made = await directory.create_customer(new)
    expected = Customer(
        "acme",
        "Acme",
        {"usd_per_month": 12.5, "requests_per_minute": 60},
        ("balanced", "gpt-5-mini"),
        "high",
        {"team": "blue", "depth": {"list": [1, None]}},
        disabled=False,
        managed="api",
        created_at="2026-01-01T00:00:00Z",
        tags=("team:blue", "a/b=c"),
        on_soft_limit="lower",
        regions=("eu", "CH"),
    )
    assert expected == made
    assert expected == await directory.get_customer("acme")


async def test_key_is_shown_once(directory: Directory, store: Store) -> None:
    """A key's text is returned when it is made and is kept nowhere; not even its digest is shown."""
    await directory.create_customer(NewCustomer("acme"))
    key, secret = await directory.create_key(NewKey("acme", "web", {"requests_per_minute": 5}, ("a",)))
    assert looks_like_key(secret)
    assert key == await directory.get_key(key.id)
    assert secret not in repr(await everything(store))
    assert key.digest not in repr(key)
    assert key.digest not in repr(key.public())
    assert digest_of(secret).hex() == key.digest


async def test_existing_id(directory: Directory) -> None:
    """A second customer of the same id is refused and changes nothing; of many at once, one is made."""
    made = await directory.create_customer(NewCustomer("acme", "first"))
    with pytest.raises(AlreadyExists, match="customer `acme`"):
        await directory.create_customer(NewCustomer("acme", "second"))
    assert made == await directory.get_customer("acme")
    outcomes = await asyncio.gather(
        *(directory.create_customer(NewCustomer("race", str(number))) for number in range(20)),
        return_exceptions=True,
    )
    assert 19 == sum(isinstance(outcome, AlreadyExists) for outcome in outcomes)


async def test_key_for_nobody(directory: Directory, store: Store) -> None:
    """A key needs a customer; without one nothing is stored."""
    for customer in ("nobody", "not an id"):
        with pytest.raises(UnknownCustomer):
            await directory.create_key(NewKey(customer))
    assert {} == await everything(store)


@pytest.mark.parametrize("record_id", ["", "a b", "a{b", "a}b", "a\nb", "x" * 129, "\ud800"])
async def test_ids(directory: Directory, record_id: str) -> None:
    """An id that could not be told apart in an index is refused, and is not found."""
    with pytest.raises(InvalidRecord, match="id"):
        await directory.create_customer(NewCustomer(record_id))
    with pytest.raises(NotFound):
        await directory.get_customer(record_id)
    with pytest.raises(NotFound):
        await directory.delete_key(record_id)


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), True, "5"])
async def test_limits_are_numbers(directory: Directory, value: float) -> None:
    """A limit that is no number >= 0 is refused by name, on making and on changing."""
    with pytest.raises(InvalidRecord, match=r"limits\.usd_total"):
        await directory.create_customer(NewCustomer("acme", limits={"usd_total": value}))
    await directory.create_customer(NewCustomer("acme"))
    with pytest.raises(InvalidRecord, match=r"limits\.usd_total"):
        await directory.update_customer("acme", lambda old: replace(old, limits={"usd_total": value}))
    with pytest.raises(InvalidRecord, match=r"limits\.usd_total"):
        await directory.create_key(NewKey("acme", limits={"usd_total": value}))


async def test_members_that_cannot_be_stored(directory: Directory) -> None:
    """Metadata that is no JSON and a time that is none are refused."""
    with pytest.raises(InvalidRecord):
        await directory.create_customer(NewCustomer("acme", metadata={"thing": object()}))
    await directory.create_customer(NewCustomer("acme"))
    with pytest.raises(InvalidRecord, match="expires_at"):
        await directory.create_key(NewKey("acme", expires_at="tomorrow"))


@pytest.mark.parametrize("tags", [("",), ("a b",), ("x" * 65,), ("é",), ("a",) * 9])
async def test_tags(directory: Directory, tags: tuple[str, ...]) -> None:
    """A tag that is none, or too many of them, are refused by name."""
    with pytest.raises(InvalidRecord, match="tags"):
        await directory.create_customer(NewCustomer("acme", tags=tags))
    await directory.create_customer(NewCustomer("acme", tags=("x" * 64, "aZ09_.:/=-")))
    with pytest.raises(InvalidRecord, match="tags"):
        await directory.create_key(NewKey("acme", tags=tags))


async def test_priorities(directory: Directory) -> None:
    """There are three."""
    with pytest.raises(InvalidRecord, match="priority"):
        await directory.create_customer(NewCustomer("acme", priority="gold"))


async def test_soft_limits(directory: Directory, lookup: Lookup) -> None:
    """There are two rules, and a key's subject has its customer's."""
    with pytest.raises(InvalidRecord, match="on_soft_limit"):
        await directory.create_customer(NewCustomer("acme", on_soft_limit="raise"))
    for rule in ("keep", "lower"):
        await directory.create_customer(NewCustomer(rule, on_soft_limit=rule))
        _, secret = await directory.create_key(NewKey(rule))
        subject = await lookup.find(secret)
        assert subject is not None
        assert rule == subject.on_soft_limit


async def test_limits_of_single_models(directory: Directory) -> None:
    """They are kept with their name, shown in the form they were given in, and checked as others are."""
    await directory.create_customer(NewCustomer("acme"))
    limits = {"b": {"usd_per_day": 5}, "a": {}}
    key, _ = await directory.create_key(NewKey("acme", models=("b", "a"), model_limits=limits))
    assert key == await directory.get_key(key.id)
    assert limits == key.public()["models"]
    listed, _ = await directory.create_key(NewKey("acme", models=("b", "a")))
    assert ["b", "a"] == (await directory.get_key(listed.id)).public()["models"]
    for wrong, named in (({"b": {"usd_total": -1}}, r"models\.b\.usd_total"), ({"c": {}}, r"models\.c")):
        with pytest.raises(InvalidRecord, match=named):
            await directory.create_key(NewKey("acme", models=("b", "a"), model_limits=wrong))


async def test_records_of_earlier_versions(directory: Directory, lookup: Lookup, store: Store) -> None:
    """What was stored before tags, limits of models and rotation works as it did; a word that was no priority
    is the usual one, and members nobody knows are passed over."""
    secret = "test-key-0009-abcdef"
    digest = digest_of(secret).hex()
    customer = (
        b'{"created_at":"2025-01-01T00:00:00Z","disabled":false,"id":"acme","limits":{"usd_total":5},"managed":"api",'
        b'"metadata":{"a":[]},"models":[],"name":"Acme","priority":"gold","unknown":1}'
    )
    key = (
        b'{"created_at":"2025-01-01T00:00:00Z","customer":"acme","digest":"%s","disabled":false,"expires_at":null,'
        b'"id":"k","limits":{},"managed":"api","models":["a"],"name":"web"}' % digest.encode()
    )
    await store.call("HSET", "hg:{directory}:customers", "acme", customer)
    await store.call("HSET", "hg:{directory}:keys", "k", key)
    await store.call("HSET", "hg:{directory}:digests", digest, "k")
    subject = await lookup.find(secret)
    assert subject is not None
    assert ("normal", (), {}, (), ("a",)) == (
        subject.priority,
        subject.tags,
        subject.key_model_limits,
        subject.customer_models,
        subject.key_models,
    )
    stored = await directory.get_key("k")
    assert ({}, (), None) == (stored.model_limits, stored.tags, stored.previous_until)
    changed = await directory.update_customer("acme", lambda old: replace(old, tags=("t",)))
    assert ("normal", ("t",), {"a": []}) == (changed.priority, changed.tags, changed.metadata)
    assert "keep" == changed.on_soft_limit
    rotated, _ = await directory.rotate_key("k", overlap_s=60)
    assert replace(stored, digest=rotated.digest, previous_until=rotated.previous_until) == rotated


async def test_customer_pages(directory: Directory) -> None:
    """Pages in order of id, each record once, no cursor on the last."""
    ids = ["a", "a-1", "a.2", "b", "Z", "zoë"]
    for customer_id in ids:
        await directory.create_customer(NewCustomer(customer_id))
    seen: list[str] = []
    cursors: list[str | None] = []
    after: str | None = None
    while True:
        page = await directory.list_customers(after, 2)
        seen += [customer.id for customer in page.items]
        after = page.next_cursor
        cursors.append(after)
        if after is None:
            break
    assert sorted(ids) == seen
    assert ["a", "a.2", None] == cursors
    behind_all = await directory.list_customers("zoë", 10)
    assert () == behind_all.items
    with pytest.raises(ValueError, match="limit"):
        await directory.list_customers(None, 0)


async def test_key_pages(directory: Directory) -> None:
    """Keys are listed for all customers or for one; a customer whose id begins alike is another."""
    made: dict[str, list[str]] = {"a": [], "a!": [], "ab": []}
    for customer_id, ids in made.items():
        await directory.create_customer(NewCustomer(customer_id))
        for _ in range(3):
            ids.append((await directory.create_key(NewKey(customer_id)))[0].id)
    everyone = await directory.list_keys(None, 100)
    assert sorted(itertools.chain.from_iterable(made.values())) == [key.id for key in everyone.items]
    for customer_id, ids in made.items():
        first = await directory.list_keys(None, 2, customer_id=customer_id)
        rest = await directory.list_keys(first.next_cursor, 2, customer_id=customer_id)
        assert sorted(ids) == [key.id for key in (*first.items, *rest.items)]
        assert rest.next_cursor is None
    assert () == (await directory.list_keys(None, 5, customer_id="nobody")).items


async def test_changes(directory: Directory) -> None:
    """A change is stored; what names a record and where it came from stays."""
    await directory.create_customer(NewCustomer("acme", "old"))
    key, _ = await directory.create_key(NewKey("acme"))

    def rename(customer: Customer) -> Customer:
        return replace(customer, id="x", name="new", managed="file", created_at="never", disabled=True)

    def move(key: Key) -> Key:
        return replace(key, id="x", customer="x", digest="0" * 64, name="new", managed="file", created_at="")

    customer = await directory.update_customer("acme", rename)
    assert ("acme", "new", "api", True) == (customer.id, customer.name, customer.managed, customer.disabled)
    assert customer == await directory.get_customer("acme")
    changed = await directory.update_key(key.id, move)
    assert replace(key, name="new") == changed
    assert changed == await directory.get_key(key.id)
    for change in (directory.update_customer("nobody", rename), directory.update_key("none", move)):
        with pytest.raises(NotFound):
            await change


async def test_no_change_is_lost(directory: Directory) -> None:
    """Changes made at once by several administrators all hold."""
    await directory.create_customer(NewCustomer("acme"))

    def adding(name: str) -> Callable[[Customer], Customer]:
        return lambda old: replace(old, limits={**old.limits, name: 1})

    await asyncio.gather(*(directory.update_customer("acme", adding(f"limit-{n}")) for n in range(8)))
    assert {f"limit-{n}" for n in range(8)} == set((await directory.get_customer("acme")).limits)


async def test_deleted_key_leaves_nothing(directory: Directory, lookup: Lookup, store: Store) -> None:
    """Nothing is kept of a deleted key but that its text is revoked, for a month; it opens nothing."""
    await directory.create_customer(NewCustomer("acme"))
    before = await everything(store)
    key, secret = await directory.create_key(NewKey("acme"))
    await directory.delete_key(key.id)
    assert {**before, **revoked(secret)} == await everything(store)
    assert 30 * 86_400 == await store.call("TTL", next(iter(revoked(secret))))
    assert await lookup.find(secret) is None
    assert "revoked" == lookup.ended(secret)
    with pytest.raises(NotFound):
        await directory.delete_key(key.id)
    with pytest.raises(NotFound):
        await directory.get_key(key.id)


async def test_deleted_customer_takes_its_keys(directory: Directory, lookup: Lookup, store: Store) -> None:
    """Of a deleted customer the id is kept, of its keys that their texts are revoked; others keep theirs."""
    await directory.create_customer(NewCustomer("ab"))
    _, other = await directory.create_key(NewKey("ab"))
    before = await everything(store)
    await directory.create_customer(NewCustomer("a"))
    secrets = [(await directory.create_key(NewKey("a")))[1] for _ in range(3)]
    await directory.delete_customer("a")
    deleted = {DELETED_CUSTOMERS.encode(): [b"a"]}
    assert {**before, **revoked(*secrets), **deleted} == await everything(store)
    assert [None] * 3 == [await lookup.find(secret) for secret in secrets]
    assert await lookup.find(other) is not None
    with pytest.raises(NotFound):
        await directory.delete_customer("a")


async def test_file_is_read_only(directory: Directory, store: Store) -> None:
    """What the configuration file holds cannot be changed or deleted over the API, nor lose its customer."""
    await directory.create_customer(NewCustomer("made"))
    await directory.sync_configured(
        [NewCustomer("filed")],
        [file_key("k1", "filed"), file_key("k2", "made", "test-key-0002-abcdef")],
        default_limits={},
    )
    before = await everything(store)
    with pytest.raises(ManagedByFile, match="customer `filed`"):
        await directory.update_customer("filed", lambda old: old)
    with pytest.raises(ManagedByFile, match="customer `filed`"):
        await directory.delete_customer("filed")
    with pytest.raises(ManagedByFile, match="key `k1`"):
        await directory.update_key("k1", lambda old: old)
    with pytest.raises(ManagedByFile, match="key `k1`"):
        await directory.delete_key("k1")
    await directory.create_key(NewKey("filed"))  # making another key for a filed customer is allowed
    with pytest.raises(ManagedByFile, match="key `k2`"):
        await directory.delete_customer("made")
    assert before.keys() == (await everything(store)).keys()
    assert "made" == (await directory.get_key("k2")).customer


async def test_file_wins(directory: Directory, lookup: Lookup) -> None:
    """A record of the file replaces one of its id made over the API; an implied customer replaces none."""
    await directory.create_customer(NewCustomer("acme", "made", limits={"usd_total": 1}))
    await directory.create_customer(NewCustomer("other", "made"))
    await directory.sync_configured(
        [NewCustomer("acme", "filed")],
        [
            file_key("k1", "acme"),
            file_key("k2", "other", "test-key-0002-abcdef"),
            file_key("k3", "implied", "test-key-0003-abcdef"),
        ],
        default_limits={"requests_per_minute": 7},
    )
    acme = await directory.get_customer("acme")
    assert ("filed", "file", {}) == (acme.name, acme.managed, acme.limits)
    other = await directory.get_customer("other")
    assert ("made", "api", {}) == (other.name, other.managed, other.limits)
    await directory.sync_configured(
        [NewCustomer("acme", "filed")],
        [file_key("k3", "implied", "test-key-0003-abcdef")],
        default_limits={"requests_per_minute": 7},
        named_only=["implied", "of-a-key-left-out", "other", "acme"],
    )
    kept = await directory.get_customer("other")
    assert ("made", "api", False) == (kept.name, kept.managed, kept.disabled)
    left = await directory.get_customer("of-a-key-left-out")
    assert ("file", {"requests_per_minute": 7}, False) == (left.managed, left.limits, left.disabled)
    assert "filed" == (await directory.get_customer("acme")).name
    implied = await directory.get_customer("implied")
    assert ("file", {"requests_per_minute": 7}) == (implied.managed, implied.limits)
    subject = await lookup.find("test-key-0003-abcdef")
    assert subject is not None
    assert ("k3", Scope("customer", "implied", {"requests_per_minute": 7})) == (
        subject.key_id,
        subject.scopes[0],
    )


async def test_sync_is_idempotent(directory: Directory, store: Store, wall: Clock) -> None:
    """The same file again, later, and from several gateways at once, leaves the store as it was."""
    customers = [NewCustomer(f"c{number}", limits={"usd_total": 1.5}) for number in range(450)]
    keys = [file_key(f"k{number}", f"c{number}", f"test-key-{number:04}-abcdef") for number in range(450)]
    await directory.sync_configured(customers, keys, default_limits={})
    before = await everything(store)
    wall.now += 1000
    others = [Directory(store, wall_clock_s=wall) for _ in range(3)]
    await asyncio.gather(*(each.sync_configured(customers, keys, default_limits={}) for each in others))
    after = await everything(store)
    assert before.keys() == after.keys()
    holders, held = before.pop(FILE_HOLDERS.encode()), after[FILE_HOLDERS.encode()]
    assert isinstance(holders, list)
    assert isinstance(held, list)
    assert (2, 8) == (len(holders), len(held))  # a field and a value for each gateway
    assert 1 == len({value.split()[1] for value in held[1::2]})
    for name, kept in before.items():
        again = after[name]
        assert isinstance(kept, list)
        assert isinstance(again, list)
        assert sorted(kept) == sorted(again)


async def test_removed_from_the_file(directory: Directory, lookup: Lookup, clock: Clock) -> None:
    """A record no longer in the file is disabled, may then be deleted, and works again when it returns."""
    keys = [file_key("k1", "acme"), file_key("k2", "gone", "test-key-0002-abcdef")]
    await directory.sync_configured([], keys, default_limits={})
    await directory.sync_configured([], keys[:1], default_limits={})
    subject = await lookup.find("test-key-0002-abcdef")
    assert subject is not None
    assert "customer disabled" == subject.disabled
    assert (await directory.get_key("k2")).disabled
    assert not (await directory.get_key("k1")).disabled
    await directory.sync_configured([], keys, default_limits={})
    clock.now += 2
    subject = await lookup.find("test-key-0002-abcdef")
    assert subject is not None
    assert subject.disabled is None
    await directory.sync_configured([], keys[:1], default_limits={})
    await directory.delete_key("k2")
    await directory.delete_customer("gone")
    clock.now += 2
    assert await lookup.find("test-key-0002-abcdef") is None


async def test_filed_key_changes(
    directory: Directory, lookup: Lookup, store: Store, clock: Clock, wall: Clock
) -> None:
    """A key of the file that gets another secret, customer or id works under that alone."""
    await directory.sync_configured([], [file_key("k1", "a", "test-key-0001-abcdef")], default_limits={})
    await directory.sync_configured([], [file_key("k1", "b", "test-key-0002-abcdef")], default_limits={})
    assert await lookup.find("test-key-0001-abcdef") is None
    subject = await lookup.find("test-key-0002-abcdef")
    assert subject is not None
    assert "b" == subject.customer_id
    assert () == (await directory.list_keys(None, 5, customer_id="a")).items
    await directory.sync_configured([], [file_key("k2", "b", "test-key-0002-abcdef")], default_limits={})
    await directory.delete_key("k1")
    # Asked by a gateway without that file: one that has it would answer from memory.
    stranger = Lookup(
        store,
        Directory(store, wall_clock_s=wall).configured,
        clock_s=clock,
        wall_clock_s=wall,
        key_grace_s=300,
    )
    subject = await stranger.find("test-key-0002-abcdef")
    await stranger.close()
    assert subject is not None
    assert ("k2", None) == (subject.key_id, subject.disabled)


@pytest.mark.parametrize(
    ("customers", "keys", "named"),
    [
        ([NewCustomer("a b")], [], "id"),
        ([NewCustomer("a"), NewCustomer("a")], [], "twice"),
        ([], [file_key("k", "a"), file_key("k", "a", "test-key-0002-abcdef")], "twice"),
        ([], [file_key("k1", "a"), file_key("k2", "a")], "same as that of `k2`"),
        ([], [ConfiguredKey("k", "a", "test-key-0001-abcdef")], "digest"),
        ([], [file_key("k", "a b")], "id"),
    ],
)
async def test_impossible_files(
    directory: Directory,
    store: Store,
    customers: list[NewCustomer],
    keys: list[ConfiguredKey],
    named: str,
) -> None:
    """A file that cannot be stored is refused whole."""
    with pytest.raises(InvalidRecord, match=named):
        await directory.sync_configured(customers, keys, default_limits={})
    assert {} == await everything(store)
    assert not directory.configured.holds_key("k1")


async def test_deleted_customers_stay_known(directory: Directory, wall: Clock) -> None:
    """What was counted for them can be found until they are forgotten, and goes on when they are made again."""
    names = ["a", "b", "c", "d"]
    for name in names:
        await directory.create_customer(NewCustomer(name))
    for name in ("a", "c", "d"):
        await directory.delete_customer(name)
    assert names == await directory.known.ids(None)
    assert ["c", "d"] == await directory.known.ids("b")
    assert [] == await directory.known.ids("d")
    assert [True, True, False] == [await directory.known.has(name) for name in ("a", "b", "x")]
    await directory.create_customer(NewCustomer("c"))
    await directory.sync_configured([NewCustomer("d")], [], default_limits={})
    assert [] == await directory.known.deleted_before(wall())
    await directory.known.forget_deleted(wall())
    assert ["a"] == await directory.known.deleted_before(wall() + 1)
    assert await directory.known.has("a")
    await directory.known.forget_deleted(wall() + 1)
    assert ["b", "c", "d"] == await directory.known.ids(None)
    assert not await directory.known.has("a")
