"""Reads labelled rows: prompts with what is known about them, and which of them are held out for good."""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from classifiers.fitting import labels
from classifiers.types import Complexity, TaskType

# One prompt in five is never fitted on, in any set.
HELD_OUT_PERCENT: Final = 20
_OPTIONS: Final = re.compile(r"\n\(?A[.):]")
_SPACE: Final = re.compile(r"\s+")


class DataMissing(Exception):
    """The directory of labelled rows is not there, or lacks files; the message names them."""


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt of one set."""

    set: str
    id: str
    digest: str
    prompt: str
    language: str | None = None
    form: Complexity | None = None  # somebody's judgement of the request
    outcome: Complexity | None = None  # the cheapest group of models that solved it
    scores: Mapping[str, float] = field(default_factory=dict)  # model -> 0..1
    costs: Mapping[str, float] = field(default_factory=dict)  # model -> USD
    task_type: TaskType | None = None
    domain: str | None = None
    group: str | None = None  # the set's own finest label

    @property
    def held_out(self) -> bool:
        """By digest, so that a prompt that stands in several sets is held out of all or of none."""
        return int(self.digest[:8], 16) % 100 < HELD_OUT_PERCENT


def digest(prompt: str) -> str:
    """Of the prompt without case, spacing and answer options: the same question in two sets has one digest."""
    text = _OPTIONS.split(prompt, 1)[0] if _OPTIONS.search(prompt) else prompt
    text = (
        _SPACE.sub(" ", unicodedata.normalize("NFKC", text).casefold())
        .strip()
        .removesuffix("answer:")
        .strip()
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _uncommonroute(row: Mapping[str, Any]) -> dict[str, Any]:
    task, domain = labels.UNCOMMONROUTE.get(row["task_type"], (None, None))
    return {
        "form": labels.TIERS[row["label"]],
        "language": row["lang"],
        "task_type": task,
        "domain": domain,
        "group": row["task_type"],
    }


def _arena_hard(row: Mapping[str, Any]) -> dict[str, Any]:
    task, domain = labels.ARENA.get(row["task_type"], (None, None))
    return {"form": "complex", "task_type": task, "domain": domain, "group": row["task_type"]}


def _livecodebench(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "form": labels.TIERS[row["label"]],
        "task_type": "generation",
        "domain": "code",
        "group": row["label"],
    }


def _mtbench(row: Mapping[str, Any]) -> dict[str, Any]:
    task, domain = labels.MTBENCH.get(row["task_type"], (None, None))
    return {"task_type": task, "domain": domain, "group": row["task_type"]}


def _empirical(row: Mapping[str, Any]) -> dict[str, Any]:
    label = row["label"]
    share = dict(zip(("small", "middle", "large"), row["frac"], strict=True))
    return {"outcome": None if label == "unsolved" else label, "scores": share, "group": label}


def _llmrouter(row: Mapping[str, Any]) -> dict[str, Any]:
    task, domain = labels.LLMROUTER.get(row["task_name"], (None, None))
    # Prices per token, not per request: with a stated length of question and answer they rank models.
    prices = row.get("price_per_mtok") or {}
    costs = {model: _usd(price, len(row["prompt"])) for model, price in prices.items()}
    return {"task_type": task, "domain": domain, "group": row["task_name"], "costs": costs}


def _usd(price: Any, chars: int) -> float:
    if isinstance(price, Mapping):
        first, last = (float(value) for value in list(price.values())[:2])
    elif isinstance(price, list):
        first, last = float(price[0]), float(price[-1])
    else:
        first = last = float(price)
    return (first * chars / 4 + last * 200) / 1e6


def _subject(row: Mapping[str, Any]) -> dict[str, Any]:
    subject = row.get("category") or row["subject"]
    return {"task_type": "other", "domain": labels.SUBJECTS.get(subject), "group": subject}


def _mathematics(_row: Mapping[str, Any]) -> dict[str, Any]:
    return {"task_type": "other", "domain": "math", "group": "math"}


def _crux(_row: Mapping[str, Any]) -> dict[str, Any]:
    return {"task_type": "other", "domain": "code", "group": "crux"}


def _routerarena(row: Mapping[str, Any]) -> dict[str, Any]:
    name = row["dataset"]
    if "_" in name and name.startswith(("MMLUPro_", "MMLU_")):
        return {"task_type": "other", "domain": labels.SUBJECTS.get(name.partition("_")[2]), "group": name}
    for start, task, domain in labels.ROUTERARENA:
        if name.startswith(start):
            return {"task_type": task, "domain": domain, "group": name}
    return {"group": name}


def _nothing(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"group": row.get("task_type")}


SETS: Final[dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "tier/uncommonroute": _uncommonroute,
    "tier/arena_hard": _arena_hard,
    "tier/livecodebench_difficulty": _livecodebench,
    "tier/empirical_cheapest_sufficient": _empirical,
    "outcome/routellm_mmlu": _subject,
    "outcome/routellm_gsm8k": _mathematics,
    "outcome/routellm_mtbench": _nothing,
    "outcome/routerarena_sub10": _routerarena,
    "outcome/mmlu_pro": _subject,
    "outcome/zeroeval_gsm": _mathematics,
    "outcome/zeroeval_math_l5": _mathematics,
    "outcome/zeroeval_crux": _crux,
    "outcome/llmrouter_uiuc": _llmrouter,
    "tasktype/mtbench_vicuna": _mtbench,
}


def read(directory: Path) -> list[Row]:
    """Every row of every known set under `directory`, in the order of the files.

    Raises:
        DataMissing: naming what is not there.
    """
    missing = [f"{name}.jsonl" for name in SETS if not (directory / f"{name}.jsonl").is_file()]
    if missing:
        raise DataMissing(f"{directory} lacks {', '.join(missing)}")
    return [row for name in SETS for row in read_set(directory / f"{name}.jsonl", name)]


def read_set(path: Path, name: str) -> Iterator[Row]:
    """The rows of one file; `name` says how its labels are spelled."""
    spell = SETS[name]
    for line in path.read_bytes().splitlines():
        raw = orjson.loads(line)
        fields = {"scores": raw.get("scores") or {}, "costs": raw.get("costs") or {}, **spell(raw)}
        yield Row(name.partition("/")[2], raw["id"], digest(raw["prompt"]), raw["prompt"], **fields)
