"""A customer that is kept to regions, through a real gateway: nothing a request says, and no failure, widens them."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any, Final

import orjson
import pytest

from tests.support.gateway import ADMIN_KEY, running
from tests.support.raw_client import Answer
from tests.support.scripted import WAIT_S, Exchange, good_stream, listening
from tests.support.site import Site, config, model, provider

KEPT: Final = "test-key-kept-abcdefgh"
ABROAD: Final = {"provider": "there", "model": "us-model", "region": "us"}
AT_HOME: Final = {"provider": "here", "model": "eu-model", "region": "EU"}
UNSAID: Final = {"provider": "here", "model": "unsaid-model"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        listening() as listener,
        running(tmp_path_factory.mktemp("residency"), configuration(listener), {"KEPT": KEPT}) as gateway,
    ):
        yield Site(gateway, listener)


def configuration(listener: socket.socket) -> dict[str, Any]:
    made = config(
        {"here": provider(listener), "there": provider(listener)},
        [
            model("everywhere", backends=[{**ABROAD}, UNSAID, AT_HOME]),
            model("abroad", backends=[ABROAD]),
        ],
        redis={"timeout_ms": 2000},
        tiers={"balanced": {"models": ["abroad", "everywhere"], "strategy": "order"}},
        customers=[{"id": "kept", "regions": ["eu"]}],
    )
    made["keys"].append({"id": "kept", "customer": "kept", "secret": "env:KEPT"})
    return made


async def ask(place: Site, key: str = KEPT, **members: Any) -> Answer:
    async with place.client() as client:
        request = place.chat(**{"model": "everywhere", **members})
        await client.send(request.replace(place.gateway.key.encode(), key.encode()))
        return await client.read_all()


async def administer(place: Site, method: str, path: str, body: Any) -> Any:
    async with place.client() as client:
        headers = {"authorization": f"Bearer {ADMIN_KEY}", "content-type": "application/json"}
        await client.send(place.request(method, f"/admin/v1{path}", body=orjson.dumps(body), headers=headers))
        answer = await client.read_all()
    assert answer.status in {200, 201}, answer.body
    return orjson.loads(answer.body)


def error_of(answer: Answer) -> tuple[int, str, str]:
    error = orjson.loads(answer.body)["error"]
    return answer.status, error["code"], error["param"]


@pytest.mark.parametrize("asked", ["everywhere", "balanced"])
@pytest.mark.parametrize("wish", [None, "eu", ["us", "eu"]], ids=["no wish", "the same", "a wider one"])
async def test_only_there(place: Site, asked: str, wish: Any) -> None:
    """Whatever else the model or the tier has, and whatever the request would allow."""
    async with place.upstream(good_stream) as upstream:
        answer = await ask(place, model=asked, headgate={"region": wish})
        assert (200, ["eu-model"]) == (answer.status, [each.members["model"] for each in upstream.exchanges])
        other = await ask(place, place.gateway.key, headgate={"region": wish})
        assert (200, "eu-model" if wish == "eu" else "us-model") == (
            other.status,
            upstream.exchanges[1].members["model"],
        )


async def test_a_wish_for_elsewhere(place: Site) -> None:
    """A clear refusal that names both, and nothing is sent."""
    async with place.upstream(good_stream) as upstream:
        answer = await ask(place, headgate={"region": "us"})
        assert [] == upstream.exchanges
    assert (400, "no_capable_backend", "headgate.region") == error_of(answer)
    assert "asks for `us`, and the customer's `regions` allow `eu` only" in answer.body.decode()


async def test_no_backend_there(place: Site) -> None:
    """Refused, with the reason of each backend; nothing is sent."""
    async with place.upstream(good_stream) as upstream:
        answer = await ask(place, model="abroad")
        assert [] == upstream.exchanges
    assert (400, "no_capable_backend", "model") == error_of(answer)
    assert "there/us-model is not known to be in `eu`, the customer's `regions`" in answer.body.decode()


async def test_a_failure_does_not_widen_them(place: Site) -> None:
    """With nobody else at home, the answer is the failure."""

    async def failing(exchange: Exchange) -> None:
        await exchange.answer(503, b'{"error": {"message": "busy"}}')

    async with place.upstream(failing) as upstream:
        answer = await ask(place)
        assert {"eu-model"} == {each.members["model"] for each in upstream.exchanges}
    assert 503 == answer.status


async def test_endpoints_are_those_that_may_answer(place: Site) -> None:
    """A customer sees backends in its regions alone, others all; under both prefixes, and of a mode its models'."""

    async def names(key: str, model: str, prefix: str = "/v1") -> list[str]:
        answer = await place.get(f"{prefix}/models/{model}/endpoints", {"authorization": f"Bearer {key}"})
        assert 200 == answer.status
        return [each["name"] for each in answer.members["data"]["endpoints"]]

    other = place.gateway.key
    everyone = ["there/us-model", "here/unsaid-model", "here/eu-model"]
    assert ["here/eu-model"] == await names(KEPT, "everywhere") == await names(KEPT, "balanced", "/api/v1")
    assert everyone == await names(other, "everywhere")
    assert [] == await names(KEPT, "abroad")
    answer = await place.get("/v1/models/nobody/endpoints")
    assert (404, "model_not_found") == (answer.status, answer.members["error"]["code"])
    answer = await place.get("/v1/models/abroad/endpoints", {"authorization": f"Bearer {other}"})
    (endpoint,) = answer.members["data"]["endpoints"]
    assert ("there", {"region": "us", "data_policy": None}) == (
        endpoint["provider_name"],
        endpoint["headgate"],
    )
    assert {"prompt": "0.000001", "completion": "0.000002", "request": "0"} == {
        name: endpoint["pricing"][name] for name in ("prompt", "completion", "request")
    }


async def test_over_the_admin_api(place: Site) -> None:
    """They can be set, changed and taken back while requests run; an explanation tells the reason."""
    await administer(place, "POST", "/customers", {"id": "made", "regions": ["EU"], "limits": {}})
    key: str = (await administer(place, "POST", "/keys", {"customer": "made"}))["key"]
    async with place.upstream(good_stream) as upstream:
        await ask(place, key)
        assert "eu-model" == upstream.exchanges[-1].members["model"]
        told = await administer(
            place,
            "POST",
            "/route/explain?customer=made",
            {"model": "everywhere", "messages": [{"role": "user"}]},
        )
        reasons = {each["backend"]: each["reasons"] for each in told["candidates"]}
        assert ["is not known to be in `eu`, the customer's `regions`"] == reasons["there/us-model"]
        await administer(place, "PATCH", "/customers/made", {"regions": None})
        async with asyncio.timeout(WAIT_S):  # two seconds, as changes of customers take
            while upstream.exchanges[-1].members["model"] != "us-model":
                await ask(place, key)


async def test_a_record_keeps_them(place: Site) -> None:
    """So that the choice is made again as it was."""
    async with place.upstream(good_stream):
        answer = await ask(place)
    generation = answer.headers["x-generation-id"]
    async with asyncio.timeout(WAIT_S), place.client() as client:
        while True:  # records are written once the answer has left
            await client.send(
                place.request(
                    "GET",
                    f"/admin/v1/generations/{generation}",
                    headers={"authorization": f"Bearer {ADMIN_KEY}"},
                )
            )
            found = await client.read_all()
            if found.status == 200:
                break
    told = orjson.loads(found.body)
    assert (True, ["eu"]) == (told["replayed"], told["inputs"]["facts"]["regions"])
