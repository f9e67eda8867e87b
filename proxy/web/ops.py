"""Probes and metrics on an address of their own, served from a thread of their own.

An orchestrator that gets no answer within a second or so kills the gateway, and a saturated event loop may take
longer. So this is another loop: HTTP/1.1, GET, one request a connection.
"""

import asyncio
import concurrent.futures
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

from proxy.telemetry.figures import CONTENT_TYPE
from proxy.web.probes import live_body, ready_answer

_MAX_HEAD_BYTES: Final = 8192
_REQUEST_S: Final = 5.0
_METRICS_S: Final = 5.0
_JSON: Final = "application/json"
_BACKLOG: Final = 128

Answer = tuple[int, str, bytes]


class OpsServer:
    """The thread. `start` and `stop` it from the loop whose gateway it tells of."""

    def __init__(
        self,
        listener: socket.socket,
        ready: Callable[[], tuple[str, ...]],
        exposition: Callable[[], Awaitable[bytes]],
    ) -> None:
        """
        Args:
            listener: bound and listening; closed by `stop`.
            ready: every reason why requests should go elsewhere; called in the thread.
            exposition: metrics in Prometheus' text format; called on the loop that called `start`.
        """
        self._listener = listener
        self._ready = ready
        self._exposition = exposition
        self._thread = threading.Thread(target=self._run, name="ops", daemon=True)
        self._loop = asyncio.new_event_loop()
        self._gateway_loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin to answer."""
        self._gateway_loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        """Answer nothing more. Blocks for a moment."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, sock=self._listener, limit=_MAX_HEAD_BYTES, backlog=_BACKLOG)
        )
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_S):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.write(_response(head, await self._answer(head)))
            async with asyncio.timeout(_REQUEST_S):
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            writer.transport.abort()  # not a request, or nobody who waits for an answer
        finally:
            writer.close()

    async def _answer(self, head: bytes) -> Answer:
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if path not in (b"/livez", b"/readyz", b"/metrics"):
            return 404, _JSON, b'{"error":"here are /livez, /readyz and /metrics"}'
        if method not in (b"GET", b"HEAD"):
            return 405, _JSON, b'{"error":"only GET and HEAD"}'
        if path == b"/livez":
            return 200, _JSON, live_body()
        if path == b"/readyz":
            status, body = ready_answer(self._ready())
            return status, _JSON, body
        return await self._metrics()

    async def _metrics(self) -> Answer:
        assert self._gateway_loop is not None
        asked = asyncio.run_coroutine_threadsafe(_awaited(self._exposition), self._gateway_loop)
        try:
            body = await asyncio.wait_for(asyncio.wrap_future(asked), _METRICS_S)
        except (TimeoutError, concurrent.futures.CancelledError):
            return 503, _JSON, b'{"error":"the gateway is too busy to count"}'
        return 200, CONTENT_TYPE, body


@asynccontextmanager
async def ops_serving(
    listener: socket.socket | None,
    ready: Callable[[], tuple[str, ...]],
    exposition: Callable[[], Awaitable[bytes]],
) -> AsyncIterator[None]:
    """Such a server for the time of the block; none without a listener."""
    if listener is None:
        yield
        return
    server = OpsServer(listener, ready, exposition)
    server.start()
    try:
        yield
    finally:
        server.stop()


async def _awaited(exposition: Callable[[], Awaitable[bytes]]) -> bytes:
    return await exposition()


def _response(head: bytes, answer: Answer) -> bytes:
    status, kind, body = answer
    lines = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"content-type: {kind}",
        f"content-length: {len(body)}",
        "connection: close",
        "\r\n",
    )
    return "\r\n".join(lines).encode() + (b"" if head.startswith(b"HEAD ") else body)
