"""aimock as an upstream by other hands: it answers prompts by its fixtures, and refuses those it does not know."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.clients.environments import CLIENTS, modules, node

_SAYS: Final = re.compile(r"listening on (http://\S+)")
STOP_S: Final = 10.0


@contextmanager
def aimock(fixtures: str) -> Iterator[str]:
    """Start it with `aimock/<fixtures>` on a free port; gives its base URL for a provider's configuration."""
    program = modules("aimock") / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
    options = ("--port", "0", "--fixtures", fixtures, "--strict", "--validate-on-load", "--log-level", "info")
    process = subprocess.Popen(
        [node(), program, *options],
        cwd=CLIENTS / "aimock",
        env={"PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield f"{_address(process)}/v1"
    finally:
        process.terminate()
        process.communicate(timeout=STOP_S)


def _address(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        if (found := _SAYS.search(line)) is not None:
            return found[1]
        said.append(line)
    raise AssertionError(f"aimock did not start: {''.join(said)}")
