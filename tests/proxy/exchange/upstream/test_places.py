"""Places at a provider: first come, first served, and none is ever lost, whoever leaves and whenever."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange.upstream.places import NoPlace, Places
from tests.proxy.exchange.saying import Clock

QUEUE_S: Final = 8.0

Task = asyncio.Task[None]


async def settle() -> None:
    """Let everything happen that can happen now."""
    for _ in range(4):
        await asyncio.sleep(0)


async def arrive(places: Places, count: int) -> list[Task]:
    """So many requests ask for a place, one after the other."""
    loop = asyncio.get_running_loop()
    tasks: list[Task] = []
    for _ in range(count):
        tasks.append(loop.create_task(places.take()))
        await settle()
    return tasks


def has_place(task: Task) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


def refusal(task: Task) -> NoPlace:
    failure = task.exception()
    assert isinstance(failure, NoPlace)
    return failure


async def test_free_places_are_taken_at_once() -> None:
    """As many as there are; without a queue the next one is refused at once, and nothing is held against anybody."""
    places = Places("lean", 2, queue_s=0)
    await places.take()
    await places.take()
    assert (2, 0) == (places.in_flight, places.waiting)
    with pytest.raises(NoPlace) as refused:
        await places.take()
    assert "2 requests to provider `lean` are in flight, as many as it is given" == refused.value.message
    assert ("overloaded", 0, False) == (refused.value.kind, refused.value.status, refused.value.again)
    places.leave()
    await places.take()
    assert 2 == places.in_flight


async def test_a_place_that_nobody_waits_for_is_free() -> None:
    """Given back, it can be taken again, and in the end all are free."""
    places = Places("lean", 1, queue_s=0)
    for _ in range(3):
        await places.take()
        places.leave()
        assert (0, 0) == (places.in_flight, places.waiting)


async def test_first_come_first_served(clock: Clock) -> None:
    """Who has waited longest is next, and each place that comes free serves one."""
    places = Places("lean", 1, QUEUE_S)
    await places.take()
    queue = await arrive(places, 4)
    assert (1, 4) == (places.in_flight, places.waiting)
    for served in range(1, 5):
        places.leave()
        await settle()
        assert [number < served for number in range(4)] == [has_place(task) for task in queue]
        assert (1, 4 - served) == (places.in_flight, places.waiting)
    await clock.pass_s(10 * QUEUE_S)
    assert all(has_place(task) for task in queue)
    places.leave()
    assert 0 == places.in_flight


async def test_nobody_overtakes(clock: Clock) -> None:
    """A place given to one who waits cannot be taken by one who comes in the same turn."""
    del clock
    places = Places("lean", 1, QUEUE_S)
    await places.take()
    (first,) = await arrive(places, 1)
    places.leave()
    newcomer = asyncio.get_running_loop().create_task(places.take())
    await settle()
    assert (True, False) == (has_place(first), newcomer.done())
    places.leave()
    await newcomer


async def test_waiting_ends_in_time(clock: Clock) -> None:
    """After `queue_s` and not before; whoever came later waits on and gets the place."""
    places = Places("lean", 1, QUEUE_S)
    await places.take()
    (early,) = await arrive(places, 1)
    await clock.pass_s(QUEUE_S / 2)
    (late,) = await arrive(places, 1)
    await clock.pass_s(QUEUE_S / 2 - 0.5)
    assert not early.done()
    await clock.pass_s(0.5)
    message = "no place at provider `lean` came free within 8 s (1 requests in flight)"
    assert message == refusal(early).message
    assert not refusal(early).again
    assert (1, 1, False) == (places.in_flight, places.waiting, late.done())
    places.leave()
    await settle()
    assert has_place(late)


async def test_who_gives_up_is_forgotten(clock: Clock) -> None:
    """A provider that hangs piles nothing up: time-outs and departures leave no trace in the queue."""
    places = Places("stuck", 1, QUEUE_S)
    await places.take()
    for _ in range(20):
        waiting, leaving = await arrive(places, 2)
        leaving.cancel()
        await clock.pass_s(QUEUE_S)
        assert isinstance(refusal(waiting), NoPlace)
        assert leaving.cancelled()
    assert 0 == len(places._waiting) == places.waiting
    assert 1 == places.in_flight


async def test_leaving_the_queue(clock: Clock) -> None:
    """A request that is cancelled while it waits makes room for the one behind it."""
    del clock
    places = Places("lean", 1, QUEUE_S)
    await places.take()
    first, second, third = await arrive(places, 3)
    second.cancel()
    await settle()
    assert 2 == places.waiting
    places.leave()
    await settle()
    assert (True, True, False) == (has_place(first), second.cancelled(), third.done())
    places.leave()
    await third


@pytest.mark.parametrize("behind", [0, 1, 2])
async def test_leaving_in_the_turn_in_which_the_place_came(clock: Clock, behind: int) -> None:
    """A place given to a request that is cancelled before it could run goes on to the next, or is free."""
    del clock
    places = Places("lean", 1, QUEUE_S)
    await places.take()
    leaving, *others = await arrive(places, 1 + behind)
    places.leave()
    leaving.cancel()
    await settle()
    assert leaving.cancelled()
    assert [True, False][:behind] == [has_place(task) for task in others]
    assert (min(behind, 1), max(behind - 1, 0)) == (places.in_flight, places.waiting)
    for _ in others:
        places.leave()
        await settle()
    assert all(has_place(task) for task in others)
    assert (0, 0) == (places.in_flight, places.waiting)


async def test_all_leave_in_the_turn_in_which_the_place_came(clock: Clock) -> None:
    """The place is handed from one to the next until nobody is left, and is then free."""
    del clock
    places = Places("lean", 1, QUEUE_S)
    await places.take()
    queue = await arrive(places, 3)
    places.leave()
    for task in queue:
        task.cancel()
    await settle()
    assert all(task.cancelled() for task in queue)
    assert (0, 0) == (places.in_flight, places.waiting)


async def test_cancelled_before_the_place_came(clock: Clock) -> None:
    """In the same turn, but the other way round: the place passes the cancelled one by."""
    del clock
    places = Places("lean", 1, QUEUE_S)
    await places.take()
    leaving, other = await arrive(places, 2)
    leaving.cancel()
    places.leave()
    await settle()
    assert (True, True) == (leaving.cancelled(), has_place(other))
    assert (1, 0) == (places.in_flight, places.waiting)


@pytest.mark.parametrize("then", ["leave", "cancel", "leave and cancel", "cancel and leave"])
async def test_in_the_turn_of_the_time_out(clock: Clock, then: str) -> None:
    """Out of time, and a place or the end comes before the request could run: nothing is lost, nobody gets two."""
    places = Places("lean", 1, QUEUE_S)
    await places.take()
    (waiting,) = await arrive(places, 1)

    does: dict[str, Callable[[], object]] = {"leave": places.leave, "cancel": waiting.cancel}

    def happen() -> None:
        for what in then.split(" and "):
            does[what]()

    asyncio.get_running_loop().call_later(QUEUE_S, happen)
    await clock.pass_s(QUEUE_S)
    await settle()
    assert (waiting.cancelled(), 0) == ("cancel" in then, places.waiting)
    if not waiting.cancelled():
        assert isinstance(refusal(waiting), NoPlace)
    assert ("leave" not in then) == bool(places.in_flight)


async def test_a_place_in_the_turn_of_the_time_out(clock: Clock) -> None:
    """A place that came first counts, though time is up before the request runs."""
    places = Places("lean", 1, QUEUE_S)
    await places.take()
    loop = asyncio.get_running_loop()
    loop.call_later(QUEUE_S, places.leave)  # due at the same moment, and asked for first
    waiting = loop.create_task(places.take())
    await settle()
    await clock.pass_s(QUEUE_S)
    await settle()
    assert has_place(waiting)
    assert (1, 0) == (places.in_flight, places.waiting)


# Whatever happens


class ClockedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is moved by hand."""

    now_s = 1000.0

    def time(self) -> float:
        return self.now_s


class Crowd:
    """Requests that come, hold a place, end, are cancelled and run out of time; and what is true all along."""

    def __init__(self, loop: ClockedLoop, max_in_flight: int, queue_s: float) -> None:
        self.places = Places("lean", max_in_flight, queue_s)
        self.holding: list[int] = []
        self.served: list[int] = []
        self._loop = loop
        self._tasks: list[Task] = []
        self._ends: list[asyncio.Event] = []

    def come(self, _: int) -> None:
        self._ends.append(asyncio.Event())
        self._tasks.append(self._loop.create_task(self._visit(len(self._tasks))))

    def end(self, number: int) -> None:
        if self.holding:
            self._ends[self.holding[number % len(self.holding)]].set()

    def cancel(self, number: int) -> None:
        if self._tasks:
            self._tasks[number % len(self._tasks)].cancel()

    def pass_time(self, eighths: int) -> None:
        self._loop.now_s += eighths * QUEUE_S / 8

    async def check(self) -> None:
        await settle()
        assert len(self.holding) == self.places.in_flight <= self.places.max_in_flight
        assert self.places.in_flight == self.places.max_in_flight or not self.places.waiting

    async def go_home(self) -> None:
        while not all(task.done() for task in self._tasks):
            for event in self._ends:
                event.set()
            await settle()
        assert (0, 0, []) == (self.places.in_flight, self.places.waiting, self.holding)
        assert sorted(self.served) == self.served
        for task in self._tasks:
            assert task.cancelled() or isinstance(task.exception(), NoPlace | None)

    async def _visit(self, number: int) -> None:
        queued = self.places.in_flight == self.places.max_in_flight
        await self.places.take()
        if queued:
            # Whoever finds a free place may run before one that was given another in the same turn.
            self.served.append(number)
        self.holding.append(number)
        try:
            assert len(self.holding) <= self.places.max_in_flight
            await self._ends[number].wait()
        finally:
            self.holding.remove(number)
            self.places.leave()


ACTS: Final = st.lists(
    st.tuples(st.sampled_from(["come", "come", "come", "end", "cancel", "pass", "check"]), st.integers(0, 9)),
    max_size=60,
)


@given(acts=ACTS, max_in_flight=st.integers(1, 3), queue_s=st.sampled_from([0.0, QUEUE_S]))
def test_nothing_is_ever_lost(acts: Sequence[tuple[str, int]], max_in_flight: int, queue_s: float) -> None:
    """In whichever turn: never too many, nobody waits beside a free place, order is kept, all is given back."""

    async def play(loop: ClockedLoop) -> None:
        crowd = Crowd(loop, max_in_flight, queue_s)
        does: dict[str, Callable[[int], None]] = {
            "come": crowd.come,
            "end": crowd.end,
            "cancel": crowd.cancel,
            "pass": crowd.pass_time,
        }
        for act, number in acts:
            if act == "check":
                await crowd.check()
            else:
                does[act](number)
        await crowd.check()
        await crowd.go_home()

    loop = ClockedLoop()
    try:
        loop.run_until_complete(play(loop))
    finally:
        loop.close()


@given(st.lists(st.one_of(st.just("take"), st.just("leave"), st.integers(1, 5)), max_size=60))
def test_another_number_of_places(events: Sequence[str | int]) -> None:
    """Whatever the order: places taken are counted on, none is given out above the number, and none is lost."""

    async def story() -> None:
        places = Places("lean", 3, queue_s=100)
        loop = asyncio.get_running_loop()
        tasks: list[Task] = []
        left = 0
        for event in events:
            given = sum(map(has_place, tasks)) - left
            if event == "take":
                tasks.append(loop.create_task(places.take()))
            elif event == "leave" and given:
                places.leave()
                left += 1
            elif isinstance(event, int):
                places.resize(event, 100)
            await settle()
            held = sum(map(has_place, tasks)) - left
            assert held == places.in_flight
            assert places.waiting == sum(not each.done() for each in tasks)
            assert not places.waiting or held >= places.max_in_flight
            assert held <= max(places.max_in_flight, given)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(story())
