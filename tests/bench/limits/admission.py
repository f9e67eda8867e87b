"""CPU of admission and settlement per request, in this process, on a real store of its own.

    python -m tests.bench.limits.admission [--requests 20000] [--concurrent 32]

Three kinds of subject: without limits (booked afterwards), with a rate alone, with a rate, a budget and a quota on
customer and key. Only this process's CPU counts; the store has its own.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Mapping
from typing import Final

import orjson

from providers.clients.openai_chat import OpenAIChat
from proxy.exchange.money.admission import NOTHING, Admissions, Terms
from proxy.exchange.money.bounds import bound, measure
from proxy.exchange.money.guesses import Guesses
from proxy.routing.catalogue.types import Backend, Model, Price
from proxy.routing.policy import Attempt
from proxy.telemetry.metrics import Metrics
from ratelimit.limits.bookings import Bookings
from ratelimit.limits.reservations import Reservations
from ratelimit.limits.settling import Settler
from ratelimit.store.address import parse_address
from ratelimit.store.errors import StoreFault
from ratelimit.store.store import Store
from ratelimit.subjects.types import Scope, Subject
from tests.bench.machine import choose_cores, describe
from tests.support.valkey import PrivateServer

KINDS: Final[Mapping[str, Mapping[str, float]]] = {
    "no limits": {},
    "a rate": {"requests_per_minute": 10**9},
    "rate, budget, quota": {
        "requests_per_minute": 10**9,
        "tokens_per_minute": 10**12,
        "usd_per_month": 10**9,
        "tokens_per_day": 10**15,
    },
}
_BODY: Final = orjson.dumps(
    {"model": "m", "messages": [{"role": "user", "content": "a prompt of a few words " * 20}], "stream": True}
)
_PLAN: Final = (Attempt(Backend("p/m", "p", "m", Price(250_000, 2_000_000)), "m", 128_000, ()),)
_MODELS: Final = {"m": Model("m", (), 128_000, 16_384)}
_MICRO: Final = 1_000_000


class _Told:
    def fault(self, what: str, fault: StoreFault) -> None:
        raise AssertionError((what, fault))

    def unsettled(self, count: int) -> None:
        raise AssertionError(count)


async def measured_us(url: str, limits: Mapping[str, float], requests: int, concurrent: int) -> float:
    """CPU of this process per request, microseconds."""
    store = Store(parse_address(url), timeout_ms=5000)
    await store.open()
    settler = Settler(
        Reservations(store), Bookings(store), booker="bench", clock=time.monotonic, told=_Told()
    )
    admissions = Admissions(
        Reservations(store),
        settler,
        Terms(open_on_outage=False, soft_ratio=0.8, timeout_s=5),
        Metrics(),
        wall_clock_s=lambda: time.time_ns() / 1e9,
    )
    scopes = (Scope("customer", "acme", limits), Scope("key", "k", limits))
    subject = Subject("k", "acme", None, None, "normal", None, None, scopes=scopes)
    guesses = Guesses()
    request = OpenAIChat().parse(_BODY)
    numbers = iter(range(requests))

    async def client() -> None:
        for number in numbers:
            name = f"r{number}"
            account = admissions.account(subject, "m", "m")
            held = NOTHING
            if account.limited:
                made = bound(request, measure(request), _PLAN, 1000, _MODELS, guesses)
                assert made is not None
                held = made
            admission = await admissions.admit(account, name, held)
            admissions.settle(admission, name, tokens=500, microusd=300)
            guesses.learn(
                "p/m",
                prompt_bytes=measure(request).bytes,
                prompt_tokens=120,
                output_tokens=300,
                choices=1,
            )
            await asyncio.sleep(0)  # as between the reads of an answer

    async with settler.running(settle_s=60):
        began_s = time.process_time()
        await asyncio.gather(*(client() for _ in range(concurrent)))
        await settler.emptied(60)
        used_s = time.process_time() - began_s
    await store.close()
    return used_s / requests * _MICRO


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--concurrent", type=int, default=32)
    given = parser.parse_args()
    try:
        import uvloop as loops
    except ImportError:
        loops = asyncio  # type: ignore[misc]
    lines = [f"{name:10}{value}" for name, value in describe(choose_cores()).items()]
    with PrivateServer() as server:
        for kind, limits in KINDS.items():
            figures = []
            for _ in range(3):
                with asyncio.Runner(loop_factory=loops.new_event_loop) as runner:
                    work = measured_us(server.url, limits, given.requests, given.concurrent)
                    figures.append(runner.run(work))
            shown = ", ".join(f"{figure:.1f}" for figure in figures)
            lines.append(f"{kind:22}{min(figures):6.1f} us a request (of {shown})")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
