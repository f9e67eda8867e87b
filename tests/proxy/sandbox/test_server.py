"""Over real HTTP: answers arrive as written, refusals have OpenAI's shape, departures are noticed."""

import asyncio
from typing import Any

import aiohttp
import orjson
import pytest

from proxy.sandbox.server import Sandbox
from tests.proxy.sandbox.asking import CREATED_S, chunks, joined, user
from tests.proxy.sandbox.calling import Caller

NEVER = 600_000


async def test_a_plain_answer_and_its_stream_say_the_same(caller: Caller) -> None:
    """Same id, text and usage; the stream has the content type clients look for."""
    status, whole = await caller.json(n=2)
    assert (status, whole["created"]) == (200, CREATED_S)
    async with caller.post(n=2, stream=True, stream_options={"include_usage": True}) as response:
        assert (response.status, response.headers["content-type"]) == (
            200,
            "text/event-stream; charset=utf-8",
        )
        streamed = chunks(await response.read())
    assert {chunk["id"] for chunk in streamed} == {whole["id"]}
    assert streamed[-1]["usage"] == whole["usage"]
    texts = {index: choice["content"] for index, choice in joined(streamed).items()}
    assert texts == {choice["index"]: choice["message"]["content"] for choice in whole["choices"]}


async def test_a_long_prompt_seen_before_is_cached(caller: Caller) -> None:
    """The second request with the same system prompt reports cached tokens, the first none."""
    system = {"role": "system", "content": "You are a lock-keeper. " * 300}
    cached = []
    for question in ("One?", "Two?"):
        _, made = await caller.json(messages=[system, user(question)])
        cached.append(made["usage"]["prompt_tokens_details"]["cached_tokens"])
    assert cached[0] == 0
    assert 1024 <= cached[1] <= made["usage"]["prompt_tokens"]


@pytest.mark.parametrize(
    ("members", "status", "code"),
    [
        ({"model": "gpt-none"}, 404, "model_not_found"),
        ({"n": 0}, 400, "integer_below_min_value"),
        ({"messages": []}, 400, "empty_array"),
    ],
)
async def test_a_refusal_is_an_error_object(
    caller: Caller, members: dict[str, Any], status: int, code: str
) -> None:
    """Streamed or not, a refusal is a status and one JSON object."""
    for stream in (False, True):
        found, made = await caller.json(**members, stream=stream)
        assert (found, made["error"]["code"], made["error"]["type"]) == (
            status,
            code,
            "invalid_request_error",
        )


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nowhere", 404, "unknown_url"), ("GET", "/chat/completions", 405, "method_not_allowed")],
)
async def test_other_paths_and_methods_are_refused_alike(
    caller: Caller, method: str, path: str, status: int, code: str
) -> None:
    """The router's own refusals have the same shape."""
    async with caller.session.request(method, caller.base_url + path) as response:
        assert (response.status, orjson.loads(await response.read())["error"]["code"]) == (status, code)


async def test_models_are_listed(caller: Caller) -> None:
    """All four, each also by its own path; another name is 404."""
    async with caller.session.get(f"{caller.base_url}/models") as response:
        listed = orjson.loads(await response.read())["data"]
    assert [entry["id"] for entry in listed] == [
        "sandbox-small",
        "sandbox-large",
        "sandbox-reasoning",
        "sandbox-embed",
    ]
    async with caller.session.get(f"{caller.base_url}/models/sandbox-large") as response:
        assert orjson.loads(await response.read()) == listed[1]
    async with caller.session.get(f"{caller.base_url}/models/other") as response:
        assert response.status == 404


async def test_a_client_that_leaves_stops_its_stream(caller: Caller) -> None:
    """After the first frames the connection is closed: nothing is being answered any more."""
    response = await caller.post(stream=True, sandbox={"pace_ms": NEVER, "first_ms": 0})
    assert (await response.content.readline()).startswith(b"data: {")
    assert caller.sandbox.answering == 1
    response.close()
    await caller.until_answering(0)


async def test_a_client_that_leaves_stops_its_plain_answer(caller: Caller) -> None:
    """Even before the first byte, in the middle of the delay."""

    async def wait_for_ever() -> None:
        await caller.json(sandbox={"first_ms": NEVER})

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(wait_for_ever())
        await caller.until_answering(1)
        waiting.cancel()
    await caller.until_answering(0)


async def test_the_pace_is_kept() -> None:
    """Three pieces 20 ms apart take 60 ms from the first frame to the last, by the loop's own clock."""
    sandbox = Sandbox()
    base_url = await sandbox.start()
    clock = asyncio.get_running_loop().time
    asked = {"model": "sandbox-small", "messages": [user("Hello?")], "stream": True}
    options = {"sandbox": {"pieces": 3, "first_ms": 0}}
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{base_url}/chat/completions",
                data=orjson.dumps(asked | options),
                headers={"x-sandbox-pace-ms": "20"},
            ) as response,
        ):
            begin_s = clock()
            await response.read()
            assert clock() - begin_s >= 0.045
    finally:
        await sandbox.stop()


async def test_it_can_be_started_once_and_stopped_twice() -> None:
    """A second start is a mistake of the program; a second stop is harmless; then it starts again."""
    sandbox = Sandbox()
    await sandbox.start()
    with pytest.raises(RuntimeError, match="already"):
        await sandbox.start()
    await sandbox.stop()
    await sandbox.stop()
    await sandbox.start()
    await sandbox.stop()
