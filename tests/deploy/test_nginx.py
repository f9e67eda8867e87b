"""`deploy/nginx/headgate.conf` in a real nginx: frames pass as they come, and who leaves is noticed."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.rendering import DEPLOY
from tests.support.raw_client import RawClient
from tests.support.scripted import DONE, Exchange, finish, role, text, usage
from tests.support.site import Site, config, model, provider, site

START_S = 10.0
SHELL = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    {paths}
    include {directory}/headgate.conf;
}}
"""


@contextmanager
def nginx(directory: Path, gateway_port: int) -> Iterator[int]:
    """nginx with our file, on a port of its own, which it gives."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is missing (Debian: nginx-light)")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shipped = (DEPLOY / "nginx" / "headgate.conf").read_text()
    for old, new in (
        ("127.0.0.1:8080", f"127.0.0.1:{gateway_port}"),
        ("listen 80;", f"listen 127.0.0.1:{port};"),
    ):
        assert 1 == shipped.count(old)
        shipped = shipped.replace(old, new)
    (directory / "headgate.conf").write_text(shipped)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = " ".join(f"{kind}_temp_path {directory}/{kind};" for kind in kinds)
    (directory / "nginx.conf").write_text(SHELL.format(directory=directory, paths=paths))
    process = subprocess.Popen([program, "-c", str(directory / "nginx.conf"), "-p", str(directory)])
    try:
        _wait_for(port, directory / "error.log", process)
        yield port
    finally:
        process.terminate()
        process.wait(START_S)


def _wait_for(port: int, log: Path, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            said = log.read_text() if log.exists() else ""
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.02)
        else:
            return


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def configure(listener: socket.socket) -> dict[str, Any]:
        return config({"scripted": provider(listener)}, [model("test-model", "scripted")])

    with site(tmp_path_factory.mktemp("gateway"), configure) as made:
        yield made


@pytest.fixture(scope="module")
def port(place: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with nginx(tmp_path_factory.mktemp("nginx"), place.gateway.port) as made:
        yield made


async def test_frames_pass_as_they_come(place: Site, port: int) -> None:
    """Each small frame reaches the client before the next one is made; at the end the stream is whole."""
    words = [f"word {number}, " for number in range(5)]

    async def one_by_one(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send(role())
        for word in words:
            await exchange.send(text(word))
            await exchange.go.wait()
            exchange.go.clear()
        await exchange.send(finish() + usage() + DONE)
        await exchange.finish()

    async with place.upstream(one_by_one) as upstream, await RawClient.connect(port) as client:
        await client.send(place.chat())
        for word in words:
            await client.read_until(word.encode())
            upstream.exchanges[0].go.set()
        answer = await client.read_all()
    assert 200 == answer.status
    assert answer.complete
    assert "".join(words) == answer.text
    assert answer.body.endswith(DONE)
    assert "scripted" == answer.headers["x-headgate-provider"]


async def test_a_client_that_leaves_stops_its_provider(place: Site, port: int) -> None:
    """nginx closes its connection to the gateway, and the gateway that to the provider."""

    async def endless(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send(role() + text("begun"))
        await exchange.closed.wait()

    async with place.upstream(endless) as upstream, await RawClient.connect(port) as client:
        await client.send(place.chat())
        await client.read_until(b"begun")
        client.leave()
        await upstream.exchanges[0].until_closed()


@pytest.mark.parametrize("path", ["/admin/v1/customers", "/metrics", "/readyz", "/livez", "/console"])
async def test_what_is_not_for_the_outside(place: Site, port: int, path: str) -> None:
    """Administration and probes are not there."""
    async with await RawClient.connect(port) as client:
        await client.send(place.request("GET", path))
        answer = await client.read_all()
    assert 404 == answer.status
    assert "nginx" in answer.headers["server"]
