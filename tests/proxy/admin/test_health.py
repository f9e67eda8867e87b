"""`GET /admin/v1/health`: what is known of every backend, and of each key of its provider."""

from proxy.admin.shown_health import HealthReport
from tests.proxy.admin.serving import Caller, Gateway


async def test_unknown(call: Caller) -> None:
    """Neutral figures, and that nothing has been read yet."""
    shown = (await call("GET", "/admin/v1/health")).json
    HealthReport.model_validate(shown)
    assert ("health", None) == (shown["object"], shown["age_s"])
    (backend,) = shown["backends"]
    assert ("openai/gpt-5-mini", "openai", 0.99, 0, "closed", None) == tuple(
        backend[name]
        for name in ("backend", "provider", "availability", "attempts_7d", "circuit", "circuit_reason")
    )
    assert ["openai/0", "openai/1"] == [key["id"] for key in backend["keys"]]
    assert backend["speed_7d"] == {
        "samples": 0, "first_content_p50_ms": None, "first_content_p95_ms": None, "tokens_s_p50": None,
    }  # fmt: skip


async def test_known(served: Gateway, call: Caller) -> None:
    """What was noted and written, with circuits of keys told apart."""
    for _ in range(150):
        served.health.note(
            backend="openai/gpt-5-mini",
            provider_key_id="openai/0",
            kind="ok",
            first_content_ms=400,
            output_tokens=100,
            duration_s=1.0,
        )
    served.health.note(backend="openai/gpt-5-mini", provider_key_id="openai/1", kind="auth")
    await served.health.flush()
    await served.health.read()
    served.board.refresh()
    shown = (await call("GET", "/admin/v1/health")).json
    HealthReport.model_validate(shown)
    assert 0 == shown["age_s"]
    (backend,) = shown["backends"]
    assert (0.9975, 150, {"ok": 150, "auth": 1}, 150, 0.0) == tuple(
        backend[name]
        for name in ("availability", "attempts_7d", "outcomes_7d", "recent_attempts", "recent_error_share")
    )
    assert 150 == backend["speed_recent"]["samples"]
    assert abs(backend["speed_recent"]["first_content_p50_ms"] - 400) < 40
    assert abs(backend["speed_recent"]["tokens_s_p50"] - 100) < 10
    assert ("closed", None) == (backend["circuit"], backend["circuit_reason"])
    assert [("closed", None, False), ("open", "auth", True)] == [
        (key["circuit"], key["circuit_reason"], key["refused"]) for key in backend["keys"]
    ]
    assert 50 < backend["keys"][1]["open_for_s"] <= 60


async def test_every_key_is_refused(served: Gateway, call: Caller) -> None:
    """Then the backend itself is behind an open circuit."""
    for place in range(2):
        served.health.note(backend="openai/gpt-5-mini", provider_key_id=f"openai/{place}", kind="auth")
    served.board.refresh()
    (backend,) = (await call("GET", "/admin/v1/health")).json["backends"]
    assert ("open", "auth") == (backend["circuit"], backend["circuit_reason"])


async def test_needs_the_admin_key(served: Gateway) -> None:
    assert 401 == (await Caller(served.app, None)("GET", "/admin/v1/health")).status
