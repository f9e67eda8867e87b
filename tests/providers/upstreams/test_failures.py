"""Every failure of a provider has one kind, whatever its status and body look like."""

from typing import Any

import orjson
import pytest

from providers.types import UpstreamError
from providers.upstreams.failures import classify, from_body, kind_of_status
from tests.support.recordings import Recording, chat_errors, parameters

KEY = "test-key-0001-abcdef"


def failure(status: int, body: Any = None, headers: dict[str, str] | None = None) -> UpstreamError:
    return classify(status, headers or {}, b"" if body is None else orjson.dumps(body))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "bad_request"),
        (401, "auth"),
        (402, "auth"),
        (403, "auth"),
        (404, "auth"),
        (408, "timeout"),
        (413, "bad_request"),
        (422, "bad_request"),
        (429, "rate_limited"),
        (498, "overloaded"),
        (500, "overloaded"),
        (502, "unreachable"),
        (503, "overloaded"),
        (504, "timeout"),
        (524, "timeout"),
        (529, "overloaded"),
        (301, "protocol"),
        (204, "protocol"),
    ],
)
def test_kind_of_status(status: int, kind: str) -> None:
    """A status decides the kind, whether a body explains it or not."""
    assert kind == kind_of_status(status)
    bodies: tuple[Any, ...] = (
        None,
        {"error": {"message": "m", "code": "server_error"}},
        {"error": "m"},
        [],
        "m",
    )
    for body in bodies:
        made = failure(status, body)
        assert (kind, status) == (made.kind, made.status)


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        ({"error": {"message": "wrong", "code": "c1"}}, "wrong", "c1"),
        ({"error": {"message": "wrong", "code": 7}}, "wrong", "7"),
        ({"error": {"message": "wrong", "code": None}}, "wrong", None),
        ({"error": "wrong"}, "wrong", None),
        ({"message": "wrong", "type": "t", "code": "3051"}, "wrong", "3051"),
        ({"detail": "wrong"}, "wrong", None),
        ({"error": {}}, "the provider answered 400", None),
        ({"error": None}, "the provider answered 400", None),
        ({}, "the provider answered 400", None),
        ([1], "the provider answered 400", None),
        (None, "the provider answered 400", None),
    ],
)
def test_message_and_code(body: Any, message: str, code: str | None) -> None:
    """The provider's words are found in each of the shapes the family uses."""
    made = failure(400, body)
    assert (message, code) == (made.message, made.code)


def test_a_body_that_is_no_json() -> None:
    """An HTML page of a load balancer is not shown to anybody."""
    made = classify(502, {}, b"<html><h1>Bad Gateway</h1></html>")
    assert ("unreachable", "the provider answered 502") == (made.kind, made.message)


def test_messages_are_bounded() -> None:
    """A provider cannot fill our answers: a message has at most 2,000 characters."""
    assert "x" * 2000 == failure(400, {"error": {"message": "x" * 5000}}).message


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_auth_failures_never_quote_the_key(status: int) -> None:
    """The provider's words about our key stay here: they may quote it."""
    made = failure(status, {"error": {"message": f"Incorrect API key provided: {KEY}"}})
    assert KEY not in made.message
    assert str(status) in made.message


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    """What the provider asks to wait, in seconds; a word that is no finite number is no wish."""
    assert expected == failure(429, {"error": {"message": "slow down"}}, headers).retry_after_s
    assert expected == classify(503, headers, b"busy").retry_after_s


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (400, {"message": "no", "code": "context_length_exceeded"}, True),
        (400, {"message": "This model's maximum context length is 8192 tokens"}, True),
        (400, {"message": "Prompt is too long: 9 tokens > 8 maximum"}, True),
        (413, {"message": "too many tokens"}, True),
        (422, {"message": "the input is too long"}, True),
        (400, {"message": "temperature must be below 2"}, False),
        (429, {"message": "too many tokens per minute"}, False),
        (500, {"message": "context window service is down"}, False),
    ],
)
def test_context_overflow(status: int, error: dict[str, Any], expected: bool) -> None:  # noqa: FBT001 - a column
    """A prompt that is too long is told from other mistakes, so that a larger model may take it."""
    assert expected == failure(status, {"error": error}).context_overflow


@pytest.mark.parametrize(
    ("problem", "kind", "status"),
    [
        ({"message": "m", "code": 429}, "rate_limited", 429),
        ({"message": "m", "code": "503"}, "overloaded", 503),
        ({"message": "m", "code": "²²²"}, "overloaded", 0),
        ({"message": "m", "code": "9" * 5000}, "overloaded", 0),
        ({"message": "m", "code": 400}, "bad_request", 400),
        ({"message": "m", "code": 7}, "overloaded", 0),
        ({"message": "m", "type": "server_error"}, "overloaded", 0),
        ({"message": "m", "type": "invalid_request_error", "code": "tool_use_failed"}, "bad_request", 0),
        ({"message": "m", "code": "rate_limit_exceeded"}, "rate_limited", 0),
        ({"message": "m", "type": "insufficient_quota"}, "rate_limited", 0),
        ({"message": "m", "code": "invalid_api_key"}, "auth", 0),
        ({"message": "m", "code": "timeout"}, "timeout", 0),
        ({"message": "m"}, "overloaded", 0),
        ("m", "overloaded", 0),
        (["m"], "overloaded", 0),
        (5, "overloaded", 0),
        ({"message": {"deep": 1}, "code": True}, "overloaded", 0),
        ({"message": "m", "code": {"x": 1}, "type": [1]}, "overloaded", 0),
    ],
)
def test_errors_under_status_200(problem: Any, kind: str, status: int) -> None:
    """An error inside an answer is judged by its code and type."""
    made = from_body(problem, status=200)
    assert (kind, status) == (made.kind, made.status)


@pytest.mark.parametrize("recording", parameters(chat_errors()))
def test_recorded_errors(recording: Recording) -> None:
    """Every recorded error answer has the kind of its status and says something a person can read."""
    made = classify(recording.status, recording.headers, recording.body)
    assert (kind_of_status(recording.status), recording.status) == (made.kind, made.status)
    assert made.message
    assert not made.message.startswith(("{", "<"))
