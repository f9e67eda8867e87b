"""A provider asked for its models: the whole list, or the failure in one form."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from providers.model_lists import model_list
from providers.registry import REGISTRY
from providers.types import UpstreamError
from proxy.exchange.upstream import listing
from proxy.exchange.upstream.auth.types import Credentials
from proxy.exchange.upstream.backends import Provider, Timeouts
from proxy.exchange.upstream.listing import list_models
from proxy.exchange.upstream.transport import Transport
from tests.support.scripted import Exchange, listening, serving, url_of

Script = Callable[[Exchange], Awaitable[None]]


async def _ask(script: Script | None, adapter: str = "openai") -> frozenset[str]:
    """What is listed; without a script nobody listens."""
    with listening() as listener:
        url = url_of(listener)
        provider = Provider(REGISTRY[adapter], url, Credentials(key="k"), Timeouts(5, 5, 5, 5, 0))
        listed = model_list(adapter, url)
        assert listed is not None
        transport = Transport()
        try:
            if script is None:
                listener.close()
                return await list_models(transport, provider, listed)
            async with serving(listener, script):
                return await list_models(transport, provider, listed)
        finally:
            await transport.close()


async def _chunks(exchange: Exchange) -> None:
    await exchange.start(headers=(("content-type", "application/json"),))
    await exchange.send(b'{"data": [{"id": "a"}, ')
    await exchange.send(b'{"id": "b"}]}')
    await exchange.finish()


async def test_a_list_in_pieces() -> None:
    """However it is cut."""
    assert frozenset("ab") == await _ask(_chunks)


async def _html(exchange: Exchange) -> None:
    await exchange.answer(200, b"<html>")


async def _down(exchange: Exchange) -> None:
    await exchange.answer(503, b"{}")


async def _forbidden(exchange: Exchange) -> None:
    await exchange.answer(403, b"{}")


async def _cut(exchange: Exchange) -> None:
    await exchange.start()
    await exchange.send(b'{"data": [')
    exchange.fin()


async def _endless(exchange: Exchange) -> None:
    await exchange.answer(200, b'{"data": [], "has_more": true, "last_id": "a"}')


async def _large(exchange: Exchange) -> None:
    await exchange.answer(200, b" " * 200)


async def _silent(exchange: Exchange) -> None:
    await exchange.go.wait()


@pytest.mark.parametrize(
    ("script", "adapter", "kind", "message"),
    [
        (None, "openai", "unreachable", "no connection to the provider"),
        (_html, "openai", "protocol", "the list of models cannot be read: it is no JSON"),
        (_down, "openai", "overloaded", "it answered 503 to the question for its models"),
        (_forbidden, "openai", "auth", "it answered 403 to the question for its models"),
        (_cut, "openai", "protocol", "the provider's answer was cut short"),
        (_endless, "anthropic", "protocol", "the list of models has more than 3 pages"),
        (_large, "openai", "protocol", "the list of models exceeds 100 bytes"),
    ],
)
async def test_failures(
    script: Script | None, adapter: str, kind: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never an empty list: that would say that every model is gone."""
    monkeypatch.setattr(listing, "MAX_PAGES", 3)
    monkeypatch.setattr(listing, "MAX_BYTES", 100)
    with pytest.raises(UpstreamError) as failed:
        await _ask(script, adapter)
    assert (kind, message) == (failed.value.kind, failed.value.message)


async def test_a_provider_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is given up in the end."""
    monkeypatch.setattr(listing, "ANSWER_S", 0.05)
    with pytest.raises(UpstreamError, match=r"no list of models within 0\.05 s"):
        await asyncio.wait_for(_ask(_silent), 10)
