"""Benchmark rows and the table of names: what is unclear is refused by name."""

from typing import Any

import orjson
import pytest

from proxy.routing.catalogue.benchmarks import BenchmarkError, Names, Snapshot, read_names, read_snapshot

BENCHMARKS = frozenset({"live:A", "live:B", "arena"})
NAMES = Names({"m": {"live": "m-high", "arena": "M"}}, {"r": {"live": "r"}})


def _line(benchmark: str, model: str, score: Any, **more: Any) -> bytes:
    row = {"benchmark": benchmark, "model": model, "score": score, "date": "2026-01-08", "source": "s"}
    return orjson.dumps(row | more) + b"\n"


ROWS = [
    _line("live:A", "m-high", 80.0),
    _line("live:A", "r", 60),
    _line("live:A", "other", 40.0),
    _line("live:B", "m-high", 10.0),
    _line("live:B", "r", 20.0),
    _line("arena", "M", 1500),
    _line("arena", "unused", 1400),
    _line("elsewhere", "M", 1),
]


def _read(*lines: bytes) -> Snapshot:
    return read_snapshot(b"".join(lines), "f", NAMES, BENCHMARKS, "live")


def test_what_is_kept() -> None:
    """The rows of the table's names, and mean and spread of all rows where they count."""
    snapshot = _read(*ROWS)
    assert {
        "m": {"live:A": 80.0, "live:B": 10.0, "arena": 1500.0},
        "r": {"live:A": 60.0, "live:B": 20.0},
    } == (snapshot.scores)
    assert [("arena", "M"), ("live:A", "m-high"), ("live:A", "r"), ("live:B", "m-high"), ("live:B", "r")] == [
        (row.benchmark, row.model) for row in snapshot.rows
    ]
    population = snapshot.populations["live:A"]
    assert (3, 60.0, 16.329932) == (population.models, population.mean, population.deviation)


def test_a_snapshot_reads_as_the_file_it_was_made_of() -> None:
    """Byte for byte, whatever the order of the file's lines."""
    kept = _read(*ROWS).to_bytes()
    assert kept == _read(*reversed(ROWS)).to_bytes()
    assert kept == _read(kept).to_bytes()
    assert _read(*ROWS) == _read(kept)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], "f: holds no row of a benchmark that is looked at"),
        (ROWS[1:], None),
        ([*ROWS[:5], *ROWS[6:]], 'f: no row of arena is called "M", which stands for m'),
        ([ROWS[0], ROWS[2], *ROWS[3:4], _line("live:B", "x", 2), ROWS[5]], 'f: no row of live is called "r"'),
        ([*ROWS, _line("arena", "M", 1501)], 'f, line 9: a second row of arena for "M"'),
        ([*ROWS, ROWS[0]], 'f, line 9: a second row of live:A for "m-high"'),
        (
            [*ROWS, b'{"benchmark": "arena", "model": "x", "score": NaN}'],
            "f, line 9: is no JSON, in which NaN",
        ),
        ([*ROWS, _line("arena", "x", None)], "f, line 9: `score` must be a number, not null"),
        ([*ROWS, _line("arena", "x", "nan")], 'f, line 9: `score` must be a number, not "nan"'),
        ([*ROWS, _line("arena", "x", score=True)], "f, line 9: `score` must be a number, not true"),
        ([*ROWS, _line("arena", "", 1)], "f, line 9: `model` is missing"),
        ([*ROWS, _line("arena", "x", 1, source=None)], "f, line 9: `source` is missing"),
        ([*ROWS, b"[]"], "f, line 9: must be an object"),
        ([*ROWS[:3], ROWS[5]], "f: no rows of live:B"),
        (
            [*ROWS[:3], _line("live:B", "m-high", 5), _line("live:B", "r", 5)],
            "f: all rows of live:B have the same",
        ),
    ],
)
def test_refused(lines: list[bytes], expected: str | None) -> None:
    """A missing model, a score that is no number, a row twice: each with its place."""
    if expected is None:  # one of a name's several tests may lack a row
        assert {"live:B": 10.0, "arena": 1500.0} == _read(*lines).scores["m"]
        return
    with pytest.raises(BenchmarkError) as refused:
        _read(*lines)
    assert str(refused.value).startswith(expected)


def test_a_second_row_that_nobody_uses_is_no_matter() -> None:
    """The whole file may hold what the table does not name."""
    assert _read(*ROWS) == _read(*ROWS, ROWS[6], ROWS[7])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("models: {a: {x: y}}", "t: must hold the sections models and references"),
        ("models: {a: [x]}\nreferences: {}", "t: models.a must be a mapping"),
        ("models: {a: {x: 5}}\nreferences: {}", "t: models.a must be a mapping"),
        ("models: {a: {x: y}}\nreferences: {a: {x: z}}", "t: a is among the models and the references"),
        ("models: {a: {x: y}, a: {x: z}}\nreferences: {}", "t: line 1"),
    ],
)
def test_a_table_that_is_none(text: str, expected: str) -> None:
    """The table is read as strictly."""
    with pytest.raises(BenchmarkError) as refused:
        read_names(text.encode(), "t")
    assert str(refused.value).startswith(expected)
