"""`server.workers`: several processes are one gateway, with one set of limits, figures and one life."""

import asyncio
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import children, command, runs, sockets, workers
from tests.support.scripted import Exchange, completion
from tests.support.site import Site, config, model, poll, provider, site

ENDS_WITHIN_S = 15.0  # generous: a second is usual
REPLACED_WITHIN_S = 20.0  # a start takes a second of CPU
OF = 2


@contextmanager
def place_with(directory: Path, **sections: Any) -> Iterator[Site]:
    def configure(listener: socket.socket) -> dict[str, Any]:
        server = {"workers": OF, **sections.pop("server", {})}
        made = config({"scripted": provider(listener)}, [model("test-model", "scripted")], server=server)
        return {**made, **sections}

    with site(directory, configure) as place:
        yield place


async def plain(exchange: Exchange) -> None:
    await exchange.answer(200, completion())


async def ask(place: Site) -> int:
    """The status of a request over a connection of its own."""
    return (await place.ask(stream=False)).status


async def requests_counted(place: Site) -> int:
    text = (await place.get("/metrics")).body.decode()
    return sum(
        int(float(value))
        for value in re.findall(r"^headgate_requests_total\{.*\} (\S+)$", text, re.MULTILINE)
    )


async def test_connections_are_split(tmp_path: Path) -> None:
    """Of 40 connections each of two workers gets at least 16 (60/40); they are handed out in turn."""
    with place_with(tmp_path) as place:
        pids = workers(place.gateway.process.pid)
        assert OF == len(pids)
        before = [sockets(pid) for pid in pids]
        async with AsyncExitStack() as stack:
            for _ in range(40):
                client = await stack.enter_async_context(place.client())
                await client.send(place.request("GET", "/v1/models"))
                assert 200 == (await client.read_all()).status
            got = [sockets(pid) - earlier for pid, earlier in zip(pids, before, strict=True)]
        print(f"connections per worker: {got}")  # noqa: T201 - a figure to look at
        assert min(got) >= 16


async def test_limits_are_shared(tmp_path: Path) -> None:
    """Of ten requests a minute exactly ten pass, whichever worker they come to; the rest is refused."""
    limits = {"customers": [{"id": "tester", "limits": {"requests_per_minute": 10}}]}
    with place_with(tmp_path, **limits) as place:
        async with place.upstream(plain):
            statuses = await asyncio.gather(*(ask(place) for _ in range(20)))
    assert [200] * 10 + [429] * 10 == sorted(statuses)


async def test_one_set_of_figures(tmp_path: Path) -> None:
    """Whichever worker is asked counts for all; a worker that is killed takes nothing of the counters with it."""
    with place_with(tmp_path) as place:
        async with place.upstream(plain):
            for number in range(1, 9):
                assert 200 == await ask(place)
                assert number == await requests_counted(place)
            await asyncio.sleep(2.5)  # figures of a worker that is killed are as of the last second
            first, _ = workers(place.gateway.process.pid)
            os.kill(first, signal.SIGKILL)
            await poll(lambda: not runs(first))
            assert 8 == await requests_counted(place)


async def test_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    """The other one serves all the while; one line says what happened."""
    with place_with(tmp_path) as place:
        parent = place.gateway.process.pid
        first, second = workers(parent)
        async with place.upstream(plain):
            os.kill(first, signal.SIGKILL)
            await poll(lambda: not runs(first))  # what was handed to it until then is lost with it
            statuses = [await ask(place) for _ in range(10)]
            await poll(lambda: len(workers(parent)) == OF and first not in workers(parent), REPLACED_WITHIN_S)
            assert second in workers(parent)
            statuses += [await ask(place) for _ in range(10)]
        assert {200} == set(statuses)
        (line,) = [line for line in place.log() if line["event"].startswith("a worker ended")]
        assert (first, "SIGKILL") == (line["pid"], line["how"])


async def test_a_worker_may_be_told_to_go(tmp_path: Path) -> None:
    """SIGTERM to a worker alone: it ends in good order, and another one comes."""
    with place_with(tmp_path) as place:
        parent = place.gateway.process.pid
        first, _ = workers(parent)
        os.kill(first, signal.SIGTERM)
        await poll(lambda: len(workers(parent)) == OF and first not in workers(parent), REPLACED_WITHIN_S)
        (line,) = [line for line in place.log() if line["event"].startswith("a worker ended")]
        assert (first, "code 0") == (line["pid"], line["how"])


async def test_workers_that_do_not_stay_up(tmp_path: Path) -> None:
    """Five quick ends in a row are enough: the gateway says so and ends with 1, its store too."""
    with place_with(tmp_path) as place:
        parent = place.gateway.process.pid
        everything = children(parent)
        async with asyncio.timeout(60):
            while place.gateway.process.poll() is None:
                for worker in workers(parent)[:1]:
                    os.kill(worker, signal.SIGKILL)
                await asyncio.sleep(0.05)
        assert 1 == place.gateway.process.returncode
        assert "do not stay up" in place.gateway.log.read_text().splitlines()[-1]
        assert "Traceback" not in place.gateway.log.read_text()
        await poll(lambda: not any(map(runs, everything)))


async def test_children_follow_their_parent(tmp_path: Path) -> None:
    """SIGKILL to the supervisor: workers and store end by themselves, a stream with an error frame."""

    async def stuck(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.closed.wait()

    with place_with(tmp_path) as place:
        everything = children(place.gateway.process.pid)
        assert any("valkey" in command(pid) for pid in everything)
        async with place.upstream(stuck) as upstream, place.asking() as client:
            await upstream.exchange()
            place.gateway.process.kill()
            await poll(lambda: not any(map(runs, everything)), ENDS_WITHIN_S)
            assert 503 == (await client.read_all()).status


async def test_the_store_outlives_the_workers(tmp_path: Path) -> None:
    """At a stop the embedded store ends last: what the workers settle is in it."""
    limits = {"customers": [{"id": "tester", "limits": {"tokens_total": 1_000_000}}]}
    with place_with(tmp_path, **limits) as place:
        everything = children(place.gateway.process.pid)
        async with place.upstream(plain):
            assert 200 == await ask(place)
            place.gateway.process.terminate()
            assert 0 == await asyncio.to_thread(place.gateway.process.wait, ENDS_WITHIN_S)
        assert not any(map(runs, everything))
        assert "not taken" not in place.gateway.log.read_text()


@pytest.mark.parametrize("of", [1, 2])
async def test_metrics_say_how_many(tmp_path: Path, of: int) -> None:
    """`headgate_workers` is there where there are workers."""
    with place_with(tmp_path, server={"workers": of}) as place:
        text = (await place.get("/metrics")).body.decode()
    assert (of > 1) == ("\nheadgate_workers 2.0\n" in text)
