"""What administrators are shown of backends."""

from typing import Any, Final, Literal

from pydantic import ConfigDict

from proxy.settings.section import Section

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
