"""Our uvicorn protocol: it lets an exchange see its client's connection.

uvicorn alone tells an application neither that its client has left (`send` returns silently) nor that it reads
slowly, and frees no connection whose client never reads: `transport.close()` waits for the unread buffer. So each
connection here tells a listener what happens, and can be aborted.
"""

import asyncio
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

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


class _OneWrite:
    """A transport for one response: its head waits for the first part of the body, so that both leave in one write.

    uvloop sends at each write; a plain answer would cost two system calls and two packets. A head that stays alone
    leaves at the end of the loop's turn.
    """

    __slots__ = ("_head", "_head_seen", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""
        self._head_seen = False

    def write(self, data: bytes) -> None:
        if self._head_seen:
            if self._head:
                data, self._head = self._head + data, b""
            self._transport.write(data)
        else:
            self._head_seen = True
            self._head = data
            self._loop.call_soon(self._flush)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def _flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol with a view on its connection in each scope."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
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
        self.cycle.transport = cast("asyncio.Transport", _OneWrite(self.transport, self.loop))

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
