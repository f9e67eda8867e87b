"""The error bodies providers send, in OpenAI's shape: what goes with which status.

Sources: platform.openai.com/docs/guides/error-codes, console.groq.com/docs/errors and docs.anthropic.com/en/api/errors,
November 2026.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import orjson


@dataclass(frozen=True, slots=True)
class ProviderError:
    """One error as a provider tells it; `kind` is the member `type`."""

    status: int
    message: str
    kind: str
    code: str | None = None
    param: str | None = None


_INVALID = "invalid_request_error"
_SERVER = "server_error"

_TOLD = (
    ProviderError(400, "The request is not valid for this model.", _INVALID),
    ProviderError(401, "Incorrect API key provided.", _INVALID, "invalid_api_key"),
    ProviderError(402, "Insufficient balance.", "billing_error", "insufficient_balance"),
    ProviderError(
        403,
        "Country, region, or territory not supported.",
        "request_forbidden",
        "unsupported_country_region_territory",
    ),
    ProviderError(
        404, "The model does not exist or you do not have access to it.", _INVALID, "model_not_found"
    ),
    ProviderError(408, "The request took too long to arrive.", "timeout", "request_timeout"),
    ProviderError(409, "The resource was changed by another request.", _INVALID, "conflict"),
    ProviderError(413, "The request is too large.", _INVALID, "request_too_large"),
    ProviderError(422, "The request could not be processed.", _INVALID, "unprocessable_entity"),
    ProviderError(424, "A service this request depends on failed.", _INVALID, "failed_dependency"),
    ProviderError(
        429, "Rate limit reached for requests. Please try again later.", "requests", "rate_limit_exceeded"
    ),
    ProviderError(498, "The flex tier is at capacity.", "capacity_exceeded", "capacity_exceeded"),
    ProviderError(500, "The server had an error while processing your request.", _SERVER),
    ProviderError(502, "Bad gateway.", _SERVER, "bad_gateway"),
    ProviderError(503, "The server is currently overloaded.", _SERVER, "server_is_overloaded"),
    ProviderError(504, "The upstream did not answer in time.", "timeout", "gateway_timeout"),
    ProviderError(529, "Overloaded.", "overloaded_error", "overloaded_error"),
)

ERRORS: Mapping[str, ProviderError] = MappingProxyType(
    {
        **{str(error.status): error for error in _TOLD},
        "quota": ProviderError(
            429,
            "You exceeded your current quota, please check your plan and billing details.",
            "insufficient_quota",
            "insufficient_quota",
        ),
        "context": ProviderError(
            400,
            "This model's maximum context length is 8192 tokens. However, your messages resulted in more. "
            "Please reduce the length of the messages.",
            _INVALID,
            "context_length_exceeded",
            "messages",
        ),
    }
)
"""By status, and by name where one status has several meanings."""


def find(name: str) -> ProviderError | None:
    """The error called `name`: a word of `ERRORS` or any status from 400 to 599; `None` for anything else."""
    known = ERRORS.get(name)
    if known is not None:
        return known
    if len(name) != 3 or not (name.isascii() and name.isdecimal()) or not 400 <= int(name) <= 599:
        return None
    return ProviderError(int(name), f"The request failed with status {name}.", _kind(int(name)))


def body(error: ProviderError) -> bytes:
    return orjson.dumps(
        {
            "error": {
                "message": error.message,
                "type": error.kind,
                "param": error.param,
                "code": error.code,
            }
        }
    )


def page(status: int) -> bytes:
    """What a reverse proxy says when there is nobody behind it."""
    title = "502 Bad Gateway" if status == 502 else f"{status} Error"
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    ).encode()


def _kind(status: int) -> str:
    return _INVALID if status < 500 else _SERVER
