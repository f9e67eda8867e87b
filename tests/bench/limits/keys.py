"""Memory of a gateway and of its store with many keys, none of them busy.

    python -m tests.bench.limits.keys [--keys 100000] [--customers 1000]

The keys are made through the store's directory, each customer and key with limits of its own. Then each key asks once,
so that the gateway has seen it.
"""

import argparse
import asyncio
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ratelimit.store.address import parse_address
from ratelimit.store.store import Store
from ratelimit.subjects.directory import Directory
from ratelimit.subjects.types import NewCustomer, NewKey
from tests.support.gateway import PATIENT_MS, RunningGateway, running
from tests.support.limited import configuration
from tests.support.raw_client import RawClient, http_request
from tests.support.scripted import listening
from tests.support.valkey import PrivateServer

_AT_ONCE: Final = 256
_CLIENTS: Final = 16
_LIMITS: Final = {"requests_per_minute": 600, "usd_per_month": 100.0}
_NOON_S: Final = 1_767_268_800.0
"""2026-01-01T12:00:00Z, when they are all made."""


async def make(store: Store, customers: int, keys: int) -> list[str]:
    """The texts of all keys."""
    directory = Directory(store, wall_clock_s=lambda: _NOON_S)
    for begin in range(0, customers, _AT_ONCE):
        names = range(begin, min(customers, begin + _AT_ONCE))
        await asyncio.gather(
            *(
                directory.create_customer(NewCustomer(f"customer-{each}", f"Customer {each}", _LIMITS))
                for each in names
            )
        )
    texts: list[str] = []
    for begin in range(0, keys, _AT_ONCE):
        numbers = range(begin, min(keys, begin + _AT_ONCE))
        made = await asyncio.gather(
            *(
                directory.create_key(NewKey(f"customer-{each % customers}", f"key {each}", _LIMITS))
                for each in numbers
            )
        )
        texts += [text for _, text in made]
    return texts


async def ask_with_each(port: int, texts: Sequence[str]) -> None:
    """Each key lists the models once.

    Raises:
        RuntimeError: one was refused.
    """

    async def client(own: Sequence[str]) -> None:
        async with await RawClient.connect(port) as connection:
            for text in own:
                said = {"authorization": f"Bearer {text}"}
                await connection.send(http_request("GET", "/v1/models", headers=said))
                answer = await connection.read_all(60)
                if answer.status != 200:
                    raise RuntimeError(f"{answer.status}: {answer.body!r}")
                connection.next_answer()

    await asyncio.gather(*(client(texts[number::_CLIENTS]) for number in range(_CLIENTS)))


def gateway_mb(gateway: RunningGateway) -> float:
    """Resident memory, in megabytes of 1,000,000 bytes."""
    found = re.search(r"^VmRSS:\s+(\d+) kB$", _status(gateway.process.pid), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024 / 1e6


def _status(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text()


async def store_mb(store: Store) -> float:
    """What the server counts as its data and its own needs."""
    said = await store.call("INFO", "memory", key_at=9)
    assert isinstance(said, bytes)
    found = re.search(rb"^used_memory:(\d+)\r?$", said, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1e6


async def stages(server: PrivateServer, gateway: RunningGateway, customers: int, keys: int) -> list[str]:
    """A row per stage: memory of both in megabytes, and what they have grown by per key."""
    store = Store(parse_address(server.url), timeout_ms=PATIENT_MS)
    await store.open()
    rows = [f"{'':34}{'gateway MB':>12}{'store MB':>12}{'bytes a key:':>14}{'gateway':>9}{'store':>8}"]
    await ask_with_each(gateway.port, [gateway.key] * 200)
    first = gateway_mb(gateway), await store_mb(store)

    async def row(name: str) -> None:
        own, stored = gateway_mb(gateway), await store_mb(store)
        grown = [(now - before) * 1e6 / keys for now, before in zip((own, stored), first, strict=True)]
        rows.append(f"{name:34}{own:12.1f}{stored:12.1f}{'':14}{grown[0]:9.0f}{grown[1]:8.0f}")

    await row("started")
    texts = await make(store, customers, keys)
    await row(f"{keys:,} keys made")
    await ask_with_each(gateway.port, texts)
    await row("each has asked once")
    await store.close()
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keys", type=int, default=100_000, help="how many keys there are in all")
    parser.add_argument("--customers", type=int, default=1000, help="how many customers they belong to")
    given = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="headgate-bench-") as folder,
        PrivateServer() as server,
        listening() as listener,
        running(Path(folder), configuration(listener, server.url)) as gateway,
    ):
        rows = asyncio.run(stages(server, gateway, given.customers, given.keys))
    sys.stdout.write("\n".join(rows) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
