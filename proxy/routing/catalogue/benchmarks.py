"""Rows of benchmarks, and the table that says which row is which model. Nothing is guessed: what is unclear is refused.

A snapshot is what is kept of a whole file: the rows of the table's names, and mean and spread of the benchmarks whose
scale the others are brought to. The same numbers come out of a snapshot as out of the file it was made of.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Any, Final

import orjson

from proxy.settings.document import DocumentError, parse

_SECTIONS: Final = ("models", "references")


class BenchmarkError(Exception):
    """A file cannot be used; the message names it and the line or entry."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a benchmark measured of a model, by its own name for it."""

    benchmark: str
    model: str
    score: float
    date: str
    source: str


@dataclass(frozen=True, slots=True)
class Population:
    """All models that a benchmark measured."""

    benchmark: str
    models: int
    mean: float
    deviation: float


@dataclass(frozen=True, slots=True)
class Names:
    """Which row is which model: by public id or a name for it, then by benchmark or by the first part of its name."""

    models: Mapping[str, Mapping[str, str]]
    references: Mapping[str, Mapping[str, str]]

    def items(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Of both kinds."""
        yield from self.models.items()
        yield from self.references.items()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What ranking reads.

    Attributes:
        scores: by the model's name in the table, then by benchmark.
        rows: what they come from, in the order in which they are kept.
    """

    scores: Mapping[str, Mapping[str, float]]
    populations: Mapping[str, Population]
    rows: tuple[Row, ...]

    def to_bytes(self) -> bytes:
        """The file of this snapshot, an object a line."""
        populations: Iterable[dict[str, Any]] = (
            {
                "benchmark": each.benchmark,
                "models": each.models,
                "mean": each.mean,
                "deviation": each.deviation,
            }
            for _, each in sorted(self.populations.items())
        )
        rows: Iterable[dict[str, Any]] = (
            {
                "benchmark": row.benchmark,
                "model": row.model,
                "score": row.score,
                "date": row.date,
                "source": row.source,
            }
            for row in self.rows
        )
        lines = [*populations, *rows]
        return b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines)


def read_names(data: bytes, name: str) -> Names:
    """The table of names.

    Raises:
        BenchmarkError: it is none.
    """
    try:
        values = parse(data)
    except DocumentError as error:
        raise BenchmarkError(f"{name}: {error}") from error
    if not isinstance(values, dict) or set(values) != set(_SECTIONS):
        raise BenchmarkError(f"{name}: must hold the sections models and references and nothing else")
    for section in _SECTIONS:
        for key, names in (values[section] or {}).items():
            if not isinstance(names, dict) or not all(isinstance(each, str) for each in names.values()):
                raise BenchmarkError(f"{name}: {section}.{key} must be a mapping of benchmarks to names")
    both = set(values["models"]) & set(values["references"])
    if both:
        raise BenchmarkError(f"{name}: {min(both)} is among the models and the references")
    return Names(values["models"], values["references"])


def read_snapshot(data: bytes, name: str, names: Names, benchmarks: frozenset[str], scale: str) -> Snapshot:
    """What the table names of a file of rows, or of a snapshot.

    Args:
        name: of the file, for messages.
        benchmarks: those that are looked at.
        scale: the first part of those whose population counts.

    Raises:
        BenchmarkError: a line that is no row, a score that is no number, a name without a row, or a row twice.
    """
    rows, populations = _read(data, name, benchmarks)
    for benchmark in sorted(each for each in benchmarks if _suite(each) == scale):
        if benchmark not in populations:
            measured = [row for (known, _), (row, _) in rows.items() if known == benchmark]
            if len(measured) < 2:
                raise BenchmarkError(f"{name}: no rows of {benchmark}")
            scores = [row.score for row in measured]
            deviation = round(pstdev(scores), 6)
            if not deviation:
                raise BenchmarkError(f"{name}: all rows of {benchmark} have the same score")
            populations[benchmark] = Population(benchmark, len(scores), round(fmean(scores), 6), deviation)
    scores_of: dict[str, dict[str, float]] = {}
    used: dict[tuple[str, str], Row] = {}
    for key, by_suite in names.items():
        scores_of[key] = {}
        for suite, model in by_suite.items():
            found = [benchmark for benchmark in sorted(benchmarks) if suite in (benchmark, _suite(benchmark))]
            known = [benchmark for benchmark in found if (benchmark, model) in rows]
            if not known:
                raise BenchmarkError(f'{name}: no row of {suite} is called "{model}", which stands for {key}')
            for benchmark in known:
                row, again = rows[benchmark, model]
                if again is not None:
                    raise BenchmarkError(f'{name}, {again}: a second row of {benchmark} for "{model}"')
                scores_of[key][benchmark] = row.score
                used[benchmark, model] = row
    return Snapshot(scores_of, populations, tuple(used[key] for key in sorted(used)))


_Rows = dict[tuple[str, str], tuple[Row, str | None]]


def _read(data: bytes, name: str, benchmarks: frozenset[str]) -> tuple[_Rows, dict[str, Population]]:
    """The rows, each with the place of a second one if there is one, and populations that the file states."""
    rows: _Rows = {}
    populations: dict[str, Population] = {}
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        where = f"line {number}"
        try:
            values = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise BenchmarkError(
                f"{name}, {where}: is no JSON, in which NaN is no number: {error}"
            ) from error
        if not isinstance(values, dict):
            raise BenchmarkError(f"{name}, {where}: must be an object")
        benchmark = _text(values, "benchmark", name, where)
        if "mean" in values:
            mean, deviation = (_number(values, key, name, where) for key in ("mean", "deviation"))
            populations[benchmark] = Population(
                benchmark, int(_number(values, "models", name, where)), mean, deviation
            )
            continue
        row = Row(
            benchmark,
            _text(values, "model", name, where),
            _number(values, "score", name, where),
            _text(values, "date", name, where),
            _text(values, "source", name, where),
        )
        if benchmark in benchmarks:
            first, again = rows.setdefault((benchmark, row.model), (row, None))
            if first is not row and again is None:
                rows[benchmark, row.model] = (first, where)
    if not rows:
        raise BenchmarkError(f"{name}: holds no row of a benchmark that is looked at")
    return rows, populations


def _suite(benchmark: str) -> str:
    return benchmark.partition(":")[0]


def _text(values: Mapping[str, Any], key: str, name: str, where: str) -> str:
    value = values.get(key)
    if not isinstance(value, str) or not value:
        raise BenchmarkError(f"{name}, {where}: `{key}` is missing")
    return value


def _number(values: Mapping[str, Any], key: str, name: str, where: str) -> float:
    value = values.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BenchmarkError(
            f"{name}, {where}: `{key}` must be a number, not {orjson.dumps(value).decode()[:40]}"
        )
    return float(value)
