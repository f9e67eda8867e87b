"""What a choice is: attempts in order, and the grounds it stands on, from which reasons can be told afterwards."""

from typing import NamedTuple

from proxy.routing.filters import Drop
from proxy.routing.shelf import Grade, Row, Shelf
from proxy.routing.snapshot import Snapshot
from proxy.routing.standing import Standing
from proxy.routing.types import Attempt, Facts, Verdict
from proxy.routing.wishes import Ordering, Wishes

Kept = tuple[int, int, float, Row, Standing, Grade, int]
"""A candidate that may serve the request: its group, its band in it and its rate, the smaller the better, in this
order; then what these are made of, and the number of its line."""

Dropped = tuple[Row, Drop]


class Line(NamedTuple):
    """Candidates of one name of a request. `ordering`: what puts them in order."""

    shelf: Shelf
    ordering: Ordering


class Grounds(NamedTuple):
    """All that was weighed. `kept` in the order of the attempts; `output_tokens` as expected."""

    facts: Facts
    wishes: Wishes
    snapshot: Snapshot
    lines: tuple[Line, ...]
    kept: tuple[Kept, ...]
    dropped: tuple[Dropped, ...]
    output_tokens: int


class Plan(NamedTuple):
    """Attempts in order, never empty.

    Attributes:
        tier: `None` when a model was named.
        raised: doubt about the verdict moved the tier up.
        because: why it is not the tier of the verdict alone, in words an operator understands; empty where it is.
        lowered_from: the tier that a budget's soft limit kept the request from.
        strategy: what ordered the attempts.
        ignored: names in `models` that are unknown or may not be asked for.
        deadline_s: the client's own, from arrival; `None` without one.
        grounds: what reasons are made of; `None` where nothing was weighed.
    """

    tier: str | None
    verdict: Verdict
    attempts: tuple[Attempt, ...]
    raised: bool = False
    because: str = ""
    lowered_from: str | None = None
    strategy: str = "order"
    deadline_s: float | None = None
    ignored: tuple[str, ...] = ()
    grounds: Grounds | None = None
