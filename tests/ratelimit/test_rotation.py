"""A key gets another text: both work for a while, then the new one alone; nothing else changes, nothing stays."""

import asyncio
import re
from dataclasses import replace

import pytest

from ratelimit.store.keys import former_secret, previous_secret
from ratelimit.store.store import Store
from ratelimit.subjects.directory import Directory
from ratelimit.subjects.errors import ManagedByFile, NotFound
from ratelimit.subjects.lookup import Lookup
from ratelimit.subjects.records import epoch_s
from ratelimit.subjects.secret import digest_of, looks_like_key
from ratelimit.subjects.types import ConfiguredKey, Key, NewCustomer, NewKey, Subject
from tests.ratelimit.clocks import Clock, Offset

DAY_S = 86_400
KNOWN_S = 30 * DAY_S


@pytest.fixture(autouse=True)
async def _same_time(store: Store, wall: Clock) -> None:
    """The gateway's clock and the server's agree."""
    seconds, _ = await server_time(store)
    wall.now = float(seconds)
    await Directory(store, wall_clock_s=wall).create_customer(NewCustomer("acme"))


async def server_time(store: Store) -> tuple[int, int]:
    reply = await store.call("TIME")
    assert isinstance(reply, list)
    return int(reply[0]), int(reply[1])


async def make(directory: Directory) -> tuple[Key, str]:
    return await directory.create_key(NewKey("acme", "web"))


async def words(store: Store, *secrets: str) -> list[object]:
    """What is kept of texts that are no longer a key's."""
    return [await store.call("GET", former_secret(digest_of(secret).hex())) for secret in secrets]


def seen(subject: Subject | None) -> tuple[str, str | None] | None:
    return None if subject is None else (subject.key_id, subject.disabled)


async def test_both_texts_work_until_the_end(
    directory: Directory, lookup: Lookup, store: Store, clock: Clock, wall: Clock, offset: Offset
) -> None:
    """The text before works until its second has come, remembered or not, then never again; the new one does."""
    key, old = await make(directory)
    before_s, _ = await server_time(store)
    rotated, new = await directory.rotate_key(key.id, overlap_s=DAY_S)
    assert looks_like_key(new)
    assert rotated.previous_until is not None
    until_s = epoch_s(rotated.previous_until)
    assert 0 <= until_s - before_s - DAY_S <= 5
    assert replace(key, digest=digest_of(new).hex(), previous_until=rotated.previous_until) == rotated
    assert rotated == await directory.get_key(key.id)
    assert [(key.id, None)] * 2 == [seen(await lookup.find(secret)) for secret in (old, new)]

    wall.now = until_s - 0.1
    assert (key.id, None) == seen(await lookup.find(old))
    clock.now += 2
    offset.us = (DAY_S - 30) * 1_000_000  # the server's clock, shortly before the end
    assert (key.id, None) == seen(await lookup.find(old))
    wall.now = until_s
    assert (key.id, "key replaced") == seen(await lookup.find(old))
    clock.now += 2  # forgotten: the server, whose clock has not reached the end, gives the key
    assert (key.id, "key replaced") == seen(await lookup.find(old))
    clock.now += 2
    offset.us = DAY_S * 1_000_000 + 5_000_000
    assert await lookup.find(old) is None
    assert "replaced" == lookup.ended(old)
    assert (key.id, None) == seen(await lookup.find(new))
    assert (await directory.get_key(key.id)).previous_until is None
    assert (await directory.list_keys(None, 10)).items[0].previous_until is None


async def test_at_once(directory: Directory, lookup: Lookup, store: Store, clock: Clock) -> None:
    """Without an overlap the text before is refused as soon as it is forgotten, within a second."""
    key, old = await make(directory)
    assert (key.id, None) == seen(await lookup.find(old))
    rotated, new = await directory.rotate_key(key.id, overlap_s=0)
    assert rotated.previous_until is None
    clock.now += 1
    assert await lookup.find(old) is None
    assert "replaced" == lookup.ended(old)
    assert (key.id, None) == seen(await lookup.find(new))
    assert [b"replaced"] == await words(store, old)
    assert KNOWN_S == await store.call("TTL", former_secret(digest_of(old).hex()))


async def test_the_oldest_ends_at_once(directory: Directory, lookup: Lookup, clock: Clock) -> None:
    """Two texts at most: a second rotation during an overlap ends the first one's."""
    key, first = await make(directory)
    _, second = await directory.rotate_key(key.id, overlap_s=DAY_S)
    for secret in (first, second):
        assert (key.id, None) == seen(await lookup.find(secret))
    _, third = await directory.rotate_key(key.id, overlap_s=DAY_S)
    clock.now += 1
    found = [seen(await lookup.find(secret)) for secret in (first, second, third)]
    assert [None, (key.id, None), (key.id, None)] == found
    assert "replaced" == lookup.ended(first)


async def test_rotations_at_once(directory: Directory, lookup: Lookup) -> None:
    """Of many rotations at the same moment each gives a text of its own, and two texts work."""
    key, first = await make(directory)
    made = await asyncio.gather(*(directory.rotate_key(key.id, overlap_s=60) for _ in range(10)))
    secrets = [first, *(secret for _, secret in made)]
    assert 11 == len(set(secrets))
    assert 2 == sum([await lookup.find(secret) is not None for secret in secrets])


async def test_nothing_else_changes(directory: Directory, store: Store) -> None:
    """Every member survives, empty lists and misleading texts included."""
    key, _ = await directory.create_key(
        NewKey(
            "acme",
            name='a "digest":"00" b',
            limits={"usd_total": 0.1},
            models=("digest", "previous_until_s"),
            expires_at="2099-01-01T00:00:00Z",
            disabled=True,
            model_limits={"digest": {"usd_per_day": 1}, "previous_until_s": {}},
            tags=("digest:00",),
        )
    )
    empty, _ = await directory.create_key(NewKey("acme", models=()))
    for made in (key, empty):
        for overlap_s in (60, 0, 60, 60):
            rotated, secret = await directory.rotate_key(made.id, overlap_s=overlap_s)
            expected = replace(made, digest=digest_of(secret).hex(), previous_until=rotated.previous_until)
            assert expected == rotated == await directory.get_key(made.id)
            assert (overlap_s == 0) == (rotated.previous_until is None)
        raw = await store.call("HGET", "hg:{directory}:keys", made.id)
        assert isinstance(raw, bytes)
        assert 1 == len(re.findall(rb',"previous_until_s":\d', raw))


async def test_changes_during_an_overlap(directory: Directory, lookup: Lookup) -> None:
    """A change keeps the overlap, and holds for both texts."""
    key, old = await make(directory)
    rotated, new = await directory.rotate_key(key.id, overlap_s=DAY_S)
    changed = await directory.update_key(
        key.id, lambda each: replace(each, disabled=True, previous_until=None, digest="0" * 64)
    )
    assert replace(rotated, disabled=True) == changed
    for secret in (old, new):
        assert (key.id, "key disabled") == seen(await lookup.find(secret))


@pytest.mark.parametrize("whole_customer", [False, True])
@pytest.mark.parametrize("ended", [False, True])
async def test_deleted(
    directory: Directory, lookup: Lookup, store: Store, offset: Offset, *, whole_customer: bool, ended: bool
) -> None:
    """A key deleted during an overlap or after it takes both texts with it; nothing that is kept names it."""
    key, first = await make(directory)
    _, second = await directory.rotate_key(key.id, overlap_s=60)
    _, third = await directory.rotate_key(key.id, overlap_s=60)
    if ended:
        offset.us = 120_000_000
    await (directory.delete_customer("acme") if whole_customer else directory.delete_key(key.id))
    assert [None] * 3 == [await lookup.find(secret) for secret in (first, second, third)]
    assert [b"replaced", b"revoked", b"revoked"] == await words(store, first, second, third)
    assert ["replaced", "revoked", "revoked"] == [lookup.ended(each) for each in (first, second, third)]
    names = await store.call("KEYS", "*")
    assert isinstance(names, list)
    assert not [name for name in names if key.id.encode() in name]


async def test_what_is_kept_expires(directory: Directory, store: Store) -> None:
    """What tells an ended text from an unknown one is kept for a month after the end, in two small values."""
    key, old = await make(directory)
    await directory.rotate_key(key.id, overlap_s=DAY_S)
    for name in (former_secret(digest_of(old).hex()), previous_secret(key.id)):
        left_s = await store.call("TTL", name)
        assert isinstance(left_s, int)
        assert 0 <= KNOWN_S + DAY_S - left_s <= 5


async def test_refused(directory: Directory, lookup: Lookup) -> None:
    """A key that is not there, or that the file manages, gets no other text."""
    filed = "test-key-0001-abcdef"
    await directory.sync_configured(
        [], [ConfiguredKey("k1", "acme", digest_of(filed).hex())], default_limits={}
    )
    with pytest.raises(ManagedByFile, match="key `k1`"):
        await directory.rotate_key("k1", overlap_s=60)
    assert ("k1", None) == seen(await lookup.find(filed))
    for key_id in ("nobody", "no id", ""):
        with pytest.raises(NotFound):
            await directory.rotate_key(key_id, overlap_s=60)


async def test_the_file_takes_a_key_over(directory: Directory, lookup: Lookup, store: Store) -> None:
    """Neither text of a key works once the configuration file says another for its id."""
    key, old = await make(directory)
    _, new = await directory.rotate_key(key.id, overlap_s=DAY_S)
    filed = "test-key-0001-abcdef"
    await directory.sync_configured(
        [], [ConfiguredKey(key.id, "acme", digest_of(filed).hex())], default_limits={}
    )
    found = [seen(await lookup.find(secret)) for secret in (old, new, filed)]
    assert [None, None, (key.id, None)] == found
    assert None is await store.call("GET", previous_secret(key.id))
