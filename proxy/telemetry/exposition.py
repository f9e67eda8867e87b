"""Figures as Prometheus' own library writes them, and those of the process that it reads.

Imported when metrics are first asked for: loading the library is a part of a start that nothing serves better for.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from proxy.telemetry.figures import Family

_PROCESS: Final = ProcessCollector(registry=None)


def exposition(families: Iterable[Family]) -> bytes:
    """In Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Figures(families))
    return generate_latest(registry)


def process_figures() -> list[Family]:
    """CPU, memory and descriptors of this process, as they are at this moment."""
    return [
        Family(
            metric.name,
            metric.documentation,
            metric.type,
            {(each.name, tuple(each.labels.items())): each.value for each in metric.samples},
        )
        for metric in _PROCESS.collect()
    ]


class _Figures(Collector):
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            metric = Metric(family.name, family.text, family.kind)
            for (name, labels), value in family.samples.items():
                metric.add_sample(name, dict(labels), value)
            yield metric
