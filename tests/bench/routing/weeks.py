"""One seed's week for all who choose."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from proxy.routing.catalogue.types import Strategy
from tests.bench.routing.engine import Router, Run, Tally
from tests.bench.routing.headgate import Clock, Headgate, ScriptStore
from tests.bench.routing.remembered import RememberingStore
from tests.bench.routing.rivals import rivals
from tests.bench.routing.table import Figures, figures
from tests.bench.routing.world import World, world
from tests.support.valkey import PrivateServer

HEADGATE: Final[Mapping[str, Strategy]] = MappingProxyType(
    {"Headgate, cheapest": "cheapest", "Headgate, score": "score"}
)
"""By name the strategy of the tier."""


def week(seed: int, *, days: float = 7.0, requests: int = 100_000) -> dict[str, Figures]:
    """By router. Takes some minutes, most of them for Headgate, whose rounds are run as they would be."""
    met = world(seed, days=days, requests=requests)
    found = {name: figures(headgates(met, name)) for name in HEADGATE}
    found |= {router.name: figures(run(met, router)) for router in rivals()}
    return found


def headgates(met: World, name: str) -> Tally:
    """One of `HEADGATE`."""
    clock = Clock()
    return run(met, Headgate(name, HEADGATE[name], RememberingStore(clock), clock))


def headgates_on(server: PrivateServer, met: World, name: str) -> Tally:
    """The same on a real server's scripts, which takes longer."""
    clock = Clock()
    with ScriptStore(server.socket_path, clock) as store:
        return run(met, Headgate(name, HEADGATE[name], store, clock))


def run(met: World, router: Router) -> Tally:
    """All requests of a world."""
    return asyncio.run(Run(met, router).run())
