"""Failures of the OpenAI family in one form: what a status and an error body mean.

An answer is judged by the first of these that applies: the rules of its provider (named tuples below, for the
registry), a prompt that is too long, the rules that hold everywhere, its status, the words in its body.

Sources: the providers' error pages (platform.openai.com/docs/guides/error-codes, console.groq.com/docs/errors,
openrouter.ai/docs/api-reference/limits, docs.together.ai/docs/error-codes, docs.z.ai/api-reference/api-code,
docs.fireworks.ai/guides/inference-error-codes, help.aliyun.com/en/model-studio/error-code, November 2026), recorded
error answers, and answers quoted in public issues.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from providers import durations, rate_limits
from providers.redaction import presentable
from providers.types import ErrorKind, UpstreamError
from providers.upstreams import problems
from providers.upstreams.problems import Problem

_MAX_NAME_CHARS: Final = 200

_BY_STATUS: Final[Mapping[int, ErrorKind]] = {
    401: "auth",
    402: "auth",
    403: "auth",
    404: "auth",
    407: "auth",
    408: "timeout",
    409: "overloaded",
    410: "auth",  # like 404: the model has been taken away
    424: "overloaded",
    425: "overloaded",
    429: "rate_limited",
    498: "overloaded",  # Groq: flex tier at capacity
    499: "overloaded",  # says that we left, which we did not
    502: "unreachable",
    504: "timeout",
    521: "unreachable",  # 521 to 524: a CDN's words for an origin that is down, far away or silent
    522: "unreachable",
    523: "unreachable",
    524: "timeout",
}

# Words in `code`, `type` or `status` that decide where there is no status: errors inside an answer or a stream.
_BY_WORD: Final[Mapping[str, ErrorKind]] = {
    **dict.fromkeys(
        (
            "rate_limit_exceeded", "rate_limit_error", "rate_limited", "rate_limit_reached_error",
            "ratelimitreached", "too_many_requests", "too_many_requests_error", "resource_exhausted",
            "slow_down", "throttling", "throttling.ratequota", "throttling.allocationquota", "limit_requests",
        ),
        "rate_limited",
    ),
    **dict.fromkeys(
        (
            "invalid_api_key", "invalidapikey", "authentication_error", "invalid_authentication_error",
            "permission_error", "permission_denied", "unauthenticated", "model_not_found", "not_found_error",
            "not_found", "payment_required",
        ),
        "auth",
    ),
    **dict.fromkeys(
        (
            "invalid_request_error", "invalid_argument", "invalid_parameter_error", "failed_precondition",
            "badrequesterror", "content_filter", "data_inspection_failed",
            "tool_use_failed",  # Groq: the model wrote a call that does not fit the tool
        ),
        "bad_request",
    ),
    **dict.fromkeys(
        (
            "overloaded_error", "server_error", "internal_error", "internalservererror", "api_error",
            "server_is_overloaded", "service_unavailable_error", "engine_overloaded_error", "unavailable",
        ),
        "overloaded",
    ),
    **dict.fromkeys(("timeout", "timeout_error", "deadline_exceeded"), "timeout"),
}  # fmt: skip

# Said of nearly everything, at times beside a word that says more (DeepSeek, recorded June 2026).
_VAGUE: Final = frozenset({"invalid_request_error", "api_error"})

# The key is good, and the model is not there: a status or a word that says so.
_ABSENT: Final = frozenset({404, 410})
_ABSENT_WORDS: Final = frozenset(
    {
        "model_not_found", "invalid_model", "model_decommissioned", "operationnotsupported", "not_found_error",
        "not_found", "1211",
    }
)  # fmt: skip

_PAGE: Final = re.compile(r"\s*<(?:!doctype|html|head|body|\?xml)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a failure means where its status alone would mislead. All conditions that are given must hold.

    Attributes:
        kind: what it is.
        again: the same backend may be asked once more.
        overflow: the prompt was too long.
        statuses: HTTP statuses; 0 stands for an error inside an answer that states none.
        words: any of these as code, type, status or reason, in lower case.
        pattern: searched in the provider's message. A client's words may be quoted there, so a rule for another
            kind than `bad_request` fixes its pattern to the beginning, or names a status no client can cause.
        member: path of a member of the error object.
        value: what stands there.
    """

    kind: ErrorKind
    again: bool = False
    overflow: bool = False
    statuses: frozenset[int] = frozenset()
    words: frozenset[str] = frozenset()
    pattern: re.Pattern[str] | None = None
    member: tuple[str, ...] = ()
    value: str = ""

    def __post_init__(self) -> None:
        if not (self.statuses or self.words or self.pattern or self.member):
            raise ValueError("a rule without conditions would match every failure")

    def matches(self, problem: Problem, status: int) -> bool:
        """Whether all conditions hold."""
        return (
            (not self.statuses or status in self.statuses)
            and (not self.words or not self.words.isdisjoint(problem.words))
            and (self.pattern is None or self.pattern.search(problem.message) is not None)
            and (not self.member or problem.at(self.member) == self.value)
        )


def _search(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_TOO_LARGE: Final = _search(r"^\s*request too large")

_NONE: Final = frozenset({0})
_BAD: Final = frozenset({0, 400})
_LIMITED: Final = frozenset({0, 429})

COMMON: Final[tuple[Rule, ...]] = (
    # Our key, under a status that blames the request: Gemini, xAI (both recorded), DashScope.
    Rule("auth", statuses=_BAD, words=frozenset({"api_key_invalid", "api_key_expired", "invalid_api_key"})),
    Rule(
        "auth",
        statuses=_BAD,
        pattern=_search(
            r"^\s*(?:(?:incorrect|invalid|missing|expired) api[ _-]?key|api[ _-]?key (?:not valid|expired))"
        ),
    ),
    Rule("auth", statuses=_BAD, words=frozenset({"arrearage"})),
    # A model our catalogue names and the provider has not, under 400: Mistral, Groq, Azure.
    Rule(
        "auth",
        statuses=frozenset({400}),
        words=frozenset(
            {"model_not_found", "invalid_model", "model_decommissioned", "operationnotsupported"}
        ),
    ),
    # Money, under a status that promises more in a minute: OpenAI, Moonshot, xAI. Others say 402.
    Rule(
        "rate_limited",
        statuses=frozenset({0, 400, 429}),
        words=frozenset(
            {
                "insufficient_quota",
                "credit_balance_exhausted",
                "organization_usage_limit_exceeded",
                "organization_spend_limit_exceeded",
                "project_spend_limit_exceeded",
                "billing_hard_limit_reached",
                "billing_not_active",
                "exceeded_current_quota_error",
                "enforced_spend_limit_reached",
            }
        ),
    ),
    Rule(
        "rate_limited",
        statuses=_LIMITED,
        pattern=_search(r"used all available credits|monthly spending limit|insufficient balance"),
    ),
    # A day's quota, or none at all: Gemini and Vertex. A wait given in hours is the same thing.
    Rule("rate_limited", statuses=_LIMITED, words=frozenset({"quota_per_day", "quota_zero"})),
    Rule(
        "rate_limited",
        statuses=_LIMITED,
        pattern=_search(r"\blimit: 0(?![.0-9])|please retry in [0-9]{1,4}h"),
    ),
    # One request above a minute's allowance never fits: OpenAI.
    Rule("rate_limited", statuses=_LIMITED, pattern=_TOO_LARGE),
)
"""Hold for every provider, also for one that is known by its URL alone."""

GROQ: Final[tuple[Rule, ...]] = (
    Rule("overloaded", statuses=frozenset({424})),  # a remote tool server failed, or refused our credentials
    Rule("bad_request", statuses=frozenset({499})),  # "cancelled by the caller"
)

OPENROUTER: Final[tuple[Rule, ...]] = (
    # Our own requests under way hold the balance; it comes back, and retry-after says when.
    Rule(
        "rate_limited",
        again=True,
        statuses=frozenset({402}),
        member=("metadata", "limit_source"),
        value="openrouter_in_flight_budget",
    ),
)

DASHSCOPE: Final[tuple[Rule, ...]] = (
    # A free quota is used up for good; the same words otherwise mean tokens per minute, and sending again works.
    Rule(
        "rate_limited",
        statuses=_LIMITED,
        words=frozenset({"insufficient_quota", "throttling.allocationquota"}),
        pattern=_search(r"\bfree\b"),
    ),
    Rule("rate_limited", again=True, statuses=_LIMITED, words=frozenset({"insufficient_quota"})),
)

TOGETHER: Final[tuple[Rule, ...]] = (
    # 403 is its word for input and max_tokens beyond the context.
    Rule(
        "bad_request",
        overflow=True,
        statuses=frozenset({403}),
        pattern=_search(r"tokens? .{0,80}(?:context|must be)|context length"),
    ),
)

FIREWORKS: Final[tuple[Rule, ...]] = (
    Rule("auth", statuses=frozenset({412})),  # the account is suspended, or beyond its monthly spending limit
)

CEREBRAS: Final[tuple[Rule, ...]] = (
    # "We're experiencing high traffic right now": theirs, not our limit.
    Rule("overloaded", again=True, statuses=_LIMITED, words=frozenset({"queue_exceeded"})),
)

MOONSHOT: Final[tuple[Rule, ...]] = (
    Rule("overloaded", again=True, statuses=_LIMITED, words=frozenset({"engine_overloaded_error"})),
)

ZAI: Final[tuple[Rule, ...]] = (
    # 1113 in arrears, 1308 to 1310 plan used up or ended; 1112 and 1121 locked. 1302, 1303 and 1305 are throttles.
    Rule("rate_limited", statuses=_LIMITED, words=frozenset({"1113", "1308", "1309", "1310"})),
    Rule("auth", statuses=_LIMITED, words=frozenset({"1110", "1111", "1112", "1121", "1220"})),
    Rule("auth", statuses=frozenset({434})),  # no permission for this interface
    Rule("auth", statuses=_BAD, words=frozenset({"1211", "1221", "1222"})),  # no such model or interface
)

LOCAL: Final[tuple[Rule, ...]] = (
    # LM Studio blames the request when its model has gone.
    Rule(
        "overloaded",
        again=True,
        statuses=frozenset({400}),
        pattern=_search(r"^\s*(?:the )?model (?:has |is |was )?(?:crashed|unloaded)"),
    ),
    Rule("auth", statuses=frozenset({400}), pattern=_search(r"^\s*no models? (?:is |are )?loaded")),
)
"""Ollama, vLLM, SGLang, llama.cpp, LM Studio."""


def classify(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now_epoch_s: float | None = None,
    rules: tuple[Rule, ...] = (),
) -> UpstreamError:
    """An answer with an error status. Never raises.

    Args:
        headers: with lower-case names.
        now_epoch_s: the time it is; without it a wait that is given as a point in time says nothing.
        rules: of this provider.
    """
    return _judge(problems.read(body), status, headers, now_epoch_s, rules)


def from_body(
    problem: Any, *, status: int, now_epoch_s: float | None = None, rules: tuple[Rule, ...] = ()
) -> UpstreamError:
    """The value of an `error` member: an object, or with some providers a string. Never raises.

    Args:
        status: the HTTP status it came under; 200 for an error inside an answer.
        now_epoch_s: as for `classify`.
        rules: of this provider.
    """
    return _judge(problems.of_member(problem), status, {}, now_epoch_s, rules)


def kind_of_status(status: int) -> ErrorKind:
    """What an HTTP status of a provider means when nothing else is known."""
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    if 400 <= status < 500:
        return "bad_request"
    return "overloaded" if status >= 500 else "protocol"


def _judge(
    problem: Problem,
    status: int,
    headers: Mapping[str, str],
    now_epoch_s: float | None,
    rules: tuple[Rule, ...],
) -> UpstreamError:
    if status == 200:
        status = problem.number
    kind, again, overflow = _meaning(problem, status, rules)
    # What never comes again is money or a day's quota, but for one request that is too large by itself.
    spent = kind == "rate_limited" and not again and _TOO_LARGE.search(problem.message) is None
    if headers.get("x-should-retry") == "false":
        again = False
    wait_s = durations.retry_after_s(headers, now_epoch_s)
    if wait_s is None and kind == "rate_limited":
        wait_s = problem.wait_s(now_epoch_s)
        if wait_s is None:
            wait_s = rate_limits.reset_wait_s(headers, now_epoch_s)
    return UpstreamError(
        kind,
        _message(problem, kind, status),
        status=status,
        code=None if problem.code is None else presentable(problem.code, max_chars=_MAX_NAME_CHARS),
        param=None if problem.param is None else presentable(problem.param, max_chars=_MAX_NAME_CHARS),
        retry_after_s=wait_s,
        context_overflow=overflow,
        again=again,
        no_such_model=kind == "auth" and (status in _ABSENT or not _ABSENT_WORDS.isdisjoint(problem.words)),
        spent=spent,
    )


def _meaning(problem: Problem, status: int, rules: tuple[Rule, ...]) -> tuple[ErrorKind, bool, bool]:
    """Kind, whether the same backend may be asked again, whether the prompt is too long."""
    for rule in rules:
        if rule.matches(problem, status):
            return rule.kind, rule.again, rule.overflow
    kind: ErrorKind
    if status:
        kind = kind_of_status(status)
    else:
        telling = sorted((word for word in problem.words if word in _BY_WORD), key=_VAGUE.__contains__)
        kind = _BY_WORD[telling[0]] if telling else "overloaded"
    if kind not in ("auth", "protocol") and problem.overflows(status):
        return "bad_request", False, True
    for rule in COMMON:
        if rule.matches(problem, status):
            return rule.kind, rule.again, rule.overflow
    return kind, kind not in ("auth", "bad_request"), False


def _message(problem: Problem, kind: ErrorKind, status: int) -> str:
    """Words for the client. What a provider says about our key stays here: a client can do nothing about it."""
    if kind == "auth":
        named = status or (
            presentable(problem.code, max_chars=_MAX_NAME_CHARS) if problem.code else "no status"
        )
        return f"the provider does not let the gateway use this model ({named})"
    text = "" if _PAGE.match(problem.message) else presentable(problem.message)
    return text or f"the provider answered {status or 'with an error'}"
