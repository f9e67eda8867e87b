"""What users of other gateways suffer from where limits and budgets are concerned, each provoked for real."""

import asyncio
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
import structlog
import yaml
from starlette.routing import Route

from proxy.app import Gateway
from proxy.assembly.kept import kept
from proxy.assembly.seat import Seat
from proxy.routing.catalogue.load import default_models
from proxy.settings.load import load
from proxy.settings.reload import Reloaded
from tests.support.gateway import running
from tests.support.limited import (
    ANSWER_TOKENS,
    Customer,
    ask,
    asked,
    billed,
    bound_microusd,
    configuration,
    customer,
    gateways,
    lines_of,
    settled,
    used,
    used_microusd,
)
from tests.support.raw_client import Answer, RawClient
from tests.support.scripted import WAIT_S, Exchange, good_stream, listening, text
from tests.support.site import Site, model, poll, provider
from tests.support.valkey import PrivateServer

PROMPT_TOKENS: Final = 20
COST_MICROUSD: Final = PROMPT_TOKENS + 100
JSON_AND_WAIT: Final = (("content-type", "application/json"), ("retry-after", "120"))
usual: Final = billed(PROMPT_TOKENS, 100)


def sections(listener: socket.socket) -> dict[str, Any]:
    """Models that fail, fall back, or are waited for half a second only."""

    def priced(name: str, *providers: str) -> dict[str, Any]:
        return {**model(name, *providers), "price": {"input": 1.0, "output": 1.0}}

    return {
        "routing": {"retries": 1},
        "providers": {
            "scripted": provider(listener),
            "failing": provider(listener, "/failing/v1"),
            "hasty": provider(listener, timeouts={"first_byte_s": 0.5}),
            "untried": provider(listener),
        },
        "models": [
            priced("test-model", "scripted"),
            priced("falls-back", "failing", "scripted"),
            priced("fails", "failing"),
            priced("hasty", "hasty"),
            priced("untried", "untried"),
        ],
    }


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Site]]:
    home = tmp_path_factory.mktemp("pains")
    with PrivateServer() as store, gateways(home, store.url, 3, sections) as sites:
        yield sites


async def by_words(exchange: Exchange) -> None:
    """The provider does what it is asked to."""
    if exchange.path.startswith("/failing"):
        await exchange.answer(500, b'{"error": {"message": "broken"}}')
    elif b"refuse" in exchange.body:
        await exchange.answer(400, b'{"error": {"message": "no"}}')
    elif b"limit me" in exchange.body:
        await exchange.answer(429, b'{"error": {"message": "slow down"}}', JSON_AND_WAIT)
    elif b"silence" in exchange.body:
        await exchange.closed.wait()
    elif b"half" in exchange.body:
        await exchange.start()
        await exchange.send(text("half an answer"))
        await exchange.closed.wait()
    elif b"cut" in exchange.body:
        await exchange.start()
        await exchange.send(text("half an answer"))
        exchange.reset()
    else:
        await usual(exchange)


def saying(word: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": word}]}


def error_of(answer: Answer) -> dict[str, Any]:
    error = answer.members["error"]
    assert isinstance(error, dict)
    return error


async def together(places: Sequence[Site], who: Customer, count: int, **members: Any) -> list[Answer]:
    return await asyncio.gather(*(ask(places[each % len(places)], who, **members) for each in range(count)))


async def left(place: Site, who: Customer, at: bytes = b"", **members: Any) -> None:
    async with place.client() as client:
        await client.send(asked(place, who, **members))
        if at:
            await client.read_until(at)


async def test_concurrent_requests_cannot_pass_a_spent_budget(places: list[Site]) -> None:
    bound = await bound_microusd(places[0], "probe-12")
    never_seen = await customer(places[0], "pain-12", {"usd_total": bound / 1e6})
    async with places[0].upstream(billed(0, bound)) as upstream:
        first = await together(places, never_seen, 60)
        assert 1 == sum(answer.status == 200 for answer in first)
        assert bound == await settled(places, never_seen)
        assert {402} == {answer.status for answer in await together(places, never_seen, 60)}
        assert 1 == len(upstream.exchanges)


async def test_no_way_out_of_a_request_leaks_what_it_held(places: list[Site]) -> None:
    who = await customer(places[0], "pain-13", {"usd_total": 1})

    async with places[0].upstream(by_words) as upstream:
        assert 200 == (await ask(places[0], who)).status
        assert 200 == (await ask(places[0], who, model="falls-back")).status
        assert 500 <= (await ask(places[0], who, model="fails")).status
        assert 504 == (await ask(places[0], who, model="hasty", **saying("silence"))).status
        assert 400 == (await ask(places[0], who, **saying("refuse"))).status
        assert b"error" in (await ask(places[0], who, **saying("cut"))).body
        await left(places[0], who)
        heard = len(upstream.exchanges)
        async with places[0].client() as client:
            await client.send(asked(places[0], who, **saying("silence")))
            await upstream.exchange(heard)
        await left(places[0], who, at=b"half", **saying("half"))
        spent = await settled(places, who)
    outcomes = {line["headgate.outcome"] for line in lines_of(places, who)}
    assert {"ok", "client_gone", "timeout"} <= outcomes
    assert spent >= 2 * COST_MICROUSD


async def test_tokens_per_minute_are_one_limit_whatever_the_number_of_gateways(places: list[Site]) -> None:
    """Exactly as many pass as a full bucket has room for, and those for which it refills while they are asked."""
    # No gateway has seen an answer of this model, nor does before all are decided: each guesses what is documented.
    said = asked(places[0], Customer("any", "any-secret"), model="untried")
    guess = len(said.partition(b"\r\n\r\n")[2]) // 4 + 1 + ANSWER_TOKENS
    who = await customer(places[0], "pain-14", {"tokens_per_minute": 10 * guess})

    async def waits(exchange: Exchange) -> None:
        await exchange.go.wait()
        await usual(exchange)

    async with places[0].upstream(waits) as upstream, asyncio.TaskGroup() as tasks:
        began_s = time.monotonic()
        asking = [tasks.create_task(ask(places[each % 3], who, model="untried")) for each in range(90)]
        await poll(lambda: 90 == sum(each.done() for each in asking) + len(upstream.exchanges), 6 * WAIT_S)
        refilled = (time.monotonic() - began_s) / 60 * 10
        passed = len(upstream.exchanges)
        for exchange in upstream.exchanges:
            exchange.go.set()
    assert 10 <= passed <= 10 + int(refilled)
    statuses = [each.result().status for each in asking]
    assert (passed, 90 - passed) == (statuses.count(200), statuses.count(429))
    assert {"tokens_per_minute"} == {
        error_of(each.result())["limit"] for each in asking if each.result().status == 429
    }


async def patiently(place: Site, who: Customer, **members: Any) -> Answer:
    """The answer, once the slot of the request before is free: a settlement is on no client's path."""
    async with asyncio.timeout(6 * WAIT_S):
        while True:
            answer = await ask(place, who, **members)
            if answer.status != 429:
                return answer
            await asyncio.sleep(0.02)


async def test_a_slot_comes_back_after_a_timeout_and_a_departure(places: list[Site]) -> None:
    who = await customer(places[0], "pain-15", {"in_flight": 1})
    async with places[0].upstream(by_words):
        for place in places[:2]:
            assert 504 == (await patiently(place, who, model="hasty", **saying("silence"))).status
            assert 200 == (await patiently(place, who)).status
        for place in places:
            async with place.client() as client:
                await begun(client, place, who)
                assert 429 == (await ask(places[0], who)).status
            assert 200 == (await patiently(places[1], who)).status


async def begun(client: RawClient, place: Site, who: Customer) -> None:
    """A stream that has begun and does not end."""
    async with asyncio.timeout(6 * WAIT_S):
        while True:
            await client.send(asked(place, who, **saying("half")))
            if (await client.read_head()).status == 200:
                await client.read_until(b"half")
                return
            await client.read_all()
            client.next_answer()


async def test_what_the_concurrency_limit_refuses_costs_no_request_of_the_minute(places: list[Site]) -> None:
    who = await customer(places[0], "pain-16", {"in_flight": 4, "requests_per_minute": 100})
    together_most = 0

    async def waits(exchange: Exchange) -> None:
        nonlocal together_most
        together_most = max(together_most, sum(not each.go.is_set() for each in upstream.exchanges))
        await exchange.go.wait()
        await usual(exchange)

    async with places[0].upstream(waits) as upstream, asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(ask(places[each % 3], who)) for each in range(60)]
        await poll(lambda: 56 == sum(each.done() for each in asking), 6 * WAIT_S)
        await poll(lambda: len(upstream.exchanges) >= 4, 6 * WAIT_S)
        assert 4 == together_most == len(upstream.exchanges)
        for exchange in upstream.exchanges:
            exchange.go.set()
    assert 4 == sum(each.result().status == 200 for each in asking)
    assert {"in_flight"} == {
        error_of(each.result())["limit"] for each in asking if each.result().status == 429
    }
    async with places[0].upstream(usual):
        remaining = int((await patiently(places[0], who)).headers["x-ratelimit-remaining-requests"])
    assert remaining >= 95


async def test_clients_that_leave_are_counted_for_what_they_got_and_no_more(places: list[Site]) -> None:
    who = await customer(places[0], "pain-17", {"tokens_per_day": 1_000_000})
    async with places[0].upstream(by_words):
        for number in range(30):
            words = saying(("silence", "half", "anything")[number % 3])
            await left(places[number % 3], who, b"half" if number % 3 == 1 else b"", **words)
        async with asyncio.timeout(6 * WAIT_S):
            # Ten have heard half of an answer; of the others some may have left before anybody knew of them.
            while True:
                counted = await used(places[0], who)
                if counted == tokens_of(places, who) and len(lines_of(places, who)) >= 10:
                    break
                await asyncio.sleep(0.05)
        assert 0 < tokens_of(places, who) < 30 * (ANSWER_TOKENS + 20)


def tokens_of(places: list[Site], who: Customer) -> int:
    """What it was billed for, as logged."""
    return sum(
        line.get("gen_ai.usage.input_tokens", 0) + line.get("gen_ai.usage.output_tokens", 0)
        for line in lines_of(places, who)
    )


BODIES: Final[dict[str, dict[str, Any]]] = {
    "/chat/completions": {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 100},
    "/embeddings": {"input": "hello"},
    "/completions": {"prompt": "hello", "max_tokens": 100},
    "/messages": {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 100},
    "/responses": {"input": "hello", "max_output_tokens": 100},
}
"""A request for every route that can cost money; one that is missing here fails the test."""


async def test_every_route_that_can_cost_money_goes_through_the_one_gate(
    places: list[Site], tmp_path: Path
) -> None:
    spent = await customer(places[0], "pain-18", {"usd_total": 0.000_001})
    paths = await paths_that_cost(tmp_path)
    assert {
        f"{prefix}{path}" for prefix in ("/v1", "/api/v1") for path in ("/chat/completions", "/embeddings")
    } <= paths
    async with places[0].upstream(usual) as upstream:
        for path in sorted(paths):
            body = {"model": "test-model", **BODIES[path.removeprefix("/api").removeprefix("/v1")]}
            said = {"authorization": f"Bearer {spent.secret}"}
            async with places[0].client() as client:
                await client.send(places[0].request("POST", path, body=orjson.dumps(body), headers=said))
                answer = await client.read_all()
            assert 402 == answer.status, (path, answer.body)
        assert 0 == len(upstream.exchanges)


async def nothing_new() -> Reloaded:
    raise AssertionError


async def paths_that_cost(directory: Path) -> set[str]:
    """Where the application takes a POST that is not an operator's, and that is not free by its nature."""
    path = directory / "headgate.yaml"
    with PrivateServer() as store:
        sections = {"server": {"data_dir": str(directory / "data")}, "redis": {"url": store.url}}
        path.write_text(yaml.safe_dump(sections))
        loaded = load(path, environ={}, flags={}, default_models=default_models())
        gateway = Gateway(loaded, structlog.get_logger(), kept(loaded), Seat(nothing_new))
        return await posted(gateway)


async def posted(gateway: Gateway) -> set[str]:
    """Paths of its routes for a POST, without those that cost nothing."""
    async with gateway.running():
        door = gateway.serving.app
        routed = {
            route.path
            for route in door._app.routes  # type: ignore[attr-defined] # it is the router
            if isinstance(route, Route) and "POST" in (route.methods or ())
        }
        found = routed | set(door._straight)
    return {each for each in found if not each.startswith("/admin/") and not each.endswith("/count_tokens")}


async def test_cost_is_held_before_the_request_and_falling_back_keeps_the_token_limit(
    places: list[Site],
) -> None:
    bound = await bound_microusd(places[0], "probe-19")
    who = await customer(places[0], "pain-19", {"usd_total": 1}, {"tokens_per_day": 40 * COST_MICROUSD})

    async def waits(exchange: Exchange) -> None:
        if not exchange.path.startswith("/failing"):
            await exchange.go.wait()
        await by_words(exchange)

    async with places[0].upstream(waits) as upstream, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(ask(places[0], who, model="falls-back"))
        second = await upstream.exchange(1)
        held = await used_microusd(places[1], who)
        assert bound <= held <= bound + 10  # the model's name is longer by a few bytes
        second.go.set()
        assert 200 == (await first).status
    assert COST_MICROUSD == await settled(places, who)
    async with places[0].upstream(by_words):
        for number in range(60):
            answer = await ask(places[number % 3], who, model="falls-back")
            if answer.status == 429:
                # Perhaps only what is held for those before is in the way: once more when they are settled.
                await settled(places, who)
                answer = await ask(places[number % 3], who, model="falls-back")
            if answer.status == 429:
                break
    error = error_of(answer)
    assert ("key", "tokens_per_day") == (error["subject"], error["limit"])
    spent = await settled(places, who)
    assert 0 == spent % COST_MICROUSD
    assert 40 * COST_MICROUSD - bound - 10 < spent <= 40 * COST_MICROUSD


async def test_a_rich_customer_does_not_make_a_poor_key_rich(places: list[Site]) -> None:
    bound = await bound_microusd(places[0], "probe-20")
    who = await customer(places[0], "pain-20", {"usd_total": 1_000_000}, {"usd_total": 2 * bound / 1e6})
    async with places[0].upstream(billed(0, bound)):
        answers = await together(places, who, 40)
    assert 2 == sum(answer.status == 200 for answer in answers)
    assert {("key", "usd_total")} == {
        (error_of(each)["subject"], error_of(each)["limit"]) for each in answers if each.status == 402
    }


async def test_a_refusal_says_whose_it_is_which_limit_and_when_to_come_back(places: list[Site]) -> None:
    who = await customer(places[0], "pain-21", {"requests_per_minute": 2, "usd_per_month": 1})
    async with places[0].upstream(by_words):
        theirs = await ask(places[0], who, **saying("limit me"))
        assert (429, "provider") == (theirs.status, error_of(theirs)["source"])
        assert "120" == theirs.headers["retry-after"]
        answers = [await ask(places[0], who) for _ in range(3)]
    ours = answers[-1]
    error = error_of(ours)
    assert (429, "gateway", "rate_limit_exceeded") == (ours.status, error["source"], error["code"])
    assert ("customer", "requests_per_minute", 2) == (error["subject"], error["limit"], error["maximum"])
    assert 2 == error["used"]
    assert error["reset"]
    assert 0 < int(ours.headers["retry-after"]) <= 60
    assert "2" == ours.headers["x-ratelimit-limit-requests"]
    assert "0" == ours.headers["x-ratelimit-remaining-requests"]
    poor = await customer(places[0], "pain-21-poor", {"usd_per_month": 0.000_001})
    refused = await ask(places[0], poor)
    assert (402, "usd_per_month") == (refused.status, error_of(refused)["limit"])
    assert 0 < int(refused.headers["retry-after"]) <= 31 * 86_400
    total = await customer(places[0], "pain-21-total", {"usd_total": 0.000_001})
    assert "retry-after" not in (await ask(places[0], total)).headers


async def test_an_unreachable_store_blocks_no_request(tmp_path: Path) -> None:
    store = PrivateServer(appendonly=True)
    who = Customer("tester", "test-key-0001-abcdefgh")
    try:
        with listening() as listener:
            redis = {"url": store.url, "timeout_ms": 1000, "on_outage": "open"}
            made = configuration(
                listener,
                store.url,
                redis=redis,
                customers=[{"id": "tester", "limits": {"usd_total": 1000}}],
            )
            with running(tmp_path, made) as gateway:
                site = Site(gateway, listener)
                async with site.upstream(good_stream):
                    await answered_at_once(site, who)  # started without it
                    store.start()
                    await poll(lambda: lines_about(site, "store is back") == 1, 6 * WAIT_S)
                    assert 0 < await settled([site], who)
                    store.kill()
                    store.start()
                    await answered_at_once(site, who)
                    await poll(lambda: lines_about(site, "store is back") == 2, 6 * WAIT_S)
                    assert 20 * 18 == await settled([site], who)
        log = gateway.log.read_text()
        assert "Traceback" not in log
        assert 2 == lines_about(site, "store is away")
    finally:
        store.close()


async def answered_at_once(site: Site, who: Customer) -> None:
    """Every request gets its answer within the time-out, a second, and two for a loaded machine."""
    for _ in range(10):
        began_s = time.monotonic()
        assert 200 == (await ask(site, who)).status
        assert time.monotonic() - began_s < 3


def lines_about(site: Site, event: str) -> int:
    return sum(line["event"] == event for line in site.log())
