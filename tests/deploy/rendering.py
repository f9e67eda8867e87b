"""What a cluster would be given: manifests as they are rendered, and what a Pod in them is."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
CHART: Final = DEPLOY / "helm" / "headgate"

Manifest = dict[str, Any]


def kustomized(directory: str) -> list[Manifest]:
    """The manifests of a folder of `deploy/`; skips without kubectl."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is missing: Kustomize folders cannot be rendered")
    rendered = subprocess.run(
        [kubectl, "kustomize", str(DEPLOY / directory)], capture_output=True, text=True, check=False
    )
    assert 0 == rendered.returncode, rendered.stderr
    return documents(rendered.stdout)


def helm() -> Any:
    """Helm as a library; skips without it."""
    return pytest.importorskip(
        "helm_python", reason="Helm is not installed here: `make test-deploy` brings it", exc_type=ImportError
    )


def charted(values: Mapping[str, Any] | None = None, *, release: str = "prod") -> list[Manifest]:
    """The manifests of the chart with these values over its own."""
    with helm().Chart.load(CHART) as chart:
        rendered = chart.render(dict(values or {}), name=release, namespace="llm")
    return [
        each
        for name, text in sorted(rendered.items())
        if not name.endswith("NOTES.txt")
        for each in documents(text)
    ]


def documents(text: str) -> list[Manifest]:
    """The documents of a YAML stream, empty ones left out."""
    return [each for each in yaml.safe_load_all(text) if each]


def one(manifests: list[Manifest], kind: str, name: str | None = None) -> Manifest:
    """The one of that kind, and of that name where there are several."""
    found = [each for each in manifests if each["kind"] == kind and name in (None, each["metadata"]["name"])]
    assert 1 == len(found), f"{len(found)} of {kind} {name}"
    return found[0]


def pod_specs(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Name and specification of every Pod that the manifests lead to."""
    for each in manifests:
        spec = each.get("spec", {})
        template = spec.get("template") or spec.get("jobTemplate", {}).get("spec", {}).get("template")
        if template:
            yield f"{each['kind']}/{each['metadata']['name']}", template["spec"]


def containers(pod: Manifest) -> list[Manifest]:
    """All its containers, those that come first included."""
    return [*pod.get("initContainers", ()), *pod["containers"]]


def gateway_container(pod: Manifest) -> Manifest:
    """The container that runs `headgate serve`."""
    (found,) = [each for each in containers(pod) if each.get("args", [None])[0] == "serve"]
    return found


def gateway_file(manifests: list[Manifest]) -> str:
    """The gateway's configuration out of the ConfigMap."""
    (text,) = [
        each["data"]["headgate.yaml"]
        for each in manifests
        if each["kind"] == "ConfigMap" and "headgate.yaml" in each["data"]
    ]
    assert isinstance(text, str)
    return text
