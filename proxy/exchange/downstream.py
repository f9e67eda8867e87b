"""The client's side of one exchange: bytes go out without a task switch, and departures come in as calls.

Served by our own HTTP protocol (`proxy.http.protocol`), which puts its `Connection` into the scope. While the
transport's buffer is below its high-water mark, ASGI's `send` never waits, so it is driven to its end in place. Above
it, `listener.client_paused` stops the upstream; what was read already is kept here and follows when the client reads.
"""

import asyncio
from collections.abc import Callable, Coroutine, MutableMapping, Sequence
from typing import Any, Final, Protocol

Headers = Sequence[tuple[bytes, bytes]]
Send = Callable[[MutableMapping[str, Any]], Coroutine[Any, Any, None]]

SCOPE_KEY: Final = "headgate.connection"
KEEP_ALIVE_COMMENT: Final = b": headgate is waiting for the provider\n\n"
LARGE_END_BYTES: Final = 64 * 1024
"""An end of this size may fill the transport's buffer; most plain answers and all ends of streams are smaller."""


class Listener(Protocol):
    """Who must know at once what the client does."""

    def client_gone(self) -> None: ...
    def client_paused(self) -> None: ...
    def client_resumed(self) -> None: ...


class Connection(Protocol):
    """The client's TCP connection."""

    listener: Listener | None

    @property
    def paused(self) -> bool:
        """The client reads more slowly than we write: the transport's buffer is above its high-water mark."""
        ...

    @property
    def gone(self) -> bool: ...

    @property
    def unsent_bytes(self) -> int:
        """What the client has yet to read, as far as this process knows."""
        ...

    def abort(self) -> None:
        """Drop the connection with what is unsent: `close` would wait for a client that never reads."""
        ...


class Downstream:
    """One answer to one client.

    Attributes:
        started: status and headers have gone out.
        gone: the client has left; nothing written arrives.
        loop: the event loop of the exchange.
    """

    __slots__ = (
        "_connection", "_ended", "_keep_alive_s", "_keep_alive_timer", "_last_write_s", "_listener",
        "_pending", "_send", "_task", "_write_s", "_write_timer", "early", "gone", "loop", "started",
    )  # fmt: skip

    def __init__(self, connection: Connection, send: Send, *, write_s: float, keep_alive_s: float) -> None:
        """
        Args:
            connection: the client's.
            send: ASGI's.
            write_s: a client that has not read for so long is dropped.
            keep_alive_s: silence after which a comment frame goes to a streaming client; 0 for never.
        """
        self._connection = connection
        self._send = send
        self.loop = asyncio.get_running_loop()
        self._task = asyncio.current_task(self.loop)
        self._listener: Listener | None = None
        self._pending: list[bytes] = []
        self._write_s = write_s
        self._write_timer: asyncio.TimerHandle | None = None
        self._keep_alive_s = keep_alive_s
        self._keep_alive_timer: asyncio.TimerHandle | None = None
        self._last_write_s = 0.0
        self._ended = False
        self.early: Callable[[], tuple[int, Headers]] | None = None
        self.started = False
        self.gone = connection.gone
        connection.listener = self
        if connection.paused:
            self._watch_writing(connection.unsent_bytes + 1)

    @property
    def ended(self) -> bool:
        """The last part of the body has been given."""
        return self._ended

    def listen(self, listener: Listener | None) -> None:
        """Tell `listener` from now on. Without one, a departure cancels the task of the request."""
        self._listener = listener
        if listener is not None and self._connection.paused:
            listener.client_paused()

    def keep_alive(self, early: Callable[[], tuple[int, Headers]]) -> None:
        """Begin to break silences, if configured. `early` gives status and headers when the first comment goes out."""
        if self._keep_alive_s > 0:
            self.early = early
            self._last_write_s = self.loop.time()
            self._keep_alive_timer = self.loop.call_later(self._keep_alive_s, self._break_silence)

    def start(self, status: int, headers: Headers) -> None:
        """Send status and headers, once."""
        if self.started:
            return
        self.started = True
        self._drive({"type": "http.response.start", "status": status, "headers": headers})

    def write(self, data: bytes) -> None:
        """Send a part of the body: whole frames."""
        if self._connection.paused:
            self._pending.append(data)
            return
        if self._keep_alive_s > 0:
            self._last_write_s = self.loop.time()
        self._drive({"type": "http.response.body", "body": data, "more_body": True})

    def end(self, data: bytes) -> None:
        """Send the last part of the body and end it."""
        self._ended = True
        if self._pending or self._connection.paused:
            self._pending.append(data)
            return
        large = len(data) > LARGE_END_BYTES
        self._drive({"type": "http.response.body", "body": data, "more_body": large})
        if large:
            # Ended by `close` when the client has read most of it; until then it is watched.
            self._pending.append(b"")

    async def close(self) -> None:
        """Wait until what was written has been handed to the transport, or the client is gone."""
        if self._pending and not self.gone:
            self._listener = None
            pending, self._pending = self._pending, []
            # The one place where `send` may wait: it returns when the client has read, or is gone.
            await self._send(
                {"type": "http.response.body", "body": b"".join(pending), "more_body": not self._ended}
            )
        for timer in (self._write_timer, self._keep_alive_timer):
            if timer is not None:
                timer.cancel()
        self._connection.listener = None

    def abort(self) -> None:
        """Drop the connection."""
        self._connection.abort()

    # The connection calls these.

    def client_gone(self) -> None:
        if self.gone:
            return
        self.gone = True
        if self._listener is not None:
            self._listener.client_gone()
        elif self._task is not None and not self._ended:
            self._task.cancel()

    def client_paused(self) -> None:
        self._watch_writing(self._connection.unsent_bytes + 1)
        if self._listener is not None:
            self._listener.client_paused()

    def client_resumed(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        if self._pending and self._listener is not None and not self._ended:
            pending, self._pending = self._pending, []
            self.write(b"".join(pending))
        if self._listener is not None and not self._connection.paused:
            self._listener.client_resumed()

    def _watch_writing(self, unsent_before: int) -> None:
        unsent = self._connection.unsent_bytes
        if unsent >= unsent_before:  # nothing was read since the last look
            self._connection.abort()
        else:
            self._write_timer = self.loop.call_later(self._write_s, self._watch_writing, unsent)

    def _drive(self, message: dict[str, Any]) -> None:
        try:
            self._send(message).send(None)
        except StopIteration:
            return
        raise RuntimeError("send waited though the connection was not paused")

    def _break_silence(self) -> None:
        if self._ended or self.gone:
            return
        quiet_s = self.loop.time() - self._last_write_s
        if quiet_s >= self._keep_alive_s and not self._connection.paused:
            if not self.started and self.early is not None:
                self.start(*self.early())
            self.write(KEEP_ALIVE_COMMENT)
            quiet_s = 0.0
        self._keep_alive_timer = self.loop.call_later(
            self._keep_alive_s - min(quiet_s, self._keep_alive_s), self._break_silence
        )
