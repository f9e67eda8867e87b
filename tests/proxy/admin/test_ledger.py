"""The ledger over the admin API: pages, spans, reconciliation, what is lost and released."""

from typing import Any

import pytest

from providers.types import Usage
from proxy.exchange.books.ledger_row import Figures
from ratelimit.store import keys as spelled
from ratelimit.subjects.types import NewCustomer
from tests.proxy.admin.booking import book, lose, record
from tests.proxy.admin.serving import Caller, Gateway

LEDGER = "/admin/v1/ledger"


@pytest.fixture(autouse=True)
async def _customers(served: Gateway) -> None:
    for name in ("acme", "bolt", "idle"):
        await served.directory.create_customer(NewCustomer(name))


async def pages(call: Caller, query: str, limit: int) -> list[list[str]]:
    """Request ids, page by page."""
    found: list[list[str]] = []
    cursor = ""
    while True:
        answer = await call("GET", f"{LEDGER}?limit={limit}{query}{cursor}")
        assert 200 == answer.status, answer.raw
        found.append([row["request_id"] for row in answer.json["data"]])
        if answer.json["next"] is None:
            return found
        cursor = f"&cursor={answer.json['next']}"


async def test_a_row(served: Gateway, call: Caller) -> None:
    """Everything that is known of a request is in its row."""
    made = record(usage=Usage(100, 50, 40, 5, 30, estimated=True), tags=("a", "b"))
    await book(served.store, made)
    (row,) = (await call("GET", f"{LEDGER}?customer=acme")).json["data"]
    settled_at = row.pop("settled_at")
    assert row.pop("id").endswith("-0")
    assert settled_at.endswith("Z")
    attempt = {
        "backend": "some/gpt-5",
        "outcome": "ok",
        "status": 200,
        "tokens": 150,
        "cost_usd": 0.0002,
    }
    assert {
        "object": "row",
        "request_id": made.request_id,
        "customer": "acme",
        "key": "k1",
        "asked": "gpt-5",
        "tier": None,
        "model": "gpt-5",
        "backend": "some/gpt-5",
        "outcome": "ok",
        "status": 200,
        "input_tokens": 100,
        "output_tokens": 50,
        "cache_read_tokens": 40,
        "cache_write_tokens": 5,
        "reasoning_tokens": 30,
        "cost_usd": 0.0002,
        "estimated": True,
        "tags": ["a", "b"],
        "arrived_at": "2025-12-31T23:59:57.000Z",
        "attempts": [attempt],
    } == row


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_pages(served: Gateway, call: Caller, limit: int) -> None:
    """Oldest first, customer by customer, nothing twice and nothing missing, wherever pages end."""
    names = ["acme", "bolt", "acme", "bolt", "bolt", "acme", "acme"]
    booked = [(name, await book(served.store, record(name))) for name in names]
    expected = [made for wanted in ("acme", "bolt") for name, made in booked if name == wanted]
    found = await pages(call, "", limit)
    assert expected == [made for page in found for made in page]
    assert all(len(page) == limit for page in found[:-1])
    bolts = await pages(call, "&customer=bolt", limit)
    assert expected[4:] == [made for page in bolts for made in page]
    assert [[]] == await pages(call, "&customer=idle", limit)


async def test_pages_over_a_deleted_customer(served: Gateway, call: Caller) -> None:
    """Its rows stay where they were."""
    made = [await book(served.store, record(name)) for name in ("acme", "acme", "bolt")]
    await call("DELETE", "/admin/v1/customers/acme")
    assert [[each] for each in made] == await pages(call, "", 1)


async def test_span(served: Gateway, call: Caller) -> None:
    """By settlement; from a moment on, and before another."""
    await book(served.store, record())
    settled_at = (await call("GET", f"{LEDGER}?customer=acme")).json["data"][0]["settled_at"]
    for query, expected in (
        (f"since={settled_at}", 1),
        (f"until={settled_at}", 0),
        (f"since={settled_at[:10]}&until={settled_at[:10]}", 1),
        ("since=2099-01-01", 0),
        ("until=2001-01-01", 0),
    ):
        assert expected == len((await call("GET", f"{LEDGER}?customer=acme&{query}")).json["data"]), query


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("limit=0", (400, "invalid_request", "limit")),
        ("cursor=x", (400, "invalid_request", "cursor")),
        ("cursor=acme:1-x", (400, "invalid_request", "cursor")),
        ("cursor=acme:99999999999999999999-0", (400, "invalid_request", "cursor")),
        ("customer=bolt&cursor=acme:1-0", (400, "invalid_request", "cursor")),
        ("customer=nobody", (404, "not_found", "customer")),
        ("since=x", (400, "invalid_request", "since")),
    ],
)
async def test_refused(call: Caller, query: str, error: tuple[int, str, str]) -> None:
    """What is not understood is refused, and what is to blame is named."""
    assert error == (await call("GET", f"{LEDGER}?{query}")).error


async def test_reconcile(served: Gateway, call: Caller) -> None:
    """Every customer's counters are its rows and what was lost."""
    for made in (record(), record(key_id="k2"), record("bolt", price=None)):
        await book(served.store, made)
    await lose(served.store, "r1")
    await call("GET", f"{LEDGER}/lost")
    found = (await call("POST", f"{LEDGER}/reconcile")).json
    assert (True, 3, 3) == (found["ok"], found["customers"], found["rows"])
    acme, bolt, idle = found["data"]
    assert {"tokens": 90, "usd": 0.00015} == acme["counted"]
    assert {"tokens": 60, "usd": 0.0001} == acme["booked"]
    assert {"tokens": 30, "usd": 0.00005} == acme["lost"]
    asked_for = {"asked": "gpt-5", "backend": "some/gpt-5"}
    assert [{**asked_for, "requests": 1, "tokens": 30, "usd": 0.00005}] == acme["lost_by"]
    assert ({"tokens": 30, "usd": 0.0}, 1) == (bolt["counted"], bolt["rows"])
    assert (0, 0) == (idle["scopes"], idle["rows"])
    alone = (await call("POST", f"{LEDGER}/reconcile", {"customer": "acme"})).json
    assert [acme] == alone["data"]


async def test_what_does_not_add_up_is_named(served: Gateway, call: Caller) -> None:
    """A row that somebody took out of the store is missed, scope by scope, and how much it was."""
    for made in (record(), record(key_id="k2")):
        await book(served.store, made)
    rows: Any = await served.store.call("XRANGE", spelled.ledger("acme"), "-", "+")
    await served.store.call("XDEL", spelled.ledger("acme"), rows[1][0])
    found = (await call("POST", f"{LEDGER}/reconcile", {"customer": "acme"})).json
    assert not found["ok"]
    difference = {"tokens": 30, "usd": 0.00005}
    assert {
        (subject, key, window): difference
        for subject, key in (("customer", None), ("key", "k2"))
        for window in ("total", "day", "month")
    } == {
        (each["subject"], each["key"], each["window"]): each["difference"]
        for each in found["data"][0]["differences"]
    }


async def test_lost_and_released(served: Gateway, call: Caller) -> None:
    """What dead gateways had held is listed and given back by request, by age or altogether; a row says so."""
    await lose(served.store, "r1", "r2", "r3", "r4")
    listed = (await call("GET", f"{LEDGER}/lost?customer=acme")).json["data"]
    assert {"r1", "r2", "r3", "r4"} == {row["request_id"] for row in listed}
    assert {("acme", "k1", "gpt-5", "some/gpt-5", 30, 0.00005)} == {
        tuple(row[name] for name in ("customer", "key", "asked", "backend", "tokens", "usd"))
        for row in listed
    }
    for body, expected in (
        ({"ids": ["r2", "unknown"]}, ["r2"]),
        ({"before": "2001-01-01T00:00:00Z"}, []),
        ({"before": "2099-01-01T00:00:00Z"}, ["r1", "r3", "r4"]),
        ({"all": True}, []),
    ):
        done = await call("POST", f"{LEDGER}/release", {"customer": "acme", **body})
        assert expected == sorted(row["request_id"] for row in done.json["data"])
    assert [] == (await call("GET", f"{LEDGER}/lost")).json["data"]
    rows = (await call("GET", f"{LEDGER}?customer=acme")).json["data"]
    shown = ("outcome", "key", "asked", "backend", "released_tokens", "released_usd")
    assert {("released", "k1", "gpt-5", "some/gpt-5", 30, 0.00005)} == {
        tuple(row[name] for name in shown) for row in rows
    }
    assert 4 == len(rows)
    found = (await call("POST", f"{LEDGER}/reconcile")).json
    assert found["ok"]
    assert {"tokens": 0, "usd": 0.0} == found["data"][0]["counted"]


@pytest.mark.parametrize(
    "body",
    [{}, {"all": True, "ids": []}, {"before": "2026-01-01T00:00:00Z", "all": True}, {"all": False}],
)
async def test_release_must_say_what(call: Caller, body: dict[str, Any]) -> None:
    """Exactly one of three."""
    answer = await call("POST", f"{LEDGER}/release", {"customer": "acme", **body})
    assert (400, "invalid_request", None) == answer.error


def test_figures_add_up() -> None:
    """Member by member."""
    ones = Figures(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
    assert Figures(2, 4, 6, 8, 10, 12, 14, 16, 18, 20) == ones.plus(ones)
