"""How limits stand, and what is said when one is lowered below what is used."""

import pytest

from ratelimit.limits.reservations import Reservations
from ratelimit.limits.types import Claim, Scope, account
from ratelimit.subjects.types import NewCustomer, NewKey
from tests.proxy.admin.serving import Caller, Gateway

ACME = "/admin/v1/customers/acme"
LIMITS = {"usd_per_day": 0.001, "tokens_total": 1000, "requests_per_minute": 60, "in_flight": 4}


@pytest.fixture
async def key_id(served: Gateway) -> str:
    """Of a key that has spent 200 tokens for 100 micro-dollars and holds 300 for 400."""
    await served.directory.create_customer(NewCustomer("acme", limits=LIMITS))
    key, _ = await served.directory.create_key(
        NewKey(
            "acme",
            limits={"usd_per_month": 1},
            models=("gpt-5", "b"),
            model_limits={"gpt-5": {"in_flight": 2}},
        )
    )
    await served.directory.create_key(NewKey("acme"))
    scopes = (
        Scope("customer", "acme", LIMITS),
        Scope("key", key.id, key.limits),
        Scope("model", f"{key.id}:gpt-5", key.model_limits["gpt-5"]),
    )
    asker = account("acme", scopes)
    reservations = Reservations(served.store)
    for name, tokens, microusd in (("spent", 200, 100), ("held", 300, 400)):
        claim = Claim(name, 1, tokens, microusd, 0)
        assert (await reservations.admit(asker, claim, soft_ratio=0.8)).allowed
    await reservations.settle(asker, "spent", tokens=200, microusd=100)
    return key.id


async def test_customer_and_keys(call: Caller, key_id: str) -> None:
    """Maximum, used, held, left and reset of each limit; what was spent where there is none."""
    found = (await call("GET", f"{ACME}/limits")).json
    customer = found["customer"]
    limits = {each.pop("limit"): each for each in customer["limits"]}
    assert set(LIMITS) == set(limits)
    day = limits["usd_per_day"]
    assert day.pop("resets_at").endswith("T00:00:00.000Z")
    assert {"maximum": 0.001, "used": 0.0005, "held": 0.0004, "remaining": 0.0005} == day
    total = {"maximum": 1000, "used": 500, "held": 300, "remaining": 500, "resets_at": None}
    assert total == limits["tokens_total"]
    slots = {"maximum": 4, "used": 1, "held": 1, "remaining": 3, "resets_at": None}
    assert slots == limits["in_flight"]
    rate = limits["requests_per_minute"]
    assert (60, 0) == (rate["maximum"], rate["held"])
    assert 1 <= rate["used"] <= 2
    assert 60 == rate["used"] + rate["remaining"]
    assert {"tokens": 200, "cost_usd": 0.0001} == customer["spent"]["total"]
    keys = {each["id"]: each for each in found["keys"]}
    assert 2 == len(keys)
    used = keys[key_id]
    assert ["usd_per_month"] == [each["limit"] for each in used["limits"]]
    (model,) = used["models"]
    assert ("model", key_id, "gpt-5", 1) == (
        model["subject"],
        model["id"],
        model["model"],
        model["in_flight"],
    )
    (other,) = (each for name, each in keys.items() if name != key_id)
    assert ([], [], 0) == (other["limits"], other["models"], other["spent"]["total"]["tokens"])


async def test_keys_are_paged(call: Caller, key_id: str) -> None:
    """As lists of keys are."""
    first = (await call("GET", f"{ACME}/limits?limit=1")).json
    second = (await call("GET", f"{ACME}/limits?limit=1&after={first['next']}")).json
    assert (1, 1, None) == (len(first["keys"]), len(second["keys"]), second["next"])
    assert key_id in {first["keys"][0]["id"], second["keys"][0]["id"]}


async def test_unknown(call: Caller) -> None:
    """404."""
    assert (404, "not_found", None) == (await call("GET", f"{ACME}/limits")).error


@pytest.mark.usefixtures("key_id")
async def test_lowered_below_what_is_used(call: Caller) -> None:
    """It is done, and said: which limit, how much is used, how much is allowed; not of rates, nor of other limits."""
    patch = {"limits": {"usd_per_day": 0.0002, "tokens_total": 500, "requests_per_minute": 0, "in_flight": 0}}
    changed = await call("PATCH", ACME, patch)
    assert 200 == changed.status
    assert 0.0002 == changed.json["limits"]["usd_per_day"]
    warnings = {each.pop("limit"): each for each in changed.json["warnings"]}
    assert {"usd_per_day", "in_flight"} == set(warnings)
    day = warnings["usd_per_day"]
    message = day.pop("message")
    assert "0.0005 of usd_per_day, more than 0.0002" in message
    assert {"subject": "customer", "id": "acme", "used": 0.0005, "maximum": 0.0002} == day
    assert "warnings" not in (await call("PATCH", ACME, {"limits": {"in_flight": 3}})).json
    assert "warnings" not in (await call("PATCH", ACME, {"name": "A", "limits": None})).json


async def test_a_keys_limits_lowered(call: Caller, key_id: str) -> None:
    """Of the key and of its models, those without limits before included."""
    path = f"/admin/v1/keys/{key_id}"
    changed = await call(
        "PATCH",
        path,
        {
            "limits": {"tokens_per_day": 100},
            "models": {"gpt-5": {"tokens_per_month": 499}, "b": {"usd_total": 0}},
        },
    )
    assert {
        ("key", key_id, "tokens_per_day", 500, 100),
        ("model", f"{key_id}:gpt-5", "tokens_per_month", 500, 499),
    } == {
        tuple(each[name] for name in ("subject", "id", "limit", "used", "maximum"))
        for each in changed.json["warnings"]
    }
