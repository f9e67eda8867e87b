"""What the scripts of `ratelimit.health` do, in this process: a week has 200,000 calls, and a server is a switch away.

Same arithmetic, same replies; a test holds a simulation on this against one on the scripts themselves in a real server.
"""

from collections.abc import Sequence
from math import floor
from typing import Any, Final, cast

import orjson

from ratelimit.store.scripts import Script
from ratelimit.store.store import Argument
from tests.bench.routing.headgate import Clock

_HOUR_MS: Final = 3_600_000
_HOURS: Final = 168
_SLOT_MS: Final = 10_000
_RECENT_SLOTS: Final = 30
_WINDOW_SLOTS: Final = 6
_FORGET_MS: Final = _HOUR_MS

Ring = list[list[int]]
"""Slots of ten seconds: number, answered, failed, saturated."""


class _Backend:
    """One backend's figures. Tallies are kept as they are read, too: packed."""

    __slots__ = ("hours", "packed", "recent", "week", "week_of", "week_packed", "window")

    def __init__(self) -> None:
        self.hours: dict[int, dict[int, int]] = {}
        self.packed: dict[int, bytes] = {}
        self.week: dict[int, int] = {}
        self.week_packed: bytes | None = None
        self.week_of: int | None = None
        self.recent: Ring = []
        self.window: Ring = []

    def count(self, hour: int, numbers: Sequence[int]) -> None:
        pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
        tally = self.hours.setdefault(hour, {})
        _add(tally, pairs, 1)
        self.packed[hour] = _packed(tally)
        if self.week_of is not None and self.week_of - _HOURS < hour < self.week_of:
            _add(self.week, pairs, 1)
            self.week_packed = _packed(self.week)

    def roll(self, hour: int) -> None:
        """The running week moves on by one hour."""
        _add(self.week, self.hours.get(hour - 1, {}).items(), 1)
        _add(self.week, self.hours.get(hour - _HOURS, {}).items(), -1)
        self.week_packed, self.week_of = _packed(self.week), hour

    def recount(self, hour: int) -> None:
        self.week = {}
        for other, tally in self.hours.items():
            if hour - _HOURS < other < hour:
                _add(self.week, tally.items(), 1)
        self.week_packed, self.week_of = _packed(self.week), hour

    def part(self, hour: int) -> list[object]:
        """Its part of a snapshot."""
        if self.week_of == hour - 1:
            self.roll(hour)
        return [
            self.week_packed,
            self.packed.get(hour),
            self.packed.get(hour - 1),
            _packed_ring(self.recent) if self.recent else None,
            int(self.week_of != hour),
        ]


class RememberingStore:
    """As much of a `Store` as health needs; see `ScriptStore`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._circuits: dict[str, dict[str, Any]] = {}
        self._backends: dict[str, _Backend] = {}
        self.offset_us = 0

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> object:
        """What the script of this name would answer at the simulated time."""
        now_ms = floor(round(self._clock() * 1_000_000) / 1000)
        match script.name:
            case "write":
                return self._write(keys, args, now_ms)
            case "snapshot":
                return self._snapshot(keys, now_ms)
            case "recount":
                self._backends[keys[0]].recount(now_ms // _HOUR_MS)
                return 1
            case "probe":
                return self._probe(str(args[1]), int(args[2]), [str(each) for each in args[3:]], now_ms)
        raise AssertionError(script.name)

    def _snapshot(self, keys: Sequence[str], now_ms: int) -> list[object]:
        for name in [
            name for name, each in self._circuits.items() if each["open_until"] + _FORGET_MS < now_ms
        ]:
            del self._circuits[name]
        circuits = [
            part for name, each in self._circuits.items() for part in (name.encode(), orjson.dumps(each))
        ]
        hour = now_ms // _HOUR_MS
        found = [self._backends.get(key) for key in keys[1:]]
        return [
            now_ms,
            circuits,
            now_ms // _SLOT_MS,
            *(None if each is None else each.part(hour) for each in found),
        ]

    def _write(self, keys: Sequence[str], args: Sequence[Argument], now_ms: int) -> list[list[bytes]]:
        ratio, least, cool_down_ms, longest_ms = (float(each) for each in args[2:6])
        batch = orjson.loads(cast("bytes", args[6]))
        key_of = dict(zip(batch["backends"], keys[2:], strict=True))
        changes: list[tuple[str, str, str]] = []
        for number, age_ms, answered, failed, saturated, numbers in batch["cells"]:
            backend = self._backends.setdefault(keys[number + 1], _Backend())
            self._count(backend, now_ms, now_ms - age_ms, (answered, failed, saturated), numbers)
        for name, token, shown in batch["verdicts"]:
            self._judge(name, token, shown, (cool_down_ms, longest_ms), key_of, now_ms, changes)
        for name, reason, length_ms in batch["openings"]:
            self._open(name, reason, length_ms, now_ms, changes)
        for backend, key in key_of.items():
            name = f"{backend}\n"
            known = self._backends.get(key)
            if known is not None and known.window and cool_down_ms > 0 and name not in self._circuits:
                oldest = now_ms // _SLOT_MS - _WINDOW_SLOTS
                answered = sum(slot[1] for slot in known.window if slot[0] > oldest)
                failed = sum(slot[2] for slot in known.window if slot[0] > oldest)
                if failed > 0 and answered + failed >= least and failed >= ratio * (answered + failed):
                    self._open(name, "errors", cool_down_ms, now_ms, changes)
        return [[part.encode() for part in change] for change in changes]

    def _count(
        self, backend: _Backend, now_ms: int, at_ms: int, cell: tuple[int, int, int], numbers: Sequence[int]
    ) -> None:
        if at_ms // _HOUR_MS > now_ms // _HOUR_MS - _HOURS:
            backend.count(at_ms // _HOUR_MS, numbers)
            slot, present = at_ms // _SLOT_MS, now_ms // _SLOT_MS
            if sum(cell) > 0 and slot > present - _RECENT_SLOTS:
                backend.recent = _counted(backend.recent, present - _RECENT_SLOTS, slot, cell)
                if slot > present - _WINDOW_SLOTS:
                    backend.window = _counted(backend.window, present - _WINDOW_SLOTS, slot, cell)

    def _judge(
        self,
        name: str,
        token: str,
        shown: str,
        lengths_ms: tuple[float, float],
        key_of: dict[str, str],
        now_ms: int,
        changes: list[tuple[str, str, str]],
    ) -> None:
        value = self._circuits.get(name)
        if value is None or value["token"] != token:
            return
        if shown == "passed":
            del self._circuits[name]
            key = key_of.get(name[:-1]) if name.endswith("\n") else None
            if key in self._backends:
                self._backends[key].window = []
            changes.append((name, "closed", value["reason"]))
            return
        value["token"], value["leased_until"] = "", 0
        if shown == "failed":
            cool_down_ms, longest_ms = lengths_ms
            value["cool_down"] = min(max(2 * value["cool_down"], cool_down_ms, 1000), longest_ms)
            value["open_until"] = max(value["open_until"], now_ms + value["cool_down"])
            changes.append((name, "reopened", value["reason"]))

    def _open(
        self, name: str, reason: str, length_ms: float, now_ms: int, changes: list[tuple[str, str, str]]
    ) -> None:
        """No key is refused in these worlds."""
        assert reason != "auth"
        value = self._circuits.get(name)
        until_ms = now_ms + length_ms
        if value is None:
            self._circuits[name] = {
                "open_until": until_ms,
                "cool_down": length_ms,
                "reason": reason,
                "token": "",
                "leased_until": 0,
            }
            changes.append((name, "opened", reason))
            return
        if until_ms > value["open_until"]:
            value["open_until"], value["reason"] = until_ms, reason
        value["cool_down"] = max(value["cool_down"], length_ms)

    def _probe(self, token: str, lease_ms: int, names: Sequence[str], now_ms: int) -> list[object]:
        values = [(name, self._circuits[name]) for name in names if name in self._circuits]
        for _, value in values:
            taken = now_ms < value["leased_until"] and value["token"] != token
            if now_ms < value["open_until"] or taken:
                return [0]
        for _, value in values:
            value["token"], value["leased_until"] = token, now_ms + lease_ms
        return [1, *(name.encode() for name, _ in values)]


def _add(tally: dict[int, int], pairs: Any, factor: int) -> None:
    for index, count in pairs:
        total = tally.get(index, 0) + factor * count
        if total > 0:
            tally[index] = total
        else:
            tally.pop(index, None)


def _counted(ring: Ring, oldest: int, slot: int, cell: tuple[int, int, int]) -> Ring:
    kept = [each for each in ring if each[0] > oldest]
    for each in kept:
        if each[0] == slot:
            for place, count in enumerate(cell, 1):
                each[place] += count
            return kept
    return [*kept, [slot, *cell]]


def _packed(tally: dict[int, int]) -> bytes:
    """MessagePack, as the server's `cmsgpack` writes it, though not always the shortest form."""
    numbers = [number for entry in tally.items() for number in entry]
    return b"\xde" + len(tally).to_bytes(2, "big") + b"".join(map(_number, numbers))


def _packed_ring(ring: Ring) -> bytes:
    numbers = [number for slot in ring for number in slot]
    return b"\xdc" + len(numbers).to_bytes(2, "big") + b"".join(map(_number, numbers))


def _number(number: int) -> bytes:
    return bytes((number,)) if number < 0x80 else b"\xce" + number.to_bytes(4, "big")
