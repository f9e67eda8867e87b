"""Memory of many keys that are known and idle: of the gateway's process and of the store.

    python -m tests.bench.known_keys [--keys 100000]

Keys of 1,000 customers, each with two limits; every one has been looked up and has settled one request.
"""

import argparse
import asyncio
import gc
import sys
import time
from pathlib import Path
from typing import Final

from proxy.assembly.core import wall_clock_s
from proxy.exchange.admission import Admissions, Terms
from proxy.exchange.bounds import Bound
from proxy.telemetry.metrics import Metrics
from ratelimit.limits.bookings import Bookings
from ratelimit.limits.reservations import Reservations
from ratelimit.limits.settling import Settler
from ratelimit.store.address import parse_address
from ratelimit.store.errors import StoreFault
from ratelimit.store.store import Store
from ratelimit.subjects.directory import Directory
from ratelimit.subjects.lookup import Lookup
from ratelimit.subjects.types import ConfiguredKey, NewCustomer
from tests.support.valkey import PrivateServer

_CUSTOMERS: Final = 1000
_LIMITS: Final = {"requests_per_minute": 600, "usd_per_month": 100}
_AT_ONCE: Final = 500
_MEGABYTE: Final = 1_000_000


class _Told:
    def fault(self, what: str, fault: StoreFault) -> None:
        raise AssertionError((what, fault))

    def unsettled(self, count: int) -> None:
        raise AssertionError(count)


def resident_bytes() -> int:
    """Of this process."""
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * 4096


async def measure(url: str, keys: int) -> list[str]:
    store = Store(parse_address(url), timeout_ms=60_000)
    await store.open()
    directory = Directory(store, wall_clock_s=wall_clock_s)
    customers = [NewCustomer(f"customer-{number}", limits=_LIMITS) for number in range(_CUSTOMERS)]
    made = [
        ConfiguredKey(f"key-{number}", f"customer-{number % _CUSTOMERS}", f"{number:064x}", limits=_LIMITS)
        for number in range(keys)
    ]
    await directory.sync_configured(customers, made, default_limits={})
    lines = [f"store      {await used_bytes(store) / _MEGABYTE:.0f} MB: customers and keys"]
    # As a gateway that has read them from the store, not from its configuration.
    del made, customers, directory
    gc.collect()
    idle = Directory(store, wall_clock_s=wall_clock_s)
    lookup = Lookup(
        store, idle.configured, clock_s=time.monotonic, wall_clock_s=wall_clock_s, key_grace_s=300
    )
    reservations = Reservations(store)
    settler = Settler(reservations, Bookings(store), booker="bench", clock=time.monotonic, told=_Told())
    admissions = Admissions(
        reservations,
        settler,
        Terms(open_on_outage=False, soft_ratio=0.8, timeout_s=60),
        Metrics(),
        wall_clock_s=wall_clock_s,
    )
    before = resident_bytes()

    async def one(number: int) -> None:
        subject = await lookup.find_digest(number.to_bytes(32, "big"))
        assert subject is not None
        account = admissions.account(subject, "m", "m")
        admission = await admissions.admit(account, f"r{number}", Bound(10, 10, 10))
        admissions.settle(admission, f"r{number}", tokens=5, microusd=5)

    async with settler.running(settle_s=60):
        for start in range(0, keys, _AT_ONCE):
            await asyncio.gather(*(one(number) for number in range(start, min(keys, start + _AT_ONCE))))
        await settler.emptied(60)
    gc.collect()
    grown = resident_bytes() - before
    lines += [
        f"gateway    {grown / _MEGABYTE:.0f} MB more: {grown / keys:.0f} bytes a key",
        f"store      {await used_bytes(store) / _MEGABYTE:.0f} MB: counters and closed ledger, too",
    ]
    await lookup.close()
    await store.close()
    return lines


async def used_bytes(store: Store) -> int:
    info = await store.call("INFO", "memory")
    assert isinstance(info, bytes)
    return int(info.split(b"used_memory:")[1].split(b"\r\n")[0])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keys", type=int, default=100_000)
    given = parser.parse_args()
    with PrivateServer() as server:
        lines = asyncio.run(measure(server.url, given.keys))
    sys.stdout.write("\n".join([f"{given.keys} keys of {_CUSTOMERS} customers", *lines]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
