"""`/livez`, `/readyz` and `/metrics`: for orchestrators and Prometheus, without a key."""

from collections.abc import Callable

import orjson
from starlette.requests import Request
from starlette.responses import Response

from proxy.telemetry.metrics import CONTENT_TYPE, Metrics


class Probes:
    """The three endpoints. Liveness depends on nothing but the event loop."""

    def __init__(self, metrics: Metrics, not_ready: Callable[[], str | None]) -> None:
        """`not_ready` says why requests cannot be served, `None` when they can."""
        self._metrics = metrics
        self._not_ready = not_ready

    async def livez(self, _: Request) -> Response:
        """The process runs."""
        return Response(b'{"status":"ok"}', media_type="application/json")

    async def readyz(self, _: Request) -> Response:
        """Requests are served; else 503 and why not."""
        reason = self._not_ready()
        if reason is None:
            return Response(b'{"status":"ok"}', media_type="application/json")
        body = orjson.dumps({"status": "not_ready", "reason": reason})
        return Response(body, status_code=503, media_type="application/json")

    async def metrics(self, _: Request) -> Response:
        """Prometheus' text format."""
        return Response(self._metrics.exposition(), media_type=CONTENT_TYPE)
