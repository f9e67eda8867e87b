"""Serves an ASGI application over HTTP/1.1, and stops in the order that load balancers need.

uvicorn parses and answers; its own server closes its listeners first when it is to stop, and cuts what takes too long
without waiting for its end. Here a lame duck goes on accepting, and the last answers are let out.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Any, Final, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from proxy.http.protocol import Protocol

BACKLOG: Final = 2048

_LOOK_S: Final = 0.02
_IN_FLIGHT_S: Final = 0.1
"""A request that was on its way when the listener closed has this long to arrive."""
_LAST_WORDS_S: Final = 2.0
"""What is ended early has this long to write its error and to have it read."""


class _State(ServerState):
    """What all connections share. `closing`: each answer is to be the last of its connection."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = False


class HttpServer:
    """One process's connections. Use it on one event loop."""

    def __init__(self, app: Any, *, keepalive_timeout_s: float = 75.0) -> None:
        """`keepalive_timeout_s`: a connection is closed that has had no request for so long after an answer."""
        self._config = uvicorn.Config(
            app,
            http=Protocol,
            interface="asgi3",
            loop="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=keepalive_timeout_s,  # type: ignore[arg-type]  # it is handed to `call_later`
        )
        self._config.load()
        self._state = _State()
        self._listening: list[asyncio.Server] = []
        self._taking: set[asyncio.Task[Any]] = set()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._state.connections)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the clock that answers are dated by."""
        self._date()
        dating = asyncio.get_running_loop().create_task(self._keep_date())
        try:
            yield
        finally:
            dating.cancel()

    async def listen(self, listener: socket.socket) -> None:
        """Accept connections from a listening socket, until `close`."""
        loop = asyncio.get_running_loop()
        self._listening.append(await loop.create_server(self._protocol, sock=listener, backlog=BACKLOG))

    def take(self, connection: socket.socket) -> None:
        """Serve a connection that another process has accepted."""
        loop = asyncio.get_running_loop()
        task = loop.create_task(_served(connection, self._protocol))
        self._taking.add(task)
        task.add_done_callback(self._taking.discard)

    def lame(self) -> None:
        """From now on each answer says `connection: close`; new connections are still accepted."""
        self._state.closing = True
        for connection in cast("set[Protocol]", self._state.connections):
            cycle: RequestResponseCycle | None = connection.cycle
            if cycle is not None and not cycle.response_started:
                cycle.keep_alive = False

    async def close(self, drain_s: float, *, at_once: asyncio.Event) -> int:
        """Accept nothing more, let answers end, end those that take longer; then all connections are closed.

        Args:
            drain_s: how long answers under way may take.
            at_once: set when nobody wants to wait any longer.

        Returns:
            How many answers were ended early, each with an error.
        """
        self.lame()
        for server in self._listening:
            server.close()
        await asyncio.sleep(_IN_FLIGHT_S)
        for connection in list(self._state.connections):
            connection.shutdown()
        await self._emptied(drain_s, at_once)
        late = list(self._state.tasks)
        for task in late:
            task.cancel()
        await self._emptied(_LAST_WORDS_S, None)
        for connection in list(self._state.connections):
            connection.transport.abort()
        if self._state.tasks:  # they waited for clients that read nothing
            await asyncio.wait(self._state.tasks, timeout=_LAST_WORDS_S)
        return len(late)

    async def _emptied(self, limit_s: float, at_once: asyncio.Event | None) -> None:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + limit_s
        while self._state.connections or self._state.tasks:
            if loop.time() >= until_s or (at_once is not None and at_once.is_set()):
                return
            await asyncio.sleep(_LOOK_S)

    def _protocol(self) -> asyncio.Protocol:
        return Protocol(config=self._config, server_state=self._state, app_state={})

    async def _keep_date(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._date()

    def _date(self) -> None:
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]


async def _served(connection: socket.socket, protocol: Any) -> None:
    try:
        await asyncio.get_running_loop().connect_accepted_socket(protocol, connection)
    except OSError:  # the client left before it was heard
        connection.close()
