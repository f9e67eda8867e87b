"""One process that serves alone: from its first connection to the end of the last."""

import socket
from collections.abc import Callable
from typing import Any

from proxy.app import Gateway
from proxy.assembly.kept import Kept
from proxy.assembly.seat import Seat
from proxy.cli.process import spare_the_collector
from proxy.cli.reloading import BY_ADMIN, Reloader
from proxy.cli.stopping import Stopping
from proxy.http.server import HttpServer
from proxy.settings.load import Loaded
from proxy.settings.reload import Reloaded, Source
from proxy.web.ops import ops_serving
from proxy.web.probes import DRAINING


async def serve_alone(
    source: Source,
    loaded: Loaded,
    kept: Kept,
    listener: socket.socket,
    ops_listener: socket.socket | None,
    log: Any,
    listening: Callable[[], None],
) -> None:
    """Serve until a signal ends it. `listening` is called when requests are taken."""

    async def reload() -> Reloaded:
        return await reloader.reload(BY_ADMIN)

    gateway = Gateway(loaded, log, kept, Seat(reload))
    reloader = Reloader(source, loaded, gateway, log)
    server = HttpServer(gateway, keepalive_timeout_s=loaded.settings.server.keepalive_timeout_s)
    stopping = Stopping()
    async with gateway.running(), server.running():
        stopping.heed_signals()
        await server.listen(listener)
        async with ops_serving(ops_listener, lambda: gateway.readiness.reasons, gateway.exposition):
            listening()
            spare_the_collector()
            async with reloader.heeding():
                await stopping.asked.wait()
            settings = gateway.serving.loaded.settings.server
            log.info("stopping", lame_duck_s=settings.lame_duck_s, drain_s=settings.drain_s)
            gateway.readiness.unready(DRAINING)
            server.lame()
            await stopping.lame_duck(settings.lame_duck_s)
            ended_early = await server.close(settings.drain_s, at_once=stopping.at_once)
            log.info("stopped", ended_early=ended_early)
