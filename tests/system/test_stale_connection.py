"""A reused connection that dies before any byte of the answer is replaced once, in silence."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.scripted import Exchange, completion, good_stream, role
from tests.support.site import Site, config, model, provider, site


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def configure(listener: socket.socket) -> dict[str, Any]:
        providers = {"first": provider(listener, "/first/v1"), "second": provider(listener, "/second/v1")}
        return config(providers, [model("test-model", "first", "second")])

    with site(tmp_path_factory.mktemp("stale"), configure) as place:
        yield place


async def answer_well(exchange: Exchange) -> None:
    if exchange.members["stream"]:
        await good_stream(exchange)
    else:
        await exchange.answer(200, completion("good"))


@pytest.mark.parametrize("manner", ["fin", "reset"])
@pytest.mark.parametrize("stream", [True, False])
async def test_it_is_replaced_in_silence(place: Site, manner: str, *, stream: bool) -> None:
    """The client sees one answer, one attempt is listed, and it was free of charge."""
    client_id = place.next_id()

    async def script(exchange: Exchange) -> None:
        if exchange.number == 1:
            (exchange.fin if manner == "fin" else exchange.reset)()
        else:
            await answer_well(exchange)

    async with place.upstream(script) as upstream:
        await place.ask(stream=stream)
        answer = await place.ask(client_id=client_id, stream=stream)
        line = await place.log_line(client_id)
        assert 3 == len(upstream.exchanges)
        first, dying, fresh = upstream.exchanges
        assert first.connection == dying.connection, "the connection was not reused; this test shows nothing"
        assert dying.connection != fresh.connection
        assert {"/first/v1/chat/completions"} == {each.path for each in upstream.exchanges}
        assert dying.body == fresh.body
    assert 200 == answer.status
    assert "1" == answer.headers["x-headgate-attempts"]
    assert ["ok"] == [each["outcome"] for each in line["headgate.attempts"]]


async def test_only_once(place: Site) -> None:
    """The replacement is a first connection: when that dies too, the attempt has failed, and the next begins."""

    async def script(exchange: Exchange) -> None:
        if exchange.number in {1, 2}:
            exchange.fin()
        else:
            await good_stream(exchange)

    async with place.upstream(script) as upstream:
        await place.ask()
        answer = await place.ask()
        paths = [each.path.split("/")[1] for each in upstream.exchanges]
    assert ["first", "first", "first", "second"] == paths
    outcomes = [each["outcome"] for each in answer.chunks[-1]["headgate"]["attempts"]]
    assert ["unreachable", "ok"] == outcomes


async def test_a_fresh_connection_that_dies_is_a_failure(place: Site) -> None:
    """Nothing is replaced when the connection was new: the provider is at fault."""

    async def script(exchange: Exchange) -> None:
        if exchange.number == 0:
            exchange.fin()
        else:
            await good_stream(exchange)

    async with place.upstream(script) as upstream:
        answer = await place.ask()
        paths = [each.path.split("/")[1] for each in upstream.exchanges]
    assert ["first", "second"] == paths
    outcomes = [each["outcome"] for each in answer.chunks[-1]["headgate"]["attempts"]]
    assert ["unreachable", "ok"] == outcomes


@pytest.mark.parametrize("begun", [b"H", b"HTTP/1.1 200 OK\r\n", None])
async def test_a_reused_connection_that_dies_later_is_a_failure(place: Site, begun: bytes | None) -> None:
    """One byte of the answer is enough: the provider has taken the request, and it may have been carried out."""

    async def script(exchange: Exchange) -> None:
        if exchange.number == 1:
            if begun is None:
                await exchange.start()
                await exchange.send(role())
            else:
                await exchange.write(begun)
            exchange.fin()
        else:
            await good_stream(exchange)

    async with place.upstream(script) as upstream:
        await place.ask()
        answer = await place.ask()
        paths = [each.path.split("/")[1] for each in upstream.exchanges]
    assert ["first", "first", "second"] == paths
    first, second = answer.chunks[-1]["headgate"]["attempts"]
    assert first["outcome"] in {"unreachable", "protocol"}
    assert "ok" == second["outcome"]


async def test_a_connection_closed_while_idle_is_not_used(place: Site) -> None:
    """A connection that the provider closed while it idled is simply gone."""

    async def close_after(exchange: Exchange) -> None:
        await good_stream(exchange)
        exchange.fin()

    async with place.upstream(close_after) as upstream:
        for _ in range(5):
            assert "good" == (await place.ask()).text
        assert 5 == len(upstream.exchanges) == upstream.connections


async def test_bytes_that_come_while_it_idles_are_never_an_answer(place: Site) -> None:
    """A late 408 on an idle connection is not taken for the answer to the next request."""

    async def script(exchange: Exchange) -> None:
        await good_stream(exchange)
        if exchange.number == 0:
            await exchange.answer(408, b'{"error": {"message": "idle for too long"}}')

    async with place.upstream(script) as upstream:
        await place.ask()
        await place.get("/livez")  # by then the gateway has read the late answer
        answer = await place.ask()
        assert upstream.exchanges[0].connection != upstream.exchanges[1].connection
    assert "good" == answer.text
    assert "1" == answer.headers["x-headgate-attempts"]
