"""The store goes away: nothing is lost, nothing counts twice, and a gateway alone still passes over what is broken."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import pytest

from ratelimit.health.circuits import PROBE_LEASE_S
from ratelimit.health.gathering import BATCH_CELLS, HOURS, Gathering
from ratelimit.health.health import Health
from ratelimit.health.news import REFUSED_COOL_DOWN_S
from ratelimit.store.address import parse_address
from ratelimit.store.errors import StoreUnavailable
from ratelimit.store.scripts import Script
from ratelimit.store.store import Argument, Store
from tests.ratelimit.clocks import PATIENT_MS, Clock, Offset
from tests.ratelimit.health_gateways import KEY, RULES, Gateway, Times
from tests.support.valkey import PrivateServer

HOUR_S = 3600


class Fickle(Store):
    """Goes away on demand: before a script has run, or after it, so that only the answer is lost."""

    away = False
    lost: set[str] = set()  # noqa: RUF012 - replaced on instances, never changed

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> object:
        if self.away:
            raise StoreUnavailable("away")
        reply = await super().run(script, keys, args)
        if script.name in self.lost:
            raise StoreUnavailable("the answer was lost")
        return reply


@pytest.fixture
async def fickle(shared_server: PrivateServer, offset: Offset) -> AsyncIterator[Fickle]:
    store = Fickle.for_tests(parse_address(shared_server.url), timeout_ms=PATIENT_MS, offset_us=offset)
    await store.open()
    await store.call("FLUSHALL")
    yield store
    await store.close()


@pytest.fixture
async def times(fickle: Fickle, clock: Clock, offset: Offset) -> Times:
    times = Times(clock, offset)
    await times.begin(fickle)
    return times


@pytest.fixture
async def gateway(fickle: Fickle, clock: Clock, times: Times) -> Gateway:
    """One that has looked once."""
    del times
    gateway = Gateway(fickle, clock)
    await gateway.beat()
    return gateway


async def fails_to_read(gateway: Gateway) -> None:
    with pytest.raises(StoreUnavailable):
        await gateway.health.read()


async def fails_to_beat(gateway: Gateway) -> None:
    """With something to write."""
    with pytest.raises(StoreUnavailable):
        await gateway.health.flush()
    await fails_to_read(gateway)
    gateway.told += gateway.health.take_changes()


def attempts(gateway: Gateway, backend: str = "a") -> int:
    return gateway.health.snapshot().backend(backend).attempts_7d


async def test_lost_answers(gateway: Gateway, fickle: Fickle) -> None:
    """A batch whose answer was lost, over and over, is counted once; what came after it is not lost."""
    for _ in range(5):
        gateway.note("ok", 7)
        fickle.lost = {"write"}
        with pytest.raises(StoreUnavailable):
            await gateway.health.flush()
    fickle.lost = set()
    await gateway.beat()
    assert 35 == attempts(gateway)
    await gateway.beat()
    assert 35 == attempts(gateway)


async def test_lost_answer_is_told(gateway: Gateway, fickle: Fickle) -> None:
    """What a batch changed is told once, also when the first answer was lost."""
    gateway.note("auth")
    gateway.note("timeout", 10)
    fickle.lost = {"write"}
    with pytest.raises(StoreUnavailable):
        await gateway.health.flush()
    gateway.told += gateway.health.take_changes()
    fickle.lost = set()
    await gateway.beat()
    assert [("", KEY, "opened", "auth"), ("a", "", "opened", "errors")] == sorted(gateway.whats())


@pytest.mark.parametrize("seed", range(20))
async def test_any_outage(fickle: Fickle, clock: Clock, times: Times, seed: int) -> None:
    """However the store comes and goes between three gateways' notes, in the end every note is counted once."""
    chosen = random.Random(seed)
    gateways = [Gateway(fickle, clock) for _ in range(3)]
    noted = {"a": 0, "b": 0}
    for _ in range(150):
        gateway, backend = chosen.choice(gateways), chosen.choice("ab")
        gateway.note(chosen.choice(["ok", "timeout"]), backend=backend)
        noted[backend] += 1
        fickle.away = chosen.random() < 0.3
        fickle.lost = chosen.choice([set(), set(), {"write"}, {"snapshot"}, {"recount"}])
        if chosen.random() < 0.4:
            try:
                await asyncio.gather(gateway.health.flush(), gateway.health.flush())
                await gateway.health.read()
            except StoreUnavailable:
                assert fickle.away or fickle.lost
        times.pass_s(chosen.choice([0.5, 5, 20, 400]))
    fickle.away, fickle.lost = False, set()
    for gateway in (*gateways, *gateways):
        await gateway.beat()
    for gateway in gateways:
        assert noted == {backend: attempts(gateway, backend) for backend in "ab"}


async def test_notes_during_a_flush(gateway: Gateway) -> None:
    """What is noted while a batch is on its way leaves with a later one."""
    gateway.note("ok", 3)
    flushing = asyncio.ensure_future(gateway.health.flush())
    await asyncio.sleep(0)
    gateway.note("ok", 4)
    await flushing
    await gateway.beat()
    assert 7 == attempts(gateway)


async def test_cancelled_flush(gateway: Gateway) -> None:
    """A flush that is cancelled on its way counts once in the end."""
    gateway.note("ok", 3)
    flushing = asyncio.ensure_future(gateway.health.flush())
    for _ in range(3):
        await asyncio.sleep(0)
    flushing.cancel()
    await asyncio.gather(flushing, return_exceptions=True)
    gateway.note("ok", 4)
    await gateway.beat()
    assert 7 == attempts(gateway)


async def test_late_news_count_where_they_belong(
    gateway: Gateway, fickle: Fickle, clock: Clock, times: Times
) -> None:
    """After hours without the store each hour's outcomes are in that hour, to within one, and leave with it."""
    other = Gateway(fickle, clock)
    fickle.away = True
    gateway.note("ok", 100)
    for _ in range(5):
        times.pass_s(HOUR_S)
        gateway.note("ok", 10)
        await fails_to_beat(gateway)
    fickle.away = False
    await other.beat()
    await gateway.beat()
    await other.beat()
    assert [150, 150] == [attempts(gateway), attempts(other)]
    assert 10 == other.health.snapshot().backend("a").recent_attempts
    left: list[int] = []
    for _ in range(HOURS + 2):
        times.pass_s(HOUR_S)
        await other.beat()
        left.append(attempts(other))
    assert [150] * 161 == left[:161]
    assert [150, 50, 40, 30, 20, 10, 0, 0, 0] == left[161:]


async def test_late_news_of_minutes(gateway: Gateway, fickle: Fickle, times: Times) -> None:
    """After minutes without the store the last five are known slot by slot."""
    fickle.away = True
    for _ in range(3):
        gateway.note("timeout", 4)
        times.pass_s(100)
        await fails_to_read(gateway)
    fickle.away = False
    recent: list[int] = []
    for _ in range(4):
        times.pass_s(20)
        await gateway.beat()
        recent.append(gateway.health.snapshot().backend("a").recent_attempts)
        times.pass_s(80)
    assert [8, 4, 0, 0] == recent
    assert 12 == attempts(gateway)


async def test_late_news_open_nothing(gateway: Gateway, fickle: Fickle, times: Times) -> None:
    """Faults and waits of long ago open no circuit when the store is back; a wait that goes on does, for its rest."""
    fickle.away = True
    gateway.note("timeout", 50)
    gateway.note("overloaded", backend="b", retry_after_s=30)
    gateway.note("rate_limited", backend="b", key="k", retry_after_s=500)
    times.pass_s(120)
    fickle.away = False
    await gateway.beat()
    assert ["closed", "closed", "open"] == [gateway.state(), gateway.state("b"), gateway.state("b", "k")]
    assert gateway.circuit("b", "k").open_for_s == pytest.approx(380, abs=2)


async def test_away_for_ever(clock: Clock) -> None:
    """What waits for the store is bounded by the number of backends, for however long it is away."""
    gathering = Gathering()
    for _ in range(9 * 24 * 60):
        for backend in ("a", "b"):
            tally = gathering.cell(backend, clock()).tally
            tally[1] = tally.get(1, 0) + 1
        clock.now += 60
    gathering.collect()
    cells = 0
    counted = 0
    while (batch := gathering.batch()) is not None:
        assert len(batch.cells) <= BATCH_CELLS
        cells += len(batch.cells)
        counted += sum(cell.tally[1] for cell in batch.cells)
        gathering.written()
    assert cells <= 2 * (HOURS + 2 + 31)
    assert 2 * HOURS * 60 <= counted <= 2 * (HOURS + 2) * 60


async def test_started_alone(fickle: Fickle, clock: Clock) -> None:
    """A gateway that never saw the store passes over what fails, probes it by itself, and uses it again."""
    fickle.away = True
    gateway = Gateway(fickle, clock)
    await fails_to_read(gateway)
    gateway.note("ok", 5)
    gateway.note("timeout", 4)
    assert "closed" == gateway.state()
    gateway.note("timeout")
    assert ("open", "errors", 10) == (
        gateway.state(),
        gateway.circuit().reason,
        gateway.circuit().open_for_s,
    )
    assert await gateway.health.take_probe("a", KEY) is None
    clock.now += 10
    assert "due" == gateway.state()
    probe = await gateway.health.take_probe("a", KEY)
    assert probe is not None
    assert "half_open" == gateway.state()
    assert await gateway.health.take_probe("a", KEY) is None
    gateway.note("timeout", probe=probe)
    assert 20 == gateway.circuit().open_for_s
    clock.now += 20
    probe = await gateway.health.take_probe("a", KEY)
    gateway.note("ok", probe=probe)
    assert "closed" == gateway.state()
    gateway.note("timeout", 4)
    assert "closed" == gateway.state()
    await fails_to_beat(gateway)
    assert [
        ("a", "", "opened", "errors"),
        ("a", "", "reopened", "errors"),
        ("a", "", "closed", "errors"),
    ] == gateway.whats()


async def test_late_prober_alone(fickle: Fickle, clock: Clock) -> None:
    """Alone too, a prober whose lease has gone to another changes nothing any more, and waits only grow."""
    fickle.away = True
    gateway = Gateway(fickle, clock)
    gateway.note("timeout", 10)
    clock.now += 10
    late = await gateway.health.take_probe("a", KEY)
    clock.now += PROBE_LEASE_S
    probe = await gateway.health.take_probe("a", KEY)
    assert probe is not None
    gateway.note("timeout", probe=late)
    assert "half_open" == gateway.state()
    gateway.note("bad_request", probe=probe)
    assert "due" == gateway.state()
    gateway.note("overloaded", key=None, retry_after_s=100)
    gateway.note("auth", key=None)
    assert ("auth", 100) == (gateway.circuit().reason, gateway.circuit().open_for_s)


async def test_closed_elsewhere(gateway: Gateway, fickle: Fickle, times: Times) -> None:
    """What another gateway's probe has closed is judged afresh here too, when this one is left alone."""
    other = Gateway(fickle, times.clock)
    gateway.note("timeout", 6)
    await gateway.beat()
    other.note("timeout", 6)
    await other.beat()
    await gateway.beat()
    assert "open" == gateway.state()
    times.pass_s(11)
    other.note("ok", probe=await other.health.take_probe("a", KEY))
    await other.beat()
    await gateway.beat()
    assert "closed" == gateway.state()
    fickle.away = True
    await fails_to_read(gateway)
    gateway.note("timeout", 9)
    assert "closed" == gateway.state()
    gateway.note("timeout")
    assert "open" == gateway.state()


async def test_last_minute_counts_alone(gateway: Gateway, fickle: Fickle, times: Times) -> None:
    """Alone, a gateway judges by what it saw in the last minute, from before the outage too."""
    gateway.note("timeout", 6)
    await gateway.beat()
    fickle.away = True
    await fails_to_read(gateway)
    times.pass_s(65)
    gateway.note("timeout", 6)
    assert "closed" == gateway.state()
    times.pass_s(30)
    gateway.note("timeout", 4)
    assert "open" == gateway.state()


async def test_last_snapshot_ages(gateway: Gateway, fickle: Fickle, times: Times) -> None:
    """With the store away the last figures stay, with their age; open circuits come due, and are probed here."""
    gateway.note("ok", 90)
    gateway.note("timeout", 90)
    gateway.note("auth")
    await gateway.beat()
    fickle.away = True
    times.pass_s(30)
    await fails_to_read(gateway)
    snapshot = gateway.health.snapshot()
    assert (30, 180) == (snapshot.age_s, snapshot.backend("a").attempts_7d)
    assert ["open", "due"] == [gateway.state(), gateway.state("a", "other")]
    probe = await gateway.health.take_probe("a", "other")
    gateway.note("ok", key="other", probe=probe)
    assert "closed" == gateway.state("a", "other")
    times.pass_s(REFUSED_COOL_DOWN_S)
    assert "due" == gateway.state()
    fickle.away = False
    await gateway.beat()
    assert 0 == gateway.health.snapshot().age_s


async def test_probe_while_it_goes_away(gateway: Gateway, fickle: Fickle, times: Times) -> None:
    """A store that goes away under a probe leaves the gateway to itself, without an error."""
    gateway.note("timeout", 10)
    await gateway.beat()
    times.pass_s(11)
    fickle.away = True
    probe = await gateway.health.take_probe("a", KEY)
    assert probe is not None
    gateway.note("ok", probe=probe)
    assert "closed" == gateway.state()


async def test_told_once(gateway: Gateway, fickle: Fickle, times: Times) -> None:
    """An alert is told at once though the store is away, and not again when it is back; others learn of it."""
    other = Gateway(fickle, times.clock)
    fickle.away = True
    gateway.note("auth")
    await fails_to_beat(gateway)
    assert [True] == [change.alert for change in gateway.told]
    gateway.note("timeout", 10)
    await fails_to_beat(gateway)
    await fails_to_beat(gateway)
    fickle.away = False
    await gateway.beat()
    await other.beat()
    assert [("", KEY, "opened", "auth"), ("a", "", "opened", "errors")] == gateway.whats()
    assert [] == other.whats()
    assert ["open", "open"] == [other.state(), other.state("a", "other")]
    times.pass_s(REFUSED_COOL_DOWN_S + 1)
    probe = await gateway.health.take_probe("a", KEY)
    gateway.note("ok", probe=probe)
    await gateway.beat()
    gateway.note("auth")
    await gateway.beat()
    assert [True, False, False, False, True] == [change.alert for change in gateway.told]


async def test_mended_alone(gateway: Gateway, fickle: Fickle, times: Times) -> None:
    """What opened and was seen to work again while the store was away is not opened when it is back."""
    fickle.away = True
    await fails_to_read(gateway)
    gateway.note("overloaded", retry_after_s=1)
    gateway.note("auth")
    times.pass_s(REFUSED_COOL_DOWN_S)
    probe = await gateway.health.take_probe("a", KEY)
    gateway.note("ok", probe=probe)
    fickle.away = False
    await gateway.beat()
    assert "closed" == gateway.state()


async def test_read_before_written(gateway: Gateway, times: Times) -> None:
    """A look keeps open what the store has not been told yet, and not for longer than it was to be."""
    gateway.note("overloaded", retry_after_s=5)
    await gateway.health.read()
    assert "open" == gateway.state()
    times.pass_s(6)
    await gateway.health.read()
    assert "closed" == gateway.state()
    await gateway.beat()
    assert "closed" == gateway.state()


async def test_news_during_a_read(gateway: Gateway) -> None:
    """What this gateway meets while it reads is not undone by what it reads."""
    reading = asyncio.ensure_future(gateway.health.read())
    await asyncio.sleep(0)
    gateway.note("auth")
    await reading
    assert "open" == gateway.state()


async def test_verdict_during_a_read(gateway: Gateway, times: Times) -> None:
    """A circuit that a probe has closed is not opened again by an answer that is older than the verdict."""
    gateway.note("timeout", 10)
    await gateway.beat()
    times.pass_s(11)
    probe = await gateway.health.take_probe("a", KEY)
    assert probe is not None
    reading = asyncio.ensure_future(gateway.health.read())
    await asyncio.sleep(0)
    gateway.health.probe_answers(probe)
    await reading
    assert "closed" == gateway.state()


async def accept(store: Store) -> None:
    """Accept the store as soon as there is one."""
    for _ in range(2000):
        with suppress(StoreUnavailable):
            if await store.accept():
                return
        await asyncio.sleep(0.01)


async def test_real_outage(fragile_server: PrivateServer) -> None:
    """A server that hangs, and one that comes back empty and is accepted, stop nothing; `run` waits them out."""
    store = Store(parse_address(fragile_server.url), timeout_ms=200)
    await store.open()
    loop = asyncio.get_running_loop()
    health = Health(store, backends=("a",), rules=RULES, clock_s=loop.time)

    async def until_counted(attempts: int) -> None:
        for _ in range(2000):
            if health.snapshot().backend("a").attempts_7d == attempts:
                return
            await asyncio.sleep(0.01)

    def note() -> None:
        health.note(backend="a", provider_key_id=KEY, kind="ok")

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(health.run(lambda _: None))
        note()
        await until_counted(1)
        fragile_server.pause()
        note()
        with pytest.raises(StoreUnavailable):
            await health.flush()
        note()
        fragile_server.resume()
        await until_counted(3)
        assert 3 == health.snapshot().backend("a").attempts_7d
        fragile_server.kill()
        note()
        with pytest.raises(StoreUnavailable):
            await health.flush()
        note()
        fragile_server.start()
        await accept(store)
        await until_counted(2)
        assert 2 == health.snapshot().backend("a").attempts_7d
        task.cancel()
    await store.close()
