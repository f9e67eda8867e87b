"""Health in the background: kept through faults, told in log and metrics, written once more at the end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from time import monotonic, time_ns
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from providers.registry import REGISTRY
from proxy.assembly import health as assembly
from proxy.assembly.health import Keeper, backends_of, rules_of, watched
from proxy.exchange.attempts.conditions import Board
from proxy.exchange.upstream.auth.types import Credentials
from proxy.exchange.upstream.backends import Provider, Timeouts
from proxy.exchange.upstream.headroom import Headroom
from proxy.exchange.upstream.keys import ProviderKey, ProviderKeys
from proxy.routing.catalogue.types import Backend, Catalogue, Model
from proxy.settings.schema import Breaker
from proxy.telemetry.metrics import Metrics
from proxy.telemetry.unsettled import UnsettledLog
from ratelimit.health.health import Health
from ratelimit.health.types import Change, Target
from ratelimit.limits.bookings import Bookings
from ratelimit.limits.reservations import Reservations
from ratelimit.limits.settling import Settler
from ratelimit.store.address import parse_address
from ratelimit.store.store import Store
from tests.support.valkey import PrivateServer

PATIENT_MS = 5000
WAIT_S = 20.0
BACKEND = Backend("p/m", "p", "m", None)
PROVIDER = Provider(
    REGISTRY["openai"], "http://p.test/v1", Credentials("test-key-0001"), Timeouts(5, 0, 0, 0, 0)
)


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateServer]:
    with PrivateServer() as server:
        yield server


@pytest.fixture
async def store(server: PrivateServer) -> AsyncIterator[Store]:
    store = Store(parse_address(server.url), timeout_ms=PATIENT_MS)
    await store.open()
    await store.call("FLUSHALL")
    yield store
    await store.close()


class Log:
    """Keeps what it is told: level, event, fields."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    def info(self, event: str, **fields: object) -> None:
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: object) -> None:
        self.lines.append(("warning", event, fields))

    def error(self, event: str, **fields: object) -> None:
        self.lines.append(("error", event, fields))


@dataclass
class Kept:
    store: Store
    log: Log = field(default_factory=Log)
    metrics: Metrics = field(default_factory=Metrics)
    dropped: tuple[tuple[str, int], ...] = (("generations", 0), ("memories", 0))

    def __post_init__(self) -> None:
        self.health = Health(self.store, backends=[BACKEND.id], rules=rules_of(Breaker()), clock_s=monotonic)
        keys = ProviderKeys({"p": [ProviderKey("p/0", PROVIDER), ProviderKey("p/1", PROVIDER)]})
        headroom = Headroom(monotonic, lambda: time_ns() / 1e9)
        settler = Settler(
            Reservations(self.store),
            Bookings(self.store),
            booker="g",
            clock=monotonic,
            told=UnsettledLog(self.log),
        )
        self.board = Board(self.health, headroom, keys, [BACKEND], monotonic)
        self.metrics.watch(lambda: watched(self.board, headroom, {"p": PROVIDER}, settler, self.dropped))
        self.keeper = Keeper(self.health, lambda: self.board, self.metrics, self.log)

    def note(self, kind: Any, key: str = "p/0") -> None:
        self.health.note(backend="p/m", provider_key_id=key, kind=kind)

    def samples(self, name: str) -> dict[str, float]:
        """By the value of the last label."""
        return {
            list(sample.labels.values())[-1]: sample.value
            for family in text_string_to_metric_families(self.metrics.exposition().decode())
            for sample in family.samples
            if sample.name == name
        }


@pytest.fixture
def kept(store: Store) -> Kept:
    return Kept(store)


async def until(claim: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not claim():  # noqa: ASYNC110 - the store is another process
            await asyncio.sleep(0.01)


async def test_it_runs(kept: Kept) -> None:
    """What is noted is written and read by itself, and the conditions follow."""
    running = asyncio.get_running_loop().create_task(kept.keeper.run())
    kept.note("ok")
    kept.note("timeout")
    await until(lambda: kept.board.conditions.of("p/m").attempts_7d == 2)
    assert kept.board.conditions.age_s < WAIT_S
    state = kept.board.conditions.of("p/m")
    assert (2, 0.5) == (state.recent_attempts, state.recent_error_share)
    assert 0.9712 == pytest.approx(kept.samples("headgate_backend_availability")["p/m"], abs=0.0001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [] == kept.log.lines


async def test_a_fault_does_not_end_it(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody writes into our keys: an error in the log, and it goes on when they are ours again.

    Nothing is counted twice.
    """
    monkeypatch.setattr(assembly, "RESTART_S", 0.05)
    await kept.store.call("SET", "hg:{health}:circuits", "not ours")
    running = asyncio.get_running_loop().create_task(kept.keeper.run())
    kept.note("overloaded")
    await until(lambda: len(kept.log.lines) >= 3)
    assert {("error", "health is not written; trying again")} == {line[:2] for line in kept.log.lines}
    assert "WRONGTYPE" in str(kept.log.lines[0][2]["reason"])
    await kept.store.call("DEL", "hg:{health}:circuits")
    await until(lambda: kept.board.conditions.of("p/m").attempts_7d == 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_the_last_notes(kept: Kept) -> None:
    """They are written at the end, and what they change is told."""
    kept.note("ok")
    kept.note("auth")
    await kept.keeper.finish()
    other = Health(kept.store, backends=["p/m"], rules=kept.health._rules, clock_s=monotonic)
    await other.read()
    assert {"ok": 1, "auth": 1} == other.snapshot().backend("p/m").outcomes_7d
    assert [("error", "a provider refuses our credential")] == [line[:2] for line in kept.log.lines]


async def test_the_store_is_away_at_the_end(kept: Kept) -> None:
    """It is said, and nothing else happens."""
    kept.note("ok")
    await kept.store.close()
    await kept.keeper.finish()
    assert [("error", "the last health figures were not written")] == [line[:2] for line in kept.log.lines]


def test_what_is_told(kept: Kept) -> None:
    """One line each; a refused credential is an error and counted, a key by its id and never by its text."""
    key, backend = Target("", "p/0"), Target("p/m", "")
    kept.keeper.tell(
        (
            Change(key, "opened", "auth"),
            Change(key, "reopened", "auth"),
            Change(key, "closed", "auth"),
            Change(backend, "opened", "errors"),
            Change(backend, "closed", "errors"),
        )
    )
    of_key: dict[str, object] = {"backend": "", "provider_key": "p/0", "reason": "auth"}
    of_backend: dict[str, object] = {"backend": "p/m", "provider_key": "", "reason": "errors"}
    assert [
        ("error", "a provider refuses our credential", of_key),
        ("warning", "circuit reopened", of_key),
        ("info", "circuit closed", of_key),
        ("warning", "circuit opened", of_backend),
        ("info", "circuit closed", of_backend),
    ] == kept.log.lines
    assert {"p/0": 1.0} == kept.samples("headgate_refused_credentials_total")


async def test_metrics_of_circuits(kept: Kept) -> None:
    """A key that is refused, and a backend none of whose keys may be used."""
    kept.board.refresh()
    assert {"p/m": 0.0} == kept.samples("headgate_circuit_open")
    assert {"p/0": 0.0, "p/1": 0.0} == kept.samples("headgate_provider_key_refused")
    kept.note("auth")
    kept.board.refresh()
    assert {"p/m": 0.0} == kept.samples("headgate_circuit_open")
    assert {"p/0": 1.0, "p/1": 0.0} == kept.samples("headgate_provider_key_refused")
    kept.note("auth", "p/1")
    kept.board.refresh()
    assert {"p/m": 1.0} == kept.samples("headgate_circuit_open")


def test_metrics_of_what_was_dropped(kept: Kept) -> None:
    """By kind, from the start."""
    assert {"generations": 0.0, "memories": 0.0} == kept.samples("headgate_dropped_total")
    kept.dropped = (("generations", 3), ("memories", 1))
    assert {"generations": 3.0, "memories": 1.0} == kept.samples("headgate_dropped_total")


def test_backends_of_a_catalogue() -> None:
    """Each once, though two models share it."""
    other = Backend("q/m", "q", "m", None)
    models = {"a": Model("a", (BACKEND, other)), "b": Model("b", (BACKEND,))}
    assert [BACKEND, other] == backends_of(Catalogue(models, {}, {}, {}))
