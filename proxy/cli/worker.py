"""A worker: a process that serves connections which its supervisor accepts. Started by it, never by hand.

Arguments: the descriptors of its end of the channel and of the socket that connections come over, and the
supervisor's process id.
"""

import asyncio
import ctypes
import os
import signal
import socket
import sys
from typing import Final

from proxy.cli.process import FAILED, importing, loop_factory

_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def _die_with(parent: int) -> None:
    """Let the kernel end this process with its supervisor, even when its loop hangs. Elsewhere the channel tells."""
    if sys.platform == "linux":
        if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != parent:  # it died before the signal was armed
            sys.exit(FAILED)


def main(control_fd: int, door_fd: int, parent: int) -> int:
    """Run a worker to its end."""
    _die_with(parent)
    control, door = socket.socket(fileno=control_fd), socket.socket(fileno=door_fd)
    door.setblocking(False)  # noqa: FBT003 - the standard library's signature
    with importing():
        from proxy.cli.channel import ChannelLost, first_told
        from proxy.cli.messages import Start
        from proxy.cli.working import Worker
        from proxy.telemetry import log as logs

        factory = loop_factory()
    try:
        start: Start = first_told(control)
    except ChannelLost:
        return FAILED
    settings = start.loaded.settings
    log = logs.configure(settings.log.level, settings.log.format, shared=True)
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(Worker(start, control, door, log).run())


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
