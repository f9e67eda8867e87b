"""Failures of the OpenAI family in one form: what a status and an error body mean.

Sources: the providers' error pages (platform.openai.com/docs/guides/error-codes, console.groq.com/docs/errors,
openrouter.ai/docs/api-reference/errors, November 2026) and recorded error answers.
"""

import math
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from providers.types import ErrorKind, UpstreamError

_MAX_MESSAGE_CHARS: Final = 2_000

_BY_STATUS: Final[Mapping[int, ErrorKind]] = {
    401: "auth",
    402: "auth",
    403: "auth",
    404: "auth",
    408: "timeout",
    429: "rate_limited",
    498: "overloaded",  # groq: flex tier at capacity
    502: "unreachable",
    504: "timeout",
    524: "timeout",  # a CDN's word for a silent origin
}

# Words in `code` or `type` that say more than the status does; needed for errors that arrive under status 200.
_BY_CODE: Final[Mapping[str, ErrorKind]] = {
    "rate_limit_exceeded": "rate_limited",
    "rate_limit_error": "rate_limited",
    "insufficient_quota": "rate_limited",
    "invalid_api_key": "auth",
    "authentication_error": "auth",
    "invalid_request_error": "bad_request",
    "context_length_exceeded": "bad_request",
    "tool_use_failed": "bad_request",  # groq: the model wrote a call that does not fit the tool
    "overloaded_error": "overloaded",
    "server_error": "overloaded",
    "internal_error": "overloaded",
    "timeout": "timeout",
}

_OVERFLOW: Final = re.compile(
    r"context[ _](length|window)|maximum context|too many tokens|prompt is too long|input.{0,20}too long",
    re.IGNORECASE,
)


def classify(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """An answer with an error status.

    Args:
        headers: with lower-case names.
    """
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError:
        members = None
    problem: Any = members
    if isinstance(members, dict):
        problem = members.get("error") or members
    retry_after_s = _retry_after_s(headers)
    if isinstance(problem, dict | str):
        return from_body(problem, status=status, retry_after_s=retry_after_s)
    return UpstreamError(
        kind_of_status(status), f"the provider answered {status}", status=status, retry_after_s=retry_after_s
    )


def from_body(problem: Any, *, status: int, retry_after_s: float | None = None) -> UpstreamError:
    """The value of an `error` member: an object, or with some providers a string.

    Args:
        status: the HTTP status it came under; 200 for an error inside an answer.
    """
    if not isinstance(problem, dict):
        problem = {"message": str(problem)}
    message = problem.get("message") or problem.get("detail") or f"the provider answered {status}"
    code = problem.get("code")
    words = [str(word) for word in (code, problem.get("type")) if word]
    overflow = "context_length_exceeded" in words or (
        status in (200, 400, 413, 422) and bool(_OVERFLOW.search(str(message)))
    )
    if status == 200:
        number = (
            int(code)
            if isinstance(code, int) or (isinstance(code, str) and len(code) == 3 and code.isdecimal())
            else 0
        )
        status = number if 400 <= number <= 599 else 0
        said = next((_BY_CODE[word] for word in words if word in _BY_CODE), None)
        kind: ErrorKind = kind_of_status(status) if status else said or "overloaded"
    else:
        kind = kind_of_status(status)
    if kind == "auth":
        # The provider's own words may quote the key; clients can do nothing about it anyway.
        message = f"the provider does not let the gateway use this model ({status or code})"
    return UpstreamError(
        kind,
        str(message)[:_MAX_MESSAGE_CHARS],
        status=status,
        code=str(code) if code is not None else None,
        param=param if isinstance(param := problem.get("param"), str) else None,
        retry_after_s=retry_after_s,
        context_overflow=overflow,
    )


def kind_of_status(status: int) -> ErrorKind:
    """What an HTTP status of a provider means when nothing else is known."""
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    if 400 <= status < 500:
        return "bad_request"
    return "overloaded" if status >= 500 else "protocol"


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            wished_s = float(value) * unit_s
        except ValueError:
            continue
        if math.isfinite(wished_s):
            return max(0.0, wished_s)
    return None
