"""What one gateway learns of a backend, all know: broken ones are passed over, and come back through one probe."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.gateway import ADMIN_KEY, running
from tests.support.raw_client import Answer
from tests.support.scripted import DONE, WAIT_S, Exchange, finish, listening, role, text, usage
from tests.support.scripted import good_stream as good
from tests.support.site import Site, config, model, poll, provider
from tests.support.valkey import PrivateServer

SHARED_S: Final = 2.0
SLACK_S: Final = 10.0
"""Eight processes may share two cores."""
COOL_DOWN_S: Final = 2
NAMES: Final = ("blip", "keys", "limited", "mistaken", "left", "missing", "waits", "full", "kept", "ends")
ACME_KEY: Final = "test-key-acme-abcdefgh"
JSON: Final = ("content-type", "application/json")
SECRETS: Final = {
    "ACME_KEY": ACME_KEY,
    **{f"KEY_{letter}": f"provider-key-{letter}-for-tests" for letter in "AB"},
}


@pytest.fixture(scope="module")
def store() -> Iterator[PrivateServer]:
    with PrivateServer() as store:
        yield store


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, store: PrivateServer) -> Iterator[list[Site]]:
    """Three gateways on one store."""
    with ExitStack() as stack:
        listener = stack.enter_context(listening())
        yield [
            Site(
                stack.enter_context(
                    running(tmp_path_factory.mktemp("gateway"), configuration(listener, store.url), SECRETS)
                ),
                listener,
            )
            for _ in range(3)
        ]


def configuration(listener: socket.socket, store_url: str) -> dict[str, Any]:
    """Each test has a provider of its own with one backend, before one that is always good."""
    providers = {name: provider(listener, f"/{name}/v1") for name in (*NAMES, "good")}
    del providers["keys"]["api_key"]
    providers["keys"]["api_keys"] = [{"key": "env:KEY_A"}, {"key": "env:KEY_B"}]
    del providers["kept"]["api_key"]
    providers["kept"]["api_keys"] = [
        {"key": "env:KEY_A", "customers": ["acme"]},
        {"key": "env:KEY_B", "tiers": ["premium"]},
    ]
    models = [model(name, name, "good") for name in NAMES]
    models += [model("lone", "blip"), model("lone-waits", "waits")]
    made = config(
        providers,
        models,
        customers=[{"id": "acme"}],
        tiers={name: {"models": ["kept"], "strategy": "order"} for name in ("premium", "frugal")},
        redis={"url": store_url, "timeout_ms": 5000},
        routing={"breaker": {"error_ratio": 0.5, "min_requests": 4, "cool_down_s": COOL_DOWN_S}},
    )
    made["keys"].append({"id": "acme", "customer": "acme", "secret": "env:ACME_KEY"})
    return made


class Provider:
    """Answers for all providers: well, but for one that does as it is told."""

    def __init__(self, name: str, *answers: tuple[int, dict[str, str]]) -> None:
        """Args:
        answers: of the one provider, in turn, the last again and again: status and headers.
        """
        self._name = name
        self.answers = list(answers)
        self.asked = 0
        self.keys: list[str] = []

    async def __call__(self, exchange: Exchange) -> None:
        if not exchange.path.startswith(f"/{self._name}/"):
            await good(exchange)
            return
        self.asked += 1
        self.keys.append(exchange.headers.get("authorization", "").removeprefix("Bearer "))
        status, headers = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if status == 200:
            await good(exchange)
        else:
            await exchange.answer(status, b'{"error": {"message": "no"}}', (JSON, *headers.items()))


@pytest.fixture
async def calm(places: list[Site]) -> AsyncIterator[list[Site]]:
    yield places
    for place in places:
        assert place.gateway.process.poll() is None


async def outcomes(place: Site, name: str) -> list[tuple[str, str]]:
    """Of one request: providers and outcomes of its attempts."""
    client_id = place.next_id()
    answer = await place.ask(model=name, client_id=client_id)
    assert 200 == answer.status
    line = await place.log_line(client_id)
    return [(each["backend"].partition("/")[0], each["outcome"]) for each in line["headgate.attempts"]]


async def metric(place: Site, name: str, **labels: str) -> float | None:
    exposition = (await place.get("/metrics")).body.decode()
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return float(sample.value)
    return None


async def until_metric(place: Site, expected: float, name: str, **labels: str) -> None:
    """Wait until it stands so, within the promise and the slack."""
    async with asyncio.timeout(SHARED_S + SLACK_S):
        while expected != await metric(place, name, **labels):  # noqa: ASYNC110 - no event to wait for
            await asyncio.sleep(0.02)


def lines(places: list[Site], event: str, **fields: str) -> list[dict[str, Any]]:
    """Log lines of all gateways with these words."""
    return [
        line
        for place in places
        for line in place.log()
        if line["event"] == event and fields.items() <= line.items()
    ]


async def test_a_broken_backend(calm: list[Site]) -> None:
    """Seen by one, passed over by all within 2 s; then one probe finds it well, and it is first again."""
    blip = Provider("blip", (500, {}))
    async with calm[0].upstream(blip):
        for _ in range(4):
            assert [("blip", "overloaded"), ("good", "ok")] == await outcomes(calm[0], "blip")
        began_s = asyncio.get_running_loop().time()
        for place in calm:
            await until_metric(place, 1.0, "headgate_circuit_open", backend="blip/upstream-model")
        assert asyncio.get_running_loop().time() - began_s < SHARED_S + SLACK_S
        asked = blip.asked
        # With nothing else left it is asked all the same.
        assert 503 == (await calm[1].ask(model="lone")).status
        assert blip.asked > asked
        blip.answers = [(200, {})]
        async with asyncio.timeout(60):
            while [("blip", "ok")] != await outcomes(calm[2], "blip"):  # noqa: ASYNC110 - no event to wait for
                await asyncio.sleep(0.1)
        for place in calm:
            await until_metric(place, 0.0, "headgate_circuit_open", backend="blip/upstream-model")
            assert [("blip", "ok")] == await outcomes(place, "blip")
    said = {"backend": "blip/upstream-model"}
    assert 1 == len(lines(calm, "circuit opened", **said, reason="errors"))
    assert 1 == len(lines(calm, "circuit closed", **said))


async def test_a_refused_key(calm: list[Site]) -> None:
    """The other key of the same backend is asked at once; the refused one is passed over by all; one alert in all."""
    refusing = Provider("keys", (401, {}), (200, {}))
    async with calm[0].upstream(refusing):
        assert [("keys", "auth"), ("keys", "ok")] == await outcomes(calm[0], "keys")
        first, second = refusing.keys
        assert {first, second} == {"provider-key-A-for-tests", "provider-key-B-for-tests"}
        place_of = {"provider-key-A-for-tests": "keys/0", "provider-key-B-for-tests": "keys/1"}
        for place in calm:
            await until_metric(place, 1.0, "headgate_provider_key_refused", key=place_of[first])
            assert 0.0 == await metric(place, "headgate_circuit_open", backend="keys/upstream-model")
            assert [("keys", "ok")] == await outcomes(place, "keys")
        assert [second] * 4 == refusing.keys[1:]
    alerts = await poll(
        lambda: lines(calm, "a provider refuses our credential", provider_key=place_of[first])
    )
    assert 1 == len(alerts)
    assert "error" == alerts[0]["level"]
    counted = [
        await metric(each, "headgate_refused_credentials_total", key=place_of[first]) or 0.0 for each in calm
    ]
    assert 1.0 == sum(counted)
    for place in calm:
        assert "provider-key-" not in place.gateway.log.read_text()


async def test_a_rate_limit_with_a_wait(calm: list[Site]) -> None:
    """Until the wait is over, the backend is last for all; then one request probes it."""
    limited = Provider(
        "limited", (429, {"retry-after": "15"}), (200, {})
    )  # long enough for all that comes before
    async with calm[0].upstream(limited):
        assert [("limited", "rate_limited"), ("good", "ok")] == await outcomes(calm[0], "limited")
        assert [("good", "ok")] == await outcomes(calm[0], "limited")
        for place in calm:
            await until_metric(place, 1.0, "headgate_circuit_open", backend="limited/upstream-model")
        assert [("good", "ok")] == await outcomes(calm[1], "limited")
        async with asyncio.timeout(60):
            while [("limited", "ok")] != await outcomes(calm[2], "limited"):  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.1)
    # A 429 is no fault: availability stays as it was.
    assert (await metric(calm[0], "headgate_backend_availability", backend="limited/upstream-model")) == (
        pytest.approx((0.99 * 50 + 1) / 51, abs=0.01)
    )


@pytest.mark.parametrize(("name", "status"), [("mistaken", 400), ("mistaken", 422)])
async def test_the_clients_own_mistake(calm: list[Site], name: str, status: int) -> None:
    """It never counts: no circuit opens, and the figure stays neutral."""
    mistaken = Provider(name, (status, {}))
    async with calm[0].upstream(mistaken):
        answers: list[Answer] = [await calm[0].ask(model=name) for _ in range(6)]
        assert {400} == {answer.status for answer in answers}
        await asyncio.sleep(SHARED_S)
        assert 6 == mistaken.asked
    assert 0.99 == await metric(calm[1], "headgate_backend_availability", backend=f"{name}/upstream-model")
    assert 0.0 == await metric(calm[1], "headgate_circuit_open", backend=f"{name}/upstream-model")


async def test_clients_that_leave(calm: list[Site]) -> None:
    """A departure says nothing about the provider."""

    async def silent(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.closed.wait()

    async with calm[0].upstream(silent) as upstream:
        for number in range(6):
            async with calm[0].asking(model="left"):
                await upstream.exchange(number)
            await upstream.exchanges[number].until_closed()
        await asyncio.sleep(SHARED_S)
    assert 0.99 == await metric(calm[1], "headgate_backend_availability", backend="left/upstream-model")
    assert 0.0 == await metric(calm[1], "headgate_circuit_open", backend="left/upstream-model")


async def test_a_model_that_is_not_there(calm: list[Site]) -> None:
    """A 404 opens the backend and not the key, without an alert."""
    missing = Provider("missing", (404, {}))
    async with calm[0].upstream(missing):
        assert [("missing", "auth"), ("good", "ok")] == await outcomes(calm[0], "missing")
        for place in calm:
            await until_metric(place, 1.0, "headgate_circuit_open", backend="missing/upstream-model")
            assert [("good", "ok")] == await outcomes(place, "missing")
    assert 0.0 == await metric(calm[1], "headgate_provider_key_refused", key="missing/0")
    assert 1 == len(lines(calm, "circuit opened", backend="missing/upstream-model", reason="not_found"))
    assert [] == lines(calm, "a provider refuses our credential", backend="missing/upstream-model")


async def test_the_longer_wait_counts(calm: list[Site]) -> None:
    """Of two waits the later end, whichever came first."""
    waits = Provider("waits", (503, {"retry-after": "600"}))
    async with calm[0].upstream(waits):
        assert [("waits", "overloaded"), ("good", "ok")] == await outcomes(calm[0], "waits")
        await until_metric(calm[1], 1.0, "headgate_circuit_open", backend="waits/upstream-model")
        waits.answers = [(503, {"retry-after": "0.2"})]
        asked = waits.asked
        assert 503 == (await calm[1].ask(model="lone-waits")).status
        assert asked + 3 == waits.asked
        await asyncio.sleep(SHARED_S)
        for place in calm:
            assert [("good", "ok")] == await outcomes(place, "waits")
            assert 1.0 == await metric(place, "headgate_circuit_open", backend="waits/upstream-model")
        assert asked + 3 == waits.asked


async def test_a_limit_that_is_used_up(calm: list[Site]) -> None:
    """A provider that says it has nothing left is passed over before it says 429."""
    headers = [
        ("content-type", "text/event-stream"),
        *(("x-ratelimit-limit-requests", "60"), ("x-ratelimit-remaining-requests", "0")),
        ("x-ratelimit-reset-requests", "5m0s"),
    ]

    async def script(exchange: Exchange) -> None:
        if exchange.path.startswith("/full/"):
            await exchange.start(200, headers)

            await exchange.send(role() + text("good") + finish() + usage() + DONE)
            await exchange.finish()
        else:
            await good(exchange)

    async with calm[0].upstream(script):
        assert [("full", "ok")] == await outcomes(calm[0], "full")
        async with asyncio.timeout(SHARED_S + SLACK_S):
            while [("good", "ok")] != await outcomes(calm[0], "full"):  # noqa: ASYNC110 - no event to wait for
                await asyncio.sleep(0.05)


async def test_kept_keys(calm: list[Site]) -> None:
    """A key kept for a customer or a tier serves these alone, whatever fails; without one another backend does."""
    place = calm[0]

    async def ask(name: str, key: str) -> Answer:
        async with place.client() as client:
            asked = place.chat(model=name).replace(place.gateway.key.encode(), key.encode())
            await client.send(asked)
            return await client.read_all()

    kept = Provider("kept", (429, {}))
    async with place.upstream(kept):
        for name, key, expected in (
            ("kept", place.gateway.key, []),
            ("frugal", place.gateway.key, []),
            ("premium", place.gateway.key, ["B"]),
            ("kept", ACME_KEY, ["A"]),
            ("frugal", ACME_KEY, ["A"]),
            ("premium", ACME_KEY, ["A", "B"]),
        ):
            kept.keys.clear()
            answer = await ask(name, key)
            assert 200 == answer.status
            assert [f"provider-key-{letter}-for-tests" for letter in expected] == kept.keys, (name, key)


async def seen_by(place: Site) -> dict[str, Any]:
    """What one gateway shows of the backend `ends`."""
    shown = (await place.get("/admin/v1/health", {"authorization": f"Bearer {ADMIN_KEY}"})).members
    found: dict[str, Any]
    (found,) = [each for each in shown["backends"] if each["backend"] == "ends/upstream-model"]
    return found


async def test_what_administrators_see(calm: list[Site], store: PrivateServer, tmp_path: Path) -> None:
    """The same figures at every gateway, over HTTP and on the command line; nothing noted is lost at the end."""
    ends = Provider("ends", (200, {}))
    listener = calm[0].listener
    with running(tmp_path, configuration(listener, store.url), SECRETS) as gateway:
        leaving = Site(gateway, listener)
        async with leaving.upstream(ends):
            for _ in range(3):
                assert [("ends", "ok")] == await outcomes(leaving, "ends")
    # It has gone, and has written what it noted last before.
    async with asyncio.timeout(SHARED_S + SLACK_S):
        while True:
            backend, elsewhere = [await seen_by(place) for place in calm[:2]]
            if backend["attempts_7d"] and elsewhere["attempts_7d"]:
                break
            await asyncio.sleep(0.05)
    assert (3, {"ok": 3}, "closed", ["ends/0"]) == (
        backend["attempts_7d"],
        backend["outcomes_7d"],
        backend["circuit"],
        [key["id"] for key in backend["keys"]],
    )
    assert 3 == backend["speed_recent"]["samples"]
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proxy.cli.main", "health", "--url", calm[1].gateway.base),
        env={"PATH": os.environ["PATH"], "HEADGATE_ADMIN_KEY": ADMIN_KEY},
        stdout=asyncio.subprocess.PIPE,
    )
    table, _ = await asyncio.wait_for(command.communicate(), WAIT_S)
    assert 0 == command.returncode
    (row,) = [line for line in table.decode().splitlines() if line.startswith("ends/upstream-model")]
    assert ["0.9906", "3", "0%", "0%"] == row.split()[1:5]
