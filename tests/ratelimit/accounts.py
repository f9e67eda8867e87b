"""Accounts of a customer with one key, and what the store has counted for them."""

from collections.abc import Mapping

from ratelimit.limits.reservations import Reservations
from ratelimit.limits.types import Account, Claim, Refusal, Scope, account
from ratelimit.store.store import Store


def account_of(customer_id: str = "acme", limits: Mapping[str, float] | None = None) -> Account:
    """Key `k` of a customer that has these limits."""
    return account(customer_id, (Scope("customer", customer_id, limits or {}), Scope("key", "k", {})))


async def used(store: Store, limit: str = "usd_total", customer_id: str = "acme") -> int:
    """What counts against a limit of the customer at this moment: asked by a request that is too large for any."""
    asker = account_of(customer_id, {limit: 10.0**6})
    claim = Claim("too-large", 1, tokens=10**13, microusd=10**13, minute_tokens=0)
    refusal: Refusal | None = (await Reservations(store).admit(asker, claim, soft_ratio=1)).refusal
    assert refusal is not None
    assert limit == refusal.limit
    return refusal.used
