"""The sidecar's Pod for real, as Kustomize renders it: an app streams through the gateway beside it over 127.0.0.1."""

import signal
from pathlib import Path
from typing import Any, Final

from tests.deploy.podman import Podman, adapted, running, wait_for
from tests.deploy.rendering import gateway_container, kustomized, pod_specs

SECRETS: Final = {"app-key": "app-key-of-a-test-0001", "admin-key": "admin-key-of-a-test-0001"}
START_S: Final = 60.0  # generous: several test processes share two cores
STREAMS: Final = 50
STREAM_S: Final = 8.0  # how long a stream takes, far more than sending a signal
LISTENING: Final = """
import re
for row in open("/proc/net/tcp").readlines()[1:]:
    address, state = row.split()[1], row.split()[3]
    if state == "0A":
        print(address)
"""


def rendered(environ: dict[str, str], replaced: dict[str, str] | None = None) -> list[dict[str, Any]]:
    return adapted(kustomized("sidecar/plain"), environ=environ, replaced=replaced or {})


def test_the_app_streams(tool: Podman, tmp_path: Path) -> None:
    """With ConfigMap, Secret, read-only root and memory limit; the API is on the loopback alone, probes are not."""
    ((_, spec),) = pod_specs(kustomized("sidecar/plain"))
    with running(tool, tmp_path, rendered({"PAUSE_S": "1"}), SECRETS) as pod:
        wait_for("streams", lambda: len(pod.events("app", "stream")) >= 3, START_S)
        for told in pod.events("app", "stream")[:3]:
            assert (False, "stop") == (told["broken"], told["finish"])
            assert told["chunks"] > 10
            assert told["model"].startswith("sandbox-")
        for name in ("headgate", "app"):
            found = pod.inspected(name)
            assert found["HostConfig"]["ReadonlyRootfs"]
            assert found["Config"]["User"].startswith("65532")
        limit_mi = int(gateway_container(spec)["resources"]["limits"]["memory"].removesuffix("Mi"))
        assert limit_mi * 2**20 == pod.inspected("headgate")["HostConfig"]["Memory"]
        listening = tool("exec", pod.container("headgate"), "python", "-c", LISTENING).split()
        assert f"0100007F:{8080:04X}" in listening
        assert f"00000000:{8080:04X}" not in listening
        assert f"00000000:{8081:04X}" in listening
        assert (0, "ready") == pod.probe("--url", "http://127.0.0.1:8081")
        assert SECRETS["app-key"] not in tool.tried("logs", pod.container("headgate"))[1]


def test_a_killed_gateway_comes_back(tool: Podman, tmp_path: Path) -> None:
    """Killed as the kernel kills, it is started again; the app goes on, and nothing of it has to be restarted."""
    with running(tool, tmp_path, rendered({"PAUSE_S": "0.5"}), SECRETS) as pod:
        wait_for("a stream", lambda: pod.events("app", "stream"), START_S)
        app = pod.inspected("app")["State"]["Pid"]
        first = pod.inspected("headgate")["State"]["Pid"]
        pod.signal("headgate", signal.SIGKILL)
        wait_for(
            "another process", lambda: pod.inspected("headgate")["State"]["Pid"] not in (0, first), START_S
        )
        wait_for("ready", lambda: pod.probe()[0] == 0, START_S)
        before = len(pod.events("app", "stream"))
        wait_for("streams after it", lambda: len(pod.events("app", "stream")) >= before + 2, START_S)
        assert not any(told["broken"] for told in pod.events("app", "stream")[-2:])
        assert app == pod.inspected("app")["State"]["Pid"]


def test_sigterm_breaks_no_stream(tool: Podman, tmp_path: Path) -> None:
    """While 50 streams run: not ready but still serving, then all 50 end whole, and the exit code is 0."""
    pieces = 40
    request = f'{{"sandbox": {{"pieces": {pieces}, "pace_ms": {STREAM_S * 1000 / pieces:.0f}}}}}'
    environ = {"STREAMS": str(STREAMS), "PAUSE_S": "3600", "MODEL": "sandbox-small", "REQUEST": request}
    manifests = adapted(
        kustomized("sidecar/plain"),
        environ=environ,
        replaced={"lame_duck_s: 5 ": "lame_duck_s: 6 "},
        restart="Never",
    )
    with running(tool, tmp_path, manifests, SECRETS) as pod:
        wait_for("content on all", lambda: len(pod.events("app", "first")) == STREAMS, START_S)
        assert [] == pod.events("app", "stream")
        pod.signal("headgate", signal.SIGTERM)
        status, words = wait_for("not ready", lambda: (asked := pod.probe())[0] and asked, START_S)
        assert 1 == status, words
        assert "draining" in words
        told = wait_for(
            "the ends", lambda: len(found := pod.events("app", "stream")) == STREAMS and found, START_S
        )
        wait_for("its end", lambda: pod.inspected("headgate")["State"]["Status"] == "exited", START_S)
        assert 0 == pod.inspected("headgate")["State"]["ExitCode"]
        assert [] == [each for each in told if each["broken"]]
        assert {"stop"} == {each["finish"] for each in told}
