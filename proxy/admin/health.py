"""What all gateways have met with each backend, as this one knows it."""

from math import isfinite
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response

from proxy.admin.answers import answer
from proxy.exchange.attempts.conditions import Board, KeyState
from proxy.routing.catalogue.types import Backend
from ratelimit.health.types import BackendHealth, HealthSnapshot, Speed


class Known(Protocol):
    """Gives out what is known at this moment."""

    def snapshot(self) -> HealthSnapshot: ...


class HealthDesk:
    """Its endpoint."""

    def __init__(self, health: Known, board: Board) -> None:
        self._health = health
        self._board = board

    async def show(self, request: Request) -> Response:
        """Every backend of the catalogue, in its order. Nothing is read from the store for it."""
        known = self._health.snapshot()
        return answer(
            request,
            {
                "object": "health",
                "age_s": round(known.age_s, 3) if isfinite(known.age_s) else None,
                "backends": [
                    self._backend(backend, known.backend(backend.id)) for backend in self._board.backends
                ],
            },
        )

    def _backend(self, backend: Backend, known: BackendHealth) -> dict[str, Any]:
        state = self._board.conditions.of(backend.id)
        return {
            "backend": backend.id,
            "provider": backend.provider,
            "availability": round(known.availability_7d, 6),
            "attempts_7d": known.attempts_7d,
            "outcomes_7d": dict(known.outcomes_7d),
            "recent_attempts": known.recent_attempts,
            "recent_error_share": known.recent_error_share,
            "recent_saturated_share": known.recent_saturated_share,
            "speed_7d": _speed(known.speed_7d),
            "speed_recent": _speed(known.speed_recent),
            "circuit": state.circuit,
            "circuit_reason": state.circuit_reason,
            "open_for_s": round(state.open_for_s, 3),
            "in_flight": self._board.in_flight[backend.provider],
            "max_in_flight": state.max_in_flight,
            "keys": [_key(key) for key in self._board.keys(backend)],
        }


def _key(key: KeyState) -> dict[str, Any]:
    return {
        "id": key.id,
        "circuit": key.circuit.state,
        "circuit_reason": key.circuit.reason,
        "open_for_s": round(key.circuit.open_for_s, 3),
        "refused": key.refused,
        "left_requests": key.left_requests,
        "left_tokens": key.left_tokens,
    }


def _speed(speed: Speed) -> dict[str, Any]:
    return {
        "samples": speed.samples,
        "first_content_p50_ms": _rounded(speed.first_content_p50_ms),
        "first_content_p95_ms": _rounded(speed.first_content_p95_ms),
        "tokens_s_p50": _rounded(speed.tokens_s_p50),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
