"""Every manifest is what Kubernetes takes, field by field, and asks for no more rights than it needs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from proxy.cli.check import check
from tests.deploy.rendering import (
    DEPLOY,
    Manifest,
    charted,
    containers,
    documents,
    gateway_container,
    gateway_file,
    kustomized,
    one,
    pod_specs,
)

VERSIONS: Final = tuple(f"1.{minor}" for minor in range(27, 34))
NATIVE_VERSIONS: Final = VERSIONS[2:]  # `restartPolicy` of an init container is on by default from 1.29
# Not Kubernetes' own: its operator checks it.
FOREIGN: Final = frozenset({"ServiceMonitor"})

EVERYTHING: Final[dict[str, Any]] = {
    "image": {
        "repository": "registry.example/headgate",
        "digest": "sha256:" + 64 * "0",
        "pullSecrets": ["pull"],
    },
    "service": {"type": "LoadBalancer", "annotations": {"example/kind": "internal"}},
    "networkPolicy": {
        "from": [{"namespaceSelector": {"matchLabels": {"team": "web"}}}],
        "opsFrom": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}],
    },
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "podDisruptionBudget": {"maxUnavailable": "20%"},
    "podAnnotations": {"example/note": "yes"},
    "podLabels": {"team": "platform"},
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "spot", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "priorityClassName": "high",
}
NOTHING: Final[dict[str, Any]] = {
    "replicas": 2,
    **{
        part: {"enabled": False}
        for part in (
            "autoscaling",
            "podDisruptionBudget",
            "topologySpread",
            "networkPolicy",
            "serviceMonitor",
        )
    },
}


def cron_job() -> list[Manifest]:
    return documents((DEPLOY / "catalogue" / "cronjob.yaml").read_text())


RENDERED: Final[dict[str, Callable[[], list[Manifest]]]] = {
    "sidecar/native": lambda: kustomized("sidecar/native"),
    "sidecar/plain": lambda: kustomized("sidecar/plain"),
    "catalogue": cron_job,
    "chart": charted,
    "chart, everything": lambda: charted(EVERYTHING),
    "chart, nothing": lambda: charted(NOTHING),
}
GATEWAYS: Final = tuple(name for name in RENDERED if name != "catalogue")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", RENDERED)
def test_strict_schema(name: str, version: str) -> None:
    """Each document passes the strict schema of each supported version: no unknown field, no wrong type."""
    if name == "sidecar/native" and version not in NATIVE_VERSIONS:
        pytest.skip("native sidecars are for 1.29 and newer")
    found = [each for each in RENDERED[name]() if each["kind"] not in FOREIGN]
    assert found
    for each in found:
        assert version == kubernetes_validate.validate(each, version, strict=True)


def test_the_schema_refuses() -> None:
    """A native sidecar is refused where there were none, and so is a misspelt field."""
    deployment = one(kustomized("sidecar/native"), "Deployment")
    with pytest.raises(kubernetes_validate.ValidationError, match="restartPolicy"):
        kubernetes_validate.validate(deployment, "1.27", strict=True)
    deployment["spec"]["template"]["spec"]["terminationGracePeriodSecond"] = 1
    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGracePeriodSecond"):
        kubernetes_validate.validate(deployment, "1.33", strict=True)


@pytest.mark.parametrize("name", RENDERED)
def test_hardened(name: str) -> None:
    """No Pod runs as root, writes to its image, gains rights, holds an account's token, or is without bounds."""
    pods = list(pod_specs(RENDERED[name]()))
    assert pods
    for where, pod in pods:
        assert pod["automountServiceAccountToken"] is False, where
        account = pod["securityContext"]
        assert (True, {"type": "RuntimeDefault"}) == (account["runAsNonRoot"], account["seccompProfile"])
        assert account["runAsUser"] > 0, where
        for each in containers(pod):
            context = each["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert ["ALL"] == context["capabilities"]["drop"]
            assert {"cpu", "memory"} == each["resources"]["requests"].keys()
            assert "memory" in each["resources"]["limits"]
            assert "preStop" not in each.get("lifecycle", {})


@pytest.mark.parametrize("name", GATEWAYS)
def test_grace_period(name: str) -> None:
    """A Pod gets more than lame duck, drain and 5 s to end."""
    manifests = RENDERED[name]()
    server = yaml.safe_load(gateway_file(manifests))["server"]
    ((_, pod),) = pod_specs(manifests)
    assert pod["terminationGracePeriodSeconds"] > server["lame_duck_s"] + server["drain_s"] + 5


@pytest.mark.parametrize("name", GATEWAYS)
def test_configuration(name: str, tmp_path: Path) -> None:
    """What the ConfigMap holds is a valid configuration, with the Secret's files where the Pod mounts them."""
    manifests = RENDERED[name]()
    ((_, pod),) = pod_specs(manifests)
    mounts = {each["name"]: each["mountPath"] for each in gateway_container(pod)["volumeMounts"]}
    (secrets,) = [mounts[each["name"]] for each in pod["volumes"] if "secret" in each]
    text = gateway_file(manifests)
    for key in ("app-key", "openai-api-key"):
        (tmp_path / key).write_text(f"a-secret-of-a-test-called-{key}")
    assert f"file:{secrets}/openai-api-key" in text
    path = tmp_path / "headgate.yaml"
    path.write_text(text.replace(f"file:{secrets}", f"file:{tmp_path}"))
    checked = CliRunner().invoke(
        check, ["--config", str(path)], env={"HEADGATE_REDIS_URL": "redis://store:6379"}
    )
    assert 0 == checked.exit_code, checked.output
    assert "problem" not in checked.output
    assert "warning" not in checked.output


@pytest.mark.parametrize("name", GATEWAYS)
def test_probes_go_where_the_gateway_listens(name: str) -> None:
    """Probes ask the address for them, which all of the network reaches; liveness asks `/livez` alone."""
    manifests = RENDERED[name]()
    ((_, pod),) = pod_specs(manifests)
    container = gateway_container(pod)
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    server = yaml.safe_load(gateway_file(manifests))["server"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert server["ops_listen"] == f"0.0.0.0:{ports[container[probe]['httpGet']['port']]}"
    assert "/livez" == container["livenessProbe"]["httpGet"]["path"]
    assert "/readyz" == container["readinessProbe"]["httpGet"]["path"]
    if name.startswith("sidecar"):
        assert "127.0.0.1" == server["host"]
        assert server["port"] not in ports.values()
    else:
        assert ("0.0.0.0", ports["http"]) == (server["host"], server["port"])


def test_the_two_sidecars_differ_only_in_their_place() -> None:
    """The plain one is the native one as an ordinary container; nothing else differs."""
    native, plain = kustomized("sidecar/native"), kustomized("sidecar/plain")
    ((_, native_pod),), ((_, plain_pod),) = pod_specs(native), pod_specs(plain)
    (sidecar,) = native_pod.pop("initContainers")
    assert "Always" == sidecar.pop("restartPolicy")
    assert "initContainers" not in plain_pod
    native_pod["containers"].append(sidecar)
    assert native == plain
