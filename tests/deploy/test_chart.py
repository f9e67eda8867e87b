"""The chart: what it refuses, and what follows from its values."""

from typing import Any, Final

import pytest
import yaml

from tests.deploy.rendering import CHART, charted, gateway_container, gateway_file, helm, one, pod_specs

# A wrong value, and the words that the refusal must hold.
REFUSED: Final[tuple[tuple[dict[str, Any], str], ...]] = (
    ({"replica": 2}, "replica"),
    ({"replicas": 0}, "replicas"),
    ({"image": {"digest": "sha256:short"}}, "digest"),
    ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
    ({"config": {"provider": {}}}, "provider"),
    ({"config": {"providers": None}}, "providers"),
    ({"config": {"server": {"host": "127.0.0.1"}}}, "host"),
    ({"config": {"server": {"ops_listen": "127.0.0.1:1"}}}, "ops_listen"),
    ({"config": {"server": {"drain_s": "30s"}}}, "drain_s"),
    ({"config": {"server": {"keepalive_timeout_s": 0}}}, "keepalive_timeout_s"),
    ({"config": {"redis": {"url": "redis://store"}}}, "url"),
    ({"secrets": {"name": "Not A Name"}}, "name"),
    ({"service": {"port": 0}}, "port"),
    ({"service": {"type": "ExternalName"}}, "type"),
    ({"autoscaling": {"cpuPercent": 0}}, "cpuPercent"),
    ({"podDisruptionBudget": {"maxUnavailable": 0}}, "maxUnavailable"),
    ({"topologySpread": {"whenUnsatisfiable": "Never"}}, "whenUnsatisfiable"),
    ({"networkPolicy": {"httpsExcept": ["ten"]}}, "httpsExcept"),
    ({"resources": {"limits": {"memory": None}}}, "limits"),
    ({"podLabels": {"count": 1}}, "count"),
)


@pytest.mark.parametrize(("values", "named"), REFUSED, ids=[str(values) for values, _ in REFUSED])
def test_refused(values: dict[str, Any], named: str) -> None:
    """A value that is misspelt, out of range or the chart's own business is refused by name."""
    library = helm()
    with library.Chart.load(CHART) as chart, pytest.raises(library.HelmError, match=named):
        chart.validate_schema(values)


def test_own_values_pass() -> None:
    """The values that the chart ships agree with its schema, and Helm's linter has no complaint."""
    library = helm()
    with library.Chart.load(CHART) as chart:
        chart.validate_schema({})
    report = library.lint(CHART, strict=True)
    assert [] == report["errors"]
    assert [] == [each for each in report["messages"] if each["severity"] > 1]


@pytest.mark.parametrize(
    ("server", "seconds"),
    [({"lame_duck_s": 0, "drain_s": 0}, 10), ({"lame_duck_s": 2.5, "drain_s": 600}, 613), ({}, 140)],
)
def test_grace_period_follows(server: dict[str, float], seconds: int) -> None:
    """The grace period is computed: lame duck, drain and 10 s, in whole seconds upwards."""
    ((_, pod),) = pod_specs(charted({"config": {"server": server}}))
    assert seconds == pod["terminationGracePeriodSeconds"]


def test_grace_period_without_a_server_section() -> None:
    """Where the values say nothing, the gateway's own defaults count: 5 and 30 s."""
    ((_, pod),) = pod_specs(charted({"config": {"server": None}}))
    assert 45 == pod["terminationGracePeriodSeconds"]


def test_the_chart_decides_where_it_listens() -> None:
    """Addresses and directory are the chart's; all else of the values arrives unchanged."""
    manifests = charted({"config": {"server": {"keep_alive_s": 15}, "routing": {"retries": 1}}})
    config = yaml.safe_load(gateway_file(manifests))
    assert {"retries": 1} == config["routing"]
    assert {
        "host": "0.0.0.0",
        "port": 8080,
        "ops_listen": "0.0.0.0:8081",
        "data_dir": "/var/lib/headgate",
        "lame_duck_s": 10,
        "drain_s": 120,
        "keep_alive_s": 15,
        "keepalive_timeout_s": 75,
    } == config["server"]


def test_a_changed_configuration_rolls_the_pods() -> None:
    """The Pods' template changes with the configuration, and not without."""

    def template(values: dict[str, Any]) -> Any:
        return one(charted(values), "Deployment")["spec"]["template"]

    assert template({}) == template({"autoscaling": {"maxReplicas": 5}})
    assert template({}) != template({"config": {"routing": {"retries": 1}}})


def test_everything_selects_the_same_pods() -> None:
    """Service, budget, network policy and spread speak of the Deployment's Pods; the scaler of the Deployment."""
    manifests = charted({"serviceMonitor": {"enabled": True}})
    deployment = one(manifests, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    name = deployment["metadata"]["name"]
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        one(manifests, "Service", name)["spec"]["selector"],
        one(manifests, "Service", f"{name}-ops")["spec"]["selector"],
        one(manifests, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        one(manifests, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(
            each["labelSelector"]["matchLabels"]
            for each in deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
        ),
    ]
    assert 7 == len(selectors)
    for each in selectors:
        assert each.items() <= labels.items()
        assert "prod" == each["app.kubernetes.io/instance"]
    assert name == one(manifests, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"]
    monitor = one(manifests, "ServiceMonitor")["spec"]
    wanted = monitor["selector"]["matchLabels"].items()
    watched = [
        each
        for each in manifests
        if each["kind"] == "Service" and wanted <= each["metadata"]["labels"].items()
    ]
    assert [f"{name}-ops"] == [each["metadata"]["name"] for each in watched]
    assert monitor["endpoints"][0]["port"] in [each["name"] for each in watched[0]["spec"]["ports"]]


def test_secrets_are_referred_to() -> None:
    """Key and store come from the Secret; nothing secret is rendered."""
    values = {"secrets": {"name": "vaulted", "adminKey": "admin", "redisUrl": "store"}}
    ((_, pod),) = pod_specs(charted(values))
    references = {each["name"]: each["valueFrom"]["secretKeyRef"] for each in gateway_container(pod)["env"]}
    assert {
        "HEADGATE_ADMIN_KEY": {"name": "vaulted", "key": "admin"},
        "HEADGATE_REDIS_URL": {"name": "vaulted", "key": "store"},
    } == references
    assert "Secret" not in {each["kind"] for each in charted(values)}


def test_replicas_belong_to_the_scaler() -> None:
    """With autoscaling the Deployment names no number that an upgrade would go back to."""
    assert "replicas" not in one(charted(), "Deployment")["spec"]
    assert (
        4
        == one(charted({"autoscaling": {"enabled": False}, "replicas": 4}), "Deployment")["spec"]["replicas"]
    )


@pytest.mark.parametrize("release", ["headgate", "a" * 53])
def test_names_fit(release: str) -> None:
    """Names are valid for any release Helm takes, and two objects of a kind never share one."""
    names = [(each["kind"], each["metadata"]["name"]) for each in charted(release=release)]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 63 for _, name in names)
