"""The error table: what each kind of failure is to a client, to the next attempt and to health.

`Refused` is the one exception that carries an answer for a client; `proxy.http.errors` writes it down.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from providers.types import ErrorKind, UpstreamError


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of failed attempt.

    Attributes:
        status: the client's, when no attempt succeeds.
        moves_on: another backend is tried.
        again: the same backend may be tried again, when no other is left.
        health: counts against the backend; `saturated` is counted apart.
    """

    status: int
    moves_on: bool
    again: bool
    health: Literal["no", "yes", "saturated"]


UPSTREAM: Final[Mapping[ErrorKind, Row]] = MappingProxyType(
    {
        "bad_request": Row(400, moves_on=False, again=False, health="no"),
        "auth": Row(502, moves_on=True, again=False, health="no"),
        "rate_limited": Row(429, moves_on=True, again=True, health="saturated"),
        "overloaded": Row(503, moves_on=True, again=True, health="yes"),
        "unreachable": Row(502, moves_on=True, again=True, health="yes"),
        "timeout": Row(504, moves_on=True, again=True, health="yes"),
        "protocol": Row(502, moves_on=True, again=True, health="yes"),
    }
)

# The gateway's own refusals: code to status and to OpenAI's `type`.
GATEWAY: Final[Mapping[str, tuple[int, str]]] = MappingProxyType(
    {
        "invalid_request": (400, "invalid_request_error"),
        "no_capable_backend": (400, "invalid_request_error"),
        "context_length_exceeded": (400, "invalid_request_error"),
        "invalid_api_key": (401, "authentication_error"),
        "budget_exceeded": (402, "insufficient_quota"),
        "model_not_allowed": (403, "permission_error"),
        "managed_by_file": (409, "invalid_request_error"),
        "already_exists": (409, "invalid_request_error"),
        "not_found": (404, "not_found_error"),
        "model_not_found": (404, "not_found_error"),
        "method_not_allowed": (405, "invalid_request_error"),
        "request_too_large": (413, "invalid_request_error"),
        "unsupported_media_type": (415, "invalid_request_error"),
        "rate_limit_exceeded": (429, "rate_limit_error"),
        "quota_exceeded": (429, "rate_limit_error"),
        "internal_error": (500, "server_error"),
        "limits_unavailable": (503, "server_error"),
        "overloaded": (503, "server_error"),
    }
)


class Refused(Exception):
    """The answer to a client is an error.

    Attributes:
        status: HTTP status.
        code: a row of `GATEWAY`, or the kind of a provider's failure.
        kind: OpenAI's `type`.
        message: for the client.
        param: the member of the body that is wrong.
        source: who says so.
        retry_after_s: when to try again; whole seconds, rounded up, go into the header.
        details: further members of the error object.
        attempts: what was tried, for the `headgate` member.
        headers: further headers.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: float | None = None,
        details: Mapping[str, Any] | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(message)
        self.status, self.kind = GATEWAY[code]
        self.code = code
        self.message = message
        self.param = param
        self.source: Literal["gateway", "provider"] = "gateway"
        self.retry_after_s = retry_after_s
        self.details: Mapping[str, Any] = details or {}
        self.attempts: Sequence[Mapping[str, Any]] = ()
        self.headers = headers


def from_upstream(error: UpstreamError, *, retry_after_s: float | None) -> Refused:
    """A provider's failure as the client's answer."""
    said = {"error_type": error.kind, "provider_code": error.code}
    refused = Refused(
        "internal_error",
        error.message,
        param=error.param,
        retry_after_s=retry_after_s,
        details={"metadata": said},  # as in an error frame
    )
    refused.status = UPSTREAM[error.kind].status
    refused.kind = "invalid_request_error" if error.kind == "bad_request" else "upstream_error"
    refused.code = "context_length_exceeded" if error.context_overflow else error.kind
    refused.source = "provider"
    return refused
