"""What was noted and is not in the store yet, and the batches it leaves in."""

from dataclasses import dataclass
from typing import Final

import orjson

from ratelimit.health.news import Opening, Verdicts
from ratelimit.health.spoken import name_of
from ratelimit.health.summary import FAULTS, KINDS
from ratelimit.health.types import Target

HOUR_S: Final = 3600.0
HOURS: Final = 168
RECENT_S: Final = 300.0
SLOT_S: Final = 10.0
# One script's share: about 2 ms of the server's time.
BATCH_CELLS: Final = 64

_OK: Final = KINDS["ok"]
_FAULTS: Final = tuple(KINDS[kind] for kind in KINDS if kind in FAULTS)
_SATURATED: Final = KINDS["rate_limited"]


class Cell:
    """The tally of one backend over ten seconds at most, longer only when it has waited for the store."""

    __slots__ = ("backend", "begun_s", "tally")

    def __init__(self, backend: str, begun_s: float) -> None:
        self.backend = backend
        self.begun_s = begun_s
        self.tally: dict[int, int] = {}

    def add(self, other: "Cell") -> None:
        for index, count in other.tally.items():
            self.tally[index] = self.tally.get(index, 0) + count


@dataclass(frozen=True, slots=True)
class Batch:
    """What leaves in one script. Sent again unchanged, under the same number, until the store has said it has it.

    Times are of the gateway's own clock; `encoded` turns them into ages, so that a late batch counts where it
    belongs.
    """

    number: int
    cells: tuple[Cell, ...]
    verdicts: tuple[Verdicts, ...]
    openings: tuple[Opening, ...]

    @property
    def backends(self) -> tuple[str, ...]:
        """Those it counts for or may open or close, each once."""
        targets = [target for probe in self.verdicts for target in probe.of]
        targets += [opening.target for opening in self.openings]
        named = [cell.backend for cell in self.cells] + [
            target.backend for target in targets if target.backend
        ]
        return tuple(dict.fromkeys(named))

    def encoded(self, now_s: float) -> bytes:
        """JSON: `{backends: [id], cells: [[backend, age_ms, answered, failed, saturated, [index, count, …]]],
        verdicts: [[circuit, token, passed|failed|unclear]], openings: [[circuit, reason, for_ms]]}`. A cell names
        its backend by its place in `backends`, from 1.
        """
        number_of = {backend: number for number, backend in enumerate(self.backends, start=1)}
        return orjson.dumps(
            {
                "backends": self.backends,
                "cells": [
                    (
                        number_of[cell.backend],
                        _ms(now_s - cell.begun_s),
                        cell.tally.get(_OK, 0),
                        sum(cell.tally.get(index, 0) for index in _FAULTS),
                        cell.tally.get(_SATURATED, 0),
                        [number for entry in cell.tally.items() for number in entry],
                    )
                    for cell in self.cells
                ],
                "verdicts": [
                    (name_of(target), probe.token, verdict)
                    for probe in self.verdicts
                    for target, verdict in probe.of.items()
                ],
                "openings": [
                    (name_of(opening.target), opening.reason, _ms(opening.until_s - now_s))
                    for opening in self.openings
                    if opening.until_s > now_s
                ],
            }
        )


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))


class Gathering:
    """Bounded by the number of backends, however long the store is away.

    Per backend: ten-second cells of the last five minutes, older ones an hour each, none older than 7 days, when
    they would not count any more.
    """

    __slots__ = ("_filling", "_number", "_openings", "_sent", "_verdicts", "_waiting")

    def __init__(self) -> None:
        self._filling: dict[str, Cell] = {}
        self._waiting: dict[str, list[Cell]] = {}
        self._openings: dict[Target, Opening] = {}
        self._verdicts: dict[Target, Verdicts] = {}
        self._sent: Batch | None = None
        self._number = 0

    def cell(self, backend: str, now_s: float) -> Cell:
        """Where to count what ends now."""
        cell = self._filling.get(backend)
        if cell is not None:
            if now_s - cell.begun_s < SLOT_S:
                return cell
            self._waiting[backend] = _condensed([*self._waiting.get(backend, ()), cell], now_s)
        cell = self._filling[backend] = Cell(backend, now_s)
        return cell

    def open(self, opening: Opening) -> None:
        """Open it with the next batch; of two for one circuit the later end, and the word that someone must act."""
        known = self._openings.get(opening.target)
        if known is not None:
            reason = "auth" if known.reason == "auth" else opening.reason
            opening = Opening(opening.target, reason, max(known.until_s, opening.until_s))
        self._openings[opening.target] = opening

    def end_probe(self, verdicts: Verdicts) -> None:
        """Say with the next batch what a probe has shown."""
        for target, verdict in verdicts.of.items():
            self._verdicts[target] = Verdicts(verdicts.token, {target: verdict})
            if verdict == "passed":
                # What was held against it before is answered.
                self._openings.pop(target, None)

    @property
    def openings(self) -> tuple[Opening, ...]:
        """Those the store has not confirmed."""
        return (*(self._sent.openings if self._sent is not None else ()), *self._openings.values())

    @property
    def verdicts(self) -> tuple[Verdicts, ...]:
        """Those the store has not confirmed."""
        return (*(self._sent.verdicts if self._sent is not None else ()), *self._verdicts.values())

    @property
    def waiting(self) -> bool:
        """True while there are cells that `batch` would give out."""
        return bool(self._waiting)

    def collect(self) -> None:
        """Let what was counted up to now leave with the next batches."""
        for backend, cell in self._filling.items():
            self._waiting.setdefault(backend, []).append(cell)
        self._filling = {}

    def batch(self) -> Batch | None:
        """The next to send: the one whose fate is unknown, else a new one; None when there is nothing."""
        if self._sent is not None:
            return self._sent
        cells: list[Cell] = []
        while self._waiting and len(cells) < BATCH_CELLS:
            backend, waiting = self._waiting.popitem()
            room = BATCH_CELLS - len(cells)
            cells += waiting[:room]
            if waiting[room:]:
                self._waiting[backend] = waiting[room:]
        if not (cells or self._openings or self._verdicts):
            return None
        self._number += 1
        self._sent = Batch(
            self._number, tuple(cells), tuple(self._verdicts.values()), tuple(self._openings.values())
        )
        self._openings = {}
        self._verdicts = {}
        return self._sent

    def written(self) -> None:
        """The store has the batch that was sent."""
        self._sent = None


def _condensed(cells: list[Cell], now_s: float) -> list[Cell]:
    """Old cells an hour each, those that would not count any more left out. Oldest first, as they came."""
    condensed: list[Cell] = []
    for cell in cells:
        age_s = now_s - cell.begun_s
        if age_s >= (HOURS + 1) * HOUR_S:
            continue
        last = condensed[-1] if condensed else None
        if last is not None and age_s > RECENT_S and last.begun_s // HOUR_S == cell.begun_s // HOUR_S:
            last.add(cell)
        else:
            condensed.append(cell)
    return condensed
