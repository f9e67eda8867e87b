"""Requests of administrators, read strictly: whatever is not understood is refused, and why is said."""

import re
from collections.abc import Collection, Mapping
from typing import Any, Final, TypeVar

import orjson
from starlette.requests import Request

from proxy.exchange.errors import Refused
from proxy.http.body import read_json_body
from proxy.settings.problems import Location, Problem, near_miss, path_of
from proxy.settings.section import Section
from proxy.settings.validation import validate

SectionT = TypeVar("SectionT", bound=Section)

MAX_BODY_BYTES: Final = 1_000_000
PAGE_MAX: Final = 1000
PAGE_DEFAULT: Final = 100

_UNKNOWN_IN_FILE: Final = "unknown key"
_TOKEN: Final = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*")([ \t\n\r]*:)?|[\[\]{}]')


async def read_body(
    request: Request,
    section: type[SectionT],
    *,
    fixed: Collection[str] = (),
    empty: Mapping[str, object] | None = None,
) -> SectionT:
    """The body of a request as a section.

    Args:
        fixed: members that exist and cannot be written, so that a message can say so.
        empty: what a body without any byte stands for; without it such a body is refused.

    Raises:
        Refused: not JSON, too large, or not what the section holds; all problems are in the message, and
            `param` is the path of the first.
    """
    raw = await read_json_body(request.scope, request.receive, max_bytes=MAX_BODY_BYTES)
    try:
        values: Any = empty if empty is not None and not raw else orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Refused("invalid_request", f"the body is not valid JSON: {error}") from error
    if not isinstance(values, dict):
        raise Refused("invalid_request", "the body must be a JSON object")
    twice = _named_twice(raw)
    if twice is not None:
        raise _refused([Problem(twice, "is given twice")])
    unchangeable = [Problem(name, "cannot be changed") for name in values if name in fixed]
    if unchangeable:
        raise _refused(unchangeable)
    body, problems = validate(section, values)
    if body is None:
        raise _refused([_in_words_of_the_api(problem) for problem in problems])
    return body


def read_query(request: Request, known: Collection[str]) -> Mapping[str, str]:
    """The query's parameters.

    Raises:
        Refused: one is unknown or given twice.
    """
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in known:
            message = f"unknown parameter{near_miss(name, known)}"
        elif name in found:
            message = "is given twice"
        else:
            found[name] = value
            continue
        raise _refused([Problem(path_of((name,)), message)])
    return found


def page_limit(query: Mapping[str, str]) -> int:
    """How many records were asked for. Raises Refused unless it is 1 to 1000."""
    text = query.get("limit", str(PAGE_DEFAULT))
    # Four digits at most: longer ones are refused before they are turned into a number.
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= PAGE_MAX):
        raise _refused([Problem("limit", f"must be a whole number from 1 to {PAGE_MAX}")])
    return int(text)


def _refused(problems: list[Problem]) -> Refused:
    return Refused("invalid_request", "; ".join(str(problem) for problem in problems), param=problems[0].path)


def _in_words_of_the_api(problem: Problem) -> Problem:
    # A key is something else here.
    if problem.message.startswith(_UNKNOWN_IN_FILE):
        return Problem(problem.path, "unknown member" + problem.message.removeprefix(_UNKNOWN_IN_FILE))
    return problem


def _named_twice(raw: bytes) -> str | None:
    """The path of a member that an object holds twice, at any depth; parsing would drop the first in silence.

    `raw`: valid JSON.
    """
    # Per open bracket: the names so far, and where it stands; a list stands where its member does.
    open_brackets: list[tuple[set[str], Location]] = []
    at: Location = ()
    for token in _TOKEN.finditer(raw):
        symbol = token[0]
        if symbol in (b"{", b"["):
            open_brackets.append((set(), at))
        elif symbol in (b"}", b"]"):
            open_brackets.pop()
            at = open_brackets[-1][1] if open_brackets else ()
        elif token[2] is not None:
            names, within = open_brackets[-1]
            name = orjson.loads(token[1])
            at = (*within, name)
            if name in names:
                return path_of(at)
            names.add(name)
    return None
