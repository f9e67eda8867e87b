"""One real store for the session; each test has the admin API on it, emptied."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.proxy.admin.serving import Caller, Gateway, gateway
from tests.support.valkey import PrivateServer


@pytest.fixture(scope="session")
def admin_store() -> Iterator[PrivateServer]:
    with PrivateServer() as server:
        yield server


@pytest.fixture
async def served(admin_store: PrivateServer) -> AsyncIterator[Gateway]:
    async with gateway(admin_store.url) as opened:
        yield opened


@pytest.fixture
def call(served: Gateway) -> Caller:
    """call(method, target, body): an administrator's request."""
    return Caller(served.app)
