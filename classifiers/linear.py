"""Does a pattern occur in a text? In linear time, by RE2, without asking where: that is the dear part of a match."""

from collections.abc import Iterable
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


class Literals:
    """Some words, looked for at any place of a text, all in one pass. Safe from any thread."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words: Final = tuple(words)
        self._set: Final = re2.Set.SearchSet()
        for word in self._words:
            self._set.Add(re2.escape(word))
        if self._words:
            self._set.Compile()

    def __call__(self, text: str) -> list[str]:
        """Those that occur, each once."""
        return [self._words[at] for at in self._set.Match(text) or ()] if self._words else []
