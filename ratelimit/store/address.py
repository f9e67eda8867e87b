"""Store URLs: `embedded`, `redis://`, `rediss://`, `unix://`, `redis+cluster://`, `redis+sentinel://`."""

from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ratelimit.store.errors import AddressError

Kind = Literal["embedded", "tcp", "tls", "unix", "cluster", "sentinel"]

_KINDS: Final[dict[str, Kind]] = {
    "redis": "tcp",
    "rediss": "tls",
    "unix": "unix",
    "redis+cluster": "cluster",
    "redis+sentinel": "sentinel",
}
_DEFAULT_PORT: Final = 6379
_DEFAULT_SENTINEL_PORT: Final = 26379
_QUERY: Final[dict[Kind, frozenset[str]]] = {
    "tcp": frozenset({"db"}),
    "tls": frozenset({"db", "ssl_ca_certs"}),
    "unix": frozenset({"db"}),
    "cluster": frozenset(),
    "sentinel": frozenset({"db"}),
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a store is and how to log in. `hosts`: none for embedded and unix, one for tcp and tls."""

    kind: Kind
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    master: str = ""
    ca_file: str | None = None

    def public(self) -> str:
        """The address for logs and errors: no user, no password."""
        if self.kind == "embedded":
            return "embedded"
        if self.kind == "unix":
            return f"unix://{self.path}"
        scheme = next(scheme for scheme, kind in _KINDS.items() if kind == self.kind)
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        return f"{scheme}://{hosts}{'/' + self.master if self.master else ''}"


def parse_address(url: str) -> Address:
    """Read a store URL.

    Forms: `embedded`, `redis://[user:password@]host[:port][/db]`, `rediss://…[?ssl_ca_certs=file]`,
    `unix://[user:password@]/path[?db=n]`, `redis+cluster://h:p,h:p`, `redis+sentinel://h:p,h:p/master[?db=n]`.

    Raises:
        AddressError: names the part that is wrong, never the password.
    """
    if url == "embedded":
        return Address("embedded")
    try:
        parts = urlsplit(url)
    except ValueError:
        # No `from`: the parser's own message may quote the part that holds the password.
        raise AddressError("store URL: brackets in the host do not match") from None
    kind = _KINDS.get(parts.scheme)
    if kind is None or "://" not in url:
        raise AddressError(
            "store URL: must be `embedded` or begin with redis://, rediss://, unix://, redis+cluster:// "
            "or redis+sentinel://"
        )
    if parts.fragment:
        raise AddressError("store URL: a `#` is not allowed; write it as %23 in a password")
    username, password, hosts_text = _credentials(parts)
    query = _query(parts, kind)
    if kind == "unix":
        return Address(
            kind,
            path=_socket_path(hosts_text, unquote(parts.path)),
            database=_database(query.get("db", "")),
            username=username,
            password=password,
        )
    master, database_text = _master_and_database(kind, unquote(parts.path), query.get("db", ""))
    return Address(
        kind,
        hosts=_hosts(hosts_text, kind),
        database=_database(database_text),
        username=username,
        password=password,
        master=master,
        ca_file=query.get("ssl_ca_certs"),
    )


def _socket_path(hosts_text: str, path: str) -> str:
    if hosts_text:
        raise AddressError("store URL: a unix:// path must be absolute, as in unix:///run/redis.sock")
    if path in ("", "/"):
        raise AddressError("store URL: unix:// needs the path of a socket")
    return path


def _master_and_database(kind: Kind, path: str, database_text: str) -> tuple[str, str]:
    """What the path behind the hosts means: a sentinel's master, else a database."""
    if kind == "sentinel":
        master = path.strip("/")
        if not master or "/" in master:
            raise AddressError("store URL: redis+sentinel:// needs one master name after the hosts")
        return master, database_text
    if path in ("", "/"):
        return "", database_text
    if kind == "cluster" and path != "/0":
        raise AddressError("store URL: a cluster has database 0 only")
    if database_text:
        raise AddressError("store URL: the database is given twice, in the path and as `db`")
    return "", path[1:]


def _credentials(parts: SplitResult) -> tuple[str | None, str | None, str]:
    """User, password and the rest of the authority."""
    credentials, at, hosts = parts.netloc.rpartition("@")
    if not at:
        return None, None, parts.netloc
    username, colon, password = credentials.partition(":")
    if not colon:
        raise AddressError("store URL: credentials must be `user:password@` or `:password@`")
    if not password:
        raise AddressError("store URL: the password before `@` is empty")
    return unquote(username) or None, unquote(password), hosts


def _query(parts: SplitResult, kind: Kind) -> dict[str, str]:
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    for name, _ in pairs:
        if name not in _QUERY[kind]:
            raise AddressError(f"store URL: unknown parameter `{name}`")
    query = dict(pairs)
    if len(query) != len(pairs):
        raise AddressError("store URL: a parameter is given twice")
    return query


def _hosts(text: str, kind: Kind) -> tuple[tuple[str, int], ...]:
    default_port = _DEFAULT_SENTINEL_PORT if kind == "sentinel" else _DEFAULT_PORT
    entries = text.split(",")
    if len(entries) > 1 and kind in ("tcp", "tls"):
        raise AddressError("store URL: several hosts need redis+cluster:// or redis+sentinel://")
    hosts: list[tuple[str, int]] = []
    for number, entry in enumerate(entries, start=1):
        if entry.startswith("["):
            host, closed, port_text = entry[1:].partition("]")
            if not closed or (port_text and not port_text.startswith(":")):
                raise AddressError(f"store URL: host {number} has an unfinished bracket")
            port_text = port_text.removeprefix(":")
        else:
            host, _, port_text = entry.partition(":")
        if not host:
            raise AddressError(f"store URL: host {number} is empty")
        hosts.append((host, _port(port_text, number, default_port)))
    return tuple(hosts)


def _port(text: str, number: int, default: int) -> int:
    if not text:
        return default
    # The text is not quoted: with a misplaced `@` it may be part of a password.
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 65535:
        raise AddressError(f"store URL: the port of host {number} must be a number from 1 to 65535")
    return int(text)


def _database(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise AddressError("store URL: the database must be a whole number, 0 or more")
    return int(text)
