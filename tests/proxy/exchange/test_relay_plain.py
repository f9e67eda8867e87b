"""Plain answers: collected whole, bounded, let go with their client."""

from providers.types import UpstreamError
from proxy.exchange.downstream import Downstream
from proxy.exchange.relay.plain import MAX_PLAIN_BYTES, PlainRelay
from tests.proxy.exchange.inprocess import Call, Connection, Sink, Source
from tests.proxy.exchange.saying import Clock


def plain(status: int = 200, total_s: float = 0) -> tuple[PlainRelay, Call, Connection]:
    connection = Connection()
    downstream = Downstream(connection, Sink(connection), write_s=1000.0, keep_alive_s=0)
    relay = PlainRelay(downstream, Source(), total_s=total_s)
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
