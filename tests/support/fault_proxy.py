"""A port in front of a server's socket: what passes is delayed, or every connection is reset."""

import asyncio
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

_RESET: Final = struct.pack("ii", 1, 0)
_PATIENCE_S: Final = 10.0


class _End(asyncio.Protocol):
    """One end of a connection through the proxy; what it receives goes to `peer`."""

    def __init__(self, proxy: "FaultProxy", connected: Callable[["_End"], object]) -> None:
        self.peer: _End | None = None
        self.transport: asyncio.Transport
        self._proxy = proxy
        self._connected = connected
        self._early: list[bytes] = []
        self._held: deque[bytes] = deque()
        self._due_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._proxy.ends.add(self)
        self._connected(self)

    def data_received(self, data: bytes) -> None:
        if self.peer is None:
            self._early.append(data)
            return
        # Never before what came earlier, although delays may shrink.
        loop = asyncio.get_running_loop()
        self._due_s = max(self._due_s, loop.time() + self._proxy.delay_s)
        self._held.append(data)
        loop.call_at(self._due_s, self._pass_on)

    def _pass_on(self) -> None:
        # Timers that are due at the same moment run in any order; what they pass on does not.
        assert self.peer is not None
        self.peer.transport.write(self._held.popleft())

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._proxy.ends.discard(self)
        if self.peer is not None:
            self.peer.transport.close()

    def join(self, peer: "_End") -> None:
        """Let everything go to `peer` from now on, and its to this one."""
        self.peer, peer.peer = peer, self
        if self.transport.is_closing():  # its client has not waited
            peer.transport.close()
        for data in self._early:
            self.data_received(data)
        self._early.clear()

    def reset(self) -> None:
        """End it with a RST."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None and sock.family == socket.AF_INET:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()


class FaultProxy:
    """Serves on a thread of its own, so that it outlives the event loops of single tests.

    Attributes:
        port: on the loopback.
        delay_s: what each piece of data waits, either way.
    """

    def __init__(self, target: Path) -> None:
        """`target`: the unix socket of the server behind it."""
        self.port = 0
        self.delay_s = 0.0
        self.ends: set[_End] = set()
        self._target = target
        self._resetting = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault proxy", daemon=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def reset_all(self, *, lasting: bool) -> None:
        """Reset every connection there is, and if `lasting`, each that will come, until this is taken back."""

        async def work() -> None:
            self._resetting = lasting
            for end in list(self.ends):
                end.reset()

        asyncio.run_coroutine_threadsafe(work(), self._loop).result(_PATIENCE_S)

    def let_connect(self) -> None:
        """Reset nothing any more."""
        self._resetting = False

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(_PATIENCE_S)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        async def work() -> None:
            self._server.close()
            for end in list(self.ends):
                end.reset()
            await asyncio.sleep(0)

        asyncio.run_coroutine_threadsafe(work(), self._loop).result(_PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE_S)
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        return await self._loop.create_server(lambda: _End(self, self._accepted), "127.0.0.1", 0)

    def _accepted(self, near: _End) -> None:
        task = self._loop.create_task(self._connect(near))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, near: _End) -> None:
        try:
            if self._resetting:
                raise ConnectionResetError
            await self._loop.create_unix_connection(lambda: _End(self, near.join), str(self._target))
        except OSError:  # nobody is behind it
            near.reset()
