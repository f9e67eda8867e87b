"""What an error body of the OpenAI family says, whichever of its many forms it has.

Forms, from recordings and providers' pages, November 2026: `{"error": {…}}` (most), `{"error": "…"}` with `code`
beside it (xAI, Ollama, Hugging Face), `{"detail": "…"}` and FastAPI's list (Mistral, SGLang), `{"object": "error",
"message": …}` (Mistral, older vLLM), `[{"error": {…}}]` (Gemini's compatible endpoint), `{"code", "message",
"request_id"}` (DashScope's own), `{"errors": […]}`, JSON inside a string (OpenRouter's `metadata.raw`, Gemini).
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson

from providers import durations

_MAX_DEPTH: Final = 4
_MAX_LISTED: Final = 3  # of several complaints about one request
_MAX_READ_CHARS: Final = 8_000  # of a message; patterns are searched in it
_MAX_WORD_CHARS: Final = 120

_TEXTS: Final = ("message", "msg", "detail", "error", "errors", "reason")
_WORDS: Final = ("code", "type", "status", "reason", "error_type", "provider_code")
_NUMBERS: Final = ("code", "status_code", "status", "statusCode", "raw_status_code")

# OpenRouter's own words for "somebody else failed"; what that somebody said is in `metadata.raw`.
_SAYS_NOTHING: Final = "Provider returned error"

_OVERFLOW_WORDS: Final = frozenset(
    {
        "context_length_exceeded",
        "context_window_exceeded",
        "exceed_context_size_error",  # llama.cpp, github.com/ggml-org/llama.cpp/pull/15780
    }
)

# Clear enough to believe under any status: llama.cpp says it under 500, Together under 403, some under 429.
_OVERFLOW: Final = re.compile(
    r"maximum (?:context|prompt) length"
    r"|max(?:imum)? context length"
    r"|exceed\w{0,3} .{0,40}context (?:length|window|size)"
    r"|context (?:length|window|size) .{0,30}exceed"
    r"|context size has been exceeded"
    r"|longer than the model'?s context length"  # SGLang
    r"|input token count .{0,40}exceeds the maximum"  # Gemini, Vertex
    r"|exceeded model token limit"  # Moonshot
    r"|range of input length should be"  # DashScope
    r"|prompt (?:is )?too long|prompt exceeds max length"  # Ollama, Fireworks; Z.ai
    r"|n_keep .{0,40}>= n_ctx|loaded with context length of only"  # LM Studio
    r"|max_tokens must be at least 1, got -"  # vLLM, when the prompt leaves no room
    r"|`?inputs`? tokens \+ `?max_new_tokens`?",  # Together, Hugging Face
    re.IGNORECASE,
)
# Believed only where the status says that the request is at fault; elsewhere it may speak of a rate.
_OVERFLOW_OF_REQUEST: Final = re.compile(
    r"context[ _](?:length|window|size)|too many tokens|input.{0,20}too long"
    r"|reduce the length of the (?:messages|prompt|input)",
    re.IGNORECASE,
)
_REQUEST_AT_FAULT: Final = frozenset({0, 400, 413, 422})


class Problem(NamedTuple):
    """An error body, read.

    Attributes:
        message: the provider's words, as they came, bounded; empty when there are none. Not safe to show.
        words: codes, types and reasons in lower case, the most telling first.
        code: the provider's own error code.
        param: the member of the request that is named.
        number: the HTTP status that the body itself states, or 0.
        members: the error object, or an empty one.
    """

    message: str = ""
    words: tuple[str, ...] = ()
    code: str | None = None
    param: str | None = None
    number: int = 0
    members: Mapping[str, Any] = MappingProxyType({})

    def at(self, path: tuple[str, ...]) -> Any:
        """The member at `path`; `None` when there is none."""
        found: Any = self.members
        for name in path:
            if not isinstance(found, Mapping):
                return None
            found = found.get(name)
        return found

    def overflows(self, status: int) -> bool:
        """Whether it says that the prompt is too long for the model, under this status (0: none)."""
        return (
            not _OVERFLOW_WORDS.isdisjoint(self.words)
            or _OVERFLOW.search(self.message) is not None
            or (status in _REQUEST_AT_FAULT and _OVERFLOW_OF_REQUEST.search(self.message) is not None)
        )

    def wait_s(self, now_epoch_s: float | None) -> float | None:
        """How long it asks to wait, in seconds; for errors that are a rate limit."""
        for detail in _objects(self.members.get("details")):
            delay = detail.get("retryDelay")  # google.rpc.RetryInfo
            if isinstance(delay, str) and (wait_s := durations.go_duration_s(delay)) is not None:
                return wait_s
        passed_on = self.at(("metadata", "headers"))  # OpenRouter
        if isinstance(passed_on, dict):
            headers = {str(name).lower(): str(value) for name, value in passed_on.items()}
            wait_s = durations.retry_after_s(headers, now_epoch_s)
            if wait_s is None:
                wait_s = durations.reset_s(headers.get("x-ratelimit-reset", ""), now_epoch_s)
            if wait_s is not None:
                return wait_s
        return durations.said_s(self.message)


def read(body: bytes) -> Problem:
    """The body of an answer with an error status; one that is no JSON says nothing."""
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Problem()
    return of_body(members)


def of_body(members: Any, depth: int = 0) -> Problem:
    """A parsed body, or what else stands where one is expected."""
    if isinstance(members, list):
        members = next((item for item in members if isinstance(item, dict)), None)
    if not isinstance(members, dict):
        return Problem()
    inner = members.get("error")
    if isinstance(inner, dict) and inner:
        return of_member(inner, depth)
    if isinstance(inner, str) and not isinstance(members.get("message"), str):
        members = {**members, "message": inner}
    return of_member(members, depth)


def of_member(problem: Any, depth: int = 0) -> Problem:
    """The value of an `error` member: an object; with some providers a string."""
    if not isinstance(problem, dict):
        return Problem(message=_text(problem)[:_MAX_READ_CHARS])
    message = _text(problem)
    words = list(_words(problem))
    nested = _nested(problem, message, depth)
    if nested is not None:
        words += nested.words
        if nested.message and (message in ("", _SAYS_NOTHING) or message.lstrip().startswith("{")):
            message = nested.message
    code = problem.get("code")
    param = problem.get("param")
    return Problem(
        message=message[:_MAX_READ_CHARS],
        words=tuple(dict.fromkeys(words)),
        code=str(code) if isinstance(code, str | int) and not isinstance(code, bool) else None,
        param=param if isinstance(param, str) else None,
        number=_number(problem),
        members=problem,
    )


def _nested(problem: Mapping[str, Any], message: str, depth: int) -> Problem | None:
    """What another provider said, passed on by this one; or the same in a string of JSON."""
    if depth >= _MAX_DEPTH:
        return None
    metadata = problem.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if raw is None and message.lstrip().startswith("{"):
        raw = message
    if isinstance(raw, str):
        try:
            raw = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return None if raw.lstrip().startswith(("<", "{")) else Problem(message=raw)
    return of_body(raw, depth + 1) if isinstance(raw, dict | list) else None


def _text(value: Any, depth: int = 0) -> str:
    """The words in a message, or in what stands in its place."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if depth >= _MAX_DEPTH:
        return ""
    if isinstance(value, list):
        texts = (_text(item, depth + 1) for item in value[:_MAX_LISTED])
        return "; ".join(text for text in texts if text)
    if not isinstance(value, dict):
        return ""
    text = next((text for name in _TEXTS if name in value and (text := _text(value[name], depth + 1))), "")
    where = value.get("loc")  # FastAPI: which member it speaks of
    if text and isinstance(where, list):
        return f"{'.'.join(str(part) for part in where if isinstance(part, str | int))}: {text}"
    return text


def _words(problem: Mapping[str, Any]) -> Iterator[str]:
    """Codes, types and reasons, wherever the family puts them."""
    inner = _objects([problem.get("metadata"), problem.get("innererror")])  # OpenRouter; Azure
    details = _objects(problem.get("details"))
    for place in (problem, *inner, *details):
        for name in _WORDS:
            value = place.get(name)
            if isinstance(value, str | int) and value and not isinstance(value, bool):
                yield str(value)[:_MAX_WORD_CHARS].lower()
    yield from _google_quotas(details)


def _google_quotas(details: list[Mapping[str, Any]]) -> Iterator[str]:
    """`quota_per_day` and `quota_zero`, made of google.rpc's QuotaFailure and ErrorInfo: no wait of ours ends those."""
    for detail in details:
        for violation in _objects(detail.get("violations")):
            if "perday" in str(violation.get("quotaId")).lower():
                yield "quota_per_day"
            if str(violation.get("quotaValue")) == "0":
                yield "quota_zero"
        metadata = detail.get("metadata")
        if isinstance(metadata, dict) and str(metadata.get("quota_limit_value")) == "0":
            yield "quota_zero"


def _number(problem: Mapping[str, Any]) -> int:
    """An HTTP status of an error, wherever the body states it."""
    for name in _NUMBERS:
        value = problem.get(name)
        if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdecimal():
            value = int(value)
        if isinstance(value, int) and 400 <= value <= 599:
            return value
    return 0


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
