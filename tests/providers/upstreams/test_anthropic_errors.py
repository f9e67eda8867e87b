"""Errors of Claude's API: what a status and a body mean for the next attempt."""

from typing import Final, NamedTuple

import orjson
import pytest

from providers.types import UpstreamError
from providers.upstreams.anthropic.dialect import Anthropic
from tests.support.foreign import exchanges, refused
from tests.support.recordings import Recording, parameters

DIALECT: Final = Anthropic()
ALL: Final = (*exchanges("anthropic", "messages"), *exchanges("azure", "messages"))


class Expected(NamedTuple):
    kind: str
    status: int
    context_overflow: bool = False


ERRORS: Final = {
    "anthropic-messages-unary-error-400-bb71aba1-0": Expected("bad_request", 400, context_overflow=True),
    "anthropic-messages-unary-error-401-648902d1-0": Expected("auth", 401),
    "anthropic-messages-unary-error-404-e493deb2-1": Expected("auth", 404),
}


@pytest.mark.parametrize("recording", parameters(refused(ALL)))
def test_recorded_errors(recording: Recording) -> None:
    """Each recorded error has the kind a person would give it, and is not tried again on the same backend."""
    error = DIALECT.error(recording.status, recording.headers, recording.body, now_epoch_s=0.0)
    assert ERRORS[recording.id] == Expected(error.kind, error.status, error.context_overflow)
    assert not error.again
    assert error.message


def error_of(status: int, kind: str, message: str = "Sorry", **headers: str) -> UpstreamError:
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return DIALECT.error(status, named, orjson.dumps(body), now_epoch_s=1_700_000_000.0)


SPENT: Final = (
    "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."
)
POOR: Final = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing."


@pytest.mark.parametrize(
    ("error", "kind", "again", "retry_after_s"),
    [
        (error_of(429, "rate_limit_error", retry_after="7"), "rate_limited", True, 7.0),
        (error_of(429, "rate_limit_error"), "rate_limited", False, None),
        (
            error_of(429, "rate_limit_error", anthropic_ratelimit_tokens_reset="2023-11-14T22:14:20Z"),
            "rate_limited",
            False,
            None,
        ),
        (error_of(400, "invalid_request_error", SPENT), "rate_limited", False, None),
        (
            error_of(400, "invalid_request_error", SPENT.replace("API", "workspace API")),
            "rate_limited",
            False,
            None,
        ),
        (error_of(400, "invalid_request_error", POOR), "rate_limited", False, None),
        (error_of(400, "invalid_request_error", f"messages.0: {POOR}"), "bad_request", False, None),
        (error_of(402, "billing_error"), "auth", False, None),
        (error_of(401, "authentication_error", x_should_retry="false"), "auth", False, None),
        (error_of(403, "permission_error"), "auth", False, None),
        (error_of(404, "not_found_error"), "auth", False, None),
        (error_of(409, "conflict_error"), "overloaded", True, None),
        (error_of(413, "request_too_large"), "bad_request", False, None),
        (error_of(500, "api_error"), "overloaded", True, None),
        (error_of(500, "api_error", x_should_retry="false"), "overloaded", False, None),
        (error_of(529, "overloaded_error"), "overloaded", True, None),
        (error_of(504, "timeout_error"), "timeout", True, None),
    ],
)
def test_errors(error: UpstreamError, kind: str, again: bool, retry_after_s: float | None) -> None:  # noqa: FBT001 - a column
    """Each error moves on, is tried again, or goes back to the client, as Anthropic's pages say."""
    assert (kind, again, retry_after_s) == (error.kind, error.again, error.retry_after_s)


def test_spend_limit_by_its_code() -> None:
    """A spending limit is known by its code, even where a proxy added a time to wait."""
    body = {
        "type": "error",
        "error": {
            "type": "rate_limit_error",
            "message": "Sorry",
            "details": {"error_code": "enforced_spend_limit_reached"},
        },
    }
    error = DIALECT.error(429, {"retry-after": "1"}, orjson.dumps(body), now_epoch_s=0.0)
    assert ("rate_limited", False) == (error.kind, error.again)


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 207000 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length",
    ],
)
def test_overflow(message: str) -> None:
    """A prompt that is too long for this model is known, so that a larger one can be asked."""
    error = error_of(400, "invalid_request_error", message)
    assert ("bad_request", True) == (error.kind, error.context_overflow)
