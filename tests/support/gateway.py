"""A real gateway process for tests: `headgate serve` with a configuration of the test's own, on a free port."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

TEST_KEY = "test-key-0001-abcdefgh"
ADMIN_KEY = "test-admin-key-0001-abcdefgh"
NO_CIRCUITS = {"cool_down_s": 0}
"""For `routing.breaker`, where failures are met one after the other and each is to be seen."""
# Whatever proxy the environment names, the gateway is on this machine.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
PATIENT_MS = 5000
"""Far above what the store's answer takes, so that a busy machine fails no test."""
START_S = 30.0  # generous: several test processes share two cores


@dataclass(frozen=True)
class RunningGateway:
    """A gateway that answers.

    Attributes:
        base: `http://127.0.0.1:<port>`.
        key: of a customer without limits.
        log: where standard error goes: one JSON line per request.
    """

    base: str
    key: str
    process: "subprocess.Popen[str]"
    log: Path
    data_dir: Path

    @property
    def port(self) -> int:
        return int(self.base.rsplit(":", 1)[1])


def config_for(base_url: str, **overrides: Any) -> dict[str, Any]:
    """One provider `scripted` at `base_url` with one model `test-model`; `overrides` are whole sections."""
    return {
        "providers": {"scripted": {"adapter": "openai", "base_url": base_url, "api_key": "env:SCRIPTED_KEY"}},
        "models": [
            {
                "id": "test-model",
                "backends": [{"provider": "scripted", "model": "upstream-model"}],
                "price": {"input": 1.0, "output": 2.0, "cache_read": 0.1},
            }
        ],
        "keys": [{"id": "test", "customer": "tester", "secret": "env:TEST_KEY"}],
        **overrides,
    }


@contextmanager
def running(
    directory: Path, config: Mapping[str, Any], environ: Mapping[str, str] | None = None, port: int = 0
) -> Iterator[RunningGateway]:
    """Start a gateway in `directory` and stop it (SIGTERM) afterwards. `port`: any free one unless given.

    A store that is slow because the machine is busy is not taken for an outage, unless `config` has a time-out.
    """
    redis = {"timeout_ms": PATIENT_MS, **config.get("redis", {})}
    server = {"data_dir": str(directory / "data"), "lame_duck_s": 0, "drain_s": 2, **config.get("server", {})}
    path = directory / "headgate.yaml"
    path.write_text(yaml.safe_dump({"log": {"format": "json"}, **config, "redis": redis, "server": server}))
    log = directory / "log.jsonl"
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "proxy.cli.main", "serve", "--config", str(path), "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(directory),
                "TEST_KEY": TEST_KEY,
                "SCRIPTED_KEY": "provider-key-for-tests",
                "HEADGATE_ADMIN_KEY": ADMIN_KEY,
                **(environ or {}),
            },
        )
    try:
        base = _address(process, log)
        _wait_until_ready(base)
        yield RunningGateway(base, TEST_KEY, process, log, Path(server["data_dir"]))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(START_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _address(process: "subprocess.Popen[str]", log: Path) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if "listening on" in line:
            return line.split()[-1].removesuffix("/v1")
    raise AssertionError(f"the gateway did not start: {log.read_text()}")


def _wait_until_ready(base: str) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            with _DIRECT.open(f"{base}/readyz", timeout=1):
                return
        except OSError:
            time.sleep(0.02)
    raise AssertionError("the gateway did not become ready")
