"""Circuits: what opens them, for how long, and how they close, over several gateways on one store."""

import asyncio
import random
from collections.abc import Callable

import pytest

from ratelimit.health.circuits import PROBE_LEASE_S
from ratelimit.health.health import Health
from ratelimit.health.news import LONGEST_COOL_DOWN_S, LONGEST_RETRY_AFTER_S, REFUSED_COOL_DOWN_S
from ratelimit.health.summary import Kind
from ratelimit.health.types import BreakerRules, Probe, Target
from ratelimit.store.store import Store
from tests.ratelimit.clocks import Clock, Offset
from tests.ratelimit.health_gateways import KEY, RULES, Gateway, Times

OTHER_KEY = "provider/2"
# The server's own clock runs on during a test; waits may be shorter by this much.
SLACK_S = 2.0


@pytest.fixture
async def times(store: Store, clock: Clock, offset: Offset) -> Times:
    times = Times(clock, offset)
    await times.begin(store)
    return times


@pytest.fixture
async def three(store: Store, clock: Clock, times: Times) -> tuple[Gateway, Gateway, Gateway]:
    """Three gateways that have looked once."""
    del times
    gateways = (Gateway(store, clock), Gateway(store, clock), Gateway(store, clock))
    await beat(*gateways)
    return gateways


Three = tuple[Gateway, Gateway, Gateway]


async def beat(*gateways: Gateway) -> None:
    for gateway in gateways:
        await gateway.beat()


async def break_a(gateway: Gateway) -> None:
    """Ten faults in a row."""
    gateway.note("overloaded", 10)
    await gateway.beat()


@pytest.mark.parametrize(
    ("ok", "faults", "state"),
    [(0, 9, "closed"), (0, 10, "open"), (5, 5, "open"), (6, 5, "closed"), (500, 0, "closed")],
)
async def test_error_ratio(three: Three, ok: int, faults: int, state: str) -> None:
    """Half of ten attempts within a minute open a backend for everybody; fewer do not."""
    one, two, _ = three
    one.note("ok", ok)
    one.note("timeout", faults)
    await beat(one, two)
    assert [state, state] == [one.state(), two.state()]
    assert ([("a", "", "opened", "errors")] if state == "open" else []) == one.whats()
    assert [] == two.whats()


async def test_gathered_from_all(three: Three) -> None:
    """Four faults at each of three gateways are twelve."""
    for gateway in three:
        gateway.note("unreachable", 4)
    await beat(*three, *three)
    assert ["open"] * 3 == [gateway.state() for gateway in three]
    assert 1 == sum(len(gateway.told) for gateway in three)


async def test_within_a_minute(three: Three, times: Times) -> None:
    """Faults of more than a minute ago do not open a backend."""
    one, _, _ = three
    one.note("timeout", 9)
    await beat(one)
    times.pass_s(70)
    one.note("timeout", 9)
    await beat(one)
    assert "closed" == one.state()
    times.pass_s(35)
    one.note("timeout", 1)
    await beat(one)
    assert "open" == one.state()


@pytest.mark.parametrize("kind", ["rate_limited", "bad_request", "client_gone", "cancelled"])
async def test_not_to_blame(three: Three, kind: Kind) -> None:
    """What is not a provider's fault opens nothing, however often."""
    one, _, _ = three
    one.note(kind, 100)
    await beat(one)
    assert "closed" == one.state()
    one.note("ok", 10)
    one.note("timeout", 9)
    await beat(one)
    assert "closed" == one.state()


async def test_no_fault_no_opening(store: Store, clock: Clock) -> None:
    """A ratio of 0 opens on the first fault of enough attempts, never without one."""
    gateway = Gateway(store, clock, rules=BreakerRules(error_ratio=0.0, min_requests=5, cool_down_s=1.0))
    await gateway.beat()
    gateway.note("ok", 20)
    await gateway.beat()
    assert "closed" == gateway.state()
    gateway.note("timeout")
    await gateway.beat()
    assert "open" == gateway.state()


async def test_other_rules(store: Store, clock: Clock) -> None:
    """Rules may change while it runs, with the store and alone."""
    for known in (True, False):
        gateway = Gateway(store, clock)
        if known:
            await gateway.beat()
        gateway.note("timeout", 9)
        gateway.health.watch(["a"], BreakerRules(min_requests=3, cool_down_s=5))
        gateway.note("timeout")
        if known:
            await gateway.beat()
        assert "open" == gateway.state()
        assert 5 >= gateway.circuit().open_for_s
        await store.call_all("FLUSHALL")


async def test_switched_off(store: Store, clock: Clock) -> None:
    """A cool-down of 0 opens nothing, whatever the reason: with the store and alone."""
    gateway = Gateway(store, clock, rules=BreakerRules(error_ratio=0.0, min_requests=1, cool_down_s=0.0))
    for _ in range(2):
        gateway.note("timeout", 9)
        gateway.note("overloaded", retry_after_s=30)
        gateway.note("auth")
        gateway.note("not_found")
        assert "closed" == gateway.state()
        await gateway.beat()
        assert "closed" == gateway.state()
    assert [] == gateway.told


async def test_blip(three: Three, times: Times) -> None:
    """A backend that failed for a moment is passed over by all, tried once, and used again by all."""
    one, two, three_ = three
    await break_a(one)
    await beat(two, three_)
    assert ["open"] * 3 == [gateway.state() for gateway in three]
    assert two.circuit().open_for_s == pytest.approx(10, abs=SLACK_S)
    assert "errors" == two.circuit().reason
    assert await two.health.take_probe("a", KEY) is None
    times.pass_s(10.5)
    assert ["due"] * 3 == [gateway.state() for gateway in three]
    probe = await two.health.take_probe("a", KEY)
    assert probe is not None
    assert (Target("a", ""),) == probe.targets
    two.note("ok", probe=probe)
    assert "closed" == two.state()
    await beat(two, one, three_)
    assert ["closed"] * 3 == [gateway.state() for gateway in three]
    assert [("a", "", "closed", "errors")] == two.whats()
    # The minute before it closed is not held against it.
    one.note("timeout", 9)
    await beat(one)
    assert "closed" == one.state()


async def test_one_probe(store: Store, clock: Clock, three: Three, times: Times) -> None:
    """Of all who want to probe at once, over all gateways, one may."""
    await break_a(three[0])
    await beat(*three)
    times.pass_s(11)
    taken = await asyncio.gather(
        *(gateway.health.take_probe("a", KEY) for gateway in three for _ in range(30))
    )
    assert 1 == len([probe for probe in taken if probe is not None])
    newcomer = Gateway(store, clock)
    await newcomer.beat()
    assert "half_open" == newcomer.state()


async def test_failed_probe(three: Three, times: Times) -> None:
    """Each probe that fails doubles the wait, up to a limit; one that passes forgets the doubling."""
    one, two, _ = three
    await break_a(one)
    waits: list[float] = []
    for _ in range(8):
        await two.beat()
        times.pass_s(two.circuit().open_for_s + 0.5)
        probe = await two.health.take_probe("a", KEY)
        assert probe is not None
        two.note("timeout", probe=probe)
        here = two.circuit().open_for_s
        await beat(two, one)
        assert one.circuit().open_for_s == pytest.approx(here, abs=SLACK_S)
        waits.append(one.circuit().open_for_s)
    expected = [20, 40, 80, 160, 320, LONGEST_COOL_DOWN_S, LONGEST_COOL_DOWN_S, LONGEST_COOL_DOWN_S]
    assert waits == pytest.approx(expected, abs=SLACK_S)
    assert ("a", "", "reopened", "errors") == two.whats()[0]
    times.pass_s(LONGEST_COOL_DOWN_S + 1)
    probe = await two.health.take_probe("a", KEY)
    assert probe is not None
    two.note("ok", probe=probe)
    await two.beat()
    await break_a(two)
    assert two.circuit().open_for_s == pytest.approx(10, abs=SLACK_S)


async def test_dead_prober(three: Three, times: Times) -> None:
    """A gateway that dies while it probes keeps nobody from probing for longer than the lease."""
    one, two, _ = three
    await break_a(one)
    times.pass_s(11)
    await two.beat()
    assert await one.health.take_probe("a", KEY) is not None
    assert await two.health.take_probe("a", KEY) is None
    assert "half_open" == two.state()
    times.pass_s(PROBE_LEASE_S + 0.5)
    await two.beat()
    assert "due" == two.state()
    assert await two.health.take_probe("a", KEY) is not None


async def test_given_back(three: Three, times: Times) -> None:
    """A probe that nobody used is anybody's at once, and counts nowhere."""
    one, two, _ = three
    await break_a(one)
    times.pass_s(11)
    await two.beat()
    probe = await one.health.take_probe("a", KEY)
    assert probe is not None
    one.health.give_back(probe)
    await one.beat()
    assert ["due", "due"] == [one.state(), two.state()]
    assert await two.health.take_probe("a", KEY) is not None
    assert {"overloaded": 10} == one.health.snapshot().backend("a").outcomes_7d


async def test_late_prober(three: Three, times: Times) -> None:
    """A prober whose lease has gone to another changes nothing any more."""
    one, two, _ = three
    await break_a(one)
    times.pass_s(11)
    await two.beat()
    late = await one.health.take_probe("a", KEY)
    times.pass_s(PROBE_LEASE_S + 1)
    await two.beat()
    probe = await two.health.take_probe("a", KEY)
    one.note("timeout", probe=late)
    await beat(one, two)
    assert "half_open" == two.state()
    two.note("ok", probe=probe)
    await beat(two, one)
    assert ["closed", "closed"] == [one.state(), two.state()]


@pytest.mark.parametrize("kind", ["bad_request", "client_gone", "cancelled", "auth", "rate_limited"])
async def test_unclear_probe(three: Three, times: Times, kind: Kind) -> None:
    """A probe whose outcome says little about the backend frees it for the next probe at once, bar a rate limit."""
    one, _, _ = three
    await break_a(one)
    times.pass_s(11)
    probe = await one.health.take_probe("a", KEY)
    one.note(kind, probe=probe)
    await one.beat()
    assert ("open" if kind == "rate_limited" else "due") == one.state(key=OTHER_KEY)


async def test_answer_begins(three: Three, times: Times) -> None:
    """A probe closes the circuit when its answer begins; that it breaks later is counted, and no more."""
    one, two, _ = three
    await break_a(one)
    times.pass_s(11)
    probe = await one.health.take_probe("a", KEY)
    assert probe is not None
    one.health.probe_answers(probe)
    await beat(one, two)
    assert ["closed", "closed"] == [one.state(), two.state()]
    one.note("timeout", probe=probe)
    await beat(one, two)
    assert ["closed", "closed"] == [one.state(), two.state()]
    assert [("a", "", "opened", "errors"), ("a", "", "closed", "errors")] == one.whats()
    assert 11 == two.health.snapshot().backend("a").outcomes_7d["overloaded"] + 1


async def test_closed_meanwhile(three: Three, times: Times) -> None:
    """Who wants to probe what another has closed in the meantime may just use it."""
    one, two, _ = three
    await break_a(one)
    await two.beat()
    times.pass_s(11)
    probe = await one.health.take_probe("a", KEY)
    one.note("ok", probe=probe)
    await one.beat()
    assert "due" == two.state()
    free = await two.health.take_probe("a", KEY)
    assert free is not None
    assert () == free.targets
    assert "closed" == two.state()


@pytest.mark.parametrize("kind", ["overloaded", "timeout"])
async def test_retry_after(three: Three, times: Times, kind: Kind) -> None:
    """A wait that a provider asks for is kept by all; of two the later end counts, in whatever order they come."""
    one, two, _ = three
    one.note(kind, retry_after_s=30)
    assert "open" == one.state()
    await beat(one, two)
    assert two.circuit().open_for_s == pytest.approx(30, abs=SLACK_S)
    assert "retry_after" == two.circuit().reason
    two.note(kind, retry_after_s=5)
    await beat(two, one)
    assert one.circuit().open_for_s == pytest.approx(30, abs=SLACK_S)
    times.pass_s(20)
    one.note(kind, retry_after_s=40)
    await beat(one, two)
    assert two.circuit().open_for_s == pytest.approx(40, abs=SLACK_S)
    times.pass_s(39)
    assert "open" == two.state()
    times.pass_s(2)
    assert "due" == two.state()


async def test_retry_after_and_errors(three: Three) -> None:
    """An opening on errors never shortens a wait that was asked for."""
    one, two, _ = three
    one.note("overloaded", retry_after_s=50)
    one.note("overloaded", 20)
    await beat(one, two)
    assert two.circuit().open_for_s == pytest.approx(50, abs=SLACK_S)


async def test_doubled_wait(three: Three, times: Times) -> None:
    """A probe that fails doubles the longest wait so far, not the first one."""
    one, two, _ = three
    one.note("overloaded", retry_after_s=10)
    await one.beat()
    two.note("overloaded", retry_after_s=40)
    await beat(two, one)
    times.pass_s(42)
    probe = await one.health.take_probe("a", KEY)
    one.note("timeout", probe=probe)
    await beat(one, two)
    assert two.circuit().open_for_s == pytest.approx(80, abs=SLACK_S)


async def test_straggler(three: Three, times: Times) -> None:
    """What an older request met is answered by a probe that passes after it."""
    one, two, _ = three
    await break_a(one)
    times.pass_s(11)
    probe = await one.health.take_probe("a", KEY)
    one.note("overloaded", retry_after_s=100)
    one.note("ok", probe=probe)
    await beat(one, two)
    assert ["closed", "closed"] == [one.state(), two.state()]


async def test_all_are_heard(three: Three) -> None:
    """A gateway whose own requests all failed does not judge alone while others are answered."""
    one, two, _ = three
    two.note("ok", 20)
    await two.beat()
    one.note("timeout", 15)
    assert "closed" == one.state()
    await one.beat()
    assert "closed" == one.state()


async def test_faults_are_urgent(store: Store, clock: Clock) -> None:
    """A fault, a wait and a probe's end do not wait for the second to pass; answers do."""
    gateway = Gateway(store, clock)
    urgent = gateway.health._urgent
    gateway.note("ok", 100)
    gateway.note("rate_limited")
    gateway.note("bad_request")
    assert not urgent.is_set()
    news: list[tuple[Kind, float | None]] = [("timeout", None), ("rate_limited", 1.0), ("auth", None)]
    for kind, retry_after_s in news:
        urgent.clear()
        gateway.note(kind, retry_after_s=retry_after_s)
        assert urgent.is_set()
    urgent.clear()
    gateway.note("ok", probe=Probe("token", ()))
    assert urgent.is_set()


async def test_retry_after_is_bounded(three: Three) -> None:
    """A date far off is looked at again after an hour; a wait of nothing is none."""
    one, two, _ = three
    one.note("overloaded", retry_after_s=10**9)
    one.note("overloaded", backend="b", retry_after_s=0)
    await beat(one, two)
    assert two.circuit().open_for_s == pytest.approx(LONGEST_RETRY_AFTER_S, abs=SLACK_S)
    assert "closed" == two.state("b")


async def test_rate_limit_is_of_both(three: Three) -> None:
    """A rate limit passes over this backend with this key: not with another key, nor the key elsewhere."""
    one, two, _ = three
    one.note("rate_limited", retry_after_s=30)
    one.note("rate_limited", backend="b", key=None, retry_after_s=30)
    await beat(one, two)
    assert ["open", "closed", "closed"] == [two.state(), two.state("a", OTHER_KEY), two.state("c", KEY)]
    assert ["open", "open"] == [two.state("b", None), two.state("b", KEY)]


async def test_auth(three: Three, times: Times) -> None:
    """A refused credential is passed over with every backend, and one gateway tells of it once."""
    one, two, other = three
    for gateway in three:
        gateway.note("auth", 3)
    await beat(*three, *three)
    assert ["open", "open", "closed"] == [two.state(), two.state("b"), two.state("a", OTHER_KEY)]
    assert other.circuit().open_for_s == pytest.approx(REFUSED_COOL_DOWN_S, abs=SLACK_S)
    told = [change for gateway in three for change in gateway.told]
    assert [("", KEY, "opened", "auth")] == one.whats()
    assert [True] == [change.alert for change in told]
    times.pass_s(REFUSED_COOL_DOWN_S + 1)
    probe = await two.health.take_probe("b", KEY)
    two.note("auth", backend="b", probe=probe)
    await beat(two)
    assert two.circuit().open_for_s == pytest.approx(2 * REFUSED_COOL_DOWN_S, abs=SLACK_S)
    assert [("", KEY, "reopened", "auth")] == two.whats()
    assert not two.told[0].alert
    times.pass_s(2 * REFUSED_COOL_DOWN_S + 1)
    probe = await two.health.take_probe("b", KEY)
    two.note("ok", backend="b", probe=probe)
    await beat(two)
    two.note("auth")
    await beat(two)
    assert [False, False, True] == [change.alert for change in two.told]


async def test_auth_of_one_backend(three: Three, times: Times) -> None:
    """A key that may not use one backend serves the others; a probe fails or closes what it was taken for."""
    for each in three:
        await each.beat()
    three[0].health.note(backend="a", provider_key_id=KEY, kind="auth", elsewhere_good=True)
    await beat(*three)
    for each in three:
        assert ("open", "closed", "closed") == (
            each.state("a"),
            each.state("b"),
            each.state("a", "provider/2"),
        )
    assert [("a", KEY, "opened", "auth")] == three[0].whats()
    times.pass_s(REFUSED_COOL_DOWN_S + 1)
    probe = await three[1].health.take_probe("a", KEY)
    assert probe is not None
    three[1].health.note(backend="a", provider_key_id=KEY, kind="auth", elsewhere_good=True, probe=probe)
    await beat(*three)
    assert "open" == three[2].state()
    times.pass_s(2 * REFUSED_COOL_DOWN_S + 1)
    probe = await three[1].health.take_probe("a", KEY)
    three[1].note("ok", probe=probe)
    await beat(*three, *three)
    assert ["closed"] * 3 == [each.state() for each in three]


async def test_auth_without_key(three: Three) -> None:
    """Where no key is told apart, a refusal opens the backend; the alert is not lost on one that is open already."""
    one, two, _ = three
    await break_a(one)
    two.note("auth", key=None)
    two.note("overloaded", key=None, retry_after_s=100)
    await beat(two, one)
    assert [("a", "", "opened", "auth")] == two.whats()
    assert "auth" == one.circuit().reason
    assert one.circuit().open_for_s == pytest.approx(100, abs=SLACK_S)


async def test_not_found(three: Three) -> None:
    """A model that the provider does not know is passed over, its key is not."""
    one, two, _ = three
    one.note("not_found")
    await beat(one, two)
    assert ["open", "open", "closed"] == [two.state(), two.state("a", OTHER_KEY), two.state("b")]
    assert "not_found" == two.circuit().reason
    assert [False] == [change.alert for change in one.told]


async def test_probe_for_several(three: Three, times: Times) -> None:
    """One probe tries all circuits that stand in the way, or none; a fault is held against the one to blame."""
    one, two, _ = three
    one.note("auth")
    await beat(one)
    times.pass_s(REFUSED_COOL_DOWN_S - 5)
    await break_a(one)
    times.pass_s(6)
    assert await one.health.take_probe("a", KEY) is None
    await two.beat()
    assert ["open", "due"] == [two.state(), two.state("b")]
    times.pass_s(5)
    probe = await two.health.take_probe("a", KEY)
    assert probe is not None
    assert {Target("a", ""), Target("", KEY)} == set(probe.targets)
    two.note("timeout", probe=probe)
    await beat(two)
    assert ["open", "due"] == [two.state(), two.state("b")]


async def test_forgotten(three: Three, store: Store, times: Times) -> None:
    """A circuit that nobody asked for an hour after its cool-down is closed, and nothing is left of it."""
    one, two, _ = three
    await break_a(one)
    left_ms = await store.call("PTTL", "hg:{health}:circuits")
    assert isinstance(left_ms, int)
    assert 3_600_000 < left_ms < 3_700_000
    times.pass_s(3600)
    await two.beat()
    assert "due" == two.state()
    times.pass_s(20)
    await two.beat()
    assert "closed" == two.state()
    assert 0 == await store.call("HLEN", "hg:{health}:circuits")


async def test_long_wait_is_kept(three: Three, store: Store, times: Times) -> None:
    """A short opening does not cut the life of a long one that is stored beside it."""
    one, _, _ = three
    one.note("overloaded", retry_after_s=3000)
    await one.beat()
    times.pass_s(1)
    one.note("overloaded", backend="b", retry_after_s=1)
    await one.beat()
    left_ms = await store.call("PTTL", "hg:{health}:circuits")
    assert isinstance(left_ms, int)
    assert left_ms > 6_500_000


async def test_agreement(three: Three, times: Times) -> None:
    """Whatever three gateways meet in whatever order, after a look they agree, and every circuit closes again."""
    chosen = random.Random(5)
    kinds: list[Kind] = ["ok", "timeout", "overloaded", "rate_limited", "auth", "not_found", "cancelled"]
    for _ in range(400):
        gateway = chosen.choice(three)
        backend, key = chosen.choice("ab"), chosen.choice([KEY, OTHER_KEY])
        probe = (
            await gateway.health.take_probe(backend, key) if gateway.state(backend, key) == "due" else None
        )
        kind: Kind = chosen.choices(kinds, [20, 8, 8, 4, 1, 1, 2])[0]
        wait_s = chosen.choice([None, None, 1.0, 20.0])
        gateway.note(kind, backend=backend, key=key, retry_after_s=wait_s, probe=probe)
        if chosen.random() < 0.3:
            await gateway.beat()
        times.pass_s(chosen.choice([0.1, 1, 5]))
    await beat(*three, *three)
    pairs = [(backend, key) for backend in "ab" for key in (KEY, OTHER_KEY)]
    for pair in pairs:
        assert 1 == len({gateway.circuit(*pair).reason for gateway in three})
        waits = [gateway.circuit(*pair).open_for_s for gateway in three]
        assert waits == pytest.approx([waits[0]] * 3, abs=SLACK_S)
    times.pass_s(LONGEST_COOL_DOWN_S)
    for gateway, pair in zip((*three, *three), pairs, strict=False):
        await gateway.beat()
        if gateway.state(*pair) != "closed":
            probe = await gateway.health.take_probe(*pair)
            assert probe is not None
            gateway.note("ok", backend=pair[0], key=pair[1], probe=probe)
            await gateway.beat()
    await beat(*three)
    assert {"closed"} == {gateway.state(*pair) for gateway in three for pair in pairs}


async def test_within_two_seconds(store: Store) -> None:
    """What one gateway has seen to be broken, the others pass over within two seconds."""
    loop = asyncio.get_running_loop()
    healths = [Health(store, backends=("a",), rules=RULES, clock_s=loop.time) for _ in range(3)]
    opened = asyncio.Event()

    async def until(holds: Callable[[Health], bool]) -> None:
        for _ in range(1000):
            if all(holds(health) for health in healths):
                return
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(health.run(lambda _: opened.set())) for health in healths]
        # All have just looked, and look again in a second.
        await until(lambda health: health.snapshot().age_s < 60)
        for _ in range(10):
            healths[0].note(backend="a", provider_key_id=KEY, kind="unreachable")
        begun_s = loop.time()
        await opened.wait()
        await until(lambda health: health.snapshot().circuit("a", KEY).state == "open")
        assert loop.time() - begun_s < 2
        for task in running:
            task.cancel()
