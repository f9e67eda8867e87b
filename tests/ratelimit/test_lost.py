"""Reservations of gateways that died, or seemed to: what comes back, what stays spent, and how they live on."""

from ratelimit.limits.lost import Lost
from ratelimit.limits.reservations import HOLD_S
from tests.ratelimit.gates import Gate, of


async def test_dead_gateway(gate: Gate) -> None:
    """Slots and rates come back within 30 s, money stays spent; a late settlement puts it right, once."""
    asker = of({"in_flight": 1, "requests_per_minute": 1, "tokens_per_minute": 100, "usd_total": 0.000_03})
    assert (await gate.admit(asker, reservation_id="dead", microusd=20)).allowed
    gate.pass_s(HOLD_S - 1)
    assert not (await gate.admit(asker)).allowed
    gate.pass_s(2)
    assert (await gate.admit(asker, reservation_id="next")).allowed
    await gate.settle(asker, "next")
    gate.pass_s(60)
    refused = (await gate.admit(asker)).refusal
    assert refused is not None
    assert ("usd_total", 30) == (refused.limit, refused.used)
    assert (await gate.settle(asker, "dead", microusd=5)).now
    assert not (await gate.settle(asker, "dead", microusd=5)).now
    assert 2 == await gate.rows()
    gate.pass_s(60)
    assert (await gate.admit(asker, microusd=15)).allowed


async def test_what_was_lost_comes_back_for_a_refused_request(gate: Gate) -> None:
    """A slot that comes back when a request is looked at is back, whatever becomes of that request."""
    asker = of({"in_flight": 2, "usd_total": 0.000_03})
    assert (await gate.admit(asker, reservation_id="dead", microusd=20)).allowed
    gate.pass_s(HOLD_S + 1)
    assert not (await gate.admit(asker, microusd=20)).allowed
    look = await gate.look(asker)
    assert (0, 20, 0) == (look.in_flight, look.total.spent_microusd, look.total.held_microusd)


async def test_extended_after_it_was_lost(gate: Gate) -> None:
    """A gateway that was only slow, and asks for more, has all of it back: it is settled as if nothing had been."""
    asker = of({"in_flight": 2, "usd_total": 0.000_1})
    assert (await gate.admit(asker, reservation_id="slow", microusd=20)).allowed
    gate.pass_s(HOLD_S + 1)
    lost = Lost(gate.store)
    assert ["slow"] == [each.reservation_id for each in await lost.listed("acme")]
    assert (await gate.admit(asker, reservation_id="slow", step=2, microusd=30)).allowed
    assert () == await lost.listed("acme")
    look = await gate.look(asker)
    assert (1, 0, 50) == (look.in_flight, look.total.spent_microusd, look.total.held_microusd)
    assert (await gate.settle(asker, "slow", microusd=45)).now
    look = await gate.look(asker)
    assert (0, 45, 0) == (look.in_flight, look.total.spent_microusd, look.total.held_microusd)


async def test_two_hours(gate: Gate) -> None:
    """A renewed reservation keeps its slot for as long as its stream runs; one taken for lost is brought back."""
    asker = of({"in_flight": 1, "usd_total": 1})
    assert (await gate.admit(asker, reservation_id="long")).allowed
    for _ in range(7200 // 20):
        gate.pass_s(20)
        assert [] == await gate.reservations.renew("acme", ["long"])
        assert not (await gate.admit(asker)).allowed
    gate.pass_s(60)
    assert (await gate.admit(asker, reservation_id="other")).allowed
    await gate.settle(asker, "other")
    assert ["gone"] == await gate.reservations.renew("acme", ["long", "gone"])
    assert not (await gate.admit(asker)).allowed
    assert (await gate.settle(asker, "long")).now
    assert (await gate.admit(asker)).allowed
