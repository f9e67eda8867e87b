"""Idle connections of clients and balancers: kept for `server.keepalive_timeout_s`, then closed by the gateway."""

import asyncio
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.site import Site, config, model, provider, site

KEPT_S: Final = 4.0
"""Pauses of a third of it stay below it on a busy machine, too."""
SLACK_S: Final = 10.0
"""For a busy machine; the time-out itself may not be cut short."""


@pytest.fixture(params=[1, 2], ids=["alone", "workers"])
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    def configure(listener: socket.socket) -> Mapping[str, Any]:
        server = {"keepalive_timeout_s": KEPT_S, "workers": request.param}
        return config({"scripted": provider(listener)}, [model("test-model", "scripted")], server=server)

    with site(tmp_path, configure) as made:
        yield made


async def test_an_idle_connection(place: Site) -> None:
    """It serves request after request, outlives pauses shorter than the time-out, and is closed after a longer one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", place.gateway.port)
    request = place.request("GET", "/v1/models")
    for pause_s in (0.0, KEPT_S / 3, KEPT_S / 3):
        await asyncio.sleep(pause_s)
        writer.write(request)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SLACK_S)
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" not in head
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
    idle_since = time.monotonic()
    assert b"" == await asyncio.wait_for(reader.read(), KEPT_S + SLACK_S)
    # The gateway began to count before the last byte was read here.
    assert KEPT_S - 0.5 <= time.monotonic() - idle_since
    writer.close()
