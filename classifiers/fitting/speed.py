"""CPU per request of finding the ask, rules and scorer, on requests of several sizes."""

import time
from collections.abc import Sequence
from typing import Any, Final

from classifiers.asking.messages import asked
from classifiers.fitting.judged import Judge
from classifiers.fitting.rows import Row

_SIZES: Final = {"1 kB": 1_000, "100 kB": 100_000, "1 MB": 1_000_000}
_ROUNDS: Final = {"1 kB": 20, "100 kB": 5, "1 MB": 3}
_SAMPLES: Final = 40


def measured(rows: Sequence[Row], judge: Judge) -> dict[str, Any]:
    """Median over requests of the fastest round of each, in microseconds: other work on the machine only ever adds."""
    joined = "\n\n".join(row.prompt for row in rows)
    found: dict[str, Any] = {}
    for name, size in _SIZES.items():
        step = max(1, (len(joined) - size) // _SAMPLES)
        texts = [joined[at : at + size] for at in range(0, max(len(joined) - size, 1), step)][:_SAMPLES]
        if len(joined) < size:
            texts = [(joined * (size // len(joined) + 1))[:size]]
        found[name] = _median([_fastest(text, judge, _ROUNDS[name]) for text in texts])
    own = [row.prompt for row in rows if 900 <= len(row.prompt) <= 1_100][:_SAMPLES]
    found["whole requests of 0.9 to 1.1 kB"] = _median(
        [_fastest(text, judge, _ROUNDS["1 kB"]) for text in own]
    )
    return found


def _fastest(text: str, judge: Judge, rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        begin = time.process_time_ns()
        judge.verdict(asked(text))
        best = min(best, (time.process_time_ns() - begin) / 1_000)
    return best


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0
