"""What can be wrong with a configuration, said so that it can be put right at once."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

# Keys of this form stand bare in a path; any other is quoted, so that a dot inside it cannot mislead.
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")

# Below this likeness a suggestion confuses more than it helps.
_LIKENESS: Final = 0.6

Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to put right, or to know.

    Attributes:
        path: where, like `models[2].backends[0].provider`; the file or the variable when there is no key.
        message: what is wrong and what to write instead; never holds a secret.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class ConfigError(Exception):
    """A configuration that cannot be used. Every problem found is in `problems`; there is at least one."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems

    def __reduce__(self) -> tuple[type["ConfigError"], tuple[tuple[Problem, ...]]]:
        return ConfigError, (self.problems,)  # as it was made, also in another process


def path_of(location: Location) -> str:
    """Write a location as operators read it: `("models", 2, "id")` becomes `models[2].id`."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not _BARE_KEY.fullmatch(part):
            path += f'["{part}"]'
        else:
            path += f".{part}" if path else part
    return path


def near_miss(word: str, known: Iterable[str]) -> str:
    """`; did you mean "port"?` for a word that is nearly a known one, otherwise nothing."""
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=_LIKENESS)
    return f'; did you mean "{by_lower[close[0]]}"?' if close else ""


def unknown(kind: str, word: str, known: Iterable[str]) -> str:
    """`no provider is called "opneai"; did you mean "openai"?`."""
    return f'no {kind} is called "{word}"{near_miss(word, known)}'
