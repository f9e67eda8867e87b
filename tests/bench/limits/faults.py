"""How long requests take while something is wrong with the store, and what they get.

    python -m tests.bench.limits.faults [--timeout-ms 50] [--waves 40]

Four requests at once, in waves, at a gateway with `redis.on_outage: closed` and at one with `open`. Times are those of
whole answers, the scripted provider's included, which answers at once.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.scripted import good_stream
from tests.support.store_faults import OUTAGES, Measured, faults, hurtable, measured, well


def _row(name: str, on_outage: str, found: Measured) -> str:
    statuses = ", ".join(f"{status} x{number}" for status, number in sorted(found.statuses.items()))
    times = "".join(f"{found.at(percent):9.1f}" for percent in (50, 95, 100))
    return f"{name:14}{on_outage:8}{times}   {statuses}"


async def table(directory: Path, timeout_ms: int, waves: int) -> list[str]:
    """A row per fault and setting; before them one without any fault."""
    rows = [f"{'store':14}{'':8}{'p50 ms':>9}{'p95':>9}{'max':>9}   statuses"]
    with hurtable(directory, timeout_ms) as place:
        async with place.sites["closed"].upstream(good_stream):
            await well(place)
            rows += [
                _row("well", on_outage, await measured(place, on_outage, waves=waves))
                for on_outage in OUTAGES
            ]
            for fault in faults(timeout_ms):
                for on_outage in OUTAGES:
                    await well(place)
                    fault.begin(place)
                    try:
                        found = await measured(place, on_outage, waves=waves)
                    finally:
                        await fault.end(place)
                    rows.append(_row(fault.name, on_outage, found))
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--timeout-ms", type=int, default=50, help="`redis.timeout_ms` of the gateways")
    parser.add_argument("--waves", type=int, default=40, help="how many waves of four requests")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="headgate-bench-") as folder:
        rows = asyncio.run(table(Path(folder), given.timeout_ms, given.waves))
    rows += ["", *(f"{fault.name:14}{fault.about}" for fault in faults(given.timeout_ms))]
    sys.stdout.write("\n".join(rows) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
