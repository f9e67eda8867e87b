"""A provider's call and a client's connection without sockets, for the relay: slow, plain and obedient."""

from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from providers.clients.openai_chat import OpenAIChat as Client
from providers.dialects import Native
from providers.types import ErrorKind, Frame, UpstreamError, Usage
from providers.upstreams.openai_chat.dialect import OpenAIChat
from proxy.exchange.downstream import Downstream, Listener
from proxy.exchange.relay.attempt import Ending
from proxy.exchange.relay.stream import Deadlines, StreamRelay
from proxy.exchange.tail import Facts, Tail

BLOCK = b'{"request_id":"r"}'
HEADERS = [(b"content-type", b"text/event-stream")]
ENDLESS = Deadlines(first_byte_s=0, first_content_s=0, stall_s=0, total_s=0, tail_s=0)


class Connection:
    """The client's connection, as the test commands it."""

    def __init__(self) -> None:
        self.listener: Listener | None = None
        self.paused = False
        self.gone = False
        self.unsent_bytes = 0
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True

    def pause(self, unsent_bytes: int = 100_000) -> None:
        """The client no longer reads."""
        self.paused, self.unsent_bytes = True, unsent_bytes
        assert self.listener is not None
        self.listener.client_paused()

    def resume(self) -> None:
        """The client reads again."""
        self.paused, self.unsent_bytes = False, 0
        assert self.listener is not None
        self.listener.client_resumed()

    def leave(self) -> None:
        """The client is gone."""
        self.gone = True
        if self.listener is not None:
            self.listener.client_gone()


class Sink:
    """ASGI's `send`: keeps what arrives; pauses the connection behind a given number of bytes."""

    def __init__(self, connection: Connection, *, pause_after_bytes: int | None = None) -> None:
        self._connection = connection
        self._pause_after_bytes = pause_after_bytes
        self.status = 0
        self.body = b""
        self.writes = 0
        self.ended = False

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        assert not self.ended, "written after the end"
        if message["type"] == "http.response.start":
            assert 0 == self.status, "started twice"
            self.status = message["status"]
            return
        assert self.status, "a body before its status"
        self.body += message["body"]
        self.writes += 1
        self.ended = not message["more_body"]
        if self._pause_after_bytes is not None and len(self.body) >= self._pause_after_bytes:
            self._pause_after_bytes = None
            self._connection.pause()


class Call:
    """The exchange with the provider: hands over its pieces unless told to pause."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces = list(pieces)
        self.paused = False
        self.cancelled = False
        self.lingering = False

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def cancel(self) -> None:
        self.cancelled = True

    def linger(self) -> None:
        self.lingering = True

    @property
    def over(self) -> bool:
        """Nothing may be reported any more."""
        return self.cancelled or self.lingering

    def deliver(self, relay: StreamRelay[Frame]) -> None:
        """Hand over what is left, up to a pause or the end of the exchange."""
        while self.pieces and not self.paused and not self.over:
            relay.on_body(self.pieces.pop(0))

    def finish(self, relay: StreamRelay[Frame]) -> None:
        """Hand over what is left and end the body."""
        self.deliver(relay)
        if not self.paused and not self.over:
            relay.on_end()


class Source:
    """A backend whose failures are as the dialect words them."""

    def answered(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        del headers

    def shown(self, error: Exception) -> Exception:
        return error

    def of_status(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return OpenAIChat().error(status, headers, body, now_epoch_s=0.0)

    def of(self, kind: ErrorKind | str, message: str) -> UpstreamError:
        return UpstreamError(kind, message)  # type: ignore[arg-type]  # the relay names kinds of the table


@dataclass(slots=True)
class Attempt:
    """One streamed attempt with all its parts."""

    relay: StreamRelay[Frame]
    call: Call
    connection: Connection
    downstream: Downstream
    sink: Sink
    told: list[tuple[Usage | None, UpstreamError | None]] = field(default_factory=list)

    @property
    def ending(self) -> Ending:
        assert self.relay.ended.done()
        return self.relay.ended.result()


def attempt(
    pieces: Iterable[bytes] = (),
    *,
    asked: bool = True,
    many: bool = False,
    deadlines: Deadlines = ENDLESS,
    dialect: Native | None = None,
    pause_after_bytes: int | None = None,
    status: int = 200,
    facts: Callable[[Usage | None], bytes] | None = None,
) -> Attempt:
    """An attempt whose request has been written and whose provider has answered with `status`."""
    told: list[tuple[Usage | None, UpstreamError | None]] = []

    def say(usage: Usage | None, error: UpstreamError | None) -> Facts:
        told.append((usage, error))
        return Facts(
            usage_json(usage) if facts is None else facts(usage), BLOCK, 200 if error is None else 502
        )

    connection = Connection()
    sink = Sink(connection, pause_after_bytes=pause_after_bytes)
    downstream = Downstream(connection, sink, write_s=1000.0, keep_alive_s=0)
    relay: StreamRelay[Frame] = StreamRelay(
        downstream,
        (dialect or OpenAIChat()).reader(many_choices=many),
        Tail(Client().closer(), usage_wanted=asked, facts=say),
        Source(),
        deadlines,
        lambda: (200, HEADERS),
    )
    call = Call(pieces)
    relay.begin(call)
    if status:
        relay.on_head(status, ())
    return Attempt(relay, call, connection, downstream, sink, told)


def usage_json(usage: Usage | None) -> bytes:
    """Usage as these tests say it: the counts, or that there are none."""
    if usage is None:
        return b'{"estimated":true}'
    return b'{"in":%d,"out":%d}' % (usage.input_tokens, usage.output_tokens)
