"""A verdict told, the same by the admin API and on the command line."""

from typing import Any, Protocol


class Verdict(Protocol):
    """What classifiers say of a request, in their own type or in the policy's."""

    @property
    def complexity(self) -> str | None: ...
    @property
    def task_type(self) -> str | None: ...
    @property
    def domain(self) -> str | None: ...
    @property
    def confidence(self) -> float | None: ...
    @property
    def source(self) -> str: ...
    @property
    def rule(self) -> str | None: ...


def verdict_told(request_id: str, verdict: Verdict, tier: str) -> dict[str, Any]:
    """A row for the request of that id. `tier`: what the verdict means in the mode that was asked about."""
    return {
        "id": request_id,
        "complexity": verdict.complexity,
        "task_type": verdict.task_type,
        "domain": verdict.domain,
        "confidence": verdict.confidence,
        "source": verdict.source,
        "rule": verdict.rule,
        "tier": tier,
    }
