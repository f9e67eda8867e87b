"""What a user of langchain-openai sees through the gateway, beyond the standard suite (`suite.py`)."""

from collections.abc import Callable
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_openai import ChatOpenAI
from openai import APIError, APIStatusError

from tests.clients.cases import KEY, LIMITED_KEY, TOLD, URL, Cases

cases = Cases()


def connect(model: str = "sandbox-small", path: str = "/v1", **more: Any) -> ChatOpenAI:
    """Nothing is retried on the client's side."""
    quick = {"sandbox": {"pace_ms": 1, "first_ms": 1}}
    settings = {"base_url": URL + path, "api_key": KEY, "max_retries": 0, "extra_body": quick, **more}
    return ChatOpenAI(model=model, **settings)


def told(message: AIMessage) -> dict[str, Any]:
    return {"text": message.text, "usage": message.usage_metadata, "metadata": message.response_metadata}


def streamed(chat: ChatOpenAI) -> dict[str, Any]:
    chunks = list(chat.stream(TOLD))
    whole: AIMessageChunk | None = None
    for chunk in chunks:
        assert isinstance(chunk, AIMessageChunk)
        whole = chunk if whole is None else whole + chunk
    assert whole is not None
    return {"chunks": len(chunks), **told(whole)}


def error_of(call: Callable[[], Any]) -> dict[str, Any]:
    """The error a call ends with, which is the openai package's; a call that succeeds is a failure."""
    try:
        call()
    except APIError as error:
        answered = error.response if isinstance(error, APIStatusError) else None
        return {
            "name": type(error).__name__,
            "status": answered and answered.status_code,
            "retry_after": answered and answered.headers.get("retry-after"),
            "message": error.message,
            "code": error.code,
            "body": error.body,
        }
    raise AssertionError("no error was raised")


def broken_stream() -> dict[str, Any]:
    got: list[str] = []

    def read() -> None:
        for chunk in connect("breaking").stream(TOLD):
            got.append(chunk.text)  # noqa: PERF401 - a comprehension would lose what came before the error

    error = error_of(read)
    return {"got": got, "error": error}


def rate_limit() -> dict[str, Any]:
    chat = connect(api_key=LIMITED_KEY)
    return {"text": chat.invoke(TOLD).text, "error": error_of(lambda: chat.invoke(TOLD))}


cases.add("plain /v1", lambda: told(connect(include_response_headers=True).invoke(TOLD)))
cases.add("plain /api/v1", lambda: told(connect(path="/api/v1").invoke(TOLD)))
cases.add("stream", lambda: streamed(connect()))
cases.add("stream with usage", lambda: streamed(connect(stream_usage=True)))
cases.add("failover", lambda: told(connect("unlucky", include_response_headers=True).invoke(TOLD)))
cases.add("broken stream", broken_stream)
cases.add("wrong key", lambda: error_of(lambda: connect(api_key="test-key-0003-nobody").invoke(TOLD)))
cases.add("unknown model", lambda: error_of(lambda: connect("sandbox-smal").invoke(TOLD)))
cases.add("unknown model, streamed", lambda: error_of(lambda: list(connect("sandbox-smal").stream(TOLD))))
cases.add("busy", lambda: error_of(lambda: connect("busy").invoke(TOLD)))
cases.add("rate limit", rate_limit)
cases.run()
