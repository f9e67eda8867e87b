"""What is measured: how the gateway and the reference are started in front of the fake upstream."""

import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import yaml

from tests.bench.machine import ROOT
from tests.bench.processes import Ready, Tree, until_ready

UPSTREAM_KEY = "test-upstream-key-0001"
GATEWAY_KEY = "test-gateway-key-0001"
UPSTREAM_MODEL = "fake-model"
GATEWAY_MODEL = "bench-model"
FOREIGN_MODEL = "bench-foreign"
MODE = "balanced"
# High enough never to be reached, so that every request really asks its bucket and is let through.
RATES = {"requests_per_minute": 100_000_000}
BUDGETS = {
    **RATES,
    "tokens_per_minute": 10**12,
    "in_flight": 100_000,
    "tokens_per_day": 10**14,
    "usd_per_day": 10**8,
    "usd_per_month": 10**8,
}


@dataclass(frozen=True, slots=True)
class Launch:
    """How one target is started; `folder` is its own and empty."""

    command: list[str]
    environment: dict[str, str]
    ready_path: str
    model: str
    foreign_model: str


@dataclass(frozen=True, slots=True)
class Target:
    """A target that is up. `foreign_model` is served by an upstream of another dialect, if the target has one."""

    name: str
    port: int
    key: str
    model: str
    foreign_model: str
    tree: Tree


def reference(port: int, upstream_port: int, folder: Path) -> Launch:
    del folder
    return Launch(
        command=[sys.executable, "-m", "tests.bench.reference", "--port", str(port)],
        environment={
            "BENCH_UPSTREAM": f"http://127.0.0.1:{upstream_port}",
            "BENCH_UPSTREAM_KEY": UPSTREAM_KEY,
            "BENCH_GATEWAY_KEY": GATEWAY_KEY,
        },
        ready_path="/health",
        model=UPSTREAM_MODEL,
        foreign_model=UPSTREAM_MODEL,
    )


def headgate(
    port: int,
    upstream_port: int,
    folder: Path,
    limits: Mapping[str, float] = MappingProxyType(RATES),
    workers: int = 1,
    model: str = GATEWAY_MODEL,
) -> Launch:
    config = folder / "headgate.yaml"
    config.write_text(yaml.safe_dump(configuration(port, upstream_port, folder, limits), sort_keys=False))
    command = [str(Path(sys.executable).parent / "headgate"), "serve", "--config", str(config)]
    return Launch(
        command=[*command, "--workers", str(workers)],
        environment={
            "BENCH_UPSTREAM_KEY": UPSTREAM_KEY,
            "BENCH_GATEWAY_KEY": GATEWAY_KEY,
            "HEADGATE_ADMIN_KEY": "test-admin-key-0001",
        },
        ready_path="/readyz",
        model=model,
        foreign_model=FOREIGN_MODEL,
    )


LAUNCHERS: Mapping[str, Callable[[int, int, Path], Launch]] = {
    "headgate": headgate,
    "reference": reference,
    "unlimited": partial(headgate, limits={}),
    "classified": partial(headgate, limits={}, model=MODE),
    "budgets": partial(headgate, limits=BUDGETS),
    "workers": partial(headgate, workers=2),
}


def configuration(
    port: int, upstream_port: int, folder: Path, limits: Mapping[str, float] = MappingProxyType(RATES)
) -> dict[str, object]:
    """A gateway as in real use: a price, a customer and a key whose limits are asked each time, JSON logs."""
    return {
        "server": {"host": "127.0.0.1", "port": port, "lame_duck_s": 0, "data_dir": str(folder / "data")},
        "redis": {"url": "embedded"},
        "log": {"level": "info", "format": "json"},
        "providers": {
            "fake": {
                "adapter": "openai",
                "base_url": f"http://127.0.0.1:{upstream_port}/v1",
                "api_key": "env:BENCH_UPSTREAM_KEY",
            },
            "foreign": {
                "adapter": "anthropic",
                "base_url": f"http://127.0.0.1:{upstream_port}",
                "api_key": "env:BENCH_UPSTREAM_KEY",
            },
        },
        "models": [
            {
                "id": GATEWAY_MODEL,
                "backends": [{"provider": "fake", "model": UPSTREAM_MODEL}],
                "price": {"input": 0.25, "output": 2.0, "cache_read": 0.025},
                "context_tokens": 128_000,
                "max_output_tokens": 16_384,
            },
            {
                "id": FOREIGN_MODEL,
                "backends": [{"provider": "foreign", "model": UPSTREAM_MODEL}],
                "price": {"input": 0.25, "output": 2.0, "cache_read": 0.025},
            },
        ],
        "tiers": {tier: {"models": [GATEWAY_MODEL]} for tier in ("frugal", MODE, "premium")},
        "customers": [
            {"id": "bench", "name": "Bench", "limits": dict(limits)},
        ],
        "keys": [
            {
                "id": "bench-key",
                "customer": "bench",
                "secret": "env:BENCH_GATEWAY_KEY",
                "limits": dict(limits),
            }
        ],
    }


def start(kind: str, name: str, upstream_port: int, folder: Path, core: int | None) -> Target:
    """Start a target and wait until it is ready.

    Raises:
        RuntimeError: it ended or did not become ready; with the end of its log.
    """
    folder.mkdir(parents=True)
    port = free_port()
    launch = LAUNCHERS[kind](port, upstream_port, folder)
    tree = Tree(launch.command, environment(launch.environment), folder / "log", core, ROOT)
    try:
        until_ready(tree, Ready(port, launch.ready_path))
    except BaseException:
        tree.stop()
        raise
    return Target(
        name=name,
        port=port,
        key=GATEWAY_KEY,
        model=launch.model,
        foreign_model=launch.foreign_model,
        tree=tree,
    )


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """A few inherited variables and `own`: proxies or Python options would change what is measured."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ} | dict(own)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
