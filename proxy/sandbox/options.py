"""What a request may ask of the sandbox itself: how fast it speaks and how much.

Named behaviours are rows of `OPTIONS`; a name outside the table is refused, so that no misspelt one passes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from proxy.sandbox.fields import Fields, RequestError

MEMBER = "sandbox"
PACE_HEADER = "x-sandbox-pace-ms"

LONGEST_PAUSE_MS = 600_000  # ten minutes: the longest time-out worth trying
MOST_PIECES = 100_000  # about 25 MB of frames, more than any model writes

OPTIONS: Mapping[str, Callable[[Fields, str], float | int | None]] = MappingProxyType(
    {
        "pace_ms": lambda fields, name: fields.number(name, 0, LONGEST_PAUSE_MS),
        "first_ms": lambda fields, name: fields.number(name, 0, LONGEST_PAUSE_MS),
        "pieces": lambda fields, name: fields.whole(name, 1, MOST_PIECES),
    }
)


@dataclass(frozen=True, slots=True)
class Manner:
    """How one answer is given.

    pace_ms: between two pieces of a stream. first_ms: before the first byte, plain answers too.
    pieces: of answer text; None leaves it to the text.
    """

    pace_ms: float = 20
    first_ms: float = 20
    pieces: int | None = None


def read(body: Fields, pace_header: str | None) -> Manner:
    """The manner asked for by the header and the member `sandbox`; the member wins.

    Raises:
        RequestError: an unknown option, or a value out of range.
    """
    asked: dict[str, Any] = {}
    if pace_header is not None:
        asked["pace_ms"] = _pace(pace_header)
    member = body.child(MEMBER)
    if member is not None:
        for name in member.values:
            if name not in OPTIONS:
                known = ", ".join(f"'{option}'" for option in OPTIONS)
                raise RequestError(
                    f"Unknown sandbox option '{name}'. Known are: {known}.",
                    param=member.at(name),
                    code="unknown_parameter",
                )
            value = OPTIONS[name](member, name)
            if value is not None:
                asked[name] = value
    return Manner(**asked)


def _pace(header: str) -> float:
    try:
        value = float(header)
    except ValueError as error:
        raise RequestError(
            f"Invalid header '{PACE_HEADER}': expected milliseconds, but got '{header}'.",
            code="invalid_value",
        ) from error
    pace_ms = Fields({PACE_HEADER: value}).number(PACE_HEADER, 0, LONGEST_PAUSE_MS)
    if pace_ms is None or pace_ms != pace_ms:  # noqa: PLR0124 - only not-a-number differs from itself
        raise RequestError(f"Invalid header '{PACE_HEADER}': not a number.", code="invalid_value")
    return pace_ms
