"""Seven days of outcomes: counted by several gateways, in the figures for as long as promised, small."""

import asyncio
import random
from math import inf, log
from statistics import NormalDist
from typing import cast

import pytest

from ratelimit.health.health import Health
from ratelimit.health.summary import (
    FAULTS,
    FIRST_CONTENT_MS,
    KINDS,
    RELATIVE_ERROR,
    SPEED_TOKENS_S,
    Kind,
    Scale,
    shrunk,
)
from ratelimit.health.types import NEUTRAL
from ratelimit.store.store import Store
from tests.ratelimit.clocks import Clock, Offset
from tests.ratelimit.health_gateways import KEY, RULES, Gateway, Times

HOUR_S = 3600
HOURS = 168


@pytest.fixture
async def times(store: Store, clock: Clock, offset: Offset) -> Times:
    times = Times(clock, offset)
    await times.begin(store)
    return times


async def test_unknown_is_neutral(store: Store, clock: Clock) -> None:
    """A backend that nobody has used has the neutral figures, before and after the first look."""
    gateway = Gateway(store, clock)
    assert (NEUTRAL, inf) == (gateway.health.snapshot().backend("a"), gateway.health.snapshot().age_s)
    await gateway.beat()
    snapshot = gateway.health.snapshot()
    assert (NEUTRAL, 0) == (snapshot.backend("a"), snapshot.age_s)
    assert 0.99 == snapshot.backend("a").availability_7d
    assert "closed" == snapshot.circuit("a", KEY).state


async def test_what_counts(store: Store, clock: Clock) -> None:
    """Availability is the share of answers among what was the provider's to answer; 429s count apart."""
    gateway = Gateway(store, clock)
    counts: dict[Kind, int] = {
        "ok": 90,
        "overloaded": 1,
        "unreachable": 2,
        "timeout": 3,
        "protocol": 4,
        "rate_limited": 25,
        "auth": 6,
        "not_found": 7,
        "bad_request": 8,
        "client_gone": 9,
        "cancelled": 10,
    }
    assert set(KINDS) == set(counts)
    for kind, count in counts.items():
        gateway.note(kind, count)
    await gateway.beat()
    health = gateway.health.snapshot().backend("a")
    assert counts == health.outcomes_7d
    assert (100, shrunk(90, 10)) == (health.attempts_7d, health.availability_7d)
    assert (100, 0.1, 0.2) == (
        health.recent_attempts,
        health.recent_error_share,
        health.recent_saturated_share,
    )
    assert NEUTRAL == gateway.health.snapshot().backend("b")


async def test_speeds(store: Store, clock: Clock) -> None:
    """First content and tokens per second come back within the promised error; short answers have no speed."""
    gateway = Gateway(store, clock)
    for number in range(1, 101):
        gateway.health.note(
            backend="a",
            provider_key_id=KEY,
            kind="ok",
            first_content_ms=10.0 * number,
            output_tokens=100 * number,
            duration_s=20.0,
        )
    gateway.health.note(backend="a", provider_key_id=KEY, kind="ok", output_tokens=31, duration_s=0.001)
    gateway.health.note(backend="a", provider_key_id=KEY, kind="ok", output_tokens=320, duration_s=0)
    await gateway.beat()
    health = gateway.health.snapshot().backend("a")
    error = RELATIVE_ERROR + 1e-9
    assert health.speed_7d == health.speed_recent
    assert 100 == health.speed_7d.samples
    assert health.speed_7d.first_content_p50_ms == pytest.approx(500, rel=error)
    assert health.speed_7d.first_content_p95_ms == pytest.approx(950, rel=error)
    assert health.speed_7d.tokens_s_p50 == pytest.approx(250, rel=error)


async def test_eight_days(store: Store, clock: Clock, times: Times) -> None:
    """Over 8 days, hour by hour: always exactly the 168 hours that end with the present one are in the figure.

    One gateway reads every hour and another only twice; they agree.
    """
    gateway, seldom = Gateway(store, clock), Gateway(store, clock)
    chosen = random.Random(7)
    answered: list[int] = []
    failed: list[int] = []
    for hour in range(8 * 24):
        answered.append(chosen.randrange(1, 9))
        failed.append(chosen.randrange(0, 3))
        gateway.note("ok", answered[-1])
        gateway.note("timeout", failed[-1])
        await gateway.beat()
        health = gateway.health.snapshot().backend("a")
        ok, timeouts = sum(answered[-HOURS:]), sum(failed[-HOURS:])
        assert (hour, ok, timeouts) == (
            hour,
            health.outcomes_7d.get("ok", 0),
            health.outcomes_7d.get("timeout", 0),
        )
        assert shrunk(ok, timeouts) == health.availability_7d
        if hour == 30:
            await seldom.beat()
        times.pass_s(HOUR_S)
    times.pass_s(-HOUR_S)
    await seldom.beat()
    assert gateway.health.snapshot().backend("a") == seldom.health.snapshot().backend("a")


@pytest.mark.parametrize("read_hourly", [True, False])
async def test_to_the_hour(store: Store, clock: Clock, times: Times, *, read_hourly: bool) -> None:
    """An outcome is in the figure while the hour it fell into is one of the last 168, the present one included."""
    gateway = Gateway(store, clock)
    gateway.note("ok", 3)
    await gateway.beat()
    seen: list[int] = []
    for _ in range(HOURS - 2):
        times.pass_s(HOUR_S)
        if read_hourly:
            await gateway.health.read()
            seen.append(gateway.health.snapshot().backend("a").attempts_7d)
    assert [3] * len(seen) == seen
    times.pass_s(HOUR_S + 1790)  # the last moments of its 168th hour
    await gateway.health.read()
    assert 3 == gateway.health.snapshot().backend("a").attempts_7d
    times.pass_s(20)
    await gateway.health.read()
    assert 0 == gateway.health.snapshot().backend("a").attempts_7d


async def test_idle_backend(store: Store, clock: Clock, times: Times) -> None:
    """Nothing of a backend that is no longer used stays in the store, nor of a gateway that has gone."""
    gateway = Gateway(store, clock)
    gateway.note("ok")
    gateway.note("auth")
    await gateway.beat()
    names = cast("list[bytes]", await store.call("KEYS", "*"))
    assert 3 == len(names)
    for name in names:
        assert name.startswith(b"hg:{health}:")
        left_ms = await store.call("PTTL", name)
        assert isinstance(left_ms, int)
        assert 0 < left_ms <= (HOURS + 1) * HOUR_S * 1000
    times.pass_s(200 * HOUR_S)
    await gateway.beat()
    assert 0 == gateway.health.snapshot().backend("a").attempts_7d


async def test_used_now_and_then(store: Store, clock: Clock, times: Times) -> None:
    """A backend with idle hours among its busy ones keeps no more than one that is always busy, give or take."""
    gateway = Gateway(store, clock, backends=("a",))
    chosen = random.Random(9)
    fields = 0
    used: list[int] = []
    hour = 0
    for _ in range(500):
        used.append(hour)
        gateway.note("ok")
        await gateway.beat()
        assert (
            sum(other > hour - HOURS for other in used) == gateway.health.snapshot().backend("a").attempts_7d
        )
        here = await store.call("HLEN", "hg:{health}:backend:a")
        assert isinstance(here, int)
        fields = max(fields, here)
        hours = chosen.choice([1, 1, 1, 2, 150] if hour > 1000 else [1, 2])
        times.pass_s(hours * HOUR_S)
        hour += hours
    assert 100 < fields <= HOURS + 14


async def test_recent(store: Store, clock: Clock, times: Times) -> None:
    """The last five minutes are the last thirty slots of ten seconds."""
    gateway = Gateway(store, clock)
    gateway.note("timeout", 4)
    gateway.note("ok", 4)
    await gateway.beat()
    times.pass_s(285)
    gateway.note("ok", 2)
    await gateway.beat()
    health = gateway.health.snapshot().backend("a")
    assert (10, 0.4) == (health.recent_attempts, health.recent_error_share)
    times.pass_s(16)
    await gateway.health.read()
    health = gateway.health.snapshot().backend("a")
    assert (2, 0.0) == (health.recent_attempts, health.recent_error_share)
    times.pass_s(300)
    await gateway.health.read()
    health = gateway.health.snapshot().backend("a")
    assert (0, None, None) == (
        health.recent_attempts,
        health.recent_error_share,
        health.recent_saturated_share,
    )
    assert 10 == health.attempts_7d


async def test_recent_speed(store: Store, clock: Clock, times: Times) -> None:
    """The recent speed is of the present hour and the one before, the other one of all 7 days."""
    gateway = Gateway(store, clock)
    samples: list[tuple[int, int]] = []
    for _ in range(4):
        gateway.health.note(backend="a", provider_key_id=None, kind="ok", first_content_ms=100)
        await gateway.beat()
        health = gateway.health.snapshot().backend("a")
        samples.append((health.speed_7d.samples, health.speed_recent.samples))
        times.pass_s(HOUR_S)
    assert [(1, 1), (2, 2), (3, 2), (4, 2)] == samples


async def test_many_writers(store: Store, clock: Clock, times: Times) -> None:
    """Five gateways note, write and read in any order and at once; all end with the same, whole figures."""
    chosen = random.Random(11)
    gateways = [Gateway(store, clock) for _ in range(5)]
    expected: dict[str, dict[Kind, int]] = {"a": {}, "b": {}}
    for _ in range(300):
        gateway = chosen.choice(gateways)
        backend = chosen.choice("ab")
        kind = chosen.choice(list(KINDS))
        gateway.note(kind, backend=backend)
        expected[backend][kind] = expected[backend].get(kind, 0) + 1
        if chosen.random() < 0.3:
            await asyncio.gather(*(chosen.choice(gateways).health.flush() for _ in range(3)))
        if chosen.random() < 0.1:
            await chosen.choice(gateways).health.read()
        if chosen.random() < 0.05:
            times.pass_s(chosen.choice([1, 10, 60, 3600]))
    await asyncio.gather(*(gateway.health.flush() for gateway in gateways))
    await asyncio.gather(*(gateway.health.read() for gateway in gateways))
    for gateway in gateways:
        snapshot = gateway.health.snapshot()
        assert expected == {
            backend: dict(snapshot.backend(backend).outcomes_7d) for backend in gateway.backends
        }
        attempts = sum(count for kind, count in expected["a"].items() if kind == "ok" or kind in FAULTS)
        assert attempts == snapshot.backend("a").attempts_7d


async def test_watched(store: Store, clock: Clock) -> None:
    """Which backends are read may change; what was counted of the others is kept."""
    gateway = Gateway(store, clock, backends=("a",))
    gateway.note("ok", 2, backend="c")
    await gateway.beat()
    assert NEUTRAL == gateway.health.snapshot().backend("c")
    gateway.health.watch(("c", "d"))
    await gateway.beat()
    assert 2 == gateway.health.snapshot().backend("c").attempts_7d
    gateway.health.watch(())
    await gateway.beat()
    assert {} == gateway.health.snapshot().backends


async def test_snapshot_is_frozen(store: Store, clock: Clock) -> None:
    """A snapshot that was handed out stays as it was, whatever comes after."""
    gateway = Gateway(store, clock)
    await gateway.beat()
    before = gateway.health.snapshot()
    gateway.note("auth")
    gateway.note("timeout", 20)
    await gateway.beat()
    assert (NEUTRAL, "closed") == (before.backend("a"), before.circuit("a", KEY).state)
    assert "open" == gateway.state()


async def test_clock_set_back(store: Store, clock: Clock, times: Times) -> None:
    """A store whose clock is behind by an hour or a week, as after a failover, counts nothing twice."""
    gateway = Gateway(store, clock)
    gateway.note("ok", 5)
    await gateway.beat()
    times.pass_s(HOUR_S)
    gateway.note("ok", 5)
    await gateway.beat()
    for back_s in (-HOUR_S, 2 * HOUR_S, -170 * HOUR_S, 170 * HOUR_S):
        times.offset.us += back_s * 1_000_000
        await gateway.beat()
        assert gateway.health.snapshot().backend("a").attempts_7d <= 10
    times.offset.us -= HOUR_S * 1_000_000
    await gateway.beat()
    assert 10 == gateway.health.snapshot().backend("a").attempts_7d


def _drawn(
    scale: Scale, median: float, spread: float, attempts: int, chosen: random.Random
) -> dict[int, int]:
    """So many values of a log-normal distribution, each bin with its share, a fraction of one by chance."""
    law = NormalDist(log(median), spread)
    tally: dict[int, int] = {}
    for place in range(scale.size):
        low, high = (
            scale.lowest * (scale.highest / scale.lowest) ** (at / scale.size) for at in (place, place + 1)
        )
        expected = attempts * (law.cdf(log(high)) - law.cdf(log(low)))
        count = int(expected) + (chosen.random() < expected % 1)
        if count:
            tally[scale.first_index + place] = count
    return tally


@pytest.mark.parametrize(
    ("per_hour", "most_bytes"), [(50, 25_000), (1_000, 30_000), (30_000, 42_000), (10**6, 65_000)]
)
async def test_memory(store: Store, clock: Clock, times: Times, per_hour: int, most_bytes: int) -> None:
    """What a backend takes of a real server when all its 7 days are full. -s shows the figure."""
    gateway = Gateway(store, clock, backends=("a",))
    chosen = random.Random(3)
    shares: dict[Kind, float] = dict.fromkeys(KINDS, 0.002) | {"ok": 0.96, "rate_limited": 0.02}
    for _ in range(HOURS + 2):
        tally = gateway.health._gathering.cell("a", clock.now).tally
        for kind, share in shares.items():
            tally[KINDS[kind]] = int(share * per_hour) + (chosen.random() < share * per_hour % 1)
        tally.update(_drawn(FIRST_CONTENT_MS, 600, 0.6, per_hour, chosen))
        tally.update(_drawn(SPEED_TOKENS_S, 80, 0.4, per_hour, chosen))
        await gateway.beat()
        times.pass_s(HOUR_S)
    used = await store.call("MEMORY", "USAGE", "hg:{health}:backend:a", "SAMPLES", 0)
    assert isinstance(used, int)
    print(f"{per_hour} attempts an hour: {used} bytes")  # noqa: T201 - a figure to look at
    assert 5_000 < used < most_bytes
    fields = await store.call("HLEN", "hg:{health}:backend:a")
    assert isinstance(fields, int)
    assert fields <= HOURS + 1 + len(("week", "week_of", "recent", "window"))


async def test_many_backends(store: Store, clock: Clock) -> None:
    """Sixty backends are written and read whole, more cells than one script takes included."""
    names = tuple(f"backend-{number}" for number in range(60))
    gateway = Gateway(store, clock, backends=names)
    for step in range(6):
        for number, name in enumerate(names):
            gateway.note("ok", number + 1, backend=name)
        if step < 5:
            clock.now += 10
    await gateway.beat()
    snapshot = gateway.health.snapshot()
    assert [6 * (number + 1) for number in range(60)] == [
        snapshot.backend(name).attempts_7d for name in names
    ]


async def test_run(store: Store, clock: Clock) -> None:
    """The background task writes, reads, and tells what has changed."""
    health = Health(store, backends=("a",), rules=RULES, clock_s=clock)
    told = asyncio.Event()
    health.note(backend="a", provider_key_id=KEY, kind="auth")

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(health.run(lambda changes: told.set() if changes[0].alert else None))
        async with asyncio.timeout(20):
            await told.wait()
        task.cancel()
    assert {"auth": 1} == health.snapshot().backend("a").outcomes_7d
