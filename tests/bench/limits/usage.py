"""How long usage of very many customers takes, and how long a request may wait behind it.

    python -m tests.bench.limits.usage [--customers 100000] [--busy 1000] [--days 30]

All customers are known; of `busy` ones each day of the span has figures. While the whole is read, one
customer is asked for again and again, which asks the store.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson

from proxy.exchange.books.ledger_row import Figures
from ratelimit.limits.bookings import Batch, Booking, Bookings
from ratelimit.limits.types import Row
from ratelimit.store.address import parse_address
from ratelimit.store.store import Store
from ratelimit.subjects.directory import Directory
from ratelimit.subjects.types import NewCustomer
from tests.support.gateway import ADMIN_KEY, PATIENT_MS, running
from tests.support.limited import configuration
from tests.support.raw_client import RawClient, http_request
from tests.support.scripted import listening
from tests.support.valkey import PrivateServer

_AT_ONCE: Final = 256
_DAY_US: Final = 86_400_000_000
_LONG_S: Final = 3600.0
_GROUP: Final = orjson.dumps(("k", "gpt-5-mini", "openai/gpt-5-mini", ()))


async def make(store: Store, customers: int, busy: int, days: int) -> None:
    directory = Directory(store, wall_clock_s=lambda: datetime.now(tz=UTC).timestamp())
    for begin in range(0, customers, _AT_ONCE):
        numbers = range(begin, min(customers, begin + _AT_ONCE))
        await asyncio.gather(*(directory.create_customer(NewCustomer(_name(each))) for each in numbers))
    bookings = Bookings(store, rows_kept_days=0)
    now_us = int(datetime.now(tz=UTC).timestamp() * 1_000_000)
    row = Row(b"[]", _GROUP, tuple(Figures(requests=1, input_tokens=10, cost_microusd=50)))
    made = tuple(Booking(("c", "k:k"), now_us - day * _DAY_US, 10, 50, row) for day in range(days))
    for begin in range(0, busy, _AT_ONCE):
        numbers = range(begin, min(busy, begin + _AT_ONCE))
        # Spread over all customers, as busy ones are.
        names = [_name(each * customers // busy) for each in numbers]
        await asyncio.gather(*(bookings.book(Batch(name, "bench", 1, made)) for name in names))


def _name(number: int) -> str:
    return f"customer-{number:06d}"


async def read(port: int) -> tuple[float, int]:
    """Seconds until the whole answer was there, and how many requests it knows of."""
    async with await RawClient.connect(port) as client:
        began_s = time.perf_counter()
        said = {"authorization": f"Bearer {ADMIN_KEY}"}
        await client.send(http_request("GET", "/admin/v1/usage", headers=said))
        answer = await client.read_all(_LONG_S)
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {answer.body!r}")
        return time.perf_counter() - began_s, answer.members["total"]["requests"]


async def probed(port: int, done: asyncio.Event) -> list[float]:
    """Milliseconds of questions to the gateway that ask the store, one after the other."""
    times: list[float] = []
    async with await RawClient.connect(port) as client:
        said = {"authorization": f"Bearer {ADMIN_KEY}"}
        while not done.is_set():
            began_s = time.perf_counter()
            await client.send(http_request("GET", f"/admin/v1/customers/{_name(0)}", headers=said))
            answer = await client.read_all(_LONG_S)
            if answer.status != 200:
                raise RuntimeError(f"{answer.status}: {answer.body!r}")
            times.append((time.perf_counter() - began_s) * 1000)
            client.next_answer()
            await asyncio.sleep(0.02)
    return sorted(times)


async def measure(port: int) -> tuple[float, int, list[float]]:
    done = asyncio.Event()
    probing = asyncio.ensure_future(probed(port, done))
    took_s, requests = await read(port)
    done.set()
    return took_s, requests, await probing


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--busy", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=30)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as home, PrivateServer() as server, listening() as listener:

        async def prepare() -> None:
            store = Store(parse_address(server.url), timeout_ms=PATIENT_MS)
            await store.open()
            await make(store, given.customers, given.busy, given.days)
            await store.close()

        with running(Path(home), configuration(listener, server.url)) as gateway:
            asyncio.run(prepare())
            took_s, requests, times = asyncio.run(measure(gateway.port))
    sys.stdout.write(
        f"{given.customers} customers, {given.days} days, {requests} requests of {given.busy} busy ones: "
        f"{took_s:.1f} s; meanwhile a question took {times[len(times) // 2]:.1f} ms (p50), "
        f"{times[-1]:.1f} ms (longest)\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
