"""A piece of load and what came of it, as values that travel between processes as JSON."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson


class Shape(StrEnum):
    PLAIN = "plain"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Job:
    """Load on one port of the loopback.

    Closed loop: `connections` workers, each sending as soon as it is answered, for `duration_s`, or until
    `total` requests were sent. Open loop: `rate_per_s` arrivals, however slow the answers. `ramp_s` spreads
    the start of the workers; `drain_s` is what open requests get after the end.
    """

    port: int
    key: str
    model: str
    shape: Shape
    chunks: int = 0
    connections: int = 1
    total: int = 0
    rate_per_s: float = 0
    duration_s: float = 5
    drain_s: float = 30
    ramp_s: float = 0
    body_bytes: int = 1000

    def request(self) -> bytes:
        """The request, head and body."""
        asked: dict[str, Any] = {"model": self.model, "max_tokens": 512, "temperature": 0.7}
        if self.shape is Shape.STREAM:
            asked |= {"stream": True, "stream_options": {"include_usage": True}}
        asked["messages"] = [{"role": "user", "content": ""}]
        missing = max(1, self.body_bytes - len(orjson.dumps(asked)))
        asked["messages"][0]["content"] = ("lorem ipsum dolor " * (missing // 18 + 1))[:missing]
        body = orjson.dumps(asked)
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\n"
            f"authorization: Bearer {self.key}\r\ncontent-type: application/json\r\naccept: */*\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass(slots=True)
class Tally:
    """What came of a job. Only right answers count in `right`, `chunks` and the times."""

    right: int = 0
    chunks: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    sample: str = ""
    latencies_s: list[float] = field(default_factory=list)
    first_words_s: list[float] = field(default_factory=list)
    most_open: int = 0
    seconds: float = 0.0

    def wrong(self, kind: str, detail: str) -> None:
        self.errors[kind] += 1
        self.sample = self.sample or f"{kind}: {detail[:300]}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A tally in figures; times in milliseconds, nearest rank, absent without a right answer."""

    right: int
    chunks: int
    errors: dict[str, int]
    sample: str
    seconds: float
    most_open: int
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    first_word_p50_ms: float | None
    first_word_p99_ms: float | None

    @property
    def wrong(self) -> int:
        return sum(self.errors.values())


def outcome(tally: Tally) -> Outcome:
    return Outcome(
        right=tally.right,
        chunks=tally.chunks,
        errors=dict(tally.errors),
        sample=tally.sample,
        seconds=tally.seconds,
        most_open=tally.most_open,
        latency_p50_ms=percentile_ms(tally.latencies_s, 50),
        latency_p99_ms=percentile_ms(tally.latencies_s, 99),
        first_word_p50_ms=percentile_ms(tally.first_words_s, 50),
        first_word_p99_ms=percentile_ms(tally.first_words_s, 99),
    )


def percentile_ms(seconds: Sequence[float], percent: int) -> float | None:
    if not seconds:
        return None
    rank = -(-len(seconds) * percent // 100)
    return round(sorted(seconds)[max(0, rank - 1)] * 1000, 3)
