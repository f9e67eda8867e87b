"""Prometheus metrics, all under `headgate_`. Names that clients choose are never labels.

A request adds to plain dictionaries; the exposition is made of them when somebody asks for it. The client library's own
counters lock, check and look up on each call, which a request would pay a dozen times.
"""

import asyncio
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from proxy.telemetry.figures import Family, Labels, counter, counters, gauge, gauges, histograms

_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_BY_BACKEND: Final = ("model", "provider")


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
        from proxy.telemetry.exposition import exposition

        return exposition(self.figures())

    def figures(self) -> list[Family]:
        """All metrics of this process, for whoever adds up those of several."""
        from proxy.telemetry.exposition import process_figures

        return [*self._counted(), *_shown(self._watched()), *self._timed(), *process_figures()]

    def _counted(self) -> Iterator[Family]:
        yield gauge("headgate_requests_in_flight", "Requests being served.", self._in_flight)
        yield gauge("headgate_tasks", "Tasks of the event loop.", _tasks())
        yield gauge(
            "headgate_store_up", "1 while the store answers, 0 while it does not.", int(self.store_up)
        )
        yield counters(
            "headgate_requests",
            "Requests by status and outcome.",
            (*_BY_BACKEND, "status", "outcome"),
            self._requests,
        )
        yield counters(
            "headgate_attempts",
            "Requests sent to backends, by outcome.",
            ("backend", "outcome"),
            self._attempts,
        )
        yield counters(
            "headgate_refused_credentials",
            "Alerts: a provider refused our credential.",
            ("backend", "key"),
            self._refused_credentials,
        )
        yield counters("headgate_tokens", "Tokens billed, by kind.", (*_BY_BACKEND, "kind"), self._tokens)
        yield counters(
            "headgate_cost_microusd", "What answers cost, in micro-dollars.", _BY_BACKEND, self._cost_microusd
        )
        yield counter(
            "headgate_unbilled_cost_microusd",
            "What administrators' own calls cost, in micro-dollars: of the cost above, on nobody's account.",
            self._unbilled_microusd,
        )
        for name, text, values in (
            ("headgate_limit_refusals", "Requests refused by a limit.", self._limit_refusals),
            ("headgate_soft_limit", "Requests answered near a quota or budget.", self._soft_limits),
        ):
            yield counters(name, text, ("scope", "limit"), values)
        yield counters(
            "headgate_unclassified",
            "Requests without a verdict for another reason than their own text.",
            ("reason",),
            self._unclassified,
        )

    def _timed(self) -> Iterator[Family]:
        yield histograms(
            "headgate_request_duration_seconds",
            "From arrival to the end of the answer.",
            _BY_BACKEND,
            {labels: times.so_far() for labels, times in self._duration.items()},
        )
        yield histograms(
            "headgate_time_to_first_content_seconds",
            "From arrival to the first content.",
            _BY_BACKEND,
            {labels: times.so_far() for labels, times in self._first_content.items()},
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

    def so_far(self) -> tuple[list[tuple[str, int]], float]:
        """How many took at most each bound, and the sum of all in seconds."""
        bounds = (*map(str, _SECONDS), "+Inf")
        return list(zip(bounds, accumulate(self.counts), strict=True)), self.sum_s


def _shown(watched: Watched) -> Iterator[Family]:
    """What others keep."""
    yield gauge(
        "headgate_settlements_waiting",
        "Requests whose use the store has not taken yet.",
        watched.unsettled,
    )
    yield counter("headgate_overruns", "Requests that used more than was held for them.", watched.overruns)
    yield counters(
        "headgate_dropped",
        "What was to be kept and was given up because the store did not take it in time.",
        ("kind",),
        {(kind,): count for kind, count in watched.dropped},
    )
    yield gauges(
        "headgate_provider_limit_remaining",
        "What is left of a provider's own rate limit, as it last said.",
        ("backend", "key", "kind"),
        [((backend, key, kind), remaining) for backend, key, kind, remaining in watched.left],
    )
    yield gauges(
        "headgate_provider_in_flight",
        "Requests under way at a provider with `max_in_flight`.",
        ("provider",),
        [((provider,), taken) for provider, taken, _ in watched.taken],
    )
    yield gauges(
        "headgate_provider_queued",
        "Requests that wait for a place at it.",
        ("provider",),
        [((provider,), waiting) for provider, _, waiting in watched.taken],
    )
    yield gauges(
        "headgate_backend_availability",
        "Share of answers among what a backend is responsible for, over 7 days.",
        ("backend",),
        [((name,), value) for name, value in watched.availability],
    )
    yield gauges(
        "headgate_circuit_open",
        "1 while a circuit stands before every key over which a backend is reached.",
        ("backend",),
        [((name,), value) for name, value in watched.circuits],
    )
    yield gauges(
        "headgate_provider_key_refused",
        "1 while a provider's key is passed over because the provider refused it.",
        ("key",),
        [((name,), value) for name, value in watched.refused_keys],
    )


def _tasks() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:  # nothing is served yet, or any more
        return 0
