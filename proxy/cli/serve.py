"""`headgate serve`: start the gateway and run until told to stop."""

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
import uvicorn

from proxy.app import Gateway
from proxy.cli.configuration import read_or_exit, show
from proxy.http.protocol import Protocol
from proxy.settings.load import Loaded
from proxy.telemetry import log as logs
from ratelimit.store.errors import AddressError, EmbeddedServerError, StoreRefused

FAILED: Final = 1

_BACKLOG: Final = 2048
_GC_ALLOCATIONS: Final = 20_000


@click.command()
@click.option(
    "--config", type=click.Path(path_type=Path), help="The file; else HEADGATE_CONFIG, else the defaults."
)
@click.option("--host", help="Address to listen on; 127.0.0.1 unless configured.")
@click.option("--port", type=int, help="Port to listen on; 8080 unless configured, 0 for any free one.")
@click.option("--workers", type=int, help="Processes; more than one is not yet active.")
def serve(config: Path | None, host: str | None, port: int | None, workers: int | None) -> None:
    """Start the gateway. Prints its address, models and, on a laptop, a working key; logs go to standard error."""
    flags = {"server.host": host, "server.port": port, "server.workers": workers}
    loaded = read_or_exit(config, {name: value for name, value in flags.items() if value is not None})
    show("warning", loaded.warnings)
    show("not yet active", loaded.inactive)
    settings = loaded.settings
    listener = _listen(settings.server.host, settings.server.port)
    log = logs.configure(settings.log.level, settings.log.format)
    try:
        gateway = Gateway(loaded, log)
    except OSError as problem:
        _fail(f"the data directory {settings.server.data_dir} cannot be used: {problem.strerror}")
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(gateway, loaded, listener))
    except (StoreRefused, EmbeddedServerError, AddressError) as problem:
        _fail(str(problem))
    except KeyboardInterrupt:
        sys.exit(130)


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: those raise the signal again, before we have put things away."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(gateway: Gateway, loaded: Loaded, listener: socket.socket) -> None:
    server_settings = loaded.settings.server

    async with gateway.running():
        server = _Server(
            uvicorn.Config(
                gateway,
                http=Protocol,
                interface="asgi3",
                loop="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=_BACKLOG,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=round(server_settings.drain_s),
            )
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, server.handle_exit, number, None)
        _greet(gateway, loaded, listener)
        _spare_the_collector()
        await server.serve(sockets=[listener])


def _spare_the_collector() -> None:
    """Keep the cyclic garbage collector from walking what lives as long as the process, and run it less often.

    Requests make hardly any cycles: reference counts free them. Untuned, a twelfth of a request's CPU went here.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_ALLOCATIONS, 50, 20)


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket; the one place where a port in use shows, before anything is started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG, reuse_port=False)
    except (OSError, OverflowError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        _fail(f"cannot listen on {host}:{port}: {reason}; choose another port with --port or PORT=")
    listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return listener


def _greet(gateway: Gateway, loaded: Loaded, listener: socket.socket) -> None:
    """What whoever started this needs next."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    base = f"http://{shown}:{port}/v1"
    lines = [
        f"Headgate is listening on {base}",
        f"  configuration  {loaded.source}",
        f"  models         {', '.join(gateway.model_names) or 'none: no provider has what it needs'}",
    ]
    if gateway.kept.new_admin_key is not None:
        lines.append(f"  admin key      {gateway.kept.new_admin_key}  (shown this once)")
    if gateway.kept.local_key is not None:
        example = (
            "balanced" if "balanced" in gateway.model_names else next(iter(gateway.model_names), "MODEL")
        )
        body = (
            f'{{"model": "{example}", "stream": true, "messages": [{{"role": "user", "content": "Hello!"}}]}}'
        )
        lines += [
            f"  key            {gateway.kept.local_key}",
            "",
            "Try it:",
            f"  curl -N {base}/chat/completions -H 'authorization: Bearer {gateway.kept.local_key}' \\",
            "    -H 'content-type: application/json' \\",
            f"    -d '{body}'",
        ]
    click.echo("\n".join(lines))
    sys.stdout.flush()


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:  # no wheel for this platform: asyncio's own loop serves too, at a higher price
        return None
    return uvloop.new_event_loop


def _fail(message: str) -> Any:
    click.echo(f"headgate: {message}", err=True)
    sys.exit(FAILED)
