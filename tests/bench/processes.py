"""Processes of the benchmark: started on a core, measured with all that descends from them, stopped."""

import contextlib
import http.client
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Status:
    """One process as /proc tells it. `cpu_s` includes its children that have ended and been waited for."""

    parent: int
    session: int
    cpu_s: float


def status(pid: int) -> Status | None:
    """None when the process has gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The command's name is in brackets and may hold blanks; what follows has fixed places.
    fields = text.rpartition(")")[2].split()
    return Status(int(fields[1]), int(fields[3]), sum(map(int, fields[11:15])) / _TICKS_PER_S)


def _cpu_s(pid: int) -> float:
    found = status(pid)
    return found.cpu_s if found is not None else 0.0


def _is_worker(pid: int) -> bool:
    try:
        return b"proxy.cli.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@contextlib.contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """What is started inside runs on `core`; None changes nothing."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Tree:
    """A process and everything below it, sessions of their own included."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], log: Path, core: int | None, cwd: Path
    ) -> None:
        self._log = log
        with on_core(core), log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def pids(self) -> list[int]:
        root = self._process.pid
        running = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        known = {pid: found for pid in running if (found := status(pid)) is not None}
        members = {root} | {pid for pid, found in known.items() if found.session == root}
        grown = True
        while grown:
            more = {pid for pid, found in known.items() if found.parent in members} - members
            members |= more
            grown = bool(more)
        return sorted(pid for pid in members if pid in known)

    def cpu_s(self) -> float:
        """Of the process itself and of its workers, if it has some."""
        return sum(_cpu_s(pid) for pid in self.pids() if pid == self._process.pid or _is_worker(pid))

    def below_cpu_s(self) -> float:
        """Of the other processes below it: the embedded store."""
        below = (pid for pid in self.pids() if pid != self._process.pid and not _is_worker(pid))
        return sum(map(_cpu_s, below))

    def pss_bytes(self) -> int:
        """Memory in proportion to how many share it, summed over the tree."""
        total_bytes = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):  # it ended meanwhile
                found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
                total_bytes += int(found[1]) * 1024 if found else 0
        return total_bytes

    def renice(self, nice: int) -> bool:
        """Set the priority of every thread; False when that is not allowed."""
        try:
            for pid in self.pids():
                for thread in Path(f"/proc/{pid}/task").iterdir():
                    os.setpriority(os.PRIO_PROCESS, int(thread.name), nice)
        except PermissionError:
            return False
        return True

    def check_alive(self) -> None:
        if self._process.poll() is not None:
            raise RuntimeError(
                f"{self._process.args!r} ended with {self._process.returncode}:\n{self.log_tail()}"
            )

    def log_tail(self) -> str:
        return self._log.read_bytes()[-3000:].decode(errors="replace")

    def stop(self) -> None:
        """Ask the process to end, then end whatever of its tree is left."""
        left = self.pids()
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE_S)
        # Those of its session are its own; a number that was reused meanwhile is not among them.
        for pid in left:
            found = status(pid)
            if found is not None and found.session in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._process.wait()


def until_ready(tree: Tree, ready: "Ready", patience_s: float = 60) -> None:
    """Wait until `ready` says so.

    Raises:
        RuntimeError: the process has ended, or the time is up; with the end of its log.
    """
    end_s = time.monotonic() + patience_s
    while not ready.ready():
        tree.check_alive()
        if time.monotonic() > end_s:
            raise RuntimeError(f"not ready after {patience_s} s:\n{tree.log_tail()}")
        time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Ready:
    """Answers whether a path answers 200."""

    port: int
    path: str

    def ready(self) -> bool:
        try:
            return request(self.port, "GET", self.path)[0] == 200
        except OSError:
            return False


def request(port: int, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """One small request on the loopback: status and body.

    Raises:
        OSError: nobody listens, or the connection broke.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read()
    except http.client.HTTPException as error:
        raise ConnectionError(f"no proper answer from port {port}: {error}") from error
    finally:
        connection.close()
