"""Prometheus metrics, all under `headgate_`. Names that clients choose are never labels."""

from functools import lru_cache
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_LABEL_SETS: Final = 4096
"""Combinations kept at hand; catalogues are far smaller."""

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


class Metrics:
    """The process's metrics. Children are looked up once per combination of labels."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        by_backend = ("model", "provider")
        self.in_flight = Gauge("headgate_requests_in_flight", "Requests being served.", registry=registry)
        self.store_up = Gauge(
            "headgate_store_up", "1 while the store answers, 0 while it does not.", registry=registry
        )
        requests = Counter(
            "headgate_requests",
            "Requests by status and outcome.",
            (*by_backend, "status", "outcome"),
            registry=registry,
        )
        duration = Histogram(
            "headgate_request_duration_seconds",
            "From arrival to the end of the answer.",
            by_backend,
            buckets=_SECONDS,
            registry=registry,
        )
        first_content = Histogram(
            "headgate_time_to_first_content_seconds",
            "From arrival to the first content.",
            by_backend,
            buckets=_SECONDS,
            registry=registry,
        )
        attempts = Counter(
            "headgate_attempts",
            "Requests sent to backends, by outcome.",
            ("backend", "outcome"),
            registry=registry,
        )
        tokens = Counter(
            "headgate_tokens", "Tokens billed, by kind.", (*by_backend, "kind"), registry=registry
        )
        cost = Counter(
            "headgate_cost_microusd", "What answers cost, in micro-dollars.", by_backend, registry=registry
        )
        self._requests = lru_cache(_LABEL_SETS)(requests.labels)
        self._duration = lru_cache(_LABEL_SETS)(duration.labels)
        self._first_content = lru_cache(_LABEL_SETS)(first_content.labels)
        self._attempts = lru_cache(_LABEL_SETS)(attempts.labels)
        self._tokens = lru_cache(_LABEL_SETS)(tokens.labels)
        self._cost = lru_cache(_LABEL_SETS)(cost.labels)

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
        self._requests(model, provider, status, outcome).inc()
        self._duration(model, provider).observe(seconds)
        if first_content_seconds is not None:
            self._first_content(model, provider).observe(first_content_seconds)

    def attempt(self, *, backend: str, outcome: str) -> None:
        """An attempt is over."""
        self._attempts(backend, outcome).inc()

    def tokens(
        self, *, model: str, provider: str, input_tokens: int, output_tokens: int, cost_microusd: int
    ) -> None:
        """What a request was billed."""
        self._tokens(model, provider, "input").inc(input_tokens)
        self._tokens(model, provider, "output").inc(output_tokens)
        self._cost(model, provider).inc(cost_microusd)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
