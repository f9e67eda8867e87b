"""A worker as its supervisor sees it: the process, the channel to it, and the socket that connections go over."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

from proxy.cli.channel import Channel
from proxy.cli.messages import Start
from proxy.settings.load import Loaded
from proxy.telemetry.figures import Family

_ONE: Final = b"c"


class Child:
    """One worker process.

    Attributes:
        number: its place among the workers.
        loaded: the configuration that it serves, or will when it is up.
        up: it takes connections.
        reasons: why it is not ready, as it last said.
        figures: its metrics, as it last said.
        process: `None` until it runs.
        problem: why it could not start, in an operator's words.
    """

    def __init__(self, number: int, loaded: Loaded, door: socket.socket) -> None:
        self.number = number
        self.loaded = loaded
        self._door = door
        self.process: asyncio.subprocess.Process | None = None
        self.channel: Channel
        self.up = False
        self.reasons: tuple[str, ...] = ()
        self.figures: list[Family] = []
        self.problem: str | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    async def ended(self) -> str:
        """Wait until it has ended and all that it said is heard.

        Returns:
            How: `code 1`, `SIGKILL`.
        """
        assert self.process is not None
        code = await self.process.wait()
        self.up = False
        await self.channel.lost.wait()
        self._door.close()
        return f"code {code}" if code >= 0 else signal.Signals(-code).name

    def hand_over(self, connection: socket.socket) -> bool:
        """Send it an accepted connection; false when it cannot take one now."""
        try:
            socket.send_fds(self._door, [_ONE], [connection.fileno()])
        except OSError:  # its queue is full, or it is ending
            return False
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)


async def start_child(
    start: Start,
    heard: Callable[[Child, str, Any], None],
    asked: Callable[[Child, str, Any], Awaitable[Any]],
) -> Child:
    """Start a worker. `heard` and `asked` get what it says; it is `up` when it says so."""
    control, its_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    door, its_door = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    door.setblocking(False)  # noqa: FBT003 - the standard library's signature
    child = Child(start.number, start.loaded, door)
    child.channel = Channel(
        lambda subject, content: heard(child, subject, content),
        lambda subject, content: asked(child, subject, content),
    )
    await child.channel.open(control)
    descriptors = (its_control.fileno(), its_door.fileno())
    try:
        child.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "proxy.cli.worker", *map(str, (*descriptors, os.getpid()))),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            pass_fds=descriptors,
            start_new_session=True,  # Ctrl-C is for the supervisor, which tells the workers
        )
    finally:
        its_control.close()
        its_door.close()
    child.channel.tell("start", start)
    return child
