"""The whole measurement, on a made-up set."""

from pathlib import Path

import orjson
import pytest

from classifiers.fitting import choices, evaluate, page
from classifiers.fitting.labels import CHEAP_AND_DEAR, MTBENCH_PAIR
from classifiers.fitting.rows import SETS, Row, read
from classifiers.fitting.train import trained

WORDS = ("north", "south", "east", "west", "old", "new", "small", "wide", "deep", "quiet", "late", "early")
SUBJECTS = ("rivers", "bridges", "engines", "gardens", "clocks")


def made_up(directory: Path) -> list[Row]:
    """Sixty rows in each set, spelled as the set spells them, with cheap models that solve every other row."""
    for name in SETS:
        lines = [orjson.dumps(made_up_row(name, number)) for number in range(60)]
        path = directory / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\n".join(lines))
    return read(directory)


def made_up_row(name: str, number: int) -> dict[str, object]:
    about = f"{WORDS[number % 12]} {SUBJECTS[number // 12]}"
    easy = number % 2 == 0
    groups = [
        *choices.PAIRS.values(),
        MTBENCH_PAIR,
        *(models for pair in CHEAP_AND_DEAR.values() for models in pair),
    ]
    models = sorted({model for group in groups for model in group})
    scores = dict.fromkeys(models, 1.0)
    scores |= {pair[0]: float(easy) for pair in choices.PAIRS.values()}
    forms = {
        "tier/uncommonroute": f"{('name', 'compare', 'engineer')[number % 3]} the {about}",
        "tier/arena_hard": f"engineer {about} with a budget",
    }
    prompt = forms.get(name, f"{'count' if easy else 'derive'} the {about} of {name}?\nA. one\nB. two")
    return {
        "id": f"{name}-{number}",
        "prompt": prompt,
        "lang": "en",
        "label": made_up_label(name, number),
        "task_type": {"tier/arena_hard": "coding", "tasktype/mtbench_vicuna": "writing"}.get(
            name, "factual-qa"
        ),
        "task_name": "gsm8k",
        "subject": "virology",
        "category": "law",
        "dataset": "AIME",
        "frac": [float(easy), 1.0, 1.0],
        "scores": scores,
        "costs": {
            model: 0.001 if model in {pair[0] for pair in choices.PAIRS.values()} else 0.01
            for model in models
        },
        "price_per_mtok": {model: [0.2, 0.2] for model in models},
    }


def made_up_label(name: str, number: int) -> str:
    if name == "tier/uncommonroute":
        return ("SIMPLE", "MEDIUM", "COMPLEX")[number % 3]
    if name == "tier/livecodebench_difficulty":
        return ("easy", "hard")[number % 2]
    return "hard" if name == "tier/arena_hard" else ("simple", "complex")[number % 2]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    rows = made_up(tmp_path_factory.mktemp("rows"))
    return orjson.loads(page.dumped(evaluate.report(rows, trained(rows, most_words=200))))  # type: ignore[no-any-return] # JSON


def test_every_figure_is_measured(found: dict[str, object]) -> None:
    """Each part of the page has its figures; every set counts its rows and those held out."""
    assert {
        "sets",
        "mean",
        "claim",
        "pairs",
        "crossed",
        "unseen",
        "by_domain",
        "disturbances",
        "cpu_us",
        "misses",
    } <= set(found)
    rows = found["rows"]
    assert isinstance(rows, dict)
    assert all(0 < counts["held_out"] < counts["all"] == 60 for counts in rows.values())


def test_plain_forms_are_measured_as_learnt(found: dict[str, object]) -> None:
    """What is plainly there shows in the figures: forms are told apart, and the oracle is above a random order."""
    sets, pairs = found["sets"], found["pairs"]
    assert isinstance(sets, dict)
    assert isinstance(pairs, dict)
    assert sets["uncommonroute"]["accuracy"] > 0.6
    assert all(
        pair["ways"]["oracle"]["apgr"] > pair["ways"]["random"]["apgr"] == 0.5 for pair in pairs.values()
    )


def test_the_page_is_written_from_the_figures(found: dict[str, object], tmp_path: Path) -> None:
    """Plots and page need the figures alone."""
    (tmp_path / page.FIGURES).write_bytes(page.dumped(found))
    (tmp_path / "classification.md").write_bytes((evaluate.DOCS / "classification.md").read_bytes())
    assert all(path.stat().st_size > 0 for path in page.write(tmp_path))
