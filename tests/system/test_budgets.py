"""No customer spends more than allowed: whatever the concurrency, the number of gateways and the departures."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import orjson
import pytest

from tests.support.gateway import running
from tests.support.limited import Customer, facts_microusd, settled
from tests.support.raw_client import Answer
from tests.support.scripted import DONE, WAIT_S, Exchange, finish, listening, role, text, usage
from tests.support.site import Site, config, model, poll, provider
from tests.support.valkey import PrivateServer

LIMITS: dict[str, dict[str, float]] = {
    "dollars": {"usd_per_day": 0.01},
    "race": {"usd_total": 0.02},
    "aborts": {"usd_total": 0.02},
    "tokens": {"tokens_per_month": 1000},
    "minute": {"tokens_per_minute": 700},
    "slots": {"in_flight": 2},
    "soft": {"usd_per_month": 0.0065},
}
OUTPUT_TOKENS = 1000
"""At 2 USD per million a request holds 0.002 USD for its answer and less than 0.0005 for its prompt."""
BILLED_MICROUSD = 11 + 2 * 500
"""Of an answer with 11 tokens of prompt and 500 of text."""


def secret_of(name: str) -> str:
    return f"test-key-{name}-abcdefgh"


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Site]]:
    """Three gateways on one store."""
    with ExitStack() as stack:
        store = stack.enter_context(PrivateServer())
        listener = stack.enter_context(listening())
        sites = [
            Site(
                stack.enter_context(
                    running(tmp_path_factory.mktemp("gateway"), configuration(listener, store.url), secrets())
                ),
                listener,
            )
            for _ in range(3)
        ]
        yield sites


def secrets() -> dict[str, str]:
    return {f"KEY_{name.upper()}": secret_of(name) for name in LIMITS}


def configuration(listener: socket.socket, store_url: str) -> dict[str, Any]:
    made = config(
        {"scripted": provider(listener)},
        [model("test-model", "scripted"), {**model("priceless", "scripted"), "price": None}],
        redis={"url": store_url, "timeout_ms": 5000, "on_outage": "closed"},
        limits={"default_max_output_tokens": OUTPUT_TOKENS},
        customers=[{"id": name, "limits": limits} for name, limits in LIMITS.items()],
    )
    made["keys"] += [{"id": name, "customer": name, "secret": f"env:KEY_{name.upper()}"} for name in LIMITS]
    return made


async def ask(place: Site, name: str, **members: Any) -> Answer:
    """One request with that customer's key."""
    async with place.client() as client:
        await client.send(place.chat(**members).replace(place.gateway.key.encode(), secret_of(name).encode()))
        return await client.read_all()


async def billed(exchange: Exchange) -> None:
    await exchange.stream(role(), text("good"), finish(), usage(11, 500), DONE)


async def refused(places: list[Site], name: str) -> Answer:
    """The refusal with nothing in flight and all settled: what is held for others is no longer in the way."""
    async with asyncio.timeout(6 * WAIT_S):
        while True:
            answer = await ask(places[0], name)
            if answer.status == 402:
                used = round(answer.members["error"]["used"] * 1_000_000)
                if used == facts_microusd(places, Customer(name, secret_of(name))):
                    return answer
                # No settlement is on a client's path, and nothing tells when it is through.
                await asyncio.sleep(0.05)


async def test_dollars(places: list[Site]) -> None:
    """The answer's limit goes upstream; what was held and not used is free again; the refusal names what to know."""
    async with places[0].upstream(billed) as upstream:
        first = await ask(places[0], "dollars")
        assert 200 == first.status
        assert OUTPUT_TOKENS == orjson.loads((await upstream.exchange()).body)["max_tokens"]
        last = await refused(places, "dollars")
    error = last.members["error"]
    assert (402, "budget_exceeded", "gateway") == (last.status, error["code"], error["source"])
    assert ("customer", "usd_per_day", 0.01) == (error["subject"], error["limit"], error["maximum"])
    # Less than one bound was left.
    assert 0.01 - 0.0025 < error["used"] <= 0.01
    assert 0 == round(error["used"] * 1_000_000) % BILLED_MICROUSD
    assert 0 < int(last.headers["retry-after"]) <= 86_400


async def test_race_over_three_gateways(places: list[Site]) -> None:
    """Ninety clients at three gateways: spent and held never exceed the budget, and nothing is held for ever."""
    async with places[0].upstream(billed) as upstream:
        answers = await asyncio.gather(*(ask(places[number % 3], "race") for number in range(90)))
        assert {200, 402} == {answer.status for answer in answers}
        last = await refused(places, "race")
        used = round(last.members["error"]["used"] * 1_000_000)
        served = len(upstream.exchanges)
    assert served * BILLED_MICROUSD == used
    assert 20_000 - 2_500 < used <= 20_000


async def test_departures(places: list[Site]) -> None:
    """Clients that leave at any moment are billed for what they got, once; their slots and holds come back."""

    async def begun(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send(role())
        await exchange.send(text("some words of an answer that is never finished"))
        await exchange.closed.wait()

    async with places[0].upstream(begun) as upstream:
        for number in range(6):
            place = places[number % 3]
            async with place.client() as client:
                request = place.chat().replace(place.gateway.key.encode(), secret_of("aborts").encode())
                await client.send(request)
                if number % 2:  # else at once, before the provider has heard anything
                    await upstream.exchange(len(upstream.exchanges))
    async with places[0].upstream(billed):
        last = await refused(places, "aborts")
    used = round(last.members["error"]["used"] * 1_000_000)
    assert 20_000 - 2_500 < used <= 20_000


async def test_tokens(places: list[Site]) -> None:
    """A quota of tokens is told as one, and a request that alone exceeds it is refused at once."""
    async with places[0].upstream(billed):
        answer = await ask(places[0], "tokens")
    error = answer.members["error"]
    assert (429, "quota_exceeded", "tokens_per_month") == (answer.status, error["code"], error["limit"])


async def test_minute(places: list[Site]) -> None:
    """Tokens per minute are in the headers, and corrected by what was really used."""
    async with places[0].upstream(billed):
        answer = await ask(places[0], "minute", max_tokens=100)
        assert 200 == answer.status
        assert "700" == answer.headers["x-ratelimit-limit-tokens"]
        for _ in range(3):
            last = await ask(places[1], "minute")
    error = last.members["error"]
    assert (429, "rate_limit_exceeded", "tokens_per_minute") == (last.status, error["code"], error["limit"])
    # The last one used more than was guessed: the bucket is in debt, and that takes a while, too.
    assert 0 < int(last.headers["retry-after"]) <= 120


async def test_slots(places: list[Site]) -> None:
    """Requests in flight are counted over all gateways, and given back when they end."""
    waiting = asyncio.Event()

    async def held(exchange: Exchange) -> None:
        await waiting.wait()
        await billed(exchange)

    async with places[0].upstream(held) as upstream:
        running_ones = [asyncio.ensure_future(ask(places[number], "slots")) for number in range(2)]
        await poll(lambda: len(upstream.exchanges) == 2, 6 * WAIT_S)
        third = await ask(places[2], "slots")
        assert (429, "in_flight") == (third.status, third.members["error"]["limit"])
        waiting.set()
        assert [200, 200] == [answer.status for answer in await asyncio.gather(*running_ones)]
        async with asyncio.timeout(6 * WAIT_S):
            while (await ask(places[2], "slots")).status != 200:  # noqa: ASYNC110 - another process settles
                await asyncio.sleep(0.02)  # settled a moment after the answer


async def test_soft_limit(places: list[Site]) -> None:
    """Near its budget a customer is told so in a header."""
    async with places[0].upstream(billed):
        first = await ask(places[0], "soft")
        assert "x-headgate-soft-limit" not in first.headers
        for _ in range(3):
            assert BILLED_MICROUSD <= await settled(places, Customer("soft", secret_of("soft")))
            assert 200 == (await ask(places[0], "soft")).status
        assert 4 * BILLED_MICROUSD == await settled(places, Customer("soft", secret_of("soft")))
        near = await ask(places[0], "soft")
    assert 200 == near.status
    assert near.headers["x-headgate-soft-limit"].startswith("customer usd_per_month 9")


@pytest.mark.parametrize(
    "members",
    [
        {"model": "priceless"},
        {"web_search_options": {}, "plugins": [{"id": "web"}]},
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]},
    ],
)
async def test_what_has_no_bound(places: list[Site], members: dict[str, Any]) -> None:
    """What may cost anything is refused to a key with a budget, and costs nothing."""
    async with places[0].upstream(billed) as upstream:
        answer = await ask(places[0], "race", **members)
        assert (400, "no_capable_backend") == (answer.status, answer.members["error"]["code"])
        assert 0 == len(upstream.exchanges)
