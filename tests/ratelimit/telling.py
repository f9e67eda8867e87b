"""Hears what an operator would be told."""

from dataclasses import dataclass, field
from pathlib import Path

from ratelimit.store.errors import StoreFault


@dataclass
class Told:
    """Everything that was said, in order, by name."""

    faults: list[str] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    kept_counts: list[int] = field(default_factory=list)
    taken_counts: list[int] = field(default_factory=list)
    problems: list[tuple[str, int | None]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def fault(self, what: str, fault: StoreFault) -> None:
        del fault
        self.faults.append(what)

    def unsettled(self, count: int) -> None:
        self.lost.append(count)

    def kept(self, count: int, path: Path) -> None:
        del path
        self.kept_counts.append(count)

    def not_kept(self, count: int, reason: str) -> None:
        self.lost.append(count)
        self.reasons.append(reason)

    def taken_up(self, count: int, path: Path) -> None:
        del path
        self.taken_counts.append(count)

    def unreadable(self, path: Path, line_number: int | None, reason: str) -> None:
        self.problems.append((path.name, line_number))
        self.reasons.append(reason)
