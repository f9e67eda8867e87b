"""Azure on the wire: the deployment in the path, a version in the query, the key in a header of its own."""

import socket
from collections.abc import Iterator
from typing import Any, Final

import orjson
import pytest

from tests.support.gateway import NO_CIRCUITS
from tests.support.raw_client import Answer
from tests.support.scripted import Exchange, completion, frame, good_stream, url_of
from tests.support.site import PROVIDER_KEY, Site, config, provider, site

KEY: Final = "provider-key-for-tests"
BODY: Final = b'{"model": "%b",  "messages": [{"role":"user","content":"x"}], "temperature":1.0}'
VECTORS: Final = (
    b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":"0c2cuw=="}],'
    b'"model":"ada","usage":{"prompt_tokens":2,"total_tokens":2}}\n'
)

# How a provider is configured, and what then comes before and behind the operation in its paths.
WAYS: Final[dict[str, tuple[str, dict[str, str], str, str]]] = {
    "resource": ("", {}, "/openai/deployments/{model}", "?api-version=2024-10-21"),
    "slash": ("/", {}, "/openai/deployments/{model}", "?api-version=2024-10-21"),
    "below": ("/azure", {}, "/azure/openai/deployments/{model}", "?api-version=2024-10-21"),
    "dated": (
        "",
        {"api_version": "2025-04-01-preview"},
        "/openai/deployments/{model}",
        "?api-version=2025-04-01-preview",
    ),
    "newer": ("/openai/v1", {}, "/openai/v1", ""),
    "newer-slash": ("/openai/v1/", {}, "/openai/v1", ""),
    "newer-dated": ("/openai/v1", {"api_version": "preview"}, "/openai/v1", "?api-version=preview"),
    "models": ("/models", {}, "/models", "?api-version=2024-05-01-preview"),
}
DEPLOYMENTS: Final = {
    "plain": ("gpt-5-eu", "gpt-5-eu"),
    "odd": ("my_dep/2?#%41+y", "my_dep%2F2%3F%23%2541%2By"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def configure(listener: socket.socket) -> dict[str, Any]:
        providers = {
            name: {
                "adapter": "azure",
                "base_url": url_of(listener, path),
                "api_key": PROVIDER_KEY,
                **members,
            }
            for name, (path, members, _, _) in WAYS.items()
        }
        models = [
            {
                "id": f"{way}-{kind}",
                "backends": [{"provider": way, "model": deployment}],
                "price": {"input": 1.0, "output": 2.0},
            }
            for way in WAYS
            for kind, (deployment, _) in DEPLOYMENTS.items()
        ]
        both = [{"provider": name, "model": "gpt-5-eu"} for name in ("resource", "other")]
        models.append({"id": "both", "backends": both, "price": {"input": 1.0, "output": 2.0}})
        providers["other"] = provider(listener, "/other/v1")
        return config(providers, models, routing={"breaker": NO_CIRCUITS})

    with site(tmp_path_factory.mktemp("azure"), configure) as place:
        yield place


async def answer_whole(exchange: Exchange) -> None:
    if "/embeddings" in exchange.path:
        await exchange.answer(200, VECTORS)
    elif exchange.members.get("stream"):
        await good_stream(exchange)
    else:
        await exchange.answer(200, completion("good"))


async def post(place: Site, path: str, body: bytes) -> Answer:
    async with place.client() as client:
        await client.send(place.request("POST", path, body=body))
        return await client.read_all()


@pytest.mark.parametrize("kind", DEPLOYMENTS)
@pytest.mark.parametrize("way", WAYS)
async def test_where_a_request_goes(place: Site, way: str, kind: str) -> None:
    """Path and version by the base URL, for chat, streamed and plain, and for embeddings; a deployment is quoted."""
    _, _, before, behind = WAYS[way]
    before = before.format(model=DEPLOYMENTS[kind][1])
    name = f"{way}-{kind}"
    async with place.upstream(answer_whole) as upstream:
        assert "good" == (await place.ask(model=name)).text
        assert 200 == (await place.ask(model=name, stream=False)).status
        vectors = await post(place, "/v1/embeddings", orjson.dumps({"model": name, "input": "x"}))
        assert 200 == vectors.status
    chat = f"{before}/chat/completions{behind}"
    assert [chat, chat, f"{before}/embeddings{behind}"] == [each.path for each in upstream.exchanges]
    for exchange in upstream.exchanges:
        assert DEPLOYMENTS[kind][0] == exchange.members["model"]
        assert "POST" == exchange.method


async def test_the_key(place: Site) -> None:
    """In `api-key` and nowhere else; the client's own key never leaves, however it was sent."""
    async with place.upstream(answer_whole) as upstream:
        for name, value in (
            ("authorization", f"Bearer {place.gateway.key}"),
            ("api-key", place.gateway.key),
            ("x-api-key", place.gateway.key),
        ):
            async with place.client() as client:
                request = place.request("POST", "/v1/chat/completions", body=BODY % b"resource-plain")
                bearer = f"authorization: Bearer {place.gateway.key}".encode()
                await client.send(request.replace(bearer, f"{name}: {value}".encode()))
                assert 200 == (await client.read_all()).status
        assert 3 == len(upstream.exchanges)
        for exchange in upstream.exchanges:
            assert KEY == exchange.headers["api-key"]
            assert {"authorization", "x-api-key"}.isdisjoint(exchange.headers)
            assert place.gateway.key not in str(exchange.headers) + exchange.body.decode()


async def test_the_body_travels_on(place: Site) -> None:
    """Only the model's name is another one."""
    async with place.upstream(answer_whole) as upstream:
        await post(place, "/v1/chat/completions", BODY % b"resource-plain")
        assert BODY % b"gpt-5-eu" == (await upstream.exchange()).body


async def test_embeddings(place: Site) -> None:
    """An answer in base64, edited in its usage alone."""
    body = orjson.dumps({"model": "resource-plain", "input": "x", "encoding_format": "base64"})
    async with place.upstream(answer_whole):
        answer = await post(place, "/v1/embeddings", body)
    start, end = VECTORS.index(b'{"prompt_tokens"'), VECTORS.rindex(b"}")
    assert answer.body.startswith(VECTORS[:start])
    assert answer.body.endswith(VECTORS[end:])
    said = answer.members
    assert (2, 0.000002) == (said["usage"]["prompt_tokens"], said["usage"]["cost"])
    assert {"request_id", "attempts", "provider"} <= said["headgate"].keys()


async def test_the_first_frame_has_no_choices(place: Site) -> None:
    """Azure's filter results come before the role: they pass, and are no usage chunk."""
    filters = frame({"id": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]})

    async def script(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send(filters)
        await exchange.send(b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n')
        await exchange.send(
            b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
        )
        await exchange.finish()

    async with place.upstream(script):
        answer = await place.ask(model="resource-plain")
    assert answer.body.startswith(filters)
    assert "hi" == answer.text


@pytest.mark.parametrize(
    ("status", "body", "headers", "outcome"),
    [
        (
            429,
            {"error": {"code": "RateLimitReached", "message": "Please retry after 1 second."}},
            (("retry-after", "1"), ("retry-after-ms", "0")),
            "rate_limited",
        ),
        (
            401,
            {"error": {"code": "401", "message": "Access denied due to invalid subscription key."}},
            (),
            "auth",
        ),
        (404, {"error": {"code": "DeploymentNotFound", "message": "No such deployment."}}, (), "auth"),
    ],
)
async def test_failures_move_on(
    place: Site, status: int, body: dict[str, Any], headers: tuple[tuple[str, str], ...], outcome: str
) -> None:
    """To a backend with another way of authenticating and other paths, for chat and for embeddings."""

    async def script(exchange: Exchange) -> None:
        if exchange.path.startswith("/openai/"):
            await exchange.answer(status, orjson.dumps(body), headers)
        else:
            await answer_whole(exchange)

    requests = {
        "/v1/chat/completions": BODY % b"both",
        "/v1/embeddings": orjson.dumps({"model": "both", "input": "x"}),
    }
    for path, asked in requests.items():
        async with place.upstream(script) as upstream:
            answer = await post(place, path, asked)
            first, second = upstream.exchanges
        attempts = answer.members["headgate"]["attempts"]
        assert [(outcome, status), ("ok", 200)] == [(each["outcome"], each["status"]) for each in attempts]
        assert (KEY, None) == (first.headers.get("api-key"), first.headers.get("authorization"))
        assert (None, f"Bearer {KEY}") == (second.headers.get("api-key"), second.headers.get("authorization"))
        assert path.replace("/v1", "/other/v1") == second.path
