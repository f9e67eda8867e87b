"""However a provider's bytes come over the wire, the client gets the same frames, and one proper tail."""

import random
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import orjson
import pytest

from tests.support.raw_client import Answer
from tests.support.scripted import DONE, Exchange, chunk, counts, finish, frame, role, text, usage
from tests.support.site import Site, config, model, provider, site

TAIL_S = 0.3


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def configure(listener: socket.socket) -> dict[str, Any]:
        providers = {"scripted": provider(listener)}
        return config(providers, [model("test-model", "scripted")], server={"tail_s": TAIL_S})

    with site(tmp_path_factory.mktemp("tail"), configure) as place:
        yield place


CONTENT = (role(), text("Hi "), text("thére "), text("🙂"))
MODERATION = frame(
    {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [], "moderation": {"flagged": False}}
)

Wire = Callable[[Exchange, bytes], Awaitable[None]]


async def one_write(exchange: Exchange, body: bytes) -> None:
    """Several frames per packet, one HTTP chunk."""
    await exchange.stream(body)


async def frame_by_frame(exchange: Exchange, body: bytes) -> None:
    """One frame per HTTP chunk."""
    await exchange.stream(*[piece + b"\n\n" for piece in body.split(b"\n\n")[:-1]])


async def byte_by_byte(exchange: Exchange, body: bytes) -> None:
    """Single-byte writes, each an HTTP chunk."""
    await exchange.stream(*[bytes([each]) for each in body])


async def two_chunks_a_packet(exchange: Exchange, body: bytes) -> None:
    """HTTP chunks whose borders have nothing to do with frames, all in one packet."""
    pieces = [body[start : start + 7] for start in range(0, len(body), 7)]
    await exchange.start()
    await exchange.write(b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n")


async def until_eof(exchange: Exchange, body: bytes) -> None:
    """No framing at all: the body ends with the connection."""
    await exchange.start(200, (("content-type", "text/event-stream"), ("connection", "close")), chunked=False)
    await exchange.write(body)
    exchange.fin()


async def with_length(exchange: Exchange, body: bytes) -> None:
    """A declared length."""
    await exchange.answer(200, body, (("content-type", "text/event-stream"),))


async def http10(exchange: Exchange, body: bytes) -> None:
    """As HTTP/1.0 servers do."""
    await exchange.write(b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + body)
    exchange.fin()


async def after_early_hints(exchange: Exchange, body: bytes) -> None:
    """Behind announcements that are no answers."""
    await exchange.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
    await exchange.stream(body)


WIRES: list[Wire] = [
    one_write,
    frame_by_frame,
    byte_by_byte,
    two_chunks_a_packet,
    until_eof,
    with_length,
    http10,
    after_early_hints,
]


async def answer_to(place: Site, body: bytes, wire: Wire = one_write, *, wanted: bool = False) -> Answer:
    async def script(exchange: Exchange) -> None:
        await wire(exchange, body)

    async with place.upstream(script):
        return await place.ask(stream_options={"include_usage": wanted})


def check_tail(answer: Answer, content: bytes, *, wanted: bool, reported: bool = True) -> None:
    """The contract of the final chunk: order, usage once, block once, end mark once, everything terminated."""
    assert 200 == answer.status
    assert answer.complete
    assert content == answer.body[: len(content)]
    tail = answer.body[len(content) :]
    frames = [piece + b"\n\n" for piece in tail.split(b"\n\n")[:-1]]
    assert DONE == frames[-1]
    chunks = [orjson.loads(piece.removeprefix(b"data: ")) for piece in frames[:-1]]
    if wanted:
        finishing, closing = chunks
        assert "usage" not in finishing
        assert "headgate" not in finishing
        assert [] == closing["choices"]
    else:
        (finishing,) = chunks
        closing = finishing
    assert "stop" == finishing["choices"][0]["finish_reason"]
    assert "ok" == closing["headgate"]["attempts"][0]["outcome"]
    assert closing["usage"]["cost"] == closing["headgate"]["cost_usd"]
    assert (not reported) == closing["usage"].get("estimated", False)
    if reported:
        assert (11, 7) == (closing["usage"]["prompt_tokens"], closing["usage"]["completion_tokens"])
    assert 1 == answer.body.count(b'"finish_reason":"stop"')
    assert 1 == answer.body.count(b"[DONE]")


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.__name__)
async def test_the_wire_does_not_matter(place: Site, wire: Wire, *, wanted: bool) -> None:
    """The same answer in every form of transfer gives the same bytes."""
    body = b"".join((*CONTENT, finish(), usage(), DONE))
    answer = await answer_to(place, body, wire, wanted=wanted)
    check_tail(answer, b"".join(CONTENT), wanted=wanted)


@pytest.mark.parametrize("seed", range(10))
async def test_random_cuts(place: Site, seed: int) -> None:
    """Nor do random borders."""
    body = b"".join((*CONTENT, finish(), usage(), DONE))
    cuts = sorted(random.Random(seed).sample(range(1, len(body)), 12))

    async def cut(exchange: Exchange, body: bytes) -> None:
        borders = zip([0, *cuts], [*cuts, len(body)], strict=True)
        await exchange.stream(*[body[start:end] for start, end in borders])

    check_tail(await answer_to(place, body, cut), b"".join(CONTENT), wanted=False)


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize(
    "tail",
    [
        (finish(), usage()),  # no end mark
        (usage(), finish(), DONE),  # usage before the finish frame
        (finish(usage=counts()), DONE),  # usage on the finish frame
        (finish(), chunk({}, usage=counts()), DONE),  # usage behind it, on a frame with a choice
        (finish(), finish(usage=counts()), DONE),  # a finish frame that is repeated with usage
        (finish(usage=None), usage(), DONE),
    ],
    ids=[
        "no end mark",
        "usage first",
        "on the finish frame",
        "on a later choice",
        "repeated finish",
        "null usage",
    ],
)
async def test_wherever_usage_stands(place: Site, tail: tuple[bytes, ...], *, wanted: bool) -> None:
    """Usage and finish reason each leave once, in the one order, wherever the provider puts them."""
    answer = await answer_to(place, b"".join((*CONTENT, *tail)), wanted=wanted)
    assert {"prompt_tokens": 11}.items() <= answer.chunks[-1]["usage"].items()
    assert 1 == answer.body.count(b'"finish_reason":"stop"')
    assert 1 == answer.body.count(b'"usage":{')
    assert answer.body.startswith(b"".join(CONTENT))
    assert answer.body.endswith(DONE)


@pytest.mark.parametrize("wanted", [True, False])
async def test_no_usage_is_estimated(place: Site, *, wanted: bool) -> None:
    """No usage reported: an estimate, said to be one."""
    answer = await answer_to(place, b"".join((*CONTENT, finish(), DONE)), wanted=wanted)
    check_tail(answer, b"".join(CONTENT), wanted=wanted, reported=False)


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_frame_behind_the_usage(place: Site, *, wanted: bool) -> None:
    """Moderation behind the usage leaves as it came, before the finish frame; it is not held."""
    answer = await answer_to(place, b"".join((*CONTENT, finish(), usage(), MODERATION, DONE)), wanted=wanted)
    check_tail(answer, b"".join(CONTENT) + MODERATION, wanted=wanted)


async def test_a_late_frame_is_not_held(place: Site) -> None:
    """It leaves at once, while finish frame and usage are still kept back."""

    async def script(exchange: Exchange) -> None:
        await exchange.start()
        for piece in (*CONTENT, finish(), usage(), MODERATION):
            await exchange.send(piece)
        await exchange.go.wait()
        await exchange.send(DONE)
        await exchange.finish()

    async with place.upstream(script) as upstream, place.asking() as client:
        answer = await client.read_until(MODERATION, within_s=5)
        assert b'"stop"' not in answer.body
        assert b'"usage":{' not in answer.body
        upstream.exchanges[0].go.set()
        check_tail(await client.read_all(), b"".join(CONTENT) + MODERATION, wanted=False)


@pytest.mark.parametrize("wire", [one_write, byte_by_byte], ids=lambda wire: wire.__name__)
async def test_crlf_and_comments(place: Site, wire: Wire) -> None:
    """Line endings and comments are the provider's: they leave as they came."""
    content = (
        b": hello\r\n\r\n",
        *(each.replace(b"\n\n", b"\r\n\r\n") for each in CONTENT),
        b": ping\r\n\r\n",
    )
    tail = [each.replace(b"\n\n", b"\r\n\r\n") for each in (finish(), usage(), DONE)]
    answer = await answer_to(place, b"".join((*content, *tail)), wire)
    assert answer.body.startswith(b"".join(content))
    assert answer.body.endswith(b"data: [DONE]\r\n\r\n")
    assert 1 == answer.body.count(b'"headgate":{')


async def test_event_names_ids_and_retry_lines(place: Site) -> None:
    """Other fields of a frame travel along, on marked frames too."""
    first = b"id: 1\nretry: 500\nevent: message\n" + text("Hi")
    last = b"id: 2\n" + finish()
    answer = await answer_to(place, first + last + usage() + DONE)
    assert answer.body.startswith(first + b"id: 2\ndata: {")


async def test_a_payload_without_a_space(place: Site) -> None:
    """`data:{…}` is as good as `data: {…}`."""
    content = [each.replace(b"data: ", b"data:") for each in CONTENT]
    tail = [each.replace(b"data: ", b"data:") for each in (finish(), usage(), DONE)]
    answer = await answer_to(place, b"".join((*content, *tail)))
    assert answer.body.startswith(b"".join(content))
    assert answer.body.endswith(b"data:[DONE]\n\n")
    assert 1 == answer.body.count(b'"headgate":{')


async def test_large_frames(place: Site) -> None:
    """A frame of 300 kB, in content and in the finish frame alike."""
    large = text("x" * 300_000)
    answer = await answer_to(
        place, role() + large + finish(system_fingerprint="y" * 300_000) + usage() + DONE
    )
    check_tail(answer, role() + large, wanted=False)
    assert b"y" * 300_000 in answer.body


async def test_a_frame_beyond_the_limit(place: Site) -> None:
    """A frame of more than 16 MB is nonsense: an error frame, not memory without end."""

    async def script(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send(text("some "))
        await exchange.send(b"data: ")
        while True:
            await exchange.send(b"x" * 1_000_000)

    async with place.upstream(script) as upstream:
        answer = await place.ask()
        assert upstream.exchanges[0].taken_bytes < 40_000_000
        await upstream.exchanges[0].until_closed()
    assert 502 == answer.chunks[-1]["error"]["code"]
    assert answer.complete


@pytest.mark.parametrize("manner", ["fin", "reset"])
async def test_a_connection_lost_behind_the_finish_frame(place: Site, manner: str) -> None:
    """When every choice has finished, the answer is complete, however the connection ends."""

    async def script(exchange: Exchange) -> None:
        await exchange.start()
        for piece in (*CONTENT, finish(), usage()):
            await exchange.send(piece)
        await exchange.go.wait()
        (exchange.fin if manner == "fin" else exchange.reset)()

    async with place.upstream(script) as upstream, place.asking() as client:
        await client.read_until(CONTENT[-1])
        upstream.exchanges[0].go.set()
        check_tail(await client.read_all(), b"".join(CONTENT), wanted=False)


async def test_two_choices(place: Site) -> None:
    """A finish frame that was not the last leaves unchanged as soon as the other choice speaks."""
    pieces = (role(0), role(1), text("a"), text("b", 1), finish("stop", 0), text("c", 1))
    body = b"".join((*pieces, finish("length", 1), usage(), DONE))

    async def script(exchange: Exchange) -> None:
        await exchange.stream(body)

    async with place.upstream(script):
        answer = await place.ask(n=2)
    assert answer.body.startswith(b"".join(pieces))
    last = answer.chunks[-1]
    assert (1, "length") == (last["choices"][0]["index"], last["choices"][0]["finish_reason"])
    assert "headgate" in last
    assert 1 == answer.body.count(b'"headgate":{')


async def test_frames_leave_as_soon_as_they_are_whole(place: Site) -> None:
    """Each frame is passed on before the provider sends the next."""

    async def script(exchange: Exchange) -> None:
        await exchange.start()
        for number in range(5):
            await exchange.send(text(f"piece{number}"))
            await exchange.go.wait()
            exchange.go.clear()
        await exchange.send(finish() + DONE)
        await exchange.finish()

    async with place.upstream(script) as upstream, place.asking() as client:
        for number in range(5):
            await client.read_until(text(f"piece{number}"), within_s=5)
            upstream.exchanges[0].go.set()


async def test_the_connection_is_used_again(place: Site) -> None:
    """An answer that ends properly gives its connection back, also when its end comes behind the end mark."""

    async def late_end(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send(b"".join((*CONTENT, finish(), usage(), DONE)))
        await exchange.go.wait()
        await exchange.finish()

    async with place.upstream(late_end) as upstream:
        for number in range(3):
            answer = await place.ask()
            assert answer.complete
            upstream.exchanges[number].go.set()
            await place.get("/livez")
        assert 1 == upstream.connections


async def test_what_asks_upstream(place: Site) -> None:
    """Usage is asked for upstream whatever the client says; gateway members stay here; the rest is the client's."""
    async with place.upstream(lambda exchange: one_write(exchange, text("a") + finish() + DONE)) as upstream:
        await place.ask(headgate={"tags": ["x"]}, temperature=0.5, unheard_of={"a": [1, 2]})
        sent = upstream.exchanges[0]
    assert {"include_usage": True} == sent.members["stream_options"]
    assert "upstream-model" == sent.members["model"]
    assert "headgate" not in sent.members
    assert (0.5, {"a": [1, 2]}) == (sent.members["temperature"], sent.members["unheard_of"])
    assert "Bearer provider-key-for-tests" == sent.headers["authorization"]
    assert "identity" == sent.headers["accept-encoding"]
    assert "x-request-id" not in sent.headers
