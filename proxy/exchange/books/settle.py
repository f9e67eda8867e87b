"""When a request is over: one log line, the metrics, and the record that is kept of it."""

from collections.abc import Callable, Sequence
from typing import Protocol

from proxy.exchange.books.record import Record, Try
from proxy.telemetry.metrics import Metrics


class Log(Protocol):
    """A structured logger."""

    def info(self, event: str, **fields: object) -> object: ...


def _nothing(_: Record) -> None:
    pass


class Settlement:
    """Tells metrics and log about each request, exactly once."""

    def __init__(self, metrics: Metrics, log: Log, *, keep: Callable[[Record], None] = _nothing) -> None:
        """`keep`: told each request that is over; neither waits nor fails."""
        self._metrics = metrics
        self._log = log
        self._keep = keep

    def begun(self) -> None:
        """A request has passed the door."""
        self._metrics.begun()

    def classified(self, tries: Sequence[Try]) -> None:
        """A micro-classifier was asked so often."""
        for each in tries:
            backend = each.attempt.backend
            self._metrics.attempt(backend=backend.id, outcome=each.outcome)
            if each.usage is not None:
                self._metrics.tokens(
                    model=each.attempt.model,
                    provider=backend.provider,
                    input_tokens=each.usage.input_tokens,
                    output_tokens=each.usage.output_tokens,
                    cost_microusd=each.cost_microusd or 0,
                )

    def unbilled(self, tries: Sequence[Try]) -> None:
        """An administrator had a micro-classifier asked so often, which no customer pays for."""
        self.classified(tries)
        self._metrics.unbilled(sum(each.cost_microusd or 0 for each in tries))

    def settled(self, record: Record) -> None:
        """A request is over."""
        metrics = self._metrics
        model, provider = ("", "")
        if (answering := record.answering) is not None:
            model, provider = answering.model, answering.backend.provider
        metrics.request(
            model=model,
            provider=provider,
            status=record.status,
            outcome=record.outcome,
            seconds=record.finished_s - record.arrived_s,
            first_content_seconds=record.first_content_s - record.arrived_s
            if record.first_content_s
            else None,
        )
        micro_microusd = 0
        for each in record.tries:
            if each.kind == "micro":
                self.classified((each,))
                micro_microusd += each.cost_microusd or 0
            else:
                metrics.attempt(backend=each.attempt.backend.id, outcome=each.outcome)
        if record.usage is not None:
            metrics.tokens(
                model=model,
                provider=provider,
                input_tokens=record.usage.input_tokens,
                output_tokens=record.usage.output_tokens,
                cost_microusd=(record.cost_microusd or 0) - micro_microusd,
            )
        self._log.info("request", **record.log_fields())
        self._keep(record)
