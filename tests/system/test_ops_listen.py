"""`server.ops_listen`: probes and metrics on their own address, answered whatever the gateway is busy with."""

import http.client
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.flood import flooding
from tests.support.site import Site, config, model, provider, site

PROMISED_S = 0.1
SLACK_S = 0.9  # two cores are shared with the flood, the gateway and other tests
CONNECTIONS = 64
PROBES = 60
READY_S = 30.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def place_with(directory: Path, workers: int) -> Iterator[tuple[Site, int]]:
    port = free_port()

    def configure(listener: socket.socket) -> dict[str, Any]:
        server = {"workers": workers, "ops_listen": f"127.0.0.1:{port}"}
        return config({"scripted": provider(listener)}, [model("test-model", "scripted")], server=server)

    with site(directory, configure) as place:
        yield place, port


def get(port: int, path: str, method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def until_ready(ops: int) -> None:
    """A supervisor hears of its workers' readiness a moment later than their own address tells it."""
    deadline = time.monotonic() + READY_S
    while get(ops, "/readyz")[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("workers", [1, 2])
def test_where_what_is_served(tmp_path: Path, workers: int) -> None:
    """Probes on both addresses, metrics on the second one only, and nothing else there."""
    with place_with(tmp_path, workers) as (place, ops):
        main = place.gateway.port
        assert [200, 200, 404] == [get(main, path)[0] for path in ("/livez", "/readyz", "/metrics")]
        until_ready(ops)
        assert [200, 200] == [get(ops, path)[0] for path in ("/livez", "/metrics")]
        assert b"headgate_store_up 1.0" in get(ops, "/metrics")[1]
        assert (200, b"") == get(ops, "/livez", "HEAD")
        assert [404, 404] == [get(ops, path)[0] for path in ("/v1/models", "/admin/v1/customers")]
        assert 405 == get(ops, "/livez", "POST")[0]
        with socket.create_connection(("127.0.0.1", ops), timeout=10) as nonsense:
            nonsense.sendall(b"x" * 20_000)
            nonsense.shutdown(socket.SHUT_WR)
            assert 200 == get(ops, "/livez")[0]


@pytest.mark.parametrize("workers", [1, 2])
def test_probes_while_saturated(tmp_path: Path, workers: int) -> None:
    """With 64 connections that never rest: half of the probes within 100 ms, each with 900 ms of slack."""
    with place_with(tmp_path, workers) as (place, ops):
        until_ready(ops)
        with flooding(place.gateway.port, place.gateway.key, CONNECTIONS) as flood:
            took_s = []
            for number in range(PROBES):
                began_s = time.monotonic()
                status, _ = get(ops, "/livez" if number % 2 else "/readyz")
                took_s.append(time.monotonic() - began_s)
                assert 200 == status
                time.sleep(0.02)
            good, bad = flood.stop()
        assert (True, 0) == (good > CONNECTIONS, bad)
        print(f"probe: median {statistics.median(took_s) * 1000:.1f} ms, worst {max(took_s) * 1000:.1f} ms")  # noqa: T201 - figures to look at
        assert statistics.median(took_s) < PROMISED_S
        assert max(took_s) < PROMISED_S + SLACK_S


def test_an_address_in_use(tmp_path: Path) -> None:
    """One line that names it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        def configure(listener: socket.socket) -> dict[str, Any]:
            providers = {"scripted": provider(listener)}
            return config(providers, [model("test-model", "scripted")], server={"ops_listen": address})

        starting = site(tmp_path, configure)
        with pytest.raises(AssertionError, match=f"cannot listen on {address}"):
            starting.__enter__()
