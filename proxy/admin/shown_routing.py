"""What administrators are shown of verdicts and choices."""

from typing import Any, Literal

from pydantic import ConfigDict

from proxy.settings.section import Section


class Classified(Section):
    """A verdict. `tier`: what it means in the mode; `rule`: which one spoke, where one did."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "1",
                    "complexity": "simple",
                    "task_type": "generation",
                    "domain": "code",
                    "confidence": 0.97,
                    "source": "rules",
                    "rule": "commit-message",
                    "tier": "frugal",
                }
            ]
        }
    )

    id: str
    complexity: Literal["simple", "moderate", "complex"]
    task_type: str
    domain: str | None
    confidence: float
    source: Literal["rules", "scorer", "micro", "default"]
    rule: str | None
    tier: str


class RouteVerdict(Section):
    """What the classifiers say; `named` where a model was."""

    source: Literal["rules", "scorer", "micro", "default", "named"]
    complexity: Literal["simple", "moderate", "complex"] | None
    task_type: str | None
    domain: str | None
    confidence: float | None
    rule: str | None


class RouteCandidate(Section):
    """A backend that was looked at. `score`: by the strategy `score`, whatever the tier's is; `null` when dropped."""

    backend: str
    model: str
    kept: bool
    score: float | None
    reasons: tuple[str, ...]


class RouteAttempt(Section):
    """A backend that would be tried."""

    backend: str
    model: str
    reasons: tuple[str, ...]


class RouteExplained(Section):
    """A choice. `attempts` in order; `inputs`: all it was made of, from which it can be made again."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "tier": "balanced",
                    "strategy": "cheapest",
                    "verdict": {
                        "source": "default",
                        "complexity": "moderate",
                        "task_type": "other",
                        "domain": None,
                        "confidence": 0.0,
                        "rule": None,
                    },
                    "raised": False,
                    "lowered_from": None,
                    "because": "",
                    "candidates": [
                        {
                            "backend": "openai/gpt-5-mini",
                            "model": "gpt-5-mini",
                            "kept": True,
                            "score": 0.71,
                            "reasons": ["tier=balanced", "price=0.000810 USD, rank 1", "health=0.998/7d"],
                        }
                    ],
                    "attempts": [
                        {
                            "backend": "openai/gpt-5-mini",
                            "model": "gpt-5-mini",
                            "reasons": ["tier=balanced", "price=0.000810 USD, rank 1", "health=0.998/7d"],
                        }
                    ],
                    "inputs": {"facts": {}, "wishes": {}, "verdict": {}, "snapshot": {}},
                }
            ]
        }
    )

    tier: str | None
    strategy: str
    verdict: RouteVerdict
    raised: bool
    lowered_from: str | None
    because: str
    candidates: tuple[RouteCandidate, ...]
    attempts: tuple[RouteAttempt, ...]
    inputs: dict[str, Any] | None


class BackendPrice(Section):
    """USD per million tokens, of an ordinary prompt; `per_request_usd` in USD."""

    input: float
    output: float
    cache_read: float | None
    per_request_usd: float


class ServedBackend(Section):
    """`null`: nobody said."""

    id: str
    provider: str
    region: str | None
    data_policy: str | None
    quantization: str | None
    price: BackendPrice | None


class ServedModel(Section):
    """A model, its backends in order of preference. `tiers`: that may choose it."""

    id: str
    tiers: tuple[str, ...]
    backends: tuple[ServedBackend, ...]
    context_tokens: int | None
    max_output_tokens: int | None
    can: tuple[str, ...] | None
    quality: dict[str, float]
    deprecated_on: str | None


class ModelList(Section):
    """All models that can be reached, in the catalogue's order: backends of disabled providers are not in it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "object": "list",
                    "data": [
                        {
                            "id": "gpt-5-mini",
                            "tiers": ["balanced"],
                            "backends": [
                                {
                                    "id": "openai/gpt-5-mini",
                                    "provider": "openai",
                                    "region": "us",
                                    "data_policy": "no-train",
                                    "quantization": None,
                                    "price": {
                                        "input": 0.25,
                                        "output": 2.0,
                                        "cache_read": 0.025,
                                        "per_request_usd": 0.0,
                                    },
                                }
                            ],
                            "context_tokens": 400_000,
                            "max_output_tokens": 128_000,
                            "can": ["json_schema", "tools"],
                            "quality": {"other": 73.0},
                            "deprecated_on": None,
                        }
                    ],
                }
            ]
        }
    )

    object: Literal["list"]
    data: tuple[ServedModel, ...]
