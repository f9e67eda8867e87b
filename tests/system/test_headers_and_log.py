"""Every answer says what happened: headers, the block of facts, one log line, and the metrics. The probes too."""

import socket
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.gateway import NO_CIRCUITS
from tests.support.raw_client import Answer, http_request
from tests.support.scripted import Exchange, completion, good_stream
from tests.support.site import HELLO, Site, config, model, poll, provider, site

LIMITED_KEY = "test-key-0002-limited"
COST_USD = 0.000025  # 11 tokens in at $1, 7 out at $2 a million

LOG_FIELDS = {
    "headgate.request_id",
    "headgate.client_request_id",
    "headgate.key_id",
    "headgate.customer_id",
    "headgate.stream",
    "headgate.outcome",
    "headgate.attempts",
    "headgate.ttft_ms",
    "headgate.total_ms",
    "headgate.overhead_ms",
    "headgate.model",
    "headgate.backend",
    "headgate.provider_key",
    "headgate.cost_usd",
    "headgate.tier",
    "headgate.decision.source",
    "headgate.decision.complexity",
    "headgate.decision.rule",
    "headgate.decision.because",
    "headgate.usage.cache_read_tokens",
    "headgate.usage.estimated",
    "gen_ai.request.model",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "http.response.status_code",
    "event",
    "level",
    "timestamp",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def configure(listener: socket.socket) -> dict[str, Any]:
        providers = {"first": provider(listener, "/first/v1"), "second": provider(listener, "/second/v1")}
        models = [model("test-model", "first", "second")]
        tiers = {"balanced": {"models": ["test-model"], "strategy": "order"}}
        made = config(providers, models, tiers=tiers, routing={"breaker": NO_CIRCUITS})
        limited = {"id": "limited", "customer": "tester", "secret": "env:LIMITED_KEY"}
        made["keys"] = [*made["keys"], {**limited, "limits": {"requests_per_minute": 600}}]
        return made

    directory = tmp_path_factory.mktemp("said")
    with site(directory, configure, environ={"LIMITED_KEY": LIMITED_KEY}) as place:
        yield place


async def first_fails(exchange: Exchange) -> None:
    """The first backend is overloaded, the second answers as asked."""
    if exchange.path.startswith("/first/"):
        await exchange.answer(503, b'{"error": {"message": "busy"}}')
    elif exchange.members["stream"]:
        await good_stream(exchange)
    else:
        await exchange.answer(200, completion("good"))


def block_of(answer: Answer, *, stream: bool) -> dict[str, Any]:
    block = (answer.chunks[-1] if stream else answer.members)["headgate"]
    assert isinstance(block, dict)
    return block


@pytest.mark.parametrize("stream", [True, False])
async def test_headers(place: Site, *, stream: bool) -> None:
    """Ids, what ran, how often it was tried; no limits where there are none."""
    client_id = place.next_id()
    async with place.upstream(first_fails):
        answer = await place.ask(client_id=client_id, model="balanced", stream=stream)
    headers = answer.headers
    assert (
        headers["x-request-id"] == headers["x-generation-id"] == block_of(answer, stream=stream)["request_id"]
    )
    assert client_id == headers["x-client-request-id"]
    assert "test-model" == headers["x-headgate-model"]
    assert "second" == headers["x-headgate-provider"]
    assert "balanced" == headers["x-headgate-tier"]
    assert "2" == headers["x-headgate-attempts"]
    assert not [name for name in headers if name.startswith("x-ratelimit-")]
    assert "server" not in headers
    if stream:
        assert "text/event-stream; charset=utf-8" == headers["content-type"]
        assert "no-cache" == headers["cache-control"]
        assert "no" == headers["x-accel-buffering"]
    else:
        assert "application/json" == headers["content-type"]
        assert str(len(answer.body)) == headers["content-length"]


@pytest.mark.parametrize("stream", [True, False])
async def test_headers_of_a_failure(place: Site, *, stream: bool) -> None:
    """An error of a provider says the same of its way as an answer."""

    async def bad(exchange: Exchange) -> None:
        await exchange.answer(
            503 if exchange.path.startswith("/first/") else 400, b'{"error": {"message": "no"}}'
        )

    async with place.upstream(bad):
        answer = await place.ask(model="balanced", stream=stream)
    assert 400 == answer.status
    names = ("x-headgate-model", "x-headgate-provider", "x-headgate-tier", "x-headgate-attempts")
    assert ["test-model", "second", "balanced", "2"] == [answer.headers[name] for name in names]
    outcomes = [each["outcome"] for each in answer.members["headgate"]["attempts"]]
    assert ["overloaded", "bad_request"] == outcomes


async def test_no_tier_where_a_model_was_named(place: Site) -> None:
    """`x-headgate-tier` stands only where a tier chose."""
    async with place.upstream(first_fails):
        answer = await place.ask()
    assert "x-headgate-tier" not in answer.headers
    assert answer.chunks[-1]["headgate"]["tier"] is None
    assert "named" == answer.chunks[-1]["headgate"]["decision"]["source"]


async def test_headers_of_a_limit(place: Site) -> None:
    """With a limit: its size, what is left, and when it is whole again; on answers and errors alike."""

    async def bad(exchange: Exchange) -> None:
        await exchange.answer(400, b'{"error": {"message": "no"}}')

    for script, status in ((first_fails, 200), (bad, 400)):
        async with place.upstream(script), place.client() as client:
            request = place.chat().replace(place.gateway.key.encode(), LIMITED_KEY.encode())
            await client.send(request)
            answer = await client.read_all()
        assert status == answer.status
        assert "600" == answer.headers["x-ratelimit-limit-requests"]
        assert 590 < int(answer.headers["x-ratelimit-remaining-requests"]) < 600
        assert "1s" == answer.headers["x-ratelimit-reset-requests"]


@pytest.mark.parametrize("stream", [True, False])
async def test_the_block(place: Site, *, stream: bool) -> None:
    """The block of facts has every member of the contract, and its figures fit each other."""
    async with place.upstream(first_fails):
        answer = await place.ask(model="balanced", stream=stream)
    block = block_of(answer, stream=stream)
    members = {
        "request_id",
        "tier",
        "model",
        "provider",
        "decision",
        "attempts",
        "cost_usd",
        "latency_ms",
        "ttft_ms",
    }
    assert members | {"overhead_ms", "routing"} == block.keys()
    assert ("balanced", "test-model", "second") == (block["tier"], block["model"], block["provider"])
    decision = {"source", "complexity", "task_type", "confidence", "rule", "domain", "raised"}
    assert decision == block["decision"].keys()
    routing = {"strategy", "because", "lowered_from", "ignored_models", "reasons"}
    assert routing == block["routing"].keys()
    attempts = [{name: each[name] for name in each if name != "ms"} for each in block["attempts"]]
    first = {
        "backend": "first/upstream-model",
        "kind": "answer",
        "outcome": "overloaded",
        "status": 503,
        "cost_usd": 0,
    }
    second = {
        **first,
        "backend": "second/upstream-model",
        "outcome": "ok",
        "status": 200,
        "cost_usd": COST_USD,
    }
    assert [first, second] == attempts
    assert COST_USD == block["cost_usd"]
    assert 0 <= block["ttft_ms"] <= block["latency_ms"]
    assert 0 <= block["overhead_ms"] <= block["latency_ms"]
    usage = (answer.chunks[-1] if stream else answer.members)["usage"]
    assert (11, 7, 18) == (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"])
    assert COST_USD == usage["cost"]
    assert "upstream_inference_cost" in usage["cost_details"]


@pytest.mark.parametrize("stream", [True, False])
async def test_the_log_line(place: Site, *, stream: bool) -> None:
    """One line with the same facts; no prompt, no answer, no key."""
    client_id = place.next_id()
    async with place.upstream(first_fails):
        answer = await place.ask(client_id=client_id, model="balanced", stream=stream)
        line = await place.log_line(client_id)
    block = block_of(answer, stream=stream)
    assert LOG_FIELDS == line.keys()
    assert ("request", "info") == (line["event"], line["level"])
    assert timedelta(0) == datetime.fromisoformat(line["timestamp"]).utcoffset()
    assert answer.headers["x-request-id"] == line["headgate.request_id"]
    assert ("test", "tester") == (line["headgate.key_id"], line["headgate.customer_id"])
    assert "balanced" == line["gen_ai.request.model"] == line["headgate.tier"]
    assert stream is line["headgate.stream"]
    assert ("ok", 200) == (line["headgate.outcome"], line["http.response.status_code"])
    assert block["attempts"] == line["headgate.attempts"]
    assert ("test-model", "second/upstream-model") == (line["headgate.model"], line["headgate.backend"])
    assert "second/0" == line["headgate.provider_key"]
    assert COST_USD == line["headgate.cost_usd"]
    assert (11, 7) == (line["gen_ai.usage.input_tokens"], line["gen_ai.usage.output_tokens"])
    assert line["headgate.usage.estimated"] is False
    assert block["ttft_ms"] == line["headgate.ttft_ms"] <= line["headgate.total_ms"]
    whole = place.gateway.log.read_text()
    for secret in (HELLO[0]["content"], "good", place.gateway.key, LIMITED_KEY, "provider-key-for-tests"):
        assert secret not in whole


async def test_a_refusal_is_logged_too(place: Site) -> None:
    """A request that reaches no provider has its line, without an attempt."""
    client_id = place.next_id()
    await place.ask(client_id=client_id, model="nothing-like-it")
    line = await place.log_line(client_id)
    assert ("model_not_found", 404) == (line["headgate.outcome"], line["http.response.status_code"])
    assert [] == line["headgate.attempts"]
    assert "headgate.cost_usd" not in line


async def metrics(place: Site) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """All samples by name and labels, as anybody sees them without a key."""
    async with place.client() as client:
        await client.send(http_request("GET", "/metrics"))
        answer = await client.read_all()
    assert 200 == answer.status
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


def labels(**pairs: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(pairs.items()))


async def test_metrics(place: Site) -> None:
    """Counters move by exactly what happened; nothing stays in flight."""
    by_backend = labels(model="test-model", provider="second")
    moves = {
        (
            "headgate_requests_total",
            labels(model="test-model", provider="second", status="200", outcome="ok"),
        ): 1,
        ("headgate_attempts_total", labels(backend="first/upstream-model", outcome="overloaded")): 1,
        ("headgate_attempts_total", labels(backend="second/upstream-model", outcome="ok")): 1,
        ("headgate_tokens_total", labels(model="test-model", provider="second", kind="input")): 11,
        ("headgate_tokens_total", labels(model="test-model", provider="second", kind="output")): 7,
        ("headgate_cost_microusd_total", by_backend): 25,
        ("headgate_request_duration_seconds_count", by_backend): 1,
        ("headgate_time_to_first_content_seconds_count", by_backend): 1,
    }
    client_id = place.next_id()
    async with place.upstream(first_fails):
        before = await metrics(place)
        await place.ask(client_id=client_id)
        await place.log_line(client_id)
        after = await metrics(place)
    assert moves == {sample: after[sample] - before.get(sample, 0) for sample in moves}
    assert 0 == after["headgate_requests_in_flight", ()]
    assert 1 == after["headgate_store_up", ()]


async def test_in_flight(place: Site) -> None:
    """A request under way is counted, and no longer when it is over, however it ended."""

    async def hold(exchange: Exchange) -> None:
        await exchange.closed.wait()

    client_id = place.next_id()
    async with place.upstream(hold) as upstream, place.asking(client_id=client_id) as client:
        await upstream.exchange()
        assert 1 == (await metrics(place))["headgate_requests_in_flight", ()]
        client.leave()
        await place.log_line(client_id)
        assert 0 == (await metrics(place))["headgate_requests_in_flight", ()]


async def test_what_clients_choose_is_no_label(place: Site) -> None:
    """A name that a client made up never becomes a time series."""
    await place.ask(model="made-up-by-a-client")
    samples = await metrics(place)
    assert not [sample for sample in samples if "made-up-by-a-client" in str(sample)]


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_probes(place: Site, path: str) -> None:
    """Probes need no key and say that all is well."""
    async with place.client() as client:
        await client.send(http_request("GET", path))
        answer = await client.read_all()
    assert 200 == answer.status
    assert {"status": "ok"} == answer.members


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_models(place: Site, prefix: str) -> None:
    """What can be asked for, on both prefixes, with ids like any answer."""
    answer = await place.get(f"{prefix}/models")
    assert ["test-model", "balanced"] == [each["id"] for each in answer.members["data"]]
    assert answer.headers["x-request-id"].startswith("req-")
    one = await place.get(f"{prefix}/models/test-model")
    assert "test-model" == one.members["id"]


async def test_one_connection_for_many(place: Site) -> None:
    """Requests on one connection are told apart: each has its own id, and its own line."""
    ids = [place.next_id() for _ in range(5)]
    seen = set()
    async with place.upstream(good_stream), place.client() as client:
        for client_id in ids:
            await client.send(place.chat(client_id=client_id))
            answer = await client.read_all()
            assert client_id == answer.headers["x-client-request-id"]
            seen.add(answer.headers["x-request-id"])
            client.next_answer()
        assert await poll(lambda: all(len(place.log_lines(each)) == 1 for each in ids))
    assert 5 == len(seen)
