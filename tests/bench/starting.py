"""What a start costs: CPU seconds from exec to ready, by phase, with bytecode and without; and short commands.

    python -m tests.bench.starting [--rounds 7] [--config headgate.yaml]

CPU and not the clock, because a start on a busy machine waits. Each phase is a process of its own that goes one step
further than the one before; rounds are interleaved and the least of each counts, as whatever else runs only adds.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from tests.bench.machine import ROOT, spin_ms
from tests.bench.processes import Ready, request, status

_PATIENCE_S: Final = 60.0
_ADDRESS: Final = re.compile(r"listening on http://[^:]+:(\d+)/v1")

_PARTS: Final = """
import sys
from pathlib import Path
import proxy.cli.main
from proxy.cli.process import importing
with importing():
    import proxy.cli.serve
""".strip()
_READ: Final = """
from proxy.cli.configuration import read_or_exit
read_or_exit(Path(sys.argv[1]) if sys.argv[1:] else None, {})
""".strip()
_SERVER: Final = """
with importing():
    import proxy.cli.single
    proxy.cli.process.loop_factory()
""".strip()

PHASES: Final[Mapping[str, str]] = {
    "interpreter": "pass",
    "command line": "import proxy.cli.main",
    "imports to read the configuration": _PARTS,
    "configuration read and checked": f"{_PARTS}\n{_READ}",
    "imports to serve": f"{_PARTS}\n{_READ}\n{_SERVER}",
}
"""What the process of each phase runs; the last phase, to readiness, is `headgate serve` itself."""

SERVING: Final = "store, sandbox and server, until ready"
COLD: Final = "the whole without bytecode"
COMMANDS: Final = ("version", "probe")


class Cost(NamedTuple):
    """Of one process, its children included where they have ended. `wall_s`: by the clock."""

    cpu_s: float
    wall_s: float


def environment(bytecode: Path | None, directory: Path) -> dict[str, str]:
    """Bytecode is kept in its directory, or, with none, not at all: neither read nor written."""
    kept = (
        {"PYTHONPYCACHEPREFIX": str(bytecode)}
        if bytecode is not None
        else {"PYTHONPYCACHEPREFIX": str(directory / "none"), "PYTHONDONTWRITEBYTECODE": "1"}
    )
    return {"PATH": os.environ["PATH"], "HOME": str(directory), "PYTHONPATH": str(ROOT), **kept}


def ended(
    arguments: Sequence[str], environ: Mapping[str, str], directory: Path, codes: Sequence[int]
) -> Cost:
    """Run an interpreter to its end.

    Raises:
        RuntimeError: it ended with another code than these.
    """
    began_s = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env=dict(environ),
        cwd=directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    said = process.stderr.read()  # to its end: small, and the process is not waited for here
    process.stderr.close()
    _, code, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode not in codes:
        raise RuntimeError(f"{arguments} ended with {process.returncode}: {said.decode(errors='replace')}")
    return Cost(used.ru_utime + used.ru_stime, time.monotonic() - began_s)


def served(arguments: Sequence[str], environ: Mapping[str, str], directory: Path) -> tuple[Cost, Cost | None]:
    """A gateway from exec to ready, and a `headgate probe` of it; the probe only where bytecode is kept.

    Raises:
        RuntimeError: it did not become ready.
    """
    began_s = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy.cli.main", "serve", "--port", "0", *arguments],
        env=dict(environ),
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        found = next(filter(None, map(_ADDRESS.search, process.stdout)), None)
        if found is None:
            raise RuntimeError(f"the gateway ended with {process.wait()}; `headgate check` says why")
        port = int(found[1])
        ready = Ready(port, "/readyz")
        while not ready.ready():
            if time.monotonic() - began_s > _PATIENCE_S:
                raise RuntimeError(f"not ready: {request(port, 'GET', '/readyz')!r}")
            time.sleep(0.01)
        wall_s = time.monotonic() - began_s
        now = status(process.pid)
        assert now is not None
        probe = None
        if "PYTHONDONTWRITEBYTECODE" not in environ:
            asked = ["-m", "proxy.cli.main", "probe", "--url", f"http://127.0.0.1:{port}"]
            probe = ended(asked, environ, directory, (0,))
        return Cost(now.cpu_s, wall_s), probe
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def measure(rounds: int, config: Path | None) -> dict[str, list[Cost]]:
    """`rounds` costs of each phase from the start of the process on, of the whole without bytecode, and of commands."""
    costs: dict[str, list[Cost]] = {}
    chosen = [] if config is None else [str(config.absolute())]
    flags = ["--config", *chosen] if chosen else []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        warm, cold = environment(directory / "bytecode", directory), environment(None, directory)
        served(flags, warm, directory)  # writes the bytecode, makes keys and store
        for _ in range(rounds):
            for phase, program in PHASES.items():
                costs.setdefault(phase, []).append(ended(["-c", program, *chosen], warm, directory, (0,)))
            whole, probe = served(flags, warm, directory)
            assert probe is not None
            costs.setdefault(SERVING, []).append(whole)
            costs.setdefault(COLD, []).append(served(flags, cold, directory)[0])
            costs.setdefault("probe", []).append(probe)
            version = ended(["-m", "proxy.cli.main", "version"], warm, directory, (0,))
            costs.setdefault("version", []).append(version)
    return costs


def report(costs: Mapping[str, Sequence[Cost]]) -> list[str]:
    """A line per phase: what it adds and what it comes to; then the others."""
    lines = [f"{'CPU s':<40}{'adds':>8}{'least':>8}{'median':>8}{'wall s':>8}"]
    before_s = 0.0
    for name in (*PHASES, SERVING):
        least_s = min(cost.cpu_s for cost in costs[name])
        lines.append(_line(name, costs[name], f"{least_s - before_s:8.3f}"))
        before_s = least_s
    lines += [_line(COLD, costs[COLD]), *(_line(f"headgate {name}", costs[name]) for name in COMMANDS)]
    return lines


def _line(name: str, costs: Sequence[Cost], adds: str = f"{'':8}") -> str:
    cpu_s = [cost.cpu_s for cost in costs]
    wall_s = median(cost.wall_s for cost in costs)
    return f"{name:<40}{adds}{min(cpu_s):8.3f}{median(cpu_s):8.3f}{wall_s:8.2f}"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--config", type=Path, help="else the defaults, with sandbox and embedded store")
    chosen = parser.parse_args()
    spins_ms = [spin_ms(None)]
    lines = report(measure(chosen.rounds, chosen.config))
    spins_ms.append(spin_ms(None))
    lines.append(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; 300,000 turns of a loop took "
        f"{' and '.join(f'{each:.0f}' for each in spins_ms)} ms of CPU before and after"
    )
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
