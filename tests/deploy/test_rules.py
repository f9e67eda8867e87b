"""Alert rules and dashboard ask for what the gateway measures, with the labels it has, and fire when they should."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
import yaml

from proxy.telemetry.metrics import Metrics, Watched
from tests.deploy.rendering import DEPLOY

RULES: Final = DEPLOY / "alerts" / "headgate.yaml"
DASHBOARD: Final = DEPLOY / "dashboards" / "headgate.json"
CASES: Final = Path(__file__).with_name("rules_cases.yaml")

# What Prometheus adds to every series.
TARGET_LABELS: Final = frozenset({"job", "instance"})
SELECTOR: Final = re.compile(r"\b(?P<name>(?:headgate|process)_[a-z0-9_]+|up)\b(?:\{(?P<labels>[^}]*)\})?")
LABEL: Final = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
GROUPED: Final = re.compile(r"\bby \((?P<labels>[^)]*)\)")
SHOWN: Final = re.compile(r"\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}")


def measured() -> dict[str, frozenset[str]]:
    """Every series of a gateway that has done a little of everything, and its labels."""
    metrics = Metrics()
    metrics.watch(
        lambda: Watched(
            [("a/b", "0", "requests", 1)], [("a", 1, 0)], [("a/b", 1.0)], [("a/b", False)], [("a", False)]
        )
    )
    metrics.begun()
    metrics.request(model="b", provider="a", status=200, outcome="ok", seconds=1, first_content_seconds=1)
    metrics.attempt(backend="a/b", outcome="ok")
    metrics.limit_refused("key", "usd_per_day")
    metrics.tokens(model="b", provider="a", input_tokens=1, output_tokens=1, cost_microusd=1)
    found: dict[str, frozenset[str]] = {"up": frozenset()}
    for line in metrics.exposition().decode().splitlines():
        if not line.startswith("#"):
            name, _, rest = line.partition(" ")[0].partition("{")
            found[name] = frozenset(LABEL.findall(rest))
    return found


MEASURED: Final = measured()


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found = orjson.loads(DASHBOARD.read_bytes())["panels"]
    assert isinstance(found, list)
    return found


def expressions() -> Iterator[Any]:
    for rule in rules():
        yield pytest.param(rule["expr"], " ".join(rule["annotations"].values()), id=rule["alert"])
    for panel in panels():
        for target in panel["targets"]:
            yield pytest.param(
                target["expr"], target["legendFormat"], id=f"{panel['title']} {target['refId']}"
            )


@pytest.mark.parametrize(("expression", "shown"), list(expressions()))
def test_what_is_asked_for_exists(expression: str, shown: str) -> None:
    """Each series exists, and each label that is selected, grouped by or shown is one of its own."""
    selectors = list(SELECTOR.finditer(expression))
    assert selectors
    labels: set[str] = set(TARGET_LABELS) | {"le"}
    for selector in selectors:
        assert selector["name"] in MEASURED
        own = MEASURED[selector["name"]]
        labels |= own
        assert set(LABEL.findall(selector["labels"] or "")) <= own | TARGET_LABELS
    for grouped in GROUPED.finditer(expression):
        assert {each.strip() for each in grouped["labels"].split(",")} <= labels
    assert set(SHOWN.findall(shown)) <= labels


def test_rules_say_what_to_do() -> None:
    """Each alert has its own name, a severity, what it means and what to do."""
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names) > 5
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert {"summary", "action"} == rule["annotations"].keys()


def test_panels_do_not_overlap() -> None:
    """Each panel has a number and a place of its own on a grid 24 wide."""
    taken: set[tuple[int, int]] = set()
    numbers = [panel["id"] for panel in panels()]
    assert len(set(numbers)) == len(numbers)
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not taken & cells
        taken |= cells


@pytest.mark.parametrize("arguments", [("check", "rules", str(RULES)), ("test", "rules", str(CASES))])
def test_prometheus_agrees(arguments: tuple[str, ...]) -> None:
    """Prometheus' own tool takes the rules, and they fire on the cases beside this file and only there."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is missing (Debian: prometheus)")
    told = subprocess.run(
        [promtool, *arguments], capture_output=True, text=True, cwd=CASES.parent, check=False
    )
    assert 0 == told.returncode, told.stdout + told.stderr
