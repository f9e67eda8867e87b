"""Metrics as plain figures, which can be sent to another process and added up over several."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

CONTENT_TYPE: Final = "text/plain; version=1.0.0; charset=utf-8"
"""Of the exposition."""

Label = tuple[str, str]
Labels = tuple[str, ...]
SampleKey = tuple[str, tuple[Label, ...]]

_Join = Callable[[float, float], float]

GAUGES: Final[Mapping[str, _Join]] = {
    "headgate_requests_in_flight": operator.add,
    "headgate_tasks": operator.add,
    "headgate_store_up": min,
    "headgate_settlements_waiting": operator.add,
    "headgate_provider_limit_remaining": min,
    "headgate_provider_in_flight": operator.add,
    "headgate_provider_queued": operator.add,
    "headgate_backend_availability": min,
    "headgate_circuit_open": max,
    "headgate_provider_key_refused": max,
    "process_virtual_memory_bytes": operator.add,
    "process_resident_memory_bytes": operator.add,
    "process_start_time_seconds": min,
    "process_open_fds": operator.add,
    "process_max_fds": min,
}
"""What several processes' gauges come to. Counters and histograms are added up."""


class Family(NamedTuple):
    """One metric. `samples`: by name and labels, in the order of exposition."""

    name: str
    text: str
    kind: str
    samples: dict[SampleKey, float]


def gauge(name: str, text: str, value: float) -> Family:
    """One without labels."""
    return gauges(name, text, (), [((), value)])


def gauges(name: str, text: str, names: Labels, values: Iterable[tuple[Labels, float]]) -> Family:
    """One value for each set of labels; `names` are the labels' names."""
    samples = {(name, _labelled(names, labels)): float(value) for labels, value in values}
    return Family(name, text, "gauge", samples)


def counter(name: str, text: str, value: float) -> Family:
    """One without labels."""
    return counters(name, text, (), {(): value})


def counters(name: str, text: str, names: Labels, values: Mapping[Labels, float]) -> Family:
    """One count for each set of labels; `names` are the labels' names."""
    samples = {(f"{name}_total", _labelled(names, labels)): value for labels, value in values.items()}
    return Family(name, text, "counter", samples)


def histograms(
    name: str, text: str, names: Labels, values: Mapping[Labels, tuple[Sequence[tuple[str, int]], float]]
) -> Family:
    """For each set of labels: how many took at most each bound, the bounds rising to `+Inf`; and their sum."""
    samples: dict[SampleKey, float] = {}
    for labels, (buckets, total) in values.items():
        of = _labelled(names, labels)
        samples.update({(f"{name}_bucket", (*of, ("le", bound))): count for bound, count in buckets})
        samples[f"{name}_count", of] = buckets[-1][1]
        samples[f"{name}_sum", of] = total
    return Family(name, text, "histogram", samples)


def merged(parts: Sequence[Sequence[Family]]) -> list[Family]:
    """One set of figures of several processes'."""
    families: dict[str, Family] = {}
    for part in parts:
        for family in part:
            into = families.setdefault(family.name, family._replace(samples={}))
            for key, value in family.samples.items():
                known = into.samples.get(key)
                into.samples[key] = value if known is None else _joined(family, known, value)
    return list(families.values())


def counted(part: Iterable[Family]) -> list[Family]:
    """What stays true of a process that is gone: counters and histograms, no gauges."""
    return [family for family in part if family.kind in ("counter", "histogram")]


def _labelled(names: Labels, labels: Labels) -> tuple[Label, ...]:
    return tuple(zip(names, labels, strict=True))


def _joined(family: Family, one: float, other: float) -> float:
    join = GAUGES[family.name] if family.kind == "gauge" else operator.add
    return join(one, other)
