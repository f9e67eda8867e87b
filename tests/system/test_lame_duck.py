"""SIGTERM: the gateway says that it goes and still serves; then what is under way completes, and it ends with 0."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.gateway import ADMIN_KEY
from tests.support.raw_client import Answer, RawClient, http_request
from tests.support.scripted import DONE, Exchange, finish, role, text, usage
from tests.support.site import Site, config, model, poll, provider, site

LAME_DUCK_S = 6.0  # all that is asked of a lame duck here must come within it, on a busy machine too
DRAIN_S = 3.0
SLACK_S = 12.0
STREAMS = 50


@contextmanager
def place_with(directory: Path, workers: int, **server: Any) -> Iterator[Site]:
    def configure(listener: socket.socket) -> dict[str, Any]:
        given = {"lame_duck_s": LAME_DUCK_S, "drain_s": DRAIN_S, "workers": workers, **server}
        return config({"scripted": provider(listener)}, [model("test-model", "scripted")], server=given)

    with site(directory, configure) as place:
        yield place


async def released(exchange: Exchange) -> None:
    """Half an answer, and the rest when the test says so."""
    await exchange.start()
    await exchange.send(role() + text("first half, "))
    await exchange.go.wait()
    await exchange.send(text("second half") + finish() + usage() + DONE)
    await exchange.finish()


async def stuck(exchange: Exchange) -> None:
    """Half an answer, and no more."""
    await exchange.start()
    await exchange.send(role() + text("first half, "))
    await exchange.closed.wait()


async def exit_code(place: Site, within_s: float) -> int:
    return await asyncio.wait_for(asyncio.to_thread(place.gateway.process.wait), within_s)


async def readiness(place: Site) -> tuple[int, dict[str, Any]]:
    answer = await place.get("/readyz")
    return answer.status, answer.members


async def until_draining(place: Site) -> None:
    async with asyncio.timeout(LAME_DUCK_S):
        while (await readiness(place)) != (503, {"status": "not_ready", "reasons": ["draining"]}):  # noqa: ASYNC110 - the state is another process's
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("workers", [1, 2])
async def test_fifty_streams_and_a_lame_duck(tmp_path: Path, workers: int) -> None:
    """None of 50 streams breaks; new requests are served with `connection: close`; live, not ready; exit code 0."""
    with place_with(tmp_path, workers) as place:
        async with place.upstream(released) as upstream, AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(place.asking()) for _ in range(STREAMS)]
            for client in clients:
                await client.read_until(b"first half")
            kept = await stack.enter_async_context(place.client())
            await kept.send(place.request("GET", "/v1/models"))
            assert "connection" not in (await kept.read_all()).headers

            place.gateway.process.terminate()
            await until_draining(place)
            alive = await place.get("/livez")
            assert (200, "close") == (alive.status, alive.headers["connection"])
            late = await stack.enter_async_context(place.asking())
            await late.read_until(b"first half")
            assert "close" == late.answer.headers["connection"]
            kept.next_answer()
            await kept.send(place.request("GET", "/v1/models"))
            assert "close" == (await kept.read_all()).headers["connection"]

            for exchange in upstream.exchanges:
                exchange.go.set()
            answers: list[Answer] = [await client.read_all(DRAIN_S + SLACK_S) for client in [*clients, late]]
            assert 0 == await exit_code(place, LAME_DUCK_S + DRAIN_S + SLACK_S)
        assert STREAMS + 1 == len(upstream.exchanges)
        for answer in answers:
            assert "first half, second half" == answer.text
            assert answer.body.endswith(DONE)
            assert answer.complete


@pytest.mark.parametrize("workers", [1, 2])
async def test_what_is_left_gets_an_error_and_is_settled(tmp_path: Path, workers: int) -> None:
    """After `drain_s` a stream ends with an error frame; the slot that it held is free for the next gateway at once."""
    with place_with(tmp_path, workers, lame_duck_s=0, drain_s=1) as place:
        status, made = await admin(place, "POST", "/admin/v1/customers", id="acme", limits={"in_flight": 1})
        assert 201 == status
        status, made = await admin(place, "POST", "/admin/v1/keys", customer="acme")
        key = {"authorization": f"Bearer {made['key']}"}
        async with place.upstream(stuck), place.client() as client:
            await client.send(chat(key))
            await client.read_until(b"first half")
            place.gateway.process.terminate()
            assert 0 == await exit_code(place, 1 + SLACK_S)
            answer = await client.read_all()
        assert answer.complete
        assert "error" == answer.chunks[-1]["choices"][0]["finish_reason"]
        assert b"[DONE]" not in answer.body
        (line,) = [line for line in place.log() if line["event"] == "request"]
        assert "cancelled" == line["headgate.outcome"]
    with place_with(tmp_path, workers) as place:
        async with place.upstream(stuck), place.client() as client:
            await client.send(chat(key))
            await client.read_until(b"first half")
        place.gateway.process.send_signal(signal.SIGINT)


def chat(headers: dict[str, str]) -> bytes:
    body = orjson.dumps(
        {"model": "test-model", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    )
    said = {"content-type": "application/json", **headers}
    return http_request("POST", "/v1/chat/completions", headers=said, body=body)


async def admin(place: Site, method: str, path: str, **members: Any) -> tuple[int, dict[str, Any]]:
    headers = {"authorization": f"Bearer {ADMIN_KEY}", "content-type": "application/json"}
    async with place.client() as client:
        await client.send(http_request(method, path, headers=headers, body=orjson.dumps(members)))
        answer = await client.read_all()
    return answer.status, answer.members


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_second_sigterm_skips_the_lame_duck(tmp_path: Path, workers: int) -> None:
    """The first one begins a lame duck of a minute; the second ends it."""
    with place_with(tmp_path, workers, lame_duck_s=60) as place:
        place.gateway.process.terminate()
        await poll(lambda: any(line["event"] == "stopping" for line in place.log()))
        place.gateway.process.terminate()
        assert 0 == await exit_code(place, SLACK_S)


@pytest.mark.parametrize("workers", [1, 2])
async def test_ctrl_c_twice_waits_for_nothing(tmp_path: Path, workers: int) -> None:
    """The first SIGINT skips the lame duck and drains; the second ends what is under way, still with an error frame."""
    with place_with(tmp_path, workers, lame_duck_s=60, drain_s=60) as place:
        async with place.upstream(stuck), place.asking() as client:
            await client.read_until(b"first half")
            place.gateway.process.send_signal(signal.SIGINT)
            await until_refusing(place)
            assert place.gateway.process.poll() is None
            place.gateway.process.send_signal(signal.SIGINT)
            assert 0 == await exit_code(place, SLACK_S)
            answer = await client.read_all()
        assert "error" == answer.chunks[-1]["choices"][0]["finish_reason"]
        assert "Traceback" not in place.gateway.log.read_text()


async def until_refusing(place: Site) -> None:
    async with asyncio.timeout(SLACK_S):
        while True:
            try:
                async with await RawClient.connect(place.gateway.port):
                    await asyncio.sleep(0.02)
            except ConnectionRefusedError:
                return
