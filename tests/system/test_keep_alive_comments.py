"""With `keep_alive_s` set, silences are broken by comments, and failover works until the first content all the same."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from tests.support.gateway import NO_CIRCUITS
from tests.support.scripted import DONE, Exchange, completion, finish, good_stream, role, text
from tests.support.site import Site, config, model, provider, site

KEEP_ALIVE_S = 0.2
COMMENT = b": headgate"
ROUTING_HEADERS = {"x-headgate-model", "x-headgate-provider", "x-headgate-attempts", "x-headgate-tier"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def configure(listener: socket.socket) -> dict[str, Any]:
        providers = {"first": provider(listener, "/first/v1"), "second": provider(listener, "/second/v1")}
        models = [model("test-model", "first", "second")]
        keeping = {"keep_alive_s": KEEP_ALIVE_S}
        return config(providers, models, server=keeping, routing={"retries": 1, "breaker": NO_CIRCUITS})

    with site(tmp_path_factory.mktemp("keeping"), configure) as place:
        yield place


def without_comments(body: bytes) -> bytes:
    """The body without frames of ours that are comments."""
    frames = [piece + b"\n\n" for piece in body.split(b"\n\n")[:-1]]
    return b"".join(frame for frame in frames if not frame.startswith(COMMENT))


async def test_comments_come_while_the_provider_thinks(place: Site) -> None:
    """Status and comments come before any byte of the provider; routing headers cannot be known yet."""

    async def script(exchange: Exchange) -> None:
        await exchange.go.wait()
        await good_stream(exchange)

    async with place.upstream(script) as upstream, place.asking() as client:
        began_s = asyncio.get_running_loop().time()
        while client.answer.body.count(COMMENT) < 3:
            await client.read_some()
        answer = client.answer
        assert answer.pieces[0][0] - began_s >= KEEP_ALIVE_S * 0.9
        assert 200 == answer.status
        assert not ROUTING_HEADERS & answer.headers.keys()
        assert answer.headers["x-request-id"].startswith("req-")
        assert "text/event-stream; charset=utf-8" == answer.headers["content-type"]
        upstream.exchanges[0].go.set()
        answer = await client.read_all()
    assert answer.complete
    assert without_comments(answer.body).startswith(role() + text("good"))
    assert answer.body.endswith(DONE)
    assert "first" == answer.chunks[-1]["headgate"]["provider"]
    assert answer.headers["x-request-id"] == answer.chunks[-1]["headgate"]["request_id"]


async def test_failover_behind_comments(place: Site) -> None:
    """A provider that fails after comments went out is replaced, and the client sees one clean answer."""

    async def script(exchange: Exchange) -> None:
        if exchange.path.startswith("/second/"):
            await good_stream(exchange)
            return
        await exchange.start()
        await exchange.send(b": LEAKED\n\n" + role())
        await exchange.go.wait()
        exchange.fin()

    async with place.upstream(script) as upstream, place.asking() as client:
        await client.read_until(COMMENT)
        upstream.exchanges[0].go.set()
        answer = await client.read_all()
    assert without_comments(answer.body).startswith(role() + text("good"))
    assert b"LEAKED" not in answer.body
    outcomes = [each["outcome"] for each in answer.chunks[-1]["headgate"]["attempts"]]
    assert ["protocol", "ok"] == outcomes


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [(500, "overloaded", 503), (429, "rate_limited", 429), (400, "bad_request", 400)],
)
async def test_when_all_fail_behind_comments(place: Site, status: int, kind: str, told: int) -> None:
    """Then the error is one frame with the kind and the status it would have had, no end mark, a proper end."""

    async def script(exchange: Exchange) -> None:
        await exchange.go.wait()
        problem = orjson.dumps({"error": {"message": "not today", "type": "server_error"}})
        await exchange.answer(status, problem, (("retry-after", "300"),))

    client_id = place.next_id()
    async with place.upstream(script) as upstream, place.asking(client_id=client_id) as client:
        await client.read_until(COMMENT)
        for number in range(1 if status == 400 else 2):
            (await upstream.exchange(number)).go.set()
        answer = await client.read_all()
        line = await place.log_line(client_id)
    assert 200 == answer.status
    assert answer.complete
    assert b"[DONE]" not in answer.body
    (chunk,) = answer.chunks
    assert told == chunk["error"]["code"]
    assert kind == chunk["error"]["metadata"]["error_type"]
    assert "not today" == chunk["error"]["message"]
    assert "error" == chunk["choices"][0]["finish_reason"]
    expected = [kind] if status == 400 else [kind, kind]
    assert expected == [each["outcome"] for each in chunk["headgate"]["attempts"]]
    assert kind == line["headgate.outcome"]


async def test_a_quick_answer_has_no_comment(place: Site) -> None:
    """Nothing is sent early without need: routing headers are there."""
    async with place.upstream(good_stream):
        answer = await place.ask()
    assert COMMENT not in answer.body
    assert {"x-headgate-model", "x-headgate-provider", "x-headgate-attempts"} <= answer.headers.keys()


async def test_an_early_failure_is_a_status(place: Site) -> None:
    """As long as nothing was sent, an error is an HTTP status."""

    async def script(exchange: Exchange) -> None:
        await exchange.answer(400, b'{"error": {"message": "no"}}')

    async with place.upstream(script):
        assert 400 == (await place.ask()).status


async def test_comments_never_stand_inside_a_frame(place: Site) -> None:
    """A provider that falls silent in the middle of a frame: comments come between frames only."""

    async def script(exchange: Exchange) -> None:
        await exchange.start()
        long = text("long")
        await exchange.send(text("short") + long[:20])
        await exchange.go.wait()
        await exchange.send(long[20:])
        await exchange.send(finish() + DONE)
        await exchange.finish()

    async with place.upstream(script) as upstream, place.asking() as client:
        await client.read_until(COMMENT)
        upstream.exchanges[0].go.set()
        answer = await client.read_all()
    assert without_comments(answer.body).startswith(text("short") + text("long"))
    assert "shortlong" == answer.text


async def test_a_plain_answer_has_none(place: Site) -> None:
    """A JSON body cannot be begun early."""

    async def script(exchange: Exchange) -> None:
        await asyncio.sleep(KEEP_ALIVE_S * 3)
        await exchange.answer(200, completion("plain"))

    async with place.upstream(script):
        answer = await place.ask(stream=False)
    assert "plain" == answer.members["choices"][0]["message"]["content"]
    assert ROUTING_HEADERS - {"x-headgate-tier"} <= answer.headers.keys()


async def test_leaving_behind_comments(place: Site) -> None:
    """A client that leaves after comments ends its upstream like any other."""

    async def script(exchange: Exchange) -> None:
        await exchange.closed.wait()

    client_id = place.next_id()
    async with place.upstream(script) as upstream, place.asking(client_id=client_id) as client:
        exchange = await upstream.exchange()
        await client.read_until(COMMENT)
        client.leave()
        await exchange.until_closed(within_s=1)
        line = await place.log_line(client_id)
        assert 1 == len(upstream.exchanges)
    assert "client_gone" == line["headgate.outcome"]
    assert ["client_gone"] == [each["outcome"] for each in line["headgate.attempts"]]
