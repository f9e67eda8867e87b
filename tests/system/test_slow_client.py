"""A slow client slows its upstream, the gateway's memory stays flat, and every byte arrives in the end."""

import asyncio
import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.scripted import DONE, Exchange, finish, role, text, usage
from tests.support.site import Site, config, model, provider, site

PIECE_BYTES = 16 * 1024
PIECES = 3_200  # 50 MB in all

# Between upstream and client lie four kernel buffers, which loopback grows to 4-6 MB each, and little else.
ACCEPTED_AT_MOST_BYTES = 20_000_000
GROWTH_AT_MOST_BYTES = 8_000_000
"""Of the gateway's resident memory: its own buffers are a few hundred kB, the rest is the allocator's."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def configure(listener: socket.socket) -> dict[str, Any]:
        # A stall bound far below the test's pause: waiting for the client must not count as the provider's silence.
        slow = provider(listener, timeouts={"stall_s": 0.5, "first_content_s": 1, "first_byte_s": 1})
        return config({"slow": slow}, [model("test-model", "slow")], server={"client_write_s": 60})

    with site(tmp_path_factory.mktemp("slow"), configure) as place:
        yield place


def resident_bytes(place: Site) -> int:
    status = Path(f"/proc/{place.gateway.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def piece(number: int) -> bytes:
    return text(f"{number:06d}" + "x" * PIECE_BYTES)


async def flood(exchange: Exchange) -> None:
    """50 MB as fast as they are taken."""
    await exchange.start()
    await exchange.send(role())
    for number in range(PIECES):
        await exchange.send(piece(number))
    for each in (finish(), usage(), DONE):
        await exchange.send(each)
    await exchange.finish()


async def until_still(exchange: Exchange, quiet_s: float) -> int:
    """Wait until the upstream could not write anything for `quiet_s`; what was taken so far."""
    clock = asyncio.get_running_loop().time
    taken, since_s = -1, clock()
    async with asyncio.timeout(30):
        while clock() - since_s < quiet_s:
            if exchange.taken_bytes != taken:
                taken, since_s = exchange.taken_bytes, clock()
            await asyncio.sleep(0.02)
    return taken


async def test_memory_is_flat_and_no_byte_is_lost(place: Site) -> None:
    """A client that does not read a 50 MB stream: the upstream is held back, memory stays; later all arrives."""
    async with place.upstream(flood) as upstream:
        await place.ask(max_tokens=1, within_s=60)  # the first one warms up what is made once
        before_bytes = resident_bytes(place)
        async with place.asking(receive_buffer_bytes=64 * 1024) as client:
            await client.read_until(b"000000")
            exchange = await upstream.exchange(1)
            taken_bytes = await until_still(exchange, quiet_s=1.5)  # three times the stall bound
            assert PIECE_BYTES < taken_bytes < ACCEPTED_AT_MOST_BYTES
            assert resident_bytes(place) - before_bytes < GROWTH_AT_MOST_BYTES
            assert not exchange.closed.is_set()
            answer = await client.read_all(within_s=60)
    body = answer.body
    expected = hashlib.sha256(role())
    for number in range(PIECES):
        expected.update(piece(number))
    tail_at = len(role()) + sum(len(piece(number)) for number in range(PIECES))
    assert expected.hexdigest() == hashlib.sha256(body[:tail_at]).hexdigest()
    assert body.endswith(DONE)
    assert answer.complete


async def test_a_client_that_reads_in_sips_is_not_a_stuck_one(place: Site) -> None:
    """Reading slowly is no offence: a client that pauses again and again gets everything."""
    words = b"".join(piece(number) for number in range(200))

    async def some(exchange: Exchange) -> None:
        await exchange.stream(words, finish(), usage(), DONE)

    async with place.upstream(some), place.asking(receive_buffer_bytes=16 * 1024) as client:
        while not client.answer.ended:
            await client.read_some(at_most_bytes=40_000)
            await asyncio.sleep(0)
    assert client.answer.body.startswith(words)
    assert client.answer.complete
