"""What lives as long as the process, whatever configuration is served."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import time_ns
from typing import Any

from proxy.admin.books import Books
from proxy.admin.reload import Reload
from proxy.exchange.choice.conversations import Conversations
from proxy.exchange.choice.digests import Digests
from proxy.exchange.choice.micro_call import Known
from proxy.exchange.money.guesses import Guesses
from proxy.exchange.upstream.headroom import Headroom
from proxy.exchange.upstream.transport import Transport
from proxy.telemetry.metrics import Metrics
from proxy.web.probes import Readiness
from ratelimit.health.health import Health
from ratelimit.limits.reservations import Reservations
from ratelimit.limits.settling import Settler
from ratelimit.memory.generations import Generations
from ratelimit.memory.memory import Memory
from ratelimit.store.store import Store
from ratelimit.subjects.directory import Directory
from ratelimit.subjects.lookup import Lookup


@dataclass(frozen=True, slots=True)
class Core:
    """Opened once by the composer; each configuration is put together around it.

    Attributes:
        reload: reads the configuration anew, for all workers.
        exposition: the metrics of all workers, in Prometheus' text format; `metrics` are this process's.
        clock: monotonic, in seconds.
        wall_clock_s: seconds since the epoch.
    """

    log: Any
    metrics: Metrics
    exposition: Callable[[], Awaitable[bytes]]
    reload: Reload
    readiness: Readiness
    store: Store
    directory: Directory
    lookup: Lookup
    transport: Transport
    headroom: Headroom
    reservations: Reservations
    settler: Settler
    memory: Memory
    generations: Generations
    conversations: Conversations
    digests: Digests
    micro_verdicts: Known
    guesses: Guesses
    books: Books
    health: Health
    clock: Callable[[], float]
    wall_clock_s: Callable[[], float]


def wall_clock_s() -> float:
    """Seconds since the epoch."""
    return time_ns() / 1_000_000_000
