"""What administrators are shown, as types: the answers' side of the API's description."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from proxy.settings.section import Section
from proxy.settings.subjects import Limits
from proxy.settings.words import Moment

_CUSTOMER: Final[dict[str, Any]] = {
    "id": "acme",
    "name": "Acme Industries",
    "limits": {"usd_per_month": 100.0, "in_flight": 16},
    "models": ["balanced", "frugal"],
    "regions": ["eu"],
    "priority": "high",
    "on_soft_limit": "lower",
    "metadata": {"team": "blue"},
    "tags": ["division:web"],
    "disabled": False,
    "managed": "api",
    "created_at": "2026-11-28T12:00:00Z",
}
_KEY: Final[dict[str, Any]] = {
    "id": "key-0123456789abcdef",
    "customer": "acme",
    "name": "web",
    "limits": {"requests_per_minute": 600},
    "models": {"gpt-5": {"usd_per_day": 5.0}, "balanced": {}},
    "expires_at": None,
    "tags": ["env:prod"],
    "disabled": False,
    "previous_until": None,
    "managed": "api",
    "created_at": "2026-11-28T12:00:00Z",
}


_WARNED: Final[dict[str, Any]] = {
    "subject": "customer",
    "id": "acme",
    "limit": "usd_per_day",
    "used": 7.5,
    "maximum": 5.0,
    "message": "the customer has used 7.5 of usd_per_day, more than 5: requests are refused until it begins anew",
}


class CustomerRecord(Section):
    """A customer. `managed` is `file` for what the configuration file manages: read-only here."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CUSTOMER]})

    id: str
    name: str
    limits: Limits
    models: tuple[str, ...] | None
    regions: tuple[str, ...] | None
    priority: Literal["low", "normal", "high"]
    on_soft_limit: Literal["keep", "lower"]
    metadata: dict[str, Any]
    tags: tuple[str, ...]
    disabled: bool
    managed: Literal["api", "file"]
    created_at: Moment


class KeyRecord(Section):
    """A key, without its text. `previous_until`: the end of the text that the last rotation replaced."""

    model_config = ConfigDict(json_schema_extra={"examples": [_KEY]})

    id: str
    customer: str
    name: str
    limits: Limits
    models: tuple[str, ...] | dict[str, Limits] | None
    expires_at: Moment | None
    tags: tuple[str, ...]
    disabled: bool
    previous_until: Moment | None
    managed: Literal["api", "file"]
    created_at: Moment


class Warned(Section):
    """A limit that was lowered below what is used, held amounts included. Dollars are dollars."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WARNED]})

    subject: Literal["customer", "key", "model"]
    id: str
    limit: str
    used: float
    maximum: float
    message: str


class ChangedCustomer(CustomerRecord):
    """A customer after a change; `warnings` only where there are some."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_CUSTOMER, "warnings": [_WARNED]}]})

    warnings: tuple[Warned, ...] = ()


class ChangedKey(KeyRecord):
    """A key after a change; `warnings` only where there are some."""

    model_config = ConfigDict(json_schema_extra={"examples": [_KEY]})

    warnings: tuple[Warned, ...] = ()


class KeyWithText(KeyRecord):
    """A key and its text, which is in no other answer."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_KEY, "key": "sk-hg-…"}]})

    key: str


class CustomerList(Section):
    """Some customers in order of id. `next` is `after` for those that follow, `null` at the end."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"object": "list", "data": [_CUSTOMER], "next": None}]}
    )

    object: Literal["list"]
    data: tuple[CustomerRecord, ...]
    next: str | None


class KeyList(Section):
    """Some keys in order of id. `next` is `after` for those that follow, `null` at the end."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"object": "list", "data": [_KEY], "next": None}]}
    )

    object: Literal["list"]
    data: tuple[KeyRecord, ...]
    next: str | None


_WRONG: Final[dict[str, Any]] = {"path": "models[0].price.input", "message": "must be >= 0"}


class OpenApiDocument(BaseModel):
    """The description itself."""

    model_config = ConfigDict(extra="allow")

    openapi: str


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


class StoreAccepted(Section):
    """`accepted` is false when the store was in use already."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"accepted": True}]})

    accepted: bool


_SPEED: Final[dict[str, Any]] = {
    "samples": 812,
    "first_content_p50_ms": 383.1,
    "first_content_p95_ms": 1211.5,
    "tokens_s_p50": 121.2,
}


class Speed(Section):
    """Of the attempts that had content, within 9.6 %. `null`: nothing was seen."""

    samples: int
    first_content_p50_ms: float | None
    first_content_p95_ms: float | None
    tokens_s_p50: float | None


class KeyHealth(Section):
    """One key of the backend's provider. `refused`: the provider refuses it, whatever the backend."""

    id: str
    circuit: Literal["closed", "due", "half_open", "open"]
    circuit_reason: Literal["errors", "retry_after", "auth", "not_found"] | None
    open_for_s: float
    refused: bool
    left_requests: int | None
    left_tokens: int | None


class BackendRecord(Section):
    """A backend. `circuit` is that of the key over which it is reached best; `in_flight` is its provider's, here."""

    backend: str
    provider: str
    availability: float
    attempts_7d: int
    outcomes_7d: dict[str, int]
    recent_attempts: int
    recent_error_share: float | None
    recent_saturated_share: float | None
    speed_7d: Speed
    speed_recent: Speed
    circuit: Literal["closed", "due", "half_open", "open"]
    circuit_reason: Literal["errors", "retry_after", "auth", "not_found"] | None
    open_for_s: float
    in_flight: int
    max_in_flight: int | None
    keys: tuple[KeyHealth, ...]


class HealthReport(Section):
    """`age_s`: how old the shared figures are; `null` before the first were read."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "object": "health",
                    "age_s": 0.412,
                    "backends": [
                        {
                            "backend": "openai/gpt-5-mini",
                            "provider": "openai",
                            "availability": 0.998836,
                            "attempts_7d": 809,
                            "outcomes_7d": {"ok": 809, "rate_limited": 3, "client_gone": 5},
                            "recent_attempts": 14,
                            "recent_error_share": 0.0,
                            "recent_saturated_share": 0.0,
                            "speed_7d": _SPEED,
                            "speed_recent": {**_SPEED, "samples": 61},
                            "circuit": "closed",
                            "circuit_reason": None,
                            "open_for_s": 0.0,
                            "in_flight": 2,
                            "max_in_flight": None,
                            "keys": [
                                {
                                    "id": "openai/0",
                                    "circuit": "closed",
                                    "circuit_reason": None,
                                    "open_for_s": 0.0,
                                    "refused": False,
                                    "left_requests": 9990,
                                    "left_tokens": 199956,
                                }
                            ],
                        }
                    ],
                }
            ]
        }
    )

    object: Literal["health"]
    age_s: float | None
    backends: tuple[BackendRecord, ...]


class ConfigurationProblem(Section):
    """`path`: where in the configuration."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WRONG]})

    path: str
    message: str


class ReloadAnswer(Section):
    """`changed`: paths of what is served otherwise now; `needs_restart`: of what stays as it is until one."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "changed": ["providers.openai (secret)", "models.gpt-5-mini.price.input"],
                    "needs_restart": ["server.port"],
                    "warnings": [],
                }
            ]
        }
    )

    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]
    warnings: tuple[ConfigurationProblem, ...]


class ErrorFacts(Section):
    """`param`: the path of the member or the parameter at fault; `problems`: of a configuration."""

    message: str
    type: str
    param: str | None
    code: str
    source: Literal["gateway"]
    request_id: str
    problems: tuple[ConfigurationProblem, ...] = ()


class ErrorBlock(Section):
    attempts: tuple[Any, ...] = Field(max_length=0)


class ErrorAnswer(Section):
    """Why it was not done; `message` names every problem."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "error": {
                        "message": 'limits.usd_per_dy: unknown member; did you mean "usd_per_day"?',
                        "type": "invalid_request_error",
                        "param": "limits.usd_per_dy",
                        "code": "invalid_request",
                        "source": "gateway",
                        "request_id": "req-0123456789abcdef01234567",
                    },
                    "headgate": {"attempts": []},
                }
            ]
        }
    )

    error: ErrorFacts
    headgate: ErrorBlock


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
