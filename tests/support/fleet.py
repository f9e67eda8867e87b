"""Servers that know of each other, for tests: a cluster, or a master with replicas and sentinels.

Knows nothing of pytest. The servers are of the binary that `PrivateServer` uses, listen on the loopback, and end
with the test process, however that ends.
"""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ratelimit.store.embedded import leashed
from tests.support.valkey import server_binary

_START_S: Final = 30.0
_POLL_S: Final = 0.01
# Below the ports that the system gives out by itself, those of the cluster's bus (10,000 higher) included.
_FIRST_PORT: Final = 11_000
_BLOCKS: Final = 900
_BLOCK: Final = 10
_BUS: Final = 10_000
_NODE_TIMEOUT_MS: Final = 600
SLOTS: Final = 16384


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Ports:
    """Ten ports that no other test process takes, and the ten of a cluster's bus."""

    def __init__(self) -> None:
        directory = Path(tempfile.gettempdir()) / f"headgate-test-ports-{os.getuid()}"
        directory.mkdir(exist_ok=True)
        start = os.getpid() * 7 % _BLOCKS
        for number in range(_BLOCKS):
            block = (start + number) % _BLOCKS
            self.first = _FIRST_PORT + block * _BLOCK
            self._lock = os.open(directory / str(block), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._lock)
                continue
            wanted = range(self.first, self.first + _BLOCK)
            if all(_is_free(port) and _is_free(port + _BUS) for port in wanted):
                return
            os.close(self._lock)
        raise RuntimeError("no free ports for a fleet")

    def close(self) -> None:
        os.close(self._lock)


class Fleet:
    """Servers by their port."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="hg-fleet-"))
        self.ports = Ports()
        self._servers: dict[int, subprocess.Popen[bytes]] = {}
        self._commands: dict[int, list[str]] = {}

    def spawn(self, port: int, *arguments: str) -> None:
        """Start a server without waiting for it."""
        home = self.directory / str(port)
        home.mkdir()
        self._commands[port] = [
            server_binary(),
            *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(home), "--save", ""),
            *("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1", *arguments),
        ]
        self.start(port)

    def spawn_sentinel(self, port: int, *lines: str) -> None:
        """Start a sentinel without waiting for it."""
        home = self.directory / str(port)
        home.mkdir()
        configuration = home / "sentinel.conf"
        text = "\n".join((f"port {port}", "bind 127.0.0.1", f"dir {home}", *lines, ""))
        configuration.write_text(text)
        self._commands[port] = [server_binary(), str(configuration), "--sentinel"]
        self.start(port)

    def start(self, port: int) -> None:
        """Start it again, as it was started first."""
        with (self.directory / str(port) / "log").open("ab") as log:
            self._servers[port] = subprocess.Popen(
                leashed(self._commands[port]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def call(self, port: int, *words: str) -> str:
        """The reply as text: a status or error with its sign, a number, or the string."""
        password = self.password_of(port)
        commands = (words,) if password is None else (("AUTH", password), words)
        with socket.create_connection(("127.0.0.1", port), timeout=5.0) as connection:
            for command in commands:
                packed = "".join(f"${len(word)}\r\n{word}\r\n" for word in command)
                connection.sendall(f"*{len(command)}\r\n{packed}".encode())
            with connection.makefile("rb") as stream:
                for _ in commands:
                    line = stream.readline().decode()
                if line.startswith("$") and not line.startswith("$-1"):
                    return stream.read(int(line[1:])).decode()
                return line.strip()

    def password_of(self, port: int) -> str | None:
        """What the server wants to hear; none as a rule."""
        del port
        return None

    def until(self, claim: Callable[[], bool], what: str) -> None:
        """Wait until it is so; a server that is not there yet is no error."""
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            try:
                if claim():
                    return
            except OSError:
                pass
            time.sleep(_POLL_S)
        logs = [(path.parent.name, path.read_text()[-600:]) for path in self.directory.glob("*/log")]
        raise RuntimeError(f"not within {_START_S:.0f} s: {what}: {logs}")

    def until_up(self, ports: Sequence[int]) -> None:
        for port in ports:
            self.until(lambda port=port: self.call(port, "PING") == "+PONG", f"{port} answers")  # type: ignore[misc]

    def pause(self, port: int) -> None:
        """Make it hang."""
        os.kill(self._servers[port].pid, signal.SIGSTOP)

    def resume(self, port: int) -> None:
        os.kill(self._servers[port].pid, signal.SIGCONT)

    def kill(self, port: int) -> None:
        """End it at once, as a crash would."""
        self._servers[port].kill()
        self._servers[port].wait()

    def running(self) -> list[int]:
        return [port for port, server in self._servers.items() if server.poll() is None]

    def roles(self) -> tuple[list[int], list[int]]:
        """The masters and the replicas among the servers that run."""
        roles: dict[str, list[int]] = {"master": [], "slave": []}
        for port in self.running():
            said = self.call(port, "INFO", "replication").partition("role:")[2]
            if said:  # a sentinel has none
                roles[said.split()[0]].append(port)
        return roles["master"], roles["slave"]

    def close(self) -> None:
        """End all of them and remove what they kept."""
        for server in self._servers.values():
            if server.poll() is None:
                server.kill()
                server.wait()
        self.ports.close()
        shutil.rmtree(self.directory)


class ClusterFleet(Fleet):
    """Three masters, each with a replica."""

    def __init__(self) -> None:
        super().__init__()
        first = self.ports.first
        self.masters = (first, first + 1, first + 2)
        self.replicas = (first + 3, first + 4, first + 5)
        self.url = "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in self.masters)

    def form(self) -> None:
        """Start the nodes and make a cluster of them; about two seconds."""
        nodes = (*self.masters, *self.replicas)
        for port in nodes:
            self.spawn(
                port,
                *("--cluster-enabled", "yes", "--cluster-node-timeout", str(_NODE_TIMEOUT_MS)),
                *("--cluster-replica-validity-factor", "0", "--cluster-announce-ip", "127.0.0.1"),
            )
        self.until_up(nodes)
        for number, port in enumerate(self.masters):
            slots = range(number * SLOTS // 3, (number + 1) * SLOTS // 3)
            self.call(port, "CLUSTER", "ADDSLOTSRANGE", str(slots.start), str(slots.stop - 1))
            self.call(port, "CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
        for port in nodes[1:]:
            self.call(port, "CLUSTER", "MEET", "127.0.0.1", str(nodes[0]))
        self.until(lambda: all(self._knows_all(port) for port in nodes), "the nodes know each other")
        for master, replica in zip(self.masters, self.replicas, strict=True):
            self.follow(replica, master)
        self.until_well(self.masters, self.replicas)

    def _knows_all(self, port: int) -> bool:
        lines = self.call(port, "CLUSTER", "NODES").splitlines()
        return len([line for line in lines if "handshake" not in line]) == len(self._servers)

    def follow(self, replica: int, master: int) -> None:
        """Make one node the other's replica."""
        name = self.call(master, "CLUSTER", "MYID")
        self.until(
            lambda: self.call(replica, "CLUSTER", "REPLICATE", name) == "+OK", f"{replica} follows {master}"
        )

    def until_well(self, masters: Sequence[int], replicas: Sequence[int]) -> None:
        """Wait until the cluster serves every slot and the replicas are in step."""
        self.until(
            lambda: (
                all(
                    "cluster_state:ok" in self.call(port, "CLUSTER", "INFO") for port in (*masters, *replicas)
                )
                and all(
                    "master_link_status:up" in self.call(port, "INFO", "replication") for port in replicas
                )
            ),
            "the cluster is up",
        )

    def replica_of(self, master: int) -> int:
        return next(
            port
            for port in self.roles()[1]
            if f"master_port:{master}\r" in self.call(port, "INFO", "replication")
        )

    def owner(self, slot: int) -> int:
        """The master that serves a slot, as a node at work sees it."""
        for line in self.call(self.roles()[0][0], "CLUSTER", "NODES").splitlines():
            _, address, flags, _, _, _, _, _, *ranges = line.split()
            if "master" not in flags or "fail" in flags:
                continue
            for text in ranges:
                first, _, last = text.partition("-")
                if first.isdigit() and int(first) <= slot <= int(last or first):
                    return int(address.split("@")[0].rpartition(":")[2])
        raise RuntimeError(f"nobody serves slot {slot}")

    def heal(self) -> None:
        """Wake and restart what a test has hurt, and wait until three masters have their replicas again."""
        running = self.running()
        for port in (*self.masters, *self.replicas):
            if port in running:
                self.resume(port)
            else:
                self.start(port)
        self.until_up((*self.masters, *self.replicas))
        self.until(lambda: [3, 3] == [len(ports) for ports in self.roles()], "three masters, three replicas")
        self.until_well(*self.roles())


@contextmanager
def cluster() -> Iterator[ClusterFleet]:
    fleet = ClusterFleet()
    try:
        fleet.form()
        yield fleet
    finally:
        fleet.close()


class SentinelFleet(Fleet):
    """A master with two replicas, watched by three sentinels under the name `gate`."""

    def __init__(self, *, password: str | None = None, sentinel_password: str | None = None) -> None:
        super().__init__()
        first = self.ports.first
        self.master = first
        self.replicas = (first + 1, first + 2)
        self.sentinels = (first + 5, first + 6, first + 7)
        self._password = password
        self._sentinel_password = sentinel_password
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.sentinels)
        credentials = "" if password is None else f":{password}@"
        self.url = f"redis+sentinel://{credentials}{hosts}/gate"

    def password_of(self, port: int) -> str | None:
        return self._sentinel_password if port in self.sentinels else self._password

    def form(self) -> None:
        """Start the servers, then the sentinels; about two seconds."""
        secret = (
            ()
            if self._password is None
            else ("--requirepass", self._password, "--masterauth", self._password)
        )
        self.spawn(self.master, *secret)
        for port in self.replicas:
            self.spawn(port, "--replicaof", f"127.0.0.1 {self.master}", *secret)
        self.until_up((self.master, *self.replicas))
        self.until_in_step()
        for port in self.sentinels:
            self.spawn_sentinel(
                port,
                f"sentinel monitor gate 127.0.0.1 {self.master} 2",
                "sentinel down-after-milliseconds gate 600",
                "sentinel failover-timeout gate 3000",
                *(() if self._password is None else (f"sentinel auth-pass gate {self._password}",)),
                *(
                    ()
                    if self._sentinel_password is None
                    else (
                        f"requirepass {self._sentinel_password}",
                        f"sentinel sentinel-pass {self._sentinel_password}",
                    )
                ),
            )
        self.until_up(self.sentinels)
        self.until(
            lambda: all(
                "slaves=2,sentinels=3" in self.call(port, "INFO", "sentinel") for port in self.sentinels
            ),
            "the sentinels see everything",
        )

    def fail_over(self) -> str:
        """Ask for another master; the sentinels' answer."""
        return self.call(self.sentinels[0], "SENTINEL", "FAILOVER", "gate")

    def until_in_step(self) -> None:
        """Wait until one master has two replicas that have what it has."""
        self.until(
            lambda: (
                [1, 2] == [len(ports) for ports in self.roles()]
                and all("master_link_status:up" in self.call(port, "INFO") for port in self.roles()[1])
                and "connected_slaves:2" in self.call(self.roles()[0][0], "INFO")
            ),
            "the replicas are in step",
        )


@contextmanager
def sentinels(
    *, password: str | None = None, sentinel_password: str | None = None
) -> Iterator[SentinelFleet]:
    fleet = SentinelFleet(password=password, sentinel_password=sentinel_password)
    try:
        fleet.form()
        yield fleet
    finally:
        fleet.close()
