"""What supervisor and worker say to each other, beside single words."""

from dataclasses import dataclass

from proxy.assembly.kept import Kept
from proxy.settings.load import Loaded
from ratelimit.store.address import Address


@dataclass(frozen=True, slots=True)
class Start:
    """The first thing that a worker is told. `number`, `of`: its place among the workers."""

    loaded: Loaded
    kept: Kept
    number: int
    of: int
    store_address: Address | None
