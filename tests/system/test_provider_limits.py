"""What providers say of their own rate limits, on answers of any status, stands in the metrics."""

import asyncio
import socket
from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.scripted import DONE, Exchange, completion, finish, role, text, usage
from tests.support.site import Site, config, model, provider, site

Headers = Sequence[tuple[str, str]]
Left = dict[tuple[str, str], int]

ADAPTERS: Final = ("openai", "mistral", "azure", "cerebras", "openrouter", "vllm")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def configure(listener: socket.socket) -> dict[str, Any]:
        providers = {name: provider(listener, f"/{name}/v1", adapter=name) for name in ADAPTERS}
        models = [
            *(model(name, name) for name in ADAPTERS),
            model("openai-then-mistral", "openai", "mistral"),
        ]
        return config(providers, models, routing={"retries": 1})

    with site(tmp_path_factory.mktemp("limits"), configure) as place:
        yield place


@pytest.fixture
async def clean(place: Site) -> Site:
    """Nobody's last word is that of another test: each says that it does not know."""

    async def forget(exchange: Exchange) -> None:
        names = ("requests", "tokens", "req-minute", "requests-day")
        unknown = [(f"x-ratelimit-limit-{name}", "-1") for name in names]
        await exchange.answer(400, b"{}", [*unknown, ("x-ratelimit-limit", "-1")])

    async with place.upstream(forget):
        await asyncio.gather(*(place.ask(model=name) for name in ADAPTERS))
    assert {} == await left(place)
    return place


async def left(place: Site) -> Left:
    """By provider and kind; each has one backend and one key."""
    exposition = (await place.get("/metrics")).body.decode()
    found: Left = {}
    for family in text_string_to_metric_families(exposition):
        if family.name == "headgate_provider_limit_remaining":
            for sample in family.samples:
                backend, key, kind = (sample.labels[name] for name in ("backend", "key", "kind"))
                assert f"{backend.partition('/')[0]}/0" == key
                found[backend.removesuffix("/upstream-model"), kind] = int(sample.value)
    return found


def windows(*, reset: str | None = None, **counts: tuple[int, int]) -> list[tuple[str, str]]:
    """`x-ratelimit-…` headers: by window what is left, and the limit."""
    headers: list[tuple[str, str]] = []
    for name, (remaining, limit) in counts.items():
        window = name.replace("_", "-")
        headers += [
            (f"X-RateLimit-Limit-{window}", str(limit)),
            (f"x-ratelimit-remaining-{window}", str(remaining)),
        ]
        if reset is not None:
            headers.append((f"x-ratelimit-reset-{window}", reset))
    return headers


async def reply(exchange: Exchange, status: int, headers: Headers) -> None:
    """With these headers, streamed or plain as it was asked for."""
    if status != 200:
        body = orjson.dumps({"error": {"message": "slow down", "code": "rate_limit_exceeded"}})
        await exchange.answer(status, body, (("content-type", "application/json"), *headers))
    elif exchange.members.get("stream"):
        await exchange.start(200, (("content-type", "text/event-stream"), *headers))
        await exchange.send(role() + text("good") + finish() + usage() + DONE)
        await exchange.finish()
    else:
        await exchange.answer(200, completion("good"), (("content-type", "application/json"), *headers))


CASES: Final[dict[str, tuple[Headers, dict[str, int]]]] = {
    "openai": (
        windows(reset="6m0s", requests=(9_990, 10_000), tokens=(199_956, 200_000), input_images=(1, 50)),
        {"requests": 9_990, "tokens": 199_956},
    ),
    "mistral": (
        windows(req_minute=(59, 60), tokens_minute=(499_246, 500_000), tokens_month=(12, 10**9)),
        {"requests": 59, "tokens": 12},
    ),
    # Azure says a reset of 0 of windows that are not whole.
    "azure": (
        windows(reset="0", requests=(249, 250), tokens=(249_861, 250_000)),
        {"requests": 249, "tokens": 249_861},
    ),
    "cerebras": (
        windows(reset="3563.84", requests_day=(7, 1_440_000), tokens_minute=(0, 1_000_000)),
        {"requests": 7, "tokens": 0},
    ),
    "openrouter": (
        [("X-RateLimit-Limit", "20"), ("X-RateLimit-Remaining", "3"), ("X-RateLimit-Reset", "4102444800000")],
        {"requests": 3},
    ),
    "vllm": ([("x-envoy-upstream-service-time", "5")], {}),
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("status", [200, 429])
@pytest.mark.parametrize("adapter", CASES)
async def test_what_is_left(clean: Site, adapter: str, status: int, *, stream: bool) -> None:
    """Requests and tokens by backend and key, in whatever headers this provider tells them."""
    headers, expected = CASES[adapter]

    async def script(exchange: Exchange) -> None:
        # The delay does not fit the deadline: the answer comes back at once.
        await reply(exchange, status, [*headers, *([("retry-after", "300")] if status == 429 else [])])

    async with clean.upstream(script):
        answer = await clean.ask(model=adapter, stream=stream)
    assert status == answer.status
    assert {(adapter, kind): count for kind, count in expected.items()} == await left(clean)


async def test_the_providers_limits_are_not_the_clients(clean: Site) -> None:
    """A client's own limits are what `x-ratelimit-…` means on our answers: the provider's do not pass."""
    headers, _ = CASES["openai"]

    async def script(exchange: Exchange) -> None:
        await reply(exchange, 200, headers)

    async with clean.upstream(script):
        answer = await clean.ask(model="openai")
    assert not [name for name in answer.headers if name.startswith("x-ratelimit")]


async def test_every_attempt_tells(clean: Site) -> None:
    """After a failover both backends' words are known."""

    async def script(exchange: Exchange) -> None:
        if exchange.path.startswith("/openai/"):
            await reply(exchange, 429, windows(reset="1m0s", requests=(0, 500)))
        else:
            await reply(exchange, 200, windows(req_minute=(41, 60)))

    async with clean.upstream(script):
        assert 200 == (await clean.ask(model="openai-then-mistral")).status
    assert {("openai", "requests"): 0, ("mistral", "requests"): 41} == await left(clean)


async def test_the_latest_word_counts(clean: Site) -> None:
    """Each answer that tells something replaces what was known; one that tells nothing leaves it."""

    async def script(exchange: Exchange) -> None:
        number = exchange.number
        await reply(exchange, 200, windows(reset="1h0m0s", tokens=(900 - number, 1000)) if number < 3 else [])

    async with clean.upstream(script):
        for number in range(5):
            await clean.ask(model="openai")
            assert {("openai", "tokens"): 900 - min(number, 2)} == await left(clean)


async def test_a_window_that_is_whole_again(clean: Site) -> None:
    """When its reset has passed, what is left is the limit."""

    async def script(exchange: Exchange) -> None:
        await reply(exchange, 200, windows(reset="300ms", requests=(0, 500)))

    async with clean.upstream(script):
        await clean.ask(model="openai")
    async with asyncio.timeout(10):
        while {("openai", "requests"): 500} != await left(clean):  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(0.02)
