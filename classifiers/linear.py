"""Does a pattern occur in a text? In linear time, by RE2, without asking where: that is the dear part of a match."""

from typing import Final

import re2


class Occurs:
    """A compiled pattern that answers yes or no. Safe from any thread."""

    def __init__(self, pattern: str) -> None:
        """Raises `re2.error` for what is not RE2 syntax."""
        self._set: Final = re2.Set.SearchSet()
        self._set.Add(pattern)
        self._set.Compile()

    def __call__(self, text: str) -> bool:
        return bool(self._set.Match(text))
