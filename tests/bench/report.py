"""The report: figures of all rounds side by side, ratios round by round, and how far to trust them."""

from collections.abc import Sequence
from statistics import median

from tests.bench.phases import FIGURES, Phase, Sample

HOW_TO_READ = """\
How to read it
  CPU is user and system time of the process, divided by answers or chunks that were checked and right; the
  embedded store beside the gateway has a row of its own. It grows when others load the machine and never
  shrinks, so the best round says what the code costs.
  The ratio is taken within a round, where both met much the same disturbances: trust its median over single
  figures. How far two equal things can differ is shown by `--gateway reference`.
  `added` is against the same load sent straight to the upstream in the same round. Latencies, and all of the
  phase with open streams, mean something only where `foreign` is near 0.
  `foreign` is the share of a core that other processes and the host took, `harness` what the load itself
  needed: near 1 the load was the limit, which leaves CPU figures valid.
  `spin` is the CPU time of a fixed piece of work beside each run: the higher, the slower the core just then.
  `calls` is what the upstream saw per request sent and must be 1."""


def table(phases: Sequence[Phase], samples: Sequence[Sample], gateway: str, reference: str) -> str:
    """One row per figure: best and median of both targets, the ratio of each round, and the median ratio."""
    head = (
        "phase",
        "figure",
        f"{gateway} best",
        "median",
        f"{reference} best",
        "median",
        "ratio by round",
        "ratio",
    )
    rows: list[tuple[str, ...]] = [head]
    for phase in phases:
        for name, figure in FIGURES[phase.name].items():
            ours, theirs = (
                [figure(s) for s in samples if (s.phase, s.target) == (phase.name, target)]
                for target in (gateway, reference)
            )
            ratios = [_ratio(one, two) for one, two in zip(ours, theirs, strict=True)]
            shown = " ".join(_show(ratio) for ratio in ratios)
            rows.append((phase.name, name, *_cells(ours), *_cells(theirs), shown, _show(_middle(ratios))))
    return _aligned(rows)


def noise(samples: Sequence[Sample]) -> str:
    """One row per run: what was wrong with it, if anything, and how quiet the machine was."""
    rows: list[tuple[str, ...]] = [
        ("run", "right", "wrong", "calls", "foreign", "harness", "spin ms", "errors")
    ]
    for sample in samples:
        errors = ", ".join(f"{kind} x{count}" for kind, count in sample.outcome.errors.items())
        rows.append(
            (
                f"{sample.phase} {sample.target}",
                str(sample.outcome.right),
                str(sample.outcome.wrong),
                f"{sample.upstream_per_request:.3f}",
                f"{sample.foreign:.2f}",
                f"{sample.harness:.2f}",
                f"{sample.spin_ms:.1f}",
                f"{errors}  {sample.outcome.sample}".strip() or "-",
            )
        )
    return _aligned(rows)


def _cells(values: Sequence[float | None]) -> tuple[str, str]:
    known = [value for value in values if value is not None]
    return _show(min(known, default=None)), _show(_middle(values))


def _middle(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _ratio(one: float | None, two: float | None) -> float | None:
    """None where it would mean nothing: a difference of latencies may be zero or below."""
    return one / two if one is not None and two is not None and one > 0 and two > 0 else None


def _show(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
