"""Several workers, and the process that keeps them."""

from proxy.cli.opened import Opened
from proxy.cli.reloading import BY_ADMIN, Reloader
from proxy.cli.stopping import Stopping
from proxy.cli.supervisor import Supervisor
from proxy.settings.reload import Reloaded
from proxy.web.ops import ops_serving


async def supervise(opened: Opened) -> None:
    """Serve until a signal ends it.

    Raises:
        WorkersFailed: a worker did not start, or workers do not stay up.
    """

    async def reload() -> Reloaded:
        return await reloader.reload(BY_ADMIN)

    stopping = Stopping()
    stopping.heed_signals()
    supervisor = Supervisor(
        opened.loaded, opened.kept, opened.store_address, opened.listener, reload, opened.log
    )
    reloader = Reloader(opened.source, opened.loaded, supervisor, opened.log)
    async with (
        ops_serving(opened.ops_listener, lambda: supervisor.reasons, supervisor.exposition),
        reloader.heeding(),
    ):
        await supervisor.run(stopping, opened.listening)
    opened.log.info("stopped")
