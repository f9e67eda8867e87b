"""What a user of litellm's Python package sees through the gateway: `completion(model="openai/…", api_base=…)`."""

from collections.abc import Awaitable, Callable
from typing import Any

import litellm
from openai import APIError
from pydantic import BaseModel, Field

from tests.clients.cases import KEY, LIMITED_KEY, PIXEL_URL, QUESTION, TOLD, URL, Cases

QUICK = {"sandbox": {"pace_ms": 1, "first_ms": 1}}
litellm.suppress_debug_info = True  # it prints advice on every error
HELLO = [{"role": "user", "content": TOLD}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {"type": "object", "properties": properties, "required": list(properties)},
        },
    }
    for name, properties in (
        ("get_weather", {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}}),
        ("read_clock", {"zone": {"type": "string"}}),
    )
]
cases = Cases()


class Person(BaseModel):
    name: str
    age: int = Field(ge=18)
    nicknames: list[str]


def wish(model: str = "openai/sandbox-small", path: str = "/v1", **more: Any) -> dict[str, Any]:
    """Arguments of `completion`; nothing is retried on the client's side."""
    return {
        "model": model,
        "api_base": URL + path,
        "api_key": KEY,
        "messages": HELLO,
        "max_retries": 0,
        "extra_body": QUICK,
        **more,
    }


def error_of(call: Callable[[], Any]) -> dict[str, Any]:
    """The error a call ends with, as litellm's users catch it; a call that succeeds is a failure."""
    try:
        call()
    except APIError as error:
        return told_error(error)
    raise AssertionError("no error was raised")


async def error_of_async(call: Awaitable[Any]) -> dict[str, Any]:
    try:
        await call
    except APIError as error:
        return told_error(error)
    raise AssertionError("no error was raised")


def told_error(error: APIError) -> dict[str, Any]:
    headers = getattr(error, "litellm_response_headers", None) or {}
    return {
        "name": type(error).__name__,
        "status": getattr(error, "status_code", None),
        "message": str(error),
        "body": error.body,
        "retry_after": headers.get("retry-after"),
    }


def plain(model: str = "openai/sandbox-small", path: str = "/v1", **more: Any) -> Any:
    return litellm.completion(**wish(model, path, **more)).model_dump()


def stream(model: str = "openai/sandbox-small", path: str = "/v1") -> list[dict[str, Any]]:
    return [chunk.model_dump() for chunk in litellm.completion(**wish(model, path, stream=True))]


async def stream_async() -> list[dict[str, Any]]:
    chunks = await litellm.acompletion(**wish(stream=True, stream_options={"include_usage": True}))
    return [chunk.model_dump() async for chunk in chunks]


async def plain_async() -> Any:
    return (await litellm.acompletion(**wish())).model_dump()


def whole(chunks: list[Any], messages: list[dict[str, str]]) -> Any:
    answer = litellm.stream_chunk_builder(chunks, messages=messages)
    assert answer is not None
    return answer.model_dump()


def rebuilt() -> Any:
    """`stream_chunk_builder` puts a stream together again."""
    chunks = list(litellm.completion(**wish(stream=True, stream_options={"include_usage": True})))
    return whole(chunks, HELLO)


def tools() -> dict[str, Any]:
    asked = [{"role": "user", "content": QUESTION}]
    calling = litellm.completion(**wish(messages=asked, tools=TOOLS))
    message = calling.choices[0].message
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": f"result-of-{call.function.name}"}
        for call in message.tool_calls
    ]
    answer = litellm.completion(**wish(messages=[*asked, message.model_dump(), *results], tools=TOOLS))
    return {"calling": calling.model_dump(), "answer": answer.model_dump()}


def tools_streamed() -> Any:
    asked = [{"role": "user", "content": QUESTION}]
    chunks = list(litellm.completion(**wish(messages=asked, tools=TOOLS, stream=True)))
    return whole(chunks, asked)


def image() -> Any:
    question = {"type": "text", "text": "What is in this image?"}
    picture = {"type": "image_url", "image_url": {"url": PIXEL_URL}}
    return plain(messages=[{"role": "user", "content": [question, picture]}])


def rate_limit() -> dict[str, Any]:
    return {"answer": plain(api_key=LIMITED_KEY), "error": error_of(lambda: plain(api_key=LIMITED_KEY))}


def broken_stream() -> dict[str, Any]:
    got: list[str] = []

    def read() -> None:
        for chunk in litellm.completion(**wish("openai/breaking", stream=True)):
            got.append(chunk.choices[0].delta.content or "")  # noqa: PERF401 - what came before the error

    error = error_of(read)
    return {"got": got, "error": error}


NOBODY = "test-key-0003-nobody"
cases.add("plain /v1", plain)
cases.add("plain /api/v1", lambda: plain(path="/api/v1"))
cases.add("plain, async", plain_async)
cases.add("stream", stream)
cases.add("stream, async, with usage", stream_async)
cases.add("stream, rebuilt", rebuilt)
cases.add("tools", tools)
cases.add("tools, streamed", tools_streamed)
cases.add("structured", lambda: plain(response_format=Person))
cases.add("image", image)
cases.add("reasoning", lambda: plain("openai/sandbox-reasoning"))
cases.add("reasoning, streamed", lambda: stream("openai/sandbox-reasoning"))
cases.add("two choices", lambda: plain(n=2))
cases.add("openrouter", lambda: plain("openrouter/acme/small", "/api/v1"))
cases.add("openrouter, streamed", lambda: stream("openrouter/acme/small", "/api/v1"))
cases.add("failover", lambda: plain("openai/unlucky"))
cases.add("broken stream", broken_stream)
cases.add("wrong key", lambda: error_of(lambda: plain(api_key=NOBODY)))
cases.add("unknown model", lambda: error_of(lambda: plain("openai/sandbox-smal")))
cases.add("unknown model, async", lambda: error_of_async(litellm.acompletion(**wish("openai/sandbox-smal"))))
cases.add("bad request", lambda: error_of(lambda: plain(temperature=9)))
cases.add("busy", lambda: error_of(lambda: plain("openai/busy")))
cases.add("rate limit", rate_limit)
cases.run()
