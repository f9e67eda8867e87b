"""Reading a client's JSON body: what all dialects of this shape need, and what to say when it is wrong."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import orjson

from providers.members import DuplicateMember, locate, splice
from providers.types import Canonical, Member, RequestError

_T = TypeVar("_T")
_OUTPUT_LIMITS: Final = ("max_tokens", "max_completion_tokens")


def load(body: bytes) -> tuple[dict[str, Any], tuple[Member, ...]]:
    """The members of a JSON object, and where they lie.

    Raises:
        RequestError: it is none, or names a member twice at the top level.
    """
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError as problem:
        raise RequestError(_what_is_wrong(body, problem)) from None
    if not isinstance(members, dict):
        raise RequestError("the body must be a JSON object")
    try:
        return members, locate(body, members)
    except DuplicateMember as duplicate:
        message = f'the body names "{duplicate.name}" twice at its top level; which one is meant?'
        raise RequestError(message, param=duplicate.name) from None


def model_of(members: Mapping[str, Any]) -> str:
    """The name asked for.

    Raises:
        RequestError: there is none.
    """
    model = members.get("model")
    if not isinstance(model, str) or not model:
        raise RequestError("`model` must name a model or a tier", param="model")
    return model


def optional(members: Mapping[str, Any], name: str, kind: type[_T], words: str) -> _T | None:
    """A member of a given type, or `None`.

    Raises:
        RequestError: it is of another type.
    """
    value = members.get(name)
    if value is not None and not isinstance(value, kind):
        raise RequestError(f"`{name}` must be {words}", param=name)
    return value


def whole(members: Mapping[str, Any], name: str, *, least: int) -> int | None:
    """A whole number, or `None`.

    Raises:
        RequestError: it is something else, or below `least`.
    """
    value = members.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise RequestError(f"`{name}` must be a whole number of at least {least}", param=name)
    return value


def with_output_limit(request: Canonical, limit_tokens: int) -> Canonical:
    """The same request with this limit of each answer, in place of the client's own."""
    named = [name for name in _OUTPUT_LIMITS if request.members.get(name)]
    limited = request._replace(
        members={**request.members, **dict.fromkeys(named, limit_tokens)}, output_limit_tokens=limit_tokens
    )
    if not named or not request.layout:
        return limited
    raw = splice(request.raw, request.layout, dict.fromkeys(named, b"%d" % limit_tokens))
    return limited._replace(raw=raw, layout=locate(raw, limited.members))


def _what_is_wrong(body: bytes, problem: orjson.JSONDecodeError) -> str:
    try:
        body.decode()
    except UnicodeDecodeError as undecodable:
        return f"the body is not valid UTF-8 (byte {undecodable.start})"
    if not body.strip():
        return "the body is empty; a JSON object was expected"
    if "depth limit" in problem.msg:
        return "the body is nested too deeply (more than 1,024 levels)"
    return f"the body is not valid JSON (line {problem.lineno}, column {problem.colno})"
