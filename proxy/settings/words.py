"""The kinds of value a configuration is made of: numbers with bounds, names, addresses, names of secrets.

Each refuses with a message of its own and never repeats a value that could be a secret.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Callable
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import AfterValidator, AllowInfNan, BeforeValidator, Strict, WithJsonSchema
from pydantic_core import PydanticCustomError

from classifiers.rules import pattern_problem
from proxy.settings.secrets import reference_problem
from ratelimit.store.address import parse_address
from ratelimit.store.errors import AddressError
from ratelimit.subjects.records import TAG, is_tag, utc_text

# The type of an error whose message is already ours.
OWN_ERROR: Final = "headgate"

# Names travel in headers and in keys of the store; braces and colons would break the latter's grouping.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}")
_PUBLIC_NAME: Final = re.compile(r"[!-~]{1,200}")
_URL: Final = re.compile(r"[!-~]+")
_LABEL_MAX_CHARACTERS: Final = 200
_RFC_3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)
_HOST_PORT: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


def refused(message: str) -> PydanticCustomError:
    """What a validator raises; the message is ours, and holds no value that could be a secret."""
    return PydanticCustomError(OWN_ERROR, "{message}", {"message": message})


def _checked(problem_of: Callable[[str], str | None]) -> AfterValidator:
    """A validator from a function that says what is wrong with a text, or `None`."""

    def check(text: str) -> str:
        problem = problem_of(text)
        if problem is not None:
            raise refused(problem)
        return text

    return AfterValidator(check)


def Rising(key: str) -> AfterValidator:  # noqa: N802 - stands among the annotations that it makes
    """A validator of a list whose entries' `key` grows from one to the next."""

    def check(entries: tuple[Any, ...]) -> tuple[Any, ...]:
        values = [getattr(entry, key) for entry in entries]
        if any(after <= before for before, after in pairwise(values)):
            raise refused(f"{key} must grow from one entry to the next")
        return entries

    return AfterValidator(check)


def _name_problem(text: str) -> str | None:
    if _NAME.fullmatch(text):
        return None
    return "must be 1 to 128 letters, digits, '.', '_', '@' or '-', the first a letter or digit"


def _public_name_problem(text: str) -> str | None:
    return (
        None if _PUBLIC_NAME.fullmatch(text) else "must be 1 to 200 printable ASCII characters without blanks"
    )


def _tag_problem(text: str) -> str | None:
    return None if is_tag(text) else "must be 1 to 64 letters, digits, '_', '.', ':', '/', '=' or '-'"


def _label_problem(text: str) -> str | None:
    # Control characters would reach whoever lists the records on a terminal.
    if len(text) > _LABEL_MAX_CHARACTERS or any(
        unicodedata.category(character) == "Cc" for character in text
    ):
        return f"must be at most {_LABEL_MAX_CHARACTERS} characters, none of them a control character"
    return None


def _moment(text: str) -> str:
    if _RFC_3339.fullmatch(text) is not None:
        try:
            return utc_text(datetime.fromisoformat(text.upper()).timestamp())
        except (ValueError, OverflowError):
            pass
    raise refused("must be a time with its zone, like 2030-01-31T12:00:00Z or 2030-01-31T12:00:00+02:00")


def _listen_problem(text: str) -> str | None:
    match = _HOST_PORT.fullmatch(text)
    if match and int(match[2]) <= 65_535:
        return None
    return "must be an address and a port, like 127.0.0.1:9090"


def _network_problem(text: str) -> str | None:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return "must be an IP address or a network, like 10.0.0.0/8"
    return None


def _base_url_problem(text: str) -> str | None:
    try:
        url = urlsplit(text)
        host = url.hostname
        _ = url.port
    except ValueError:
        return "must be a URL, like https://api.example.com/v1"
    if url.scheme not in {"http", "https"} or not host or not _URL.fullmatch(text):
        return "must be a URL that begins http:// or https://, like https://api.example.com/v1"
    if url.username is not None or url.password is not None:
        return "must not hold a user or password; name the key in api_key"
    if url.query or url.fragment:
        return "must not hold a query or fragment; name the key in api_key"
    return None


def redis_url_problem(text: str) -> str | None:
    """Why this is no address of a store, or `None`; never says the password."""
    try:
        parse_address(text)
    except AddressError as error:
        return str(error).removeprefix("store URL: ")
    return None


def _pattern_problem(text: str) -> str | None:
    problem = pattern_problem(text)
    return None if problem is None else f"is not a pattern of RE2: {problem}"


def _without_end_slash(text: str) -> str:
    return text.rstrip("/")


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _date(value: Any) -> date:
    # Only text: a bare number would be read as seconds since 1970.
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise refused("must be a date, like 2026-12-31")


def _path(value: Any) -> Path:
    if isinstance(value, str) and value and "\0" not in value:
        return Path(value)
    raise refused("must be a path")


def _secret_problem(text: str) -> str | None:
    return reference_problem(text, digest_allowed=False)


def _key_secret_problem(text: str) -> str | None:
    return reference_problem(text, digest_allowed=True)


Text = Annotated[str, Strict(), MinLen(1)]
# The schemas are for the admin API's description; what is checked, and how it is said, is the function's.
Name = Annotated[
    str,
    Strict(),
    _checked(_name_problem),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"}),
]
PublicName = Annotated[
    str,
    Strict(),
    _checked(_public_name_problem),
    WithJsonSchema({"type": "string", "pattern": f"^{_PUBLIC_NAME.pattern}$"}),
]
Tag = Annotated[
    str,
    Strict(),
    _checked(_tag_problem),
    WithJsonSchema({"type": "string", "pattern": f"^{TAG.pattern}$"}),
]
Label = Annotated[
    str,
    Strict(),
    _checked(_label_problem),
    WithJsonSchema({"type": "string", "maxLength": _LABEL_MAX_CHARACTERS}),
]
Moment = Annotated[
    str, Strict(), AfterValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})
]
"""Read in any zone; kept in UTC, in whole seconds, a fraction cut off."""
Lowered = BeforeValidator(_lower)
Switch = Annotated[bool, Strict()]
Count = Annotated[int, Strict(), Ge(0)]
Positive = Annotated[int, Strict(), Ge(1)]
Port = Annotated[int, Strict(), Ge(0), Le(65_535)]
Number = Annotated[float, Strict(), AllowInfNan(allow_inf_nan=False), Ge(0)]
AboveZero = Annotated[float, Strict(), AllowInfNan(allow_inf_nan=False), Gt(0)]
Share = Annotated[float, Strict(), AllowInfNan(allow_inf_nan=False), Ge(0), Le(1)]
Grade = Annotated[float, Strict(), AllowInfNan(allow_inf_nan=False), Ge(0), Le(100)]
Day = Annotated[date, BeforeValidator(_date)]
Directory = Annotated[Path, BeforeValidator(_path)]
Listen = Annotated[str, Strict(), _checked(_listen_problem)]
Network = Annotated[str, Strict(), _checked(_network_problem)]
BaseUrl = Annotated[str, Strict(), _checked(_base_url_problem), AfterValidator(_without_end_slash)]
RedisUrl = Annotated[str, Strict(), _checked(redis_url_problem)]
Pattern = Annotated[str, Strict(), _checked(_pattern_problem)]
SecretName = Annotated[str, Strict(), _checked(_secret_problem)]
KeySecretName = Annotated[str, Strict(), _checked(_key_secret_problem)]
