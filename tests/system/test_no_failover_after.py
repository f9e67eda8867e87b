"""After the first content there is no failover: one error frame of ours, no end mark, and a body that ends properly."""

import socket
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from tests.support.gateway import NO_CIRCUITS
from tests.support.raw_client import Answer
from tests.support.scripted import DONE, Exchange, Script, finish, frame, good_stream, role, text, usage
from tests.support.site import Site, config, model, provider, site

STALL_S = 0.5


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def configure(listener: socket.socket) -> dict[str, Any]:
        providers = {
            "bad": provider(listener, "/bad/v1", timeouts={"stall_s": STALL_S}),
            "good": provider(listener, "/good/v1"),
        }
        return config(providers, [model("test-model", "bad", "good")], routing={"breaker": NO_CIRCUITS})

    with site(tmp_path_factory.mktemp("committed"), configure) as place:
        yield place


DOWN = frame({"error": {"message": "the engine is down", "code": 500, "type": "server_error"}})


def committed(*pieces: bytes, end: str) -> Script:
    """Pieces, and then an end: `finish`, `fin`, `reset` or `silence`."""

    async def script(exchange: Exchange) -> None:
        assert exchange.path.startswith("/bad/"), "a committed attempt was followed by another one"
        await exchange.start()
        for piece in pieces:
            await exchange.send(piece)
        if end == "finish":
            await exchange.finish()
        elif end == "fin":
            exchange.fin()
        elif end == "reset":
            await exchange.go.wait()  # a reset may overtake what was written before it
            exchange.reset()
        else:
            await exchange.closed.wait()

    return script


BREAKS: dict[str, tuple[Script, str, int]] = {
    "error frame": (committed(role(), text("some "), DOWN, end="finish"), "overloaded", 503),
    "error frame in the same read": (
        committed(role() + text("some ") + DOWN, end="finish"),
        "overloaded",
        503,
    ),
    "error frame and end mark": (committed(text("some "), DOWN, DONE, end="finish"), "overloaded", 503),
    "rate error frame": (
        committed(text("some "), frame({"error": {"message": "slow", "code": 429}}), end="finish"),
        "rate_limited",
        429,
    ),
    "end mark without finish reason": (committed(text("some "), DONE, end="finish"), "protocol", 502),
    "end of the body": (committed(text("some "), end="finish"), "protocol", 502),
    "end of the connection": (committed(text("some "), end="fin"), "protocol", 502),
    "reset": (committed(text("some "), end="reset"), "protocol", 502),
    "cut inside a frame": (committed(text("some "), text("thing")[:40], end="fin"), "protocol", 502),
    "silence": (committed(text("some "), end="silence"), "timeout", 504),
}


def check_error_frame(answer: Answer, kind: str, status: int) -> dict[str, Any]:
    """OpenRouter's shape, ours in every part. Gives the chunk."""
    assert 200 == answer.status
    assert answer.complete, "the HTTP body was cut instead of ended"
    assert b"[DONE]" not in answer.body
    *_, last = answer.chunks
    assert 1 == answer.body.count(b'"error":{'), "exactly one error frame"
    assert "chat.completion.chunk" == last["object"]
    assert "error" == last["choices"][0]["finish_reason"]
    assert {"content": ""} == last["choices"][0]["delta"]
    problem = last["error"]
    assert status == problem["code"]
    assert kind == problem["metadata"]["error_type"]
    assert "provider" == problem["source"]
    assert problem["message"]
    assert [kind] == [each["outcome"] for each in last["headgate"]["attempts"]]
    return last


@pytest.mark.parametrize("name", BREAKS)
async def test_an_error_after_content_is_one_frame(place: Site, name: str) -> None:
    """What came before stays; then our error frame with usage so far and the block; then the proper end."""
    script, kind, status = BREAKS[name]
    client_id = place.next_id()
    async with place.upstream(script) as upstream:
        async with place.asking(client_id=client_id) as client:
            await client.read_until(b"some ")
            upstream.exchanges[0].go.set()
            answer = await client.read_all()
        line = await place.log_line(client_id)
        assert 1 == len(upstream.exchanges)
    last = check_error_frame(answer, kind, status)
    assert "some " == answer.text
    assert "chatcmpl-1" == last["id"]
    assert last["usage"]["estimated"] is True
    assert last["usage"]["prompt_tokens"] > 0
    assert last["usage"]["completion_tokens"] > 0
    assert last["usage"]["cost"] == last["headgate"]["cost_usd"] == line["headgate.cost_usd"] > 0
    assert kind == line["headgate.outcome"]
    assert line["headgate.usage.estimated"] is True


async def test_the_providers_message_is_told(place: Site) -> None:
    """The words of the provider's error frame are the client's to read."""
    async with place.upstream(BREAKS["error frame"][0]):
        answer = await place.ask()
    assert "the engine is down" == answer.chunks[-1]["error"]["message"]


@pytest.mark.parametrize("wanted", [True, False])
async def test_reported_usage_goes_into_the_error_frame(place: Site, *, wanted: bool) -> None:
    """Usage that the provider reported before it broke is what is billed."""
    counted = {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13}
    script = committed(text("some "), usage(11, 2), DOWN, end="finish")
    async with place.upstream(script):
        answer = await place.ask(stream_options={"include_usage": wanted})
    last = check_error_frame(answer, "overloaded", 503)
    assert counted == {name: last["usage"][name] for name in counted}
    assert "estimated" not in last["usage"]
    assert 0.000015 == last["headgate"]["cost_usd"]


async def test_an_error_behind_the_finish_frame_drops_it(place: Site) -> None:
    """A held finish frame that turns out to be wrong never leaves; the attempt is committed all the same."""
    script = committed(text("some "), finish(), DOWN, end="finish")
    async with place.upstream(script) as upstream:
        answer = await place.ask()
        assert 1 == len(upstream.exchanges)
    check_error_frame(answer, "overloaded", 503)
    assert b'"stop"' not in answer.body


async def test_an_error_behind_a_lone_finish_frame(place: Site) -> None:
    """Even when nothing but the held frame has come, no other backend is tried: one clean error frame."""
    script = committed(role(), finish(), DOWN, end="finish")
    async with place.upstream(script) as upstream:
        answer = await place.ask()
        assert 1 == len(upstream.exchanges)
    check_error_frame(answer, "overloaded", 503)
    assert b'"stop"' not in answer.body


async def test_one_choice_of_two_unfinished(place: Site) -> None:
    """With two choices, one finish reason is not enough."""
    script = committed(text("a"), text("b", 1), finish(index=0), DONE, end="finish")
    async with place.upstream(script):
        answer = await place.ask(n=2)
    check_error_frame(answer, "protocol", 502)


async def test_an_unparsable_frame_after_content_travels_on(place: Site) -> None:
    """Nonsense in the middle is the client's to judge; the answer goes on."""
    script = committed(
        role(), text("some "), b"data: {nonsense\n\n", text("more"), finish(), DONE, end="finish"
    )
    async with place.upstream(script):
        answer = await place.ask()
    assert b"data: {nonsense\n\n" in answer.body
    assert answer.body.endswith(DONE)


async def test_more_than_64_kb_before_content_commits(place: Site) -> None:
    """What is held before the first content has a limit; one byte more commits the attempt."""
    comments = b": " + b"x" * 1021 + b"\n\n"
    script = committed(*[comments] * 64, b": \n\n", DOWN, end="finish")
    async with place.upstream(script) as upstream:
        answer = await place.ask()
        assert 1 == len(upstream.exchanges)
        assert answer.body.startswith(comments * 64)
        assert 200 == answer.status
        assert orjson.loads(answer.body.rsplit(b"data: ", 1)[1])["error"]["code"] == 503
        upstream.script = good_stream


async def test_64_kb_before_content_do_not_commit_yet(place: Site) -> None:
    """Exactly the limit is still held, and dropped when the attempt fails."""
    comments = b": " + b"x" * 1020 + b"\n\n"
    assert 64 * 1024 == len(comments * 64)

    async def script(exchange: Exchange) -> None:
        if exchange.path.startswith("/good/"):
            await good_stream(exchange)
        else:
            await exchange.stream(*[comments] * 64, DOWN)

    async with place.upstream(script):
        answer = await place.ask()
    assert answer.body.startswith(role() + text("good"))
