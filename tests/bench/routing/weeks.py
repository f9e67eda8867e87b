"""Weeks of several seeds for all who choose."""

import asyncio
from collections.abc import Iterable, Mapping
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


Task = tuple[int, str]
"""A seed, and one of `HEADGATE` or `OTHERS`."""

OTHERS: Final = "others"


def tasks(seeds: Iterable[int]) -> list[Task]:
    """All there is to do. The others take seconds together, Headgate a minute or more: its rounds are all run."""
    return [(seed, name) for seed in seeds for name in (*HEADGATE, OTHERS)]


def done(task: Task, *, days: float = 7.0, requests: int = 100_000) -> dict[str, Figures]:
    """By router, what came of one task."""
    seed, name = task
    met = world(seed, days=days, requests=requests)
    if name == OTHERS:
        return {router.name: figures(run(met, router)) for router in rivals()}
    return {name: figures(headgates(met, name))}


def gathered(found: Iterable[dict[str, Figures]]) -> dict[str, list[Figures]]:
    """By router, its figures in the order of the seeds."""
    weeks: dict[str, list[Figures]] = {}
    for each in found:
        for name, row in each.items():
            weeks.setdefault(name, []).append(row)
    return weeks


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
