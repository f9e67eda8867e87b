"""`headgate serve`: start the gateway and run until told to stop."""

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from proxy.assembly.kept import Kept, kept
from proxy.cli.configuration import loaded_or_exit, show, source
from proxy.cli.opened import Opened, WorkersFailed
from proxy.cli.process import FAILED, importing, loop_factory
from proxy.http.server import BACKLOG
from proxy.routing.catalogue.load import from_settings
from proxy.settings.load import Loaded
from proxy.telemetry import log as logs
from ratelimit.store.address import parse_address
from ratelimit.store.embedded import EmbeddedServer
from ratelimit.store.errors import AddressError, EmbeddedServerError, StoreRefused

_INTERRUPTED: Final = 130


@click.command()
@click.option(
    "--config", type=click.Path(path_type=Path), help="The file; else HEADGATE_CONFIG, else the defaults."
)
@click.option("--host", help="Address to listen on; 127.0.0.1 unless configured.")
@click.option("--port", type=int, help="Port to listen on; 8080 unless configured, 0 for any free one.")
@click.option("--workers", type=int, help="Processes that serve; 1 unless configured.")
def serve(config: Path | None, host: str | None, port: int | None, workers: int | None) -> None:
    """Start the gateway. Prints its address, models and, on a laptop, a working key; logs go to standard error."""
    flags = {"server.host": host, "server.port": port, "server.workers": workers}
    of = source(config, {name: value for name, value in flags.items() if value is not None})
    loaded = loaded_or_exit(of)
    show("warning", loaded.warnings)
    show("notice", loaded.inactive)
    settings = loaded.settings
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # one that comes too early must not end what is starting
    listener = _listen(settings.server.host, settings.server.port, "choose another port with --port or PORT=")
    ops_listener = _listen_for_ops(settings.server.ops_listen)
    log = logs.configure(settings.log.level, settings.log.format)
    try:
        keys = kept(loaded)
    except OSError as problem:
        _fail(f"the data directory {settings.server.data_dir} cannot be used: {problem.strerror}")
    try:
        with ExitStack() as stack:
            store = _launched_store(loaded, stack)
            address = None if store is None else store.address
            greet = partial(_greet, loaded, keys, listener)
            _serve(Opened(of, loaded, keys, address, listener, ops_listener, log, greet), store)
    except (StoreRefused, EmbeddedServerError, AddressError, WorkersFailed) as problem:
        _fail(str(problem))
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _launched_store(loaded: Loaded, stack: ExitStack) -> EmbeddedServer | None:
    """The embedded store, if it is configured; it stops with `stack`, after all that uses it.

    Raises:
        AddressError: `redis.url` is none.
        EmbeddedServerError: it cannot be started.
    """
    if parse_address(loaded.settings.redis.url).kind != "embedded":
        return None
    store = EmbeddedServer(loaded.settings.server.data_dir)
    store.launch()
    stack.callback(store.stop)
    return store


def _serve(opened: Opened, store: EmbeddedServer | None) -> None:
    """Serve to the end, from when the store answers: it gets ready while what serves is imported."""
    alone = opened.loaded.settings.server.workers == 1
    serving: Callable[[Opened], Coroutine[Any, Any, None]]
    with importing():
        if alone:
            from proxy.cli.single import serve_alone as serving
        else:
            from proxy.cli.supervised import supervise as serving
        factory = loop_factory() if alone else None  # no task of a supervisor is hot
    if store is not None:
        store.wait_until_ready()
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serving(opened))


def _listen(host: str, port: int, advice: str) -> socket.socket:
    """A listening socket; the one place where a port in use shows, before anything is started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG, reuse_port=False)
    except (OSError, OverflowError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        _fail(f"cannot listen on {host}:{port}: {reason}; {advice}")
    listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return listener


def _listen_for_ops(address: str | None) -> socket.socket | None:
    if address is None:
        return None
    host, _, port = address.rpartition(":")
    return _listen(host.strip("[]"), int(port), "choose another address in server.ops_listen")


def _greet(loaded: Loaded, keys: Kept, listener: socket.socket) -> None:
    """What whoever started this needs next."""
    catalogue = from_settings(loaded.settings)
    names = [*catalogue.models, *(name for name, tier in catalogue.tiers.items() if tier.models)]
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    base = f"http://{shown}:{port}/v1"
    lines = [
        f"Headgate is listening on {base}",
        f"  configuration  {loaded.source}",
        f"  models         {', '.join(names) or 'none: no provider has what it needs'}",
    ]
    if keys.new_admin_key is not None:
        lines.append(f"  admin key      {keys.new_admin_key}  (shown this once)")
    if keys.local_key is not None:
        example = "balanced" if "balanced" in names else next(iter(names), "MODEL")
        body = (
            f'{{"model": "{example}", "stream": true, "messages": [{{"role": "user", "content": "Hello!"}}]}}'
        )
        lines += [
            f"  key            {keys.local_key}",
            "",
            "Try it:",
            f"  curl -N {base}/chat/completions -H 'authorization: Bearer {keys.local_key}' \\",
            "    -H 'content-type: application/json' \\",
            f"    -d '{body}'",
        ]
    click.echo("\n".join(lines))
    sys.stdout.flush()


def _fail(message: str) -> NoReturn:
    click.echo(f"headgate: {message}", err=True)
    sys.exit(FAILED)
