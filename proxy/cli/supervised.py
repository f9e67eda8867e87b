"""Several workers: from the embedded store's start to its stop, which comes last."""

import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from proxy.assembly.kept import Kept
from proxy.cli.reloading import BY_ADMIN, Reloader
from proxy.cli.stopping import Stopping
from proxy.cli.supervisor import Supervisor
from proxy.settings.load import Loaded
from proxy.settings.reload import Reloaded, Source
from proxy.web.ops import ops_serving
from ratelimit.store.address import Address, parse_address
from ratelimit.store.embedded import EmbeddedServer


def store_for_all(loaded: Loaded, stack: ExitStack) -> Address | None:
    """The embedded store, started, if it is configured; it stops with `stack`.

    Raises:
        AddressError: `redis.url` is none.
        EmbeddedServerError: it does not start.
    """
    if parse_address(loaded.settings.redis.url).kind != "embedded":
        return None
    server = EmbeddedServer(loaded.settings.server.data_dir)
    server.start()
    stack.callback(server.stop)
    return server.address


async def supervise(
    source: Source,
    loaded: Loaded,
    kept: Kept,
    store_address: Address | None,
    listener: socket.socket,
    ops_listener: socket.socket | None,
    log: Any,
    listening: Callable[[], None],
) -> None:
    """Serve until a signal ends it. `listening` is called when requests are taken.

    Raises:
        WorkersFailed: a worker did not start, or workers do not stay up.
    """

    async def reload() -> Reloaded:
        return await reloader.reload(BY_ADMIN)

    stopping = Stopping()
    stopping.heed_signals()
    supervisor = Supervisor(loaded, kept, store_address, listener, reload, log)
    reloader = Reloader(source, loaded, supervisor, log)
    async with (
        ops_serving(ops_listener, lambda: supervisor.reasons, supervisor.exposition),
        reloader.heeding(),
    ):
        await supervisor.run(stopping, listening)
    log.info("stopped")
