"""Failures on request: the table of them, and the one grammar by which a model name or a header asks for one.

    <what>[-<option>-<value>]…      503-retry-20-times-1      stall-after-3      error-as-429-after-0

A model name is that behind `sandbox-fail-`; the header `x-sandbox-fail` is that alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from types import MappingProxyType
from typing import Any, Literal

from proxy.sandbox import provider_errors
from proxy.sandbox.fields import RequestError
from proxy.sandbox.options import LONGEST_PAUSE_MS, MOST_PIECES

PREFIX = "sandbox-fail-"
HEADER = "x-sandbox-fail"
STATUS = "<status>"
"""Stands in the table for any number from 400 to 599."""

_MOST_TIMES = 1_000_000
_LONGEST_RETRY_S = 31_536_000  # a year: more than a provider ever asked for

Where = Literal["nothing", "headers", "finish"] | int
"""What has left when an answer breaks: nothing, the headers, the opening and so many pieces, or all up to and
with the finish reasons."""


class Act(Enum):
    """How an answer fails."""

    STATUS = auto()
    PAGE = auto()
    STALL = auto()
    CLOSE = auto()
    RESET = auto()
    END = auto()
    ERROR = auto()
    MANGLED = auto()
    GARBAGE = auto()
    DONE = auto()
    SLOW = auto()
    COMMENTS = auto()


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure asked for.

    name: as asked for, without the prefix.
    told: the error that is told, a name for `provider_errors.find`.
    after: what leaves before it happens.
    wait_ms: before anything leaves, in place of the usual `first_ms`.
    retry_s, retry_ms, retry_date_s: for `retry-after` in seconds, `retry-after-ms`, and `retry-after` as a date so
    many seconds ahead; each absent when None.
    times: how often it happens before answers are given; None is always.
    """

    name: str
    act: Act
    told: str = "500"
    after: Where = "nothing"
    wait_ms: int | None = None
    retry_s: int | None = None
    retry_ms: int | None = None
    retry_date_s: int | None = None
    times: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table. `options` are those beyond the ones every failure takes; `presets` are its own values."""

    act: Act
    happens: str
    example: str
    options: tuple[str, ...] = ()
    presets: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


_RETRY = ("retry", "retryms", "retrydate")
_EVERY = ("ms", "times")

FAILURES: Mapping[str, Row] = MappingProxyType(
    {
        STATUS: Row(
            Act.STATUS,
            "that status, 400 to 599, with an error body in OpenAI's shape",
            "sandbox-fail-429-retry-20",
            _RETRY,
        ),
        "quota": Row(Act.STATUS, "429 `insufficient_quota`", "sandbox-fail-quota", _RETRY, {"told": "quota"}),
        "context": Row(
            Act.STATUS, "400 `context_length_exceeded`", "sandbox-fail-context", _RETRY, {"told": "context"}
        ),
        "html": Row(
            Act.PAGE,
            "a reverse proxy's HTML page, status 502 or that of `as`",
            "sandbox-fail-html-as-504",
            ("as", *_RETRY),
            {"told": "502"},
        ),
        "stall": Row(Act.STALL, "silence, for ten minutes at most", "sandbox-fail-stall-after-3", ("after",)),
        "close": Row(
            Act.CLOSE, "the connection is closed in good order", "sandbox-fail-close-after-3", ("after",)
        ),
        "reset": Row(
            Act.RESET, "the connection is reset (TCP RST)", "sandbox-fail-reset-after-0", ("after",)
        ),
        "end": Row(
            Act.END,
            "a clean end of the body, but no finish reason and no `[DONE]`",
            "sandbox-fail-end-after-3",
            ("after",),
            {"after": 3},
        ),
        "empty": Row(
            Act.END,
            "200 and an empty body, without any frame",
            "sandbox-fail-empty",
            (),
            {"after": "headers"},
        ),
        "done": Row(
            Act.DONE,
            "`[DONE]` without a finish reason; plain: `{}`",
            "sandbox-fail-done",
            ("after",),
            {"after": "headers"},
        ),
        "error": Row(
            Act.ERROR,
            "an error under status 200: a frame, then the end; plain: the body. `as` says which, else 500",
            "sandbox-fail-error-as-429-after-3",
            ("after", "as"),
            {"after": "headers"},
        ),
        "mangled": Row(
            Act.MANGLED,
            "a frame whose JSON breaks off, then the end; plain: such a body",
            "sandbox-fail-mangled-after-3",
            ("after",),
            {"after": "headers"},
        ),
        "garbage": Row(
            Act.GARBAGE,
            "bytes under status 200 that are neither frames nor JSON",
            "sandbox-fail-garbage",
            ("after",),
            {"after": "headers"},
        ),
        "slow": Row(
            Act.SLOW,
            "nothing for `ms`, else 5000; then the answer",
            "sandbox-fail-slow-ms-3000",
            (),
            {"wait_ms": 5000},
        ),
        "comments": Row(
            Act.COMMENTS,
            "headers and comments for `ms`, else 5000; then the answer. Plain: blank lines",
            "sandbox-fail-comments-ms-3000",
            (),
            {"wait_ms": 5000},
        ),
    }
)


class _Unclear(Exception):
    """The words ask for no failure; the message says why."""


def of_model(model: str) -> Failure:
    """The failure that the name `model`, which starts with `PREFIX`, asks for.

    Raises:
        RequestError: 404, saying what is wrong with it.
    """
    try:
        return _read(model.removeprefix(PREFIX))
    except _Unclear as unclear:
        raise RequestError(
            f"The model `{model}` does not exist: {unclear}.",
            param="model",
            code="model_not_found",
            status=404,
        ) from unclear


def of_header(value: str) -> Failure:
    """The failure that `value` of the header asks for.

    Raises:
        RequestError: 400, saying what is wrong with it.
    """
    try:
        return _read(value)
    except _Unclear as unclear:
        raise RequestError(f"Invalid header '{HEADER}': {unclear}.", code="invalid_value") from unclear


def _read(name: str) -> Failure:
    what, *rest = name.split("-")
    row = FAILURES.get(what)
    presets: dict[str, Any] = dict(row.presets) if row is not None else {}
    if row is None and what.isdecimal() and provider_errors.find(what) is not None:
        row, presets = FAILURES[STATUS], {"told": what}
    if row is None or what == STATUS:
        words = ", ".join(f"'{word}'" for word in FAILURES if word != STATUS)
        raise _Unclear(f"there is no failure '{what}'; there are 400 to 599, {words}")
    for option, value in _pairs(rest):
        if option not in (*row.options, *_EVERY):
            taken = ", ".join(f"'{word}'" for word in (*row.options, *_EVERY))
            raise _Unclear(f"'{what}' takes no option '{option}'; it takes {taken}")
        member, reader = _OPTIONS[option]
        presets[member] = reader(f"'{option}-{value}'", value)
    if presets.get("retry_s") is not None and presets.get("retry_date_s") is not None:
        raise _Unclear("'retry' and 'retrydate' both set retry-after; choose one")
    return Failure(name=name, act=row.act, **presets)


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for position in range(0, len(words), 2):
        option = words[position]
        if option in seen:
            raise _Unclear(f"'{option}' is given twice")
        if position + 1 == len(words):
            raise _Unclear(f"'{option}' has no value")
        seen.add(option)
        yield option, words[position + 1]


def _whole(minimum: int, maximum: int) -> Callable[[str, str], int]:
    def reader(path: str, value: str) -> int:
        # Longer ones are refused before they are read: the time int() takes grows with the square.
        if value.isascii() and value.isdecimal() and len(value) <= 9 and minimum <= int(value) <= maximum:
            return int(value)
        raise _Unclear(f"{path} needs a whole number from {minimum} to {maximum}")

    return reader


def _where(path: str, value: str) -> Where:
    if value == "headers":
        return "headers"
    if value == "finish":
        return "finish"
    try:
        return _whole(0, MOST_PIECES)(path, value)
    except _Unclear as unclear:
        raise _Unclear(f"{unclear}, 'headers' or 'finish'") from unclear


def _error(path: str, value: str) -> str:
    if provider_errors.find(value) is None:
        raise _Unclear(f"{path} needs a status from 400 to 599, 'quota' or 'context'")
    return value


# Option -> (member of Failure, its reader).
_OPTIONS: Mapping[str, tuple[str, Callable[[str, str], Any]]] = MappingProxyType(
    {
        "after": ("after", _where),
        "as": ("told", _error),
        "ms": ("wait_ms", _whole(0, LONGEST_PAUSE_MS)),
        "retry": ("retry_s", _whole(0, _LONGEST_RETRY_S)),
        "retryms": ("retry_ms", _whole(0, _LONGEST_RETRY_S)),
        "retrydate": ("retry_date_s", _whole(0, _LONGEST_RETRY_S)),
        "times": ("times", _whole(1, _MOST_TIMES)),
    }
)
