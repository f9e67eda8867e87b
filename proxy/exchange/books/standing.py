"""How limits stand, as customers and administrators see it. Values only."""

from typing import Any, Final

from proxy.exchange.books.ledger_row import time_text
from proxy.exchange.books.record import usd
from ratelimit.limits.types import Look, Standing, Window, standings

_MICRO: Final = 1_000_000


def shown(look: Look) -> dict[str, Any]:
    """One scope's figures as members of an answer."""
    scope = look.scope
    key, _, model = scope.id.partition(":")
    return {
        "subject": scope.kind,
        "id": key if scope.kind == "model" else scope.id,
        "model": model if scope.kind == "model" else None,
        "in_flight": look.in_flight,
        "spent": {
            "day": _spent(look.day),
            "month": _spent(look.month),
            "total": _spent(look.total),
        },
        "limits": [
            {
                "limit": standing.limit,
                "maximum": figure(standing, standing.maximum),
                "used": figure(standing, standing.used),
                "held": figure(standing, standing.held),
                "remaining": figure(standing, standing.remaining),
                "resets_at": None
                if standing.reset_after_s is None
                else time_text(round(look.at_us / 1000 + standing.reset_after_s * 1000)),
            }
            for standing in standings(look)
        ],
    }


def figure(standing: Standing, value: float) -> float:
    """As people write it: dollars, not micro-dollars."""
    return value / _MICRO if standing.limit.startswith("usd_") else value


def _spent(window: Window) -> dict[str, Any]:
    return {"tokens": window.spent_tokens, "cost_usd": usd(window.spent_microusd)}
