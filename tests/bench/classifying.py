"""`python -m tests.bench.classifying`: CPU per request of the classification, by size and language. No data needed."""

import sys
import time
from collections.abc import Sequence
from typing import Final

from classifiers.asking.messages import asked
from classifiers.cascade import THRESHOLDS, Cascade, settled
from classifiers.rules import Rules
from classifiers.scorer import load

_SENTENCES: Final = {
    "English": "Our billing service loses an event now and then when the queue restarts, and I want to find out why. ",
    "Chinese": "我们的计费服务在队列重启时偶尔会丢失事件，请帮我找出原因并给出修复方案。",
    "Russian": "Наш сервис оплаты иногда теряет события при перезапуске очереди, и я хочу понять, почему так выходит. ",
    "code": "def settle(events, limit=10):\n    for event in events[:limit]:\n        yield event.total * 2\n\n",
}
_SIZES_CHARS: Final = (100, 1_000, 100_000, 1_000_000)


def microseconds(text: str, cascade: Cascade, least_s: float) -> float:
    """The fastest of repeated runs, in CPU time: other work on the machine only ever adds."""
    best, spent = float("inf"), 0.0
    while spent < least_s:
        begin = time.process_time()
        settled(cascade.judge(asked(text), THRESHOLDS["balanced"]))
        took = time.process_time() - begin
        best, spent = min(best, took), spent + max(took, 1e-6)
    return best * 1e6


def figures(sizes_chars: Sequence[int] = _SIZES_CHARS, least_s: float = 0.2) -> dict[str, list[float]]:
    """Microseconds per request: a row per kind of text, a column per size."""
    cascade = Cascade(Rules(), load())
    return {
        name: [
            microseconds((sentence * (size // len(sentence) + 1))[:size], cascade, least_s)
            for size in sizes_chars
        ]
        for name, sentence in _SENTENCES.items()
    }


def main() -> None:
    lines = ["CPU per request, us    " + "".join(f"{size:>12,}" for size in _SIZES_CHARS)]
    lines += [f"{name:<22} " + "".join(f"{value:12.0f}" for value in row) for name, row in figures().items()]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
