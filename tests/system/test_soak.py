"""A long run of everything at once: memory, descriptors and tasks stay flat, and every count is right at the end.

20 s here; `make soak SECONDS=3600` runs it for an hour (`WORKERS=2` with two workers).
"""

import asyncio
import os
import random
import re
import socket
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.gateway import ADMIN_KEY
from tests.support.processes import descriptors, resident_bytes, workers
from tests.support.raw_client import http_request
from tests.support.scripted import DONE, Exchange, completion, finish, role, text, usage
from tests.support.site import Site, config, model, provider, site

SECONDS = float(os.environ.get("HEADGATE_SOAK_S", "20"))
WORKERS = int(os.environ.get("HEADGATE_SOAK_WORKERS", "1"))
WARM_UP_S = min(60.0, SECONDS / 4)
CLIENTS = 24
SETTLED_WITHIN_S = 30.0
GROWTH_BYTES = 12 * 1024 * 1024  # of a process; the allocator's moods, whatever the length
GROWTH_TASKS = 2
TOKENS = (11, 7)


@dataclass(frozen=True)
class State:
    """Of the gateway at rest, over all its processes."""

    memory_bytes: int
    descriptors: int
    tasks: int


def configure(listener: socket.socket) -> Mapping[str, Any]:
    return config(
        {"scripted": provider(listener), "fallback": provider(listener, "/fallback/v1")},
        [model("good", "scripted", "fallback"), model("left", "scripted")],
        server={"workers": WORKERS},
        redis={"timeout_ms": 2000},
        routing={"retries": 3, "breaker": {"error_ratio": 1.0, "min_requests": 1_000_000}},
        customers=[{"id": "tester", "limits": {"tokens_total": 10**12, "usd_total": 10**6}}],
    )


class Upstream:
    """Answers in all ways, and counts them."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._random = random.Random(7)

    async def __call__(self, exchange: Exchange) -> None:
        if exchange.members["messages"][0]["content"] == "leave":
            await exchange.start()
            await exchange.send(role() + text("begun"))
            await exchange.closed.wait()
            return
        if not exchange.path.startswith("/fallback") and self._random.random() < 0.1:
            self.counts["failed"] += 1
            await exchange.answer(500, b'{"error":{"message":"no"}}')
            return
        self.counts["answered"] += 1
        if not exchange.members.get("stream"):
            await exchange.answer(200, completion("fine"))
            return
        await exchange.start()
        await exchange.send(role())
        for _ in range(self._random.randrange(1, 20)):
            await exchange.send(text("words "))
            await asyncio.sleep(0)
        await exchange.send(text("end") + finish() + usage(*TOKENS) + DONE)
        await exchange.finish()


async def use(place: Site, number: int, over: asyncio.Event, counts: Counter[str]) -> None:
    """One client: streams, plain answers, lists, and some departures."""
    choices = random.Random(number)
    while not over.is_set():
        what = choices.random()
        if what < 0.1:
            async with place.asking(model="left", messages=[{"role": "user", "content": "leave"}]) as client:
                await client.read_until(b"begun", SETTLED_WITHIN_S)
                client.leave()
            counts["left"] += 1
        elif what < 0.2:
            assert 200 == (await place.get("/v1/models")).status
        else:
            answer = await place.ask(model="good", stream=what < 0.7, within_s=SETTLED_WITHIN_S)
            assert 200 == answer.status, answer.body
            assert answer.complete
            counts["good"] += 1


async def load(place: Site, seconds: float, counts: Counter[str]) -> None:
    over = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for number in range(CLIENTS):
            tasks.create_task(use(place, number, over, counts))
        try:
            await asyncio.sleep(seconds)
        finally:
            over.set()


async def metrics(place: Site) -> str:
    return (await place.get("/metrics")).body.decode()


def figure(exposition: str, name: str, **labels: str) -> int:
    """The sum of a metric's samples that have these labels."""
    total = 0.0
    for line in exposition.splitlines():
        found = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
        if found and all(f'{label}="{value}"' in (found[1] or "") for label, value in labels.items()):
            total += float(found[2])
    return round(total)


async def at_rest(place: Site) -> State:
    """Wait until nothing is under way, and look."""
    async with asyncio.timeout(SETTLED_WITHIN_S):
        while True:
            said = await metrics(place)
            if (
                figure(said, "headgate_requests_in_flight") + figure(said, "headgate_settlements_waiting")
                == 0
            ):
                break
            await asyncio.sleep(0.1)
    await asyncio.sleep(1)
    pids = workers(place.gateway.process.pid) or [place.gateway.process.pid]
    return State(
        sum(map(resident_bytes, pids)),
        sum(map(descriptors, pids)),
        figure(await metrics(place), "headgate_tasks"),
    )


async def booked(place: Site) -> dict[str, Any]:
    async with place.client() as client:
        headers = {"authorization": f"Bearer {ADMIN_KEY}"}
        await client.send(http_request("GET", "/admin/v1/usage?customer=tester", headers=headers))
        total: dict[str, Any] = (await client.read_all()).members["total"]
    return total


async def test_soak(tmp_path: Path) -> None:
    """At rest the gateway is after the run what it was after a short one; its counts are the upstream's."""
    counts: Counter[str] = Counter()
    upstream = Upstream()
    with site(tmp_path, configure) as place:
        async with place.upstream(upstream):
            await load(place, WARM_UP_S, counts)
            before = await at_rest(place)
            await load(place, SECONDS - WARM_UP_S, counts)
            after = await at_rest(place)
        said = await metrics(place)
        total = await booked(place)
        log = place.gateway.log.read_text()
    print(f"{dict(counts)}, upstream {dict(upstream.counts)}; {before} -> {after}")  # noqa: T201 - figures to look at
    assert after.memory_bytes <= before.memory_bytes + WORKERS * GROWTH_BYTES
    assert after.descriptors <= before.descriptors + CLIENTS  # idle connections to the upstream
    assert after.tasks <= before.tasks + GROWTH_TASKS

    good = counts["good"]
    assert good == upstream.counts["answered"]
    assert good == figure(said, "headgate_requests_total", model="good", outcome="ok", status="200")
    assert good == figure(said, "headgate_attempts_total", outcome="ok")
    assert (
        upstream.counts["failed"]
        == figure(said, "headgate_attempts_total", backend="scripted/upstream-model")
        - figure(said, "headgate_attempts_total", backend="scripted/upstream-model", outcome="ok")
        - counts["left"]
    )
    for kind, each in zip(("input", "output"), TOKENS, strict=True):
        assert good * each == figure(said, "headgate_tokens_total", model="good", kind=kind)
    assert counts["left"] == figure(said, "headgate_requests_total", model="left", outcome="client_gone")
    assert good + counts["left"] == total["requests"]
    for kind in ("input", "output"):
        assert figure(said, "headgate_tokens_total", kind=kind) == total[f"{kind}_tokens"]
    assert "Traceback" not in log
