"""The page of figures."""

from pathlib import Path

import pytest

from classifiers.fitting import page
from classifiers.fitting.evaluate import DOCS, main, own_logs
from classifiers.fitting.train import WEIGHTS


def test_the_committed_page_is_what_its_figures_give(tmp_path: Path) -> None:
    """Page and plots in docs are those that the committed figures give, byte for byte."""
    for name in (page.FIGURES, "classification.md"):
        (tmp_path / name).write_bytes((DOCS / name).read_bytes())
    written = page.write(tmp_path)
    assert len(written) > 5
    assert all((DOCS / path.name).read_bytes() == path.read_bytes() for path in written)


def test_a_page_without_its_marks_is_refused(tmp_path: Path) -> None:
    """Figures are never written over a page that does not ask for them."""
    (tmp_path / page.FIGURES).write_bytes((DOCS / page.FIGURES).read_bytes())
    (tmp_path / "classification.md").write_text("no marks", encoding="utf-8")
    with pytest.raises(page.PageBroken):
        page.write(tmp_path)


def test_own_logs_are_counted(tmp_path: Path) -> None:
    """An operator's requests give shares of steps and tiers, and agreement where labels are known."""
    path = tmp_path / "logs.jsonl"
    path.write_text(
        '{"id": 1, "prompt": "What does HTTP stand for?", "complexity": "simple"}\n'
        '{"id": 2, "messages": [{"role": "user", "content": "Compare OAuth and JWT"}], "complexity": "complex"}\n',
        encoding="utf-8",
    )
    found = own_logs(path, WEIGHTS.read_bytes())
    assert {"rows": 2, "right": 0.5, "too_low": 0.5} == found["labelled"]
    assert found["steps"]["rules"] == 1


def test_nothing_to_measure_ends_with_2(tmp_path: Path) -> None:
    """Without an order, or without data, nothing is written."""
    assert main([]) == 2
    assert main(["--data", str(tmp_path)]) == 2
