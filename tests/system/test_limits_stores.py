"""Limits hold on one server and on a cluster, through two gateways.

The servers are of the binary that `HEADGATE_TEST_REDIS_SERVER` names, such as Debian's Redis 7.0; else Valkey.
"""

import asyncio
from collections.abc import Iterator

import pytest

from tests.support.fleet import cluster
from tests.support.limited import (
    ask,
    asked,
    billed,
    bound_microusd,
    customer,
    gateways,
    settled,
    used_microusd,
)
from tests.support.scripted import Exchange, role, text
from tests.support.site import Site
from tests.support.valkey import PrivateServer


@pytest.fixture(scope="module", params=["single", "cluster"])
def places(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Site]]:
    home = tmp_path_factory.mktemp(request.param)
    started = cluster() if request.param == "cluster" else PrivateServer()
    with started as store, gateways(home, store.url, 2) as sites:
        yield sites


async def test_races(places: list[Site]) -> None:
    """Of 120 simultaneous requests of six customers, exactly five of each pass."""
    bound = await bound_microusd(places[0], "probe-races")
    customers = [
        await customer(places[0], f"racer-{each}", {"usd_total": 5 * bound / 1e6}) for each in range(6)
    ]
    async with places[0].upstream(billed(0, bound)):
        answers = await asyncio.gather(
            *(ask(places[each % 2], customers[each % 6]) for each in range(120)),
        )
    for number, who in enumerate(customers):
        own = answers[number::6]
        assert (20, 5) == (len(own), sum(answer.status == 200 for answer in own))
        assert 5 * bound == await settled(places, who)


async def test_every_limit_refuses(places: list[Site]) -> None:
    """Each of them, of a customer, a key and a model of a key: by its name, and counted by no other."""
    limits = {
        "requests_per_minute": 1,
        "tokens_per_minute": 300,
        "tokens_per_day": 600,
        "tokens_per_month": 600,
        "tokens_total": 600,
        "usd_per_day": 0.0006,
        "usd_per_month": 0.0006,
        "usd_total": 0.0006,
    }
    async with places[0].upstream(billed(0, 350)):
        for whose in ("customer", "key", "model"):
            for limit, maximum in limits.items():
                given = {limit: maximum}
                who = await customer(
                    places[0],
                    f"{whose}-{limit}",
                    given if whose == "customer" else {},
                    given if whose == "key" else {},
                    {"test-model": given} if whose == "model" else None,
                )
                assert 200 == (await ask(places[0], who)).status
                error = (await ask(places[1], who)).members["error"]
                assert (whose, limit) == (error["subject"], error["limit"])


async def test_what_is_held_comes_back(places: list[Site]) -> None:
    """A slot and its money are held while a stream runs, at the other gateway too, and free when its client leaves."""
    who = await customer(places[0], "leaver", {"in_flight": 1, "usd_total": 1})

    async def begun(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send(role())
        await exchange.send(text("the first word"))
        await exchange.closed.wait()

    async with places[0].upstream(begun):
        async with places[0].client() as client:
            await client.send(asked(places[0], who))
            await client.read_until(b"the first word")
            assert 429 == (await ask(places[1], who)).status
            assert 200 < await used_microusd(places[1], who)
        assert 0 < await settled(places, who) < 200
