"""The private server: readiness, one per data directory, no orphans, data kept."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ratelimit.store import embedded
from ratelimit.store.embedded import EmbeddedServer
from ratelimit.store.errors import EmbeddedServerError
from ratelimit.store.store import Store
from tests.ratelimit.clocks import PATIENT_MS

ROOT = Path(__file__).parents[2]


def exists(pid: int) -> bool:
    """Whether the process still runs; one that only waits to be collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


async def ask(server: EmbeddedServer, *command: str) -> object:
    """The reply to one command, by a store of its own."""
    store = Store(server.address, timeout_ms=PATIENT_MS)
    await store.open()
    try:
        return await store.call(*command)
    finally:
        await store.close()


def until(claim: Callable[[], bool]) -> bool:
    """Looks again and again: the end of a process that is no child of ours tells nobody."""
    deadline = time.monotonic() + 10
    while not claim() and time.monotonic() < deadline:
        time.sleep(0.002)
    return claim()


def test_answers_as_soon_as_started(tmp_path: Path) -> None:
    """After `start` a store opens at once, on a socket that only we may use."""
    server = EmbeddedServer(tmp_path / "not" / "there" / "yet")
    server.start()
    try:
        assert b"PONG" == asyncio.run(ask(server, "PING"))
        assert 0o700 == Path(server.address.path).stat().st_mode & 0o777
    finally:
        server.stop()
    assert not Path(server.address.path).exists()


def test_data_survive_a_restart(tmp_path: Path) -> None:
    """What was stored is there again after stop and start, and after a crash and start of the same object."""
    server = EmbeddedServer(tmp_path)
    for value in (None, b"1", b"2"):
        server.start()
        assert value == asyncio.run(ask(server, "GET", "figure"))
        asyncio.run(ask(server, "INCR", "figure"))
        if value is None:
            server.stop()
        elif server.pid is not None:
            os.kill(server.pid, signal.SIGKILL)
            assert until(lambda: not server.running)
    server.stop()


def test_start_twice_is_one_server(tmp_path: Path) -> None:
    """Starting a running server changes nothing; stopping twice neither."""
    server = EmbeddedServer(tmp_path)
    server.start()
    pid = server.pid
    server.start()
    assert pid == server.pid
    server.stop()
    server.stop()
    assert server.pid is None


def test_second_gateway_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two gateways on one data directory: the second gets one clear error, the first is not disturbed."""
    monkeypatch.setattr(embedded, "_LOCK_WAIT_S", 0.05)
    first = EmbeddedServer(tmp_path)
    second = EmbeddedServer(tmp_path)
    first.start()
    try:
        with pytest.raises(EmbeddedServerError, match=r"another gateway is using .*data_dir"):
            second.start()
        assert first.running
        assert Path(first.address.path).exists()
    finally:
        first.stop()
    second.start()
    second.stop()


def test_long_data_directory(tmp_path: Path) -> None:
    """A directory too deep for a socket's name works: the socket goes to a private temporary one."""
    data_dir = tmp_path / ("d" * 120)
    server = EmbeddedServer(data_dir)
    server.start()
    short = Path(server.address.path).parent
    try:
        assert b"PONG" == asyncio.run(ask(server, "PING"))
        assert 0o700 == short.stat().st_mode & 0o777
        assert (data_dir / "valkey" / "appendonlydir").is_dir()
    finally:
        server.stop()
    assert not short.exists()


def test_failed_start_says_why(tmp_path: Path) -> None:
    """A server that cannot read its file ends with its own words in the error, and frees the lock."""
    directory = tmp_path / "valkey" / "appendonlydir"
    directory.mkdir(parents=True)
    (directory / "appendonly.aof.manifest").write_text("nonsense\n")
    server = EmbeddedServer(tmp_path)
    with pytest.raises(EmbeddedServerError, match=r"ended at once: .*manifest"):
        server.start()
    assert not server.running
    (directory / "appendonly.aof.manifest").unlink()
    server.start()
    server.stop()


def test_only_from_the_main_thread(tmp_path: Path) -> None:
    """The kernel ends the server with the thread that started it, so another thread than main is refused."""
    errors: list[EmbeddedServerError] = []

    def start() -> None:
        try:
            EmbeddedServer(tmp_path).start()
        except EmbeddedServerError as error:
            errors.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert ["the embedded store must be started from the main thread"] == [str(error) for error in errors]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing ties a child to its parent")
def test_killed_gateway_leaves_no_orphan(tmp_path: Path) -> None:
    """`kill -9` of the gateway ends its server too, and the next gateway starts at once with the data."""
    script = (
        "import sys; from pathlib import Path; from ratelimit.store.embedded import EmbeddedServer\n"
        "server = EmbeddedServer(Path(sys.argv[1])); server.start(); print(server.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    gateway = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert gateway.stdin is not None
    assert gateway.stdout is not None
    with gateway.stdin, gateway.stdout:
        pid = int(gateway.stdout.readline())
        assert exists(pid)
        gateway.kill()
        gateway.wait()
        successor = EmbeddedServer(tmp_path)
        successor.start()
        successor.stop()
        assert until(lambda: not exists(pid))
