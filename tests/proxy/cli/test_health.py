"""`headgate health` against a real gateway."""

from collections.abc import Iterator

import orjson
import pytest
from click.testing import CliRunner, Result

from proxy.admin.shown_health import HealthReport
from proxy.cli.health import health
from tests.proxy.admin.serving import ADMIN_KEY, BACKEND, Served


@pytest.fixture(scope="module")
def gateway() -> Iterator[Served]:
    with Served() as served:
        yield served


def run(gateway: Served, *arguments: str) -> Result:
    environment = {"HEADGATE_ADMIN_KEY": ADMIN_KEY}
    return CliRunner().invoke(health, [*arguments, "--url", gateway.url], env=environment)


async def _met(gateway: Served) -> None:
    known = gateway.gateway.health
    for kind in ("ok", "ok", "ok", "timeout", "rate_limited"):
        known.note(
            backend=BACKEND.id,
            provider_key_id="openai/0",
            kind=kind,
            first_content_ms=400 if kind == "ok" else None,
            output_tokens=100,
            duration_s=1.0,
        )
    known.note(backend=BACKEND.id, provider_key_id="openai/1", kind="auth")
    await known.flush()
    await known.read()
    gateway.gateway.board.refresh()


async def _gone(gateway: Served) -> None:
    gateway.gateway.health.note(backend=BACKEND.id, provider_key_id="openai/0", kind="not_found")
    gateway.gateway.board.refresh()


def test_the_table(gateway: Served) -> None:
    """Nothing is known at first, and it says so; then figures, shares, and how many keys may be used."""
    empty = run(gateway)
    assert 0 == empty.exit_code
    heading, row = empty.stdout.splitlines()
    assert ["BACKEND", "AVAILABLE", "ATTEMPTS"] == heading.split()[:3]
    assert [BACKEND.id, "0.9900", "0", "-", "-", "-", "-", "-", "closed", "2/2"] == row.split()
    assert "Nothing has been read from the store yet." in empty.stderr
    gateway.run(_met(gateway))
    _, row = run(gateway).stdout.splitlines()
    figures = row.split()
    assert [BACKEND.id, "0.9722", "4", "25%", "20%"] == figures[:5]
    assert ["closed", "1/2"] == figures[-2:]
    gateway.run(_gone(gateway))
    assert "open (not_found) 60 s" in run(gateway).stdout


def test_json(gateway: Served) -> None:
    """It is the server's answer."""
    result = run(gateway, "--json")
    assert 0 == result.exit_code
    shown = orjson.loads(result.stdout)
    HealthReport.model_validate(shown)
    assert [BACKEND.id] == [backend["backend"] for backend in shown["backends"]]
