"""One process that serves alone: from its first connection to the end of the last."""

from proxy.app import Gateway
from proxy.assembly.seat import Seat
from proxy.cli.opened import Opened
from proxy.cli.process import spare_the_collector
from proxy.cli.reloading import BY_ADMIN, Reloader
from proxy.cli.stopping import Stopping
from proxy.http.server import HttpServer
from proxy.settings.reload import Reloaded
from proxy.web.ops import ops_serving
from proxy.web.probes import DRAINING


async def serve_alone(opened: Opened) -> None:
    """Serve until a signal ends it.

    Raises:
        StoreRefused: the store cannot be used as it is.
    """
    log = opened.log

    async def reload() -> Reloaded:
        return await reloader.reload(BY_ADMIN)

    gateway = Gateway(opened.loaded, log, opened.kept, Seat(reload, store_address=opened.store_address))
    reloader = Reloader(opened.source, opened.loaded, gateway, log)
    server = HttpServer(gateway, keepalive_timeout_s=opened.loaded.settings.server.keepalive_timeout_s)
    stopping = Stopping()
    async with gateway.running(), server.running():
        stopping.heed_signals()
        await server.listen(opened.listener)
        async with ops_serving(opened.ops_listener, lambda: gateway.readiness.reasons, gateway.exposition):
            opened.listening()
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
