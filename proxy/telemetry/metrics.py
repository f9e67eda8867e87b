"""Prometheus metrics, all under `headgate_`. Names that clients choose are never labels.

A request adds to plain dictionaries; the exposition is made of them when somebody asks for it. The client library's own
counters lock, check and look up on each call, which a request would pay a dozen times.
"""

import asyncio
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from proxy.telemetry.figures import Family, exposition, figures_of

_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_BY_BACKEND: Final = ("model", "provider")

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

Labels = tuple[str, ...]


class Watched(NamedTuple):
    """What others keep and metrics show, as it is at this moment.

    Attributes:
        left: backend, id of the provider's key, `requests` or `tokens`, and what is left of its own limit.
        taken: provider, requests in flight and requests in the queue, where the operator has set a bound.
        availability: backend, and its share of answers in 7 days.
        circuits: backend, and whether a circuit stands before every key over which it is reached.
        refused_keys: id of a provider's key, and whether the provider has refused it.
        unsettled: requests whose use the store has not taken yet.
        overruns: how often a provider reported more than was held for a request.
        dropped: what was to be kept, and how many of it were given up because the store did not take them in time.
    """

    left: Sequence[tuple[str, str, str, int]] = ()
    taken: Sequence[tuple[str, int, int]] = ()
    availability: Sequence[tuple[str, float]] = ()
    circuits: Sequence[tuple[str, bool]] = ()
    refused_keys: Sequence[tuple[str, bool]] = ()
    unsettled: int = 0
    overruns: int = 0
    dropped: Sequence[tuple[str, int]] = ()


class Metrics:
    """The process's metrics. Used from the event loop's thread alone.

    Attributes:
        store_up: whether the store answers.
    """

    def __init__(self) -> None:
        self.store_up = False
        self._in_flight = 0
        self._watched: Callable[[], Watched] = Watched
        self._requests: defaultdict[Labels, int] = defaultdict(int)
        self._attempts: defaultdict[Labels, int] = defaultdict(int)
        self._refused_credentials: defaultdict[Labels, int] = defaultdict(int)
        self._tokens: defaultdict[Labels, int] = defaultdict(int)
        self._cost_microusd: defaultdict[Labels, int] = defaultdict(int)
        self._unbilled_microusd = 0
        self._unclassified: defaultdict[Labels, int] = defaultdict(int)
        self._duration: defaultdict[Labels, _Times] = defaultdict(_Times)
        self._first_content: defaultdict[Labels, _Times] = defaultdict(_Times)
        self._limit_refusals: defaultdict[Labels, int] = defaultdict(int)
        self._soft_limits: defaultdict[Labels, int] = defaultdict(int)
        self._collectors: tuple[Collector, ...] = (_Exposition(self), ProcessCollector(registry=None))

    def watch(self, watched: Callable[[], Watched]) -> None:
        """Ask `watched` for what is kept elsewhere, whenever the metrics are read."""
        self._watched = watched

    def begun(self) -> None:
        """A request has passed the door."""
        self._in_flight += 1

    def request(
        self,
        *,
        model: str,
        provider: str,
        status: int,
        outcome: str,
        seconds: float,
        first_content_seconds: float | None,
    ) -> None:
        """A request is over."""
        self._in_flight -= 1
        self._requests[model, provider, str(status), outcome] += 1
        self._duration[model, provider].observe(seconds)
        if first_content_seconds is not None:
            self._first_content[model, provider].observe(first_content_seconds)

    def attempt(self, *, backend: str, outcome: str) -> None:
        """An attempt is over."""
        self._attempts[backend, outcome] += 1

    def refused_credential(self, *, backend: str, key: str) -> None:
        """A provider refuses a credential: a key by its id, or the backend's where no key is told apart."""
        self._refused_credentials[backend, key] += 1

    def tokens(
        self, *, model: str, provider: str, input_tokens: int, output_tokens: int, cost_microusd: int
    ) -> None:
        """What a request was billed."""
        self._tokens[model, provider, "input"] += input_tokens
        self._tokens[model, provider, "output"] += output_tokens
        self._cost_microusd[model, provider] += cost_microusd

    def unbilled(self, microusd: int) -> None:
        """A call on nobody's account cost so much; it is among `tokens`, too."""
        self._unbilled_microusd += microusd

    def limit_refused(self, scope: str, limit: str) -> None:
        """A request was refused. `scope` is `customer`, `key` or `model`, `limit` the name of one of its limits."""
        self._limit_refusals[scope, limit] += 1

    def soft_limit(self, scope: str, limit: str) -> None:
        """A request passed that had used so much of a quota or budget that its client was told."""
        self._soft_limits[scope, limit] += 1

    def unclassified(self, reason: str) -> None:
        """A verdict was not reached."""
        self._unclassified[(reason,)] += 1

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return exposition(self.figures())

    def figures(self) -> list[Family]:
        """All metrics of this process, for whoever adds up those of several."""
        return figures_of(self._collectors)

    def families(self) -> Iterator[Metric]:
        """The metrics as they stand."""
        yield GaugeMetricFamily("headgate_requests_in_flight", "Requests being served.", self._in_flight)
        yield GaugeMetricFamily("headgate_tasks", "Tasks of the event loop.", _tasks())
        yield GaugeMetricFamily(
            "headgate_store_up", "1 while the store answers, 0 while it does not.", int(self.store_up)
        )
        yield _counter(
            "headgate_requests",
            "Requests by status and outcome.",
            (*_BY_BACKEND, "status", "outcome"),
            self._requests,
        )
        yield _counter(
            "headgate_attempts",
            "Requests sent to backends, by outcome.",
            ("backend", "outcome"),
            self._attempts,
        )
        yield _counter(
            "headgate_refused_credentials",
            "Alerts: a provider refused our credential.",
            ("backend", "key"),
            self._refused_credentials,
        )
        yield _counter("headgate_tokens", "Tokens billed, by kind.", (*_BY_BACKEND, "kind"), self._tokens)
        yield _counter(
            "headgate_cost_microusd", "What answers cost, in micro-dollars.", _BY_BACKEND, self._cost_microusd
        )
        yield CounterMetricFamily(
            "headgate_unbilled_cost_microusd",
            "What administrators' own calls cost, in micro-dollars: of the cost above, on nobody's account.",
            self._unbilled_microusd,
        )
        for name, text, values in (
            ("headgate_limit_refusals", "Requests refused by a limit.", self._limit_refusals),
            ("headgate_soft_limit", "Requests answered near a quota or budget.", self._soft_limits),
        ):
            yield _counter(name, text, ("scope", "limit"), values)
        yield _counter(
            "headgate_unclassified",
            "Requests without a verdict for another reason than their own text.",
            ("reason",),
            self._unclassified,
        )
        watched = self._watched()
        yield GaugeMetricFamily(
            "headgate_settlements_waiting",
            "Requests whose use the store has not taken yet.",
            watched.unsettled,
        )
        yield CounterMetricFamily(
            "headgate_overruns", "Requests that used more than was held for them.", watched.overruns
        )
        yield _counter(
            "headgate_dropped",
            "What was to be kept and was given up because the store did not take it in time.",
            ("kind",),
            {(kind,): count for kind, count in watched.dropped},
        )
        left = GaugeMetricFamily(
            "headgate_provider_limit_remaining",
            "What is left of a provider's own rate limit, as it last said.",
            labels=("backend", "key", "kind"),
        )
        for backend, key, kind, remaining in watched.left:
            left.add_metric((backend, key, kind), remaining)
        yield left
        in_flight = GaugeMetricFamily(
            "headgate_provider_in_flight",
            "Requests under way at a provider with `max_in_flight`.",
            labels=("provider",),
        )
        queued = GaugeMetricFamily(
            "headgate_provider_queued", "Requests that wait for a place at it.", labels=("provider",)
        )
        for provider, taken, waiting in watched.taken:
            in_flight.add_metric((provider,), taken)
            queued.add_metric((provider,), waiting)
        yield in_flight
        yield queued
        yield _gauge(
            "headgate_backend_availability",
            "Share of answers among what a backend is responsible for, over 7 days.",
            "backend",
            watched.availability,
        )
        yield _gauge(
            "headgate_circuit_open",
            "1 while a circuit stands before every key over which a backend is reached.",
            "backend",
            watched.circuits,
        )
        yield _gauge(
            "headgate_provider_key_refused",
            "1 while a provider's key is passed over because the provider refused it.",
            "key",
            watched.refused_keys,
        )
        yield _histogram(
            "headgate_request_duration_seconds", "From arrival to the end of the answer.", self._duration
        )
        yield _histogram(
            "headgate_time_to_first_content_seconds",
            "From arrival to the first content.",
            self._first_content,
        )


class _Times:
    """A histogram's counts: how many took at most each bound, not yet summed up."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(_SECONDS) + 1)
        self.sum_s = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(_SECONDS, seconds)] += 1
        self.sum_s += seconds


class _Exposition(Collector):
    """What the client library asks for the metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics.families()


def _tasks() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:  # nothing is served yet, or any more
        return 0


def _counter(name: str, text: str, names: Labels, values: dict[Labels, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=names)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _gauge(name: str, text: str, label: str, values: Sequence[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=(label,))
    for key, value in values:
        family.add_metric((key,), float(value))
    return family


def _histogram(name: str, text: str, values: dict[Labels, _Times]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=_BY_BACKEND)
    for labels, times in values.items():
        buckets: list[tuple[str, float]] = []
        total = 0
        for bound, count in zip((*map(str, _SECONDS), "+Inf"), times.counts, strict=True):
            total += count
            buckets.append((bound, total))
        family.add_metric(labels, buckets, times.sum_s)
    return family
