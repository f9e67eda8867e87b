"""Run as a script: ties this process to its parent, then becomes the command given.

Arguments: the parent's process id, the command's absolute path, its arguments. A separate step between fork
and exec in a fresh interpreter, because code run by the forked copy of a threaded process may deadlock.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(parent: int, command: list[str]) -> None:
    """Never returns: replaces this process. Raises OSError when the command cannot be run."""
    if sys.platform == "linux":
        # SIGTERM rather than SIGKILL: the server then writes what it has answered but not yet appended.
        if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != parent:  # it died before the signal was armed
            raise SystemExit(1)
    # A bare environment: secrets given to the gateway do not belong in the server's, and an unknown locale
    # would keep the server from starting.
    os.execve(command[0], command, {"LC_ALL": "C"})  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
