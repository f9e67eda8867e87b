"""Everybody is counted, answers are shortened to what is left, customers see how they stand; restarts lose nothing."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.gateway import running
from tests.support.raw_client import Answer
from tests.support.scripted import DONE, WAIT_S, Exchange, finish, listening, role, text, usage
from tests.support.site import Site, config, model, poll, provider
from tests.support.valkey import PrivateServer

SECRETS = {name: f"test-key-{name}-abcdefgh" for name in ("short", "few", "tokens", "standing", "named")}
LIMITS: dict[str, dict[str, float]] = {
    "short": {"usd_total": 0.002},
    "few": {"usd_total": 0.000_1},
    "tokens": {"tokens_per_day": 700},
    "standing": {"usd_per_month": 5, "usd_total": 100, "requests_per_minute": 60},
    "named": {"usd_total": 0.002},
}
OUTPUT_TOKENS = 1000
BILLED_MICROUSD = 11 + 2 * 20
"""Of an answer with 11 tokens of prompt and 20 of text, at 1 and 2 USD per million."""


def configuration(listener: socket.socket, store_url: str, **redis: Any) -> dict[str, Any]:
    made = config(
        {"scripted": provider(listener)},
        [model("test-model", "scripted"), model("brief", "scripted", max_output_tokens=300)],
        redis={"url": store_url, "timeout_ms": 1000, "on_outage": "closed", **redis},
        limits={"default_max_output_tokens": OUTPUT_TOKENS, "shrink_output": True},
        customers=[{"id": name, "limits": limits} for name, limits in LIMITS.items()],
    )
    made["keys"] += [
        {"id": f"{name}-key", "customer": name, "secret": f"env:KEY_{name.upper()}"} for name in LIMITS
    ]
    made["keys"][-1]["expires_at"] = "2099-01-31T12:00:00Z"
    return made


def environment() -> dict[str, str]:
    return {f"KEY_{name.upper()}": secret for name, secret in SECRETS.items()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        store = stack.enter_context(PrivateServer())
        listener = stack.enter_context(listening())
        configured = configuration(listener, store.url, timeout_ms=5000)
        gateway = running(tmp_path_factory.mktemp("gateway"), configured, environment())
        yield Site(stack.enter_context(gateway), listener)


async def ask(place: Site, name: str | None, **members: Any) -> Answer:
    """One request with that customer's key; `None` for the customer without limits."""
    async with place.client() as client:
        request = place.chat(**members)
        if name is not None:
            request = request.replace(place.gateway.key.encode(), SECRETS[name].encode())
        await client.send(request)
        return await client.read_all()


async def own(place: Site, path: str, name: str | None = None) -> Any:
    """The answer to a GET with that customer's key."""
    secret = place.gateway.key if name is None else SECRETS[name]
    answer = await place.get(path, {"authorization": f"Bearer {secret}"})
    assert 200 == answer.status, answer.body
    return answer.members


async def spent_microusd(place: Site, name: str | None = None) -> int:
    found = await own(place, "/v1/credits", name)
    total_usd: float = found["data"]["total_usage"]
    return round(total_usd * 1_000_000)


async def until_spent(place: Site, microusd: int, name: str | None = None) -> None:
    """A store that is just coming back does not answer at once: asked again, and only the figure counts."""
    headers = {"authorization": f"Bearer {place.gateway.key if name is None else SECRETS[name]}"}
    async with asyncio.timeout(6 * WAIT_S):
        while True:
            answer = await place.get("/v1/credits", headers)
            assert answer.status in (200, 503), answer.body
            if 200 == answer.status and microusd == round(answer.members["data"]["total_usage"] * 1_000_000):
                return
            await asyncio.sleep(0.02)


async def billed(exchange: Exchange) -> None:
    await exchange.stream(role(), text("good"), finish(), usage(11, 20), DONE)


async def metric(place: Site, line: str) -> float:
    exposition = (await place.get("/metrics")).body.decode()
    return next(
        (float(each.rpartition(" ")[2]) for each in exposition.splitlines() if each.startswith(line + " ")),
        0.0,
    )


async def test_without_limits(place: Site) -> None:
    """Who has no limits is counted all the same, and pays no header for it."""
    before = await spent_microusd(place)
    async with place.upstream(billed):
        answers = await asyncio.gather(*(ask(place, None) for _ in range(20)))
    assert {200} == {answer.status for answer in answers}
    assert not [name for name in answers[0].headers if name.startswith("x-ratelimit")]
    await until_spent(place, before + 20 * BILLED_MICROUSD)
    found = (await own(place, "/v1/key"))["headgate"]["customer"]
    assert found["spent"]["total"]["tokens"] >= 20 * 31
    assert [] == found["limits"]


@pytest.mark.parametrize("named", [None, "max_tokens", "max_completion_tokens"])
async def test_shortened(place: Site, named: str | None) -> None:
    """An answer that does not fit is shortened to what is left; the provider is told, and the client is."""
    members = {} if named is None else {named: 50_000}
    before = await spent_microusd(place, "short")
    async with place.upstream(billed) as upstream:
        answer = await ask(place, "short", **members)
        assert 200 == answer.status, answer.body
        sent = orjson.loads((await upstream.exchange()).body)
    limit = int(answer.headers["x-headgate-output-limit"])
    assert limit == sent[named or "max_tokens"]
    assert 16 <= limit < OUTPUT_TOKENS
    # One token more would not have fitted: prompt and answer together are just within what was left.
    assert 2 * limit <= 2000 < 2 * (limit + 1) + 1000
    # Settled behind the client's back: until then the whole of what was left is held, and the next finds nothing.
    await until_spent(place, before + BILLED_MICROUSD, "short")


async def test_too_little_is_left(place: Site) -> None:
    """Below the least answer it is refused as without the setting, and counted by whose limit it was."""
    counted = 'headgate_limit_refusals_total{limit="usd_total",scope="customer"}'
    before = await metric(place, counted)
    async with place.upstream(billed) as upstream:
        answer = await ask(place, "few")
        assert 0 == len(upstream.exchanges)
    assert (402, "budget_exceeded") == (answer.status, answer.members["error"]["code"])
    assert "x-headgate-output-limit" not in answer.headers
    assert before + 1 == await metric(place, counted)


async def test_tokens_shorten_too(place: Site) -> None:
    """A quota of tokens leaves room for a shorter answer, too."""
    async with place.upstream(billed):
        answer = await ask(place, "tokens")
    assert 200 == answer.status, answer.body
    assert 16 <= int(answer.headers["x-headgate-output-limit"]) < 700


async def test_a_models_own_most(place: Site) -> None:
    """Where a limit is added it is not above what the model can write."""
    async with place.upstream(billed) as upstream:
        assert 200 == (await ask(place, "named", model="brief")).status
        assert 300 == orjson.loads((await upstream.exchange()).body)["max_tokens"]


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_key_and_credits(place: Site, prefix: str) -> None:
    """A customer sees its own limits, what it has spent and what is left, as OpenRouter's clients read it."""
    before = await spent_microusd(place, "standing")
    async with place.upstream(billed):
        assert 200 == (await ask(place, "standing")).status
    spent = before + BILLED_MICROUSD
    await until_spent(place, spent, "standing")
    found = await own(place, f"{prefix}/key", "standing")
    data = found["data"]
    assert ("standing-key", 5, "monthly") == (data["label"], data["limit"], data["limit_reset"])
    for window in ("usage", "usage_daily", "usage_weekly", "usage_monthly"):
        assert spent == round(data[window] * 1_000_000), window
    assert 5_000_000 - spent == round(data["limit_remaining"] * 1_000_000)
    assert {"requests": 60, "interval": "1m"} == data["rate_limit"]
    assert ["requests_per_minute", "usd_per_month", "usd_total"] == [
        each["limit"] for each in found["headgate"]["customer"]["limits"]
    ]
    left = (await own(place, f"{prefix}/credits", "standing"))["data"]
    assert spent == round(left["total_usage"] * 1_000_000)
    assert 5_000_000 == round(left["total_credits"] * 1_000_000)


async def test_key_without_limits(place: Site) -> None:
    """What is not limited is `null`, an end is told, and nobody without a key sees anything."""
    data = (await own(place, "/v1/key"))["data"]
    assert (None, None, -1) == (data["limit"], data["limit_remaining"], data["rate_limit"]["requests"])
    assert "2099-01-31T12:00:00.000Z" == (await own(place, "/v1/key", "named"))["data"]["expires_at"]
    for path in ("/v1/key", "/v1/credits"):
        assert 401 == (await place.get(path, {"authorization": "Bearer nobody"})).status


async def test_restarted_while_the_store_is_away(tmp_path: Path) -> None:
    """What the store does not take before a gateway ends is settled by the next one, once, lost or not meanwhile."""
    with PrivateServer(appendonly=True) as store, listening() as listener:
        configured = configuration(listener, store.url)
        with running(tmp_path, configured, environment()) as gateway:
            place = Site(gateway, listener)
            ending = asyncio.Event()

            async def held(exchange: Exchange) -> None:
                await exchange.start()
                await exchange.send(role() + text("good"))
                await ending.wait()
                await exchange.send(finish() + usage(11, 20) + DONE)
                await exchange.finish()

            async with place.upstream(held) as upstream:
                asked = [asyncio.ensure_future(ask(place, name)) for name in (None, "standing", "standing")]
                await poll(lambda: len(upstream.exchanges) == 3)
                store.pause()
                ending.set()
                assert [200, 200, 200] == [answer.status for answer in await asyncio.gather(*asked)]
        spilled = list((tmp_path / "data").glob("unsettled-*.jsonl"))
        assert 1 == len(spilled)
        store.resume()
        with running(tmp_path, configured, environment()) as gateway:
            place = Site(gateway, listener)
            await until_spent(place, BILLED_MICROUSD)
            await until_spent(place, 2 * BILLED_MICROUSD, "standing")
            await poll(lambda: not list((tmp_path / "data").glob("unsettled-*.jsonl")))
            assert 0 == await metric(place, "headgate_settlements_waiting")
    events = [line["event"] for line in place.log()]
    assert 1 == events.count("settlements were not taken by the store; the next start settles them")
    assert 1 == events.count("settlements of an earlier process are settled")


@pytest.mark.parametrize("name", [None, "standing"])
async def test_away_and_open(tmp_path: Path, name: str | None) -> None:
    """With `open` requests pass while the store is away, and all are booked when it is back."""
    with PrivateServer() as store, listening() as listener:
        configured = configuration(listener, store.url, on_outage="open", timeout_ms=300)
        with running(tmp_path, configured, environment()) as gateway:
            place = Site(gateway, listener)
            async with place.upstream(billed):
                assert 200 == (await ask(place, name)).status
                await until_spent(place, BILLED_MICROUSD, name)
                store.pause()
                answers = [await ask(place, name) for _ in range(5)]
                assert {200} == {answer.status for answer in answers}
                store.resume()
                await until_spent(place, 6 * BILLED_MICROUSD, name)


async def test_lease_says_what_it_does(tmp_path: Path) -> None:
    """Until shares exist the default setting is `closed` in all but name, and the log says so at the start."""
    with PrivateServer() as store, listening() as listener:
        configured = configuration(listener, store.url, on_outage="lease")
        with running(tmp_path, configured, environment()) as gateway:
            place = Site(gateway, listener)
            await poll(lambda: [line for line in place.log() if "behaves as `closed`" in line["event"]])
            async with place.upstream(billed):
                assert 200 == (await ask(place, "standing")).status
                store.pause()
                answer = await ask(place, "standing")
                assert (503, "limits_unavailable") == (answer.status, answer.members["error"]["code"])
                store.resume()
