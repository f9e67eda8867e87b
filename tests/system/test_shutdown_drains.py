"""SIGTERM: streams under way complete within `drain_s`, nothing new is accepted, and the process ends with 0."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw_client import RawClient
from tests.support.scripted import DONE, Exchange, completion, finish, role, text, usage
from tests.support.site import Site, config, model, poll, provider, site

DRAIN_S = 3
SLACK_S = 4.0


@contextmanager
def fresh_place(directory: Path) -> Iterator[Site]:
    """A gateway that one test may stop."""

    def configure(listener: socket.socket) -> dict[str, Any]:
        providers = {"scripted": provider(listener)}
        return config(providers, [model("test-model", "scripted")], server={"drain_s": DRAIN_S})

    with site(directory, configure) as place:
        yield place


async def released(exchange: Exchange) -> None:
    """Half an answer, and the rest when the test says so."""
    if not exchange.members["stream"]:
        await exchange.go.wait()
        await exchange.answer(200, completion("plain"))
        return
    await exchange.start()
    await exchange.send(role() + text("first half, "))
    await exchange.go.wait()
    await exchange.send(text("second half") + finish() + usage() + DONE)
    await exchange.finish()


async def exit_code(place: Site, within_s: float) -> int:
    return await asyncio.wait_for(asyncio.to_thread(place.gateway.process.wait), within_s)


async def refuses_connections(place: Site) -> bool:
    try:
        async with await RawClient.connect(place.gateway.port):
            return False
    except ConnectionRefusedError:
        return True


async def until_refusing(place: Site) -> None:
    async with asyncio.timeout(5):
        while not await refuses_connections(place):  # noqa: ASYNC110 - the state is another process's
            await asyncio.sleep(0.02)


def children(place: Site) -> list[Path]:
    """Processes that the gateway started, while they are there."""
    pid = place.gateway.process.pid
    return [Path("/proc", each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_what_is_under_way_completes(tmp_path: Path, number: signal.Signals) -> None:
    """A stream and a plain request under way are answered whole; new connections are refused; the exit code is 0."""
    with fresh_place(tmp_path) as place:
        ids = [place.next_id(), place.next_id()]
        async with (
            place.upstream(released) as upstream,
            place.asking(client_id=ids[0]) as streaming,
            place.asking(client_id=ids[1], stream=False) as plain,
        ):
            await streaming.read_until(b"first half")
            await upstream.exchange(1)
            place.gateway.process.send_signal(number)
            await until_refusing(place)
            assert place.gateway.process.poll() is None
            for exchange in upstream.exchanges:
                exchange.go.set()
            streamed, answered = await streaming.read_all(), await plain.read_all()
            assert 0 == await exit_code(place, DRAIN_S + SLACK_S)
        assert "first half, second half" == streamed.text
        assert streamed.complete
        assert streamed.body.endswith(DONE)
        assert "plain" == answered.members["choices"][0]["message"]["content"]
        assert ["ok", "ok"] == [place.log_lines(each)[0]["headgate.outcome"] for each in ids]


async def test_idle_connections_do_not_hold_it_up(tmp_path: Path) -> None:
    """Nothing under way: it ends at once, whoever is still connected."""

    async def quick(exchange: Exchange) -> None:
        exchange.go.set()
        await released(exchange)

    with fresh_place(tmp_path) as place:
        async with place.upstream(quick), place.client() as idle, place.client() as silent:
            await idle.send(place.chat())
            assert (await idle.read_all()).complete
            place.gateway.process.terminate()
            assert 0 == await exit_code(place, DRAIN_S - 0.5)
            silent.leave()


async def test_what_takes_too_long_is_ended(tmp_path: Path) -> None:
    """After `drain_s` the rest is cut: its upstream is closed, it stands in the log once, and the exit code is 0."""
    with fresh_place(tmp_path) as place:
        client_id = place.next_id()
        async with place.upstream(released) as upstream, place.asking(client_id=client_id) as client:
            await client.read_until(b"first half")
            place.gateway.process.terminate()
            assert 0 == await exit_code(place, DRAIN_S + SLACK_S)
            await upstream.exchanges[0].until_closed()
            answer = await client.read_all()
        (line,) = place.log_lines(client_id)
        assert "cancelled" == line["headgate.outcome"]
        assert ["cancelled"] == [each["outcome"] for each in line["headgate.attempts"]]
        assert line["gen_ai.usage.input_tokens"] > 0
        assert line["gen_ai.usage.output_tokens"] > 0
        assert line["headgate.usage.estimated"] is True
        assert "Traceback" not in place.gateway.log.read_text()
        # Never a bare cut: the client learns that its answer is incomplete.
        assert answer.complete
        assert "error" == answer.chunks[-1]["choices"][0]["finish_reason"]
        assert 503 == answer.chunks[-1]["error"]["code"]
        assert b"[DONE]" not in answer.body


@pytest.mark.parametrize("stream", [True, False])
async def test_what_has_not_begun_in_time_is_refused(tmp_path: Path, *, stream: bool) -> None:
    """A request whose provider has said nothing by then gets 503 in our shape."""

    async def silent(exchange: Exchange) -> None:
        await exchange.closed.wait()

    with fresh_place(tmp_path) as place:
        client_id = place.next_id()
        async with (
            place.upstream(silent) as upstream,
            place.asking(client_id=client_id, stream=stream) as client,
        ):
            await upstream.exchange()
            place.gateway.process.terminate()
            assert 0 == await exit_code(place, DRAIN_S + SLACK_S)
            answer = await client.read_all()
            await upstream.exchanges[0].until_closed()
        (line,) = place.log_lines(client_id)
        assert ("cancelled", 503) == (line["headgate.outcome"], line["http.response.status_code"])
        assert line["gen_ai.usage.input_tokens"] > 0
        assert "Traceback" not in place.gateway.log.read_text()
    assert (503, "overloaded") == (answer.status, answer.members["error"]["code"])
    assert ["cancelled"] == [each["outcome"] for each in answer.members["headgate"]["attempts"]]


async def test_the_store_is_stopped_with_it(tmp_path: Path) -> None:
    """The embedded store ends with the gateway, and its data can be opened by the next one."""
    with fresh_place(tmp_path) as place:
        stores = children(place)
        assert stores
        place.gateway.process.terminate()
        assert 0 == await exit_code(place, DRAIN_S + SLACK_S)
        await poll(lambda: not any(each.exists() for each in stores))
    with fresh_place(tmp_path) as place:
        assert 200 == (await place.get("/v1/models")).status
