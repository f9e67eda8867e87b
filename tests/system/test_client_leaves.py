"""A client that leaves stops the upstream at once, is billed for what it got, and starts nothing further."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw_client import RawClient
from tests.support.scripted import Exchange, ScriptedUpstream, good_stream, role, text
from tests.support.site import Site, config, model, poll, provider, site

SYN_SENT = "02"  # include/net/tcp_states.h
CLOSED_WITHIN_S = 1.0
"""A departure is one loop turn of work; the rest is slack for a busy machine."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with full_listener() as unreachable:

        def configure(listener: socket.socket) -> dict[str, Any]:
            providers = {
                "first": provider(listener, "/first/v1"),
                "second": provider(listener, "/second/v1"),
                "full": provider(unreachable, timeouts={"connect_s": 60}),
            }
            models = [model("test-model", "first", "second"), model("far", "full", "second")]
            return config(providers, models)

        with site(tmp_path_factory.mktemp("leaves"), configure) as place:
            yield place


@contextmanager
def full_listener() -> Iterator[socket.socket]:
    """A socket whose queue is full: the kernel drops what knocks, so that connecting neither works nor fails."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            knocking = stack.enter_context(socket.socket())
            knocking.settimeout(0)
            knocking.connect_ex(listener.getsockname())
        yield listener


async def hold(exchange: Exchange) -> None:
    """Answer nothing until the gateway leaves."""
    await exchange.closed.wait()


async def begin_and_hold(exchange: Exchange) -> None:
    """Some content, then silence until the gateway leaves."""
    await exchange.start()
    for piece in (role(), text("one "), text("two "), text("three")):
        await exchange.send(piece)
    await exchange.closed.wait()


def leave(client: RawClient, manner: str) -> None:
    {"fin": client.leave, "rst": client.reset, "half-closed": client.half_close}[manner]()


async def assert_over(
    place: Site, upstream: ScriptedUpstream, client_id: str, left_s: float
) -> dict[str, Any]:
    """The upstream was let go in time, the departure stands in the log once, and nothing followed. Gives the line."""
    closed_s = await (await upstream.exchange()).until_closed()
    assert closed_s - left_s < CLOSED_WITHIN_S
    line = await place.log_line(client_id)
    assert "client_gone" == line["headgate.outcome"]
    assert 499 == line["http.response.status_code"]
    assert ["client_gone"] == [attempt["outcome"] for attempt in line["headgate.attempts"]]
    # Whatever the departure might have started would be seen before a later request has been served.
    upstream.script = good_stream
    later = await place.ask(client_id=place.next_id())
    assert "good" == later.text
    assert 2 == len(upstream.exchanges)
    assert 1 == len(place.log_lines(client_id))
    return line


@pytest.mark.parametrize("manner", ["fin", "rst", "half-closed"])
async def test_in_mid_stream(place: Site, manner: str) -> None:
    """In mid-stream: the upstream is closed without another byte of it; prompt and relayed part are billed."""
    client_id = place.next_id()
    async with place.upstream(begin_and_hold) as upstream, place.asking(client_id=client_id) as client:
        await client.read_until(b"three")
        left_s = asyncio.get_running_loop().time()
        leave(client, manner)
        line = await assert_over(place, upstream, client_id, left_s)
    assert line["headgate.usage.estimated"] is True
    assert line["gen_ai.usage.input_tokens"] > 0
    assert line["gen_ai.usage.output_tokens"] >= 3
    assert line["headgate.cost_usd"] > 0
    assert line["headgate.attempts"][0]["cost_usd"] == line["headgate.cost_usd"]


@pytest.mark.parametrize("manner", ["fin", "rst"])
async def test_before_the_first_byte(place: Site, manner: str) -> None:
    """Before the upstream has said anything: it is closed, the prompt is billed, no other backend is tried."""
    client_id = place.next_id()
    async with place.upstream(hold) as upstream, place.asking(client_id=client_id) as client:
        await upstream.exchange()
        left_s = asyncio.get_running_loop().time()
        leave(client, manner)
        line = await assert_over(place, upstream, client_id, left_s)
    assert line["headgate.usage.estimated"] is True
    assert line["gen_ai.usage.input_tokens"] > 0
    assert 0 == line["gen_ai.usage.output_tokens"]


async def test_while_the_role_frame_is_held(place: Site) -> None:
    """Between the role frame and the first content: as before the first byte."""

    async def role_only(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send(role())
        await exchange.closed.wait()

    client_id = place.next_id()
    async with place.upstream(role_only) as upstream, place.asking(client_id=client_id) as client:
        exchange = await upstream.exchange()
        await poll(lambda: exchange.taken_bytes > len(role()))
        left_s = asyncio.get_running_loop().time()
        client.leave()
        await assert_over(place, upstream, client_id, left_s)


@pytest.mark.parametrize("manner", ["fin", "rst"])
async def test_while_a_plain_request_waits(place: Site, manner: str) -> None:
    """A plain request is let go just the same."""
    client_id = place.next_id()
    async with place.upstream(hold) as upstream, place.asking(client_id=client_id, stream=False) as client:
        await upstream.exchange()
        left_s = asyncio.get_running_loop().time()
        leave(client, manner)
        line = await assert_over(place, upstream, client_id, left_s)
    assert line["headgate.usage.estimated"] is True
    assert line["gen_ai.usage.input_tokens"] > 0


async def test_while_half_a_plain_answer_is_here(place: Site) -> None:
    """Also when the provider has begun its plain answer."""

    async def half(exchange: Exchange) -> None:
        await exchange.start(200, (("content-length", "1000"),), chunked=False)
        await exchange.write(b'{"id": ')
        await exchange.closed.wait()

    client_id = place.next_id()
    async with place.upstream(half) as upstream, place.asking(client_id=client_id, stream=False) as client:
        exchange = await upstream.exchange()
        await poll(lambda: exchange.taken_bytes > len(b'{"id": '))
        left_s = asyncio.get_running_loop().time()
        client.leave()
        await assert_over(place, upstream, client_id, left_s)


@pytest.mark.parametrize("stream", [True, False])
async def test_while_connecting(place: Site, *, stream: bool) -> None:
    """While the connection is being made: the attempt ends at once, nothing was sent, so nothing is billed."""
    client_id = place.next_id()
    async with place.upstream(good_stream) as upstream:
        async with place.asking(client_id=client_id, model="far", stream=stream) as client:
            await poll(lambda: connecting(place))
            left_s = asyncio.get_running_loop().time()
            client.leave()
            line = await place.log_line(client_id)
            assert asyncio.get_running_loop().time() - left_s < CLOSED_WITHIN_S
        await place.ask()
        assert 1 == len(upstream.exchanges), "the second backend was tried for a client that had left"
    assert "client_gone" == line["headgate.outcome"]
    assert ["client_gone"] == [attempt["outcome"] for attempt in line["headgate.attempts"]]
    assert 0 == line["headgate.cost_usd"]
    assert "gen_ai.usage.input_tokens" not in line
    await poll(lambda: not connecting(place))


def connecting(place: Site) -> bool:
    """Whether the gateway has a connection under way: one of its sockets has sent SYN and heard nothing."""
    inodes = set()
    for descriptor in Path(f"/proc/{place.gateway.process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            inodes.add(str(descriptor.readlink()))
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[3] == SYN_SENT and f"socket:[{row[9]}]" in inodes for row in rows)


async def test_while_waiting_to_try_again(place: Site) -> None:
    """Between two tries: no further one begins."""

    async def refuse(exchange: Exchange) -> None:
        await exchange.answer(429, b'{"error": {"message": "slow down"}}', (("retry-after", "2"),))
        exchange.go.set()

    client_id = place.next_id()
    async with place.upstream(refuse) as upstream, place.asking(client_id=client_id) as client:
        second = await upstream.exchange(1)
        await second.go.wait()
        await place.get("/livez")  # answered after it: by then the gateway has read the refusal, and waits
        client.leave()
        line = await place.log_line(client_id, within_s=CLOSED_WITHIN_S)
        assert 2 == len(upstream.exchanges)
    assert "client_gone" == line["headgate.outcome"]
    assert ["rate_limited", "rate_limited"] == [each["outcome"] for each in line["headgate.attempts"]]


async def test_a_pipelined_connection_leaves_nothing_behind(place: Site) -> None:
    """A client that leaves in its second request on one connection is seen like any other."""
    client_id = place.next_id()
    async with place.upstream(good_stream) as upstream, place.client() as client:
        await client.send(place.chat())
        assert "good" == (await client.read_all()).text
        client.next_answer()
        upstream.script = begin_and_hold
        await client.send(place.chat(client_id=client_id))
        await client.read_until(b"three")
        left_s = asyncio.get_running_loop().time()
        client.leave()
        closed_s = await (await upstream.exchange(1)).until_closed()
        assert closed_s - left_s < CLOSED_WITHIN_S
        line = await place.log_line(client_id)
    assert "client_gone" == line["headgate.outcome"]
