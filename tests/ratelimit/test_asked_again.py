"""A call whose answer was lost is made again: with the same id, nothing is held twice and nothing for ever."""

import pytest

from ratelimit.limits.reservations import HOLD_S, Reservations
from ratelimit.limits.types import Account, Claim, Room
from ratelimit.store import keys as spelled
from ratelimit.store.store import Store
from tests.ratelimit.accounts import account_of, used
from tests.ratelimit.clocks import Offset

TIGHT = account_of(
    limits={"usd_total": 0.000_1, "in_flight": 1, "tokens_per_minute": 100, "requests_per_minute": 9}
)


def claim(name: str, step: int = 1, microusd: int = 40) -> Claim:
    return Claim(name, step, tokens=10, microusd=microusd, minute_tokens=10)


@pytest.fixture
def reservations(store: Store) -> Reservations:
    return Reservations(store)


async def taken_for_lost(store: Store, reservations: Reservations, offset: Offset) -> None:
    """`slow` is held, and then nothing is heard of it until another request of its customer comes."""
    assert (await reservations.admit(TIGHT, claim("slow"), soft_ratio=1)).allowed
    offset.us += int(HOLD_S * 1_000_000) + 1
    assert 40 == await used(store)
    assert 1 == await store.call("HLEN", spelled.lost("acme"))


@pytest.mark.parametrize("step", [1, 2])
async def test_after_it_was_lost(store: Store, reservations: Reservations, offset: Offset, step: int) -> None:
    """One that was taken for lost is brought back with its slot and its hold, not held a second time beside it."""
    await taken_for_lost(store, reservations, offset)
    again = await reservations.admit(TIGHT, claim("slow", step), soft_ratio=1)
    assert again.allowed
    assert 0 == await store.call("HLEN", spelled.lost("acme"))
    assert step * 40 == await used(store)
    refused = await reservations.admit(TIGHT, claim("other", microusd=1), soft_ratio=1)
    assert refused.refusal is not None
    assert "in_flight" == refused.refusal.limit
    assert (await reservations.settle(TIGHT, "slow", tokens=5, microusd=7)).now
    assert 7 == await used(store)
    assert (await reservations.admit(TIGHT, claim("other"), soft_ratio=1)).allowed
    assert [] == await reservations.renew("acme", ["other"])


async def test_its_own_time_ran_out(reservations: Reservations, offset: Offset, store: Store) -> None:
    """Taken for lost by the very call that asks for it again."""
    assert (await reservations.admit(TIGHT, claim("slow"), soft_ratio=1)).allowed
    offset.us += int(HOLD_S * 1_000_000) + 1
    assert (await reservations.admit(TIGHT, claim("slow", 2), soft_ratio=1)).allowed
    assert [] == await reservations.renew("acme", ["slow"])
    assert 80 == await used(store)


async def test_refused_after_it_was_lost(store: Store, reservations: Reservations, offset: Offset) -> None:
    """An extension that is refused leaves what was brought back as it was: held, and settled once."""
    await taken_for_lost(store, reservations, offset)
    refused = await reservations.admit(TIGHT, claim("slow", 2, microusd=61), soft_ratio=1)
    assert refused.refusal is not None
    assert (Room(None, 60), "usd_total") == (refused.room, refused.refusal.limit)
    assert [] == await reservations.renew("acme", ["slow"])
    assert (await reservations.settle(TIGHT, "slow", tokens=5, microusd=7)).now
    assert not (await reservations.settle(TIGHT, "slow", tokens=5, microusd=7)).now
    assert 7 == await used(store)


async def test_voided_after_it_was_lost(store: Store, reservations: Reservations, offset: Offset) -> None:
    """One that never ran gives its money back, however late that is known."""
    await taken_for_lost(store, reservations, offset)
    voided = await reservations.settle(TIGHT, "slow", tokens=0, microusd=0, mode="void", uncertain=True)
    assert voided.now
    assert 0 == await used(store)
    late = await reservations.admit(TIGHT, claim("slow"), soft_ratio=1)
    assert (False, None) == (late.allowed, late.refusal)
    assert 0 == await used(store)


@pytest.mark.parametrize(
    ("limits", "room"),
    [
        ({"usd_total": 0.000_1}, Room(None, 60)),
        ({"tokens_per_day": 15}, Room(5, None)),
        ({"tokens_per_day": 15, "usd_per_month": 0.000_05, "usd_total": 1}, Room(5, 10)),
        ({"tokens_per_day": 5, "usd_total": 0}, Room(0, 0)),
    ],
)
async def test_room(reservations: Reservations, limits: dict[str, float], room: Room) -> None:
    """A refusal says how much would fit: the least of all windows, never less than nothing."""
    asker: Account = account_of(limits=limits)
    await reservations.admit(account_of(), claim("first"), soft_ratio=1)
    refused = await reservations.admit(asker, claim("second", microusd=10**7), soft_ratio=1)
    assert refused.refusal is not None
    assert room == refused.room
