"""Keys: configured or made over the admin API, revoked within two seconds, expired, restricted, limited."""

import asyncio
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from tests.support.gateway import ADMIN_KEY
from tests.support.raw_client import Answer, http_request
from tests.support.scripted import DONE, Exchange, finish, good_stream, role, text
from tests.support.site import HELLO, Site, config, model, provider, site

REVOKED_WITHIN_S = 2.0
SLACK_S = 1.5
CUSTOMER_LIMITED = "test-key-0003-customer"
LISTED = "test-key-0004-listed"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def configure(listener: socket.socket) -> dict[str, Any]:
        models = [model("test-model", "scripted"), model("other-model", "scripted")]
        made = config(
            {"scripted": provider(listener)}, models, tiers={"balanced": {"models": ["other-model"]}}
        )
        made["routing"] = {"aliases": {"auto": "balanced"}}
        made["customers"] = [{"id": "small", "limits": {"requests_per_minute": 2}}]
        made["keys"] += [
            {
                "id": "of-small",
                "customer": "small",
                "secret": "env:CUSTOMER_LIMITED",
                "limits": {"requests_per_minute": 50},
            },
            {
                "id": "listed",
                "customer": "lists",
                "secret": "env:LISTED",
                "models": ["test-model", "balanced"],
            },
        ]
        return made

    environ = {"CUSTOMER_LIMITED": CUSTOMER_LIMITED, "LISTED": LISTED}
    with site(tmp_path_factory.mktemp("keys"), configure, environ) as place:
        yield place


async def admin(place: Site, method: str, path: str, **members: Any) -> Answer:
    """One call of the admin API."""
    body = orjson.dumps(members) if members else None
    headers = {"authorization": f"Bearer {ADMIN_KEY}", "content-type": "application/json"}
    async with place.client() as client:
        await client.send(http_request(method, f"/admin/v1{path}", headers=headers, body=body))
        return await client.read_all()


async def make_key(place: Site, customer: str, **members: Any) -> tuple[str, str]:
    """A customer of that name, if need be, and a key. Gives the key's id and text."""
    assert (await admin(place, "POST", "/customers", id=customer, name=customer)).status in {201, 409}
    answer = await admin(place, "POST", "/keys", customer=customer, name="of a test", **members)
    assert 201 == answer.status, answer.body
    return answer.members["id"], answer.members["key"]


async def ask(place: Site, key: str, name: str = "test-model", *, header: str = "authorization") -> Answer:
    """One chat request with `key`."""
    said = {header: f"Bearer {key}" if header == "authorization" else key, "content-type": "application/json"}
    body = orjson.dumps({"model": name, "stream": True, "messages": HELLO})
    async with place.client() as client:
        await client.send(http_request("POST", "/v1/chat/completions", headers=said, body=body))
        return await client.read_all()


async def models(place: Site, key: str) -> list[str]:
    async with place.client() as client:
        await client.send(http_request("GET", "/v1/models", headers={"authorization": f"Bearer {key}"}))
        answer = await client.read_all()
    return [each["id"] for each in answer.members["data"]]


async def until_refused(place: Site, key: str, within_s: float) -> Answer:
    """Ask until the key no longer works."""
    async with asyncio.timeout(within_s):
        while (answer := await ask(place, key)).status == 200:  # noqa: ASYNC110 - the state is another process's
            await asyncio.sleep(0.05)
    return answer


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key"])
async def test_a_configured_key(place: Site, header: str) -> None:
    """It works in each of the three headers that SDKs use."""
    async with place.upstream(good_stream):
        assert "good" == (await ask(place, place.gateway.key, header=header)).text


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key"])
async def test_a_key_made_over_the_admin_api(place: Site, header: str) -> None:
    """It works at once, in each of the three headers."""
    _, key = await make_key(place, "made")
    assert key.startswith("sk-hg-")
    async with place.upstream(good_stream):
        assert "good" == (await ask(place, key, header=header)).text


async def test_the_keys_text_is_shown_once(place: Site) -> None:
    """Afterwards neither its text nor its digest is anywhere to be read."""
    key_id, key = await make_key(place, "made")
    shown = await admin(place, "GET", f"/keys/{key_id}")
    listed = await admin(place, "GET", "/keys?limit=1000")
    assert 200 == shown.status == listed.status
    for body in (shown.body, listed.body, place.gateway.log.read_bytes()):
        assert key.encode() not in body


@pytest.mark.parametrize(
    "manner", ["revoked", "replaced", "disabled", "customer disabled", "customer deleted"]
)
async def test_a_key_that_may_no_longer_be_used(place: Site, manner: str) -> None:
    """Revoked, replaced or disabled, alone or with its customer, a key stops working within two seconds."""
    customer = manner.replace(" ", "-")
    key_id, key = await make_key(place, customer)
    async with place.upstream(good_stream):
        assert 200 == (await ask(place, key)).status
        done: dict[str, tuple[str, str, dict[str, Any]]] = {
            "revoked": ("DELETE", f"/keys/{key_id}", {}),
            "replaced": ("POST", f"/keys/{key_id}/rotate", {"overlap_s": 0}),
            "disabled": ("PATCH", f"/keys/{key_id}", {"disabled": True}),
            "customer disabled": ("PATCH", f"/customers/{customer}", {"disabled": True}),
            "customer deleted": ("DELETE", f"/customers/{customer}", {}),
        }
        method, path, members = done[manner]
        assert (await admin(place, method, path, **members)).status in {200, 204}
        answer = await until_refused(place, key, REVOKED_WITHIN_S + SLACK_S)
    assert (401, "invalid_api_key") == (answer.status, answer.members["error"]["code"])
    said = manner.replace("customer deleted", "revoked")
    assert said in answer.members["error"]["message"]


async def test_a_rotated_key(place: Site) -> None:
    """Both texts work during the overlap; past its second the new one alone does."""
    key_id, old = await make_key(place, "rotated")
    async with place.upstream(good_stream):
        assert 200 == (await ask(place, old)).status
        rotated = await admin(place, "POST", f"/keys/{key_id}/rotate", overlap_s=2)
        assert (200, key_id) == (rotated.status, rotated.members["id"])
        until = datetime.fromisoformat(rotated.members["previous_until"])
        assert [200, 200] == [(await ask(place, key)).status for key in (old, rotated.members["key"])]
        answer = await until_refused(place, old, 2 + SLACK_S)
        assert datetime.now(tz=UTC) >= until
        assert "replaced" in answer.members["error"]["message"]
        assert 200 == (await ask(place, rotated.members["key"])).status


async def test_a_stream_under_way_outlives_its_key(place: Site) -> None:
    """Revoking a key ends no answer that has begun."""

    async def script(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send(role() + text("begun "))
        await exchange.go.wait()
        await exchange.send(text("ended") + finish() + DONE)
        await exchange.finish()

    key_id, key = await make_key(place, "outlived")
    async with place.upstream(script) as upstream, place.client() as client:
        await client.send(place.chat().replace(place.gateway.key.encode(), key.encode()))
        await client.read_until(b"begun")
        assert 204 == (await admin(place, "DELETE", f"/keys/{key_id}")).status
        upstream.exchanges[0].go.set()
        answer = await client.read_all()
    assert "begun ended" == answer.text


async def test_expiry(place: Site) -> None:
    """A key works until its moment has come, and not after it."""
    lifetime_s = 3
    expires_at = (datetime.now(tz=UTC) + timedelta(seconds=lifetime_s)).replace(microsecond=0)
    _, key = await make_key(place, "expiring", expires_at=expires_at.isoformat())
    async with place.upstream(good_stream):
        assert 200 == (await ask(place, key)).status
        answer = await until_refused(place, key, lifetime_s + SLACK_S)
    assert datetime.now(tz=UTC) >= expires_at
    assert (401, "invalid_api_key") == (answer.status, answer.members["error"]["code"])
    assert "expired" in answer.members["error"]["message"]


async def test_an_allow_list(place: Site) -> None:
    """What is not in the list is 403; a tier in it admits its models under the tier's name only."""
    async with place.upstream(good_stream):
        assert 200 == (await ask(place, LISTED, "test-model")).status
        assert 200 == (await ask(place, LISTED, "balanced")).status
        assert 200 == (await ask(place, LISTED, "headgate/balanced")).status
        assert 200 == (await ask(place, LISTED, "auto")).status
        answer = await ask(place, LISTED, "other-model")
    assert (403, "model_not_allowed") == (answer.status, answer.members["error"]["code"])
    assert "model" == answer.members["error"]["param"]
    assert ["test-model", "balanced"] == await models(place, LISTED)


async def test_an_allow_list_over_the_admin_api(place: Site) -> None:
    """The same for a key made there, and an unknown model is told without naming what is not allowed."""
    _, key = await make_key(place, "listing", models=["test-model"])
    async with place.upstream(good_stream):
        assert 200 == (await ask(place, key)).status
        assert 403 == (await ask(place, key, "other-model")).status
        unknown = await ask(place, key, "othr-model")
    assert 404 == unknown.status
    assert "other-model" not in unknown.members["error"]["message"]
    assert ["test-model"] == await models(place, key)


async def test_requests_per_minute(place: Site) -> None:
    """Exactly as many pass as allowed; then 429 with what an SDK needs to wait, and nothing is sent upstream."""
    _, key = await make_key(place, "limited", limits={"requests_per_minute": 3})
    async with place.upstream(good_stream) as upstream:
        passed = [await ask(place, key) for _ in range(3)]
        refused = await ask(place, key)
        assert 3 == len(upstream.exchanges)
    assert [200, 200, 200] == [each.status for each in passed]
    assert ["2", "1", "0"] == [each.headers["x-ratelimit-remaining-requests"] for each in passed]
    assert {"3"} == {each.headers["x-ratelimit-limit-requests"] for each in (*passed, refused)}
    assert "20s" == passed[0].headers["x-ratelimit-reset-requests"]
    assert 429 == refused.status
    assert "0" == refused.headers["x-ratelimit-remaining-requests"]
    assert 1 <= int(refused.headers["retry-after"]) <= 20
    assert refused.headers["x-ratelimit-reset-requests"].endswith("s")
    error = refused.members["error"]
    assert ("rate_limit_exceeded", "gateway") == (error["code"], error["source"])
    assert ("key", "requests_per_minute", 3) == (error["subject"], error["limit"], error["maximum"])
    assert 3 == error["used"]
    assert error["reset"].endswith("s")


async def test_the_tighter_limit_is_told(place: Site) -> None:
    """Of key and customer the one with less left speaks."""
    async with place.upstream(good_stream):
        first = await ask(place, CUSTOMER_LIMITED)
        await ask(place, CUSTOMER_LIMITED)
        refused = await ask(place, CUSTOMER_LIMITED)
    assert ("2", "1") == tuple(
        first.headers[f"x-ratelimit-{each}-requests"] for each in ("limit", "remaining")
    )
    assert 429 == refused.status
    assert ("customer", 2) == (refused.members["error"]["subject"], refused.members["error"]["maximum"])


async def test_racers_at_a_limit(place: Site) -> None:
    """Thirty at once at a limit of five: exactly five pass."""
    _, key = await make_key(place, "raced", limits={"requests_per_minute": 5})
    async with place.upstream(good_stream) as upstream:
        answers = await asyncio.gather(*[ask(place, key) for _ in range(30)])
        assert 5 == len(upstream.exchanges)
    assert (5, 25) == tuple(sum(each.status == status for each in answers) for status in (200, 429))


async def test_the_admin_api_needs_the_admin_key(place: Site) -> None:
    """A customer's key opens nothing there, and the admin key nothing here."""
    answer = await place.get("/admin/v1/customers")
    assert (401, "invalid_api_key") == (answer.status, answer.members["error"]["code"])
    async with place.upstream(good_stream):
        assert 401 == (await ask(place, ADMIN_KEY)).status
