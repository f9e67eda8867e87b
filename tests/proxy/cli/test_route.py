"""`headgate route explain`: the gateway's answer, as a table or as JSON."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from proxy.cli.main import main
from tests.proxy.admin.serving import ADMIN_KEY, BACKEND, Served


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
