"""Who may run, who is told what, and what becomes of an admission whose answer never came."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from proxy.exchange.errors import Refused
from proxy.exchange.money.admission import Admissions, Smaller, Terms
from proxy.exchange.money.bounds import Bound
from ratelimit.limits.bookings import Bookings
from ratelimit.limits.reservations import Reservations
from ratelimit.limits.settling import Settler
from ratelimit.limits.types import Account, Claim, Decision, Room
from ratelimit.store.address import parse_address
from ratelimit.store.errors import StoreFault, StoreUnavailable
from ratelimit.store.store import Store
from ratelimit.subjects.types import Scope, Subject
from tests.support.valkey import PrivateServer

WAIT_S = 20.0
TIMEOUT_S = 1.0
SMALL = Bound(10, 10, 10)


class Told:
    def fault(self, what: str, fault: StoreFault) -> None:
        raise AssertionError((what, fault))

    def unsettled(self, count: int) -> None:
        del count


@dataclass
class Counted:
    refusals: list[tuple[str, str]] = field(default_factory=list)
    soft: list[tuple[str, str]] = field(default_factory=list)

    def limit_refused(self, scope: str, limit: str) -> None:
        self.refusals.append((scope, limit))

    def soft_limit(self, scope: str, limit: str) -> None:
        self.soft.append((scope, limit))


class Forgetful(Reservations):
    """Its next answers are lost on the way, after the store has done what it was asked."""

    __slots__ = ("asked", "lost")

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.lost = 0
        self.asked: list[Claim] = []

    async def admit(
        self, account: Account, claim: Claim, *, soft_ratio: float, hold_s: float = 28.0
    ) -> Decision:
        self.asked.append(claim)
        decision = await super().admit(account, claim, soft_ratio=soft_ratio, hold_s=hold_s)
        if self.lost:
            self.lost -= 1
            raise StoreUnavailable("the connection was lost")
        return decision


@dataclass
class Gate:
    """Admissions on a real store."""

    admissions: Admissions
    reservations: Forgetful
    settler: Settler
    counted: Counted
    server: PrivateServer

    def account(self, **limits: float) -> Account:
        return self.admissions.account(subject(limits), "m")

    async def idle(self) -> None:
        assert await self.settler.emptied(WAIT_S)


def subject(
    limits: Mapping[str, float], key_id: str = "k", models: Mapping[str, Mapping[str, float]] | None = None
) -> Subject:
    scopes = [Scope("customer", "acme", limits), Scope("key", key_id, {})]
    scopes += [Scope("model", name, given) for name, given in (models or {}).items()]
    return Subject(
        key_id,
        "acme",
        None,
        None,
        "normal",
        None,
        None,
        models or {},
        scopes=tuple(scopes),
    )


@pytest.fixture
async def store(request: pytest.FixtureRequest) -> AsyncIterator[tuple[PrivateServer, Store]]:
    del request
    with PrivateServer() as server:
        store = Store(parse_address(server.url), timeout_ms=TIMEOUT_S * 1000)
        await store.open()
        yield server, store
        await store.close()


@asynccontextmanager
async def gate_on(store: tuple[PrivateServer, Store], *, open_on_outage: bool = False) -> AsyncIterator[Gate]:
    server, opened = store
    reservations = Forgetful(opened)
    settler = Settler(reservations, Bookings(opened), booker="g", clock=lambda: 0.0, told=Told())
    counted = Counted()
    admissions = Admissions(
        reservations,
        settler,
        Terms(open_on_outage, 0.8, TIMEOUT_S),
        counted,
        wall_clock_s=lambda: 1_767_225_600.0,
    )
    async with settler.running(settle_s=WAIT_S):
        yield Gate(admissions, reservations, settler, counted, server)


async def refused(gate: Gate, account: Account, name: str = "late", bound: Bound = SMALL) -> Refused:
    with pytest.raises(Refused) as caught:
        await gate.admissions.admit(account, name, bound)
    return caught.value


async def used_microusd(gate: Gate) -> int:
    found = await refused(gate, gate.account(usd_total=1000), "too-large", Bound(0, 10**13, 0))
    used_usd: float = found.details["used"]
    return round(used_usd * 1_000_000)


async def test_without_limits(store: tuple[PrivateServer, Store]) -> None:
    """Nothing is asked before, and everything is counted afterwards, once."""
    async with gate_on(store) as gate:
        account = gate.account()
        admission = await gate.admissions.admit(account, "a", SMALL)
        assert (False, [], ()) == (admission.held, gate.reservations.asked, admission.headers)
        gate.admissions.settle(admission, "a", tokens=5, microusd=70)
        await gate.idle()
        assert 70 == await used_microusd(gate)


@pytest.mark.parametrize("limits", [{}, {"usd_total": 1}])
async def test_away_and_closed(store: tuple[PrivateServer, Store], limits: Mapping[str, float]) -> None:
    """While limits cannot be checked nobody passes, with limits or without, and nothing is held afterwards."""
    async with gate_on(store) as gate:
        account = gate.account(**limits)
        gate.server.pause()
        if not limits:  # nothing is asked, so a hung store shows first where something is booked
            gate.admissions.settle(
                await gate.admissions.admit(account, "a", SMALL), "a", tokens=1, microusd=70
            )
            async with asyncio.timeout(WAIT_S):
                while not gate.settler.failing("acme"):  # noqa: ASYNC110 - the settler has no event for it
                    await asyncio.sleep(0.01)
        for name in ("b", "c"):
            said = await refused(gate, account, name)
            assert (503, "limits_unavailable", 1.0) == (said.status, said.code, said.retry_after_s)
        gate.server.resume()
        await gate.idle()
        assert await used_microusd(gate) == (0 if limits else 70)


@pytest.mark.parametrize("limits", [{}, {"usd_total": 1, "in_flight": 1}])
async def test_away_and_open(store: tuple[PrivateServer, Store], limits: Mapping[str, float]) -> None:
    """With `open` they pass, and are booked once when the store is back, although the first may have been held."""
    async with gate_on(store, open_on_outage=True) as gate:
        account = gate.account(**limits)
        gate.server.pause()
        for name in ("a", "b", "c"):
            admission = await gate.admissions.admit(account, name, SMALL)
            assert not admission.held
            gate.admissions.settle(admission, name, tokens=1, microusd=70)
        gate.server.resume()
        await gate.idle()
        assert 210 == await used_microusd(gate)
        again = await gate.admissions.admit(account, "d", SMALL)
        assert again.held is bool(limits)


async def test_a_lost_answer(store: tuple[PrivateServer, Store]) -> None:
    """When only the answer was lost, it is asked for again within the time-out: held once, and nobody notices."""
    async with gate_on(store) as gate:
        account = gate.account(usd_total=1, requests_per_minute=5)
        gate.reservations.lost = 1
        admission = await gate.admissions.admit(account, "a", SMALL)
        assert [1, 1] == [claim.step for claim in gate.reservations.asked]
        assert (b"x-ratelimit-remaining-requests", b"4") in admission.headers
        assert 10 == await used_microusd(gate)
        gate.admissions.settle(admission, "a", tokens=1, microusd=4)
        await gate.idle()
        assert 4 == await used_microusd(gate)


async def test_no_answer_at_all(store: tuple[PrivateServer, Store]) -> None:
    """When no answer comes in time the request does not run, and what may be held comes back, its slot too."""
    async with gate_on(store) as gate:
        account = gate.account(usd_total=1, in_flight=1, requests_per_minute=1)
        gate.reservations.lost = 2
        assert "limits_unavailable" == (await refused(gate, account, "a")).code
        await gate.idle()
        assert 0 == await used_microusd(gate)
        assert (await gate.admissions.admit(account, "b", SMALL)).held


async def test_a_hung_store_is_asked_once(store: tuple[PrivateServer, Store]) -> None:
    """The time-out bounds a request's whole wait; those behind it do not wait at all."""
    async with gate_on(store) as gate:
        account = gate.account(usd_total=1)
        gate.server.pause()
        await refused(gate, account, "a")
        await refused(gate, account, "b")
        assert ["a"] == [claim.reservation_id for claim in gate.reservations.asked]
        gate.server.resume()
        await gate.idle()
        assert 0 == await used_microusd(gate)


async def test_the_client_leaves_meanwhile(store: tuple[PrivateServer, Store]) -> None:
    """What may be held for it comes back."""
    async with gate_on(store) as gate:
        account = gate.account(usd_total=1, in_flight=1)
        waiting = asyncio.ensure_future(gate.admissions.admit(account, "a", SMALL))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await gate.idle()
        assert (await gate.admissions.admit(account, "b", SMALL)).held
        assert 10 == await used_microusd(gate)


async def test_extended(store: tuple[PrivateServer, Store]) -> None:
    """A second admission of the same request comes on top; refused, it leaves the first one as it was."""
    async with gate_on(store) as gate:
        account = gate.account(usd_total=0.000_1, requests_per_minute=1, in_flight=1)
        first = await gate.admissions.admit(account, "a", Bound(0, 20, 0))
        second = await gate.admissions.admit(account, "a", Bound(0, 60, 0), earlier=first)
        assert 2 == second.step
        with pytest.raises(Refused, match="dollars"):
            await gate.admissions.admit(account, "a", Bound(0, 60, 0), earlier=second)
        gate.admissions.settle(second, "a", tokens=0, microusd=7)
        await gate.idle()
        assert 7 == await used_microusd(gate)


async def test_left_while_the_store_is_asked(store: tuple[PrivateServer, Store]) -> None:
    """A client that leaves before the answer is there: what the store holds for it all the same is given back."""
    async with gate_on(store) as gate:
        account = gate.account(usd_total=1, in_flight=2)
        await gate.admissions.admit(account, "stays", SMALL)
        gate.server.pause()
        leaving = asyncio.ensure_future(gate.admissions.admit(account, "leaves", SMALL))
        while len(gate.reservations.asked) < 2:  # noqa: ASYNC110 - a turn of the loop is all it takes
            await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        gate.server.resume()
        await gate.idle()
        look = (await gate.reservations.look(account))[0]
        assert (1, SMALL.microusd) == (look.in_flight, look.total.held_microusd)


async def test_extended_without_a_hold(store: tuple[PrivateServer, Store]) -> None:
    """Where nothing is held nothing is asked, the second time neither."""
    async with gate_on(store) as gate:
        first = await gate.admissions.admit(gate.account(), "a", SMALL)
        assert first == await gate.admissions.admit(gate.account(), "a", SMALL, earlier=first)
        assert [] == gate.reservations.asked


async def test_shorter(store: tuple[PrivateServer, Store]) -> None:
    """What is left decides how long the answer may be: one more question, and the client is told."""
    rooms: list[Room] = []

    def smaller(room: Room) -> Smaller | None:
        rooms.append(room)
        assert room.microusd is not None
        if room.microusd < 20:
            return None
        return Smaller(Bound(0, room.microusd, 0), room.microusd // 2, b"about less")

    async with gate_on(store) as gate:
        account = gate.account(usd_total=0.000_1, tokens_per_day=5000)
        await gate.admissions.admit(account, "a", Bound(0, 70, 0))
        admission = await gate.admissions.admit(
            account, "b", Bound(10, 60, 0), about=b"about much", smaller=smaller
        )
        assert [b"", b"about much", b"about less"] == [claim.about for claim in gate.reservations.asked]
        assert 15 == admission.output_tokens
        assert (b"x-headgate-output-limit", b"15") in admission.headers
        assert [Room(5000, 30)] == rooms
        assert [] == gate.counted.refusals
        with pytest.raises(Refused, match="dollars"):
            await gate.admissions.admit(account, "c", Bound(0, 60, 0), smaller=smaller)
        assert [("customer", "usd_total")] == gate.counted.refusals
        assert 4 == len(gate.reservations.asked)


async def test_other_for_a_rate(store: tuple[PrivateServer, Store]) -> None:
    """A rate or the slots make no request smaller: nobody is asked, and nothing a second time."""

    def smaller(room: Room) -> Smaller | None:
        raise AssertionError(room)

    async with gate_on(store) as gate:
        account = gate.account(usd_total=1, in_flight=1)
        await gate.admissions.admit(account, "a", SMALL, smaller=smaller)
        with pytest.raises(Refused, match="in flight"):
            await gate.admissions.admit(account, "b", SMALL, smaller=smaller)
        assert ["a", "b"] == [claim.reservation_id for claim in gate.reservations.asked]


async def test_for_less(store: tuple[PrivateServer, Store]) -> None:
    """A request that costs less instead keeps the length of its answer, and no header speaks of one."""
    async with gate_on(store) as gate:
        account = gate.account(usd_total=0.000_1)
        admission = await gate.admissions.admit(
            account, "a", Bound(0, 200, 0), smaller=lambda _: Smaller(Bound(0, 40, 0), None, b"")
        )
        assert (None, []) == (admission.output_tokens, admission.headers)
        assert 40 == await used_microusd(gate)


async def test_soft_limits_are_remembered(store: tuple[PrivateServer, Store]) -> None:
    """From what a request used, from the next answer elsewhere, and not before something is spent."""
    async with gate_on(store) as gate, gate_on(store) as other:
        account = gate.account(usd_total=0.000_1)
        first = await gate.admissions.admit(account, "a", Bound(0, 90, 0))
        assert not gate.admissions.soft_limit_reached(account)
        gate.admissions.settle(first, "a", tokens=1, microusd=80)
        assert gate.admissions.soft_limit_reached(account)
        await gate.idle()
        assert not other.admissions.soft_limit_reached(account)
        await other.admissions.admit(account, "b", Bound(0, 1, 0))
        assert other.admissions.soft_limit_reached(account)
        raised = other.account(usd_total=0.000_2)
        assert not other.admissions.soft_limit_reached(raised)


async def test_counted(store: tuple[PrivateServer, Store]) -> None:
    """Refusals and soft limits are counted by whose limit and which."""
    async with gate_on(store) as gate:
        account = gate.account(usd_total=0.000_1)
        await gate.admissions.admit(account, "a", Bound(0, 85, 0))
        await refused(gate, account, "b", Bound(0, 85, 0))
        assert [("customer", "usd_total")] == gate.counted.soft
        assert [("customer", "usd_total")] == gate.counted.refusals


async def test_accounts_are_few(store: tuple[PrivateServer, Store], monkeypatch: pytest.MonkeyPatch) -> None:
    """However many keys and names there are, few are remembered; a changed key is read anew."""
    monkeypatch.setattr("proxy.exchange.money.admission._ACCOUNTS_KEPT", 100)
    async with gate_on(store) as gate:
        made: Sequence[Account] = [
            gate.admissions.account(subject({}, f"k{number}"), f"m{number}", "x") for number in range(500)
        ]
        assert 500 == len({account.names for account in made})
        assert 100 == len(gate.admissions._accounts)
        one = subject({})
        assert gate.admissions.account(one, "a") is gate.admissions.account(one, "b")
        limited = gate.admissions.account(subject({"usd_total": 1}), "a")
        assert limited.limited
        models = subject({}, models={"m": {"usd_per_day": 1}})
        assert ("c", "k:k", "m:k:m") == gate.admissions.account(models, "m").names
        scopes = models.scopes_for("other")
        assert 2 == len(scopes)
        assert ("c", "k:k") == gate.admissions.account(models, "other").names
