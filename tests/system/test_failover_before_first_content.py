"""Until the first content failover is invisible: one clean answer, and `attempts` says what happened."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from tests.support.gateway import NO_CIRCUITS
from tests.support.scripted import (
    DONE,
    Exchange,
    Script,
    completion,
    finish,
    frame,
    good_stream,
    role,
    text,
    usage,
)
from tests.support.site import Site, config, model, provider, site

CONTENT_S = 0.5
SLACK_S = 3.0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with socket.socket() as closed:
        closed.bind(
            ("127.0.0.1", 0)
        )  # bound, so that nobody else gets the port; not listening, so it refuses

        def configure(listener: socket.socket) -> dict[str, Any]:
            providers = {
                "bad": provider(listener, "/bad/v1", timeouts={"first_content_s": CONTENT_S}),
                "good": provider(listener, "/good/v1"),
                "refusing": provider(closed),
            }
            models = [
                model("test-model", "bad", "good"),
                model("refused", "refusing", "good"),
                model("alone", "bad"),
            ]
            return config(providers, models, routing={"breaker": NO_CIRCUITS})

        with site(tmp_path_factory.mktemp("failover"), configure) as place:
            yield place


def bad_then_good(bad: Script) -> Script:
    """The first backend fails by `bad`, the second answers."""

    async def script(exchange: Exchange) -> None:
        await (bad if exchange.path.startswith("/bad/") else good_stream)(exchange)

    return script


def error(status: int, code: str = "server_error") -> bytes:
    return orjson.dumps({"error": {"message": f"secret words of {status}", "type": code, "code": code}})


def answering(status: int, body: bytes, kind: str = "application/json", *more: tuple[str, str]) -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.answer(status, body, (("content-type", kind), *more))

    return script


def streaming(*pieces: bytes) -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.stream(*pieces)

    return script


async def reset(exchange: Exchange) -> None:
    exchange.reset()


async def fin(exchange: Exchange) -> None:
    exchange.fin()


async def head_then_reset(exchange: Exchange) -> None:
    await exchange.start()
    exchange.reset()


async def role_then_reset(exchange: Exchange) -> None:
    await exchange.start()
    await exchange.send(role())
    exchange.reset()


async def role_then_fin(exchange: Exchange) -> None:
    await exchange.start()
    await exchange.send(b": LEAKED comment\n\n" + role())
    exchange.fin()


async def silence(exchange: Exchange) -> None:
    """Comments and a role frame, but never content."""
    await exchange.start()
    await exchange.send(b": LEAKED comment\n\n")
    await exchange.send(role())
    while not exchange.closed.is_set():
        await exchange.send(b": LEAKED comment\n\n")
        await asyncio.sleep(CONTENT_S / 5)


async def not_http(exchange: Exchange) -> None:
    await exchange.write(b"SSH-2.0-OpenSSH_9.2p1\r\n")


FAILURES: dict[str, tuple[Script, str, int]] = {
    "500": (answering(500, error(500)), "overloaded", 500),
    "503 with retry-after": (
        answering(503, error(503), "application/json", ("retry-after", "30")),
        "overloaded",
        503,
    ),
    "429": (answering(429, error(429), "application/json", ("retry-after", "30")), "rate_limited", 429),
    "429 without words": (answering(429, b"", "text/plain"), "rate_limited", 429),
    "401": (answering(401, error(401, "invalid_api_key")), "auth", 401),
    "402": (answering(402, error(402)), "auth", 402),
    "403": (answering(403, error(403)), "auth", 403),
    "404": (answering(404, error(404)), "auth", 404),
    "408": (answering(408, error(408)), "timeout", 408),
    "html 502": (answering(502, b"<html>Bad Gateway</html>", "text/html"), "unreachable", 502),
    "html 200": (answering(200, b"<html>Please log in</html>", "text/html"), "protocol", 0),
    "redirect": (answering(302, b"", "text/html", ("location", "/elsewhere")), "protocol", 302),
    "reset": (reset, "unreachable", 0),
    "end of connection": (fin, "unreachable", 0),
    "reset after the head": (head_then_reset, "protocol", 0),
    "role frame then reset": (role_then_reset, "protocol", 0),
    "role frame then end of connection": (role_then_fin, "protocol", 0),
    "empty stream": (streaming(), "protocol", 0),
    "only the end mark": (streaming(DONE), "protocol", 0),
    "only a role frame": (streaming(role(), DONE), "protocol", 0),
    "only comments": (streaming(b": LEAKED\n\n", b": LEAKED\n\n"), "protocol", 0),
    "only usage": (streaming(role(), usage(), DONE), "protocol", 0),
    "error frame first": (streaming(frame({"error": {"message": "down", "code": 503}})), "overloaded", 503),
    "error frame, rate": (streaming(frame({"error": {"message": "slow", "code": 429}})), "rate_limited", 429),
    "error event": (streaming(b'event: error\ndata: {"error": {"message": "down"}}\n\n'), "overloaded", 0),
    "role frame then error": (
        streaming(role(), frame({"error": {"message": "down", "code": 500}})),
        "overloaded",
        500,
    ),
    "finish reason error": (streaming(role(), finish("error"), DONE), "overloaded", 0),
    "unparsable first frame": (streaming(b"data: {nonsense\n\n"), "protocol", 0),
    "a frame that is no object": (streaming(b"data: [1]\n\n"), "protocol", 0),
    "unparsable frame after the role": (
        streaming(role(), b"data: <html>\n\n", text("late"), DONE),
        "protocol",
        0,
    ),
    "no content in time": (silence, "timeout", 0),
    "not HTTP": (not_http, "protocol", 0),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_the_client_sees_one_clean_answer(place: Site, name: str) -> None:
    """Nothing of the failed attempt reaches the client, and the second backend's answer is whole."""
    script, outcome, status = FAILURES[name]
    client_id = place.next_id()
    async with place.upstream(bad_then_good(script)) as upstream:
        answer = await place.ask(client_id=client_id, within_s=CONTENT_S + SLACK_S + 5)
        line = await place.log_line(client_id)
        assert ["/bad/v1/chat/completions", "/good/v1/chat/completions"] == [
            each.path for each in upstream.exchanges
        ]
        assert upstream.exchanges[0].body == upstream.exchanges[1].body
    assert 200 == answer.status
    assert answer.complete
    assert answer.body.startswith(role() + text("good"))
    assert answer.body.endswith(DONE)
    assert b"LEAKED" not in answer.body
    assert b"secret" not in answer.body
    block = answer.chunks[-1]["headgate"]
    assert "good" == block["provider"]
    expected = [("bad/upstream-model", outcome, status), ("good/upstream-model", "ok", 200)]
    assert expected == [(each["backend"], each["outcome"], each["status"]) for each in block["attempts"]]
    assert "2" == answer.headers["x-headgate-attempts"]
    assert "good" == answer.headers["x-headgate-provider"]
    assert "ok" == line["headgate.outcome"]
    assert block["attempts"] == line["headgate.attempts"]
    assert block["cost_usd"] == sum(each["cost_usd"] for each in block["attempts"])


async def test_a_refused_connection(place: Site) -> None:
    """A provider that is not there at all is passed over."""
    async with place.upstream(good_stream) as upstream:
        answer = await place.ask(model="refused")
        assert 1 == len(upstream.exchanges)
    outcomes = [(each["outcome"], each["status"]) for each in answer.chunks[-1]["headgate"]["attempts"]]
    assert [("unreachable", 0), ("ok", 200)] == outcomes
    assert "good" == answer.text


async def test_a_failed_attempt_lets_go_of_its_connection(place: Site) -> None:
    """An attempt given up in silence leaves no upstream running."""
    async with place.upstream(bad_then_good(silence)) as upstream:
        await place.ask()
        assert (await upstream.exchange(0)).closed.is_set()


async def test_a_legal_empty_answer_is_an_answer(place: Site) -> None:
    """A finish reason without content commits: no other backend is asked."""
    async with place.upstream(
        bad_then_good(streaming(role(), finish("content_filter"), usage(9, 0), DONE))
    ) as upstream:
        answer = await place.ask()
        assert 1 == len(upstream.exchanges)
    assert "content_filter" == answer.chunks[-1]["choices"][0]["finish_reason"]
    assert ["ok"] == [each["outcome"] for each in answer.chunks[-1]["headgate"]["attempts"]]


async def test_a_bad_request_is_given_back(place: Site) -> None:
    """The client's own mistake is its own: the provider's words, no second backend."""
    async with place.upstream(bad_then_good(answering(400, error(400, "invalid_request_error")))) as upstream:
        answer = await place.ask()
        assert 1 == len(upstream.exchanges)
    assert 400 == answer.status
    problem = answer.members["error"]
    assert ("bad_request", "provider", "secret words of 400") == (
        problem["code"],
        problem["source"],
        problem["message"],
    )
    attempts = [(each["outcome"], each["status"]) for each in answer.members["headgate"]["attempts"]]
    assert [("bad_request", 400)] == attempts


async def test_plain_answers_fail_over_too(place: Site) -> None:
    """A plain request moves on after an error, a cut body, or a body that is no answer."""

    async def cut(exchange: Exchange) -> None:
        await exchange.start(200, (("content-length", "100"),), chunked=False)
        await exchange.write(b'{"id"')
        exchange.fin()

    failures: list[tuple[Script, str]] = [
        (answering(500, error(500)), "overloaded"),
        (cut, "protocol"),
        (answering(200, b"<html>"), "protocol"),
        (answering(200, b"{}"), "protocol"),
        (answering(200, b'{"error": {"message": "down", "code": 503}}'), "overloaded"),
    ]
    for bad, outcome in failures:

        async def script(exchange: Exchange, bad: Script = bad) -> None:
            if exchange.path.startswith("/bad/"):
                await bad(exchange)
            else:
                await exchange.answer(200, completion("good"))

        async with place.upstream(script):
            answer = await place.ask(stream=False)
        assert 200 == answer.status
        assert "good" == answer.members["choices"][0]["message"]["content"]
        assert [outcome, "ok"] == [each["outcome"] for each in answer.members["headgate"]["attempts"]]


@pytest.mark.parametrize("stream", [True, False])
async def test_when_all_fail_by_rate_the_smallest_delay_is_told(place: Site, *, stream: bool) -> None:
    """All rate limited: 429 with the smallest delay, in whole seconds."""

    async def script(exchange: Exchange) -> None:
        delay = "200" if exchange.path.startswith("/bad/") else "99.5"
        await exchange.answer(429, error(429), (("retry-after", delay),))

    async with place.upstream(script) as upstream:
        answer = await place.ask(stream=stream)
        assert 2 == len(upstream.exchanges)
    assert 429 == answer.status
    assert "100" == answer.headers["retry-after"]
    assert "rate_limited" == answer.members["error"]["code"]
    assert "provider" == answer.members["error"]["source"]
    assert 2 == len(answer.members["headgate"]["attempts"])


@pytest.mark.parametrize(
    ("first", "second", "status", "code"),
    [
        (500, 401, 503, "overloaded"),
        (401, 403, 502, "auth"),
        (429, 401, 429, "rate_limited"),
        (401, 502, 502, "unreachable"),
    ],
)
async def test_when_all_fail_the_last_error_that_is_not_our_keys_counts(
    place: Site, first: int, second: int, status: int, code: str
) -> None:
    """Auth failures are ours and say nothing to the client; auth alone gives 502."""

    async def script(exchange: Exchange) -> None:
        wrong = first if exchange.path.startswith("/bad/") else second
        # The delay keeps the gateway from waiting and trying again: it does not fit the deadline.
        await exchange.answer(wrong, error(wrong), (("retry-after", "300"),))

    async with place.upstream(script):
        answer = await place.ask()
    assert (status, code) == (answer.status, answer.members["error"]["code"])
    assert 2 == len(answer.members["headgate"]["attempts"])


async def test_one_backend_alone_is_tried_again(place: Site) -> None:
    """With no other backend left the same one is tried again, as often as `retries` says, and then its error told."""

    async def script(exchange: Exchange) -> None:
        if exchange.number < 2:
            await exchange.answer(500, error(500))
        else:
            await good_stream(exchange)

    async with place.upstream(script) as upstream:
        answer = await place.ask(model="alone")
        assert 3 == len(upstream.exchanges)
        outcomes = [each["outcome"] for each in answer.chunks[-1]["headgate"]["attempts"]]
        assert ["overloaded", "overloaded", "ok"] == outcomes
        upstream.script = answering(500, error(500))
        answer = await place.ask(model="alone")
        assert 6 == len(upstream.exchanges)
    assert 503 == answer.status
    assert 3 == len(answer.members["headgate"]["attempts"])
