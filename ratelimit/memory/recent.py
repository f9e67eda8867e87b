"""The last things this process has seen, for a while: no store is asked for them."""

from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """A bounded memory; the one that was not used for longest goes first. Not for several threads."""

    __slots__ = ("_clock", "_kept", "_most", "_ttl_s")

    def __init__(self, *, most: int, ttl_s: float, clock: Callable[[], float]) -> None:
        """`clock`: monotonic, in seconds."""
        self._most: Final = most
        self._ttl_s: Final = ttl_s
        self._clock = clock
        self._kept: dict[Key, tuple[Value, float]] = {}

    def get(self, key: Key) -> Value | None:
        """What was kept; `None` when it is not known, or too old."""
        kept = self._kept.pop(key, None)
        if kept is None or kept[1] <= self._clock():
            return None
        self._kept[key] = kept
        return kept[0]

    def put(self, key: Key, value: Value) -> None:
        """Keep it from now on, instead of what was kept under this key."""
        self._kept.pop(key, None)
        if len(self._kept) >= self._most:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (value, self._clock() + self._ttl_s)

    def __len__(self) -> int:
        return len(self._kept)
