"""What administrators are shown of the past: records of requests, and what an erasure has removed."""

from typing import Any

from pydantic import ConfigDict

from proxy.admin.shown_routing import RouteCandidate, RouteVerdict
from proxy.settings.section import Section


class ErasedCustomer(Section):
    """`keys`: of the store, removed; `records`: of past requests, among them; `under_way`: requests not ended yet."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"id": "acme", "erased": True, "keys": 214, "records": 187, "under_way": 0}]
        }
    )

    id: str
    erased: bool
    keys: int
    records: int
    under_way: int


class Planned(Section):
    """A place of the plan."""

    backend: str
    model: str


class AttemptMade(Section):
    """What was sent. `ms`: how long it took."""

    backend: str
    kind: str
    outcome: str
    status: int
    ms: int
    cost_usd: float | None


class GenerationTold(Section):
    """A past request, and its choice made again.

    `replayed`: the inputs that were kept give the plan that was made, with the catalogue of now; `differences` say
    what is not the same. `candidates` are those of the plan that was made again; where it is the same, they are too.
    `health`: the figures that were used, by backend, `health_age_s` old then. `generation`: as its customer reads it.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "req-0123456789abcdef01234567",
                    "customer": "acme",
                    "key": "key-0123456789abcdef",
                    "asked": "balanced",
                    "outcome": "ok",
                    "status": 200,
                    "arrived_at": "2026-11-28T12:00:00.250Z",
                    "tier": "balanced",
                    "strategy": "cheapest",
                    "raised": False,
                    "lowered_from": None,
                    "because": "",
                    "verdict": {
                        "source": "rules",
                        "complexity": "moderate",
                        "task_type": "debugging",
                        "domain": "general",
                        "confidence": 0.9,
                        "rule": "traceback",
                    },
                    "candidates": [
                        {
                            "backend": "openai/gpt-5-mini",
                            "model": "gpt-5-mini",
                            "kept": True,
                            "score": 0.71,
                            "reasons": ["tier=balanced", "price=0.000810 USD, rank 1", "health=0.998/7d"],
                        }
                    ],
                    "planned": [{"backend": "openai/gpt-5-mini", "model": "gpt-5-mini"}],
                    "attempts": [
                        {
                            "backend": "openai/gpt-5-mini",
                            "kind": "answer",
                            "outcome": "ok",
                            "status": 200,
                            "ms": 812,
                            "cost_usd": 0.00081,
                        }
                    ],
                    "health": {"openai/gpt-5-mini": {"availability": 0.998, "attempts_7d": 809}},
                    "health_age_s": 0.4,
                    "replayed": True,
                    "differences": [],
                    "catalogue_changed": False,
                    "inputs": {"facts": {}, "wishes": {}, "verdict": {}, "snapshot": {}},
                    "generation": {"id": "req-0123456789abcdef01234567", "model": "gpt-5-mini"},
                }
            ]
        }
    )

    id: str
    customer: str
    key: str
    asked: str
    outcome: str
    status: int
    arrived_at: str
    tier: str | None
    strategy: str | None
    raised: bool
    lowered_from: str | None
    because: str
    verdict: RouteVerdict | None
    candidates: tuple[RouteCandidate, ...]
    planned: tuple[Planned, ...]
    attempts: tuple[AttemptMade, ...]
    health: dict[str, dict[str, Any]]
    health_age_s: float | None
    replayed: bool
    differences: tuple[str, ...]
    catalogue_changed: bool
    inputs: dict[str, Any] | None
    generation: dict[str, Any]
