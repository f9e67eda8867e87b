"""docs/catalogue.md and the CronJob say what the code does."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from proxy.cli.main import main
from proxy.routing.catalogue.quality import AREAS, MIDDLE, POINTS, TASKS
from proxy.routing.catalogue.ranking import RULES

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "catalogue.md").read_text("utf-8")
CRONJOB = ROOT / "deploy" / "catalogue" / "cronjob.yaml"

OTHERS = {
    "arena_code": "Arena code",
    "arena_text_stylectrl:coding": "Arena coding",
    "arena_text_stylectrl:math": "Arena math",
    "arena_text_stylectrl:hard_6": "Arena hard prompts",
    "arena_text_stylectrl:creative_writing": "Arena creative writing",
    "arena_text_stylectrl:if": "Arena instruction following",
    "tau2:banking_knowledge": "tau2 banking",
}


@pytest.mark.parametrize("name", TASKS)
def test_kinds_of_task(name: str) -> None:
    """The page has each with its shares."""
    shares = ", ".join(f"{area} {share:g}" for area, share in TASKS[name].items())
    assert f"| `{name}` | {shares} |" in PAGE


@pytest.mark.parametrize("name", AREAS)
def test_domains(name: str) -> None:
    """The page has each with what measures it."""
    yardsticks = ", ".join(each.removeprefix("livebench:") for each in AREAS[name].yardsticks)
    others = ", ".join(OTHERS[each] for each in AREAS[name].others)
    assert f"| `{name}` | {yardsticks} | {others} |".replace("|  |", "| |") in PAGE


@pytest.mark.parametrize("name", RULES)
def test_tiers(name: str) -> None:
    """The page has each with its floor, its most and its order."""
    rule = RULES[name]
    assert f"| `{name}` | {rule.floor:g} | {rule.most_usd:g} USD | {rule.by} |" in PAGE


def test_the_scale() -> None:
    """The formula."""
    assert f"`{MIDDLE:g} + {POINTS:g} z`" in PAGE


def test_commands_of_the_page() -> None:
    """Each command and option exists."""
    rows = re.findall(r"^\| `headgate catalogue ([a-z-]+)([^`]*)` \|", PAGE, re.MULTILINE)
    assert {"show", "validate", "import-prices", "rank", "verify"} == {name for name, _ in rows}
    for name, rest in rows:
        shown = CliRunner().invoke(main, ["catalogue", name, "--help"]).output
        assert all(option in shown for option in re.findall(r"--[a-z]+", rest)), name


def _containers(kind: str) -> list[dict[str, Any]]:
    job = yaml.safe_load(CRONJOB.read_text("utf-8"))
    found = job["spec"]["jobTemplate"]["spec"]["template"]["spec"][kind]
    assert isinstance(found, list)
    return found


def test_the_cronjob_runs_what_exists_and_writes_nothing() -> None:
    """Every command of it is known with its options, and none changes a file."""
    commands = [each["args"] for each in _containers("containers")]
    assert ["import-prices", "validate", "verify"] == [words[1] for words in commands]
    for words in commands:
        assert "--write" not in words
        told = CliRunner().invoke(main, [*words, "--help"])
        assert 0 == told.exit_code
        assert all(word in told.output for word in words if word.startswith("--"))


def test_the_cronjob_fetches_what_the_command_reads() -> None:
    """The same file, in the volume of both."""
    (fetching,) = _containers("initContainers")
    assert "/work/models.dev.json" in fetching["args"]
    assert "/work/models.dev.json" in _containers("containers")[0]["args"]
