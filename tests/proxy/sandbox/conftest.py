"""A sandbox that listens, and somebody who asks it."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from proxy.sandbox.server import Sandbox
from tests.proxy.sandbox.asking import CREATED_S
from tests.proxy.sandbox.calling import Caller


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    sandbox = Sandbox(now_s=lambda: CREATED_S + 0.5)
    base_url = await sandbox.start()
    try:
        async with aiohttp.ClientSession() as session:
            yield Caller(session, sandbox, base_url)
    finally:
        await sandbox.stop()
