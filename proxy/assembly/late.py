"""Routes that are made, and whose code is loaded, when the first request for one of them comes.

For what most processes are never asked: they start sooner without it.
"""

import asyncio
from collections.abc import Callable, Sequence

from starlette.routing import Route, Router

from proxy.http.door import Receive, Scope, Send


class LateRoutes:
    """An ASGI application."""

    def __init__(self, routes: Callable[[], Sequence[Route]]) -> None:
        """`routes` imports what it needs; called in a thread, once for each of the requests that came first."""
        self._routes = routes
        self._router: Router | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._router is None:
            # Loading takes a tenth of a second, for which no stream should have to wait.
            routes = await asyncio.to_thread(self._routes)
            self._router = Router(routes, redirect_slashes=False)
        await self._router(scope, receive, send)
