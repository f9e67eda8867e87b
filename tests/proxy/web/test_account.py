"""What a key has spent in its week, beside day, month and for ever."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from starlette.requests import Request

from proxy.exchange.arrival import Arrival
from proxy.exchange.books.ledger_row import Figures
from proxy.exchange.choice.micro_call import Nobody
from proxy.http.door import ARRIVAL
from proxy.web.account import Account
from ratelimit.ledger.ledger import Ledger
from ratelimit.limits.reservations import Reservations
from ratelimit.limits.types import Row, Scope, account
from ratelimit.store.address import parse_address
from ratelimit.store.store import Store
from ratelimit.subjects.types import Scope as SubjectScope
from ratelimit.subjects.types import Subject
from tests.support.valkey import PrivateServer

PATIENT_MS = 20_000
MONDAY = datetime(2027, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def subject(key_id: str) -> Subject:
    scopes = (SubjectScope("customer", "acme", {}), SubjectScope("key", key_id, {}))
    return Subject(key_id, "acme", None, None, "normal", None, None, {}, scopes=scopes)


class Bank:
    """A customer's account at a moment of the test's choice."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.reservations = Reservations(store)
        self.account = Account(self.reservations, Ledger(store, rows_kept_days=30))
        self.number = 0

    async def spend(self, at: datetime, microusd: int, key_id: str = "own") -> None:
        self.number += 1
        figures = Figures(requests=1, cost_microusd=microusd)
        await self.reservations.settle(
            account("acme", (Scope("customer", "acme", {}), Scope("key", key_id, {}))),
            f"r{self.number}",
            tokens=0,
            microusd=microusd,
            row=Row(b"[]", orjson.dumps((key_id, "m", f"b{self.number}", ())), tuple(figures)),
            mode="unheld",
            admitted_us=int(at.timestamp() * 1_000_000),
        )

    async def spent(self, key_id: str = "own") -> tuple[int, ...]:
        """In the day, the week, the month and ever, micro-dollars."""
        arrival = Arrival("r", 0.0, subject(key_id), (), (), Nobody())
        answer = await self.account.key(Request({"type": "http", "headers": [], ARRIVAL: arrival}))
        data: dict[str, Any] = orjson.loads(answer.body)["data"]
        windows = ("usage_daily", "usage_weekly", "usage_monthly", "usage")
        return tuple(round(data[name] * 1_000_000) for name in windows)


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateServer]:
    with PrivateServer() as server:
        yield server


@pytest.mark.parametrize("weekday", range(7))
async def test_a_week_begins_on_monday(server: PrivateServer, weekday: int) -> None:
    """Whatever day it is: what was spent from Monday on counts, the Sunday before and other keys do not."""
    now = MONDAY + weekday * DAY
    offset_us = 0
    store = Store.for_tests(parse_address(server.url), timeout_ms=PATIENT_MS, offset_us=lambda: offset_us)
    await store.open()
    await store.call("FLUSHALL")
    bank = Bank(store)
    at_us = (await bank.reservations.look(account("acme", (Scope("customer", "acme", {}),))))[0].at_us
    offset_us = int(now.timestamp() * 1_000_000) - at_us
    await bank.spend(MONDAY - DAY, 1_000)
    for day in range(weekday + 1):
        await asyncio.gather(*(bank.spend(MONDAY + day * DAY, 10**part) for part in (0, 1)))
    await bank.spend(now, 100_000, "other")
    month = 11 * (weekday + 1)
    assert (11, month, month, month + 1_000) == await bank.spent()
    assert (100_000,) * 4 == await bank.spent("other")
    await store.close()
