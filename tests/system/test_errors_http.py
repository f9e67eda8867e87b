"""Each refusal of the gateway has its status, code, parameter and words, in OpenAI's shape, on both prefixes."""

import socket
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from tests.support.raw_client import Answer, http_request
from tests.support.scripted import Exchange, completion, good_stream
from tests.support.site import HELLO, Site, config, model, provider, site

MAX_BODY_BYTES = 50_000
CHAT = "/chat/completions"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def configure(listener: socket.socket) -> dict[str, Any]:
        providers = {"scripted": provider(listener)}
        models = [model("test-model", "scripted"), model("other-model", "scripted")]
        return config(providers, models, server={"max_body_bytes": MAX_BODY_BYTES})

    with site(tmp_path_factory.mktemp("errors"), configure) as place:
        yield place


def body(**members: Any) -> bytes:
    return orjson.dumps({"model": "test-model", "messages": HELLO, **members})


def nested(levels: int) -> bytes:
    return b'{"model":"test-model","messages":[{"role":"user","content":"x"}],"metadata":' + (
        b"[" * levels + b"]" * levels + b"}"
    )


def check_shape(answer: Answer, client_id: str) -> dict[str, Any]:
    """What every error has. Gives its `error` member."""
    assert answer.complete
    assert "application/json" == answer.headers["content-type"]
    assert answer.headers["x-request-id"].startswith("req-")
    assert answer.headers["x-request-id"] == answer.headers["x-generation-id"]
    assert client_id == answer.headers["x-client-request-id"]
    assert {"error", "headgate"} == answer.members.keys()
    assert {"attempts": []} == answer.members["headgate"]
    error = answer.members["error"]
    assert {"message", "type", "param", "code", "source", "request_id"} <= error.keys()
    assert "gateway" == error["source"]
    assert answer.headers["x-request-id"] == error["request_id"]
    assert isinstance(error["type"], str)
    assert error["type"]
    assert isinstance(error, dict)
    return error


BODIES: dict[str, tuple[bytes, int, str, str | None, str]] = {
    "too large": (body(padding="x" * MAX_BODY_BYTES), 413, "request_too_large", None, "50000 bytes"),
    "empty": (b"", 400, "invalid_request", None, "empty"),
    "not JSON": (b'{"model": "test-model",\n "messages": oops}', 400, "invalid_request", None, "line 2"),
    "cut off": (body()[:-5], 400, "invalid_request", None, "not valid JSON"),
    "not UTF-8": (body().replace(b"hello", b"h\xe9llo"), 400, "invalid_request", None, "UTF-8"),
    "a list": (b"[]", 400, "invalid_request", None, "object"),
    "nested too deeply": (nested(5_000), 400, "invalid_request", None, "nested too deeply"),
    "a member twice": (
        b'{"model": "a", "messages": [], "mod\\u0065l": "b"}',
        400,
        "invalid_request",
        "model",
        "twice",
    ),
    "no model": (
        b'{"messages": [{"role": "user", "content": "x"}]}',
        400,
        "invalid_request",
        "model",
        "`model`",
    ),
    "model null": (body(model=None), 400, "invalid_request", "model", "`model`"),
    "no messages": (b'{"model": "test-model"}', 400, "invalid_request", "messages", "`messages`"),
    "empty messages": (body(messages=[]), 400, "invalid_request", "messages", "`messages`"),
    "a message that is none": (body(messages=["x"]), 400, "invalid_request", "messages[0]", "`messages[0]`"),
    "stream is a word": (body(stream="yes"), 400, "invalid_request", "stream", "`stream`"),
    "n is 0": (body(n=0), 400, "invalid_request", "n", "`n`"),
    "a negative limit": (body(max_tokens=-1), 400, "invalid_request", "max_tokens", "`max_tokens`"),
    "unknown model": (body(model="tset-model"), 404, "model_not_found", "model", "did you mean `test-model`"),
    "nothing like it": (body(model="zzz"), 404, "model_not_found", "model", "/v1/models"),
}


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
@pytest.mark.parametrize("name", BODIES)
async def test_a_wrong_body(place: Site, name: str, prefix: str) -> None:
    """Status, code, the member that is wrong, and words that help; the connection may be used again."""
    sent, status, code, param, words = BODIES[name]
    client_id = place.next_id()
    async with place.upstream(good_stream) as upstream, place.client() as client:
        await client.send(
            place.request("POST", prefix + CHAT, body=sent, headers={"x-request-id": client_id})
        )
        answer = await client.read_all()
        assert [] == upstream.exchanges
        assert status == answer.status
        error = check_shape(answer, client_id)
        assert (code, param) == (error["code"], error["param"])
        assert words in error["message"]
        if status == 413:
            return
        client.next_answer()
        await client.send(place.chat())
        assert "good" == (await client.read_all()).text


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_a_body_that_grows_too_large(place: Site, prefix: str) -> None:
    """Without a declared length the limit holds as well."""
    client_id = place.next_id()
    head = place.request(
        "POST", prefix + CHAT, headers={"x-request-id": client_id, "transfer-encoding": "chunked"}
    )
    head = head.replace(b"\r\n\r\n", b"\r\ncontent-type: application/json\r\n\r\n")
    async with place.client() as client:
        await client.send(head)
        for _ in range(6):
            await client.send(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
        answer = await client.read_all()
    assert 413 == answer.status
    assert "request_too_large" == check_shape(answer, client_id)["code"]


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
async def test_a_wrong_content_type(place: Site, kind: str, prefix: str) -> None:
    """415, naming what was sent."""
    client_id = place.next_id()
    headers = {"x-request-id": client_id, "content-type": kind}
    async with place.client() as client:
        await client.send(place.request("POST", prefix + CHAT, body=body(), headers=headers))
        answer = await client.read_all()
    assert 415 == answer.status
    error = check_shape(answer, client_id)
    assert "unsupported_media_type" == error["code"]
    assert kind.split(";", maxsplit=1)[0] in error["message"]


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json", None]
)
async def test_content_types_that_are_fine(place: Site, kind: str | None) -> None:
    """Spelling and parameters do not matter; without one, JSON is assumed."""

    async def script(exchange: Exchange) -> None:
        await exchange.answer(200, completion())

    headers = {"authorization": f"Bearer {place.gateway.key}"} | ({"content-type": kind} if kind else {})
    async with place.upstream(script), place.client() as client:
        await client.send(http_request("POST", f"/v1{CHAT}", headers=headers, body=body()))
        assert 200 == (await client.read_all()).status


@pytest.mark.parametrize("levels", [100, 300, 1_000])
async def test_deep_but_legal_nesting_travels_on(place: Site, levels: int) -> None:
    """Up to 1,024 levels are a request like any other, and arrive byte for byte."""

    async def script(exchange: Exchange) -> None:
        await exchange.answer(200, completion())

    sent = nested(levels)
    async with place.upstream(script) as upstream, place.client() as client:
        await client.send(place.request("POST", f"/v1{CHAT}", body=sent))
        assert 200 == (await client.read_all()).status
        assert sent.replace(b"test-model", b"upstream-model") == upstream.exchanges[0].body


KEYS: dict[str, tuple[dict[str, str], str]] = {
    "no key": ({}, "no API key"),
    "an unknown key": ({"authorization": "Bearer wrong-key-0001"}, "unknown or revoked"),
    "an unknown key in x-api-key": ({"x-api-key": "wrong-key-0001"}, "unknown or revoked"),
    "an unknown key in api-key": ({"api-key": "wrong-key-0001"}, "unknown or revoked"),
    "a key with a typo": ({"authorization": "Bearer sk-hg-0000000000000000000000000000000000000000"}, "typo"),
    "another scheme": ({"authorization": "Basic dGVzdDp0ZXN0"}, "no API key"),
    "nothing behind the scheme": ({"authorization": "Bearer "}, "no API key"),
}


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
@pytest.mark.parametrize("name", KEYS)
async def test_a_wrong_key(place: Site, name: str, prefix: str) -> None:
    """401 on every path that needs one, also where there is nothing; the key is not repeated."""
    said, words = KEYS[name]
    for method, path in (
        ("POST", CHAT),
        ("GET", "/models"),
        ("GET", "/models/test-model"),
        ("GET", "/nothing"),
    ):
        client_id = place.next_id()
        sent = body() if method == "POST" else None
        async with place.client() as client:
            headers = {**said, "x-request-id": client_id}
            await client.send(http_request(method, prefix + path, headers=headers, body=sent))
            answer = await client.read_all()
        assert 401 == answer.status
        error = check_shape(answer, client_id)
        assert ("invalid_api_key", "authentication_error") == (error["code"], error["type"])
        assert words in error["message"]
        assert not any(value.split()[-1] in error["message"] for value in said.values() if "-" in value)


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", CHAT, 405, "method_not_allowed"),
        ("DELETE", CHAT, 405, "method_not_allowed"),
        ("POST", "/models", 405, "method_not_allowed"),
        ("GET", "/nothing/here", 404, "not_found"),
        ("POST", "/chat/completions/", 404, "not_found"),
        ("GET", "/models/tset-model", 404, "model_not_found"),
    ],
)
async def test_a_wrong_path_or_method(
    place: Site, method: str, path: str, status: int, code: str, prefix: str
) -> None:
    """404 and 405 in the same shape; 405 says what is allowed."""
    client_id = place.next_id()
    async with place.client() as client:
        await client.send(place.request(method, prefix + path, headers={"x-request-id": client_id}))
        answer = await client.read_all()
    assert (status, code) == (answer.status, check_shape(answer, client_id)["code"])
    if status == 405:
        assert ("POST" if path == CHAT else "GET") in answer.headers["allow"]


async def test_a_long_name_for_a_request_is_not_echoed(place: Site) -> None:
    """Only a short, plain `x-request-id` comes back."""
    answer = await place.get("/v1/nothing", headers={"x-request-id": "x" * 300})
    assert "x-client-request-id" not in answer.headers
    assert answer.headers["x-request-id"].startswith("req-")
