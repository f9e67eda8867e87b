"""What tests look at in a store: what it tells, and what it holds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ratelimit.store.address import parse_address
from ratelimit.store.store import Store

SLACK_S: Final = 2.0  # how much later than promised a busy machine may be


@dataclass
class Watch:
    """Counts the transitions of a store, and lets a test wait for one."""

    told: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def down(self, reason: str) -> None:
        assert reason
        self.told.append("down")
        self.reasons.append(reason)
        self.changed.set()

    def up(self) -> None:
        self.told.append("up")
        self.changed.set()

    async def until(self, *told: str) -> None:
        async with asyncio.timeout(20):
            while list(told) != self.told:
                self.changed.clear()
                await self.changed.wait()

    async def until_up(self) -> None:
        """Wait for the end of one outage, which may have been told with a second reason that needs an operator."""
        async with asyncio.timeout(20):
            while self.told[-1:] != ["up"]:
                self.changed.clear()
                await self.changed.wait()
        assert self.told in (["down", "up"], ["down", "down", "up"])


@asynccontextmanager
async def opened(
    url: str, watch: Watch, timeout_ms: float, *, identity_file: Path | None = None
) -> AsyncIterator[Store]:
    store = Store(
        parse_address(url),
        timeout_ms=timeout_ms,
        on_down=watch.down,
        on_up=watch.up,
        identity_file=identity_file,
    )
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def names_in(store: Store) -> list[bytes]:
    """Every key that the server, or the cluster, holds."""
    names: list[bytes] = []
    for reply in await store.call_all("KEYS", "*"):
        assert isinstance(reply, list)
        names += reply
    return names
