"""Several processes behind one address: accepts connections, hands them out in turn, and keeps the workers alive.

Handing out costs a worker some 50 us a connection, nothing per request, and splits connections evenly whatever their
number; a kernel that chooses among listening sockets (SO_REUSEPORT) throws dice, and one shared socket favours whoever
is awake. It also leaves no queue behind when a worker dies.
"""

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from proxy.admin.reload import Reload
from proxy.assembly.kept import Kept
from proxy.cli.channel import ChannelLost
from proxy.cli.child import Child, start_child
from proxy.cli.messages import Start
from proxy.cli.opened import WorkersFailed
from proxy.cli.stopping import Stopping
from proxy.settings.load import Loaded
from proxy.settings.problems import ConfigError, Problem
from proxy.telemetry.figures import Family, counted, counter, gauge, merged
from proxy.web.probes import DRAINING, STARTING
from ratelimit.store.address import Address

QUICK_S: Final = 10.0
"""A worker that ends sooner after its start than this does not stay up."""
QUICK_ENDS_MAX: Final = 5
_PAUSE_S: Final = 0.25
_PAUSE_MAX_S: Final = 4.0
_ACCEPTED_AT_ONCE: Final = 64
_RETRY_S: Final = 0.02
_FIGURES_S: Final = 2.0
_PREPARE_S: Final = 30.0
_END_S: Final = 10.0
"""Beyond `drain_s`, for what is ended early, for settlements and for closing."""


class Supervisor:
    """The workers of one gateway. Use it on one event loop, in the main thread."""

    def __init__(
        self,
        loaded: Loaded,
        kept: Kept,
        store_address: Address | None,
        listener: socket.socket,
        reload: Reload,
        log: Any,
    ) -> None:
        """`reload`: reads the configuration anew and serves it, by way of `prepare` and `commit`."""
        self._reload = reload
        self._prepared: tuple[Loaded, list[Child]] | None = None
        self._loaded = loaded
        self._kept = kept
        self._store_address = store_address
        self._listener = listener
        self._log = log
        self._of = loaded.settings.server.workers
        self._children: dict[int, Child] = {}
        self._turn = 0
        self._held: socket.socket | None = None
        self._accepting = False
        self._started = asyncio.Event()
        self._draining = False
        self._quick_ends = 0
        self._restarts = 0
        self._departed: list[Family] = []

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why requests should go elsewhere; empty while a worker is ready."""
        if self._draining:
            return (DRAINING,)
        told = [child.reasons for child in self._up()]
        if () in told:
            return ()
        return tuple(dict.fromkeys(reason for reasons in told for reason in reasons)) or (STARTING,)

    async def exposition(self) -> bytes:
        """The metrics of all workers, in Prometheus' text format."""
        from proxy.telemetry.exposition import exposition, process_figures

        children = self._up()
        answers = await asyncio.gather(*map(_figures, children))
        return exposition(
            [
                *merged([self._departed, process_figures(), *answers]),
                gauge("headgate_workers", "Worker processes that serve.", len(children)),
                counter("headgate_worker_restarts", "Workers that took another's place.", self._restarts),
            ]
        )

    async def run(self, stopping: Stopping, listening: Callable[[], None]) -> None:
        """Serve until `stopping` is asked for. `listening` is called when all workers serve.

        Raises:
            WorkersFailed: a worker did not start, or workers do not stay up.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                keeping = [tasks.create_task(self._keep(number, stopping)) for number in range(self._of)]
                if await self._all_up(stopping):
                    listening()
                await stopping.asked.wait()
                await self._stop(stopping, keeping)
        except BaseExceptionGroup as group:
            failure, rest = group.split(WorkersFailed)
            if failure is None or rest is not None:
                raise
            await self._end_children()
            raise failure.exceptions[0] from None

    async def _all_up(self, stopping: Stopping) -> bool:
        waits = [asyncio.ensure_future(event.wait()) for event in (self._started, stopping.asked)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return self._started.is_set()

    # Keeping workers.

    async def _keep(self, number: int, stopping: Stopping) -> None:
        """Keep the worker with this number alive."""
        loop = asyncio.get_running_loop()
        while not stopping.asked.is_set():
            began_s = loop.time()
            child = await self._start(number)
            how = await child.ended()
            del self._children[number]
            self._departed = merged([self._departed, counted(child.figures)])
            if stopping.asked.is_set():
                return
            if not self._started.is_set():
                raise WorkersFailed(child.problem or f"a worker ended before it served ({how})")
            pause_s = self._pause(how, lived_s=loop.time() - began_s)
            self._log.error(
                "a worker ended; another one takes its place",
                worker=number,
                pid=child.pid,
                how=how,
                reason=child.problem,
                pause_s=pause_s,
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await stopping.asked.wait()
            self._restarts += 1

    def _pause(self, how: str, *, lived_s: float) -> float:
        """How long to wait before the next start; nothing for one that had served for a while."""
        self._quick_ends = self._quick_ends + 1 if lived_s < QUICK_S else 0
        if self._quick_ends >= QUICK_ENDS_MAX:
            raise WorkersFailed(
                f"workers do not stay up: {self._quick_ends} in a row ended within {QUICK_S:g} s of their start, "
                f"the last one with {how}"
            )
        if not self._quick_ends:
            return 0.0
        pause_s: float = _PAUSE_S * 2 ** (self._quick_ends - 1)
        return min(pause_s, _PAUSE_MAX_S)

    async def _start(self, number: int) -> Child:
        start = Start(self._loaded, self._kept, number, self._of, self._store_address)
        child = await start_child(start, self._heard, self._asked)
        self._children[number] = child
        if self._draining:
            child.channel.tell("drain")
        return child

    def _heard(self, child: Child, subject: str, content: Any) -> None:
        match subject:
            case "up":
                child.up = True
                self._bring_up_to_date(child)
                self._now_up()
            case "leaving":
                child.up = False
            case "readiness":
                child.reasons = content
            case "figures":
                child.figures = content
            case "failed":
                child.problem = content

    def _now_up(self) -> None:
        if len(self._up()) == self._of:
            self._started.set()
        if self._started.is_set() and not self._accepting and not self._draining:
            self._accept_connections()

    async def _asked(self, _: Child, subject: str, __: Any) -> Any:
        if subject == "exposition":
            return await self.exposition()
        if subject == "reload":
            return await self._reload()
        raise ValueError(subject)

    # Another configuration, for all workers or for none.

    async def prepare(self, loaded: Loaded) -> None:
        """Let every worker make ready for it.

        Raises:
            ConfigError: one of them cannot.
        """
        self._prepared = loaded, self._up()
        answers = await asyncio.gather(
            *(child.channel.ask("prepare", loaded, limit_s=_PREPARE_S) for child in self._prepared[1]),
            return_exceptions=True,
        )
        for child, failure in zip(self._prepared[1], answers, strict=True):
            if isinstance(failure, TimeoutError):
                problem = Problem(f"worker {child.number}", f"it was not ready within {_PREPARE_S:g} s")
                raise ConfigError((problem,)) from failure
            if isinstance(failure, BaseException) and not isinstance(failure, ChannelLost):
                raise failure  # one that is gone gets it at its next start

    async def commit(self) -> None:
        """Serve it everywhere. A worker that cannot say that it does is ended: another one will."""
        assert self._prepared is not None
        (loaded, children), self._prepared = self._prepared, None
        self._loaded = loaded
        for child in children:
            child.loaded = loaded
        answers = await asyncio.gather(
            *(child.channel.ask("commit", limit_s=_PREPARE_S) for child in children), return_exceptions=True
        )
        for child, failure in zip(children, answers, strict=True):
            if isinstance(failure, BaseException):
                child.signal(signal.SIGKILL)
        for child in self._up():
            self._bring_up_to_date(child)

    def _bring_up_to_date(self, child: Child) -> None:
        """What was starting meanwhile has another configuration."""
        if child.loaded is not self._loaded:
            child.loaded = self._loaded
            child.channel.tell("serve", self._loaded)

    def _up(self) -> list[Child]:
        return [child for child in self._children.values() if child.up]

    # Connections.

    def _accept_connections(self) -> None:
        self._accepting = True
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def _pause_accepting(self) -> None:
        """Nobody can take a connection now: it waits, and the kernel keeps the others."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listener)
        loop.call_later(_RETRY_S, self._accept_again)

    def _accept_again(self) -> None:
        if not self._accepting:
            return
        if self._hand_over_held():
            self._accept_connections()
        else:
            asyncio.get_running_loop().call_later(_RETRY_S, self._accept_again)

    def _accept(self) -> bool:
        """Accept what waits; false when nothing more does, or nobody can take it."""
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return False
            except ConnectionError:  # it left while it waited
                continue
            except OSError as problem:  # descriptors or memory are used up: give it time
                self._log.error("a connection cannot be accepted", reason=str(problem))
                self._pause_accepting()
                return False
            self._held = connection
            if not self._hand_over_held():
                self._pause_accepting()
                return False
        return True

    def _hand_over_held(self) -> bool:
        """Give the connection in hand to the next worker in turn; false when none can take it."""
        connection = self._held
        if connection is None:
            return True
        workers = self._up()
        for step in range(len(workers)):
            if workers[(self._turn + step) % len(workers)].hand_over(connection):
                self._turn += step + 1
                self._held = None
                connection.close()
                return True
        return False

    # Stopping.

    async def _stop(self, stopping: Stopping, keeping: Sequence["asyncio.Task[None]"]) -> None:
        server = self._loaded.settings.server
        self._log.info("stopping", lame_duck_s=server.lame_duck_s, drain_s=server.drain_s)
        self._draining = True
        self._tell("lame")
        await stopping.lame_duck(server.lame_duck_s)
        self._stop_accepting()
        self._tell("drain")
        loop = asyncio.get_running_loop()
        until_s = loop.time() + server.drain_s + _END_S
        hurried = False
        while not all(task.done() for task in keeping) and loop.time() < until_s:
            if stopping.at_once.is_set() and not hurried:
                hurried, until_s = True, loop.time() + _END_S
                self._tell("at_once")
            await asyncio.wait(keeping, timeout=_RETRY_S)
        for child in self._children.values():
            self._log.error("a worker did not end in time and is killed", worker=child.number, pid=child.pid)
            child.signal(signal.SIGKILL)

    def _stop_accepting(self) -> None:
        if self._accepting:
            asyncio.get_running_loop().remove_reader(self._listener)
            while self._accept():  # who has connected already is served
                pass
            self._accepting = False
        if self._held is not None:
            self._held.close()
        self._listener.close()

    def _tell(self, subject: str) -> None:
        for child in self._children.values():
            child.channel.tell(subject)

    async def _end_children(self) -> None:
        """After a failure: let the workers that are left end their answers."""
        self._draining = True
        self._stop_accepting()
        self._tell("drain")
        self._tell("at_once")
        waits = [asyncio.ensure_future(child.ended()) for child in self._children.values()]
        if waits:
            await asyncio.wait(waits, timeout=_END_S)
        for child in self._children.values():
            child.signal(signal.SIGKILL)


async def _figures(child: Child) -> list[Family]:
    """A worker's figures; its last known ones when it is too busy, so that no counter goes back."""
    with suppress(TimeoutError, ChannelLost):
        child.figures = await child.channel.ask("figures", limit_s=_FIGURES_S)
    return child.figures
