"""`client_write_s` ends a client that neither reads nor leaves; its upstream goes with it."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.scripted import Exchange, completion, good_stream, role, text
from tests.support.site import Site, config, model, poll, provider, site

ESTABLISHED = "01"  # include/net/tcp_states.h
WRITE_S = 1.0
SLACK_S = 3.0
"""The kernel's buffers fill first, and what is unsent is looked at once in `client_write_s`."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def configure(listener: socket.socket) -> dict[str, Any]:
        providers = {"scripted": provider(listener)}
        return config(providers, [model("test-model", "scripted")], server={"client_write_s": WRITE_S})

    with site(tmp_path_factory.mktemp("stuck"), configure) as place:
        yield place


async def endless(exchange: Exchange) -> None:
    """Content without end."""
    await exchange.start()
    await exchange.send(role())
    while True:
        await exchange.send(text("x" * 60_000))


async def test_a_client_that_never_reads_a_stream_is_dropped(place: Site) -> None:
    """It is cut off, the upstream is closed, and the log says who ended it: the client, as far as billing goes."""
    client_id = place.next_id()
    clock = asyncio.get_running_loop().time
    async with (
        place.upstream(endless) as upstream,
        place.asking(client_id=client_id, receive_buffer_bytes=16 * 1024) as client,
    ):
        began_s = clock()
        exchange = await upstream.exchange()
        closed_s = await exchange.until_closed(WRITE_S + SLACK_S + 10)
        assert WRITE_S * 0.9 < closed_s - began_s
        line = await place.log_line(client_id)
        assert not (await client.read_all()).complete
        upstream.script = good_stream
        assert "good" == (await place.ask()).text
    assert "client_gone" == line["headgate.outcome"]
    assert line["headgate.usage.estimated"] is True
    assert line["gen_ai.usage.output_tokens"] > 0
    assert line["headgate.total_ms"] < (WRITE_S + SLACK_S + 10) * 1000


async def test_a_client_that_never_reads_a_plain_answer_is_dropped(place: Site) -> None:
    """A large plain answer holds no connection for ever either."""
    words = "x" * 30_000_000

    async def large(exchange: Exchange) -> None:
        await exchange.answer(200, completion(words))

    async with (
        place.upstream(large),
        place.asking(stream=False, receive_buffer_bytes=16 * 1024) as client,
    ):
        await client.read_head()
        await poll(lambda: not still_connected(place, client.port), within_s=WRITE_S + SLACK_S + 10)


async def test_a_client_that_never_reads_the_end_of_a_stream_is_dropped(place: Site) -> None:
    """Also when the upstream has finished and only the gateway still holds bytes."""

    async def much(exchange: Exchange) -> None:
        await exchange.stream(role(), *[text("x" * 1_000_000) for _ in range(12)], b"data: [DONE]\n\n")

    client_id = place.next_id()
    async with (
        place.upstream(much),
        place.asking(client_id=client_id, receive_buffer_bytes=16 * 1024) as client,
    ):
        await client.read_head()
        await poll(lambda: not still_connected(place, client.port), within_s=WRITE_S + SLACK_S + 10)
        line = await place.log_line(client_id)
    assert line["headgate.outcome"] in {"protocol", "client_gone"}


def still_connected(place: Site, client_port: int) -> bool:
    """Whether the gateway still holds the connection of the client with that port; what the kernel does is its own."""
    ours = f"0100007F:{place.gateway.port:04X}"
    theirs = f"0100007F:{client_port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any((ours, theirs, ESTABLISHED) == (row[1], row[2], row[3]) for row in rows)
