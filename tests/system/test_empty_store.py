"""A store that comes back empty grants nothing until an operator accepts it."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import orjson

from tests.support.gateway import ADMIN_KEY, RunningGateway, running
from tests.support.valkey import PrivateServer

PATIENCE_S = 20.0


def status_of(gateway: RunningGateway, path: str = "/v1/models", key: str = "") -> int:
    """Of a GET with a key that only the store knows."""
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--noproxy", "*"]
    said = subprocess.run(
        [*command, "-H", f"authorization: Bearer {key or gateway.key}", gateway.base + path],
        capture_output=True,
        check=True,
        text=True,
    )
    return int(said.stdout)


def headgate(gateway: RunningGateway, *arguments: str) -> bytes:
    """What a command prints."""
    return subprocess.run(
        [sys.executable, "-m", "proxy.cli.main", *arguments, "--url", gateway.base, "--json"],
        env={"HEADGATE_ADMIN_KEY": ADMIN_KEY, "PATH": ""},
        capture_output=True,
        check=True,
    ).stdout


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def log_of(gateway: RunningGateway) -> str:
    return gateway.log.read_text()


def test_accepted(tmp_path: Path) -> None:
    """It is an outage, over a restart of the gateway too, and one command ends it; configured keys are back."""
    with PrivateServer() as store:
        config = {
            "redis": {"url": store.url, "on_outage": "closed", "key_grace_s": 0},
            "providers": {"sandbox": {"adapter": "sandbox"}},
            "keys": [{"id": "test", "customer": "tester", "secret": "env:TEST_KEY"}],
        }
        with running(tmp_path, config) as gateway:
            made = orjson.loads(headgate(gateway, "customers", "create", "acme"))
            key = orjson.loads(headgate(gateway, "keys", "create", "--customer", made["id"]))["key"]
            assert 200 == status_of(gateway, key=key)
            store.kill()
            store.start()
            until(lambda: "headgate store accept" in log_of(gateway))
            until(lambda: 503 == status_of(gateway, key=key))
        # Started again it still knows which store it had, and is not ready.
        process = subprocess.Popen(
            [*serve_command(tmp_path), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={
                "PATH": "",
                "HOME": str(tmp_path),
                "TEST_KEY": "test-key-0001-abcdefgh",
                "HEADGATE_ADMIN_KEY": ADMIN_KEY,
            },
        )
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if "listening on" in line)
            again = RunningGateway(
                line.split()[-1].removesuffix("/v1"),
                "test-key-0001-abcdefgh",
                process,
                tmp_path / "log.jsonl",
                tmp_path,
            )
            until(lambda: 503 == status_of(again, "/readyz"))
            assert {"accepted": True} == orjson.loads(headgate(again, "store", "accept"))
            until(lambda: 200 == status_of(again, "/readyz"))
            assert 200 == status_of(again)
            assert 401 == status_of(again, key=key)
            assert {"accepted": False} == orjson.loads(headgate(again, "store", "accept"))
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE_S)


def serve_command(directory: Path) -> list[str]:
    return [sys.executable, "-m", "proxy.cli.main", "serve", "--config", str(directory / "headgate.yaml")]
