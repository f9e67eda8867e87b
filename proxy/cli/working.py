"""What a worker does: it serves the connections that its supervisor accepts, until it is told to stop."""

import asyncio
import signal
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

from proxy.app import Gateway
from proxy.assembly.seat import Seat
from proxy.cli.channel import Channel
from proxy.cli.messages import Start
from proxy.cli.process import FAILED, spare_the_collector
from proxy.cli.stopping import Stopping
from proxy.http.server import HttpServer
from proxy.settings.load import Loaded
from proxy.settings.reload import Reloaded
from proxy.web.probes import DRAINING
from ratelimit.store.errors import AddressError, StoreRefused

_AT_ONCE: Final = 64
"""Connections taken in one turn of the loop."""
_READY_S: Final = 0.1
_FIGURES_EVERY: Final = 10
"""How many looks at readiness come to one report of figures."""
_EXPOSITION_S: Final = 5.0
_RELOAD_S: Final = 90.0
"""Above what the supervisor waits for its workers."""


class Worker:
    """One worker, on one event loop."""

    def __init__(self, start: Start, control: socket.socket, door: socket.socket, log: Any) -> None:
        """`control`: its end of the channel. `door`: where connections come over."""
        self._start = start
        self._control = control
        self._door = door
        self._log = log
        self._stopping = Stopping()
        self._tasks: list[asyncio.Task[None]] = []
        self._channel = Channel(self._heard, self._asked)
        seat = Seat(self._reload, start.number, start.of, start.store_address, self._exposition)
        self._gateway = Gateway(start.loaded, log, start.kept, seat)
        self._server = HttpServer(
            self._gateway, keepalive_timeout_s=start.loaded.settings.server.keepalive_timeout_s
        )

    async def run(self) -> int:
        """Serve until the supervisor says otherwise, or is gone.

        Returns:
            The exit code.
        """
        await self._channel.open(self._control)
        self._heed_signals()
        try:
            async with self._gateway.running(), self._server.running():
                await self._serve()
        except (StoreRefused, AddressError) as problem:
            self._channel.tell("failed", str(problem))
            return FAILED
        finally:
            self._channel.close()
        return 0

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._door, self._take)
        spare_the_collector()
        self._tasks += [loop.create_task(self._report()), loop.create_task(self._follow())]
        self._channel.tell("up")
        await self._stopping.closing.wait()
        loop.remove_reader(self._door)
        while self._take():
            pass
        drain_s = self._gateway.serving.loaded.settings.server.drain_s
        ended_early = await self._server.close(drain_s, at_once=self._stopping.at_once)
        if ended_early:
            self._log.info("requests were ended early", count=ended_early, worker=self._start.number)
        for task in self._tasks:
            task.cancel()
        self._channel.tell("figures", self._gateway.metrics.figures())

    def _heed_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._leave)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # reloading is the supervisor's business

    def _leave(self) -> None:
        """Whoever wants this worker alone to end gets its streams ended well; another one takes its place."""
        self._channel.tell("leaving")
        self._stopping.closing.set()

    def _take(self) -> bool:
        """Take connections that the supervisor has accepted; false when there are no more for now."""
        for _ in range(_AT_ONCE):
            try:
                data, descriptors, _, _ = socket.recv_fds(self._door, 1, 1)
            except (BlockingIOError, InterruptedError):
                return False
            if not data:  # the supervisor is gone, which the channel tells too
                asyncio.get_running_loop().remove_reader(self._door)
                return False
            for descriptor in descriptors:
                connection = socket.socket(fileno=descriptor)
                connection.setblocking(False)  # noqa: FBT003 - the standard library's signature
                self._server.take(connection)
        return True

    async def _report(self) -> None:
        """Tell whether this worker is ready whenever that changes, and its figures, in case it is killed."""
        told: tuple[str, ...] | None = None
        while True:
            for _ in range(_FIGURES_EVERY):
                if told != self._gateway.readiness.reasons:
                    told = self._gateway.readiness.reasons
                    self._channel.tell("readiness", told)
                await asyncio.sleep(_READY_S)
            self._channel.tell("figures", self._gateway.metrics.figures())

    async def _follow(self) -> None:
        """Without its supervisor nobody sends connections, and the embedded store is gone: end at once."""
        await self._channel.lost.wait()
        self._log.error("the supervisor is gone", worker=self._start.number)
        self._stopping.closing.set()
        self._stopping.at_once.set()

    def _heard(self, subject: str, content: Any) -> None:
        if subject == "serve":
            task = asyncio.get_running_loop().create_task(self._serve_another(content))
            self._tasks.append(task)
            return
        acts: Mapping[str, Callable[[], None]] = {
            "lame": self._lame,
            "drain": self._stopping.closing.set,
            "at_once": self._stopping.at_once.set,
        }
        acts[subject]()

    def _lame(self) -> None:
        self._gateway.readiness.unready(DRAINING)
        self._server.lame()

    async def _asked(self, subject: str, content: Any) -> Any:
        if subject == "figures":
            return self._gateway.metrics.figures()
        if subject == "prepare":
            return await self._gateway.prepare(content)
        if subject == "commit":
            return await self._gateway.commit()
        raise ValueError(subject)

    async def _serve_another(self, loaded: Loaded) -> None:
        """It came while this worker was starting; the others serve it already."""
        await self._gateway.prepare(loaded)
        await self._gateway.commit()

    async def _reload(self) -> Reloaded:
        answer: Reloaded = await self._channel.ask("reload", limit_s=_RELOAD_S)
        return answer

    async def _exposition(self) -> bytes:
        answer: bytes = await self._channel.ask("exposition", limit_s=_EXPOSITION_S)
        return answer
