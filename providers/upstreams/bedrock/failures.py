"""What Bedrock's errors mean, before an answer and in the middle of one.

An exception has a name: in a header, in the body, or, within a stream, in a message of its own.

Sources: docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html and API_runtime_ConverseStream.html,
docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html, the service model of botocore 1.44,
recorded answers, and answers quoted in public issues; all November 2026.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson

from providers.types import UpstreamError
from providers.upstreams.failures import Rule, classify

_CREDENTIALS: Final = frozenset(
    {
        "accessdeniedexception",
        "expiredtokenexception",
        "incompletesignatureexception",
        "invalidclienttokenid",
        "invalidsignatureexception",
        "missingauthenticationtokenexception",
        "optinrequired",
        "unrecognizedclientexception",
    }
)
_BAD: Final = frozenset({400})
_TOO_MANY: Final = frozenset({429})

RULES: Final[tuple[Rule, ...]] = (
    # Nova; Titan and Llama; Claude, where prompt and limit together are too much.
    Rule(
        "bad_request",
        overflow=True,
        statuses=_BAD,
        pattern=re.compile(
            r"input tokens exceeded|number of input tokens exceeds|input is too long"
            r"|too many input tokens|exceed context limit|prompt is too long",
            re.IGNORECASE,
        ),
    ),
    # A model that our catalogue names and this account or region has not.
    Rule(
        "auth",
        statuses=_BAD,
        pattern=re.compile(
            r"^\s*(?:the provided model identifier is invalid|invocation of model id .{1,200} with on-demand"
            r"|operation not allowed|(?:the )?(?:requested )?model .{0,200}isn.t supported)",
            re.IGNORECASE,
        ),
    ),
    Rule(
        "auth",
        statuses=frozenset({400, 401, 403}),
        words=_CREDENTIALS,
    ),
    # A day's tokens are gone; the other throttles are of a minute.
    Rule("rate_limited", statuses=_TOO_MANY, pattern=re.compile(r"\bper day\b", re.IGNORECASE)),
    # A quota of the account that waiting does not lift.
    Rule("rate_limited", words=frozenset({"servicequotaexceededexception"})),
    # 429, but it speaks of a model that is being loaded.
    Rule("overloaded", again=True, statuses=_TOO_MANY, words=frozenset({"modelnotreadyexception"})),
)

_STATUS: Final[Mapping[str, int]] = MappingProxyType(
    {
        **dict.fromkeys(_CREDENTIALS, 403),
        "internalserverexception": 500,
        "modelerrorexception": 424,
        "modelnotreadyexception": 429,
        "modelstreamerrorexception": 424,
        "modeltimeoutexception": 408,
        "resourcenotfoundexception": 404,
        "servicequotaexceededexception": 400,
        "serviceunavailableexception": 503,
        "throttlingexception": 429,
        "validationexception": 400,
    }
)


def of_answer(
    status: int, headers: Mapping[str, str], body: bytes, *, now_epoch_s: float | None
) -> UpstreamError:
    """An answer whose status is not 200. Never raises.

    Args:
        headers: with lower-case names.
    """
    members = _object(body)
    # `ValidationException:http://internal.amazon.com/coral/com.amazon.bedrock/`, or a shape's whole name in the body.
    name = headers.get("x-amzn-errortype", "").partition(":")[0] or _name_in(members)
    if not members and not name:
        return classify(status, headers, body, now_epoch_s=now_epoch_s, rules=RULES)
    return classify(status, headers, _problem(name, members), now_epoch_s=now_epoch_s, rules=RULES)


def of_exception(name: str, payload: bytes, message: str = "") -> UpstreamError:
    """An exception in the middle of a stream. Never raises.

    Args:
        name: of the exception, as the stream spells it.
        payload: of its message.
        message: where there is none in the payload.
    """
    members = _object(payload)
    if message and not _message_in(members):
        members = {**members, "message": message}
    name = name[:1].upper() + name[1:]
    return classify(_STATUS.get(name.lower(), 0), {}, _problem(name, members), rules=RULES)


def in_answer(members: Mapping[str, Any]) -> UpstreamError | None:
    """An error where an answer should be, under status 200; `None` when it says nothing of one."""
    name = _name_in(members)
    if not name and not _message_in(members):
        return None
    return classify(_STATUS.get(name.lower(), 0), {}, _problem(name, members), rules=RULES)


def _problem(name: str, members: Mapping[str, Any]) -> bytes:
    """An error body as it is read for every provider."""
    return orjson.dumps({"message": _message_in(members), **({"code": name} if name else {})})


def _message_in(members: Mapping[str, Any]) -> str:
    for name in ("message", "Message", "originalMessage"):
        message = members.get(name)
        if isinstance(message, str) and message:
            return message
    return ""


def _name_in(members: Mapping[str, Any]) -> str:
    for name in ("__type", "code"):
        said = members.get(name)
        if isinstance(said, str) and said:
            return said.rpartition("#")[2].partition(":")[0]
    return ""


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return members if isinstance(members, dict) else {}
