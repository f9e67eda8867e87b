"""Asking a sandbox over real HTTP."""

import asyncio
from typing import Any

import aiohttp
import orjson

from proxy.sandbox.server import Sandbox
from tests.proxy.sandbox.asking import user

AT_ONCE = {"pace_ms": 0, "first_ms": 0}


class Caller:
    def __init__(self, session: aiohttp.ClientSession, sandbox: Sandbox, base_url: str) -> None:
        self.session = session
        self.sandbox = sandbox
        self.base_url = base_url

    def post(self, *, fail: str | None = None, **members: Any) -> Any:
        """A chat request; `fail` is the header."""
        asked = {"model": "sandbox-small", "messages": [user("Hello?")], "sandbox": AT_ONCE, **members}
        return self._post("chat/completions", asked, fail)

    def embed(self, *, fail: str | None = None, **members: Any) -> Any:
        asked = {"model": "sandbox-embed", "input": "Hello?", "sandbox": AT_ONCE, **members}
        return self._post("embeddings", asked, fail)

    async def json(self, **members: Any) -> tuple[int, dict[str, Any]]:
        async with self.post(**members) as response:
            return response.status, orjson.loads(await response.read())

    async def until_answering(self, expected: int) -> None:
        async with asyncio.timeout(10):
            while self.sandbox.answering != expected:  # noqa: ASYNC110 - a count is all there is to wait for
                await asyncio.sleep(0)

    def _post(self, path: str, asked: dict[str, Any], fail: str | None) -> Any:
        headers = {} if fail is None else {"x-sandbox-fail": fail}
        return self.session.post(f"{self.base_url}/{path}", data=orjson.dumps(asked), headers=headers)
