"""`/livez`, `/readyz` and `/metrics`: for orchestrators and Prometheus, without a key."""

from collections.abc import Awaitable, Callable
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from proxy.telemetry.figures import CONTENT_TYPE

STARTING: Final = "starting"
STORE: Final = "store"
DRAINING: Final = "draining"


class Readiness:
    """Why requests should go elsewhere: one line per cause, none when they may come. Read from any thread.

    Attributes:
        reasons: in words; replaced whole, never changed.
    """

    __slots__ = ("_by_cause", "reasons")

    def __init__(self) -> None:
        self._by_cause = {STARTING: STARTING}
        self.reasons: tuple[str, ...] = (STARTING,)

    def unready(self, cause: str, reason: str | None = None) -> None:
        """Something is in the way; `reason` says more than the name of the cause."""
        self._by_cause[cause] = reason or cause
        self.reasons = tuple(self._by_cause.values())

    def ready(self, *causes: str) -> None:
        """These are no longer in the way."""
        for cause in causes:
            self._by_cause.pop(cause, None)
        self.reasons = tuple(self._by_cause.values())


def live_body() -> bytes:
    """The process runs."""
    return b'{"status":"ok"}'


def ready_answer(reasons: tuple[str, ...]) -> tuple[int, bytes]:
    """Status and body of `/readyz`."""
    if not reasons:
        return 200, b'{"status":"ok"}'
    return 503, orjson.dumps({"status": "not_ready", "reasons": reasons})


class Probes:
    """The three endpoints. Liveness depends on nothing but the event loop."""

    def __init__(self, readiness: Readiness, exposition: Callable[[], Awaitable[bytes]]) -> None:
        """`exposition`: all metrics in Prometheus' text format."""
        self._exposition = exposition
        self._readiness = readiness

    async def livez(self, _: Request) -> Response:
        """The process runs."""
        return Response(live_body(), media_type="application/json")

    async def readyz(self, _: Request) -> Response:
        """Requests are served; else 503 and every reason why not."""
        status, body = ready_answer(self._readiness.reasons)
        return Response(body, status_code=status, media_type="application/json")

    async def metrics(self, _: Request) -> Response:
        """Prometheus' text format."""
        return Response(await self._exposition(), media_type=CONTENT_TYPE)
