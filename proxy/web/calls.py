"""`POST /v1/chat/completions`, `/v1/embeddings`: whatever a model is called for."""

from typing import Any

from providers.dialects import PlainClient
from proxy.exchange.run import Exchange
from proxy.http.body import read_json_body
from proxy.http.door import ARRIVAL


class Call:
    """One such endpoint, as an ASGI application."""

    def __init__(self, dialect: PlainClient, exchange: Exchange, *, max_body_bytes: int) -> None:
        self._dialect = dialect
        self._exchange = exchange
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        body = await read_json_body(scope, receive, max_bytes=self._max_body_bytes)
        await self._exchange.run(self._dialect, scope[ARRIVAL], body, send)
