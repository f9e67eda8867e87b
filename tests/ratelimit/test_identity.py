"""A store that has lost its data, or is another one, is not used until an operator accepts it."""

import asyncio
import stat
from pathlib import Path

import orjson
import pytest

from ratelimit.store import keys as spelled
from ratelimit.store.address import parse_address
from ratelimit.store.embedded import EmbeddedServer
from ratelimit.store.errors import StoreRefused, StoreUnavailable
from ratelimit.store.identity import Identity, Mark, decode_mark, encode_mark, new_mark
from ratelimit.store.store import Store
from tests.ratelimit.clocks import PATIENT_MS
from tests.ratelimit.watching import Watch, opened
from tests.support.valkey import PrivateServer


async def mark_of(store: Store) -> Mark:
    raw = await store.call("GET", spelled.IDENTITY)
    assert isinstance(raw, bytes)
    mark = decode_mark(raw)
    assert mark is not None
    return mark


async def until_refused(store: Store) -> None:
    """Until the store says that it has been asked to accept another one."""
    async with asyncio.timeout(20):
        while "accept it with `headgate store accept`" not in str(store.down_reason):  # noqa: ASYNC110 - a reason that changes tells nobody
            await asyncio.sleep(0.01)


async def test_first_store_gets_an_identity(fragile_server: PrivateServer) -> None:
    """A store that had none is marked once; gateways that come later take the mark as it is."""
    async with opened(fragile_server.url, Watch(), PATIENT_MS) as store:
        first = await mark_of(store)
        assert -1 == await store.call("TTL", spelled.IDENTITY)
    async with opened(fragile_server.url, Watch(), PATIENT_MS) as store:
        assert first == await mark_of(store)


async def test_racing_gateways_agree(fragile_server: PrivateServer) -> None:
    """Gateways that start together on an empty store remember the same mark."""
    stores = [Store(parse_address(fragile_server.url), timeout_ms=PATIENT_MS) for _ in range(20)]
    await asyncio.gather(*(store.open() for store in stores))
    assert 1 == len({store._identity.remembered for store in stores})
    await asyncio.gather(*(store.close() for store in stores))


async def test_store_that_comes_back_empty(fragile_server: PrivateServer) -> None:
    """Told once; calls fail unsent; accepting brings it up at once, and every other gateway by itself."""
    watch, other = Watch(), Watch()
    async with (
        opened(fragile_server.url, watch, PATIENT_MS) as store,
        opened(fragile_server.url, other, PATIENT_MS) as second,
    ):
        old = await mark_of(store)
        fragile_server.kill()
        fragile_server.start()
        for each in (store, second):
            await until_refused(each)
            assert not each.available
        with pytest.raises(StoreUnavailable, match="has lost its data, or is another one"):
            await store.call("SET", "a", "b")
        assert await store.accept()
        assert store.available
        assert await store.call("GET", "a") is None
        await other.until("down", "up")
        new = await mark_of(second)
        assert (old.id,) == new.accepts
        assert old.id != new.id
        assert not await second.accept()
        await watch.until("down", "up")


async def test_old_data_that_come_back(tmp_path: Path) -> None:
    """When the lost data are restored the store is used again without a word of anybody."""
    watch = Watch()
    with PrivateServer(appendonly=True) as server:
        async with opened(server.url, watch, PATIENT_MS) as store:
            # Otherwise a write may still wait for a busy disk when the server is killed.
            await store.call("CONFIG", "SET", "appendfsync", "always")
            await store.call("SET", "a", "b")
            server.kill()
            data = server.socket_path.parent / "appendonlydir"
            data.rename(tmp_path / "aside")
            server.start()
            await until_refused(store)
            server.kill()
            for path in data.iterdir():
                path.unlink()
            data.rmdir()
            (tmp_path / "aside").rename(data)
            server.start()
            await watch.until("down", "up")
            assert b"b" == await store.call("GET", "a")


def files_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


async def test_restarted_gateway_notices(fragile_server: PrivateServer, tmp_path: Path) -> None:
    """With an identity file a gateway notices at its start; after accepting it starts as ever."""
    file, watch = tmp_path / "store-identity", Watch()
    async with opened(fragile_server.url, Watch(), PATIENT_MS, identity_file=file):
        assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    fragile_server.kill()
    fragile_server.start()
    async with opened(fragile_server.url, watch, PATIENT_MS, identity_file=file) as store:
        assert not store.available
        await watch.until("down")
        assert "accept it with" in watch.reasons[0]
        assert await store.accept()
        await watch.until("down", "up")
    again = Watch()
    async with opened(fragile_server.url, again, PATIENT_MS, identity_file=file) as store:
        assert store.available
        assert orjson.loads(file.read_bytes())["id"] == (await mark_of(store)).id
    assert [] == again.told
    assert ["store-identity"] == files_in(tmp_path)


async def test_another_store(
    shared_server: PrivateServer, fragile_server: PrivateServer, tmp_path: Path
) -> None:
    """Another store is noticed; accepting it keeps its own identity, so that its own gateways go on."""
    file = tmp_path / "store-identity"
    async with opened(fragile_server.url, Watch(), PATIENT_MS, identity_file=file) as store:
        ours = await mark_of(store)
    async with opened(shared_server.url, Watch(), PATIENT_MS) as store:
        await store.call("FLUSHALL")
    async with opened(shared_server.url, Watch(), PATIENT_MS) as native:
        theirs = await mark_of(native)
        async with opened(shared_server.url, Watch(), PATIENT_MS, identity_file=file) as stranger:
            assert not stranger.available
            assert await stranger.accept()
            assert Mark(theirs.id, (ours.id,)) == await mark_of(stranger)
            assert not await native.accept()
        later, file_of_later = new_mark(()), tmp_path / "later"
        file_of_later.write_bytes(encode_mark(later))
        async with opened(shared_server.url, Watch(), PATIENT_MS, identity_file=file_of_later) as stranger:
            assert await stranger.accept()
            assert Mark(theirs.id, (later.id, ours.id)) == await mark_of(stranger)


async def test_accepting_at_once_from_everywhere(fragile_server: PrivateServer) -> None:
    """Gateways that accept together agree on one identity, and each keeps one connection."""
    stores = [Store(parse_address(fragile_server.url), timeout_ms=PATIENT_MS) for _ in range(5)]
    for store in stores:
        await store.open()
    fragile_server.kill()
    fragile_server.start()
    for store in stores:
        await until_refused(store)
    changed = await asyncio.gather(*(store.accept() for store in stores for _ in range(3)))
    assert 1 == changed.count(True)
    assert {True} == {store.available for store in stores}
    assert 1 == len({store._identity.remembered for store in stores})
    clients = await stores[0].call("CLIENT", "LIST")
    assert isinstance(clients, bytes)
    assert len(stores) == len(clients.splitlines())
    await asyncio.gather(*(store.close() for store in stores))


async def test_identity_that_is_none(fragile_server: PrivateServer) -> None:
    """A mark that somebody has overwritten counts as lost, and accepting replaces it."""
    watch = Watch()
    async with opened(fragile_server.url, watch, PATIENT_MS) as store:
        await store.call("SET", spelled.IDENTITY, "nonsense")
        await store.call("CLIENT", "KILL", "SKIPME", "no", "TYPE", "normal")
        await until_refused(store)
        assert await store.accept()
        await mark_of(store)


async def test_accepting_nobody(fragile_server: PrivateServer) -> None:
    """With nobody there, or nothing ever remembered, there is nothing to accept."""
    async with opened(fragile_server.url, Watch(), PATIENT_MS) as store:
        assert not await store.accept()
        fragile_server.kill()
        with pytest.raises(StoreUnavailable):
            await store.accept()
    async with opened(fragile_server.url, Watch(), PATIENT_MS) as store:
        with pytest.raises(StoreUnavailable):
            await store.accept()
        fragile_server.start()
        assert not await store.accept()
        assert store.available


async def test_emptied_under_a_living_connection(fragile_server: PrivateServer) -> None:
    """FLUSHALL is an operator's own word: a living connection goes on."""
    watch = Watch()
    async with opened(fragile_server.url, watch, PATIENT_MS) as store:
        await store.call("FLUSHALL")
        assert b"OK" == await store.call("SET", "a", "b")
        assert await store.accept()
        assert store.available
    assert [] == watch.told


async def test_full_store_is_marked_later(fragile_server: PrivateServer) -> None:
    """A store that takes no writes at first is used for reading, and marked at a later log-in."""
    watch = Watch()
    async with opened(fragile_server.url, watch, PATIENT_MS) as store:
        await store.call("FLUSHALL")
        await store.call("CONFIG", "SET", "maxmemory", "1")
    async with opened(fragile_server.url, watch, PATIENT_MS) as store:
        assert await store.call("GET", spelled.IDENTITY) is None
        await store.call("CONFIG", "SET", "maxmemory", "0")
    async with opened(fragile_server.url, watch, PATIENT_MS) as store:
        await mark_of(store)
    assert [] == watch.told


def test_embedded_store_that_lost_its_data(tmp_path: Path) -> None:
    """The embedded store is no exception."""
    file = tmp_path / "store-identity"

    async def opens(server: EmbeddedServer) -> bool:
        async with opened(f"unix://{server.address.path}", Watch(), PATIENT_MS, identity_file=file) as store:
            return store.available

    for data, expected in (("a", True), ("a", True), ("b", False)):
        server = EmbeddedServer(tmp_path / data)
        server.start()
        try:
            assert expected == asyncio.run(opens(server))
        finally:
            server.stop()


async def test_unusable_identity_file(fragile_server: PrivateServer, tmp_path: Path) -> None:
    """A file that cannot be read or written is said at the start, with its path."""
    nonsense = tmp_path / "nonsense"
    nonsense.write_text("{}")
    for file in (nonsense, tmp_path, tmp_path / "not" / "there"):
        store = Store(parse_address(fragile_server.url), timeout_ms=PATIENT_MS, identity_file=file)
        with pytest.raises(StoreRefused, match=str(file)):
            await store.open()
        await store.close()


def test_history_is_bounded_and_followed() -> None:
    """A mark that accepts an earlier one is followed, however many acceptances were slept through, up to 16."""
    identity = Identity(None)
    marks = [new_mark(())]
    for _ in range(20):
        identity.remembered = marks[-1]
        marks.append(identity.successor())
    assert 16 == len(marks[-1].accepts)
    for number, mark in enumerate(marks[:-1]):
        sleeper = Identity(None)
        sleeper.remembered = mark
        if len(marks) - 1 - number <= 16:
            sleeper.check(encode_mark(marks[-1]), "store")
            assert marks[-1] == sleeper.remembered
        else:
            with pytest.raises(StoreUnavailable):
                sleeper.check(encode_mark(marks[-1]), "store")
