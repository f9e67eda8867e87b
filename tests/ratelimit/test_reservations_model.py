"""Random lives of requests beside a plain model of the promise: never above a limit, nothing leaks, nothing is lost.

After every step counters equal facts equal ledger: closing balances, rows and what dead gateways had held.
"""

import asyncio
from collections.abc import Coroutine
from time import time_ns
from typing import Any, TypeVar

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ratelimit.ledger.ledger import Ledger
from ratelimit.ledger.reconcile import reconcile
from ratelimit.limits.bookings import Batch, Booking, Bookings
from ratelimit.limits.lost import Lost
from ratelimit.limits.reservations import HOLD_S, Reservations
from ratelimit.limits.types import Account, Claim, Row, Scope, account
from ratelimit.store import keys as spelled
from ratelimit.store.address import parse_address
from ratelimit.store.store import Store
from tests.ratelimit.clocks import PATIENT_MS, Offset
from tests.support.valkey import PrivateServer

SECOND_US = 1_000_000
HOUR_S = 3600
DAY_US = 86_400 * SECOND_US

Result = TypeVar("Result")


class Life(RuleBasedStateMachine):
    """One customer with two keys. Totals in micro-dollars; a request holds a bound and uses up to it, rarely more.

    `held` and `gone` are the reservations under way and those of dead gateways, with their bounds; `freed` those of
    dead gateways that were released; `spent` is what has been settled. Rows are kept for a day.
    """

    server: PrivateServer
    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        super().__init__()
        self.offset = Offset()
        self.number = 0
        self.limit = 1000
        self.held: dict[str, int] = {}
        self.gone: dict[str, int] = {}
        self.freed: dict[str, int] = {}
        self.spent = 0
        self.rows = 0
        self.settled = 0

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.loop.run_until_complete(work)

    @initialize()
    def begin(self) -> None:
        self.store = Store.for_tests(
            parse_address(self.server.url), timeout_ms=PATIENT_MS, offset_us=self.offset
        )
        self.run(self.store.open())
        self.run(self.store.call("FLUSHALL"))
        self.reservations = Reservations(self.store, rows_kept_days=1)
        self.lost = Lost(self.store, rows_kept_days=1)
        self.bookings = Bookings(self.store, rows_kept_days=1)
        self.ledger = Ledger(self.store, rows_kept_days=1)

    def teardown(self) -> None:
        try:
            self.settle_everything()
        finally:
            self.run(self.store.close())

    def who(self, key: str) -> Account:
        return account(
            "acme",
            (
                Scope("customer", "acme", {"usd_total": self.limit / 1_000_000, "in_flight": 6}),
                Scope("key", key, {"tokens_per_day": 5_000}),
            ),
        )

    @rule(bound=st.integers(0, 400), key=st.sampled_from(["k1", "k2"]))
    def admit(self, bound: int, key: str) -> None:
        self.number += 1
        name = f"r{self.number}"
        claim = Claim(name, 1, tokens=bound, microusd=bound, minute_tokens=bound)
        decision = self.run(self.reservations.admit(self.who(key), claim, soft_ratio=0.8))
        fits = self.spent + sum(self.held.values()) + sum(self.gone.values()) + bound <= self.limit
        if decision.allowed:
            assert fits, "above the limit"
            assert len(self.held) < 6
            self.held[name] = bound
        else:
            assert decision.refusal is not None
            assert decision.refusal.limit in ("usd_total", "in_flight", "tokens_per_day")
            if decision.refusal.limit == "usd_total":
                assert not fits or self.limit == 0, "refused although there was room"

    @precondition(lambda self: self.held)
    @rule(data=st.data(), share=st.floats(0, 1), twice=st.booleans())
    def settle(self, data: st.DataObject, share: float, *, twice: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.held)))
        used = int(self.held.pop(name) * share)
        self.finish(name, used)
        if twice:
            assert not self.run(self.settle_call(name, used)).now

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def overrun(self, data: st.DataObject) -> None:
        """A provider reports more than was held."""
        name = data.draw(st.sampled_from(sorted(self.held)))
        bound = self.held.pop(name)
        assert self.finish(name, bound + 7)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        """A request that never ran."""
        name = data.draw(st.sampled_from(sorted(self.held)))
        del self.held[name]
        assert self.run(self.reservations.settle(self.who("k1"), name, tokens=0, microusd=0, mode="void")).now

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def gateway_dies(self, data: st.DataObject) -> None:
        """Some are renewed no more: taken for lost, their money stays spent."""
        dead = data.draw(st.sets(st.sampled_from(sorted(self.held)), min_size=1))
        alive = [name for name in self.held if name not in dead]
        for _ in range(2):
            self.offset.us += int(HOLD_S * SECOND_US) // 2 + SECOND_US
            if alive:
                assert [] == self.run(self.reservations.renew("acme", alive))
        for name in dead:
            self.gone[name] = self.held.pop(name)

    @precondition(lambda self: self.gone)
    @rule(data=st.data(), share=st.floats(0, 1))
    def late(self, data: st.DataObject, share: float) -> None:
        """A gateway that only hung settles after all."""
        name = data.draw(st.sampled_from(sorted(self.gone)))
        self.finish(name, int(self.gone.pop(name) * share))

    @precondition(lambda self: self.gone)
    @rule(data=st.data(), everything=st.booleans())
    def released(self, data: st.DataObject, *, everything: bool) -> None:
        """An operator gives back what dead gateways had held."""
        names = sorted(self.gone)
        if not everything:
            names = sorted(data.draw(st.sets(st.sampled_from(names), min_size=1)))
        done = self.run(self.lost.release("acme", [] if everything else [*names, "unknown"]))
        assert {(name, self.gone[name]) for name in names} == {
            (each.reservation_id, each.microusd) for each in done
        }
        for name in names:
            self.freed[name] = self.gone.pop(name)
            self.rows += 1

    @precondition(lambda self: self.freed)
    @rule(data=st.data(), share=st.floats(0, 1))
    def late_after_release(self, data: st.DataObject, share: float) -> None:
        """A gateway that only hung settles what was released: it is booked, once."""
        name = data.draw(st.sampled_from(sorted(self.freed)))
        used = int(self.freed.pop(name) * share)
        self.finish(name, used)
        assert not self.run(self.settle_call(name, used)).now

    @rule(used=st.lists(st.integers(0, 20), min_size=1, max_size=3), twice=st.booleans())
    def booked(self, used: list[int], *, twice: bool) -> None:
        """What ran without a hold is booked afterwards, a batch at a time."""
        self.number += 1
        batch = Batch(
            "acme",
            "a gateway",
            self.number,
            tuple(Booking(("c", "k:k2"), self.now_us(), each, each, row_of("booked", each)) for each in used),
        )
        assert [True, False][: 1 + twice] == [self.run(self.bookings.book(batch)) for _ in range(1 + twice)]
        self.spent += sum(used)
        self.rows += len(used)
        self.settled += len(used)

    @rule()
    def trimmed(self) -> None:
        """What the background does where nobody settles."""
        self.run(self.ledger.trim("acme"))

    @rule(limit=st.integers(0, 2000))
    def limit_changes(self, limit: int) -> None:
        self.limit = limit

    @rule(hours=st.integers(1, 30))
    def time_passes(self, hours: int) -> None:
        """Everything that runs is renewed."""
        for _ in range(hours):
            if self.held:
                self.run(self.reservations.renew("acme", list(self.held)))
            if hours < 3 or not self.held:
                self.offset.us += (20 if self.held else HOUR_S) * SECOND_US

    @invariant()
    def counters_are_facts(self) -> None:
        """What the store counts is what the model knows, and the ledger, scope by scope, is both."""
        if not hasattr(self, "store"):
            return
        lost = self.run(self.lost.listed("acme"))
        assert self.gone == {each.reservation_id: each.microusd for each in lost}
        look = self.run(self.reservations.look(self.who("k1")))[0]
        assert (self.spent + sum(self.gone.values()), sum(self.held.values())) == (
            look.total.spent_microusd,
            look.total.held_microusd,
        )
        assert len(self.held) == look.in_flight
        books = self.run(reconcile(self.store, "acme"))
        assert () == books.differences
        assert self.spent == books.booked.microusd + books.closed.microusd
        assert sum(self.gone.values()) == books.lost.microusd
        assert books.rows <= self.rows

    def settle_call(self, name: str, used: int) -> Any:
        return self.reservations.settle(
            self.who("k1"),
            name,
            tokens=used,
            microusd=used,
            row=row_of(name, used),
            admitted_us=self.now_us(),
        )

    def now_us(self) -> int:
        """When what is not held any more is taken to have been admitted."""
        return time_ns() // 1000 + self.offset.us

    def finish(self, name: str, used: int) -> bool:
        settled = self.run(self.settle_call(name, used))
        assert settled.now
        self.spent += used
        self.rows += 1
        self.settled += 1
        over: bool = settled.over
        return over

    def settle_everything(self) -> None:
        """After all settlements nothing is held, and counters equal facts equal ledger equal figures of all days."""
        for name in [*self.held, *self.gone]:
            self.finish(name, 1)
        self.held, self.gone = {}, {}
        for names in (spelled.held, spelled.lost, spelled.due):
            assert 0 == self.run(self.store.call("EXISTS", names("acme")))
        today = self.run(self.reservations.look(self.who("k1")))[0].at_us // DAY_US
        figures = [
            each.figures
            for each in self.run(self.ledger.figures("acme", today - self.offset.us // DAY_US - 1, today))
        ]
        assert (self.settled, self.spent) == tuple(map(sum, zip((0, 0), *figures, strict=True)))
        self.limit = self.spent + 5
        claim = Claim("last", 1, tokens=0, microusd=6, minute_tokens=0)
        refused = self.run(self.reservations.admit(self.who("k3"), claim, soft_ratio=0.8)).refusal
        assert refused is not None
        assert ("usd_total", self.spent) == (refused.limit, refused.used)
        fits = claim._replace(microusd=5)
        assert self.run(self.reservations.admit(self.who("k3"), fits, soft_ratio=0.8)).allowed


def row_of(name: str, used: int) -> Row:
    return Row(orjson.dumps([name]), b'["k","m","b",[]]', (1, used))


def test_lives(shared_server: PrivateServer) -> None:
    """Admits, settlements, aborts, overruns, dead gateways and changed limits in any order."""
    loop = asyncio.new_event_loop()

    class Here(Life):
        server = shared_server

    Here.loop = loop
    try:
        machine = Here.TestCase
        machine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
        machine().runTest()
    finally:
        loop.close()
