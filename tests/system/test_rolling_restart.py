"""Three gateways behind a load balancer, restarted one after the other under 200 streams: no client notices."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.gateway import ADMIN_KEY, TEST_KEY, RunningGateway, running
from tests.support.raw_client import RawClient, http_request
from tests.support.scripted import DONE, Exchange, finish, listening, role, serving, text, usage
from tests.support.site import config, model, provider
from tests.support.valkey import PrivateServer

GATEWAYS = 3
STREAMS = 200
WORDS = 10
GAP_S = 0.2
LAME_DUCK_S = 2
DRAIN_S = 20
SLACK_S = 40.0
TOKENS = (11, 7)

HAPROXY = """
global
    maxconn 2000
defaults
    mode http
    timeout connect 5s
    timeout client 120s
    timeout server 120s
    timeout check 10s
    option redispatch
    retries 3
frontend all
    bind 127.0.0.1:{port}
    default_backend gateways
backend gateways
    balance roundrobin
    option httpchk GET /readyz
    default-server inter 250ms fall 1 rise 1
{servers}
"""


def free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in taken]
    for each in taken:
        each.close()
    return ports


@contextmanager
def haproxy(directory: Path, port: int, gateways: list[int], ops: list[int]) -> Iterator[None]:
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if program is None:
        pytest.skip("haproxy is missing (Debian: haproxy)")
    servers = "\n".join(
        f"    server g{port} 127.0.0.1:{port} check port {probes}"
        for port, probes in zip(gateways, ops, strict=True)
    )
    path = directory / "haproxy.cfg"
    path.write_text(HAPROXY.format(port=port, servers=servers))
    process = subprocess.Popen([program, "-db", "-f", str(path)], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


class Fleet:
    """Gateways with one store, each with a directory and a port of its own."""

    def __init__(
        self, directory: Path, configuration: Mapping[str, Any], ports: list[int], ops: list[int]
    ) -> None:
        self._directory = directory
        self._configuration = configuration
        self._ports = ports
        self._ops = ops
        self._contexts: list[AbstractContextManager[RunningGateway] | None] = [None] * len(ports)
        self._running: dict[int, RunningGateway] = {}

    async def start(self, number: int) -> None:
        directory = self._directory / str(number)
        directory.mkdir(exist_ok=True)
        server = {**self._configuration["server"], "ops_listen": f"127.0.0.1:{self._ops[number]}"}
        context = running(directory, {**self._configuration, "server": server}, port=self._ports[number])
        self._contexts[number] = context
        self._running[number] = await asyncio.to_thread(context.__enter__)

    async def stop(self, number: int) -> int:
        """SIGTERM, and the exit code."""
        context, gateway = self._contexts[number], self._running.pop(number)
        assert context is not None
        gateway.process.terminate()
        code = await asyncio.wait_for(
            asyncio.to_thread(gateway.process.wait), LAME_DUCK_S + DRAIN_S + SLACK_S
        )
        await asyncio.to_thread(context.__exit__, None, None, None)
        return code

    async def close(self) -> None:
        for number in list(self._running):
            await self.stop(number)


@asynccontextmanager
async def fleet(
    directory: Path, listener: socket.socket, store: str, ports: list[int], ops: list[int]
) -> AsyncIterator[Fleet]:
    configuration = config(
        {"scripted": provider(listener)},
        [model("test-model", "scripted")],
        server={"lame_duck_s": LAME_DUCK_S, "drain_s": DRAIN_S},
        redis={"url": store, "timeout_ms": 2000},
        customers=[{"id": "tester", "limits": {"usd_total": 1_000_000}}],
    )
    made = Fleet(directory, configuration, ports, ops)
    try:
        for number in range(len(ports)):
            await made.start(number)
        yield made
    finally:
        await made.close()


async def booked(port: int) -> dict[str, Any]:
    """What the ledger says of the customer."""
    async with await RawClient.connect(port) as client:
        headers = {"authorization": f"Bearer {ADMIN_KEY}"}
        await client.send(http_request("GET", "/admin/v1/usage?customer=tester", headers=headers))
        total: dict[str, Any] = (await client.read_all()).members["total"]
    return total


async def test_no_client_notices(tmp_path: Path) -> None:
    """0 errors of 200 clients that stream all the while; the ledger equals what the provider produced."""
    produced = {"answers": 0}

    async def slowly(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send(role())
        for number in range(WORDS):
            await exchange.send(text(f"{number} "))
            await asyncio.sleep(GAP_S)
        await exchange.send(finish() + usage(*TOKENS) + DONE)
        await exchange.finish()
        produced["answers"] += 1

    front, *found = free_ports(1 + 2 * GATEWAYS)
    ports, ops = found[:GATEWAYS], found[GATEWAYS:]
    body = {"model": "test-model", "stream": True, "messages": [{"role": "user", "content": "count"}]}
    headers = {"authorization": f"Bearer {TEST_KEY}", "content-type": "application/json"}
    request = http_request("POST", "/v1/chat/completions", headers=headers, body=orjson.dumps(body))
    whole = "".join(f"{number} " for number in range(WORDS))
    over = asyncio.Event()
    answered = 0

    async def stream(number: int) -> None:
        nonlocal answered
        await asyncio.sleep(number * WORDS * GAP_S / STREAMS)
        while not over.is_set():
            async with await RawClient.connect(front) as client:
                await client.send(request)
                answer = await client.read_all(60)
            assert (200, whole, True) == (answer.status, answer.text, answer.complete), answer.body
            assert answer.body.endswith(DONE)
            answered += 1

    with (
        PrivateServer() as store,
        listening() as listener,
        haproxy(tmp_path, front, ports, ops),
    ):
        async with fleet(tmp_path, listener, store.url, ports, ops) as gateways, serving(listener, slowly):
            await asyncio.sleep(1)  # the balancer's checks
            codes = []
            async with asyncio.TaskGroup() as tasks:
                for number in range(STREAMS):
                    tasks.create_task(stream(number))
                try:
                    await asyncio.sleep(WORDS * GAP_S)
                    for number in range(GATEWAYS):
                        codes.append(await gateways.stop(number))
                        await gateways.start(number)
                        await asyncio.sleep(1)  # the balancer's checks
                finally:
                    over.set()
            assert [0] * GATEWAYS == codes
            assert answered == produced["answers"]
            assert answered > STREAMS
            expected = (answered, answered * TOKENS[0], answered * TOKENS[1])
            async with asyncio.timeout(SLACK_S):
                while True:
                    total = await booked(ports[0])
                    if expected == (total["requests"], total["input_tokens"], total["output_tokens"]):
                        break
                    await asyncio.sleep(0.2)
    print(f"{answered} streams, 0 errors; the ledger says {total}")  # noqa: T201 - figures to look at
