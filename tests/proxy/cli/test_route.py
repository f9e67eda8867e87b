"""`headgate route explain`: the gateway's answer, as a table or as JSON."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from proxy.cli.main import main
from proxy.routing.catalogue.types import Backend, Model
from tests.proxy.admin.past import keep
from tests.proxy.admin.serving import ADMIN_KEY, BACKEND, CATALOGUE, Served

OLD = Backend("old/mini", "openai", "mini", None)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Served]:
    with Served() as served:
        yield served


@pytest.fixture
def request_file(tmp_path: Path) -> Path:
    path = tmp_path / "request.json"
    path.write_bytes(orjson.dumps({"model": "balanced", "messages": [{"role": "user", "content": "Hello"}]}))
    return path


def run(gateway: Served, *words: str) -> Result:
    return CliRunner().invoke(
        main, ["route", "explain", *words, "--url", gateway.url], env={"HEADGATE_ADMIN_KEY": ADMIN_KEY}
    )


def test_json(gateway: Served, request_file: Path) -> None:
    """What scripts read."""
    told = orjson.loads(run(gateway, str(request_file), "--json").stdout)
    assert {"verdict", "candidates", "attempts"} <= told.keys()
    assert [(BACKEND.id, True)] == [(each["backend"], each["kept"]) for each in told["candidates"]]


def test_a_table(gateway: Served, request_file: Path) -> None:
    """What people read."""
    shown = run(gateway, str(request_file))
    assert 0 == shown.exit_code
    assert "by cheapest" in shown.stdout
    assert BACKEND.id in shown.stdout


def test_what_is_refused(gateway: Served, tmp_path: Path) -> None:
    """A file that is no request, a customer that is not there."""
    path = tmp_path / "request.json"
    path.write_text("{")
    assert "not JSON" in run(gateway, str(path)).stderr
    path.write_text("[]")
    assert "not an object" in run(gateway, str(path)).stderr
    path.write_text('{"model": "balanced", "messages": [{"role": "user"}]}')
    assert 0 != run(gateway, str(path), "--customer", "nobody").exit_code


def test_a_past_request(gateway: Served) -> None:
    """What was tried, and that the choice is the same when it is made again; or what is not the same."""
    gateway.loop.call_soon_threadsafe(keep, gateway.gateway)
    old = replace(CATALOGUE, models={"gpt-5-mini": Model("gpt-5-mini", (OLD,))})
    gateway.loop.call_soon_threadsafe(partial(keep, gateway.gateway, "req-old", catalogue=old))
    told = orjson.loads(run(gateway, "--id", "req-past", "--json").stdout)
    assert {"verdict", "candidates", "attempts"} <= told.keys()
    assert (True, [(BACKEND.id, "ok")]) == (
        told["replayed"],
        [(each["backend"], each["outcome"]) for each in told["attempts"]],
    )
    shown = run(gateway, "--id", "req-past", "--customer", "acme").stdout
    assert "auto of acme, " in shown
    assert "replayed: the inputs that were kept give this very plan" in shown
    shown = run(gateway, "--id", "req-old").stdout
    assert "not replayed: the plan would be another one now" in shown
    assert f"number 1 was {OLD.id} as gpt-5-mini" in shown
    assert "the catalogue is another one than it was" in shown


def test_wrong_usage(gateway: Served, request_file: Path) -> None:
    """A file or a past request, one of them; a request that nothing is known of."""
    assert 2 == run(gateway).exit_code
    assert 2 == run(gateway, str(request_file), "--id", "req-past").exit_code
    assert 2 == run(gateway, "--id", "req-past", "--key", "k").exit_code
    assert "there is no record" in run(gateway, "--id", "req-0").stderr
    assert 1 == run(gateway, "--id", "req-past", "--customer", "else").exit_code
