"""Recorded requests, said again in OpenAI's words; recorded answers, sent back on the next turn."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
import pytest

from providers.upstreams.anthropic.dialect import Anthropic
from tests.support.foreign import answer_of, answered, asking, decoded, exchanges, sent_back
from tests.support.recordings import Recording, parameters

DIALECT: Final = Anthropic()
HELLO: Final = [{"role": "user", "content": "hello"}]
ALL: Final = (*exchanges("anthropic", "messages"), *exchanges("azure", "messages"))
OLD: Final = "claude-sonnet-4-5"


def encoded(
    messages: Sequence[Mapping[str, Any]] = HELLO, model: str = OLD, **members: Any
) -> dict[str, Any]:
    """The body that is sent."""
    body: dict[str, Any] = orjson.loads(DIALECT.encode(asking(messages, **members), model).body)
    return body


def tool(name: str = "f", **members: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **members}}


def shape(schema: Mapping[str, Any], **members: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, **members}}


def call(call_id: str, name: str = "f", arguments: str = '{"a": 1}') -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


# Recorded exchanges


def as_openai(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a client of OpenAI's would have sent for a recorded request: written for these, by hand."""
    messages: list[dict[str, Any]] = []
    system = body.get("system")
    if system is not None:
        messages.append({"role": "system", "content": system})
    for turn in body["messages"]:
        content = (
            [{"type": "text", "text": turn["content"]}]
            if isinstance(turn["content"], str)
            else turn["content"]
        )
        messages += as_messages(turn["role"], content)
    taken = ("max_tokens", "temperature", "top_p", "top_k", "stream", "thinking")
    made: dict[str, Any] = {"messages": messages, **{name: body[name] for name in taken if name in body}}
    if "stop_sequences" in body:
        made["stop"] = body["stop_sequences"]
    if "output_format" in body:
        made["response_format"] = shape(body["output_format"]["schema"])
    if "tools" in body:
        made["tools"] = [as_tool(each) for each in body["tools"]]
    if "tool_choice" in body:
        choice = body["tool_choice"]
        made["tool_choice"] = "auto" if choice["type"] == "auto" else tool(choice["name"])
    return made


def as_messages(role: str, content: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    parts: list[Any] = []
    calls = []
    for block in content:
        match block["type"]:
            case "tool_result":
                text = {"type": "text", "text": block["content"], "cache_control": block.get("cache_control")}
                made.append({"role": "tool", "tool_call_id": block["tool_use_id"], "content": [text]})
            case "tool_use":
                calls.append(call(block["id"], block["name"], orjson.dumps(block["input"]).decode()))
            case "image":
                source = block["source"]
                url = source.get("url") or f"data:{source['media_type']};base64,{source['data']}"
                parts.append({"type": "image_url", "image_url": {"url": url}})
            case _:
                parts.append(block)
    if parts or calls:
        made.append({"role": role, "content": parts} | ({"tool_calls": calls} if calls else {}))
    return made


def as_tool(each: Mapping[str, Any]) -> dict[str, Any]:
    if "input_schema" not in each:
        return dict(each)
    made = tool(
        each["name"],
        description=each["description"],
        parameters=each["input_schema"],
        strict=each.get("strict", False),
    )
    return {**made, "cache_control": each.get("cache_control")}


def plainly(body: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded request with other spellings of the same thing folded into ours."""
    made = dict(body)
    if isinstance(made.get("system"), str):
        made["system"] = [{"type": "text", "text": made["system"]}]
    made["messages"] = [
        {
            "role": turn["role"],
            "content": [{"type": "text", "text": turn["content"]}]
            if isinstance(turn["content"], str)
            else [
                {name: value for name, value in block.items() if name != "is_error"}
                for block in turn["content"]
            ],
        }
        for turn in made["messages"]
    ]
    if not made.get("stream"):
        made.pop("stream", None)
    if "output_format" in made:
        made["output_config"] = {"format": made.pop("output_format")}
    for each in made.get("tools", ()):
        if each.get("description") == "":
            del each["description"]
        if each.get("strict") is False:
            del each["strict"]
    return made


REQUESTED: Final = tuple(recording for recording in ALL if recording.request)


@pytest.mark.parametrize("recording", parameters(REQUESTED))
def test_recorded_requests(recording: Recording) -> None:
    """Said in OpenAI's words, a recorded request leaves as another client of Anthropic's sent it."""
    theirs = orjson.loads(orjson.dumps(recording.request))
    asked = as_openai(theirs)
    messages = asked.pop("messages")
    ours = encoded(messages, theirs["model"], **asked)
    if (
        isinstance(theirs.get("temperature"), int | float)
        and theirs["temperature"] == 1
        and "thinking" in theirs
    ):
        theirs.pop("temperature")  # the default, and the only value there
    assert plainly(theirs) == ours


def seen_blocks(content: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Blocks of an answer as they must come back: without what the server's tools did, neighbouring texts as one."""
    made: list[dict[str, Any]] = []
    for block in content:
        if block["type"] == "text":
            if made and made[-1]["type"] == "text":
                made[-1]["text"] += block["text"]
            elif block["text"]:
                made.append({"type": "text", "text": block["text"]})
        elif block["type"] in ("thinking", "redacted_thinking"):
            made.append(dict(block))
        elif block["type"] == "tool_use":
            made.append({name: block[name] for name in ("type", "id", "name", "input")})
    return made


def content_of(recording: Recording) -> list[Any]:
    """The blocks of a recorded answer, put together without this project's code."""
    if not recording.stream:
        content: list[Any] = orjson.loads(recording.body)["content"]
        return content
    found: list[dict[str, Any]] = []
    for line in recording.body.splitlines():
        if not line.startswith(b"data:"):
            continue
        chunk = orjson.loads(line.removeprefix(b"data:"))
        if chunk["type"] == "content_block_start":
            found.append({**chunk["content_block"], "json": ""})
        elif chunk["type"] == "content_block_delta":
            delta = chunk["delta"]
            for name in ("text", "thinking", "signature"):
                if name in delta:
                    found[-1][name] += delta[name]
            found[-1]["json"] += delta.get("partial_json", "")
    for block in found:
        if written := block.pop("json"):
            block["input"] = orjson.loads(written)
    return found


@pytest.mark.parametrize("recording", parameters(answered(ALL)))
def test_answers_come_back_as_they_were(recording: Recording) -> None:
    """On the next turn a copy of an answer becomes its own blocks again: texts, calls, signatures, order."""
    said = (
        decoded(DIALECT.decoder(), [recording.body])
        if recording.stream
        else list(DIALECT.read(recording.body))
    )
    answer = answer_of(said)
    results = [{"role": "tool", "tool_call_id": call_id, "content": "42"} for call_id, _, _ in answer.calls]
    made = encoded([*HELLO, sent_back(answer), *results, {"role": "user", "content": "go on"}])["messages"]
    expected = seen_blocks(content_of(recording))
    if not expected:  # a refusal without a word
        assert ["user"] == [turn["role"] for turn in made]
        return
    assert expected == made[1]["content"]
    assert [
        *({"type": "tool_result", "tool_use_id": each, "content": "42"} for each, _, _ in answer.calls),
        {"type": "text", "text": "go on"},
    ] == made[2]["content"]
