"""Asking a provider what models it has, over the same wire and with the same key as requests."""

import asyncio
from typing import Final

from providers.model_lists import ListError, ModelList
from providers.types import ErrorKind, UpstreamError
from proxy.exchange.upstream.auth.types import Outgoing
from proxy.exchange.upstream.backends import AUTH, Provider
from proxy.exchange.upstream.transport import Headers, Transport, make_target

MAX_BYTES: Final = 16_000_000
"""Of a page. The longest list known, OpenRouter's, has under 1 MB."""

MAX_PAGES: Final = 100
ANSWER_S: Final = 30.0
"""For a whole list: there is nobody who waits for a first byte."""


async def list_models(transport: Transport, provider: Provider, listed: ModelList) -> frozenset[str]:
    """Everything that the provider lists.

    Raises:
        UpstreamError: it cannot be reached, refuses, or answers with something else.
    """
    models: frozenset[str] = frozenset()
    path = listed.path
    try:
        async with asyncio.timeout(ANSWER_S):
            for _ in range(MAX_PAGES):
                page = listed.read(path, await _get(transport, provider, path))
                models |= page.models
                if page.following is None:
                    return models
                path = page.following
    except TimeoutError:
        raise UpstreamError("timeout", f"no list of models within {ANSWER_S:g} s") from None
    except ListError as error:
        raise UpstreamError("protocol", f"the list of models cannot be read: {error}") from error
    raise UpstreamError("protocol", f"the list of models has more than {MAX_PAGES} pages")


async def _get(transport: Transport, provider: Provider, path: str) -> bytes:
    url = provider.base_url + path
    proof = AUTH[provider.adapter.auth].headers(provider.credentials, Outgoing("GET", url, (), b""))
    headers = [("user-agent", "headgate"), *provider.adapter.headers, *proof]
    target = make_target(url, headers, proxy=provider.proxy, method="GET")
    whole = _Whole()
    call = await transport.send(target, b"", b"", whole, connect_s=provider.timeouts.connect_s)
    try:
        status, body = await whole.answer
    finally:
        call.cancel()
    if status != 200:
        kind: ErrorKind = "auth" if status in (401, 402, 403, 404) else "overloaded"
        raise UpstreamError(kind, f"it answered {status} to the question for its models", status=status)
    return body


class _Whole:
    """Gathers one answer."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._status = 0
        self._body = bytearray()

    def on_head(self, status: int, headers: Headers) -> None:  # noqa: ARG002 - the transport's signature
        self._status = status

    def on_body(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > MAX_BYTES and not self.answer.done():
            self.answer.set_exception(
                UpstreamError("protocol", f"the list of models exceeds {MAX_BYTES} bytes")
            )

    def on_end(self) -> None:
        if not self.answer.done():
            self.answer.set_result((self._status, bytes(self._body)))

    def on_break(self, error: UpstreamError, *, stale: bool) -> None:  # noqa: ARG002 - the transport's signature
        if not self.answer.done():
            self.answer.set_exception(error)
