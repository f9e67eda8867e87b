"""A budget holds against hundreds of clients at several gateways: to the last request, through departures and a kill.

`HEADGATE_TEST_SEEDS` says how many different courses of departures are tried, 1 by default.
"""

import asyncio
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.limited import (
    Customer,
    admin,
    ask,
    asked,
    billed,
    bound_microusd,
    customer,
    facts_microusd,
    gateways,
    lines_of,
    settled,
    used_microusd,
)
from tests.support.raw_client import RawClient
from tests.support.scripted import DONE, Exchange, finish, role, text, usage
from tests.support.site import Site, poll
from tests.support.valkey import PrivateServer

CLIENTS: Final = 300
GATEWAYS: Final = 3
SEEDS: Final = range(int(os.environ.get("HEADGATE_TEST_SEEDS", "1")))
HOLD: Final = [{"role": "user", "content": "hold it, until the test is done"}]
"""As long as what the others say."""
SLOTS_BACK_S: Final = 30.0
"""As promised."""
SLACK_S: Final = 15.0
"""For a loaded machine, on top of what is promised."""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Site]]:
    """Three gateways on one store."""
    with (
        PrivateServer() as store,
        gateways(tmp_path_factory.mktemp("race"), store.url, GATEWAYS) as sites,
    ):
        yield sites


async def until_refused_for_good(places: list[Site], who: Customer) -> int:
    """Repeat until a request is refused with nothing in flight and all settled; what is spent then."""
    while True:
        if (await ask(places[0], who)).status == 200:
            continue
        spent = await settled(places, who)
        if (await ask(places[1], who)).status == 402:
            return spent


async def test_exactly_as_many_as_the_budget_has_room_for(places: list[Site]) -> None:
    """With a bound that equals the cost, exactly N of 300 simultaneous requests pass."""
    bound = await bound_microusd(places[0], "probe-exact")
    room = 73
    who = await customer(places[0], "exact", {"usd_total": room * bound / 1e6})
    async with places[0].upstream(billed(0, bound)) as upstream:
        answers = await asyncio.gather(*(ask(places[each % GATEWAYS], who) for each in range(CLIENTS)))
        assert room == sum(answer.status == 200 for answer in answers)
        assert {200, 402} == {answer.status for answer in answers}
        assert room == len(upstream.exchanges)
    assert room * bound == await settled(places, who)


@pytest.mark.parametrize("limit", ["usd_per_day", "usd_per_month"])
async def test_less_than_one_bound_is_left(places: list[Site], limit: str) -> None:
    """With bounds above the cost, clients that repeat what is refused use the budget up, and never more than it."""
    bound = await bound_microusd(places[0], f"probe-{limit}")
    cost = bound // 3
    budget = 100 * cost + bound // 2
    who = await customer(places[0], limit, {limit: budget / 1e6})
    passed = 0

    async def client(number: int) -> None:
        nonlocal passed
        for _ in range(3):
            answer = await ask(places[number % GATEWAYS], who)
            passed += answer.status == 200
            if answer.status == 402:
                assert budget >= round(answer.members["error"]["used"] * 1e6)

    async with places[0].upstream(billed(0, cost)) as upstream:
        await asyncio.gather(*(client(each) for each in range(CLIENTS)))
        assert 0 < passed <= budget // cost
        spent = await until_refused_for_good(places, who)
        served = len(upstream.exchanges)
    assert served * cost == spent
    assert budget - bound < spent <= budget


@pytest.mark.parametrize("seed", SEEDS)
async def test_departures_at_random_bytes(places: list[Site], seed: int) -> None:
    """Clients that leave at any byte of their answer are billed once for what they got; nothing stays held."""
    chance = random.Random(seed)
    leaving = [(chance.randrange(4000), chance.random() < 0.5) for _ in range(CLIENTS)]
    bound = await bound_microusd(places[0], f"probe-departures-{seed}")
    budget = 60 * bound
    who = await customer(places[0], f"departures-{seed}", {"usd_total": budget / 1e6, "in_flight": 200})

    async def words(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send(role())
        for _ in range(12):
            await exchange.send(text("some words of the answer "))
            await asyncio.sleep(0.002)
        for piece in (finish(), usage(20, 100), DONE):
            await exchange.send(piece)
        await exchange.finish()

    async def client(number: int) -> None:
        place = places[number % GATEWAYS]
        async with place.client() as connection:
            await connection.send(asked(place, who))
            at_most_bytes, politely = leaving[number]
            await read_and_leave(connection, at_most_bytes, politely=politely)

    async with places[0].upstream(words):
        await asyncio.gather(*(client(each) for each in range(CLIENTS)))
        await settled(places, who)
    async with places[0].upstream(billed(0, bound - 1)):
        spent = await until_refused_for_good(places, who)
    outcomes = {line["headgate.outcome"] for line in lines_of(places, who)}
    assert {"ok", "client_gone"} <= outcomes
    assert budget - bound < spent <= budget


async def read_and_leave(connection: RawClient, at_most_bytes: int, *, politely: bool) -> None:
    """Read so many bytes of the body, or all of it; then close, or reset the connection."""
    while not connection.answer.ended and len(connection.answer.body) < at_most_bytes:
        left = at_most_bytes - len(connection.answer.body)
        await connection.read_some(60, at_most_bytes=left)
    if not politely:
        connection.reset()


async def test_a_killed_gateway(tmp_path: Path) -> None:
    """One of three gateways is killed in the middle of everything.

    What is spent and held is never above the budget; slots are back within 30 s and money it held stays booked;
    what lives on other gateways keeps its slots all the while.
    """
    with PrivateServer() as store, gateways(tmp_path, store.url, GATEWAYS) as places:
        doomed, *others = places
        bound = await bound_microusd(others[0], "probe-killed")
        cost = bound // 3
        budget = 150 * cost + bound // 2
        racer = await customer(others[0], "racer", {"usd_total": budget / 1e6})
        holder = await customer(others[0], "holder", {"usd_total": 1, "in_flight": 6})

        async def script(exchange: Exchange) -> None:
            if b"hold" in exchange.body:
                await exchange.go.wait()
            await billed(0, cost)(exchange)

        async with places[0].upstream(script) as upstream, asyncio.TaskGroup() as clients:

            def holding() -> int:
                return sum(b"hold" in each.body for each in upstream.exchanges)

            kept = [clients.create_task(hold(place, holder)) for place in others]
            lost = [clients.create_task(hold(doomed, holder)) for _ in range(4)]
            await poll(lambda: holding() == 6, 60)
            racing: list[asyncio.Task[Any]] = [clients.create_task(hold(doomed, racer)) for _ in range(20)]
            racing += [
                clients.create_task(race(others[each % 2], racer, budget)) for each in range(CLIENTS - 20)
            ]
            await poll(lambda: holding() > 10 and len(upstream.exchanges) > 60, 60)
            doomed.gateway.process.send_signal(signal.SIGKILL)
            killed_s = time.monotonic()
            assert 429 == (await ask(others[0], holder)).status
            seen = holding() - 6
            await asyncio.gather(*racing)
            # Until the dead one's slots are back, and a while longer, budgets are looked at.
            while (await ask(others[0], holder)).status == 429:
                assert time.monotonic() - killed_s < SLOTS_BACK_S + SLACK_S, "slots are not back"
                assert budget >= await used_microusd(others[1], racer)
                await asyncio.sleep(0.2)
            # The four of the dead one are free, the two of the living ones are not.
            before = holding()
            fresh = [clients.create_task(hold(others[0], holder)) for _ in range(4)]
            await poll(lambda: holding() == before + 4, 60)
            assert 429 == (await ask(others[1], holder)).status
            for exchange in upstream.exchanges:
                exchange.go.set()
            assert [0] * 4 == [await each for each in lost]
            assert [200] * 6 == [await each for each in (*kept, *fresh)]
            await stays_booked(others, holder, 4 * bound)
            listed = await all_lost(others, racer, bound)
            assert 0 < seen <= len(listed) <= 20
            assert {("test-model", "scripted/upstream-model", bound)} == {
                (each["asked"], each["backend"], round(each["usd"] * 1e6)) for each in listed
            }
            of_the_dead = len(listed) * bound
            refusals = 0
            while refusals < 2:  # the second one with nothing in flight
                refusals = refusals + 1 if (await ask(others[0], racer)).status == 402 else 0
                await stays_booked(others, racer, of_the_dead)
            spent = await used_microusd(others[0], racer)
        assert budget - bound < spent <= budget


async def race(place: Site, who: Customer, budget: int) -> None:
    """Three requests, one after the other."""
    for _ in range(3):
        answer = await ask(place, who)
        if answer.status == 402:
            assert budget >= round(answer.members["error"]["used"] * 1e6)


async def hold(place: Site, who: Customer) -> int:
    """The status of a request that the provider answers late; 0 when its gateway died."""
    try:
        return (await ask(place, who, messages=HOLD, within_s=120)).status
    except OSError:
        return 0


async def all_lost(places: list[Site], who: Customer, bound: int) -> list[dict[str, Any]]:
    """What is lost, once nothing else is spent or held beyond what these gateways billed."""
    async with asyncio.timeout(120):
        while True:
            listed: list[dict[str, Any]] = (await admin(places[0], "GET", f"/ledger/lost?customer={who.id}"))[
                "data"
            ]
            beyond = await used_microusd(places[0], who) - facts_microusd(places, who)
            if listed and beyond == len(listed) * bound:
                return listed
            await asyncio.sleep(0.1)


async def stays_booked(places: list[Site], who: Customer, expected: int) -> None:
    """So much is spent beyond what these gateways billed, micro-dollars, once everything of theirs is settled."""
    async with asyncio.timeout(120):
        while True:
            beyond = await used_microusd(places[0], who) - facts_microusd(places, who)
            if beyond == expected:
                return
            await asyncio.sleep(0.1)
