"""Training on a made-up set: deterministic, and it learns what is plainly there."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from classifiers.asking.messages import asked
from classifiers.fitting.rows import SETS, DataMissing, Row, digest, read
from classifiers.fitting.train import main, trained
from classifiers.scorer import Scorer
from classifiers.weights_file import from_bytes

SUBJECTS = ("rivers", "bridges", "engines", "gardens", "clocks", "letters", "harbours", "looms")
WORDS = ("north", "south", "east", "west", "old", "new", "small", "wide", "deep", "quiet")


def prompts() -> list[str]:
    return [f"{one} {two}" for one in WORDS for two in SUBJECTS]


def made_up() -> list[Row]:
    """Three plain forms of open asks and two kinds of closed questions."""
    rows: list[Row] = []
    for number, about in enumerate(prompts()):
        solved = {"small": float(number % 2), "large": 1.0}
        closed = row("empirical_cheapest_sufficient", f"e{number}", f"{about}?\nA. yes\nB. no", domain="law")
        rows += [
            replace(
                row("uncommonroute", f"s{number}", f"name the {about}"),
                form="simple",
                task_type="explanation",
            ),
            replace(
                row("uncommonroute", f"m{number}", f"compare the {about}"),
                form="moderate",
                task_type="explanation",
            ),
            replace(row("arena_hard", f"c{number}", f"engineer the {about}", domain="code"), form="complex"),
            replace(closed, outcome="simple" if number % 2 else "complex", scores=solved),
        ]
    return rows


def row(name: str, row_id: str, prompt: str, domain: str = "general") -> Row:
    return Row(name, row_id, digest(prompt), prompt, domain=domain, task_type="other")


@pytest.fixture(scope="module")
def weights() -> bytes:
    return trained(made_up(), most_words=60)


def test_the_same_rows_give_the_same_bytes(weights: bytes) -> None:
    """Two trainings agree to the last byte, and so does one from the rows read again."""
    assert weights == trained(made_up(), most_words=60)


def test_it_learns_what_is_plainly_there(weights: bytes) -> None:
    """Prompts that nobody fitted on get the verdict of their form."""
    scorer = Scorer(from_bytes(weights))
    found = {
        text: scorer.score(asked(text))
        for text in ("name the hidden rivers", "compare the hidden rivers", "engineer the hidden rivers")
    }
    assert ["simple", "moderate", "complex"] == [
        each.complexity for each in found.values() if each is not None
    ]


def test_words_are_kept_up_to_the_limit(weights: bytes) -> None:
    """The number of words bounds the size of the file."""
    assert len(from_bytes(weights).blocks["words"].names) <= 60


def test_held_out_rows_are_not_fitted_on() -> None:
    """About one prompt in five is held out, by its digest alone, and leaving those rows away changes nothing."""
    rows = made_up()
    held_out = [row for row in rows if row.held_out]
    assert 0.1 < len(held_out) / len(rows) < 0.3
    fitted = [row for row in rows if not row.held_out]
    assert trained(rows, most_words=20) == trained(fitted, most_words=20)


def test_one_question_in_two_sets_has_one_digest() -> None:
    """Case, spacing, options and a trailing "Answer:" do not make another question."""
    assert (
        digest("What  is\nit?\nA. this\nB. that") == digest("what is it?") == digest("What is it?\nAnswer:")
    )


def test_missing_data_is_said_and_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without rows nothing is written; what is missing is named."""
    assert main([]) == 2
    assert main(["--data", str(tmp_path)]) == 2
    assert "uncommonroute.jsonl" in capsys.readouterr().err
    with pytest.raises(DataMissing):
        read(tmp_path)


def test_rows_of_every_set_are_read(tmp_path: Path) -> None:
    """Each known set is read by its own spelling of labels."""
    common = {"id": "1", "prompt": "text", "scores": {"a": 1.0}}
    special: dict[str, dict[str, Any]] = {
        "tier/uncommonroute": {
            "label": "REASONING",
            "task_type": "formal-proof",
            "lang": "en",
            "scores": None,
        },
        "tier/arena_hard": {"label": "hard", "task_type": "coding", "scores": None},
        "tier/livecodebench_difficulty": {"label": "easy"},
        "tier/empirical_cheapest_sufficient": {"label": "unsolved", "frac": [0.0, 0.0, 0.0]},
        "outcome/routellm_mmlu": {"subject": "virology"},
        "outcome/mmlu_pro": {"category": "law"},
        "outcome/routerarena_sub10": {"dataset": "WMT19-de-en"},
        "outcome/llmrouter_uiuc": {"task_name": "mbpp", "price_per_mtok": {"a": [0.2, 0.2]}},
        "tasktype/mtbench_vicuna": {"task_type": "writing"},
    }
    for name in SETS:
        path = tmp_path / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(orjson.dumps({"task_type": "math", **common, **special.get(name, {})}) + b"\n")
    rows = {row.set: row for row in read(tmp_path)}
    assert len(SETS) == len(rows)
    assert ("complex", "math", "en") == (
        rows["uncommonroute"].form,
        rows["uncommonroute"].domain,
        rows["uncommonroute"].language,
    )
    assert ("moderate", None) == (
        rows["livecodebench_difficulty"].form,
        rows["empirical_cheapest_sufficient"].outcome,
    )
    assert ("medicine", "law", "translation") == (
        rows["routellm_mmlu"].domain,
        rows["mmlu_pro"].domain,
        rows["routerarena_sub10"].domain,
    )
    assert rows["llmrouter_uiuc"].costs["a"] == pytest.approx((0.2 * 1 + 0.2 * 200) / 1e6)
