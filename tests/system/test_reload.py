"""Reload: a whole configuration at once or nothing of it, under load, without an error."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from tests.support.gateway import ADMIN_KEY
from tests.support.processes import descriptors, resident_bytes, workers
from tests.support.raw_client import Answer, http_request
from tests.support.scripted import DONE, Exchange, completion, finish, role, text, usage
from tests.support.site import Site, config, model, poll, provider, site

WATCHED_WITHIN_S = 12.0  # files are looked at every 2 s
SOURCES = 8
GROWTH_BYTES = 8 * 1024 * 1024  # for the allocator; 0.2 MB is usual
GROWTH_DESCRIPTORS = 2 * SOURCES + 4  # a request under way has two, and looks come at any moment

Members = dict[str, Any]


@contextmanager
def place_with(directory: Path, **sections: Any) -> Iterator[Site]:
    def configure(listener: socket.socket) -> Members:
        made = config({"scripted": provider(listener)}, [model("test-model", "scripted")])
        return {**made, **sections}

    with site(directory, configure) as place:
        yield place


def rewrite(directory: Path, change: Callable[[Members], None]) -> None:
    """Change the configuration file, as an editor does: whole, under its name."""
    path = directory / "headgate.yaml"
    members = yaml.safe_load(path.read_text())
    change(members)
    write(path, document(members))


def document(members: Members) -> str:
    """As YAML without aliases, which a configuration may not hold."""
    return yaml.safe_dump(orjson.loads(orjson.dumps(members)))


def write(path: Path, words: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(words)
    fresh.replace(path)


async def reload(place: Site) -> Answer:
    async with place.client() as client:
        headers = {"authorization": f"Bearer {ADMIN_KEY}"}
        await client.send(http_request("POST", "/admin/v1/reload", headers=headers))
        return await client.read_all(60)


async def plain(exchange: Exchange) -> None:
    await exchange.answer(200, completion())


def lines(place: Site, event: str) -> list[Members]:
    return [line for line in place.log() if line["event"].startswith(event)]


@pytest.mark.parametrize("of", [1, 2])
async def test_what_is_written_is_served(tmp_path: Path, of: int) -> None:
    """A model more, a time-out less: served at once by every worker; the answer and the log name paths, no values."""
    with place_with(tmp_path, server={"workers": of}) as place:

        def more(members: Members) -> None:
            members["models"].append({**members["models"][0], "id": "other-model"})
            members["server"] |= {"max_body_bytes": 5000, "port": 1, "workers": 7}

        rewrite(tmp_path, more)
        answer = await reload(place)
        assert 200 == answer.status
        assert ["server.max_body_bytes", "models.other-model"] == answer.members["changed"]
        assert ["server.workers"] == answer.members["needs_restart"]
        async with place.upstream(plain):
            for _ in range(2 * of):
                assert 200 == (await place.ask(model="other-model", stream=False)).status
                assert 413 == (await place.ask(model="other-model", user="x" * 6000)).status
        (line,) = lines(place, "configuration reloaded")
        assert "the admin API" == line["by"]
        assert ["server.max_body_bytes", "models.other-model"] == line["changed"]
        nothing = await reload(place)
        assert [] == nothing.members["changed"]


async def command(place: Site, *arguments: str) -> tuple[int, str, str]:
    """`headgate reload`: its exit code, and what it says on both streams."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proxy.cli.main", "reload", "--url", place.gateway.base, *arguments),
        env={"PATH": os.environ["PATH"], "HEADGATE_ADMIN_KEY": ADMIN_KEY},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, problems = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, said.decode(), problems.decode()


async def test_the_command(tmp_path: Path) -> None:
    """It says what changed, what waits for a restart, that nothing changed, or why nothing was."""
    with place_with(tmp_path) as place:
        same = "nothing has changed: what is served is what the configuration says\n"
        assert (0, same, "") == await command(place)

        def change(members: Members) -> None:
            members["server"] |= {"tail_s": 3, "workers": 7}
            members["log"] |= {"level": "error"}
            members["models"][0].pop("price")

        rewrite(tmp_path, change)
        code, said, warned = await command(place)
        assert (0, "changed:\n  server.tail_s\n  models.test-model.price\n") == (
            code,
            said.partition("waiting")[0],
        )
        assert said.endswith("waiting for a restart:\n  server.workers\n  log.level\n")
        assert warned.startswith("warning: models[0].backends[0].price: no price")
        code, said, _ = await command(place, "--json")
        assert (0, ["server.workers", "log.level"]) == (code, orjson.loads(said)["needs_restart"])

        rewrite(tmp_path, lambda members: members["server"].update(prot=1, tail_s=-1))
        code, said, problems = await command(place)
        assert (1, "") == (code, said)
        assert "the configuration stays as it was" in problems
        assert "server.prot: unknown key" in problems
        assert "server.tail_s: must be >= 0" in problems
    assert 3 == (await command(place))[0]


@pytest.mark.parametrize("of", [1, 2])
async def test_what_waits_for_a_restart_is_warned_of(tmp_path: Path, of: int) -> None:
    """Each by its path, in the answer and in the log, each time; what is not among them is served at once."""
    with place_with(tmp_path, server={"workers": of}) as place:

        def change(members: Members) -> None:
            members["log"] |= {"level": "warning"}
            members["records"] = {"ledger_days": 3, "generations_max": 0}
            members["redis"] = {"timeout_ms": 900, "key_grace_s": 7}
            members["server"] |= {"keepalive_timeout_s": 9}

        rewrite(tmp_path, change)
        waiting = ["server.keepalive_timeout_s", "redis.timeout_ms", "log.level", "records.ledger_days"]
        live = ["redis.key_grace_s", "records.generations_max"]
        async with place.upstream(plain):
            kept = (await place.ask(stream=False)).headers["x-generation-id"]
            async with asyncio.timeout(
                10
            ):  # it is written once the answer has left, and another worker may be asked
                while (await place.get(f"/v1/generation?id={kept}")).status != 200:  # noqa: ASYNC110 - another process's state
                    await asyncio.sleep(0.02)
            for changed in (live, []):
                answer = (await reload(place)).members
                assert (changed, waiting) == (answer["changed"], answer["needs_restart"])
                assert waiting == [each["path"] for each in answer["warnings"]]
                assert {"waits for a restart: until then it is what it was"} == {
                    each["message"] for each in answer["warnings"]
                }
            for _ in range(of):
                gone = (await place.ask(stream=False)).headers["x-generation-id"]
                assert 404 == (await place.get(f"/v1/generation?id={gone}")).status
        warned = [line["path"] for line in lines(place, "configuration") if line["level"] == "warning"]
        assert waiting * 2 == warned


@pytest.mark.parametrize("of", [1, 2])
async def test_a_broken_file_changes_nothing(tmp_path: Path, of: int) -> None:
    """400 with every problem and its path; SIGHUP: the same in the log. What was served is served on."""
    with place_with(tmp_path, server={"workers": of}) as place:
        before = (await place.get("/v1/models")).members

        def break_it(members: Members) -> None:
            members["models"].append({"id": "other", "backends": [{"provider": "scriptd", "model": "x"}]})
            members["server"]["prot"] = 1

        rewrite(tmp_path, break_it)
        answer = await reload(place)
        assert 400 == answer.status
        error = answer.members["error"]
        paths = [problem["path"] for problem in error["problems"]]
        assert {"server.prot", "models[1].backends[0].provider"} == set(paths)
        assert all(path in error["message"] for path in paths)

        place.gateway.process.send_signal(signal.SIGHUP)
        refused = await poll(
            lambda: len(lines(place, "configuration not reloaded")) == 2 and lines(place, "configuration not")
        )
        assert ["the admin API", "SIGHUP"] == [line["by"] for line in refused]
        assert set(paths) == {problem["path"] for problem in refused[-1]["problems"]}
        (tmp_path / "headgate.yaml").write_text("models: [")
        assert 400 == (await reload(place)).status
        (tmp_path / "headgate.yaml").unlink()
        assert 400 == (await reload(place)).status
        assert before["data"] == (await place.get("/v1/models")).members["data"]
        async with place.upstream(plain):
            assert 200 == (await place.ask(stream=False)).status


async def test_a_worker_that_comes_later_has_what_is_served(tmp_path: Path) -> None:
    """A replacement serves the last configuration that was accepted, whatever the file says meanwhile."""
    with place_with(tmp_path, server={"workers": 2}) as place:
        rewrite(tmp_path, lambda members: members["models"].append({**members["models"][0], "id": "second"}))
        assert 200 == (await reload(place)).status
        (tmp_path / "headgate.yaml").write_text("broken: [")
        old = workers(place.gateway.process.pid)
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        await poll(
            lambda: (
                len(workers(place.gateway.process.pid)) == 2
                and not set(old) & set(workers(place.gateway.process.pid))
            ),
            30,
        )
        async with place.upstream(plain):
            for _ in range(4):
                assert 200 == (await place.ask(model="second", stream=False)).status


async def test_requests_under_way_keep_what_they_have(tmp_path: Path) -> None:
    """Their provider may be gone from the file: they end well, then its connections close; idle ones do at once."""

    async def halves(exchange: Exchange) -> None:
        if not exchange.members.get("stream"):
            await plain(exchange)
            return
        await exchange.start()
        await exchange.send(role() + text("first half, "))
        await exchange.go.wait()
        await exchange.send(text("second half") + finish() + usage() + DONE)
        await exchange.finish()

    with place_with(tmp_path) as place:
        async with place.upstream(halves) as upstream, place.asking() as client:
            await client.read_until(b"first half")
            assert 200 == (await place.ask(stream=False)).status
            streaming, idle = upstream.exchanges
            assert not idle.closed.is_set()

            def elsewhere(members: Members) -> None:
                members["providers"]["scripted"]["base_url"] = "http://127.0.0.1:9/v1"

            rewrite(tmp_path, elsewhere)
            assert ["providers.scripted.base_url"] == (await reload(place)).members["changed"]
            await idle.until_closed()
            assert not streaming.closed.is_set()
            assert 502 == (await place.ask()).status
            streaming.go.set()
            answer = await client.read_all()
            assert "first half, second half" == answer.text
            assert answer.complete
            await streaming.until_closed()


def mounted(directory: Path, name: str, secret: str) -> None:
    """Put a secret where Kubernetes does: a new directory, and the link above it swapped."""
    version = directory / f"..{os.urandom(4).hex()}"
    version.mkdir(parents=True)
    (version / name).write_text(secret)
    link = directory / "..data_tmp"
    link.symlink_to(version.name)
    link.replace(directory / "..data")
    if not (directory / name).is_symlink():
        (directory / name).symlink_to(Path("..data") / name)


@pytest.mark.parametrize("of", [1, 2])
async def test_a_rotated_secret_is_used(tmp_path: Path, of: int) -> None:
    """Without being told, also while the configuration file is being edited; one that vanishes changes nothing."""
    secrets = tmp_path / "secrets"
    mounted(secrets, "key", "provider-key-number-1")

    def configure(listener: socket.socket) -> Mapping[str, Any]:
        providers = {"scripted": provider(listener, api_key=f"file:{secrets}/key")}
        return config(providers, [model("test-model", "scripted")], server={"workers": of})

    async def echo(exchange: Exchange) -> None:
        seen.append(exchange.headers["authorization"])
        await plain(exchange)

    seen: list[str] = []
    with site(tmp_path, configure) as place:
        async with place.upstream(echo):
            assert 200 == (await place.ask(stream=False)).status
            (tmp_path / "headgate.yaml").write_text("half: [an edit")
            mounted(secrets, "key", "provider-key-number-2")
            (line,) = await poll(lambda: lines(place, "configuration reloaded"), WATCHED_WITHIN_S)
            assert ("the file of a secret", ["providers.scripted (secret)"]) == (line["by"], line["changed"])
            for _ in range(of):
                assert 200 == (await place.ask(stream=False)).status

            (secrets / "..data").unlink()
            await poll(lambda: lines(place, "configuration not reloaded"), WATCHED_WITHIN_S)
            assert 200 == (await place.ask(stream=False)).status
            mounted(secrets, "key", "provider-key-number-3")
            await poll(lambda: len(lines(place, "configuration reloaded")) == 2, WATCHED_WITHIN_S)
            assert 200 == (await place.ask(stream=False)).status
        said = place.gateway.log.read_text()
    used = [1, *([2] * of), 2, 3]
    assert [f"Bearer provider-key-number-{number}" for number in used] == seen
    assert "provider-key-number" not in said


async def test_configured_keys(tmp_path: Path) -> None:
    """A key that is added works at once, one that is taken out no longer after two seconds (slack for the machine)."""
    with place_with(tmp_path) as place:
        more = {"id": "more", "customer": "tester", "secret": "env:SCRIPTED_KEY"}
        rewrite(tmp_path, lambda members: members["keys"].append(more))
        assert ["keys.more"] == (await reload(place)).members["changed"]
        headers = {"authorization": "Bearer provider-key-for-tests"}
        assert 200 == (await place.get("/v1/models", headers)).status
        rewrite(tmp_path, lambda members: members["keys"].pop())
        assert ["keys.more"] == (await reload(place)).members["changed"]
        async with asyncio.timeout(10):
            while (await place.get("/v1/models", headers)).status != 401:  # noqa: ASYNC110 - another process's state
                await asyncio.sleep(0.05)
        assert 200 == (await place.get("/v1/models")).status


async def test_another_number_of_places(tmp_path: Path) -> None:
    """Requests that a provider has already count on, and a place more lets in whoever waits."""

    async def held(exchange: Exchange) -> None:
        await exchange.go.wait()
        await plain(exchange)

    def configure(listener: socket.socket) -> Mapping[str, Any]:
        providers = {"scripted": provider(listener, max_in_flight=1, queue_s=30)}
        return config(providers, [model("test-model", "scripted")])

    with site(tmp_path, configure) as place:
        async with place.upstream(held) as upstream, asyncio.TaskGroup() as tasks:
            asks = [tasks.create_task(place.ask(stream=False, within_s=30)) for _ in range(3)]
            await upstream.exchange()
            rewrite(tmp_path, lambda members: members["providers"]["scripted"].update(max_in_flight=2))
            assert ["providers.scripted.max_in_flight"] == (await reload(place)).members["changed"]
            await upstream.exchange(1)
            await asyncio.sleep(0.3)
            assert 2 == len(upstream.exchanges)
            for number in range(3):
                (await upstream.exchange(number)).go.set()
        assert [200] * 3 == [(await each).status for each in asks]


@pytest.mark.parametrize(("of", "times"), [(1, 100), (2, 20)])
async def test_many_reloads_under_load(tmp_path: Path, of: int, times: int) -> None:
    """No request fails, a broken file in between changes nothing, and neither memory nor descriptors grow."""

    async def short(exchange: Exchange) -> None:
        await exchange.stream(role(), text("some"), text(" words"), finish(), usage(), DONE)

    # A patient store: with other tests on the machine, 50 ms say nothing about reloading.
    with place_with(tmp_path, server={"workers": of}, redis={"timeout_ms": 2000}) as place:
        pids = workers(place.gateway.process.pid) or [place.gateway.process.pid]
        path = tmp_path / "headgate.yaml"
        first = yaml.safe_load(path.read_text())
        second = {
            **first,
            "models": [*first["models"], {**first["models"][0], "id": "second-model"}],
            "routing": {"retries": 1},
        }
        counts = {"good": 0, "reloads": 0}
        over = asyncio.Event()

        async def load() -> None:
            while not over.is_set():
                answer = await place.ask(within_s=60)
                assert 200 == answer.status
                assert "some words" == answer.text
                assert answer.complete
                counts["good"] += 1

        async def reloads(count: int) -> None:
            for number in range(count):
                if number % 10 == 5:
                    write(path, "server: {prot: 1}")
                    assert 400 == (await reload(place)).status
                write(path, document(second if number % 2 == 0 else first))
                answer = await reload(place)
                assert (200, ["routing.retries", "models.second-model"]) == (
                    answer.status,
                    sorted(answer.members["changed"], reverse=True),
                )
                counts["reloads"] += 1

        async with place.upstream(short), asyncio.TaskGroup() as tasks:
            for _ in range(SOURCES):
                tasks.create_task(load())
            try:
                await reloads(times // 2)
                before = [(descriptors(pid), resident_bytes(pid)) for pid in pids]
                await reloads(times // 2)
                after = [(descriptors(pid), resident_bytes(pid)) for pid in pids]
            finally:
                over.set()
        print(f"{counts}; descriptors and bytes per process: {before} -> {after}")  # noqa: T201 - figures to look at
        assert times == counts["reloads"]
        assert counts["good"] > times
        for (files, memory), (files_after, memory_after) in zip(before, after, strict=True):
            assert files_after <= files + GROWTH_DESCRIPTORS
            assert memory_after <= memory + GROWTH_BYTES
