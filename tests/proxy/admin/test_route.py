"""`POST /admin/v1/route/explain`: where a request would go, and why; nothing is sent."""

from typing import Any

import pytest

from proxy.routing.replay import plan_inputs_from_json
from tests.proxy.admin.serving import BACKEND, Caller

PATH = "/admin/v1/route/explain"
HELLO = [{"role": "user", "content": "Hello"}]


def asking(**members: Any) -> dict[str, Any]:
    return {"model": "balanced", "messages": HELLO, **members}


async def test_a_tier(call: Caller) -> None:
    """Verdict, candidates with their reasons, attempts in order, and the inputs without any prompt."""
    answer = await call("POST", PATH, asking())
    told = answer.json
    assert (200, "balanced", "cheapest") == (answer.status, told["tier"], told["strategy"])
    assert told["verdict"]["source"] in ("rules", "scorer", "default")
    (candidate,) = told["candidates"]
    assert (BACKEND.id, True) == (candidate["backend"], candidate["kept"])
    assert [BACKEND.id] == [each["backend"] for each in told["attempts"]]
    assert "price unknown" in candidate["reasons"]
    assert "balanced" == plan_inputs_from_json(told["inputs"]).facts.asked
    assert b"Hello" not in answer.raw


async def test_a_model(call: Caller) -> None:
    """It has no tier and no verdict."""
    told = (await call("POST", PATH, asking(model="gpt-5-mini"))).json
    assert (None, "named", "order") == (told["tier"], told["verdict"]["source"], told["strategy"])


async def test_for_a_customer_and_a_key(call: Caller) -> None:
    """Their allow-lists count, and their limits in dollars: the backend's price is unknown."""
    limits = {"usd_per_month": None}
    await call("POST", "/admin/v1/customers", {"id": "acme", "models": ["gpt-5-mini"], "limits": limits})
    key = (await call("POST", "/admin/v1/keys", {"customer": "acme", "models": ["balanced"]})).json["id"]
    assert 200 == (await call("POST", f"{PATH}?customer=acme", asking(model="gpt-5-mini"))).status
    refused = await call("POST", f"{PATH}?key={key}", asking(model="gpt-5-mini"))
    assert (403, "model_not_allowed", "model") == refused.error
    await call("POST", "/admin/v1/customers", {"id": "poor", "limits": {"usd_total": 1}})
    refused = await call("POST", f"{PATH}?customer=poor", asking())
    assert (400, "no_capable_backend", "model") == refused.error
    assert (404, "not_found", "key") == (
        await call("POST", f"{PATH}?customer=poor&key={key}", asking())
    ).error


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"model": "balanced"}, (400, "invalid_request", "messages")),
        (asking(model="balance"), (404, "model_not_found", "model")),
        (asking(headgate={"prio": 1}), (400, "invalid_request", "headgate.prio")),
        (asking(provider={"only": ["azure"]}), (400, "no_capable_backend", "provider.only")),
    ],
)
async def test_refusals(call: Caller, body: Any, error: tuple[int, str, str]) -> None:
    """What the request itself would be refused with."""
    assert error == (await call("POST", PATH, body)).error
    assert (404, "not_found", None) == (await call("POST", f"{PATH}?customer=nobody", asking())).error
