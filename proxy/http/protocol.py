"""Our uvicorn protocol: it lets an exchange see its client's connection.

uvicorn alone tells an application neither that its client has left (`send` returns silently) nor that it reads
slowly, and frees no connection whose client never reads: `transport.close()` waits for the unread buffer. So each
connection here tells a listener what happens, and can be aborted.
"""

import asyncio
import socket
from collections.abc import Coroutine, Iterable
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from proxy.exchange.downstream import SCOPE_KEY, Listener

HIGH_WATER_BYTES: Final = 64 * 1024
"""Unsent bytes per client above which its provider is no longer read."""


class ClientConnection:
    """The client's TCP connection, as `exchange.downstream` sees it. One per connection, not per request."""

    __slots__ = ("_protocol", "gone", "listener")

    def __init__(self, protocol: "Protocol") -> None:
        self._protocol = protocol
        self.listener: Listener | None = None
        self.gone = False

    @property
    def paused(self) -> bool:
        return self._protocol.flow.write_paused and not self.gone

    @property
    def unsent_bytes(self) -> int:
        return self._protocol.transport.get_write_buffer_size()

    def abort(self) -> None:
        self._protocol.transport.abort()


class _Answer:
    """Sends one response: uvicorn's way, but for the head.

    The head waits for the first part of the body, so that both leave in one write: uvloop sends at each write, and
    a plain answer would cost two system calls and two packets. A head that stays alone leaves at the end of the turn.
    Its names and values are our own and are not checked again. To uvicorn this is the response's transport, until all
    is sent: then both are let go of, since what refers to itself waits for the garbage collector.
    """

    __slots__ = ("_cycle", "_head", "_loop", "_send", "_transport", "_turn_ends")

    def __init__(
        self, cycle: RequestResponseCycle, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._cycle = cycle
        self._send = cycle.send
        self._transport = transport
        self._loop = loop
        self._head = b""
        self._turn_ends = False

    def send(self, message: Any) -> Coroutine[Any, Any, None]:
        """ASGI's `send`."""
        if message["type"] == "http.response.start" and not self._cycle.response_started:
            return self._start(message["status"], message.get("headers", ()))
        if not message.get("more_body"):
            self._await_end_of_turn()
        return self._send(message)

    def write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        self._transport.write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    async def _start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        cycle = self._cycle
        if cycle.disconnected:
            return
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        content = [STATUS_LINE[status]]
        has_length = False
        for name, value in (*cycle.default_headers, *headers):
            if name == b"content-length":
                cycle.expected_content_length = int(value)
                has_length = True
            content += (name, b": ", value, b"\r\n")
        if not cycle.keep_alive:
            content.append(b"connection: close\r\n")
        bodiless = cycle.scope["method"] == "HEAD" or status in (204, 304)
        cycle.chunked_encoding = not has_length and not bodiless
        if cycle.chunked_encoding:
            content.append(b"transfer-encoding: chunked\r\n")
        content.append(b"\r\n")
        self._head = b"".join(content)
        self._await_end_of_turn()

    def _await_end_of_turn(self) -> None:
        if not self._turn_ends:
            self._turn_ends = True
            self._loop.call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._turn_ends = False
        self._flush()
        cycle = self._cycle
        if cycle.response_complete:
            cycle.transport = self._transport
            vars(cycle).pop("send", None)

    def _flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol with a view on its connection in each scope."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        # uvloop does this itself; asyncio does not for sockets of unstated protocol, and frames would wait 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client_connection = ClientConnection(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        connection = self.client_connection
        connection.gone = True
        if connection.listener is not None:
            connection.listener.client_gone()

    def on_headers_complete(self) -> None:
        self.scope[SCOPE_KEY] = self.client_connection  # type: ignore[typeddict-unknown-key]  # ASGI scopes are open
        super().on_headers_complete()
        if self.server_state.closing:  # type: ignore[attr-defined]  # ours: see `proxy.http.server`
            self.cycle.keep_alive = False
        answer = _Answer(self.cycle, self.transport, self.loop)
        self.cycle.transport = cast("asyncio.Transport", answer)
        self.cycle.send = answer.send  # type: ignore[method-assign]  # the task that reads it has not begun yet

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.client_connection.listener is not None:
            self.client_connection.listener.client_paused()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.client_connection.listener is not None:
            self.client_connection.listener.client_resumed()

    def timeout_keep_alive_handler(self) -> None:
        # The client has read nothing of the rest for a whole keep-alive time: closing would wait for it.
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        super().timeout_keep_alive_handler()
