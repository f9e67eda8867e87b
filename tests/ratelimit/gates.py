"""One customer's gate on a real store, asked and settled as a gateway does."""

from collections.abc import Mapping
from typing import Any, Final

from ratelimit.limits.reservations import Reservations, Settled
from ratelimit.limits.types import Account, Claim, Decision, Look, Mode, Row, Scope, account
from ratelimit.store import keys as spelled
from ratelimit.store.store import Store
from tests.ratelimit.clocks import Offset

SECOND_US: Final = 1_000_000
ROW: Final = Row(b"[]", b'["k", "gpt-5", "some/gpt-5", []]', (1, 100))


def of(
    customer: Mapping[str, float] | None = None,
    key: Mapping[str, float] | None = None,
    model: Mapping[str, float] | None = None,
) -> Account:
    """The account of key `k` of customer `acme`."""
    scopes = [Scope("customer", "acme", customer or {}), Scope("key", "k", key or {})]
    if model is not None:
        scopes.append(Scope("model", "k:gpt-5", model))
    return account("acme", scopes)


class Gate:
    """Asks with 100 tokens for 10 micro-dollars unless told otherwise, each time as another request."""

    def __init__(self, store: Store, offset: Offset) -> None:
        self.store = store
        self.offset = offset
        self.reservations = Reservations(store)
        self.number = 0

    async def admit(self, of: Account, *, soft_ratio: float = 0.8, **claim: Any) -> Decision:
        self.number += 1
        asked = {
            "reservation_id": f"r{self.number}",
            "step": 1,
            "tokens": 100,
            "microusd": 10,
            "minute_tokens": 100,
        }
        return await self.reservations.admit(of, Claim(**{**asked, **claim}), soft_ratio=soft_ratio)

    async def settle(
        self, of: Account, name: str, tokens: int = 100, microusd: int = 10, mode: Mode = "held", **more: Any
    ) -> Settled:
        return await self.reservations.settle(
            of, name, tokens=tokens, microusd=microusd, mode=mode, row=ROW, **more
        )

    async def look(self, of: Account) -> Look:
        """What is counted for the customer."""
        return (await self.reservations.look(of))[0]

    async def rows(self) -> int:
        return int(str(await self.store.call("XLEN", spelled.ledger("acme"))))

    def pass_s(self, seconds: float) -> None:
        self.offset.us += int(seconds * SECOND_US)
