"""Hypothesis without a clock: speed is asserted nowhere, and other work may share the machine. And a clock to move."""

import asyncio

import pytest
from hypothesis import HealthCheck, settings

from tests.proxy.exchange.saying import Clock

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The event loop's clock, moved by the test alone."""
    made = Clock()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", made)
    return made
