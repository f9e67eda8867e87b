"""Metrics as plain figures, which can be sent to another process and added up over several."""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

Label = tuple[str, str]
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


def figures_of(collectors: Iterable[Collector]) -> list[Family]:
    """What they hold at this moment."""
    return [
        Family(
            metric.name,
            metric.documentation,
            metric.type,
            {(each.name, tuple(each.labels.items())): each.value for each in metric.samples},
        )
        for collector in collectors
        for metric in collector.collect()
    ]


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


def exposition(families: Iterable[Family]) -> bytes:
    """In Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Figures(families))
    return generate_latest(registry)


def _joined(family: Family, one: float, other: float) -> float:
    join = GAUGES[family.name] if family.kind == "gauge" else operator.add
    return join(one, other)


class _Figures(Collector):
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            metric = Metric(family.name, family.text, family.kind)
            for (name, labels), value in family.samples.items():
                metric.add_sample(name, dict(labels), value)
            yield metric
