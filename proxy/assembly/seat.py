"""The place of a process among those that serve together."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from proxy.admin.reload import Reload
from ratelimit.store.address import Address


@dataclass(frozen=True, slots=True)
class Seat:
    """A process that serves alone, unless said otherwise.

    Attributes:
        number: of this process, from 0.
        of: how many there are.
        store_address: of the embedded store; `None`: `redis.url` says where the store is.
        reload: reads the configuration anew, for all processes.
        exposition: the metrics of all processes, in Prometheus' text format; `None`: there is this one only.
    """

    reload: Reload
    number: int = 0
    of: int = 1
    store_address: Address | None = None
    exposition: Callable[[], Awaitable[bytes]] | None = None

    def part(self, whole: int) -> int:
        """Its part of a number that all share; at least 1."""
        return max(1, whole // self.of + (self.number < whole % self.of))
