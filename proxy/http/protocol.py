"""Our uvicorn protocol: it lets an exchange see its client's connection.

uvicorn alone tells an application neither that its client has left (`send` returns silently) nor that it reads
slowly, and frees no connection whose client never reads: `transport.close()` waits for the unread buffer. So each
connection here tells a listener what happens, and can be aborted.
"""

from typing import Any, Final

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
