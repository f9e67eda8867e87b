"""Requests for the sandbox's tests, and reading its streams back."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from proxy.sandbox import answers, request, scripts, usage
from proxy.sandbox.request import Request

CREATED_S = 1_790_000_000


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def body(question: Any = "What is a lock-keeper?", **members: Any) -> bytes:
    return orjson.dumps({"model": "sandbox-small", "messages": [user(question)], **members})


def ask(question: Any = "What is a lock-keeper?", **members: Any) -> Request:
    return request.read(body(question, **members))


def tool(name: str, description: str = "", **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": sorted(properties)}
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": parameters},
    }


def plain(asked: Request) -> dict[str, Any]:
    script = scripts.write(asked)
    made: dict[str, Any] = orjson.loads(
        answers.plain(asked, script, usage.count(asked, script, 0), CREATED_S)
    )
    return made


def beats(asked: Request) -> list[bytes]:
    script = scripts.write(asked)
    made = answers.frames(asked, script, usage.count(asked, script, 0), CREATED_S)
    return list(made.beats())


def chunks(stream: bytes) -> list[dict[str, Any]]:
    """The JSON of every frame; the stream must be frames alone and end with `[DONE]`."""
    *frames, done, rest = stream.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    assert all(frame.startswith(b"data: ") for frame in frames)
    return [orjson.loads(frame.removeprefix(b"data: ")) for frame in frames]


def joined(stream: Iterable[Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
    """Per choice what a client puts together: text, reasoning, tool calls, logprobs and the finish reason."""
    choices: dict[int, dict[str, Any]] = {}
    for chunk in stream:
        for part in chunk["choices"]:
            empty: dict[str, Any] = {"content": None, "calls": [], "logprobs": None, "finish": None}
            choice = choices.setdefault(part["index"], empty)
            _add(choice, part)
    return choices


def _add(choice: dict[str, Any], part: Mapping[str, Any]) -> None:
    delta = part["delta"]
    for name in ("content", "reasoning_content"):
        if delta.get(name) is not None:
            choice[name] = (choice.get(name) or "") + delta[name]
    for call in delta.get("tool_calls", []):
        if "id" in call:
            assert call["index"] == len(choice["calls"])
            choice["calls"].append(
                {"id": call["id"], "type": call["type"], "function": dict(call["function"])}
            )
        else:
            assert set(call) == {"index", "function"}
            choice["calls"][call["index"]]["function"]["arguments"] += call["function"]["arguments"]
    if part["logprobs"] is not None:
        choice["logprobs"] = (choice["logprobs"] or []) + part["logprobs"]["content"]
    if part["finish_reason"] is not None:
        assert choice["finish"] is None
        choice["finish"] = part["finish_reason"]
