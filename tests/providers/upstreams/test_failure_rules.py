"""What each provider's failures mean: to be sent again, only elsewhere, or given back to the client."""

from typing import Any, Final

import orjson
import pytest

from providers.types import ErrorKind
from providers.upstreams import failures
from providers.upstreams.failures import Rule, classify

AGAIN: Final = "again"  # may go to the same backend once more
MOVES: Final = "moves on"  # only to another one
BACK: Final = "given back"

Row = tuple[str, int, Any, ErrorKind, str]


def said(message: str = "m", **members: Any) -> dict[str, Any]:
    """The usual body."""
    return {"error": {"message": message, **members}}


def flat(message: str = "m", **members: Any) -> dict[str, Any]:
    """A body without an `error` member."""
    return {"message": message, **members}


def quota(quota_id: str) -> dict[str, Any]:
    """A detail of a Google error."""
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota_id}]}


EXHAUSTED: Final = "You exceeded your current quota, please check your plan and billing details."
NO_ACCESS: Final = "The model `m` does not exist or you do not have access to it."
TOO_LARGE: Final = (
    "Request too large for gpt-4o in organization org-1 on tokens per min (TPM): Limit 9, Requested 61."
)
SPENT: Final = "Your team t has either used all available credits or reached its monthly spending limit."
SUSPENDED: Final = "Account a is suspended, possibly due to reaching the monthly spending limit."
TOO_LONG: Final = "Input token count + max_tokens parameter must be less than the context length of the model"
BAD_KEY: Final = "API key not valid. Please pass a valid API key."
S0: Final = (
    "Requests have exceeded token rate limit of your current S0 pricing tier. Please retry after 10 seconds."
)

# Also OpenAI, Azure, Mistral, DeepSeek, xAI and Perplexity, which need no rules of their own.
ANY: Final[list[Row]] = [
    ("408", 408, None, "timeout", AGAIN),
    ("409", 409, None, "overloaded", AGAIN),
    ("413", 413, None, "bad_request", BACK),
    ("529", 529, None, "overloaded", AGAIN),
    ("page under 502", 502, b"<html><h1>502 Bad Gateway</h1></html>", "unreachable", AGAIN),
    ("page under 429", 429, b"<!doctype html><p>Slow down</p>", "rate_limited", AGAIN),
    ("page under 401", 401, b"<html><title>401 Authorization Required</title></html>", "auth", MOVES),
    ("openai rate", 429, said(type="tokens", code="rate_limit_exceeded"), "rate_limited", AGAIN),
    ("openai slow_down", 429, said(type="rate_limit_error", code="slow_down"), "rate_limited", AGAIN),
    ("openai 500", 500, said(type="server_error", code=None), "overloaded", AGAIN),
    ("openai 503", 503, said(code="server_is_overloaded"), "overloaded", AGAIN),
    ("openai quota", 429, said(EXHAUSTED, code="insufficient_quota"), "rate_limited", MOVES),
    (
        "openai credit",
        429,
        said(type="insufficient_quota", code="credit_balance_exhausted"),
        "rate_limited",
        MOVES,
    ),
    ("openai spend limit", 429, said(code="project_spend_limit_exceeded"), "rate_limited", MOVES),
    ("openai too large", 429, said(TOO_LARGE, code="rate_limit_exceeded"), "rate_limited", MOVES),
    ("openai 401", 401, said(type="invalid_request_error", code="invalid_api_key"), "auth", MOVES),
    (
        "openai 400",
        400,
        said(type="invalid_request_error", code="unsupported_parameter"),
        "bad_request",
        BACK,
    ),
    ("openai 403", 403, said("Country, region, or territory not supported"), "auth", MOVES),
    ("openai 404", 404, said(NO_ACCESS, code="model_not_found"), "auth", MOVES),
    ("openai 422", 422, said(), "bad_request", BACK),
    ("azure 429", 429, said(S0, code="429"), "rate_limited", AGAIN),
    ("azure 500", 500, said(code="InternalServerError"), "overloaded", AGAIN),
    ("azure 401", 401, said("Access denied due to invalid subscription key", code="401"), "auth", MOVES),
    (
        "azure filter",
        400,
        said(code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation"}),
        "bad_request",
        BACK,
    ),
    ("azure deployment", 404, said(code="DeploymentNotFound"), "auth", MOVES),
    ("azure operation", 400, said(code="OperationNotSupported"), "auth", MOVES),
    ("mistral 429", 429, flat("Service tier capacity exceeded", code="3505"), "rate_limited", AGAIN),
    ("mistral 500", 500, flat(), "overloaded", AGAIN),
    ("mistral 502", 502, None, "unreachable", AGAIN),
    ("mistral 504", 504, None, "timeout", AGAIN),
    ("mistral 401", 401, {"detail": "Invalid API Key"}, "auth", MOVES),
    ("mistral 400", 400, flat(type="invalid_request_invalid_args", code="3051"), "bad_request", BACK),
    ("mistral model", 400, flat("Invalid model: m", type="invalid_model", code="1500"), "auth", MOVES),
    ("mistral 422", 422, {"object": "error", "message": {"detail": [{"msg": "no"}]}}, "bad_request", BACK),
    ("deepseek 429", 429, said(), "rate_limited", AGAIN),
    ("deepseek 503", 503, said(), "overloaded", AGAIN),
    ("deepseek 401", 401, said(type="authentication_error"), "auth", MOVES),
    ("deepseek 402", 402, said("Insufficient Balance", type="unknown_error"), "auth", MOVES),
    ("deepseek 422", 422, said(), "bad_request", BACK),
    ("xai 429", 429, {"code": "resource-exhausted", "error": "Too many requests"}, "rate_limited", AGAIN),
    ("xai spent", 429, {"code": "resource-exhausted", "error": SPENT}, "rate_limited", MOVES),
    ("xai 500", 500, {"code": "internal", "error": "m"}, "overloaded", AGAIN),
    (
        "xai key",
        400,
        {"code": "invalid-argument", "error": "Incorrect API key provided: x***"},
        "auth",
        MOVES,
    ),
    ("xai 400", 400, {"code": "invalid-argument", "error": "Argument not supported: n"}, "bad_request", BACK),
    (
        "xai quoting the client",
        400,
        {"code": "invalid-argument", "error": "No tool 'incorrect api key'"},
        "bad_request",
        BACK,
    ),
    ("huggingface 402", 402, {"error": "You have exceeded your monthly included credits"}, "auth", MOVES),
]

# Gemini's compatible endpoint wraps its errors in a list.
GOOGLE: Final[list[Row]] = [
    ("key", 400, [said(BAD_KEY, code=400, details=[{"reason": "API_KEY_INVALID"}])], "auth", MOVES),
    ("key by words", 400, [said(BAD_KEY, code=400, status="INVALID_ARGUMENT")], "auth", MOVES),
    ("argument", 400, [said(code=400, status="INVALID_ARGUMENT")], "bad_request", BACK),
    ("minute", 429, [said(EXHAUSTED, code=429, details=[quota("RequestsPerMinute")])], "rate_limited", AGAIN),
    (
        "day",
        429,
        [said(EXHAUSTED, code=429, details=[quota("RequestsPerDayPerProject"), {"retryDelay": "31s"}])],
        "rate_limited",
        MOVES,
    ),
    ("limit 0", 429, [said("Quota exceeded for metric: m, limit: 0, model: m")], "rate_limited", MOVES),
    ("limit above 0", 429, [said("Quota exceeded for metric: m, limit: 0.5")], "rate_limited", AGAIN),
    ("hours", 429, [said("Please retry in 10h17m5s.")], "rate_limited", MOVES),
    (
        "no quota at all",
        429,
        said(details=[{"metadata": {"quota_limit_value": "0"}}]),
        "rate_limited",
        MOVES,
    ),
    ("503", 503, [said("The model is overloaded", status="UNAVAILABLE")], "overloaded", AGAIN),
    ("504", 504, [said(status="DEADLINE_EXCEEDED")], "timeout", AGAIN),
]

GROQ: Final[list[Row]] = [
    ("429", 429, said(type="tokens", code="rate_limit_exceeded"), "rate_limited", AGAIN),
    ("498", 498, said(code="capacity_exceeded"), "overloaded", AGAIN),
    ("500", 500, said(), "overloaded", AGAIN),
    ("502", 502, None, "unreachable", AGAIN),
    ("503", 503, None, "overloaded", AGAIN),
    ("401", 401, said("Invalid API Key", code="invalid_api_key"), "auth", MOVES),
    ("424", 424, said(), "overloaded", MOVES),
    ("400", 400, said(code="tool_use_failed"), "bad_request", BACK),
    ("model gone", 400, said(code="model_decommissioned"), "auth", MOVES),
    ("413", 413, said("Request Entity Too Large"), "bad_request", BACK),
    ("422", 422, None, "bad_request", BACK),
    ("499", 499, None, "bad_request", BACK),
]

OPENROUTER: Final[list[Row]] = [
    ("408", 408, said(code=408), "timeout", AGAIN),
    ("429", 429, said(code=429, metadata={"error_type": "rate_limit_exceeded"}), "rate_limited", AGAIN),
    ("502", 502, said(code=502), "unreachable", AGAIN),
    ("503", 503, said(code=503), "overloaded", AGAIN),
    (
        "in flight",
        402,
        said(code=402, metadata={"limit_source": "openrouter_in_flight_budget"}),
        "rate_limited",
        AGAIN,
    ),
    (
        "in flight, in a stream",
        200,
        said(code=402, metadata={"limit_source": "openrouter_in_flight_budget"}),
        "rate_limited",
        AGAIN,
    ),
    ("credits", 402, said(code=402, metadata={"limit_source": "openrouter_credits"}), "auth", MOVES),
    ("402", 402, said(code=402), "auth", MOVES),
    ("401", 401, said(code=401), "auth", MOVES),
    ("400", 400, said(code=400), "bad_request", BACK),
    ("403", 403, said("flagged", code=403), "auth", MOVES),
]

DASHSCOPE: Final[list[Row]] = [
    ("throttle", 429, said(EXHAUSTED, code="insufficient_quota"), "rate_limited", AGAIN),
    (
        "allocation",
        429,
        flat("Allocated quota exceeded", code="Throttling.AllocationQuota"),
        "rate_limited",
        AGAIN,
    ),
    (
        "free quota",
        429,
        said("Free allocated quota exceeded.", code="insufficient_quota"),
        "rate_limited",
        MOVES,
    ),
    ("rate", 429, said(code="limit_requests"), "rate_limited", AGAIN),
    ("500", 500, said(code="internal_error"), "overloaded", AGAIN),
    ("503", 503, said(), "overloaded", AGAIN),
    ("401", 401, flat(code="InvalidApiKey"), "auth", MOVES),
    ("403", 403, flat(code="AccessDenied"), "auth", MOVES),
    ("arrears", 400, said("Access denied", code="Arrearage", type="Arrearage"), "auth", MOVES),
    ("400", 400, said(code="invalid_parameter_error"), "bad_request", BACK),
    ("inspected", 400, said(code="data_inspection_failed"), "bad_request", BACK),
]

LOCAL: Final[list[Row]] = [
    ("429", 429, flat(object="error", code=429), "rate_limited", AGAIN),
    ("503", 503, said("Loading model", code=503, type="unavailable_error"), "overloaded", AGAIN),
    ("401", 401, {"error": "Unauthorized"}, "auth", MOVES),
    ("404", 404, flat("The model `m` does not exist.", type="NotFoundError", code=404), "auth", MOVES),
    ("404 of Ollama", 404, said('model "m" not found', type="not_found_error"), "auth", MOVES),
    ("400", 400, flat(object="error", type="BadRequestError", code=400), "bad_request", BACK),
    ("in a stream", 200, said(param=None, code=500), "overloaded", AGAIN),
    (
        "model crashed",
        400,
        {"error": "The model has crashed without additional information."},
        "overloaded",
        AGAIN,
    ),
    ("no model", 400, {"error": "No models loaded. Please load a model"}, "auth", MOVES),
]

TOGETHER: Final[list[Row]] = [
    ("too long", 403, said(TOO_LONG), "bad_request", BACK),
    ("403", 403, said("Forbidden"), "auth", MOVES),
    ("402", 402, said(), "auth", MOVES),
    ("429", 429, said(), "rate_limited", AGAIN),
    ("503", 503, said(), "overloaded", AGAIN),
]

FIREWORKS: Final[list[Row]] = [
    ("412", 412, said(SUSPENDED, code="PRECONDITION_FAILED", type="error"), "auth", MOVES),
    ("429", 429, said(), "rate_limited", AGAIN),
]

CEREBRAS: Final[list[Row]] = [
    ("queue", 429, flat(type="too_many_requests_error", code="queue_exceeded"), "overloaded", AGAIN),
    (
        "minute",
        429,
        flat(type="too_many_requests_error", code="request_quota_exceeded"),
        "rate_limited",
        AGAIN,
    ),
]

MOONSHOT: Final[list[Row]] = [
    ("busy", 429, said(type="engine_overloaded_error"), "overloaded", AGAIN),
    (
        "rate",
        429,
        said("max RPM: 3, try again after 1 seconds", type="rate_limit_reached_error"),
        "rate_limited",
        AGAIN,
    ),
    ("poor", 429, said("suspended", type="exceeded_current_quota_error"), "rate_limited", MOVES),
    ("403", 403, said(type="exceeded_current_quota_error"), "auth", MOVES),
]

ZAI: Final[list[Row]] = [
    ("poor", 429, said("Insufficient balance or no resource package.", code="1113"), "rate_limited", MOVES),
    ("plan", 429, said("Usage limit reached", code="1308"), "rate_limited", MOVES),
    ("rate", 429, said("High concurrency usage of this API", code="1302"), "rate_limited", AGAIN),
    ("locked", 429, said("Your account has been locked", code="1112"), "auth", MOVES),
    ("permission", 434, None, "auth", MOVES),
    ("model", 400, said("Model does not exist", code="1211"), "auth", MOVES),
    ("400", 400, said("Invalid x parameter.", code="1214"), "bad_request", BACK),
]

PROVIDERS: Final[list[tuple[str, tuple[Rule, ...], list[Row]]]] = [
    ("any", (), ANY),
    ("google", (), GOOGLE),
    ("groq", failures.GROQ, GROQ),
    ("openrouter", failures.OPENROUTER, OPENROUTER),
    ("dashscope", failures.DASHSCOPE, DASHSCOPE),
    ("local", failures.LOCAL, LOCAL),
    ("together", failures.TOGETHER, TOGETHER),
    ("fireworks", failures.FIREWORKS, FIREWORKS),
    ("cerebras", failures.CEREBRAS, CEREBRAS),
    ("moonshot", failures.MOONSHOT, MOONSHOT),
    ("zai", failures.ZAI, ZAI),
]


@pytest.mark.parametrize(
    ("rules", "row"),
    [pytest.param(rules, row, id=f"{name} {row[0]}") for name, rules, rows in PROVIDERS for row in rows],
)
def test_what_a_failure_means(rules: tuple[Rule, ...], row: Row) -> None:
    """Each provider's answer has the kind and takes the course that the provider's own pages give it."""
    _, status, body, kind, course = row
    raw = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
    made = classify(status, {}, raw, rules=rules)
    assert (kind, course == AGAIN) == (made.kind, made.again)
    assert (course == BACK) == (made.kind == "bad_request")


def test_a_prompt_too_long_for_together_is_told_from_a_refusal() -> None:
    """Its 403 may mean the prompt, so that a larger model is tried."""
    made = classify(403, {}, orjson.dumps(said(TOO_LONG)), rules=failures.TOGETHER)
    assert made.context_overflow


def test_a_rule_needs_a_condition() -> None:
    """A rule that would match everything cannot be made."""
    with pytest.raises(ValueError, match="every failure"):
        Rule("auth")


@pytest.mark.parametrize(
    ("status", "body", "absent", "spent"),
    [
        (404, said(NO_ACCESS, code="model_not_found"), True, False),
        (404, b"<html>nowhere</html>", True, False),
        (410, None, True, False),
        (400, said("Invalid model: m", type="invalid_model"), True, False),
        (401, said("no", code="invalid_api_key"), False, False),
        (402, None, False, False),
        (403, said("no", code="permission_denied"), False, False),
        (429, said(EXHAUSTED, code="insufficient_quota"), False, True),
        (429, said(SPENT), False, True),
        (429, said("m", details=[quota("GenerateRequestsPerDayPerProject")]), False, True),
        (429, said(TOO_LARGE, code="rate_limit_exceeded"), False, False),
        (429, said(code="rate_limit_exceeded"), False, False),
        (503, said(NO_ACCESS), False, False),
    ],
)
def test_what_is_to_blame(status: int, body: Any, absent: bool, spent: bool) -> None:  # noqa: FBT001 - columns
    """The model that is not there, or an account that is empty; another wording of it says the same."""
    raw = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
    error = classify(status, {}, raw)
    assert (absent, spent) == (error.no_such_model, error.spent)
    again = error.reworded("other words", None, None)
    assert (absent, spent) == (again.no_such_model, again.spent)
