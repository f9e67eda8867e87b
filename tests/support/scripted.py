"""A scripted upstream: the test says which bytes go out when, and sees what came in and when the gateway left.

It lives in the test's own event loop. A script is an async function of one `Exchange`; delays are events that
the test releases. Each `send` is one HTTP chunk and one write, so chunk borders are those of the script.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import httptools
import orjson

WAIT_S: Final = 10.0
"""Bound on waits that should be over at once: several test processes share two cores."""

DONE: Final = b"data: [DONE]\n\n"
EVENT_STREAM: Final = (("content-type", "text/event-stream"),)
_RESET: Final = struct.pack("ii", 1, 0)

Headers = Sequence[tuple[str, str]]
Script = Callable[["Exchange"], Awaitable[None]]


class GatewayLeft(Exception):
    """The gateway closed the connection under the script, which ends here."""


class Exchange:
    """One request of the gateway, and the hand that answers it.

    Attributes:
        number: counted from 0 since the script was set.
        connection: the TCP connection it came over, counted from 0.
        headers: names in lower case.
        closed: the gateway has closed the connection, or lost it.
        closed_s: when, on the loop's clock.
        taken_bytes: how much of the answer the kernel has taken.
        go: for scripts that wait until the test releases them.
    """

    def __init__(
        self, wire: "_Wire", number: int, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> None:
        self.number = number
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.connection = wire.number
        self.closed = asyncio.Event()
        self.closed_s = 0.0
        self.taken_bytes = 0
        self.go = asyncio.Event()
        self._wire = wire

    @property
    def members(self) -> dict[str, Any]:
        """The body as JSON."""
        members = orjson.loads(self.body)
        assert isinstance(members, dict)
        return members

    async def write(self, data: bytes) -> None:
        """Raw bytes; returns when the kernel has taken them."""
        await self._wire.write(data)
        self.taken_bytes += len(data)

    async def start(
        self, status: int = 200, headers: Headers = EVENT_STREAM, *, chunked: bool = True
    ) -> None:
        """Status line and headers."""
        lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in headers)]
        if chunked:
            lines.append("transfer-encoding: chunked")
        await self.write("\r\n".join(lines).encode() + b"\r\n\r\n")

    async def send(self, data: bytes) -> None:
        """One HTTP chunk."""
        await self.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def finish(self) -> None:
        """The end of a chunked body."""
        await self.write(b"0\r\n\r\n")

    async def stream(self, *pieces: bytes) -> None:
        """A whole chunked answer, one chunk a piece."""
        await self.start()
        for piece in pieces:
            await self.send(piece)
        await self.finish()

    async def answer(
        self, status: int, body: bytes, headers: Headers = (("content-type", "application/json"),)
    ) -> None:
        """A whole answer with its length."""
        await self.start(status, (*headers, ("content-length", str(len(body)))), chunked=False)
        await self.write(body)

    def fin(self) -> None:
        """Close the connection; what was written still arrives."""
        self._wire.transport.close()

    def reset(self) -> None:
        """Drop the connection with a RST."""
        self._wire.reset()

    async def until_closed(self, within_s: float = WAIT_S) -> float:
        """Wait until the gateway closes the connection; the loop's time when it did."""
        await asyncio.wait_for(self.closed.wait(), within_s)
        return self.closed_s


class ScriptedUpstream:
    """Serves scripts on a listening socket. Keep-alive connections work; one request at a time on each.

    Attributes:
        exchanges: every request so far.
        connections: how many TCP connections were accepted.
    """

    def __init__(self, script: Script) -> None:
        self.exchanges: list[Exchange] = []
        self.connections = 0
        self.script = script
        self._arrived = asyncio.Event()
        self._wires: set[_Wire] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def exchange(self, number: int = 0, within_s: float = WAIT_S) -> Exchange:
        """The request with that number, waited for."""
        async with asyncio.timeout(within_s):
            while len(self.exchanges) <= number:
                self._arrived.clear()
                await self._arrived.wait()
        return self.exchanges[number]

    def accept(self) -> "_Wire":
        """A protocol for one more connection."""
        wire = _Wire(self, self.connections)
        self.connections += 1
        self._wires.add(wire)
        return wire

    def received(
        self, wire: "_Wire", method: str, path: str, headers: dict[str, str], body: bytes
    ) -> Exchange:
        """A request is whole: run the script for it."""
        exchange = Exchange(wire, len(self.exchanges), method, path, headers, body)
        self.exchanges.append(exchange)
        self._arrived.set()
        self._tasks.add(asyncio.get_running_loop().create_task(self._play(exchange)))
        return exchange

    def forget(self, wire: "_Wire") -> None:
        """A connection is gone."""
        self._wires.discard(wire)

    async def close(self) -> None:
        """Drop all connections and end all scripts.

        Raises whatever a script raised: a mistake in a test must not look like a mistake of the gateway.
        """
        for wire in list(self._wires):
            wire.transport.abort()
        for task in self._tasks:
            task.cancel()
        ends = await asyncio.gather(*self._tasks, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def _play(self, exchange: Exchange) -> None:
        try:
            await self.script(exchange)
        except GatewayLeft:
            return


class _Wire(asyncio.Protocol):
    """One accepted connection."""

    def __init__(self, upstream: ScriptedUpstream, number: int) -> None:
        self.number = number
        self.transport: asyncio.Transport
        self._upstream = upstream
        self._parser = httptools.HttpRequestParser(self)
        self._writable = asyncio.Event()
        self._writable.set()
        self._lost = False
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._exchanges: list[Exchange] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        # asyncio leaves Nagle's algorithm on for a listener that was made without naming TCP.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(high=0)  # `write` returns only when the kernel has taken everything

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def eof_received(self) -> bool:
        self._gone()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._gone()
        self._upstream.forget(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _gone(self) -> None:
        if self._lost:
            return
        self._lost = True
        self._writable.set()
        for exchange in self._exchanges:
            exchange.closed_s = asyncio.get_running_loop().time()
            exchange.closed.set()

    async def write(self, data: bytes) -> None:
        """Raises `GatewayLeft` when nobody is there."""
        if not self._lost and not self.transport.is_closing():
            self.transport.write(data)
            await self._writable.wait()
        if self._lost or self.transport.is_closing():
            raise GatewayLeft

    def reset(self) -> None:
        """Close with a RST, whatever is unsent."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    # httptools calls these.

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode()
        body = b"".join(self._body)
        self._exchanges.append(self._upstream.received(self, method, self._url.decode(), self._headers, body))
        self._url, self._headers, self._body = b"", {}, []


@contextmanager
def listening() -> Iterator[socket.socket]:
    """A listening socket that outlives single tests, so that a gateway can be told its address."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        listener.settimeout(0)
        yield listener


def url_of(listener: socket.socket, path: str = "/v1") -> str:
    """The base URL for a provider's configuration."""
    return f"http://127.0.0.1:{listener.getsockname()[1]}{path}"


@asynccontextmanager
async def serving(listener: socket.socket, script: Script) -> AsyncIterator[ScriptedUpstream]:
    """Play `script` for each request that comes to `listener`."""
    upstream = ScriptedUpstream(script)
    server = await asyncio.get_running_loop().create_server(upstream.accept, sock=listener.dup())
    try:
        yield upstream
    finally:
        server.close()
        await upstream.close()


def frame(members: Any) -> bytes:
    """One SSE frame."""
    return b"data: " + orjson.dumps(members) + b"\n\n"


def chunk(delta: dict[str, Any], finish: str | None = None, *, index: int = 0, **more: Any) -> bytes:
    """One frame with one choice, as OpenAI writes it. `more` are members of the chunk."""
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
    return frame(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": "upstream-model-2026",
            "choices": [choice],
            **more,
        }
    )


def role(index: int = 0) -> bytes:
    """The first frame of most providers: no content yet."""
    return chunk({"role": "assistant", "content": ""}, index=index)


def text(words: str, index: int = 0) -> bytes:
    """A frame with content."""
    return chunk({"content": words}, index=index)


def finish(reason: str = "stop", index: int = 0, **more: Any) -> bytes:
    """A finish frame."""
    return chunk({}, reason, index=index, **more)


def usage(prompt_tokens: int = 11, completion_tokens: int = 7) -> bytes:
    """A usage chunk."""
    return frame(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": "upstream-model-2026",
            "choices": [],
            "usage": counts(prompt_tokens, completion_tokens),
        }
    )


def counts(prompt_tokens: int = 11, completion_tokens: int = 7) -> dict[str, int]:
    """A usage object."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }


def completion(words: str = "fine") -> bytes:
    """A plain answer."""
    return orjson.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": "upstream-model-2026",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": words}, "finish_reason": "stop"}
            ],
            "usage": counts(),
        }
    )


async def good_stream(exchange: Exchange) -> None:
    """A short answer without fault."""
    await exchange.stream(role(), text("good"), finish(), usage(), DONE)
