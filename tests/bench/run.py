"""Measure the gateway beside a reference relay, in one run, on one machine.

    python -m tests.bench.run [--rounds 3] [--phases plain,short,paced,…] [--quick] [--json FILE]

A fake upstream and a load generator run on one core, the gateway or the reference on another, in turns.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import orjson

from tests.bench import machine, report, targets
from tests.bench.load import Job, Outcome, Shape
from tests.bench.machine import ROOT, Cores, CoreTime
from tests.bench.phases import PHASES, Phase, Sample, shortened
from tests.bench.processes import Ready, Tree, on_core, request, until_ready
from tests.bench.targets import UPSTREAM_KEY, UPSTREAM_MODEL, Target

REFERENCE = "reference"
_SAMPLE_EVERY_S = 0.5
_LATENCY_NICE = -10  # the phase that measures latency needs little CPU, but needs it at once
_WARM_UP = (
    Phase("warm-up", "", Shape.PLAIN, 32, 0, 0, 1.5),
    Phase("warm-up", "", Shape.STREAM, 8, 20, 0, 1),
)


class Bench:
    """The fake upstream, and everything that is measured in front of it."""

    def __init__(self, cores: Cores, folder: Path) -> None:
        self._cores = cores
        self._folder = folder
        self._started = 0
        port = targets.free_port()
        command = [sys.executable, "-m", "tests.bench.fake", "--key", UPSTREAM_KEY, "--port", str(port)]
        self._upstream = Tree(command, targets.environment({}), folder / "upstream.log", cores.harness, ROOT)
        self._port = port

    def wait(self) -> None:
        until_ready(self._upstream, Ready(self._port, "/health"))

    def stop(self) -> None:
        self._upstream.stop()

    @contextlib.contextmanager
    def target(self, kind: str, name: str) -> Iterator[Target]:
        """A target that is up and warm."""
        self._started += 1
        folder = self._folder / f"{self._started}-{name}"
        target = targets.start(kind, name, self._port, folder, self._cores.gateway)
        try:
            for phase in _WARM_UP:
                outcome = self._load(phase, target.port, target.key, target.model, target.tree)[0]
                if not outcome.right:
                    raise RuntimeError(
                        f"{name} gives no right answer: {outcome.sample}\n{target.tree.log_tail()}"
                    )
            yield target
        finally:
            target.tree.stop()

    def measure(self, phase: Phase, target: Target) -> Sample:
        """One run of `phase`."""
        spin_ms = machine.spin_ms(self._cores.gateway)
        direct: list[Outcome] = []
        with self._hurried(phase, target):
            if phase.direct:
                direct.append(self._direct(phase))
            before = self._counters(target)
            calls = self._calls()
            begin_s = time.monotonic()
            outcome, loader_s, grown_bytes = self._load(
                phase,
                target.port,
                target.key,
                target.foreign_model if phase.translated else target.model,
                target.tree,
            )
            seconds = time.monotonic() - begin_s
            calls = self._calls() - calls
            after = self._counters(target)
            if phase.direct:
                direct.append(self._direct(phase))
        cpu_s, store_s, upstream_s, stolen_s, busy_s = (
            end - start for start, end in zip(before, after, strict=True)
        )
        return Sample(
            target=target.name,
            phase=phase.name,
            outcome=outcome,
            cpu_s=cpu_s,
            store_cpu_s=store_s,
            grown_bytes=grown_bytes,
            direct=tuple(direct),
            upstream_per_request=calls / max(1, outcome.right + outcome.wrong),
            foreign=max(0.0, busy_s - cpu_s - store_s - upstream_s - loader_s + stolen_s) / seconds,
            harness=(upstream_s + loader_s) / seconds,
            spin_ms=(spin_ms + machine.spin_ms(self._cores.gateway)) / 2,
        )

    def _counters(self, target: Target) -> tuple[float, float, float, float, float]:
        """Seconds: CPU of the target, of what is below it, of the upstream; stolen and busy time of the cores."""
        times: list[CoreTime] = [
            machine.core_time(core) for core in {self._cores.gateway, self._cores.harness}
        ]
        return (
            target.tree.cpu_s(),
            target.tree.below_cpu_s(),
            self._upstream.cpu_s(),
            sum(t.stolen_s for t in times),
            sum(t.busy_s for t in times),
        )

    def _calls(self) -> int:
        stats = orjson.loads(request(self._port, "GET", "/stats")[1])
        return int(stats["plain"] + stats["streams"] + stats["rejected"])

    def _direct(self, phase: Phase) -> Outcome:
        return self._load(phase, self._port, UPSTREAM_KEY, UPSTREAM_MODEL, None)[0]

    @contextlib.contextmanager
    def _hurried(self, phase: Phase, target: Target) -> Iterator[None]:
        """A phase that measures latency at a low rate goes before other work, if that is allowed."""
        trees = [target.tree, self._upstream] if phase.direct else []
        raised = [tree for tree in trees if tree.renice(_LATENCY_NICE)]
        try:
            yield
        finally:
            for tree in raised:
                tree.renice(0)

    def _load(
        self, phase: Phase, port: int, key: str, model: str, tree: Tree | None
    ) -> tuple[Outcome, float, int]:
        """Run the load generator: what came of it, its CPU seconds, and by how many bytes `tree` grew."""
        knobs = {"chunks": phase.chunks, "interval_ms": phase.interval_ms}
        request(self._port, "POST", "/control", orjson.dumps(knobs))
        job = Job(
            port=port,
            key=key,
            model=model,
            shape=phase.shape,
            chunks=phase.chunks,
            connections=phase.connections,
            total=phase.total,
            rate_per_s=phase.rate_per_s,
            duration_s=phase.duration_s,
            ramp_s=phase.ramp_s,
        )
        idle_bytes = most_bytes = tree.pss_bytes() if tree is not None and phase.fresh else 0
        children = os.times()
        with on_core(self._cores.harness):
            command = [sys.executable, "-m", "tests.bench.loadgen", orjson.dumps(asdict(job)).decode()]
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        if phase.direct:
            with contextlib.suppress(PermissionError):
                os.setpriority(os.PRIO_PROCESS, process.pid, _LATENCY_NICE)
        try:
            while tree is not None and phase.fresh and process.poll() is None:
                most_bytes = max(most_bytes, tree.pss_bytes())
                time.sleep(_SAMPLE_EVERY_S)
            output, _ = process.communicate()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if process.returncode:
            raise RuntimeError(f"the load generator ended with {process.returncode}")
        now = os.times()
        used_s = now.children_user + now.children_system - children.children_user - children.children_system
        return Outcome(**orjson.loads(output)), used_s, most_bytes - idle_bytes


def rounds(bench: Bench, kind: str, phases: Sequence[Phase], count: int) -> list[Sample]:
    """All rounds; within one, both targets meet each phase one after the other, and who is first changes."""
    samples: list[Sample] = []
    pair = ((kind, name_of(kind)), (REFERENCE, REFERENCE))
    with contextlib.ExitStack() as stack:
        up = [stack.enter_context(bench.target(*one)) for one in pair]
        for number in range(count):
            for phase in phases:
                for index in (0, 1) if number % 2 == 0 else (1, 0):
                    sys.stderr.write(f"round {number + 1} of {count}: {phase.name}, {up[index].name}\n")
                    if phase.fresh:
                        with bench.target(*pair[index]) as fresh:
                            samples.append(bench.measure(phase, fresh))
                    else:
                        samples.append(bench.measure(phase, up[index]))
    return samples


def name_of(kind: str) -> str:
    return "second copy" if kind == REFERENCE else kind


def read_arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = [phase.name for phase in PHASES]
    parser.add_argument("--rounds", type=int, help="how often everything is repeated (3; 1 with --quick)")
    parser.add_argument(
        "--phases", default=",".join(known), help="which, separated by commas: " + ",".join(known)
    )
    parser.add_argument("--quick", action="store_true", help="half the time, fewer open streams")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    parser.add_argument(
        "--gateway",
        choices=sorted(targets.LAUNCHERS),
        default="headgate",
        help="what is measured; `reference` compares the reference with itself, which shows the noise",
    )
    read = parser.parse_args(given)
    unknown = sorted(set(read.phases.split(",")) - set(known))
    if unknown:
        parser.error(f"unknown phases: {', '.join(unknown)}")
    if read.rounds is None:
        read.rounds = 1 if read.quick else 3
    if read.rounds < 1:
        parser.error("--rounds must be at least 1")
    return read


def main(arguments: Sequence[str] | None = None) -> int:
    given = read_arguments(arguments)
    wanted = [phase for phase in PHASES if phase.name in given.phases.split(",")]
    phases = [shortened(phase) for phase in wanted] if given.quick else wanted
    cores = machine.choose_cores()
    about = machine.describe(cores)
    # So that what was started is stopped when the benchmark itself is.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="headgate-bench-") as folder, on_core(cores.harness):
        bench = Bench(cores, Path(folder))
        try:
            bench.wait()
            samples = rounds(bench, given.gateway, phases, given.rounds)
        finally:
            bench.stop()
    wrong = sum(sample.outcome.wrong for sample in samples)
    lines = [
        *(f"{name:10}{value}" for name, value in about.items()),
        "",
        *(f"{phase.name:10}{phase.about}" for phase in phases),
        "",
        report.table(phases, samples, name_of(given.gateway), REFERENCE),
        "",
        report.noise(samples),
        "",
        report.HOW_TO_READ,
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    if given.json:
        given.json.write_bytes(
            orjson.dumps(
                {"machine": about, "samples": [asdict(s) for s in samples]}, option=orjson.OPT_INDENT_2
            )
        )
    if wrong:
        sys.stderr.write(f"{wrong} answers were wrong: see `errors`\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
