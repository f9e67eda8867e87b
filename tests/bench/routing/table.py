"""Figures of several seeds: a table for people, values for machines."""

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Final, NamedTuple

from tests.bench.routing.engine import Tally
from tests.bench.routing.world import SITES

_PICOUSD: Final = 1e12


class Figures(NamedTuple):
    """One router's week.

    Attributes:
        failed_per_100k: requests without a whole answer; `broken` after the first content, `late` since no try may
            begin a minute after arrival, the others after three tries.
        first_failed_percent: requests whose first attempt failed.
        usd_per_1000: of requests that were answered; broken answers are paid, too.
        first_content_p50_ms, first_content_p95_ms: from arrival, failed attempts included.
        share_percent: of the answers, by backend.
    """

    answered_percent: float
    failed_per_100k: float
    broken_per_100k: float
    late_per_100k: float
    first_failed_percent: float
    attempts_per_request: float
    usd_per_1000: float
    first_content_p50_ms: float
    first_content_p95_ms: float
    share_percent: Mapping[str, float]


def figures(tally: Tally) -> Figures:
    """Of what came of all requests."""
    requests = tally.requests
    times_ms = sorted(tally.first_content_ms)
    return Figures(
        100 * tally.answered / requests,
        1e5 * (requests - tally.answered) / requests,
        1e5 * tally.broken / requests,
        1e5 * tally.late / requests,
        100 * tally.first_failed / requests,
        tally.attempts / requests,
        tally.cost_picousd / _PICOUSD / tally.answered * 1000,
        rank(times_ms, 50),
        rank(times_ms, 95),
        {site.id: 100 * tally.by_site[number] / tally.answered for number, site in enumerate(SITES)},
    )


def rank(ordered: Sequence[float], percent: int) -> float:
    """The smallest value that so many percent do not exceed."""
    return ordered[-(-len(ordered) * percent // 100) - 1]


def table(weeks: Mapping[str, Sequence[Figures]]) -> str:
    """In Markdown: by router the mean over the seeds, and after ± the deviation between them."""
    lines = [
        "| who chooses | answered, % | failed of 100,000 | first failed, % | USD per 1,000 | p50, ms | p95, ms |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in weeks.items():
        cells = (
            said([each.answered_percent for each in found], 3),
            said([each.failed_per_100k for each in found], 0),
            said([each.first_failed_percent for each in found], 2),
            said([each.usd_per_1000 for each in found], 3),
            said([each.first_content_p50_ms for each in found], 0),
            said([each.first_content_p95_ms for each in found], 0),
        )
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def shares(weeks: Mapping[str, Sequence[Figures]]) -> str:
    """In Markdown: by router the share of the answers that each backend gave, percent, mean over the seeds."""
    ids = [site.id for site in SITES]
    lines = ["| answers from, % | " + " | ".join(ids) + " |", "|---" * (len(ids) + 1) + "|"]
    for name, found in weeks.items():
        cells = [f"{mean(each.share_percent[site] for each in found):.0f}" for site in ids]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def said(values: Sequence[float], digits: int) -> str:
    """Mean and deviation."""
    text = f"{mean(values):,.{digits}f}"
    return text if len(values) < 2 else f"{text} ± {stdev(values):,.{digits}f}"


def better(weeks: Mapping[str, Sequence[Figures]], name: str) -> str:
    """In Markdown: in how many of the seeds `name` answers more, is not dearer and begins sooner than each other."""
    lines = [
        f"| {name} against | answers more | costs no more | p95 no later |",
        "|---|---|---|---|",
    ]
    ours = weeks[name]
    for other, theirs in weeks.items():
        if other == name:
            continue
        pairs = list(zip(ours, theirs, strict=True))
        counts = (
            sum(one.answered_percent > two.answered_percent for one, two in pairs),
            sum(one.usd_per_1000 <= two.usd_per_1000 for one, two in pairs),
            sum(one.first_content_p95_ms <= two.first_content_p95_ms for one, two in pairs),
        )
        lines.append(f"| {other} | " + " | ".join(f"{count} of {len(pairs)}" for count in counts) + " |")
    return "\n".join(lines)
