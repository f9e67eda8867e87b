"""The phases: what load each one is, and which figures it gives. Lower is better in all of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from tests.bench.load import Outcome, Shape


@dataclass(frozen=True, slots=True)
class Phase:
    """One kind of load. `fresh`: on a process of its own, since memory once taken is not given back.

    `direct`: the same load also goes straight to the upstream, before and after, to be subtracted. `translated`: the
    gateway's upstream speaks Anthropic's dialect, the reference's OpenAI's.
    """

    name: str
    about: str
    shape: Shape
    connections: int
    chunks: int
    interval_ms: float
    duration_s: float
    total: int = 0
    rate_per_s: float = 0
    ramp_s: float = 0
    fresh: bool = False
    direct: bool = False
    translated: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one phase against one target, and what the machine did meanwhile.

    cpu_s: of the process measured. store_cpu_s: of those below it, the embedded store. upstream_per_request: calls
    the upstream saw over requests sent; other than 1 is a cache, a refusal or a retry. foreign: share of a core that
    others took, on both cores together. harness: what the load needed.
    """

    target: str
    phase: str
    outcome: Outcome
    cpu_s: float
    store_cpu_s: float
    grown_bytes: int
    direct: tuple[Outcome, ...]
    upstream_per_request: float
    foreign: float
    harness: float
    spin_ms: float


PHASES: tuple[Phase, ...] = (
    Phase("plain", "64 clients, plain answers, bodies of 1 kB", Shape.PLAIN, 64, 0, 0, 4),
    Phase("short", "64 clients, streams of one chunk", Shape.STREAM, 64, 1, 0, 4),
    Phase("paced", "32 clients, 100 chunks, one every 20 ms", Shape.STREAM, 32, 100, 20, 6, ramp_s=1),
    Phase(
        "translated",
        "as paced, translated from Anthropic's dialect",
        Shape.STREAM,
        32,
        100,
        20,
        6,
        ramp_s=1,
        translated=True,
    ),
    Phase("burst", "64 clients, 200 chunks without a pause", Shape.STREAM, 64, 200, 0, 4),
    Phase(
        "low",
        "20 plain requests a second, beside direct ones",
        Shape.PLAIN,
        1,
        0,
        0,
        8,
        rate_per_s=20,
        direct=True,
    ),
    Phase(
        "open",
        "1,000 streams at once, 75 chunks, one every 200 ms",
        Shape.STREAM,
        1000,
        75,
        200,
        20,
        total=1000,
        ramp_s=3,
        fresh=True,
    ),
)


def shortened(phase: Phase) -> Phase:
    """The same phase for a quick look: half the time, or 200 open streams of 25 chunks, not 1,000 of 75."""
    if phase.total:
        return replace(
            phase,
            about=phase.about.replace("1,000", "200").replace("75", "25"),
            connections=200,
            total=200,
            chunks=25,
        )
    return replace(phase, duration_s=phase.duration_s / 2)


def _per(sample: Sample, units: int) -> float | None:
    return sample.cpu_s * 1e6 / units if units and sample.cpu_s else None


def _per_store(sample: Sample, units: int) -> float | None:
    return sample.store_cpu_s * 1e6 / units if units and sample.store_cpu_s else None


def _added(sample: Sample, name: str) -> float | None:
    """Against the quicker of the direct runs, the one less disturbed."""
    direct = [value for outcome in sample.direct if (value := getattr(outcome, name)) is not None]
    found: float | None = getattr(sample.outcome, name)
    return found - min(direct) if direct and found is not None else None


Figure = Callable[[Sample], float | None]
FIGURES: Mapping[str, Mapping[str, Figure]] = MappingProxyType(
    {
        "plain": {
            "CPU us / request": lambda s: _per(s, s.outcome.right),
            "store's CPU us / request": lambda s: _per_store(s, s.outcome.right),
        },
        "short": {"CPU us / stream": lambda s: _per(s, s.outcome.right)},
        "paced": {"CPU us / chunk": lambda s: _per(s, s.outcome.chunks)},
        "translated": {"CPU us / chunk": lambda s: _per(s, s.outcome.chunks)},
        "burst": {"CPU us / chunk": lambda s: _per(s, s.outcome.chunks)},
        "low": {
            "added p50 ms": lambda s: _added(s, "latency_p50_ms"),
            "added p99 ms": lambda s: _added(s, "latency_p99_ms"),
        },
        "open": {
            "memory kB / stream": lambda s: (
                s.grown_bytes / 1000 / s.outcome.right if s.outcome.right else None
            ),
            "first word p50 ms": lambda s: s.outcome.first_word_p50_ms,
            "first word p99 ms": lambda s: s.outcome.first_word_p99_ms,
            "CPU us / chunk": lambda s: _per(s, s.outcome.chunks),
        },
    }
)
