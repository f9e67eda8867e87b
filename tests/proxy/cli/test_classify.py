"""`headgate classify`."""

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from proxy.cli.classify import classify

MEMBERS = ["id", "complexity", "task_type", "domain", "confidence", "source", "rule", "tier"]


def run(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(classify, arguments, input=given)


def rows(result: Result) -> list[dict[str, object]]:
    assert result.exit_code == 0, result.output
    return [orjson.loads(line) for line in result.stdout.splitlines()]


def test_one_text() -> None:
    """A text given as argument is one line with exactly the promised members."""
    (row,) = rows(run("What does HTTP stand for?", "--json"))
    assert list(row) == MEMBERS
    assert ("simple", "rules", "short-definition", "frugal") == (
        row["complexity"],
        row["source"],
        row["rule"],
        row["tier"],
    )


def test_a_file_of_prompts_and_conversations(tmp_path: Path) -> None:
    """Each line of a file gives one line, in order, with its id; tools and system prompts do not matter."""
    path = tmp_path / "prompts.jsonl"
    conversation = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Compare OAuth and JWT"},
    ]
    lines = [
        {"id": "a", "prompt": "Prove that there are infinitely many primes."},
        {"id": 7, "messages": conversation, "tools": [{}] * 32},
        {"prompt": "Hello!"},
    ]
    path.write_bytes(b"\n".join(map(orjson.dumps, lines)) + b"\n\n")
    found = rows(run("--file", str(path), "--json"))
    assert [("a", "complex"), ("7", "moderate"), ("3", "simple")] == [
        (row["id"], row["complexity"]) for row in found
    ]


def test_standard_input() -> None:
    """A dash reads what is piped in."""
    (row,) = rows(run("--file", "-", "--json", given='{"id": "x", "prompt": "Hello!"}\n'))
    assert row["id"] == "x"


def test_another_mode_shows_its_tier() -> None:
    """The verdict is the same; the tier is the mode's."""
    (row,) = rows(run("What does HTTP stand for?", "--mode", "premium", "--json"))
    assert ("simple", "premium") == (row["complexity"], row["tier"])


def test_own_rules_come_from_the_configuration(tmp_path: Path) -> None:
    """`routing.classifier.rules` are heard before the built-in ones."""
    path = tmp_path / "headgate.yaml"
    path.write_text(
        "routing: {classifier: {rules: [{name: ours, pattern: http, complexity: complex}]}}\n",
        encoding="utf-8",
    )
    (row,) = rows(run("What does HTTP stand for?", "--config", str(path), "--json"))
    assert ("complex", "ours", 1.0) == (row["complexity"], row["rule"], row["confidence"])


def test_a_rule_that_needs_backtracking_is_a_wrong_configuration(tmp_path: Path) -> None:
    """A pattern beyond linear time is named by its path; exit code 2."""
    path = tmp_path / "headgate.yaml"
    path.write_text(
        "routing: {classifier: {rules: [{name: ours, pattern: '(?=x)', complexity: simple}]}}\n",
        encoding="utf-8",
    )
    result = run("text", "--config", str(path))
    assert result.exit_code == 2
    assert "routing.classifier.rules[0].pattern" in result.output


def test_scores_on_request() -> None:
    """`--scores` adds the scorer's numbers to each line."""
    (row,) = rows(run("Compare OAuth and JWT", "--json", "--scores"))
    assert list(row) == [*MEMBERS, "difficulty", "probabilities"]


def test_a_table_for_people() -> None:
    """Without `--json` there is a heading and a line of the same facts."""
    result = run("What does HTTP stand for?")
    heading, line = result.stdout.splitlines()
    assert heading.split() == MEMBERS
    assert "short-definition" in line


@pytest.mark.parametrize(
    ("arguments", "given", "message"),
    [
        ((), None, "give a text or --file"),
        (("text", "--file", "-"), "", "give a text or --file"),
        (("text", "--mode", "thrifty"), None, "no mode is called 'thrifty'"),
        (("--file", "-"), "{\n", "line 1: not JSON"),
        (("--file", "-"), "[1]\n", "line 1: not an object"),
        (("--file", "-"), '{"id": 1}\n', 'line 1: needs "prompt"'),
        (("--file", "-"), '{"messages": [1]}\n', 'line 1: needs "prompt"'),
    ],
)
def test_wrong_use_is_said(arguments: tuple[str, ...], given: str | None, message: str) -> None:
    """What is missing or not understood is named, with its line; the exit code is not 0."""
    result = run(*arguments, given=given)
    assert result.exit_code != 0
    assert message in result.output
