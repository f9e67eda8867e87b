"""One connection: commands out, replies in, in the order they were asked for."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, cast

import hiredis

from ratelimit.store.errors import StoreUnavailable

ReplyError = hiredis.ReplyError

# The library declares a tuple of one; any length is meant.
pack_command = cast("Callable[[tuple[str | int | float | bytes, ...]], bytes]", hiredis.pack_command)

# A time-out is so many looks at the clock, between any two of which the loop has read what the sockets held. A loop
# that is late looks late, and counts no more of its own delay as the server's silence than one of these parts.
_LOOKS: Final = 5
_LEAST_LOOK_S: Final = 0.001
_NOT_READY: Final = object()


class Connection(asyncio.Protocol):
    """A pipe with a FIFO of futures. Not for use across threads or loops.

    All commands of one loop tick leave in one write. Replies are matched by position, so a call whose caller
    has left keeps its place and its reply is dropped. When the oldest call is overdue the server is taken to
    hang: the connection is given up whole, since a later reply could no longer be trusted to be wanted. That is
    after the time-out and at most a fifth of it more, however much longer our own loop was away.
    """

    __slots__ = (
        "_flush_due",
        "_gets",
        "_look_every_s",
        "_looks",
        "_loop",
        "_on_lost",
        "_outgoing",
        "_pending",
        "_reader",
        "_timeout_s",
        "_timer",
        "_transport",
        "closed",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        timeout_s: float,
        on_lost: Callable[["Connection", StoreUnavailable, bool], None],
    ) -> None:
        """`on_lost(connection, reason, hung)` is called once, when the connection ends other than by `close`.

        `hung`: the server kept silent or refuses to serve, so that a new connection is not expected to help.
        """
        self._loop = loop
        self._timeout_s = timeout_s
        self._look_every_s = max(timeout_s / _LOOKS, _LEAST_LOOK_S)
        self._looks = 0
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader(notEnoughData=_NOT_READY)
        self._gets = self._reader.gets
        self._pending: deque[tuple[asyncio.Future[object], int]] = deque()
        self._outgoing: list[bytes] = []
        self._flush_due = False
        self._timer: asyncio.TimerHandle | None = None
        self.closed = False

    def send(self, packed: bytes) -> asyncio.Future[object]:
        """Queue one packed command; the future gets its reply, an error reply as a `ReplyError` value.

        The future raises StoreUnavailable when the connection ends first. Cancelling it is allowed.
        """
        loop = self._loop
        future: asyncio.Future[object] = loop.create_future()
        if self.closed:
            future.set_exception(StoreUnavailable("the connection is closed"))
            return future
        self._outgoing.append(packed)
        if not self._flush_due:
            self._flush_due = True
            loop.call_soon(self._flush)
        # One more than the time-out has: the first may come at once.
        self._pending.append((future, self._looks + _LOOKS + 1))
        if self._timer is None:
            self._timer = loop.call_later(self._look_every_s, self._look_for_overdue)
        return future

    def hold_to(self, timeout_s: float) -> None:
        """Bound later calls by `timeout_s`. Only while nothing is waiting."""
        self._timeout_s = timeout_s
        self._look_every_s = max(timeout_s / _LOOKS, _LEAST_LOOK_S)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def fail(self, reason: str, *, hung: bool) -> None:
        """Give the connection up: waiting calls raise StoreUnavailable(reason). Does nothing when closed."""
        if self.closed:
            return
        self._end(reason)
        self._on_lost(self, StoreUnavailable(reason), hung)

    def close(self) -> None:
        """End the connection without telling the owner. Waiting calls raise StoreUnavailable."""
        if not self.closed:
            self._end("the store was closed")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self.closed:  # given up while the transport was being made
            transport.close()

    def data_received(self, data: bytes) -> None:
        if self.closed:
            return
        pending = self._pending
        gets = self._gets
        try:
            self._reader.feed(data)
            reply = gets()
            while reply is not _NOT_READY:
                future = pending.popleft()[0]
                if not future.done():
                    future.set_result(reply)
                reply = gets()
        except (hiredis.ProtocolError, IndexError) as error:
            self.fail(f"the server does not speak the Redis protocol: {error}", hung=True)

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(f"the connection was lost: {exc or 'closed by the server'}", hung=False)

    def _flush(self) -> None:
        self._flush_due = False
        if self._transport is not None and not self.closed:
            self._transport.write(b"".join(self._outgoing))
        self._outgoing.clear()

    def _look_for_overdue(self) -> None:
        self._timer = None
        self._looks += 1
        if not self._pending:
            return
        if self._looks >= self._pending[0][1]:
            self.fail(f"no answer within {self._timeout_s * 1000:.0f} ms", hung=True)
        else:
            self._timer = self._loop.call_later(self._look_every_s, self._look_for_overdue)

    def _end(self, reason: str) -> None:
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()
        while self._pending:
            future, _ = self._pending.popleft()
            if not future.done():
                future.set_exception(StoreUnavailable(reason))
        self._outgoing.clear()
