"""How long the image takes to start; what the sidecar's container takes, idle and with 200 streams.

    python -m tests.deploy.measure

as root, with podman and the image `make image` made. The provider is a second gateway in the Pod, so that the sandbox's
own memory is not in the figures; it is measured like any other provider, over the loopback.
"""

import os
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tests.deploy.podman import IMAGE, Pod, Podman, adapted, podman, running, wait_for
from tests.deploy.rendering import kustomized

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


def start_ms(tool: Podman) -> int:
    """From the process's start until it accepts, with the embedded store and nothing configured."""
    name = "headgate-measured"
    try:
        tool("run", "--detach", "--name", name, "--network=none", "--read-only", IMAGE)
        lines = wait_for("listening", lambda: _listening(tool("logs", "--timestamps", name)), 60)
        began = datetime.fromisoformat(
            tool("inspect", "--format", "{{json .State.StartedAt}}", name).strip('"')
        )
    finally:
        tool.tried("rm", "--force", "--volumes", "--time", "0", name)
    return round((datetime.fromisoformat(lines[0].split()[0]) - began).total_seconds() * 1000)


def _listening(log: str) -> list[str]:
    return [line for line in log.splitlines() if "listening on" in line]


def main(directory: Path) -> None:
    tool: Podman = podman(directory)
    starts = sorted(start_ms(tool) for _ in range(5))
    sys.stdout.write(
        f"start to listening, of 5: {', '.join(map(str, starts))} ms; load {os.getloadavg()[0]:.1f}\n"
    )
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
