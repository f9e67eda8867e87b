"""What was used, over the admin API: sums by group, filters, days, CSV."""

import csv
import io
from typing import Any

import pytest

from providers.types import Usage
from ratelimit.subjects.types import NewCustomer
from tests.proxy.admin.booking import book, record
from tests.proxy.admin.serving import Caller, Gateway

USAGE = "/admin/v1/usage"
NOTHING: dict[str, Any] = {
    "requests": 0,
    "errors": 0,
    "input_tokens": 0,
    "output_tokens": 0,
    "cache_read_tokens": 0,
    "cache_write_tokens": 0,
    "reasoning_tokens": 0,
    "cost_usd": 0.0,
    "estimated": 0,
    "unpriced": 0,
}


@pytest.fixture
async def booked(served: Gateway) -> Gateway:
    """Two customers, two keys, two models, three days, failures and estimates."""
    for name in ("acme", "bolt", "idle"):
        await served.directory.create_customer(NewCustomer(name))
    for made, days_ago in (
        (record(tags=("env:prod", "team:a")), 0),
        (record(usage=Usage(100, 50, 40, 5, 30)), 1),
        (record(key_id="k2", model="gpt-5-mini", tags=("team:a",), outcome="timeout", status=504), 1),
        (record(key_id="k2", usage=Usage(7, 3, estimated=True), outcome="client_gone", status=499), 40),
        (record("bolt", price=None), 0),
    ):
        await book(served.store, made, days_ago=days_ago)
    return served


async def sums(call: Caller, query: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Figures that are not 0, by the values of the groups."""
    answer = await call("GET", f"{USAGE}?{query}")
    assert 200 == answer.status, answer.raw
    groups = answer.json["group_by"]
    return {
        tuple(row[name] for name in groups): {
            name: value for name, value in row.items() if name not in groups and value
        }
        for row in answer.json["data"]
    }


@pytest.mark.usefixtures("booked")
async def test_by_customer(call: Caller) -> None:
    """All customers of the last 30 days; what has no price is counted and costs nothing; others' days are not seen."""
    answer = await call("GET", USAGE)
    acme = {
        **NOTHING,
        "customer": "acme",
        "requests": 3,
        "errors": 1,
        "input_tokens": 120,
        "output_tokens": 90,
        "cache_read_tokens": 40,
        "cache_write_tokens": 5,
        "reasoning_tokens": 30,
        "cost_usd": 0.0003,
    }
    bolt = {
        **NOTHING,
        "customer": "bolt",
        "requests": 1,
        "input_tokens": 10,
        "output_tokens": 20,
        "unpriced": 1,
    }
    assert [acme, bolt] == answer.json["data"]
    assert ("2025-12-03", "2026-01-01", ["customer"]) == tuple(
        answer.json[name] for name in ("since", "until", "group_by")
    )
    both = {name: acme[name] + bolt[name] for name in NOTHING}
    assert both == answer.json["total"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("customer=acme&group_by=key", {("k1",): 2, ("k2",): 1}),
        ("customer=acme&group_by=model,day", {
            ("gpt-5", "2025-12-31"): 1, ("gpt-5", "2026-01-01"): 1, ("gpt-5-mini", "2025-12-31"): 1,
        }),
        ("group_by=backend", {("some/gpt-5",): 3, ("some/gpt-5-mini",): 1}),
        ("customer=acme&group_by=tag", {(None,): 1, ("env:prod",): 1, ("team:a",): 2}),
        ("tag=env:prod&group_by=customer,key", {("acme", "k1"): 1}),
        ("model=gpt-5&key=k1", {("acme",): 2, ("bolt",): 1}),
        ("model=unknown", {}),
        ("since=2025-11-22&until=2025-11-22", {("acme",): 1}),
        ("since=2025-11-23&until=2025-12-30", {}),
        ("since=2025-12-31T23:59:59%2B00:00&until=2026-01-01T00:00:00Z", {("acme",): 2}),
        ("customer=idle", {}),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("booked")
async def test_groups_and_filters(call: Caller, query: str, expected: dict[tuple[Any, ...], int]) -> None:
    """Each group's requests; a request with several tags counts for each of them."""
    assert expected == {place: row["requests"] for place, row in (await sums(call, query)).items()}


@pytest.mark.usefixtures("booked")
async def test_a_total_counts_each_request_once(call: Caller) -> None:
    """Although it has two tags."""
    answer = await call("GET", f"{USAGE}?customer=acme&group_by=tag&since=2026-01-01")
    assert (2, 1) == (len(answer.json["data"]), answer.json["total"]["requests"])


@pytest.mark.parametrize("how", ["format", "accept"])
async def test_csv(served: Gateway, call: Caller, how: str) -> None:
    """Any value survives a reader of CSV: commas, quotes, line ends and letters of every script."""
    await served.directory.create_customer(NewCustomer("acme"))
    odd = 'a,"b"\nç 模型'
    await book(served.store, record(model=odd, tags=("a=b",), usage=Usage(1, 1_000_000)))
    await book(served.store, record(model="plain"))
    query = f"{USAGE}?group_by=model,tag"
    if how == "format":
        answer = await call("GET", f"{query}&format=csv")
    else:
        answer = await Caller(call.app, headers={"accept": "text/csv"})("GET", query)
    assert (200, "text/csv; charset=utf-8") == (answer.status, answer.headers["content-type"])
    heading, first, second = csv.reader(io.StringIO(answer.raw.decode(), newline=""))
    assert ["model", "tag", *NOTHING] == heading
    assert [odd, "a=b", "1", "0", "1", "1000000", "0", "0", "0", "2.000001", "0", "0"] == first
    assert ["plain", ""] == second[:2]


@pytest.mark.parametrize(
    ("query", "param", "said"),
    [
        ("group_by=colour", "group_by", "customer, key, model, backend, tag, day"),
        ("group_by=key,key", "group_by", "each once"),
        ("since=yesterday", "since", "2026-12-31"),
        ("since=2026-01-01T00:00:00", "since", "with its zone"),
        ("until=1969-01-01", "until", "must be a date"),
        ("since=2026-01-02&until=2026-01-01", "since", "after until"),
        ("format=xml", "format", "json or csv"),
        ("customers=acme", "customers", 'did you mean "customer"'),
    ],
)
async def test_refused(call: Caller, query: str, param: str, said: str) -> None:
    """What is not understood is refused, and why is said."""
    answer = await call("GET", f"{USAGE}?{query}")
    assert (400, "invalid_request", param) == answer.error
    assert said in answer.message


async def test_unknown_customer(call: Caller) -> None:
    """No empty list for a misspelt customer."""
    assert (404, "not_found", "customer") == (await call("GET", f"{USAGE}?customer=acne")).error


async def test_a_deleted_customer_is_still_counted(booked: Gateway, call: Caller) -> None:
    """What it used stays among all and by its id, and goes on when it is made again."""
    before = await sums(call, "group_by=customer")
    await call("DELETE", "/admin/v1/customers/acme")
    assert before == await sums(call, "group_by=customer")
    assert 3 == (await sums(call, "customer=acme"))[("acme",)]["requests"]
    await call("POST", "/admin/v1/customers", {"id": "acme"})
    await book(booked.store, record())
    assert 4 == (await sums(call, "customer=acme"))[("acme",)]["requests"]
