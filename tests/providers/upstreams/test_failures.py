"""Every failure of a provider has one kind, whatever its status and body look like."""

from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.types import UpstreamError
from providers.upstreams import failures
from providers.upstreams.failures import Rule, classify, from_body, kind_of_status

KEY: Final = "test-key-0001-abcdef"
NOW_S: Final = 1_792_567_620.0  # Wed, 21 Oct 2026 07:27:00 GMT


def failure(
    status: int,
    body: Any = None,
    headers: dict[str, str] | None = None,
    rules: tuple[Rule, ...] = (),
) -> UpstreamError:
    raw = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
    return classify(status, headers or {}, raw, now_epoch_s=NOW_S, rules=rules)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "bad_request"),
        (401, "auth"),
        (402, "auth"),
        (403, "auth"),
        (404, "auth"),
        (407, "auth"),
        (408, "timeout"),
        (409, "overloaded"),
        (410, "auth"),
        (413, "bad_request"),
        (415, "bad_request"),
        (422, "bad_request"),
        (424, "overloaded"),
        (425, "overloaded"),
        (429, "rate_limited"),
        (498, "overloaded"),
        (499, "overloaded"),
        (500, "overloaded"),
        (502, "unreachable"),
        (503, "overloaded"),
        (504, "timeout"),
        (520, "overloaded"),
        (522, "unreachable"),
        (524, "timeout"),
        (529, "overloaded"),
        (301, "protocol"),
        (204, "protocol"),
        (0, "protocol"),
        (-7, "protocol"),
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
    for body in bodies if status else ():
        made = failure(status, body)
        assert (kind, status) == (made.kind, made.status)
        assert (kind not in ("auth", "bad_request")) == made.again


def test_messages_are_safe_to_show() -> None:
    """A message is one bounded line without credentials; so are code and param."""
    assert "x" * 2000 == failure(400, {"error": {"message": "x" * 5000}}).message
    made = failure(
        500, {"error": {"message": f"a\n\x1bkey={KEY}", "code": f"Bearer {KEY}", "param": "p" * 999}}
    )
    assert ("a key=***", "Bearer ***", "p" * 200) == (made.message, made.code, made.param)


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_auth_failures_never_quote_the_provider(status: int) -> None:
    """The provider's words about our key stay here: they may quote it."""
    made = failure(status, {"error": {"message": f"Incorrect API key provided: {KEY}"}})
    assert KEY not in made.message
    assert "Incorrect" not in made.message
    assert str(status) in made.message


@given(
    st.sampled_from([400, 403, 429, 500]),
    st.sampled_from(
        ["Incorrect API key provided: {}", "Bearer {}", "https://h.example/?key={}", "api_key={}"]
    ),
    st.sampled_from(["error", "detail", "message", "errors", "raw"]),
    st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{18,40}[0-9]", fullmatch=True),
)
def test_a_key_in_a_body_does_not_come_out(status: int, phrase: str, member: str, secret: str) -> None:
    """A key anywhere in a body is in nothing a client or a log line gets."""
    said = phrase.format(secret)
    bodies: tuple[Any, ...] = (
        {member: said},
        {"error": {"message": said, "code": said, "param": said, "type": said}},
        {
            "error": {
                "message": "Provider returned error",
                "metadata": {"raw": orjson.dumps({member: said}).decode()},
            }
        },
    )
    for body in bodies:
        made = failure(status, body)
        assert secret not in f"{made.message} {made.code} {made.param} {made}"


WAITS: Final[list[tuple[int, dict[str, str], Any, float | None]]] = [
    (429, {}, None, None),
    (429, {"retry-after": "7"}, None, 7.0),
    (503, {"retry-after": "7"}, None, 7.0),
    (429, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None, 60.0),
    (503, {"retry-after": "Wed, 21 Oct 2026 07:26:00 GMT"}, None, 0.0),
    (429, {"retry-after-ms": "0", "retry-after": "1"}, None, 1.0),
    (429, {"retry-after": "-3"}, None, None),
    (429, {"retry-after": "nan"}, None, None),
    (429, {"retry-after": "soon"}, None, None),
    # A header wins over the body, the body over resets.
    (429, {"retry-after": "7"}, {"error": {"message": "try again in 20s"}}, 7.0),
    (429, {"x-ratelimit-reset-requests": "1s"}, {"error": {"message": "Please try again in 20s."}}, 20.0),
    (429, {}, {"error": {"details": [{"@type": "x/google.rpc.RetryInfo", "retryDelay": "48s"}]}}, 48.0),
    (429, {}, [{"error": {"message": "retry in 48.9s", "details": [{"retryDelay": "48s"}]}}], 48.0),
    (
        429,
        {},
        {"error": {"message": "m", "metadata": {"headers": {"X-RateLimit-Reset": "1792567646000"}}}},
        26.0,
    ),
    (429, {}, {"error": {"message": "m", "metadata": {"headers": {"Retry-After": "3"}}}}, 3.0),
    # The larger reset; of requests only where none is left.
    (429, {"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6m0s"}, None, 360.0),
    (429, {"x-ratelimit-reset-requests": "12ms", "x-ratelimit-reset-tokens": "0s"}, None, 0.012),
    (429, {"x-ratelimit-reset-tokens": "0", "x-ratelimit-remaining-tokens": "-1"}, None, None),
    (429, {"x-ratelimit-reset": "1792567646000"}, None, 26.0),
    # Words and resets say nothing about other failures.
    (503, {}, {"error": {"message": "try again in 20s"}}, None),
    (500, {"x-ratelimit-reset-requests": "1s"}, None, None),
]


@pytest.mark.parametrize(("status", "headers", "body", "expected"), WAITS)
def test_how_long_to_wait(status: int, headers: dict[str, str], body: Any, expected: float | None) -> None:
    """What the provider asks to wait, in seconds, wherever it says so."""
    assert expected == failure(status, body, headers).retry_after_s


def test_without_a_clock_a_point_in_time_says_nothing() -> None:
    """Who does not pass the time still gets every wait that is given as a length."""
    assert classify(429, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, b"").retry_after_s is None
    assert 7.0 == classify(429, {"retry-after": "7"}, b"").retry_after_s


def test_a_provider_may_say_that_sending_again_is_pointless() -> None:
    """`x-should-retry: false` keeps the same backend from being asked again."""
    assert not failure(500, None, {"x-should-retry": "false"}).again
    assert failure(500, None, {"x-should-retry": "true"}).again


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
        ({"message": "m", "code": "tool_use_failed", "status_code": 400}, "bad_request", 400),
        ({"message": "m", "code": "rate_limit_exceeded"}, "rate_limited", 0),
        ({"message": "m", "type": "insufficient_quota"}, "rate_limited", 0),
        ({"message": "m", "type": "invalid_request_error", "code": "invalid_api_key"}, "auth", 0),
        ({"message": "m", "code": "invalid_request_error", "type": "authentication_error"}, "auth", 0),
        ({"message": "m", "code": "content_filter", "type": "invalid_request_error"}, "bad_request", 0),
        ({"message": "m", "status": "PERMISSION_DENIED"}, "auth", 0),
        ({"message": "m", "status": "RESOURCE_EXHAUSTED"}, "rate_limited", 0),
        ({"message": "m", "code": "timeout"}, "timeout", 0),
        ({"message": "m", "code": 404}, "auth", 404),
        ({"message": "m"}, "overloaded", 0),
        ({"message": "maximum context length is 8 tokens"}, "bad_request", 0),
        ("m", "overloaded", 0),
        (["m"], "overloaded", 0),
        (5, "overloaded", 0),
        (None, "overloaded", 0),
        ({"message": {"deep": 1}, "code": True}, "overloaded", 0),
        ({"message": "m", "code": {"x": 1}, "type": [1]}, "overloaded", 0),
    ],
)
def test_errors_under_status_200(problem: Any, kind: str, status: int) -> None:
    """An error inside an answer is judged by the status it states, else by its code and type."""
    made = from_body(problem, status=200)
    assert (kind, status) == (made.kind, made.status)
    whole = failure(200, {"error": problem})
    if isinstance(problem, dict):
        assert (kind, status, made.message) == (whole.kind, whole.status, whole.message)


def test_an_error_in_a_stream_may_say_how_long_to_wait() -> None:
    """A rate limit inside an answer carries its delay, and the provider's own rules hold there, too."""
    limited = from_body({"message": "Please try again in 2s.", "code": 429}, status=200)
    assert ("rate_limited", 2.0, True) == (limited.kind, limited.retry_after_s, limited.again)
    poor = {"message": "Allocated quota exceeded.", "code": "insufficient_quota"}
    assert not from_body(poor, status=200).again
    assert from_body(poor, status=200, rules=failures.DASHSCOPE).again


MEMBERS: Final = (
    *(
        "error",
        "errors",
        "message",
        "code",
        "type",
        "detail",
        "details",
        "metadata",
        "raw",
        "headers",
        "status",
    ),
    *("param", "loc", "msg", "reason", "violations", "retryDelay"),
)
JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "error",
                    "errors",
                    "message",
                    "code",
                    "type",
                    "detail",
                    "details",
                    "metadata",
                    "raw",
                    "headers",
                    "status",
                ]
            )
            | st.text(max_size=8),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)
HEADERS: Final = st.dictionaries(
    st.sampled_from(
        ["retry-after", "retry-after-ms", "x-ratelimit-reset-requests", "x-ratelimit-remaining-requests"]
    )
    | st.text(max_size=20),
    st.text(max_size=30),
    max_size=4,
)
ANY_RULES: Final = tuple(
    rule
    for rules in (
        failures.GROQ, failures.OPENROUTER, failures.DASHSCOPE, failures.TOGETHER, failures.FIREWORKS,
        failures.CEREBRAS, failures.MOONSHOT, failures.ZAI, failures.LOCAL,
    )
    for rule in rules
)  # fmt: skip


@given(st.integers(-1, 1000), HEADERS, st.binary(max_size=60) | JSON.map(orjson.dumps), st.booleans())
def test_nothing_raises(status: int, headers: dict[str, str], body: bytes, ruled: bool) -> None:  # noqa: FBT001 - drawn
    """Any status, headers and body make one error with something to say."""
    made = classify(status, headers, body, now_epoch_s=NOW_S, rules=ANY_RULES if ruled else ())
    assert isinstance(made, UpstreamError)
    assert made.message
    assert made.retry_after_s is None or made.retry_after_s >= 0


@given(JSON, st.sampled_from([200, 400, 429, 500]))
def test_no_error_member_raises(problem: Any, status: int) -> None:
    """Whatever stands where an error should makes one error with something to say."""
    made = from_body(problem, status=status, now_epoch_s=NOW_S, rules=ANY_RULES)
    assert made.message
