"""`headgate probe`: ask a gateway for its health. For places without curl: container images, `exec` probes."""

import os
import sys
from http.client import HTTPConnection, HTTPException
from typing import Final
from urllib.parse import urlsplit

import click
import orjson

UNHEALTHY: Final = 1
UNREACHABLE: Final = 3

_DEFAULT_PORT: Final = "8080"
_SERVICE_ADDRESS: Final = "tcp://"
_ANSWER_BYTES: Final = 65_536


def _base_of(_: click.Context, __: click.Parameter, text: str) -> tuple[str, int]:
    """Host and port of a base URL."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or parts.scheme != "http" or parts.path.strip("/") or parts.query or parts.fragment:
        raise click.BadParameter("must be a base URL, like http://127.0.0.1:8080")
    return host, 80 if port is None else port


def _own_base() -> str:
    """Where the gateway of this container listens, unless its file or flags say otherwise."""
    port = os.environ.get("HEADGATE_PORT", "").strip()
    # Kubernetes puts an address there when a Service is called `headgate`; serving ignores it too.
    chosen = _DEFAULT_PORT if not port or port.startswith(_SERVICE_ADDRESS) else port
    return f"http://127.0.0.1:{chosen}"


@click.command()
@click.option(
    "--url",
    callback=_base_of,
    default=_own_base,
    show_default="port HEADGATE_PORT or 8080 of 127.0.0.1",
    help="The gateway, or its `server.ops_listen`.",
)
@click.option("--live", is_flag=True, help="Ask whether it runs, not whether it serves requests.")
@click.option(
    "--timeout-s",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Without an answer.",
)
def probe(url: tuple[str, int], *, live: bool, timeout_s: float) -> None:
    """Print what `/readyz` says. Exit code 0: it is so; 1: it is not; 3: no answer."""
    host, port = url
    connection = HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request("GET", "/livez" if live else "/readyz", headers={"connection": "close"})
        response = connection.getresponse()
        body = response.read(_ANSWER_BYTES)
    except (OSError, HTTPException, UnicodeError) as error:
        click.echo(f"headgate: no answer from {host}:{port}: {_reason(error, timeout_s)}", err=True)
        sys.exit(UNREACHABLE)
    finally:
        connection.close()
    if response.status == 200:
        click.echo("live" if live else "ready")
        return
    click.echo(f"headgate: {host}:{port} answered {response.status}: {_said(body)}", err=True)
    sys.exit(UNHEALTHY)


def _reason(error: Exception, timeout_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing came for {timeout_s:g} s"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _said(body: bytes) -> str:
    """The gateway's reasons, or that somebody else answered."""
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "that is not Headgate"
    reasons = members.get("reasons") if isinstance(members, dict) else None
    return "; ".join(map(str, reasons)) if isinstance(reasons, list) and reasons else "without a reason"
