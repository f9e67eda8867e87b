"""The error table: every kind of failure and every refusal has its row, and the rows say what was promised."""

from typing import get_args

import pytest

from providers.types import ErrorKind, UpstreamError
from proxy.exchange.errors import GATEWAY, UPSTREAM, Refused, Row, from_upstream


def test_every_kind_has_a_row() -> None:
    """No failure of a provider is without an answer."""
    assert set(get_args(ErrorKind)) == UPSTREAM.keys()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("bad_request", Row(400, moves_on=False, again=False, health="no")),
        ("auth", Row(502, moves_on=True, again=False, health="no")),
        ("rate_limited", Row(429, moves_on=True, again=True, health="saturated")),
        ("overloaded", Row(503, moves_on=True, again=True, health="yes")),
        ("unreachable", Row(502, moves_on=True, again=True, health="yes")),
        ("timeout", Row(504, moves_on=True, again=True, health="yes")),
        ("protocol", Row(502, moves_on=True, again=True, health="yes")),
    ],
)
def test_rows(kind: ErrorKind, expected: Row) -> None:
    """What the client gets, whether another attempt follows, and whether health counts it."""
    assert expected == UPSTREAM[kind]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("invalid_request", 400),
        ("no_capable_backend", 400),
        ("context_length_exceeded", 400),
        ("invalid_api_key", 401),
        ("budget_exceeded", 402),
        ("model_not_allowed", 403),
        ("model_not_found", 404),
        ("not_found", 404),
        ("method_not_allowed", 405),
        ("request_too_large", 413),
        ("unsupported_media_type", 415),
        ("rate_limit_exceeded", 429),
        ("quota_exceeded", 429),
        ("internal_error", 500),
        ("limits_unavailable", 503),
        ("overloaded", 503),
    ],
)
def test_refusals(code: str, status: int) -> None:
    """The gateway's own refusals have the promised statuses."""
    refused = Refused(code, "why")
    assert (status, code, "gateway", "why") == (refused.status, refused.code, refused.source, refused.message)
    assert GATEWAY[code][1] == refused.kind


@pytest.mark.parametrize("kind", get_args(ErrorKind))
def test_a_providers_failure(kind: ErrorKind) -> None:
    """A provider's failure keeps its message, names its kind, and says whose it is."""
    refused = from_upstream(UpstreamError(kind, "their words", status=418), retry_after_s=3.5)
    expected = (UPSTREAM[kind].status, kind, "provider", "their words", 3.5)
    assert expected == (refused.status, refused.code, refused.source, refused.message, refused.retry_after_s)
    assert ("invalid_request_error" if kind == "bad_request" else "upstream_error") == refused.kind


def test_a_context_overflow_has_its_own_code() -> None:
    """So that a client can shorten its prompt instead of giving up."""
    error = UpstreamError("bad_request", "too long", status=400, context_overflow=True)
    assert (400, "context_length_exceeded") == (
        from_upstream(error, retry_after_s=None).status,
        from_upstream(error, retry_after_s=None).code,
    )
