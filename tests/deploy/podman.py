"""The Pod for real: podman in place of a cluster, without any network but the Pod's own loopback.

podman takes no Deployment's `httpGet` probes without curl in the image, no Secret documents, and knows no `fsGroup`:
`adapted` says how each is put.
"""

import base64
import copy
import json  # noqa: TID251 - podman's documents
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.deploy.rendering import Manifest, containers

ASKED_FOR: Final = "HEADGATE_TEST_PODS"
IMAGE: Final = "localhost/headgate:latest"
_TOOLS: Final = ("podman", "runc", "debootstrap")
_POLL_S: Final = 0.05
_CALL_S: Final = 300.0
# One Secret twice: podman 4.3 decodes what it puts into variables, and does not decode what it puts into files.
_VARIABLES: Final = "headgate-sidecar"
_FILES: Final = "headgate-sidecar-files"
_PLENTY: Final = 20_000  # of open files and of processes


def need_podman() -> None:
    """Skip, saying why, where containers cannot be run or nobody asked for it."""
    if not os.environ.get(ASKED_FOR):
        pytest.skip("takes minutes: `make test-pod` runs it")
    missing = [name for name in _TOOLS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"missing: {', '.join(missing)}")
    if os.geteuid() != 0:
        pytest.skip("needs root: a base image is made and containers are run")


@dataclass(frozen=True)
class Podman:
    """`podman` with a configuration that works without systemd."""

    configuration: Path

    def __call__(self, *arguments: str, given: bytes | None = None) -> str:
        """What it prints on standard output. A failure fails the test with all it said."""
        ended = self._run(arguments, given)
        said = (ended.stdout + ended.stderr).decode(errors="replace")
        assert 0 == ended.returncode, f"podman {' '.join(arguments)}: {said}"
        return ended.stdout.decode(errors="replace").strip()

    def tried(self, *arguments: str) -> tuple[int, str]:
        """Exit code, and both outputs."""
        ended = self._run(arguments, None)
        return ended.returncode, (ended.stdout + ended.stderr).decode(errors="replace").strip()

    def _run(self, arguments: tuple[str, ...], given: bytes | None) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            ["podman", *arguments],
            input=given,
            capture_output=True,
            timeout=_CALL_S,
            env=self.environ,
            check=False,
        )

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "CONTAINERS_CONF": str(self.configuration)}


def podman(directory: Path) -> Podman:
    """Its configuration: plain files, no systemd, and no more open files than this machine allows."""
    limits = [
        f"{name}={most}:{most}"
        for name, kind in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC))
        for hard in [resource.getrlimit(kind)[1]]
        for most in [_PLENTY if hard == resource.RLIM_INFINITY else min(hard, _PLENTY)]
    ]
    path = directory / "containers.conf"
    path.write_text(
        f'[containers]\ndefault_ulimits = {json.dumps(limits)}\nlog_driver = "k8s-file"\n'
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
    )
    return Podman(path)


def adapted(
    manifests: list[Manifest],
    *,
    environ: Mapping[str, str],
    replaced: Mapping[str, str],
    restart: str = "Always",
) -> list[Manifest]:
    """The ConfigMaps and the Pod, as podman takes them.

    Args:
        environ: of the container `app`, over its own.
        replaced: texts of the gateway's configuration and what stands there instead.
    """
    found = []
    for manifest in copy.deepcopy(manifests):
        if manifest["kind"] == "ConfigMap":
            manifest["data"] = {
                name: _replaced(name, text, replaced) for name, text in manifest["data"].items()
            }
            found.append(manifest)
        if manifest["kind"] == "Deployment":
            found.append(_pod(manifest, environ, restart))
    return found


def _replaced(name: str, text: str, replaced: Mapping[str, str]) -> str:
    if name == "headgate.yaml":
        for old, new in replaced.items():
            assert old in text, old
            text = text.replace(old, new)
    return text


def _pod(deployment: Manifest, environ: Mapping[str, str], restart: str) -> Manifest:
    metadata = {name: deployment["metadata"][name] for name in ("name", "labels")}
    spec = {**deployment["spec"]["template"]["spec"], "restartPolicy": restart}
    for container in containers(spec):
        _adapt(container, environ)
    for volume in spec["volumes"]:
        if "secret" in volume:
            volume["secret"].update(optional=False, secretName=_FILES)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _adapt(container: dict[str, Any], environ: Mapping[str, str]) -> None:
    container["image"] = IMAGE
    # Probes need curl in the image, and declared ports a network.
    for without in ("startupProbe", "readinessProbe", "livenessProbe", "ports"):
        container.pop(without, None)
    if container["name"] == "app":
        kept = [each for each in container["env"] if each["name"] not in environ]
        container["env"] = kept + [{"name": name, "value": value} for name, value in environ.items()]


@dataclass(frozen=True)
class Pod:
    """A Pod that runs."""

    podman: Podman
    name: str

    def container(self, name: str) -> str:
        """What podman calls a container of it."""
        return f"{self.name}-{name}"

    def events(self, container: str, event: str) -> list[dict[str, Any]]:
        """The JSON lines so far with this `event`."""
        lines = self.podman("logs", self.container(container)).splitlines()
        found = [json.loads(line) for line in lines if line.startswith('{"event"')]
        return [each for each in found if each["event"] == event]

    def probe(self, *arguments: str) -> tuple[int, str]:
        """`headgate probe` in the gateway's container."""
        return self.podman.tried("exec", self.container("headgate"), "headgate", "probe", *arguments)

    def signal(self, container: str, number: signal.Signals) -> None:
        """A signal from outside. `podman kill` would count as being stopped; `podman stop` lets nobody in meanwhile."""
        os.kill(self.inspected(container)["State"]["Pid"], number)

    def inspected(self, container: str) -> dict[str, Any]:
        """What podman knows of it."""
        (found,) = json.loads(self.podman("inspect", self.container(container)))
        assert isinstance(found, dict)
        return found


@contextmanager
def running(
    tool: Podman, directory: Path, manifests: list[Manifest], secrets: Mapping[str, str]
) -> Iterator[Pod]:
    """Play the manifests, with the one Secret that they refer to; take everything down afterwards."""
    path = directory / "pod.yaml"
    path.write_text(yaml.safe_dump_all(manifests, sort_keys=False))
    (name,) = [each["metadata"]["name"] for each in manifests if each["kind"] == "Pod"]
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in secrets.items()}
    volumes = _volumes(manifests)
    _remove(tool, name, volumes)
    tool("secret", "create", _VARIABLES, "-", given=json.dumps(encoded).encode())
    tool("secret", "create", _FILES, "-", given=json.dumps({"data": dict(secrets)}).encode())
    try:
        tool("play", "kube", "--network", "none", str(path))
        yield Pod(tool, name)
    finally:
        _remove(tool, name, volumes)


def _volumes(manifests: list[Manifest]) -> list[str]:
    """What podman calls the Pod's volumes; it keeps them, and what was in them, when the Pod is gone."""
    return [
        each.get("configMap", each).get("name") if "secret" not in each else each["secret"]["secretName"]
        for manifest in manifests
        if manifest["kind"] == "Pod"
        for each in manifest["spec"]["volumes"]
    ]


def _remove(tool: Podman, pod: str, volumes: list[str]) -> None:
    """All of it; what is not there is no fault."""
    tool.tried("pod", "rm", "--force", "--time", "0", pod)
    tool.tried("volume", "rm", "--force", *volumes)
    tool.tried("secret", "rm", _VARIABLES, _FILES)


def wait_for(what: str, look: Callable[[], Any], within_s: float, *, every_s: float = _POLL_S) -> Any:
    """Look until something is there."""
    deadline = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what} within {within_s} s"
        time.sleep(every_s)
    return found
