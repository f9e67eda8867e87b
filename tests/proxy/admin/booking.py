"""Requests that ran, as the gateway books them, without running any."""

import itertools
from typing import Any, Final

from providers.types import Usage
from proxy.exchange.books.ledger_row import about_of, row_of
from proxy.exchange.books.record import Record
from proxy.routing.catalogue.types import Backend, Price
from proxy.routing.policy import NAMED, Attempt, Plan
from ratelimit.limits.reservations import Reservations
from ratelimit.limits.types import Account, Claim, Scope, account
from ratelimit.store.store import Store
from tests.proxy.admin.serving import NOW_S

DAY_US: Final = 86_400_000_000
PRICE: Final = Price(1_000_000, 2_000_000)
"""One micro-dollar a token in, two a token out."""

USAGE: Final = Usage(10, 20)

_numbers = itertools.count(1)


def of(customer_id: str, key_id: str = "k1") -> Account:
    return account(customer_id, (Scope("customer", customer_id, {}), Scope("key", key_id, {})))


def record(
    customer_id: str = "acme",
    key_id: str = "k1",
    *,
    model: str = "gpt-5",
    usage: Usage = USAGE,
    outcome: str = "ok",
    status: int = 200,
    tags: tuple[str, ...] = (),
    price: Price | None = PRICE,
) -> Record:
    """A request with one attempt, a second long, over since 2026-01-01."""
    times = itertools.count(100.0, 1.0)
    made = Record(
        f"req-{next(_numbers)}",
        arrived_s=99.0,
        key_id=key_id,
        customer_id=customer_id,
        clock=lambda: next(times),
    )
    backend = Backend(f"some/{model}", "some", model, price)
    attempt = Attempt(backend, model, None, ("named",))
    made.asked, made.tags, made.plan = model, tags, Plan(None, NAMED, (attempt,))
    made.begin_try(attempt)
    made.end_try(outcome, status=status, usage=usage)
    made.outcome, made.status, made.finished_s = outcome, status, next(times)
    return made


async def book(store: Store, made: Record, *, days_ago: int = 0) -> str:
    """Book it, admitted on that day before 2026-01-01; its id."""
    at_s = NOW_S - days_ago * 86_400
    await Reservations(store).settle(
        of(made.customer_id, made.key_id),
        made.request_id,
        tokens=made.tokens,
        microusd=made.cost_microusd or 0,
        row=row_of(made, at_s),
        mode="unheld",
        admitted_us=int(at_s * 1_000_000),
    )
    return made.request_id


async def lose(store: Store, *names: str, customer_id: str = "acme") -> None:
    """Reservations of a gateway that has gone at once: 30 tokens and 50 micro-dollars each, for `gpt-5`."""
    reservations = Reservations(store)
    about = about_of("gpt-5", record().plan)
    for name in names:
        claim = Claim(name, 1, tokens=30, microusd=50, minute_tokens=30, about=about)
        decision: Any = await reservations.admit(of(customer_id), claim, soft_ratio=0.8, hold_s=0)
        assert decision.allowed
