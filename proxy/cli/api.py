"""What commands over the admin API share: the client, the options that many have, and how answers are shown.

Exit codes: 1 the server refused, 2 wrong usage, 3 the server cannot be reached. Each failure is one line.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from http.client import HTTPConnection, HTTPException, HTTPSConnection, IncompleteRead, RemoteDisconnected
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import click
import orjson

Record = Mapping[str, Any]

DEFAULT_URL: Final = "http://127.0.0.1:8080"
URL_VARIABLE: Final = "HEADGATE_URL"

_TIMEOUT_S: Final = 30.0
LONG_S: Final = 3600.0
"""For what reads everything there is."""
_PAGE: Final = 1000  # records per request of a list; the most the server gives
_URL: Final = re.compile(r"https?://[!-~]+", re.IGNORECASE)
_CLIENT_PATHS: Final = ("/v1", "/admin")
_NONE: Final = "none"
_DURATION: Final = re.compile(r"([0-9]{1,9})([smhd]?)", re.ASCII)
_UNITS_S: Final[Mapping[str, int]] = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


class _Failed(click.ClickException):
    def show(self, file: Any = None) -> None:
        click.echo(f"headgate: {_printable(self.message)}", file=file, err=file is None)


class Refusal(_Failed):
    """The server answered that it would not; the message is the server's."""

    exit_code = 1


class Unreachable(_Failed):
    """There was no answer, or none that can be understood as HTTP."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Api:
    """A gateway's admin API. Goes to the server directly: proxies named in the environment are not used.

    `url`: without the API's own path; checked by `connected`.
    """

    url: str
    admin_key: str = field(repr=False)

    def call(
        self, method: str, path: str, body: Record | None = None, *, timeout_s: float = _TIMEOUT_S
    ) -> dict[str, Any]:
        """The members of the answer, none where it has no body.

        Args:
            path: from `/admin` on, encoded, query included.
            timeout_s: how long nothing may come.

        Raises:
            Refusal, Unreachable: see there.
        """
        return self._members(*self._answer(method, path, body, "application/json", timeout_s))

    def text(self, path: str) -> str:
        """A `GET` whose answer is a text. Raises as `call` does."""
        status, raw = self._answer("GET", path, None, "text/*", LONG_S)
        if status != 200:
            self._members(status, raw)
            raise self._stranger(status)
        return raw.decode(errors="replace")

    def _answer(
        self, method: str, path: str, body: Record | None, accept: str, timeout_s: float
    ) -> tuple[int, bytes]:
        """Status and body."""
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        opened = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = opened(parts.hostname, parts.port, timeout=timeout_s)
        headers = {"authorization": f"Bearer {self.admin_key}", "accept": accept}
        if body is not None:
            headers["content-type"] = "application/json"
        try:
            sent = None if body is None else orjson.dumps(body)
            connection.request(method, parts.path + path, sent, headers)
            response = connection.getresponse()
            return response.status, response.read()
        # UnicodeError: a host whose labels cannot be names.
        except (OSError, HTTPException, UnicodeError) as error:
            raise Unreachable(f"no answer from {self.url}: {_reason(error, timeout_s)}") from error
        finally:
            connection.close()

    def everything(self, path: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """All records of a list, page by page. Raises as `call` does."""
        records: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            asked = {**query, "limit": str(_PAGE), **({} if after is None else {"after": after})}
            page = self.call("GET", f"{path}?{urlencode(asked)}")
            rows, following = page.get("data"), page.get("next")
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise self._stranger(200)
            records += rows
            if not isinstance(following, str) or following == after:
                return records
            after = following

    def _members(self, status: int, raw: bytes) -> dict[str, Any]:
        if status == 204:
            return {}
        try:
            members = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise self._stranger(status) from error
        if not isinstance(members, dict):
            raise self._stranger(status)
        if 200 <= status < 300:
            return members
        said = members.get("error")
        message = said.get("message") if isinstance(said, dict) else None
        raise Refusal(message) if isinstance(message, str) else self._stranger(status)

    def _stranger(self, status: int) -> Refusal:
        return Refusal(f"{self.url} answered {status}, and not as Headgate does; is --url right?")


def _reason(error: Exception, timeout_s: float) -> str:
    if isinstance(error, RemoteDisconnected):
        return "the connection was closed"
    if isinstance(error, IncompleteRead):
        return "the answer was cut short"
    if isinstance(error, TimeoutError):
        return f"nothing came for {timeout_s:.0f} s"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "that is no HTTP server" if isinstance(error, HTTPException) else "that is no name of a host"


def record_path(collection: str, record_id: str) -> str:
    """The path of one record. Raises BadParameter for an empty id, whose path would be the collection's."""
    if not record_id:
        raise click.BadParameter("the id must not be empty")
    return f"{collection}/{quote(record_id, safe='')}"


def connected(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--url` and `--admin-key`, and call it with the API they lead to."""

    @click.option(
        "--url",
        envvar=URL_VARIABLE,
        default=DEFAULT_URL,
        show_envvar=True,
        show_default=True,
        callback=checked_url,
        help="Where the gateway is.",
    )
    @click.option(
        "--admin-key",
        envvar="HEADGATE_ADMIN_KEY",
        required=True,
        show_envvar=True,
        callback=checked_key,
        help="Better given in the environment: arguments can be seen by others.",
    )
    @wraps(command)
    def run(*args: Any, url: str, admin_key: str, **kwargs: Any) -> None:
        command(Api(url, admin_key), *args, **kwargs)

    return run


json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def checked_url(_: click.Context, __: click.Parameter, text: str) -> str:
    """A callback for the address of a gateway."""
    url = text.rstrip("/")
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or not _URL.fullmatch(url):
        raise click.BadParameter(f"must be a URL, like {DEFAULT_URL}")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise click.BadParameter("must not hold a user, password, query or fragment")
    if any(f"{parts.path}/".endswith(f"{path}/") for path in _CLIENT_PATHS):
        raise click.BadParameter("must be the gateway's address without the path of an API")
    return url


def checked_key(_: click.Context, __: click.Parameter, text: str) -> str:
    """A callback for an admin key."""
    key = text.strip()
    # Not repeated in the message.
    if not key or not all("!" <= character <= "~" for character in key):
        raise click.BadParameter("must be printable ASCII characters without blanks")
    return key


def read_limits(_: click.Context, __: click.Parameter, words: Sequence[str]) -> dict[str, float | None]:
    """A callback for `--limit NAME=NUMBER`, repeated; `none` is read as `None`."""
    limits: dict[str, float | None] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"`{word}` must have the form NAME=NUMBER")
        if name in limits:
            raise click.BadParameter(f"{name} is given twice")
        limits[name] = None if text == _NONE else _number(name, text)
    return limits


def read_new_limits(
    context: click.Context, parameter: click.Parameter, words: Sequence[str]
) -> dict[str, float | None]:
    """Like `read_limits`, for what has no limits yet that could be removed."""
    limits = read_limits(context, parameter, words)
    for name, value in limits.items():
        if value is None:
            raise click.BadParameter(f"{name}: `{_NONE}` removes a limit and is for `update`")
    return limits


def read_models(
    _: click.Context, __: click.Parameter, words: Sequence[str]
) -> list[str] | dict[str, dict[str, float]]:
    """A callback for `--model NAME` and `--model NAME:LIMIT=NUMBER`, repeated: names, or names with limits."""
    models: dict[str, dict[str, float]] = {}
    for word in words:
        place, equals, text = word.partition("=")
        if not equals:
            models.setdefault(word, {})
            continue
        # Names of models may hold colons, names of limits do not.
        model, _colon, limit = place.rpartition(":")
        if not model or not limit or not text:
            raise click.BadParameter(f"`{word}` must have the form NAME or NAME:LIMIT=NUMBER")
        limits = models.setdefault(model, {})
        if limit in limits:
            raise click.BadParameter(f"{limit} is given twice for {model}")
        limits[limit] = _number(limit, text)
    return models if any(models.values()) else list(models)


def read_duration_s(_: click.Context, __: click.Parameter, text: str | None) -> int | None:
    """A callback for a time span: `90s`, `30m`, `24h`, `7d`, or seconds without a unit."""
    if text is None:
        return None
    match = _DURATION.fullmatch(text)
    if match is None:
        raise click.BadParameter("must be a time span, like 24h, 30m or 0")
    return int(match[1]) * _UNITS_S[match[2]]


def read_pairs(_: click.Context, __: click.Parameter, words: Sequence[str]) -> dict[str, str]:
    """A callback for `NAME=TEXT`, repeated."""
    pairs: dict[str, str] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"`{word}` must have the form NAME=TEXT")
        if name in pairs:
            raise click.BadParameter(f"{name} is given twice")
        pairs[name] = text
    return pairs


def _number(name: str, text: str) -> float:
    try:
        number = orjson.loads(text)
    except orjson.JSONDecodeError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise click.BadParameter(f"{name}: `{text}` is no number, like 60 or 0.5")
    return number


def either(first: str, first_given: object, second: str, second_given: object) -> None:
    """Raises UsageError when both of two options that exclude each other were given."""
    if first_given and second_given:
        raise click.UsageError(f"{first} and {second} exclude each other")


def show_json(members: object) -> None:
    click.echo(orjson.dumps(members))


def show_list(columns: Mapping[str, Callable[[Record], str]], records: Sequence[Record]) -> None:
    """A table with a heading. `columns`: heading and how it is filled."""
    rows = [[_printable(cell(record)) for cell in columns.values()] for record in records]
    headings = [heading.upper() for heading in columns]
    widths = [max(map(_width, column)) for column in zip(headings, *rows, strict=True)]
    click.echo(click.style(_line(headings, widths), bold=True))
    for row in rows:
        click.echo(_line(row, widths))


def show_warnings(record: Record) -> None:
    """What the server warned of, a line each, on standard error."""
    for warning in record.get("warnings", ()):
        click.echo(f"warning: {_printable(str(warning.get('message')))}", err=True)


def show_record(rows: Mapping[str, str]) -> None:
    """One record, a member a line."""
    width = max(map(_width, rows))
    for name, text in rows.items():
        click.echo(
            f"{click.style(name, bold=True)}{' ' * (width - _width(name))}  {_printable(text)}".rstrip()
        )


def limits_text(limits: object) -> str:
    """`in_flight=4 usd_per_month=10`, or `-`."""
    if not isinstance(limits, Mapping) or not limits:
        return "-"
    return " ".join(f"{name}={_figure(value)}" for name, value in limits.items())


def models_text(models: object) -> str:
    """The names, those with limits of their own with these, or `all`; `none` where there is no name."""
    if isinstance(models, Mapping):
        with_limits = {
            name: f"{name} ({limits_text(limits)})" if limits else name for name, limits in models.items()
        }
        return ", ".join(with_limits.values()) or "none"
    if not isinstance(models, list):
        return "all"
    return ", ".join(map(str, models)) or "none"


def tags_text(tags: object) -> str:
    """The tags, or `-`."""
    return plain_text(" ".join(map(str, tags)) if isinstance(tags, list) else None)


def state_text(record: Record) -> str:
    return "disabled" if record.get("disabled") else "enabled"


def plain_text(value: object) -> str:
    """A text, or `-` where there is none."""
    return "-" if value is None or value == "" else str(value)


def _figure(value: object) -> str:
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell + " " * (width - _width(cell)) for cell, width in zip(cells, widths, strict=True))
    return "  ".join(padded).rstrip()


def _width(text: str) -> int:
    """Columns on a terminal: East Asian wide characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def _printable(text: str) -> str:
    """The text with escapes for what would end the line or command the terminal."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        else character
        for character in text
    )
