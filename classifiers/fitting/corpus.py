"""Rows as the scorer sees them: one line of numbers per prompt, and per head what is known of which prompt."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import scipy.sparse as sp

from classifiers.asking.messages import asked
from classifiers.features import Features, features, pieces
from classifiers.fitting import labels
from classifiers.fitting.rows import Row
from classifiers.types import COMPLEXITIES, TASK_TYPES
from classifiers.weights_file import BLOCKS

# A feature of fewer prompts than this tells of those prompts, not of asking.
_LEAST_PROMPTS: Final = {"words": 4, "forms": 4, "material": 5}
_FORM_VALUE: Final = 0.5
_MATERIAL_VALUE: Final = 1.5


@dataclass(frozen=True, slots=True)
class Corpus:
    """Prompts without repetition. `rows[i]` stands at `index[i]`."""

    rows: Sequence[Row]
    index: Any
    found: Sequence[Features]
    digests: Sequence[str]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Corpus":
        places: dict[str, int] = {}
        found: list[Features] = []
        digests: list[str] = []
        index: list[int] = []
        for row in rows:
            at = places.get(row.prompt)
            if at is None:
                at = places[row.prompt] = len(found)
                found.append(_whole(features(asked(row.prompt))))
                digests.append(row.digest)
            index.append(at)
        return cls(rows, np.array(index, dtype=np.int64), found, digests)


def _whole(found: Features) -> Features:
    """The same with each word once, pieces of unspaced scripts among them."""
    return replace(found, words=sorted({*found.words, *pieces(found.runs)}))


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Columns: the words, then the forms, then the words of materials; each with the value it has in a row."""

    names: Mapping[str, tuple[str, ...]]
    values: Mapping[str, Any]

    @classmethod
    def of(cls, found: Iterable[Features], only_words: frozenset[str] | None = None) -> "Vocabulary":
        """Features frequent enough, in their own order. `only_words` narrows the words."""
        found = list(found)
        names: dict[str, tuple[str, ...]] = {}
        values: dict[str, Any] = {}
        for block in BLOCKS:
            counts = Counter(name for each in found for name in getattr(each, block))
            kept = tuple(sorted(name for name, count in counts.items() if count >= _LEAST_PROMPTS[block]))
            if block == "words" and only_words is not None:
                kept = tuple(name for name in kept if name in only_words)
            names[block] = kept
            if block == "words":
                rarity = np.array([len(found) / counts[name] for name in kept], dtype=float)
                values[block] = 0.5 + 0.5 * np.log(np.maximum(rarity, 1.0))
            else:
                values[block] = np.full(len(kept), _FORM_VALUE if block == "forms" else _MATERIAL_VALUE)
        return cls(names, values)

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(len(self.names[block]) for block in BLOCKS)

    def matrix(self, found: Sequence[Features]) -> Any:
        """One row per prompt: rare words weigh more, and words less the more known ones there are."""
        places = {block: {name: at for at, name in enumerate(self.names[block])} for block in BLOCKS}
        columns: list[int] = []
        cells: list[float] = []
        ends = [0]
        for each in found:
            first = 0
            for block in BLOCKS:
                own = [places[block][name] for name in sorted(getattr(each, block)) if name in places[block]]
                share = 1.0 if block == "forms" or not own else 1.0 / np.sqrt(len(own))
                columns.extend(first + at for at in own)
                cells.extend(self.values[block][own] * share)
                first += len(places[block])
            ends.append(len(columns))
        return sp.csr_matrix((cells, columns, ends), shape=(len(found), sum(self.sizes)))


@dataclass(frozen=True, slots=True)
class Known:
    """What is known for one head: prompts, targets (a row each), weights, sets."""

    prompts: Any
    targets: Any
    weights: Any
    sets: Any

    def where(self, chosen: Any) -> "Known":
        return Known(self.prompts[chosen], self.targets[chosen], self.weights[chosen], self.sets[chosen])


def domains(rows: Sequence[Row]) -> tuple[str, ...]:
    """The domains that rows name, in order."""
    return tuple(sorted({row.domain for row in rows if row.domain is not None}))


def known(corpus: Corpus, target_of: Callable[[Row], Sequence[float] | None]) -> Known:
    """Rows for which there is a target. A set weighs as the square root of its size: large ones do not drown others."""
    kept = [
        (at, row, target)
        for at, row in zip(corpus.index, corpus.rows, strict=True)
        if (target := target_of(row)) is not None
    ]
    sizes = Counter(row.set for _, row, _ in kept)
    return Known(
        np.array([at for at, _, _ in kept], dtype=np.int64),
        np.array([target for _, _, target in kept], dtype=float),
        np.array([sizes[row.set] ** -0.5 for _, row, _ in kept]),
        np.array([row.set for _, row, _ in kept]),
    )


def labelled_target(row: Row) -> Sequence[float] | None:
    """A person's label alone."""
    return None if row.form is None else _one_of(COMPLEXITIES, row.form)


def form_target(row: Row) -> Sequence[float] | None:
    """A person's label, or what models' success at an open task leaves possible."""
    if (labelled := labelled_target(row)) is not None:
        return labelled
    if row.set == "routellm_mtbench":
        worse, better = (row.scores[model] for model in labels.MTBENCH_PAIR)
        return labels.CHEAP_FELL_SHORT if better - worse >= labels.MTBENCH_GAP else labels.CHEAP_DID_WELL
    if row.set == "llmrouter_uiuc" and row.group in labels.OPEN_TASKS:
        cheap, _ = labels.CHEAP_AND_DEAR[row.set]
        solved = sum(row.scores[model] for model in cheap) / len(cheap)
        return labels.CHEAP_DID_WELL if solved >= labels.MOST_SOLVED else labels.CHEAP_FELL_SHORT
    return None


def solved_target(row: Row) -> Sequence[float] | None:
    """The cheapest group of models that solved it, where that was counted."""
    return None if row.outcome is None else _one_of(COMPLEXITIES, row.outcome)


def outcome_target(row: Row) -> Sequence[float] | None:
    """What is known of who solves it; of two groups of models only a part. What none solved is hard."""
    if (counted := solved_target(row)) is not None:
        return counted
    if row.set == "empirical_cheapest_sufficient":
        return labels.NONE_SOLVED
    if row.set not in labels.BOUNDED_BY_OUTCOMES or (
        row.set == "llmrouter_uiuc" and row.group not in labels.EXAM_TASKS
    ):
        return None
    cheap, dear = (
        float(np.mean([row.scores[model] for model in models])) for models in labels.CHEAP_AND_DEAR[row.set]
    )
    if cheap >= labels.MOST_SOLVED:
        return labels.CHEAP_SOLVED
    return labels.DEAR_SOLVED if dear >= labels.MOST_SOLVED else labels.NONE_SOLVED


def task_target(row: Row) -> Sequence[float] | None:
    return None if row.task_type is None else _one_of(TASK_TYPES, row.task_type)


def domain_target(names: Sequence[str]) -> Callable[[Row], Sequence[float] | None]:
    return lambda row: None if row.domain is None else _one_of(names, row.domain)


def exam_target(row: Row) -> Sequence[float] | None:
    """Open, closed."""
    if row.set in labels.OPEN_SETS:
        return (1.0, 0.0)
    if row.set in labels.EXAM_SETS:
        return (0.0, 1.0)
    if row.set == "llmrouter_uiuc":
        return (0.0, 1.0) if row.group in labels.EXAM_TASKS else (1.0, 0.0)
    return None


def gain_target(row: Row) -> Sequence[float] | None:
    """How much better dear models did than cheap ones."""
    pair = labels.CHEAP_AND_DEAR.get(row.set)
    if pair is None:
        return None
    cheap, dear = ([row.scores[model] for model in models if model in row.scores] for models in pair)
    return (float(np.mean(dear) - np.mean(cheap)),) if cheap and dear else None


def _one_of(names: Sequence[str], name: str) -> Sequence[float]:
    return tuple(float(each == name) for each in names)
