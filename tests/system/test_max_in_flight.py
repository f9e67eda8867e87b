"""A provider never gets more requests at a time than it is given; the others wait in line, move on or are told."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any, Final

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.raw_client import Answer, RawClient
from tests.support.scripted import (
    DONE,
    WAIT_S,
    Exchange,
    Script,
    completion,
    finish,
    good_stream,
    role,
    text,
    usage,
)
from tests.support.site import Site, config, model, provider, site

CROWD: Final = 30
NARROW: Final = 3
QUEUE_S: Final = 0.4
SLACK_S: Final = 3.0
CONTENT_S: Final = 0.3

Gauges = dict[str, tuple[int, int]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with socket.socket() as closed:
        closed.bind(
            ("127.0.0.1", 0)
        )  # bound, so that nobody else gets the port; not listening, so it refuses

        def configure(listener: socket.socket) -> dict[str, Any]:
            times = {"first_content_s": CONTENT_S, "total_s": CONTENT_S}
            providers = {
                "narrow": provider(listener, "/narrow/v1", max_in_flight=NARROW, queue_s=60),
                "line": provider(listener, "/line/v1", max_in_flight=1, queue_s=60),
                "hasty": provider(listener, "/hasty/v1", max_in_flight=1, queue_s=QUEUE_S),
                "full": provider(listener, "/full/v1", max_in_flight=1),
                "single": provider(listener, "/single/v1", max_in_flight=1, timeouts=times),
                "absent": provider(closed, max_in_flight=1),
                "open": provider(listener, "/open/v1"),
            }
            models = [
                *(model(name, name) for name in providers),
                model("full-or-open", "full", "open"),
                model("hasty-or-open", "hasty", "open"),
                model("full-or-single", "full", "single"),
            ]
            return config(providers, models, routing={"retries": 1})

        with site(tmp_path_factory.mktemp("places"), configure) as place:
            yield place


async def gauges(place: Site) -> Gauges:
    """In flight and queued, by provider."""
    exposition = (await place.get("/metrics")).body.decode()
    found: dict[str, dict[str, int]] = {}
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if family.name in ("headgate_provider_in_flight", "headgate_provider_queued"):
                found.setdefault(sample.labels["provider"], {})[family.name] = int(sample.value)
    return {
        name: (said["headgate_provider_in_flight"], said["headgate_provider_queued"])
        for name, said in found.items()
    }


async def until(place: Site, name: str, in_flight: int, queued: int) -> None:
    """Wait until the metrics say so."""
    async with asyncio.timeout(WAIT_S):
        while (in_flight, queued) != (await gauges(place))[name]:  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(0.01)


async def answer_whole(exchange: Exchange) -> None:
    """In the way that was asked for."""
    if exchange.members.get("stream"):
        await good_stream(exchange)
    elif exchange.path.endswith("/embeddings"):
        await exchange.answer(200, b'{"data":[{"embedding":[0.5],"index":0}]}')
    else:
        await exchange.answer(200, completion("good"))


async def held(exchange: Exchange) -> None:
    """Content at once, the end when the test says so."""
    if not exchange.members.get("stream"):
        await exchange.go.wait()
        await exchange.answer(200, completion("good"))
        return
    await exchange.start()
    await exchange.send(role() + text("good"))
    await exchange.go.wait()
    await exchange.send(finish() + usage() + DONE)
    await exchange.finish()


def held_then(other: Script) -> Script:
    """The first request is held, the others are answered by `other`."""

    async def script(exchange: Exchange) -> None:
        await (other if exchange.number else held)(exchange)

    return script


def attempts_of(answer: Answer, *, stream: bool) -> list[tuple[str, str, int]]:
    last = answer.chunks[-1] if stream and answer.status == 200 else answer.members
    return [(each["backend"], each["outcome"], each["status"]) for each in last["headgate"]["attempts"]]


class Counter:
    """A script that counts who is served at the same time, and lets one go whenever as many as may come are there."""

    def __init__(self, crowd: int, bound: int) -> None:
        self.most = 0
        self.served = 0
        self._crowd = crowd
        self._bound = bound
        self._here: list[Exchange] = []

    async def __call__(self, exchange: Exchange) -> None:
        self._here.append(exchange)
        self.most = max(self.most, len(self._here))
        self._release()
        await exchange.go.wait()
        await answer_whole(exchange)
        self._release()

    def _release(self) -> None:
        # The one that came last goes first, so that places come free in another order than they were taken in.
        if self._here and len(self._here) >= min(self._bound, self._crowd - self.served):
            self.served += 1
            # Counted out before its last byte leaves: the gateway may give its place away as soon as it sees that.
            self._here.pop().go.set()


@pytest.mark.parametrize("kind", ["streamed", "plain", "mixed"])
async def test_never_more_than_given(place: Site, kind: str) -> None:
    """Thirty at once: at no time more than `max_in_flight` at the provider, at times as many, and all are answered."""
    counter = Counter(CROWD, NARROW)
    async with place.upstream(counter), asyncio.TaskGroup() as group:
        asked = [
            group.create_task(
                place.ask(model="narrow", stream=kind == "streamed" or (kind == "mixed" and number % 2 == 0))
            )
            for number in range(CROWD)
        ]
    assert [200] * CROWD == [each.result().status for each in asked]
    assert (NARROW, CROWD) == (counter.most, counter.served)
    assert (0, 0) == (await gauges(place))["narrow"]


async def test_chat_and_embeddings_share_places(place: Site) -> None:
    """A provider counts requests, whatever they are for."""
    script = held_then(answer_whole)
    async with place.upstream(script) as upstream, place.asking(model="full") as client:
        first = await upstream.exchange()
        body = orjson.dumps({"model": "full", "input": "x"})
        async with place.client() as other:
            await other.send(place.request("POST", "/v1/embeddings", body=body))
            answer = await other.read_all()
        assert (503, "overloaded") == (answer.status, answer.members["error"]["code"])
        first.go.set()
        await client.read_all()
        assert 1 == len(upstream.exchanges)
        async with place.client() as other:
            await other.send(place.request("POST", "/v1/embeddings", body=body))
            assert 200 == (await other.read_all()).status


# Without a queue


@pytest.mark.parametrize("stream", [True, False])
async def test_without_a_queue_the_next_backend_answers(place: Site, *, stream: bool) -> None:
    """At once: the full provider hears nothing of it, and `attempts` says why."""
    script = held_then(answer_whole)
    async with place.upstream(script) as upstream, place.asking(model="full") as client:
        first = await upstream.exchange()
        answer = await place.ask(model="full-or-open", stream=stream)
        assert 200 == answer.status
        assert [
            ("full/upstream-model", "overloaded", 0),
            ("open/upstream-model", "ok", 200),
        ] == attempts_of(answer, stream=stream)
        assert ("open", "2") == (answer.headers["x-headgate-provider"], answer.headers["x-headgate-attempts"])
        assert ["/full/v1/chat/completions", "/open/v1/chat/completions"] == [
            each.path for each in upstream.exchanges
        ]
        first.go.set()
        assert "good" == (await client.read_all()).text


@pytest.mark.parametrize("stream", [True, False])
async def test_without_a_queue_and_without_another_backend(place: Site, *, stream: bool) -> None:
    """503 `overloaded`, said by the gateway, at once and without a further try; the client may come again soon."""
    async with place.upstream(held) as upstream, place.asking(model="full") as client:
        first = await upstream.exchange()
        answer = await place.ask(model="full", stream=stream)
        assert (503, "1", "1") == (
            answer.status,
            answer.headers["retry-after"],
            answer.headers["x-headgate-attempts"],
        )
        problem = answer.members["error"]
        assert ("overloaded", "gateway", "server_error", None) == tuple(
            problem[name] for name in ("code", "source", "type", "param")
        )
        assert "1 requests to provider `full` are in flight" in problem["message"]
        assert [("full/upstream-model", "overloaded", 0)] == attempts_of(answer, stream=stream)
        assert 0 == answer.members["headgate"]["attempts"][0]["cost_usd"]
        first.go.set()
        await client.read_all()
        assert 1 == len(upstream.exchanges)


async def test_a_provider_that_failed_is_asked_again_rather_than_a_full_one(place: Site) -> None:
    """Full is no reason to come back, and takes no try: what is tried again is what may have recovered."""

    async def failing(exchange: Exchange) -> None:
        await exchange.answer(503, b'{"error":{"message":"down"}}')

    async with place.upstream(held_then(failing)) as upstream, place.asking(model="full") as client:
        first = await upstream.exchange()
        answer = await place.ask(model="full-or-single")
        assert [
            ("full/upstream-model", "overloaded", 0),
            ("single/upstream-model", "overloaded", 503),
            ("single/upstream-model", "overloaded", 503),
        ] == attempts_of(answer, stream=True)
        assert "provider" == answer.members["error"]["source"]
        first.go.set()
        await client.read_all()


# The queue


async def test_the_queue_keeps_its_order(place: Site) -> None:
    """First come, first served, streamed and plain alike; the metrics show who waits."""
    async with place.upstream(held) as upstream, AsyncExitStack() as stack:
        clients: list[RawClient] = []
        for number in range(5):
            messages = [{"role": "user", "content": f"number {number}"}]
            asking = place.asking(model="line", stream=number % 2 == 0, messages=messages)
            clients.append(await stack.enter_async_context(asking))
            await until(place, "line", 1, number)
        for number, client in enumerate(clients):
            exchange = await upstream.exchange(number)
            assert f"number {number}" == exchange.members["messages"][0]["content"]
            assert number + 1 == len(upstream.exchanges)
            exchange.go.set()
            assert 200 == (await client.read_all()).status
        await until(place, "line", 0, 0)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("manner", ["fin", "rst"])
async def test_who_leaves_makes_room_in_the_queue(place: Site, manner: str, *, stream: bool) -> None:
    """A client that leaves while it waits is forgotten at once, costs nothing, and the one behind it is next."""
    client_id = place.next_id()
    async with place.upstream(held) as upstream, place.asking(model="line") as first:
        begun = await upstream.exchange()
        async with place.asking(model="line", stream=stream, client_id=client_id) as leaving:
            await until(place, "line", 1, 1)
            async with place.asking(model="line") as behind:
                await until(place, "line", 1, 2)
                {"fin": leaving.leave, "rst": leaving.reset}[manner]()
                line = await place.log_line(client_id)
                assert (1, 1) == (await gauges(place))["line"]
                begun.go.set()
                assert 200 == (await first.read_all()).status
                (await upstream.exchange(1)).go.set()
                assert "good" == (await behind.read_all()).text
        assert 2 == len(upstream.exchanges)
    assert ("client_gone", 499, 0) == (
        line["headgate.outcome"],
        line["http.response.status_code"],
        line["headgate.cost_usd"],
    )
    assert ["client_gone"] == [each["outcome"] for each in line["headgate.attempts"]]
    assert (0, 0) == (await gauges(place))["line"]


@pytest.mark.parametrize("stream", [True, False])
async def test_waiting_has_an_end(place: Site, *, stream: bool) -> None:
    """After `queue_s` the next backend is asked; where there is none, the client is told how long it waited."""
    clock = asyncio.get_running_loop().time
    script = held_then(answer_whole)
    async with place.upstream(script) as upstream, place.asking(model="hasty") as client:
        first = await upstream.exchange()
        for name in ("hasty-or-open", "hasty"):
            asked_s = clock()
            answer = await place.ask(model=name, stream=stream)
            assert QUEUE_S <= clock() - asked_s < QUEUE_S + SLACK_S
            if name == "hasty":
                assert (503, "overloaded", "gateway") == (
                    answer.status,
                    answer.members["error"]["code"],
                    answer.members["error"]["source"],
                )
                assert (
                    "no place at provider `hasty` came free within 0.4 s"
                    in answer.members["error"]["message"]
                )
            else:
                assert ["overloaded", "ok"] == [each[1] for each in attempts_of(answer, stream=stream)]
        assert (1, 0) == (await gauges(place))["hasty"]
        first.go.set()
        await client.read_all()
        assert 200 == (await place.ask(model="hasty", stream=stream)).status


# Until the end


@pytest.mark.parametrize("stream", [True, False])
async def test_a_place_is_held_until_the_end(place: Site, *, stream: bool) -> None:
    """Not only until the headers or the first content."""
    script = held_then(answer_whole)
    async with place.upstream(script) as upstream, place.asking(model="full", stream=stream) as client:
        first = await upstream.exchange()
        if stream:
            await client.read_until(b"good")
        assert (1, 0) == (await gauges(place))["full"]
        assert 503 == (await place.ask(model="full")).status
        first.go.set()
        await client.read_all()
        assert 200 == (await place.ask(model="full")).status
    assert (0, 0) == (await gauges(place))["full"]


def answering(status: int, body: bytes, kind: str = "application/json") -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.answer(status, body, (("content-type", kind),))

    return script


async def reset(exchange: Exchange) -> None:
    exchange.reset()


async def fin(exchange: Exchange) -> None:
    exchange.fin()


async def silence(exchange: Exchange) -> None:
    await exchange.closed.wait()


async def cut_in_the_middle(exchange: Exchange) -> None:
    await exchange.start()
    await exchange.send(role() + text("good"))
    exchange.reset()


async def end_in_the_middle(exchange: Exchange) -> None:
    await exchange.stream(role(), text("good"))


async def nonsense(exchange: Exchange) -> None:
    await exchange.write(b"SSH-2.0-OpenSSH_9.2p1\r\n")


FAILURES: Final[dict[str, Script]] = {
    "bad request": answering(400, b'{"error":{"message":"no"}}'),
    "unauthorised": answering(401, b'{"error":{"message":"no"}}'),
    "server error": answering(500, b'{"error":{"message":"no"}}'),
    "page": answering(200, b"<html>", "text/html"),
    "reset": reset,
    "end of connection": fin,
    "cut in the middle": cut_in_the_middle,
    "end in the middle": end_in_the_middle,
    "silence": silence,
    "not HTTP": nonsense,
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", FAILURES)
async def test_a_failed_attempt_gives_its_place_back(place: Site, name: str, *, stream: bool) -> None:
    """Whatever went wrong, before or after the first content; also between two tries."""
    async with place.upstream(FAILURES[name]) as upstream:
        answer = await place.ask(model="single", stream=stream)
        assert answer.complete
        for each in answer.chunks[-1:] if answer.status == 200 else [answer.members]:
            assert "error" in each
            assert "gateway" != each["error"]["source"]
        upstream.script = answer_whole
        later = await place.ask(model="single", stream=stream)
        assert ["ok"] == [outcome for _, outcome, _ in attempts_of(later, stream=stream)]
    assert (0, 0) == (await gauges(place))["single"]


async def test_a_provider_that_is_not_there(place: Site) -> None:
    """Connections that are refused hold no place."""
    for _ in range(3):
        answer = await place.ask(model="absent")
        assert (502, "unreachable") == (answer.status, answer.members["error"]["code"])
    assert (0, 0) == (await gauges(place))["absent"]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_gives_its_place_back(place: Site, *, stream: bool) -> None:
    """In the middle of its answer."""
    async with place.upstream(held_then(answer_whole)) as upstream:
        async with place.asking(model="full", stream=stream) as client:
            await upstream.exchange()
            client.leave()
            await (await upstream.exchange()).until_closed()
        await until(place, "full", 0, 0)
        assert 200 == (await place.ask(model="full")).status


async def test_a_slow_reader_holds_no_place_longer_than_its_provider(place: Site) -> None:
    """A finished answer that waits for its client is not the provider's business any more."""
    words = text("x" * 500_000)

    async def long_then_short(exchange: Exchange) -> None:
        if exchange.number:
            await answer_whole(exchange)
        else:
            await exchange.stream(role(), words, finish(), usage(), DONE)

    async with (
        place.upstream(long_then_short) as upstream,
        place.asking(model="full", receive_buffer_bytes=4096) as client,
    ):
        await upstream.exchange()
        await until(place, "full", 0, 0)
        assert 200 == (await place.ask(model="full")).status
        assert 500_000 == len((await client.read_all()).text)


async def test_metrics_name_providers_that_count(place: Site) -> None:
    """Only those with `max_in_flight`; a request that found no place is an attempt that was overloaded."""
    names = {"narrow", "line", "hasty", "full", "single", "absent"}
    async with place.upstream(held) as upstream, place.asking(model="full") as client:
        first = await upstream.exchange()
        await place.ask(model="full")
        assert {**dict.fromkeys(names, (0, 0)), "full": (1, 0)} == await gauges(place)
        first.go.set()
        await client.read_all()
    attempts = (await place.get("/metrics")).body.decode()
    assert 'headgate_attempts_total{backend="full/upstream-model",outcome="overloaded"}' in attempts


async def test_the_log_tells_why(place: Site) -> None:
    """A request that found no place is one line like any other."""
    client_id = place.next_id()
    async with place.upstream(held) as upstream, place.asking(model="full") as client:
        first = await upstream.exchange()
        await place.ask(model="full", client_id=client_id)
        line = await place.log_line(client_id)
        first.go.set()
        await client.read_all()
    assert ("overloaded", 503, 0) == (
        line["headgate.outcome"],
        line["http.response.status_code"],
        line["headgate.cost_usd"],
    )
    assert ["overloaded"] == [each["outcome"] for each in line["headgate.attempts"]]
