"""The store: replies to the right caller, bounded time, scripts, and being away and back."""

import asyncio
import hashlib
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import uvloop

from ratelimit.store.address import parse_address
from ratelimit.store.errors import StoreFault, StoreRefused, StoreUnavailable
from ratelimit.store.link import Link
from ratelimit.store.scripts import Script
from ratelimit.store.store import Store
from tests.ratelimit.clocks import PATIENT_MS
from tests.ratelimit.watching import SLACK_S, Watch, opened
from tests.support.valkey import PrivateServer

IMPATIENT_MS: Final = 60
AWAY_TURNS: Final = 4


def link_of(store: Store) -> Link:
    assert isinstance(store._topology, Link)
    return store._topology


def script(source: bytes) -> Script:
    return Script("test", source, hashlib.sha1(source, usedforsecurity=False).hexdigest().encode())


async def test_concurrent_replies_reach_their_callers(store: Store) -> None:
    """A thousand calls at once each get their own reply."""
    replies = await asyncio.gather(*(store.call("ECHO", str(number)) for number in range(1000)))
    assert [str(number).encode() for number in range(1000)] == replies


async def test_one_write_per_tick(shared_server: PrivateServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of one loop tick leave in one write."""
    written: list[bytes] = []
    async with opened(shared_server.url, Watch(), PATIENT_MS) as store:
        connection = link_of(store)._connection
        assert connection is not None
        transport = connection._transport
        assert transport is not None
        write = transport.write

        class Recorder:
            def write(self, data: bytes) -> None:
                written.append(data)
                write(data)

        monkeypatch.setattr(connection, "_transport", Recorder())
        await asyncio.gather(*(store.call("PING") for _ in range(10)))
        monkeypatch.setattr(connection, "_transport", transport)
    assert [b"*1\r\n$4\r\nPING\r\n" * 10] == written


async def test_cancelled_call_does_not_shift_replies(store: Store) -> None:
    """The reply to a caller who has left is dropped; those behind get their own."""
    left = asyncio.ensure_future(store.call("ECHO", "left"))
    stays = asyncio.ensure_future(store.call("ECHO", "stays"))
    await asyncio.sleep(0)
    left.cancel()
    assert b"stays" == await stays
    assert b"next" == await store.call("ECHO", "next")
    with pytest.raises(asyncio.CancelledError):
        await left


async def test_large_and_binary_values(store: Store) -> None:
    """Arguments and replies of megabytes and of any bytes pass unchanged."""
    value = bytes(range(256)) * 20_000
    await store.call("SET", "large", value)
    assert value == await store.call("GET", "large")


async def test_script_forgotten_by_the_server(store: Store) -> None:
    """After SCRIPT FLUSH a script runs all the same, once, and is known by its digest again."""
    counts = script(b"return redis.call('INCRBY', KEYS[1], ARGV[1])")
    assert 2 == await store.run(counts, ("count",), (2,))
    await store.call_all("SCRIPT", "FLUSH")
    assert 4 == await store.run(counts, ("count",), (2,))
    assert [1] in await store.call_all("SCRIPT", "EXISTS", counts.sha1)


async def test_wrong_commands_are_faults(store: Store) -> None:
    """A command or script that is wrong raises StoreFault with the server's words and is no outage."""
    with pytest.raises(StoreFault, match="NOSUCH"):
        await store.call("NOSUCH")
    with pytest.raises(StoreFault, match=r"^test: "):
        await store.run(script(b"return redis.call('GET')"), (), ())
    assert store.available


async def test_read_only_server_is_an_outage(fragile_server: PrivateServer) -> None:
    """A master that becomes a replica is left, and found again when it is a master once more."""
    watch = Watch()
    async with opened(fragile_server.url, watch, PATIENT_MS) as store:
        await store.call("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(StoreUnavailable, match="READONLY"):
            await store.call("SET", "a", "b")
        assert not store.available
        await watch.until("down")
        async with opened_raw(fragile_server) as send:
            await send(b"REPLICAOF NO ONE\r\n")
        await watch.until("down", "up")
        assert b"OK" == await store.call("SET", "a", "b")


@asynccontextmanager
async def opened_raw(server: PrivateServer) -> AsyncIterator["Send"]:
    reader, writer = await asyncio.open_unix_connection(str(server.socket_path))
    yield Send(reader, writer)
    writer.close()
    await writer.wait_closed()


@dataclass
class Send:
    """An operator at a terminal: a line out, a line in."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def __call__(self, line: bytes) -> bytes:
        self.writer.write(line)
        return await self.reader.readline()


async def test_hung_server(fragile_server: PrivateServer) -> None:
    """A hung server costs one time-out; further calls fail at once, and it is used again when it wakes."""
    watch = Watch()
    loop = asyncio.get_running_loop()
    async with opened(fragile_server.url, watch, IMPATIENT_MS) as store:
        assert b"before" == await store.call("ECHO", "before")
        fragile_server.pause()
        started = loop.time()
        late = await asyncio.gather(*(store.call("ECHO", "late") for _ in range(50)), return_exceptions=True)
        assert {StoreUnavailable} == {type(outcome) for outcome in late}
        assert IMPATIENT_MS / 1000 <= loop.time() - started < IMPATIENT_MS / 1000 + SLACK_S
        assert not store.available
        ticks = await ticks_until_refused(store)
        assert 0 == ticks
        fragile_server.resume()
        await watch.until("down", "up")
        assert b"after" == await store.call("ECHO", "after")
    assert ["down", "up"] == watch.told


def test_late_loop_is_no_hung_server(shared_server: PrivateServer) -> None:
    """Where our own loop is away for longer than the time-out, turn after turn, an answer in time is read.

    On the loop that serves: it looks at its timers before it reads.
    """

    async def calls() -> None:
        loop = asyncio.get_running_loop()
        watch = Watch()
        away = 0

        def stay_away() -> None:
            nonlocal away
            away += 1
            time.sleep(1.6 * IMPATIENT_MS / 1000)
            if away < AWAY_TURNS:
                loop.call_soon(stay_away)

        async with opened(shared_server.url, watch, IMPATIENT_MS) as store:
            called = asyncio.ensure_future(store.call("BLPOP", "nothing", IMPATIENT_MS / 2000))
            loop.call_soon(stay_away)
            assert await called is None
            assert away
        assert [] == watch.told

    uvloop.run(calls())


async def test_log_in_leaves_no_timer(shared_server: PrivateServer) -> None:
    """The longer limit of a log-in does not linger: the first call is held to its own time-out."""
    async with opened(shared_server.url, Watch(), PATIENT_MS) as store:
        connection = link_of(store)._connection
        assert connection is not None
        assert connection._timer is None


async def ticks_until_refused(store: Store) -> int:
    """How many turns of the loop a call takes to fail."""
    call = asyncio.ensure_future(store.call("PING"))
    await asyncio.sleep(0)
    ticks = 0
    while not call.done():
        await asyncio.sleep(0)
        ticks += 1
    assert isinstance(call.exception(), StoreUnavailable)
    return ticks


async def test_restarted_server() -> None:
    """A server that dies and returns with its data is found by itself: told once down, once up."""
    watch = Watch()
    with PrivateServer(appendonly=True) as fragile_server:
        await back_by_itself(fragile_server, watch)
    assert ["down", "up"] == watch.told


async def back_by_itself(fragile_server: PrivateServer, watch: Watch) -> None:
    async with opened(fragile_server.url, watch, PATIENT_MS) as store:
        fragile_server.kill()
        await watch.until("down")
        with pytest.raises(StoreUnavailable):
            await store.call("PING")
        fragile_server.start()
        await watch.until("down", "up")
        assert b"PONG" == await store.call("PING")


async def test_dropped_connection_is_no_outage(fragile_server: PrivateServer) -> None:
    """A connection that the server closes while idle is replaced without a word, and a call waits for it."""
    watch = Watch()
    async with opened(fragile_server.url, watch, PATIENT_MS) as store:
        first = link_of(store)._connection
        assert first is not None
        async with opened_raw(fragile_server) as send:
            assert b":1\r\n" == await send(b"CLIENT KILL SKIPME yes TYPE normal\r\n")
        async with asyncio.timeout(20):
            while not first.closed:  # noqa: ASYNC110 - a connection has no event for its end
                await asyncio.sleep(0)
        assert store.available
        assert b"PONG" == await store.call("PING")
        assert link_of(store)._connection is not first
    assert [] == watch.told


async def test_replacement_that_hangs(fragile_server: PrivateServer) -> None:
    """A call that waits for a new connection waits no longer than its time-out; then the store is away."""
    watch = Watch()
    loop = asyncio.get_running_loop()
    async with opened(fragile_server.url, watch, IMPATIENT_MS) as store:
        first = link_of(store)._connection
        assert first is not None
        fragile_server.kill()
        fragile_server.socket_path.unlink()
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(str(fragile_server.socket_path))
            silent.listen()
            async with asyncio.timeout(20):
                while not first.closed:  # noqa: ASYNC110 - a connection has no event for its end
                    await asyncio.sleep(0)
            assert store.available
            started = loop.time()
            with pytest.raises(StoreUnavailable, match="no connection"):
                await store.call("PING")
            assert loop.time() - started < IMPATIENT_MS / 1000 + SLACK_S
            await watch.until("down")
            assert not store.available


async def test_calls_under_way_fail_when_the_server_dies(fragile_server: PrivateServer) -> None:
    """A call whose server dies raises at once: whether it ran is unknown, so it is not repeated."""
    watch = Watch()
    async with opened(fragile_server.url, watch, PATIENT_MS) as store:
        fragile_server.pause()
        call = asyncio.ensure_future(store.call("PING"))
        await asyncio.sleep(0)
        fragile_server.kill()
        with pytest.raises(StoreUnavailable, match="connection was lost"):
            await call


async def test_started_without_server(fragile_server: PrivateServer) -> None:
    """Opening without a server is no error: the store is away, says so once, and returns by itself."""
    fragile_server.kill()
    watch = Watch()
    async with opened(fragile_server.url, watch, PATIENT_MS) as store:
        assert not store.available
        assert store.down_reason is not None
        with pytest.raises(StoreUnavailable, match="no connection"):
            await store.call("PING")
        fragile_server.start()
        await watch.until("down", "up")
        assert b"PONG" == await store.call("PING")


async def test_closed_store(shared_server: PrivateServer) -> None:
    """After `close` every call fails, and nothing is called back."""
    watch = Watch()
    async with opened(shared_server.url, watch, PATIENT_MS) as store:
        waiting = asyncio.ensure_future(store.call("BLPOP", "nothing", 0))
        await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="closed"):
        await waiting
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.call("PING")
    assert [] == watch.told


@pytest.mark.parametrize(
    "url", ["unix://:wrong-word@{path}", "unix://nobody:wrong-word@{path}", "unix://{path}"]
)
async def test_wrong_password(url: str) -> None:
    """A wrong, missing or foreign password is refused at start, without repeating it."""
    with PrivateServer(password="right-word") as server:
        right = Store(parse_address(server.url), timeout_ms=PATIENT_MS)
        await right.open()
        assert b"PONG" == await right.call("PING")
        await right.close()
        wrong = Store(parse_address(url.format(path=server.socket_path)), timeout_ms=PATIENT_MS)
        with pytest.raises(StoreRefused, match=r"refuses us: (WRONGPASS|NOAUTH)") as caught:
            await wrong.open()
        assert "word@" not in str(caught.value)
        assert not wrong.available
        await wrong.close()


async def test_password_unasked_for_and_unknown_database(shared_server: PrivateServer) -> None:
    """A password that the server does not have, or a database it does not have, is refused."""
    for url in (f"unix://:word@{shared_server.socket_path}", f"{shared_server.url}?db=4711"):
        store = Store(parse_address(url), timeout_ms=PATIENT_MS)
        with pytest.raises(StoreRefused):
            await store.open()
        await store.close()


async def test_database_is_selected(shared_server: PrivateServer) -> None:
    """`db` chooses the database."""
    async with (
        opened(f"{shared_server.url}?db=5", Watch(), PATIENT_MS) as other,
        opened(shared_server.url, Watch(), PATIENT_MS) as store,
    ):
        await other.call("SET", "where", "five")
        assert await store.call("GET", "where") is None


async def test_evicting_server_is_refused() -> None:
    """A server that may forget counters is refused with the setting's name."""
    with PrivateServer(policy="allkeys-lru") as server:
        store = Store(parse_address(server.url), timeout_ms=PATIENT_MS)
        with pytest.raises(StoreRefused, match="maxmemory-policy allkeys-lru: it must be noeviction"):
            await store.open()
        await store.close()


async def test_server_that_turns_evicting_is_left(fragile_server: PrivateServer) -> None:
    """A server whose policy has changed is not used after a reconnect until it is mended."""
    watch = Watch()
    async with opened(fragile_server.url, watch, PATIENT_MS) as store:
        async with opened_raw(fragile_server) as send:
            await send(b"CONFIG SET maxmemory-policy allkeys-lru\r\n")
            await send(b"CLIENT KILL SKIPME yes TYPE normal\r\n")
            await watch.until("down")
            assert "noeviction" in str(store.down_reason)
            await send(b"CONFIG SET maxmemory-policy noeviction\r\n")
        await watch.until("down", "up")
        assert b"PONG" == await store.call("PING")


async def test_embedded_needs_its_server() -> None:
    """`embedded` is no address to connect to."""
    with pytest.raises(StoreRefused, match="embedded"):
        await Store(parse_address("embedded"), timeout_ms=PATIENT_MS).open()


@asynccontextmanager
async def speaking(answer: bytes) -> AsyncIterator[int]:
    """A server on a loopback port that answers everything with the same bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak the Redis protocol"),
        (b"+OK\r\n+OK\r\n+OK\r\n", "does not speak the Redis protocol|maxmemory-policy unknown"),
        (b"-LOADING Redis is loading the dataset in memory\r\n" * 2, "LOADING"),
        (b"$33\r\nloading:1\r\nmaxmemory_policy:xxxxx\r\n$-1\r\n", "loading"),
    ],
)
async def test_other_servers(answer: bytes, named: str) -> None:
    """A server that is none, or is not ready, is away or refused: never taken for a store."""
    async with speaking(answer) as port:
        store = Store(parse_address(f"redis://127.0.0.1:{port}"), timeout_ms=PATIENT_MS)
        try:
            await store.open()
        except StoreRefused as error:
            reason = str(error)
        else:
            reason = str(store.down_reason)
        assert not store.available
        await store.close()
    assert any(word in reason for word in named.split("|"))


@asynccontextmanager
async def forwarded(server: PrivateServer, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The server on a loopback port."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(str(server.socket_path))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(pump(reader, inner_writer))
                group.create_task(pump(inner_reader, writer))
        except* ConnectionError:
            pass  # the client hangs up as it likes
        finally:
            writer.close()
            inner_writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with listener:
        yield listener.sockets[0].getsockname()[1]


async def test_tcp(shared_server: PrivateServer) -> None:
    """redis:// works."""
    async with (
        forwarded(shared_server) as port,
        opened(f"redis://127.0.0.1:{port}", Watch(), PATIENT_MS) as store,
    ):
        assert b"PONG" == await store.call("PING")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key, made for this run."""
    directory = tmp_path_factory.mktemp("tls")
    paths = directory / "cert.pem", directory / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", str(paths[1]), "-out", str(paths[0]), "-days", "1", "-subj", "/CN=headgate test"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    return paths


async def test_tls(shared_server: PrivateServer, certificate: tuple[Path, Path]) -> None:
    """rediss:// works with a certificate that is vouched for, and with no other."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    async with forwarded(shared_server, context) as port:
        good = f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificate[0]}"
        async with opened(good, Watch(), PATIENT_MS) as store:
            assert b"PONG" == await store.call("PING")
        async with opened(f"rediss://127.0.0.1:{port}", Watch(), PATIENT_MS) as store:
            assert not store.available
            assert "CERTIFICATE_VERIFY_FAILED" in str(store.down_reason)
