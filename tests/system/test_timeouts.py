"""Each time-out ends an attempt when it is due, and what it does not cover does not.

Bounds are a few tenths of a second; `SLACK_S` more is granted to a busy machine. What must not time out is shown by
answers that take several times the bound.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.raw_client import Answer
from tests.support.scripted import DONE, Exchange, Script, completion, finish, role, text, usage
from tests.support.site import Site, config, model, provider, site

BOUND_S = 0.4
TAIL_S = 0.4
SLACK_S = 2.0
COMMENT = b": still here\n\n"

_LONG = {"first_byte_s": 30, "first_content_s": 30, "stall_s": 30}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def configure(listener: socket.socket) -> dict[str, Any]:
        providers = {
            name: provider(listener, f"/{name}/v1", timeouts={**_LONG, name: BOUND_S})
            for name in ("first_byte_s", "first_content_s", "stall_s", "total_s")
        }
        models = [model(name, name) for name in providers]
        return config(providers, models, server={"tail_s": TAIL_S}, routing={"retries": 0})

    with site(tmp_path_factory.mktemp("timeouts"), configure) as place:
        yield place


@asynccontextmanager
async def lasting(at_least_s: float, at_most_s: float) -> AsyncIterator[None]:
    """What happens inside takes so long."""
    clock = asyncio.get_running_loop().time
    began_s = clock()
    yield
    took_s = clock() - began_s
    assert at_least_s <= took_s <= at_most_s


def timed_out(answer: Answer) -> list[tuple[str, int]]:
    """Check a refusal by time-out before any content."""
    assert 504 == answer.status
    assert "timeout" == answer.members["error"]["code"]
    return [(each["outcome"], each["status"]) for each in answer.members["headgate"]["attempts"]]


def slowly(*pieces: bytes, gap_s: float) -> Script:
    """Pieces with a pause before each."""

    async def script(exchange: Exchange) -> None:
        await exchange.start()
        for piece in pieces:
            await asyncio.sleep(gap_s)
            await exchange.send(piece)
        await exchange.finish()

    return script


async def silent(exchange: Exchange) -> None:
    await exchange.closed.wait()


async def head_only(exchange: Exchange) -> None:
    await exchange.start()
    await exchange.closed.wait()


@pytest.mark.parametrize("script", [silent, head_only])
async def test_first_byte(place: Site, script: Script) -> None:
    """Nothing of the body within `first_byte_s`: a time-out, and the upstream is let go."""
    async with place.upstream(script) as upstream:
        async with lasting(BOUND_S * 0.9, BOUND_S + SLACK_S):
            answer = await place.ask(model="first_byte_s")
        await upstream.exchanges[0].until_closed()
    assert [("timeout", 0)] == timed_out(answer)


@pytest.mark.parametrize("first", [COMMENT, role()])
async def test_a_comment_or_role_frame_is_a_first_byte(place: Site, first: bytes) -> None:
    """After it, `first_byte_s` has nothing more to say."""
    pieces = (text("late"), finish(), DONE)

    async def script(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send(first)
        await asyncio.sleep(BOUND_S * 2)
        for piece in pieces:
            await exchange.send(piece)
        await exchange.finish()

    async with place.upstream(script):
        answer = await place.ask(model="first_byte_s")
    assert "late" == answer.text


@pytest.mark.parametrize("piece", [COMMENT, role()])
async def test_first_content(place: Site, piece: bytes) -> None:
    """Comments and role frames never satisfy `first_content_s`, however many come."""
    async with place.upstream(slowly(*[piece] * 100, gap_s=BOUND_S / 8)) as upstream:
        async with lasting(BOUND_S * 0.9, BOUND_S + SLACK_S):
            answer = await place.ask(model="first_content_s")
        await upstream.exchanges[0].until_closed()
    assert [("timeout", 0)] == timed_out(answer)


async def test_first_content_is_no_bound_on_the_rest(place: Site) -> None:
    """A stream that began in time may take as long as it likes."""
    pieces = [text(str(number)) for number in range(6)]
    script = slowly(*pieces, finish(), DONE, gap_s=BOUND_S / 3)
    async with place.upstream(script), lasting(BOUND_S * 2, BOUND_S * 3 + SLACK_S):
        answer = await place.ask(model="first_content_s")
    assert "012345" == answer.text


async def test_a_stall_before_content(place: Site) -> None:
    """Silence after a first frame: a failed attempt while nothing has been sent."""

    async def script(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send(role())
        await exchange.closed.wait()

    async with place.upstream(script), lasting(BOUND_S * 0.9, BOUND_S + SLACK_S):
        answer = await place.ask(model="stall_s")
    assert [("timeout", 0)] == timed_out(answer)


async def test_a_stall_after_content(place: Site) -> None:
    """Silence in mid-stream: an error frame, no end mark, a proper end."""

    async def script(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send(text("some "))
        await exchange.closed.wait()

    async with place.upstream(script), lasting(BOUND_S * 0.9, BOUND_S + SLACK_S):
        answer = await place.ask(model="stall_s")
    assert answer.complete
    assert 504 == answer.chunks[-1]["error"]["code"]
    assert b"[DONE]" not in answer.body


async def test_comments_keep_a_stream_from_stalling(place: Site) -> None:
    """Any byte is a sign of life."""
    pieces = [COMMENT] * 8
    async with place.upstream(slowly(text("a"), *pieces, text("b"), finish(), DONE, gap_s=BOUND_S / 3)):
        answer = await place.ask(model="stall_s")
    assert "ab" == answer.text
    assert 8 == answer.body.count(COMMENT)


@pytest.mark.parametrize("stream", [True, False])
async def test_total_with_silence(place: Site, *, stream: bool) -> None:
    """`total_s` ends an attempt that says nothing, streamed or plain."""
    async with place.upstream(silent) as upstream:
        async with lasting(BOUND_S * 0.9, BOUND_S + SLACK_S):
            answer = await place.ask(model="total_s", stream=stream)
        await upstream.exchanges[0].until_closed()
    assert [("timeout", 0)] == timed_out(answer)


async def test_total_in_mid_stream(place: Site) -> None:
    """`total_s` also ends a stream that never pauses."""
    async with place.upstream(slowly(*[text("x")] * 200, gap_s=BOUND_S / 10)) as upstream:
        async with lasting(BOUND_S * 0.9, BOUND_S + SLACK_S):
            answer = await place.ask(model="total_s")
        await upstream.exchanges[0].until_closed()
    assert answer.complete
    assert 504 == answer.chunks[-1]["error"]["code"]
    assert len(answer.text) > 2


async def test_total_is_not_reached_by_a_quick_answer(place: Site) -> None:
    """An answer in time is left alone, and so is the next one on the same connection."""

    async def script(exchange: Exchange) -> None:
        await exchange.answer(200, completion("quick"))

    async with place.upstream(script):
        for _ in range(2):
            answer = await place.ask(model="total_s", stream=False)
            assert 200 == answer.status


@pytest.mark.parametrize("rest", [(), (usage(),)])
async def test_tail(place: Site, rest: tuple[bytes, ...]) -> None:
    """A complete answer without end mark and end of body is closed after `tail_s` of silence; usage alone is no end."""

    async def script(exchange: Exchange) -> None:
        await exchange.start()
        for piece in (text("all"), finish(), *rest):
            await exchange.send(piece)
        await exchange.closed.wait()

    client_id = place.next_id()
    async with place.upstream(script) as upstream:
        async with lasting(TAIL_S * 0.9, TAIL_S + SLACK_S):
            answer = await place.ask(client_id=client_id, model="first_content_s")
        await upstream.exchanges[0].until_closed()
        line = await place.log_line(client_id)
    assert answer.complete
    assert answer.body.endswith(DONE)
    assert "ok" == line["headgate.outcome"]
    assert line["headgate.usage.estimated"] is not bool(rest)


async def test_the_tail_waits_while_bytes_come(place: Site) -> None:
    """Each byte begins `tail_s` anew: late usage is still found."""

    async def script(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send(text("all") + finish())
        for _ in range(5):
            await asyncio.sleep(TAIL_S / 2)
            await exchange.send(COMMENT)
        await exchange.send(usage(11, 7))
        await exchange.closed.wait()

    async with place.upstream(script):
        answer = await place.ask(model="first_content_s", stream_options={"include_usage": True})
    assert 7 == answer.chunks[-1]["usage"]["completion_tokens"]
    assert "estimated" not in answer.chunks[-1]["usage"]


async def test_the_stall_bound_may_be_shorter_than_the_tail(place: Site) -> None:
    """A complete answer that falls silent is complete, whichever bound is due first."""

    async def script(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send(text("all") + finish())
        await exchange.closed.wait()

    async with place.upstream(script):
        answer = await place.ask(model="stall_s")
    assert answer.body.endswith(DONE)
    assert "error" not in answer.chunks[-1]


async def test_the_tail_is_not_lost_while_the_client_is_slow(place: Site) -> None:
    """Completed while the client was not reading: the tail runs from when it reads again, not some time later."""

    async def script(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send(text("x" * 12_000_000) + finish())
        exchange.go.set()
        await exchange.closed.wait()

    async with (
        place.upstream(script) as upstream,
        place.asking(model="first_content_s", receive_buffer_bytes=16 * 1024) as client,
    ):
        await (await upstream.exchange()).go.wait()
        await client.read_head()
        await place.get("/livez")
        answer = await client.read_all(within_s=TAIL_S + SLACK_S + 5)
    assert answer.complete
    assert answer.body.endswith(DONE)
