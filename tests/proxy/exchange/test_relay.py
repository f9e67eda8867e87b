"""The relay's own rules: the commit point, a slow client, a departed one, broken streams, and every deadline."""

import asyncio

import pytest

from providers.types import UpstreamError
from proxy.exchange.downstream import Downstream
from proxy.exchange.relay import MAX_ERROR_BYTES, MAX_PLAIN_BYTES, MAX_PRELUDE_BYTES, Deadlines, PlainRelay
from tests.proxy.exchange.inprocess import Attempt, Call, Connection, Errors, Sink, attempt
from tests.support.recordings import chunk_of, frames_of

ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
SAID = b'data: {"choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":null}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
COMMENT = b": waiting\n\n"
BUSY = b'data: {"error":{"message":"too busy","code":503}}\n\n'


class Clock:
    """The event loop's clock, moved by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    async def pass_s(self, seconds: float) -> None:
        """Let time pass, and whatever is due then happen."""
        self.now_s += seconds
        for _ in range(3):
            await asyncio.sleep(0)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", made)
    return made


def deadlines(
    *,
    first_byte_s: float = 0,
    first_content_s: float = 0,
    stall_s: float = 0,
    total_s: float = 0,
    tail_s: float = 2,
) -> Deadlines:
    return Deadlines(first_byte_s, first_content_s, stall_s, total_s, tail_s)


def error_of(made: Attempt) -> UpstreamError:
    error = made.ending.error
    assert isinstance(error, UpstreamError)
    return error


def said_last(made: Attempt) -> tuple[str, str]:
    """Kind and message of the error frame that ended the answer."""
    assert made.sink.ended
    assert DONE not in made.sink.body
    chunk = chunk_of(frames_of(made.sink.body)[-1])
    assert chunk is not None
    assert "error" == chunk["choices"][0]["finish_reason"]
    return chunk["error"]["type"], chunk["error"]["message"]


# The commit point


async def test_nothing_leaves_before_the_first_content() -> None:
    """Role frames and comments wait for content, and leave first, untouched."""
    made = attempt()
    for raw in (COMMENT, ROLE, COMMENT):
        made.relay.on_body(raw)
        assert (0, b"") == (made.sink.status, made.sink.body)
    made.relay.on_body(SAID)
    assert (200, COMMENT + ROLE + COMMENT + SAID) == (made.sink.status, made.sink.body)


async def test_a_failed_attempt_leaves_no_trace() -> None:
    """What was held of a failed attempt is dropped, so that another one may follow."""
    made = attempt()
    made.relay.on_body(COMMENT + ROLE + BUSY)
    assert (0, b"") == (made.sink.status, made.sink.body)
    assert ("overloaded", False, True) == (error_of(made).kind, made.ending.committed, made.call.cancelled)
    assert [] == made.told


async def test_an_empty_answer_commits() -> None:
    """A finish reason is content: a legal empty answer counts, though its only frame is held."""
    made = attempt()
    made.relay.on_body(STOP)
    assert (200, b"") == (made.sink.status, made.sink.body)
    made.relay.on_body(BUSY)
    assert ("overloaded", "too busy") == said_last(made)
    assert made.ending.committed


async def test_zero_frames_are_no_answer() -> None:
    """A body without any frame fails, and does not commit."""
    made = attempt([])
    made.call.finish(made.relay)
    assert ("protocol", False) == (error_of(made).kind, made.ending.committed)


@pytest.mark.parametrize(("extra", "status"), [(0, 0), (1, 200)])
async def test_what_is_held_is_bounded(extra: int, status: int) -> None:
    """64 kB may wait for the first content; one byte more commits the attempt."""
    made = attempt()
    held = b": " + b"x" * (MAX_PRELUDE_BYTES - 4) + b"\n\n"
    assert MAX_PRELUDE_BYTES == len(held)
    made.relay.on_body(held[:2] + b"x" * extra + held[2:])
    assert status == made.sink.status
    assert extra * (len(held) + 1) == len(made.sink.body)
    made.relay.on_body(BUSY)
    assert bool(extra) == made.ending.committed


async def test_nonsense_before_and_after_content() -> None:
    """A frame that is no JSON fails an attempt before the first content, and is forwarded after it."""
    made = attempt()
    made.relay.on_body(ROLE + b"data: <html>\n\n")
    assert ("protocol", False) == (error_of(made).kind, made.ending.committed)
    later = attempt()
    later.relay.on_body(SAID + b"data: <html>\n\n")
    assert SAID + b"data: <html>\n\n" == later.sink.body


# Ends


async def test_a_whole_answer() -> None:
    """At the end mark the answer is closed and the connection kept for the next request."""
    made = attempt(asked=True)
    made.relay.on_body(ROLE + SAID + STOP + DONE)
    assert made.sink.body.startswith(ROLE + SAID + STOP)
    assert made.sink.body.endswith(DONE)
    assert (None, True, True, False) == (
        made.ending.error,
        made.ending.committed,
        made.call.lingering,
        made.call.cancelled,
    )
    assert made.sink.ended


async def test_one_read_is_at_most_two_writes() -> None:
    """A read costs one send; the first one also sends what was held, and the status."""
    made = attempt()
    made.relay.on_body(COMMENT)
    made.relay.on_body(SAID * 50)
    assert 2 == made.sink.writes
    for count in range(3, 6):
        made.relay.on_body(SAID * 50)
        assert count == made.sink.writes


@pytest.mark.parametrize("how", ["end", "break"])
async def test_complete_without_an_end_mark(how: str) -> None:
    """When all choices have finished, the end of the body and a reset are complete."""
    made = attempt()
    made.relay.on_body(SAID + STOP)
    if how == "end":
        made.relay.on_end()
    else:
        made.relay.on_break(UpstreamError("protocol", "reset"), stale=False)
    assert made.ending.error is None
    assert made.sink.body.endswith(DONE)


@pytest.mark.parametrize("how", ["end", "break", "mark"])
async def test_cut_short(how: str) -> None:
    """Without a finish reason it is an error, end mark or not; the HTTP body ends properly."""
    made = attempt()
    made.relay.on_body(SAID)
    match how:
        case "end":
            made.relay.on_end()
            expected = "the provider's stream ended before its answer was complete"
        case "break":
            made.relay.on_break(UpstreamError("protocol", "the provider's answer was cut short"), stale=False)
            expected = "the provider's answer was cut short"
        case _:
            made.relay.on_body(DONE)
            expected = "the provider ended its stream without a finish reason"
    assert ("protocol", expected) == said_last(made)
    assert made.ending.committed


async def test_an_unfinished_frame_is_not_sent() -> None:
    """A frame that was cut in the middle stays here."""
    made = attempt()
    made.relay.on_body(SAID + SAID[:30])
    made.relay.on_end()
    assert made.sink.body.startswith(SAID + b"data: {")
    assert 2 == len(frames_of(made.sink.body))


async def test_an_error_behind_the_finish() -> None:
    """The held finish frame is dropped and the error sent: the client never takes it for an answer."""
    made = attempt()
    made.relay.on_body(SAID + STOP)
    made.relay.on_body(BUSY + DONE)
    assert ("overloaded", "too busy") == said_last(made)
    assert b'"stop"' not in made.sink.body


async def test_usage_of_an_error_frame() -> None:
    """What the provider reports beside its error is the usage so far."""
    made = attempt()
    made.relay.on_body(
        SAID + BUSY.replace(b"}}\n", b'},"usage":{"prompt_tokens":7,"completion_tokens":2}}\n')
    )
    assert b'"usage":{"in":7,"out":2}' in made.sink.body


async def test_nothing_is_read_behind_the_end_mark() -> None:
    """What follows the end mark is not the client's business."""
    made = attempt()
    made.relay.on_body(SAID + STOP + DONE + SAID)
    assert made.sink.body.endswith(DONE)
    assert 1 == made.sink.body.count(b"hello")


async def test_a_stale_connection() -> None:
    """A reused connection that died unheard says so: it may be replaced, and is nobody's failure."""
    made = attempt(status=0)
    made.relay.on_break(UpstreamError("unreachable", "closed"), stale=True)
    assert (True, False, 0) == (made.ending.stale, made.ending.committed, made.sink.status)


async def test_an_error_status() -> None:
    """An answer with an error status is collected and judged; nothing leaves."""
    made = attempt(status=503)
    made.relay.on_body(b'{"error":{"mess')
    made.relay.on_body(b'age":"too busy"}}')
    made.relay.on_end()
    assert ("overloaded", "too busy", 503) == (
        error_of(made).kind,
        error_of(made).message,
        error_of(made).status,
    )
    assert (0, False) == (made.sink.status, made.ending.committed)


async def test_an_error_status_whose_body_breaks_off() -> None:
    """The status says enough."""
    made = attempt(status=429)
    made.relay.on_body(b'{"error"')
    made.relay.on_break(UpstreamError("protocol", "reset"), stale=False)
    assert ("rate_limited", 429) == (error_of(made).kind, error_of(made).status)


async def test_a_large_error_body() -> None:
    """An error body is read up to a bound, and then judged as it is."""
    made = attempt([b"x" * 1024] * 1000, status=500)
    made.call.deliver(made.relay)
    assert ("overloaded", True) == (error_of(made).kind, made.call.cancelled)
    assert MAX_ERROR_BYTES // 1024 + 1 == 1000 - len(made.call.pieces)


# The client


async def test_a_slow_client_slows_the_provider() -> None:
    """Nothing is read while the client does not read; afterwards everything follows, in order."""
    made = attempt([SAID] * 5 + [STOP, DONE], pause_after_bytes=1)
    made.call.finish(made.relay)
    assert (True, 6, SAID) == (made.call.paused, len(made.call.pieces), made.sink.body)
    made.connection.resume()
    assert not made.call.paused
    made.call.finish(made.relay)
    assert made.sink.body.startswith(SAID * 5 + STOP)
    assert made.sink.ended


async def test_what_was_read_already_waits() -> None:
    """Bytes that arrive in spite of a pause are kept, and follow when the client reads."""
    made = attempt()
    made.relay.on_body(SAID)
    made.connection.pause()
    made.relay.on_body(SAID)
    made.relay.on_body(SAID)
    assert SAID == made.sink.body
    made.connection.resume()
    assert SAID * 3 == made.sink.body


async def test_a_client_that_is_slow_from_the_start() -> None:
    """An attempt that begins while the client does not read begins paused."""
    made = attempt([SAID])
    made.downstream.listen(None)
    made.connection.paused = True
    made.downstream.listen(made.relay)
    assert made.call.paused


async def test_an_answer_that_ends_while_the_client_does_not_read() -> None:
    """The rest is handed over when the client reads, the end included."""
    made = attempt()
    made.relay.on_body(SAID)
    made.connection.pause()
    made.relay.on_body(STOP + DONE)
    assert made.ending.error is None
    assert SAID == made.sink.body
    made.connection.paused = False
    await made.downstream.close()
    assert made.sink.body.startswith(SAID + STOP)
    assert made.sink.body.endswith(DONE)
    assert made.sink.ended


@pytest.mark.parametrize("already", [b"", ROLE, ROLE + SAID, SAID + STOP])
async def test_a_departed_client_stops_the_provider(already: bytes) -> None:
    """The provider is let go in the same turn, without waiting for another byte; nothing more is read."""
    made = attempt([SAID])
    if already:
        made.relay.on_body(already)
    made.connection.leave()
    assert (True, True, None) == (made.ending.gone, made.call.cancelled, made.ending.error)
    assert (SAID in already or STOP in already) == made.ending.committed
    made.call.finish(made.relay)
    assert [SAID] == made.call.pieces


async def test_a_departure_behind_the_end() -> None:
    """A client that leaves once it has all is not gone: the attempt has ended."""
    made = attempt()
    made.relay.on_body(SAID + STOP + DONE)
    made.connection.leave()
    assert (False, None) == (made.ending.gone, made.ending.error)


# Deadlines


async def test_first_byte(clock: Clock) -> None:
    """A provider that sends nothing is given up after `first_byte_s`."""
    made = attempt(deadlines=deadlines(first_byte_s=10, first_content_s=60, stall_s=60))
    await clock.pass_s(9.9)
    assert not made.relay.ended.done()
    await clock.pass_s(0.2)
    assert ("timeout", "the provider sent nothing for 10 s") == (error_of(made).kind, error_of(made).message)
    assert made.call.cancelled


@pytest.mark.parametrize("byte", [COMMENT, ROLE, COMMENT[:3]])
async def test_comments_are_bytes_but_no_content(clock: Clock, byte: bytes) -> None:
    """Comments and role frames satisfy first byte and stall, never first content."""
    made = attempt(deadlines=deadlines(first_byte_s=10, first_content_s=30, stall_s=10))
    for _ in range(3):
        await clock.pass_s(9)
        made.relay.on_body(byte)
        assert not made.relay.ended.done()
    await clock.pass_s(4)
    assert "the provider sent no content for 30 s" == error_of(made).message
    assert not made.ending.committed


async def test_stall(clock: Clock) -> None:
    """Silence between two reads is bounded; each read starts it anew."""
    made = attempt(deadlines=deadlines(first_byte_s=100, first_content_s=100, stall_s=5))
    for _ in range(20):
        await clock.pass_s(4.9)
        made.relay.on_body(SAID)
        assert not made.relay.ended.done()
    await clock.pass_s(5.1)
    assert ("timeout", "the provider fell silent for 5 s") == said_last(made)


async def test_stall_alone(clock: Clock) -> None:
    """The stall bound holds when it is the only one."""
    made = attempt(deadlines=deadlines(stall_s=5))
    await clock.pass_s(1000)
    made.relay.on_body(SAID)
    await clock.pass_s(5.1)
    assert "the provider fell silent for 5 s" == error_of(made).message


async def test_stall_before_the_first_content(clock: Clock) -> None:
    """A provider that falls silent behind its role frame is given up before the content's own bound."""
    made = attempt(deadlines=deadlines(first_byte_s=60, first_content_s=120, stall_s=5))
    await clock.pass_s(1)
    made.relay.on_body(ROLE)
    await clock.pass_s(5.1)
    assert "the provider fell silent for 5 s" == error_of(made).message


async def test_total(clock: Clock) -> None:
    """`total_s` bounds an attempt however lively it is."""
    made = attempt(deadlines=deadlines(first_byte_s=5, stall_s=5, total_s=30))
    for _ in range(10):
        await clock.pass_s(2.9)
        made.relay.on_body(SAID)
    assert not made.relay.ended.done()
    await clock.pass_s(1.1)
    assert ("timeout", "the provider took more than 30 s") == said_last(made)


async def test_silence_behind_a_complete_answer(clock: Clock) -> None:
    """A complete answer is closed after `tail_s` of silence, though no end mark came: no error."""
    made = attempt(deadlines=deadlines(stall_s=60, tail_s=2))
    made.relay.on_body(SAID + STOP)
    await clock.pass_s(1.9)
    made.relay.on_body(COMMENT)
    await clock.pass_s(1.9)
    assert not made.relay.ended.done()
    await clock.pass_s(0.2)
    assert (None, True) == (made.ending.error, made.call.cancelled)
    assert made.sink.body.endswith(DONE)


@pytest.mark.parametrize("bound", ["total_s", "stall_s"])
async def test_a_late_complete_answer_is_complete(clock: Clock, bound: str) -> None:
    """A deadline that passes while only the end mark is missing is no error."""
    made = attempt(deadlines=deadlines(**{bound: 5, "tail_s": 60}))
    made.relay.on_body(SAID + STOP)
    await clock.pass_s(5.1)
    assert made.ending.error is None


async def test_a_released_finish_is_not_complete(clock: Clock) -> None:
    """When another choice speaks again, silence is a stall."""
    made = attempt(many=True, deadlines=deadlines(stall_s=20, tail_s=2))
    made.relay.on_body(SAID + STOP)
    made.relay.on_body(SAID.replace(b'"index":0', b'"index":1'))
    await clock.pass_s(2.1)
    assert not made.relay.ended.done()
    await clock.pass_s(20)
    assert "the provider fell silent for 20 s" == error_of(made).message


async def test_a_slow_client_is_not_the_providers_fault(clock: Clock) -> None:
    """No stall is counted while the client does not read; it starts anew when it does."""
    made = attempt(deadlines=deadlines(first_byte_s=5, first_content_s=5, stall_s=5))
    made.relay.on_body(SAID)
    made.connection.pause()
    await clock.pass_s(500)
    assert not made.relay.ended.done()
    made.connection.resume()
    await clock.pass_s(4.9)
    assert not made.relay.ended.done()
    await clock.pass_s(0.2)
    assert "the provider fell silent for 5 s" == error_of(made).message


async def test_a_complete_answer_behind_a_slow_client(clock: Clock) -> None:
    """Once the client reads again, a complete answer waits no longer than `tail_s`."""
    made = attempt(deadlines=deadlines(stall_s=60, tail_s=2))
    made.relay.on_body(SAID)
    made.connection.pause()
    made.relay.on_body(STOP)
    await clock.pass_s(30)
    assert not made.relay.ended.done()
    made.connection.resume()
    await clock.pass_s(2.1)
    assert made.ending.error is None


async def test_total_holds_for_a_slow_client_too(clock: Clock) -> None:
    """The bound of the whole attempt asks nobody whose time it was."""
    made = attempt(deadlines=deadlines(stall_s=60, total_s=10))
    made.relay.on_body(SAID)
    made.connection.pause()
    await clock.pass_s(10.1)
    assert "the provider took more than 10 s" == error_of(made).message


async def test_no_deadline(clock: Clock) -> None:
    """Zero means none."""
    made = attempt(deadlines=deadlines())
    await clock.pass_s(100_000)
    made.relay.on_body(SAID)
    await clock.pass_s(100_000)
    assert not made.relay.ended.done()


async def test_deadlines_end_with_the_attempt(clock: Clock) -> None:
    """A finished attempt's timers do nothing."""
    made = attempt(deadlines=deadlines(first_byte_s=5, first_content_s=5, stall_s=5, total_s=5))
    made.relay.on_body(SAID + STOP + DONE)
    await clock.pass_s(100)
    assert made.ending.error is None
    assert 1 == len(made.told)


# Plain answers


def plain(status: int = 200, total_s: float = 0) -> tuple[PlainRelay, Call, Connection]:
    connection = Connection()
    downstream = Downstream(connection, Sink(connection), write_s=1000.0, keep_alive_s=0)
    relay = PlainRelay(downstream, Errors(), total_s=total_s)
    call = Call([])
    relay.begin(call)
    relay.on_head(status, ())
    return relay, call, connection


async def test_plain_answer() -> None:
    """A plain answer is collected whole."""
    relay, _, _ = plain()
    relay.on_body(b'{"choices"')
    relay.on_body(b":[]}")
    relay.on_end()
    assert (b'{"choices":[]}', None) == (relay.ended.result().body, relay.ended.result().error)


async def test_plain_error_status() -> None:
    """An error status is an error, with the provider's words."""
    relay, _, _ = plain(400)
    relay.on_body(b'{"error":{"message":"bad"}}')
    relay.on_end()
    error = relay.ended.result().error
    assert isinstance(error, UpstreamError)
    assert ("bad_request", "bad") == (error.kind, error.message)


async def test_plain_answer_is_bounded() -> None:
    """An answer beyond the bound is a failure, not memory."""
    relay, call, _ = plain()
    piece = b"x" * (1024 * 1024)
    for _ in range(MAX_PLAIN_BYTES // len(piece)):
        relay.on_body(piece)
    assert not relay.ended.done()
    relay.on_body(b"x")
    error = relay.ended.result().error
    assert isinstance(error, UpstreamError)
    assert ("protocol", "the provider's answer exceeds 64 MB", True) == (
        error.kind,
        error.message,
        call.cancelled,
    )


async def test_plain_departure() -> None:
    """A departed client cancels a plain request too, without waiting for a byte."""
    relay, call, connection = plain()
    connection.leave()
    assert (True, True) == (relay.ended.result().gone, call.cancelled)


async def test_plain_break() -> None:
    """A connection that breaks is a failure; one that died unheard says so."""
    for stale in (False, True):
        relay, _, _ = plain()
        relay.on_break(UpstreamError("unreachable", "closed"), stale=stale)
        assert (stale, "closed") == (relay.ended.result().stale, str(relay.ended.result().error))


async def test_plain_total(clock: Clock) -> None:
    """`total_s` bounds a plain request."""
    relay, call, _ = plain(total_s=30)
    await clock.pass_s(29)
    assert not relay.ended.done()
    await clock.pass_s(1.1)
    error = relay.ended.result().error
    assert isinstance(error, UpstreamError)
    assert ("timeout", "the provider took more than 30 s", True) == (
        error.kind,
        error.message,
        call.cancelled,
    )
