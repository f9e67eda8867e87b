"""Starting and ending: clear words and exit codes, no traceback, nothing left behind, nothing lost."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from tests.support.gateway import ADMIN_KEY
from tests.support.raw_client import RawClient, http_request
from tests.support.site import HELLO, poll
from tests.support.valkey import PrivateServer

PATIENCE_S = 60.0  # by the clock, which is the machine's as much as ours: only so that nothing hangs
# Of CPU, which waits for nobody: one is usual, four where no bytecode is there yet, twice that beside busy neighbours.
CPU_TO_ANSWER_S = 10.0
ENDS_WITHIN_S = 15.0
LAST_WORDS = '"messages"'  # of the greeting, when there is a local key
SANDBOX = {
    "server": {"lame_duck_s": 0},
    "redis": {"timeout_ms": 5000},  # these tests are not of a store that is slow because the machine is busy
    "providers": {"sandbox": {"adapter": "sandbox"}},
    "models": [
        {
            "id": "m",
            "backends": [{"provider": "sandbox", "model": "sandbox-small"}],
            "price": {"input": 1, "output": 2},
        }
    ],
}


@dataclass
class Started:
    """A process under way. `greeting` is what it printed until it listened; empty when it ended first."""

    process: "subprocess.Popen[str]"
    greeting: list[str]
    directory: Path

    @property
    def port(self) -> int:
        return int(self.greeting[0].split()[-1].removesuffix("/v1").rsplit(":", 1)[1])

    def printed(self, name: str) -> str:
        """The value in the greeting behind that word."""
        (value,) = [words[1] for line in self.greeting if (words := line.split()) and words[0] == name]
        return value


@contextmanager
def serve(
    directory: Path,
    *arguments: str,
    config: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Started]:
    """`headgate serve` in `directory`, from exec to listening. Killed at the end, if it still runs."""
    command = [sys.executable, "-m", "proxy.cli.main", "serve", *arguments]
    if config is not None:
        (directory / "headgate.yaml").write_text(yaml.safe_dump(config))
        command += ["--config", "headgate.yaml"]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        **(environ or {}),
    }
    with (directory / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True
        )
    try:
        assert process.stdout is not None
        greeting: list[str] = []
        for line in process.stdout:
            greeting.append(line.rstrip("\n"))
            if LAST_WORDS in line:
                break
        yield Started(process, greeting, directory)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def fails(directory: Path, *arguments: str, config: Mapping[str, Any] | None = None, code: int) -> list[str]:
    """Start what cannot start; what it said on standard error."""
    with serve(directory, *arguments, config=config) as started:
        assert code == started.process.wait(ENDS_WITHIN_S)
    said = (directory / "stderr").read_text()
    assert "Traceback" not in said
    return said.splitlines()


async def get(port: int, path: str, key: str | None = None) -> tuple[int, bytes]:
    async with await RawClient.connect(port) as client:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        await client.send(http_request("GET", path, headers=headers))
        answer = await client.read_all()
    return answer.status, answer.body


async def post(port: int, path: str, key: str, **members: Any) -> tuple[int, dict[str, Any]]:
    async with await RawClient.connect(port) as client:
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        await client.send(http_request("POST", path, headers=headers, body=orjson.dumps(members)))
        answer = await client.read_all()
    return answer.status, answer.members


async def answers(port: int, key: str, model: str) -> bool:
    """Whether a chat request is answered."""
    status, _ = await post(port, "/v1/chat/completions", key, model=model, messages=HELLO)
    return status == 200


async def until_ready(port: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (await get(port, "/readyz"))[0] != 200:  # noqa: ASYNC110 - the state is another process's
            await asyncio.sleep(0.02)


def children(pid: int) -> list[Path]:
    """Processes that this one started."""
    return [Path("/proc", each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cpu_s(pid: int) -> float:
    """What this process has used up to now, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def runs(process: Path) -> bool:
    """Whether it is there and no zombie that nobody waits for."""
    try:
        return process.joinpath("stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_on_a_fresh_machine(tmp_path: Path) -> None:
    """No configuration at all: an address, models and a working key are printed; the next start prints the same key."""
    began_s = time.monotonic()
    with serve(tmp_path, "--port", "0") as started:
        key = started.printed("key")
        await until_ready(started.port)
        assert await answers(started.port, key, "balanced")
        took_s, used_s = time.monotonic() - began_s, cpu_s(started.process.pid)
        print(f"from exec to the first answer: {used_s:.2f} s of CPU, {took_s:.2f} s in all")  # noqa: T201 - to look at
        assert used_s < CPU_TO_ANSWER_S
        kept = tmp_path / "data" / "local-key"
        assert key == kept.read_text().strip()
        assert 0o600 == stat.S_IMODE(kept.stat().st_mode)
        assert any("hg-admin-" in line for line in started.greeting)
        assert any("curl -N" in line for line in started.greeting)
        started.process.send_signal(signal.SIGINT)
        assert 0 == started.process.wait(ENDS_WITHIN_S)
    with serve(tmp_path, "--port", "0") as started:
        assert key == started.printed("key")
        assert not any("hg-admin-" in line for line in started.greeting)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_well(tmp_path: Path, number: signal.Signals) -> None:
    """SIGTERM and SIGINT: exit code 0, the store gone too, and not a word too much."""
    with serve(tmp_path, "--port", "0", config=SANDBOX) as started:
        await until_ready(started.port)
        stores = children(started.process.pid)
        assert stores
        started.process.send_signal(number)
        assert 0 == started.process.wait(ENDS_WITHIN_S)
        await poll(lambda: not any(runs(each) for each in stores))
    assert "Traceback" not in (tmp_path / "stderr").read_text()


async def test_after_a_kill(tmp_path: Path) -> None:
    """SIGKILL leaves no orphan store; the next start has customers, keys and their limits."""
    environ = {"HEADGATE_ADMIN_KEY": ADMIN_KEY}
    with serve(tmp_path, "--port", "0", config=SANDBOX, environ=environ) as started:
        await until_ready(started.port)
        status, _ = await post(started.port, "/admin/v1/customers", ADMIN_KEY, id="acme", name="Acme")
        assert 201 == status
        limits = {"requests_per_minute": 5}
        status, made = await post(started.port, "/admin/v1/keys", ADMIN_KEY, customer="acme", limits=limits)
        assert 201 == status
        assert await answers(started.port, made["key"], "m")
        stores = children(started.process.pid)
        assert stores
        started.process.kill()
        await poll(lambda: not any(runs(each) for each in stores))
    with serve(tmp_path, "--port", "0", config=SANDBOX, environ=environ) as started:
        await until_ready(started.port)
        assert await answers(started.port, made["key"], "m")
        status, shown = await get(started.port, f"/admin/v1/keys/{made['id']}", ADMIN_KEY)
        assert 200 == status
        assert limits == orjson.loads(shown)["limits"]
        status, shown = await get(started.port, "/admin/v1/customers/acme", ADMIN_KEY)
        assert "Acme" == orjson.loads(shown)["name"]


def test_a_port_in_use(tmp_path: Path) -> None:
    """One line that names the port and a way out; exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = fails(tmp_path, "--port", port, config=SANDBOX, code=1)
    assert 1 == len(said)
    assert f"127.0.0.1:{port}" in said[0]
    assert "in use" in said[0]


def test_an_address_that_is_not_ours(tmp_path: Path) -> None:
    """The same for an address of another machine."""
    said = fails(tmp_path, "--host", "203.0.113.7", "--port", "0", config=SANDBOX, code=1)
    assert 1 == len(said)
    assert "203.0.113.7" in said[0]


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    """A missing file, or a directory in its place: one line that names it; exit code 2."""
    said = fails(tmp_path, "--config", name, code=2)
    assert 1 == len(said)
    assert name in said[0]


def test_a_file_that_is_no_yaml(tmp_path: Path) -> None:
    """Where it stops making sense is told; exit code 2."""
    (tmp_path / "broken.yaml").write_text("server:\n  port: 8080\n bad: [1\n")
    said = fails(tmp_path, "--config", "broken.yaml", code=2)
    assert "broken.yaml" in "".join(said)
    assert "line 3" in "".join(said)


def test_a_wrong_configuration(tmp_path: Path) -> None:
    """Every problem at once, each with its path; exit code 2."""
    wrong = {
        "server": {"prot": 1, "max_body_bytes": -1},
        "providers": {"a": {"adapter": "opnai"}},
        "models": [{"id": "m", "backends": [{"provider": "b", "model": "x"}]}],
    }
    said = fails(tmp_path, config=wrong, code=2)
    for path in (
        "server.prot",
        "server.max_body_bytes",
        "providers.a.adapter",
        "models[0].backends[0].provider",
    ):
        assert 1 == sum(f": {path}: " in line for line in said), (path, said)


@pytest.mark.parametrize("data_dir", ["taken/data", "/proc/headgate"])
def test_a_data_directory_that_cannot_be_used(tmp_path: Path, data_dir: str) -> None:
    """One line that names it; exit code 1."""
    (tmp_path / "taken").write_text("a file, not a directory")
    said = fails(tmp_path, "--port", "0", config={**SANDBOX, "server": {"data_dir": data_dir}}, code=1)
    problems = [line for line in said if line.startswith("headgate: ")]
    assert 1 == len(problems)
    assert data_dir in problems[0]


async def test_a_data_directory_in_use(tmp_path: Path) -> None:
    """Two gateways never share one embedded store: the second says so and ends with 1; the first goes on."""
    with serve(tmp_path, "--port", "0", config=SANDBOX) as first:
        await until_ready(first.port)
        elsewhere = tmp_path / "second"
        elsewhere.mkdir()
        shared = {**SANDBOX, "server": {"data_dir": str(tmp_path / "data")}}
        said = fails(elsewhere, "--port", "0", config=shared, code=1)
        assert str(tmp_path / "data") in said[-1]
        assert 200 == (await get(first.port, "/readyz"))[0]


def test_a_store_that_forgets(tmp_path: Path) -> None:
    """A store with an eviction policy is refused: budgets would vanish. Exit code 1."""
    with PrivateServer(policy="allkeys-lru") as store:
        said = fails(
            tmp_path,
            "--port",
            "0",
            config={**SANDBOX, "redis": {"url": store.url, "timeout_ms": 5000}},
            code=1,
        )
    assert "allkeys-lru" in said[-1]


@pytest.mark.parametrize("on_outage", ["lease", "closed"])
async def test_started_without_its_store(tmp_path: Path, on_outage: str) -> None:
    """It lives, is not ready, and becomes ready by itself when the store comes."""
    with PrivateServer() as store:
        store.kill()
        config = {**SANDBOX, "redis": {"url": store.url, "on_outage": on_outage}}
        with serve(tmp_path, "--port", "0", config=config) as started:
            assert 200 == (await get(started.port, "/livez"))[0]
            status, body = await get(started.port, "/readyz")
            assert 503 == status
            assert b"store" in body
            store.start()
            await until_ready(started.port)
            assert await answers(started.port, started.printed("key"), "m")


@pytest.mark.parametrize("on_outage", ["lease", "open", "closed"])
async def test_ready_through_an_outage(tmp_path: Path, on_outage: str) -> None:
    """Once it serves it stays ready without its store, but for `closed`: requests go where the store is reached."""
    with PrivateServer(appendonly=True) as store:
        config = {**SANDBOX, "redis": {"timeout_ms": 5000, "url": store.url, "on_outage": on_outage}}
        with serve(tmp_path, "--port", "0", config=config) as started:
            await until_ready(started.port)
            store.kill()
            await poll(lambda: "store is away" in (tmp_path / "stderr").read_text())
            status, body = await get(started.port, "/readyz")
            assert (503 if on_outage == "closed" else 200) == status, body
            assert 200 == (await get(started.port, "/livez"))[0]
            store.start()
            await until_ready(started.port)
