"""How long the image takes to start; what the sidecar's container takes, idle and with 200 streams.

    python -m tests.deploy.measure [--starts 7] [--image localhost/headgate:latest] [--only-starts]

as root, with podman and the image `make image` made. The provider is a second gateway in the Pod, so that the sandbox's
own memory is not in the figures; it is measured like any other provider, over the loopback.
"""

import argparse
import json  # noqa: TID251 - podman's documents
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from tests.bench.processes import Ready, status
from tests.deploy.podman import IMAGE, Pod, Podman, adapted, podman, running, wait_for
from tests.deploy.rendering import kustomized
from tests.deploy.test_image import STORE

SECRETS: Final = {
    "app-key": "app-key-of-a-measurement",
    "admin-key": "admin-key-of-a-measurement",
    "openai-api-key": "provider-key-of-a-measurement",
}
STREAMS: Final = 200
PROVIDER_PORT: Final = 9090
REQUEST: Final = '{"sandbox": {"pieces": 200, "pace_ms": 100}}'


def manifests() -> list[dict[str, Any]]:
    """The Pod, with its provider beside it."""
    provider = f"base_url: http://127.0.0.1:{PROVIDER_PORT}/v1\n    "
    environ = {
        "STREAMS": str(STREAMS),
        "ROUNDS": "0",
        "PAUSE_S": "3600",
        "MODEL": "measured",
        "REQUEST": REQUEST,
    }
    model = (
        "models:\n  - {id: measured, backends: [{provider: openai, model: sandbox-small}], "
        "price: {input: 1, output: 1}}\n\nkeys:"
    )
    found = adapted(
        kustomized("sidecar/plain"),
        environ=environ,
        replaced={"adapter: openai\n    ": f"adapter: openai\n    {provider}", "keys:": model},
    )
    (config,) = [each for each in found if "headgate.yaml" in each.get("data", {})]
    text, _, rest = config["data"]["headgate.yaml"].partition("  sandbox:\n")
    config["data"]["headgate.yaml"] = text + rest.partition("\n\n")[2]
    config["data"]["provider.yaml"] = (
        f"server: {{host: 127.0.0.1, port: {PROVIDER_PORT}, data_dir: /tmp}}\n"
        "providers: {sandbox: {adapter: sandbox}}\n"
        "keys: [{id: a, customer: a, secret: 'file:/run/secrets/headgate/openai-api-key'}]\n"
    )
    (pod,) = [each for each in found if each["kind"] == "Pod"]
    (gateway,) = [each for each in pod["spec"]["containers"] if each["name"] == "headgate"]
    beside = {**gateway, "name": "provider", "args": ["serve", "--config", "/etc/headgate/provider.yaml"]}
    beside["volumeMounts"] = [*gateway["volumeMounts"][:2], {"name": "provider-data", "mountPath": "/tmp"}]
    beside["resources"] = {}
    pod["spec"]["containers"].append(beside)
    pod["spec"]["volumes"].append({"name": "provider-data", "emptyDir": {}})
    return found


def memory_mb(pod: Pod) -> tuple[float, float]:
    """Anonymous memory now and its most, in MB (cgroup v1)."""
    groups = Path(f"/proc/{pod.inspected('headgate')['State']['Pid']}/cgroup").read_text().splitlines()
    (path,) = [each.partition(":memory:/")[2] for each in groups if ":memory:" in each]
    group = Path("/sys/fs/cgroup/memory", path)
    statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    return int(statistics["rss"]) / 1e6, int((group / "memory.max_usage_in_bytes").read_text()) / 1e6


class Start(NamedTuple):
    """From the process's start until /readyz answers 200. `cpu_s`: of the gateway, without an embedded store."""

    cpu_s: float
    wall_s: float


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def start(tool: Podman, image: str, store_port: int | None) -> Start:
    """With nothing configured; the store embedded, or the one that listens on this port."""
    name, port = "headgate-measured", unused_port()
    store = () if store_port is None else (f"--env=HEADGATE_REDIS_URL=redis://127.0.0.1:{store_port}",)
    try:
        # The host's network, so that it can be asked without starting a process for each question.
        tool(
            *("run", "--detach", "--name", name, "--network=host", "--read-only", *store),
            *(image, "serve", "--port", str(port)),
        )
        ready = Ready(port, "/readyz")
        wait_for("ready", ready.ready, 60, every_s=0.002)
        until = datetime.now(tz=UTC)
        state = json.loads(tool("inspect", "--format", "{{json .State}}", name))
        used = status(state["Pid"])
    finally:
        tool.tried("rm", "--force", "--volumes", "--time", "0", name)
    assert used is not None
    return Start(used.cpu_s, (until - datetime.fromisoformat(state["StartedAt"])).total_seconds())


@contextmanager
def store_elsewhere(tool: Podman) -> Iterator[int]:
    """A store in a container of its own; its port."""
    name, port = "headgate-measured-store", unused_port()
    try:
        tool(
            *("run", "--detach", "--name", name, "--network=host", "--entrypoint", "python", IMAGE),
            *("-c", STORE.replace("6379", str(port))),
        )
        wait_for("the store", lambda: "Ready to accept" in tool("logs", name), 60)
        yield port
    finally:
        tool.tried("rm", "--force", "--volumes", "--time", "0", name)


def told(store: str, starts: Sequence[Start]) -> str:
    """A line of figures."""
    cpu_s, wall_s = ([each[place] for each in starts] for place in (0, 1))
    return (
        f"start to ready, {store} store, of {len(starts)}, least and median: "
        f"{min(cpu_s):.2f} and {median(cpu_s):.2f} s of CPU, "
        f"{min(wall_s):.2f} and {median(wall_s):.2f} s by the clock; load {os.getloadavg()[0]:.1f}\n"
    )


def main(directory: Path) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--starts", type=int, default=7)
    parser.add_argument("--image", default=IMAGE, help="whose starts are measured")
    parser.add_argument("--only-starts", action="store_true")
    chosen = parser.parse_args()
    tool: Podman = podman(directory)
    with store_elsewhere(tool) as port:
        pairs = [
            (start(tool, chosen.image, None), start(tool, chosen.image, port)) for _ in range(chosen.starts)
        ]
    for store, starts in zip(("embedded", "external"), zip(*pairs, strict=True), strict=True):
        sys.stdout.write(told(store, starts))
    if not chosen.only_starts:
        memory(tool, directory)


def memory(tool: Podman, directory: Path) -> None:
    """Of the sidecar, idle and at work."""
    with running(tool, directory, manifests(), SECRETS) as pod:
        wait_for("content on all", lambda: len(pod.events("app", "first")) == STREAMS, 120)
        busy = memory_mb(pod)
        wait_for("the ends", lambda: len(pod.events("app", "stream")) == STREAMS, 120)
        broken = sum(each["broken"] for each in pod.events("app", "stream"))
        time.sleep(5)
        after = memory_mb(pod)
    with running(tool, directory, manifests_idle(), SECRETS) as pod:
        wait_for("ready", lambda: pod.probe()[0] == 0, 60)
        time.sleep(5)
        idle = memory_mb(pod)
    for what, (now, most) in (("idle", idle), (f"{STREAMS} streams", busy), ("5 s after them", after)):
        sys.stdout.write(f"{what:16} {now:6.0f} MB now, {most:6.0f} MB at most with page cache\n")
    sys.stdout.write(f"broken streams: {broken}\n")


def manifests_idle() -> list[dict[str, Any]]:
    """The Pod before anybody asks."""
    return adapted(kustomized("sidecar/plain"), environ={"STREAMS": "0", "ROUNDS": "-1"}, replaced={})


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(Path(made))
