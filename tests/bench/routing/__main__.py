"""A simulated week of traffic over eight backends: Headgate's choice beside simpler ones.

    python -m tests.bench.routing [--seeds 5] [--requests 100000] [--days 7] [--jobs 2] [--json FILE]

Needs no network and no data. docs/routing-simulated.md says what is simulated.
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import orjson

from tests.bench.routing.table import better, shares, table
from tests.bench.routing.weeks import HEADGATE, done, gathered, tasks


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.routing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=100_000, help="in seven days, about")
    parser.add_argument("--days", type=float, default=7.0)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--json", type=Path, help="also write the figures of each seed here")
    given = parser.parse_args(arguments)
    work = partial(done, days=given.days, requests=given.requests)
    to_do = tasks(range(1, given.seeds + 1))
    if given.jobs == 1:
        weeks = gathered(map(work, to_do))
    else:
        with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
            weeks = gathered(pool.map(work, to_do))
    sys.stdout.write(
        "\n\n".join((table(weeks), *(better(weeks, name) for name in HEADGATE), shares(weeks))) + "\n"
    )
    if given.json is not None:
        given.json.write_bytes(
            orjson.dumps(
                {
                    "days": given.days,
                    "requests": given.requests,
                    "seeds": given.seeds,
                    "weeks": {name: [each._asdict() for each in rows] for name, rows in weeks.items()},
                },
                option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
            )
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
