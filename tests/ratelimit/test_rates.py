"""Tokens and requests per minute: what passes in the long run, what is owed, and what a changed rate makes of it."""

import pytest

from tests.ratelimit.gates import SECOND_US, Gate, of


async def test_rate_under_excess_demand(gate: Gate) -> None:
    """A full bucket passes its capacity at once; from an empty one five minutes pass five times the rate within 1 %."""
    asker = of({"tokens_per_minute": 60_000})
    full = await gate.admit(asker, reservation_id="full", minute_tokens=60_000)
    assert full.allowed
    await gate.settle(asker, "full", tokens=60_000)
    passed, last_us = 0, 0
    for _ in range(300):
        gate.pass_s(1)
        while (decision := await gate.admit(asker, reservation_id=f"s{passed}", minute_tokens=500)).allowed:
            await gate.settle(asker, f"s{passed}", tokens=500)
            assert passed < 10 * 60_000
            passed += 500
            last_us = decision.admitted_us
    # By the server's clock, which goes on while the test runs.
    elapsed_s = (last_us - full.admitted_us) / SECOND_US
    assert 299 <= elapsed_s
    assert passed == pytest.approx(1000 * elapsed_s, rel=0.01)


async def test_debt(gate: Gate) -> None:
    """A request that used more than was guessed leaves the bucket in debt, and one that used less gives back."""
    asker = of({"tokens_per_minute": 600})
    await gate.admit(asker, reservation_id="much", minute_tokens=100)
    await gate.settle(asker, "much", tokens=900)
    refused = (await gate.admit(asker, minute_tokens=100)).refusal
    assert refused is not None
    assert ("tokens_per_minute", 900) == (refused.limit, refused.used)
    assert refused.retry_after_s == pytest.approx(40, abs=2)
    gate.pass_s(120)
    await gate.admit(asker, reservation_id="little", minute_tokens=600)
    await gate.settle(asker, "little", tokens=100)
    tokens = (await gate.admit(asker, minute_tokens=100)).tokens
    assert tokens is not None
    assert tokens.remaining == pytest.approx(400, abs=20)


async def test_a_lowered_rate_forgives_no_debt(gate: Gate) -> None:
    """What was used beyond the old capacity stays owed; what was within it fills the new one at most."""
    asker = of({"tokens_per_minute": 600})
    await gate.admit(asker, reservation_id="much", minute_tokens=100)
    await gate.settle(asker, "much", tokens=900)
    lower = of({"tokens_per_minute": 300})
    refusal = (await gate.admit(lower, minute_tokens=100)).refusal
    assert refusal is not None
    assert refusal.used == pytest.approx(600, abs=10)
    assert refusal.retry_after_s == pytest.approx(80, abs=2)
