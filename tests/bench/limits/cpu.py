"""CPU of what limits cost a request: held before it, settled after it, 32 at once.

    python -m tests.bench.limits.cpu [--rounds 3] [--seconds 4]

First alone, in one process against a store of its own; then as the difference between gateways with limits and one
without, under the same load. The store has a row of its own.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final

import uvloop

from ratelimit.limits.bookings import Bookings
from ratelimit.limits.reservations import Reservations
from ratelimit.limits.settling import Settler
from ratelimit.limits.types import LIMITS, Account, Claim, Scope, Settlement, account
from ratelimit.store.address import parse_address
from ratelimit.store.errors import StoreFault
from ratelimit.store.store import Store
from tests.bench import machine
from tests.bench.load import Shape
from tests.bench.phases import Phase, Sample
from tests.bench.processes import on_core, status
from tests.bench.run import Bench
from tests.support.valkey import PrivateServer

AT_ONCE: Final = 32
_PATIENT_MS: Final = 5000
_NEVER: Final = 10**12
"""High enough for limits to be asked each time and never to be reached."""
ACCOUNTS: Final[dict[str, Account]] = {
    "one rate": account("bench", (Scope("customer", "bench", {"requests_per_minute": _NEVER}),)),
    "all limits of customer and key": account(
        "bench",
        (
            Scope("customer", "bench", dict.fromkeys(LIMITS, _NEVER / 10**4)),
            Scope("key", "k", dict.fromkeys(LIMITS, _NEVER / 10**4)),
        ),
    ),
}
PHASE: Final = Phase("plain", "plain answers, bodies of 1 kB", Shape.PLAIN, AT_ONCE, 0, 0, 4)


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds of CPU per request, of the process that asks and of the store."""

    own_us: float
    store_us: float
    per_s: float


class _Told:
    """A measurement in which anything is left unsettled is none."""

    def __init__(self, faults: list[str]) -> None:
        self._faults = faults

    def fault(self, what: str, fault: StoreFault) -> None:
        self._faults.append(f"{what}: {fault}")

    def unsettled(self, count: int) -> None:
        self._faults.append(f"not settled at the end: {count}")


async def alone(server: PrivateServer, of: Account, seconds: float) -> Cost:
    """Hold and settle again and again, 32 at once, until the time is up and everything is settled.

    Raises:
        RuntimeError: a request was refused or not settled, so that something else was measured.
    """
    store = Store(parse_address(server.url), timeout_ms=_PATIENT_MS)
    await store.open()
    reservations = Reservations(store)
    faults: list[str] = []
    settler = Settler(reservations, Bookings(store), booker="bench", clock=time.monotonic, told=_Told(faults))
    numbers = count()
    async with settler.running(settle_s=0):
        begun_s, cpu_s, store_cpu_s = time.monotonic(), time.process_time(), _cpu_s(server.pid)
        done = 0

        async def worker() -> None:
            nonlocal done
            while not faults and time.monotonic() - begun_s < seconds:
                name = f"req-{next(numbers):024x}"
                decision = await reservations.admit(of, Claim(name, 1, 1500, 900, 700), soft_ratio=0.8)
                if not decision.allowed:
                    faults.append(f"refused: {decision.refusal}")
                    return
                settler.opened(of, name)
                settler.settle(Settlement(of, name, 700, 400, admitted_us=decision.admitted_us))
                done += 1

        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
        if not await settler.emptied(60):
            faults.append(f"not settled: {settler.waiting}")
        spent_s, store_s = time.process_time() - cpu_s, _cpu_s(server.pid) - store_cpu_s
        elapsed_s = time.monotonic() - begun_s
    await store.close()
    if faults:
        raise RuntimeError(faults[0])
    return Cost(spent_s / done * 1e6, store_s / done * 1e6, done / elapsed_s)


def _cpu_s(pid: int) -> float:
    found = status(pid)
    assert found is not None
    return found.cpu_s


def _line(name: str, costs: Sequence[Cost]) -> str:
    own = [cost.own_us for cost in costs]
    stores = [cost.store_us for cost in costs]
    rate = max(cost.per_s for cost in costs)
    return f"{name:34}{min(own):8.0f}{median(own):8.0f}{min(stores):14.0f}{median(stores):8.0f}{rate:12,.0f}"


def measured_alone(rounds: int, seconds: float, core: int | None, store_core: int | None) -> list[str]:
    """A row per account: CPU of the process that asks, of the store, and requests a second."""
    rows = [
        f"{'admit and settle, us / request':34}{'best':>8}{'median':>8}{'store best':>14}{'median':>8}{'a second':>12}"
    ]
    with on_core(store_core):
        server = PrivateServer()
        server.start()
    try:
        for name, of in ACCOUNTS.items():
            costs = []
            for _ in range(rounds):
                with on_core(core), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    costs.append(runner.run(alone(server, of, seconds)))
            rows.append(_line(name, costs))
    finally:
        server.close()
    return rows


def measured_gateways(rounds: int, seconds: float, cores: machine.Cores) -> list[str]:
    """Rows per gateway, and what it takes beyond the one without limits, round by round."""
    kinds = ("unlimited", "headgate", "budgets")
    samples: dict[str, list[Sample]] = {kind: [] for kind in kinds}
    phase = replace(PHASE, duration_s=seconds)
    with tempfile.TemporaryDirectory(prefix="headgate-bench-") as folder, on_core(cores.harness):
        bench = Bench(cores, Path(folder))
        try:
            bench.wait()
            for _ in range(rounds):
                for kind in kinds:
                    with bench.target(kind, kind) as target:
                        samples[kind].append(bench.measure(phase, target))
        finally:
            bench.stop()
    wrong = sum(sample.outcome.wrong for found in samples.values() for sample in found)
    if wrong:
        raise RuntimeError(f"{wrong} answers were wrong")
    names = ("no limits", "requests per minute, customer and key", "six limits, customer and key")
    rows = [f"{'gateway, us / request':40}{'best':>8}{'median':>8}{'store median':>14}{'ratio to none':>16}"]
    none = [_own_us(sample) for sample in samples["unlimited"]]
    for kind, name in zip(kinds, names, strict=True):
        own = [_own_us(sample) for sample in samples[kind]]
        store = [sample.store_cpu_s * 1e6 / sample.outcome.right for sample in samples[kind]]
        ratio = median(one / other for one, other in zip(own, none, strict=True))
        rows.append(f"{name:40}{min(own):8.0f}{median(own):8.0f}{median(store):14.0f}{ratio:16.2f}")
    return rows


def _own_us(sample: Sample) -> float:
    return sample.cpu_s * 1e6 / sample.outcome.right


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is repeated")
    parser.add_argument("--seconds", type=float, default=4, help="how long each run takes")
    parser.add_argument("--alone", action="store_true", help="leave the gateways out")
    given = parser.parse_args(arguments)
    # So that what was started is stopped when the benchmark itself is.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    cores = machine.choose_cores()
    rows = measured_alone(given.rounds, given.seconds, cores.gateway, cores.harness)
    if not given.alone:
        rows += ["", *measured_gateways(given.rounds, given.seconds, cores)]
    sys.stdout.write("\n".join(rows) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
