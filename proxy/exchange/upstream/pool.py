"""Connections that idle between two exchanges, ready to be used again.

aiohttp's connector makes them: DNS, TLS, proxies. Its own pool does per request what is needed once per connection.
"""

import asyncio
from collections import deque
from typing import Final

from aiohttp.connector import Connection

KEEP_ALIVE_S: Final = 30.0
"""How long a connection may idle. Most providers close theirs after 60 s or more."""


class Wire(asyncio.Protocol):
    """One connection to a provider, for all its life; handed from exchange to exchange.

    Between two exchanges it listens itself: a byte that nobody asked for would be read as the next answer (a late 408,
    say), so it ends the connection.

    Attributes:
        origin: host, port, TLS and proxy as one word; connections of one origin are alike.
        reused: an exchange has ended well on it.
    """

    __slots__ = ("_connection", "idle_since_s", "origin", "reused", "transport")

    def __init__(self, connection: Connection, origin: str) -> None:
        """`connection` has just been made."""
        assert connection.transport is not None
        self._connection = connection
        self.transport: asyncio.Transport = connection.transport
        self.origin = origin
        self.reused = False
        self.idle_since_s = 0.0

    def drop(self) -> None:
        """Close it at once, unsent bytes included."""
        self.transport.abort()
        self._connection.close()

    def data_received(self, data: bytes) -> None:
        """While it idles."""
        del data
        self.drop()

    def connection_lost(self, exc: Exception | None) -> None:
        """While it idles."""
        del exc
        self.drop()


class Pool:
    """Idle connections by origin. The one used last is used next, so that the others can grow old."""

    __slots__ = ("_idle", "_loop", "_retired", "_sweep")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._idle: dict[str, deque[Wire]] = {}
        self._retired: frozenset[str] = frozenset()
        self._sweep: asyncio.TimerHandle | None = None

    def take(self, origin: str) -> Wire | None:
        """A connection to `origin` that is alive as far as we were told; `None` when there is none."""
        idle = self._idle.get(origin)
        if not idle:
            return None
        oldest_s = self._loop.time() - KEEP_ALIVE_S
        while idle:
            wire = idle.pop()
            if not wire.transport.is_closing() and wire.idle_since_s > oldest_s:
                return wire
            wire.drop()
        return None

    def put(self, wire: Wire) -> None:
        """An exchange has ended well and left its connection open."""
        if wire.origin in self._retired:
            wire.drop()
            return
        wire.reused = True
        wire.idle_since_s = self._loop.time()
        wire.transport.set_protocol(wire)
        self._idle.setdefault(wire.origin, deque()).append(wire)
        if self._sweep is None:
            self._sweep = self._loop.call_later(KEEP_ALIVE_S, self._drop_old)

    def retire(self, origins: frozenset[str]) -> None:
        """Keep no connections to these: idle ones go now, others after their exchange. All others are kept again."""
        self._retired = origins
        for origin in origins & self._idle.keys():
            for wire in self._idle.pop(origin):
                wire.drop()

    def close(self) -> None:
        """Drop them all."""
        if self._sweep is not None:
            self._sweep.cancel()
        while self._idle:
            _, idle = self._idle.popitem()
            for wire in idle:
                wire.drop()

    def _drop_old(self) -> None:
        """Runs while anything idles: what nobody takes must go, too."""
        self._sweep = None
        now_s = self._loop.time()
        for origin, idle in list(self._idle.items()):
            while idle and now_s - idle[0].idle_since_s >= KEEP_ALIVE_S:
                idle.popleft().drop()
            if not idle:
                del self._idle[origin]
        if self._idle:
            oldest_s = min(idle[0].idle_since_s for idle in self._idle.values())
            self._sweep = self._loop.call_at(oldest_s + KEEP_ALIVE_S, self._drop_old)
