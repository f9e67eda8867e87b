"""Requests per minute of a key and its customer, taken together."""

import asyncio

import pytest

from ratelimit.limits.bucket import Decision, RequestBuckets
from ratelimit.store.errors import StoreUnavailable
from ratelimit.store.store import Store
from tests.ratelimit.clocks import Offset
from tests.ratelimit.watching import names_in

# The server's own clock runs on during a test; figures in seconds may be off by this much.
SLACK_S = 2.0


class Asker:
    """Takes requests, each with an id of its own."""

    def __init__(self, store: Store) -> None:
        self.buckets = RequestBuckets(store)
        self.number = 0

    async def __call__(
        self,
        key: float | None,
        customer: float | None,
        *,
        key_id: str = "k",
        customer_id: str = "c",
        request_id: str | None = None,
    ) -> Decision:
        self.number += 1
        return await self.buckets.take_request(
            request_id=request_id or f"request-{self.number}",
            customer_id=customer_id,
            key_id=key_id,
            key_per_minute=key,
            customer_per_minute=customer,
        )


@pytest.fixture
def take(store: Store) -> Asker:
    return Asker(store)


@pytest.mark.parametrize(("key", "customer"), [(5, None), (None, 5), (5, 100), (100, 5), (5, 5)])
async def test_racers(take: Asker, key: float | None, customer: float | None) -> None:
    """A hundred at once at a limit of five: exactly five pass, whoever has the limit."""
    decisions = await asyncio.gather(*(take(key, customer) for _ in range(100)))
    assert 5 == sum(decision.allowed for decision in decisions)
    assert {"key" if key == 5 else "customer"} == {
        decision.subject for decision in decisions if not decision.allowed
    }


async def test_figures(take: Asker) -> None:
    """A decision tells what is left and when more is, of the tighter bucket."""
    first = await take(3, 60)
    assert (True, "key", 3, 2, 1, 0) == (
        first.allowed,
        first.subject,
        first.limit,
        first.remaining,
        first.used,
        first.retry_after_s,
    )
    assert 20 == first.reset_after_s
    await take(3, 60)
    third = await take(3, 60)
    assert (True, 0, 3) == (third.allowed, third.remaining, third.used)
    assert third.reset_after_s == pytest.approx(60, abs=SLACK_S)
    assert third.retry_after_s == pytest.approx(20, abs=SLACK_S)
    refused = await take(3, 60)
    assert (False, "key", 3, 0, 3) == (
        refused.allowed,
        refused.subject,
        refused.limit,
        refused.remaining,
        refused.used,
    )
    assert refused.retry_after_s == pytest.approx(20, abs=SLACK_S)
    tighter = await take(None, 4, customer_id="other")
    assert ("customer", 4, 3) == (tighter.subject, tighter.limit, tighter.remaining)


async def test_refill_is_continuous(take: Asker, offset: Offset) -> None:
    """A used-up bucket lets one pass after the time it told, not before, and is full after a minute."""
    for _ in range(6):
        assert (await take(6, None)).allowed
    refused = await take(6, None)
    assert refused.retry_after_s is not None
    offset.us += int(refused.retry_after_s * 1_000_000) - 1_000_000
    assert not (await take(6, None)).allowed
    offset.us += 1_000_001
    assert (await take(6, None)).allowed
    assert not (await take(6, None)).allowed
    offset.us += 600_000_000
    passed = [(await take(6, None)).allowed for _ in range(7)]
    assert [True] * 6 + [False] == passed


async def test_refused_takes_nothing(take: Asker) -> None:
    """When one bucket refuses, the other is not debited either."""
    assert (await take(1, 5)).allowed
    for _ in range(20):
        assert not (await take(1, 5)).allowed
    passed = [(await take(None, 5)).allowed for _ in range(5)]
    assert [True] * 4 + [False] == passed


async def test_longest_wait_is_told(take: Asker) -> None:
    """When both refuse, the answer is the one after which a request passes both."""
    await take(1, 2)
    await take(None, 2, key_id="other")
    refused = await take(1, 2)
    assert ("key", False) == (refused.subject, refused.allowed)
    assert refused.retry_after_s == pytest.approx(60, abs=SLACK_S)


async def test_idempotent(take: Asker, offset: Offset) -> None:
    """The same request again takes nothing and gets the same answer, also when many ask at once."""
    decisions = await asyncio.gather(*(take(5, 5, request_id="same") for _ in range(50)))
    assert 1 == len(set(decisions))
    offset.us += 5_000_000
    assert decisions[0] == await take(5, 5, request_id="same")
    assert 3 == (await take(5, 5)).remaining
    for _ in range(3):
        assert (await take(5, 5)).allowed
    assert decisions[0] == await take(5, 5, request_id="same")
    assert not (await take(5, 5, request_id="late")).allowed
    assert not (await take(5, 5, request_id="late")).allowed


async def test_keys_of_a_customer(take: Asker) -> None:
    """Each key has its own bucket, all share the customer's; customers share nothing."""
    passed = [(await take(2, 3, key_id=key_id)).allowed for key_id in ("a", "a", "a", "b", "b")]
    assert [True, True, False, True, False] == passed
    assert (await take(2, 3, key_id="a", customer_id="d")).allowed


async def test_limits_change(take: Asker) -> None:
    """A lowered limit holds at once without debt; a raised one gives the difference at once."""
    for _ in range(50):
        assert (await take(100, None)).allowed
    lowered = await take(6, None)
    assert (False, 0, 6) == (lowered.allowed, lowered.remaining, lowered.used)
    assert lowered.retry_after_s == pytest.approx(10, abs=SLACK_S)
    assert (await take(60, None, key_id="raised")).allowed
    for _ in range(3):
        await take(4, None, key_id="raised")
    assert not (await take(4, None, key_id="raised")).allowed
    assert (await take(10, None, key_id="raised")).remaining in (5, 6)


async def test_zero_and_fractions(take: Asker, offset: Offset) -> None:
    """A limit of 0 lets nothing pass, ever; one below 1 lets one pass at a time."""
    never = await take(0, 10)
    expected = Decision(
        allowed=False,
        subject="key",
        limit=0,
        remaining=0,
        reset_after_s=0.0,
        retry_after_s=None,
        used=0,
    )
    assert expected == never
    assert 9 == (await take(None, 10)).remaining
    assert (await take(0.5, None, key_id="slow")).allowed
    refused = await take(0.5, None, key_id="slow")
    assert not refused.allowed
    assert refused.retry_after_s == pytest.approx(120, abs=SLACK_S)
    offset.us += 120_000_000
    assert (await take(0.5, None, key_id="slow")).allowed
    assert (await take(1e-9, None, key_id="slowest")).allowed
    assert (await take(1e9, None, key_id="fastest")).remaining == 999_999_999


async def test_clock_set_back(take: Asker, offset: Offset) -> None:
    """A server whose clock is behind gives nothing away and blocks nobody for longer than a minute."""
    for _ in range(3):
        assert (await take(3, None)).allowed
    offset.us -= 3_600_000_000
    refused = await take(3, None)
    assert not refused.allowed
    assert refused.retry_after_s is not None
    assert refused.retry_after_s <= 20


async def test_everything_expires(take: Asker, store: Store) -> None:
    """Nothing that was counted stays for ever, and all of a customer shares a hash tag."""
    await take(5, 5, customer_id="acme")
    names = await names_in(store)
    assert 3 == len(names)
    for name in names:
        assert name.startswith(b"hg:{acme}:")
        left_ms = await store.call("PTTL", name)
        assert isinstance(left_ms, int)
        assert 0 < left_ms <= 61_000


async def test_no_limit_needs_no_store(take: Asker, store: Store) -> None:
    """Without limits a request passes without a round trip, an outage included."""
    await store.close()
    decision = await take(None, None)
    assert (True, None, None) == (decision.allowed, decision.subject, decision.limit)
    with pytest.raises(StoreUnavailable):
        await take(1, None)


async def test_forgotten_script(take: Asker, store: Store) -> None:
    """A server that has forgotten the script counts the request once."""
    await take(5, None)
    await store.call_all("SCRIPT", "FLUSH")
    assert 3 == (await take(5, None)).remaining
