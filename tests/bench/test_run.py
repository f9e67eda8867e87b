"""The benchmark runs from end to end, with the reference in both places."""

from pathlib import Path

import orjson
import pytest
import yaml

from tests.bench import run, targets


@pytest.mark.bench
def test_two_copies_of_the_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every answer is right, the upstream is called once for each, and the figures are written."""
    written = tmp_path / "figures.json"
    phases = "plain,short,burst"
    status = run.main(["--gateway", "reference", "--quick", "--phases", phases, "--json", str(written)])
    samples = orjson.loads(written.read_bytes())["samples"]
    assert (status, len(samples)) == (0, 6)
    assert {sample["upstream_per_request"] for sample in samples} == {1.0}
    assert all(sample["outcome"]["right"] > 0 and sample["cpu_s"] > 0 for sample in samples)
    assert "ratio by round" in capsys.readouterr().out


@pytest.mark.parametrize("given", [["--phases", "plain,fast"], ["--rounds", "0"], ["--gateway", "other"]])
def test_a_wrong_argument_is_refused(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown phase or target, or no round at all, ends before anything is started."""
    with pytest.raises(SystemExit) as ended:
        run.read_arguments(given)
    assert ended.value.code == 2
    assert "error" in capsys.readouterr().err


def test_the_gateway_asks_its_bucket(tmp_path: Path) -> None:
    """The generated configuration has a price, and limits on both customer and key that are never reached."""
    made = targets.configuration(8080, 9100, tmp_path)
    assert made["redis"] == {"url": "embedded"}
    # Written out twice: the gateway's reader takes no YAML aliases.
    assert "&" not in yaml.safe_dump(made)
    for owner in ("customers", "keys"):
        entries = made[owner]
        assert isinstance(entries, list)
        assert entries[0]["limits"] == {"requests_per_minute": 100_000_000}
