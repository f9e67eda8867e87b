"""The relay's own rules: the commit point, the ends of an answer, slow clients and departed ones."""

import pytest

from providers.types import UpstreamError
from proxy.exchange.relay.attempt import MAX_ERROR_BYTES
from proxy.exchange.relay.stream import MAX_PRELUDE_BYTES
from tests.proxy.exchange.inprocess import attempt
from tests.proxy.exchange.saying import BUSY, COMMENT, DONE, ROLE, SAID, STOP, error_of, said_last
from tests.support.recordings import frames_of

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
