"""Requests to OpenAI's Responses: every member of chat is translated, named as lacking, or named as left out."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from providers.types import Canonical, RequestError
from providers.upstreams.openai_responses.dialect import OpenAIResponses
from tests.support.foreign import answer_of, answered, asking, decoded, exchanges, sent_back
from tests.support.recordings import Recording, parameters

DIALECT: Final = OpenAIResponses()
OWN: Final = Path(__file__).parents[1] / "recordings" / "openai-responses"
HELLO: Final = [{"role": "user", "content": "Hello"}]
PARAMETERS: Final = {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}
TOOL: Final[dict[str, Any]] = {
    "type": "function",
    "function": {"name": "look", "description": "Looks.", "parameters": PARAMETERS},
}
FLAT: Final = {
    "type": "function",
    "name": "look",
    "description": "Looks.",
    "parameters": PARAMETERS,
    "strict": False,
}
PDF: Final = "data:application/pdf;base64,AAAA"


def sent(request: Canonical, model: str = "gpt-5") -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(DIALECT.encode(request, model).body)
    return body


def members(**given: Any) -> dict[str, Any]:
    """What a member becomes, without what every request has."""
    made = sent(asking(HELLO, **given))
    usual = ("model", "input", "stream", "store", "include")
    return {name: made[name] for name in made if name not in usual}


def items(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    request = asking(messages)
    assert () == DIALECT.lacks(request)
    listed: list[dict[str, Any]] = sent(request)["input"]
    return listed


def test_the_least() -> None:
    """Nothing is stored unless it is asked for, so reasoning is asked for in the form that can come back."""
    request = asking(HELLO)
    assert {
        "model": "gpt-5",
        "input": HELLO,
        "stream": False,
        "store": False,
        "include": ["reasoning.encrypted_content"],
    } == sent(request)
    assert "/responses" == DIALECT.encode(request, "gpt-5").path
    assert () == (*DIALECT.lacks(request), *DIALECT.drops(request))
    assert sent(asking(HELLO, store=True, stream=True))["store"]


@pytest.mark.parametrize(
    "model", ["gpt-4o", "gpt-4.1-mini", "ft:gpt-4o:x", "openai/gpt-4o", "gpt-5.1-chat-latest"]
)
def test_models_without_reasoning(model: str) -> None:
    """They refuse to be asked for it."""
    assert "include" not in sent(asking(HELLO), model)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"max_tokens": 50}, {"max_output_tokens": 50}),
        ({"max_completion_tokens": 60, "max_tokens": 50}, {"max_output_tokens": 60}),
        ({"temperature": 0.2, "top_p": 1}, {"temperature": 0.2, "top_p": 1}),
        ({"metadata": {"a": "b"}, "user": "u"}, {"metadata": {"a": "b"}, "user": "u"}),
        (
            {"service_tier": "flex", "prompt_cache_key": "k"},
            {"service_tier": "flex", "prompt_cache_key": "k"},
        ),
        ({"truncation": "auto", "max_tool_calls": 3}, {"truncation": "auto", "max_tool_calls": 3}),
        ({"verbosity": "low"}, {"text": {"verbosity": "low"}}),
        ({"response_format": {"type": "json_object"}}, {"text": {"format": {"type": "json_object"}}}),
        ({"response_format": {"type": "text"}}, {}),
        ({"reasoning_effort": "low"}, {"reasoning": {"effort": "low"}}),
        ({"reasoning_effort": "none"}, {"reasoning": {"effort": "none"}}),
        ({"reasoning": {"effort": "high"}}, {"reasoning": {"effort": "high", "summary": "auto"}}),
        (
            {"reasoning": {"effort": "high", "max_tokens": 9}},
            {"reasoning": {"effort": "high", "summary": "auto"}},
        ),
        ({"reasoning": {"effort": "high", "exclude": True}}, {"reasoning": {"effort": "high"}}),
        ({"reasoning": {"summary": "detailed"}}, {"reasoning": {"summary": "detailed"}}),
        ({"reasoning": {"enabled": True}}, {"reasoning": {"summary": "auto"}}),
        ({"reasoning": {"enabled": False}}, {"reasoning": {"effort": "none"}}),
        ({"include_reasoning": True}, {"reasoning": {"summary": "auto"}}),
        ({"include_reasoning": False, "reasoning_effort": "low"}, {"reasoning": {"effort": "low"}}),
        (
            {"web_search_options": {"search_context_size": "low", "user_location": None}},
            {"tools": [{"type": "web_search", "search_context_size": "low"}]},
        ),
        (
            {
                "web_search_options": {
                    "user_location": {"type": "approximate", "approximate": {"country": "IT"}}
                }
            },
            {"tools": [{"type": "web_search", "user_location": {"type": "approximate", "country": "IT"}}]},
        ),
        ({"headgate": {"tier": "x"}, "models": ["a"], "session_id": "s", "usage": {"include": True}}, {}),
        ({"n": 1, "logprobs": False, "frequency_penalty": 0, "logit_bias": {"1": 0}}, {}),
        ({"stream": True, "stream_options": {"include_usage": True}}, {}),
        (
            {"stream": True, "stream_options": {"include_obfuscation": False}},
            {"stream_options": {"include_obfuscation": False}},
        ),
    ],
)
def test_members(given: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Chat's words become those of Responses; what is addressed to the gateway stays here."""
    assert expected == members(**given)
    assert () == DIALECT.lacks(asking(HELLO, **given))


def test_schema() -> None:
    """A schema loses its envelope, and says whether it is strict: the default differs."""
    schema = {"type": "object", "properties": {}}
    inner = {"name": "n", "description": "d", "schema": schema}
    assert {"type": "json_schema", **inner, "strict": False} == members(
        response_format={"type": "json_schema", "json_schema": inner}
    )["text"]["format"]


def test_tools() -> None:
    """Functions are flat, and say whether they are strict: the default differs. A search tool is the provider's own."""
    assert {"tools": [FLAT]} == members(tools=[TOOL])
    strict = {**TOOL, "function": {**TOOL["function"], "strict": True}}
    search = {"type": "web_search", "search_context_size": "low"}
    assert [{**FLAT, "strict": True}, search] == members(tools=[search, strict])["tools"]
    bare = {"type": "function", "function": {"name": "now"}}
    assert [
        {
            "type": "function",
            "name": "now",
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
        }
    ] == members(tools=[bare])["tools"]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ({"type": "function", "function": {"name": "look"}}, {"type": "function", "name": "look"}),
    ],
)
def test_tool_choice(choice: Any, expected: Any) -> None:
    """A named tool is flat, too; whether calls may be parallel keeps its name."""
    made = members(tools=[TOOL], tool_choice=choice, parallel_tool_calls=False)
    assert {"tools": [FLAT], "tool_choice": expected, "parallel_tool_calls": False} == made


def test_instructions() -> None:
    """System and developer messages, wherever they stand."""
    request = asking(
        [
            {"role": "system", "content": "Be brief."},
            *HELLO,
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        ]
    )
    made = sent(request)
    assert ("Be brief.\n\nBe kind.", HELLO) == (made["instructions"], made["input"])


def test_media() -> None:
    """Images and files by URL, by id and with their data, in questions and in results of tools."""
    given = [
        {"type": "text", "text": "Look:"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": "data:image/png;base64,AAAA"},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "https://example.com/a.pdf"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]
    expected = [
        {"type": "input_text", "text": "Look:"},
        {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"},
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"},
        {"type": "input_file", "filename": "a.pdf", "file_data": PDF},
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
        {"type": "input_file", "file_id": "file-1"},
    ]
    assert [
        {"role": "user", "content": expected},
        {"type": "function_call_output", "call_id": "c", "output": expected},
    ] == items([{"role": "user", "content": given}, {"role": "tool", "tool_call_id": "c", "content": given}])


def test_earlier_answers() -> None:
    """What was said, refused and called becomes an item each; a call without arguments an empty object."""
    calls = [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": ""}}]
    assert [
        {"role": "assistant", "content": "Looking."},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "A cat."},
        {
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [
                {"type": "output_text", "text": "A cat", "annotations": []},
                {"type": "refusal", "refusal": "No more."},
            ],
        },
    ] == items(
        [
            {"role": "assistant", "content": "Looking.", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "c1", "content": "A cat."},
            {"role": "assistant", "content": "A cat", "refusal": "No more."},
        ]
    )


def test_reasoning_goes_back() -> None:
    """Blocks become the items they came from, but for those that nobody could read later, and those of others."""
    own = {"format": "openai-responses-v1"}
    message = {
        "role": "assistant",
        "content": "Hi",
        "reasoning_details": [
            {"type": "reasoning.summary", "summary": "One", "index": 0, "id": "rs_1", **own},
            {"type": "reasoning.summary", "summary": ".", "index": 0, "id": "rs_1", **own},
            {"type": "reasoning.summary", "summary": "Two.", "index": 1, "id": "rs_1", **own},
            {"type": "reasoning.encrypted", "data": "AAAA", "index": 2, "id": "rs_1", **own},
            {"type": "reasoning.encrypted", "data": "BBBB", "index": 3, **own},
            {"type": "reasoning.encrypted", "data": "CCCC", "index": 4, **own},
            {"type": "reasoning.summary", "summary": "Lost", "index": 5, "id": "rs_4", **own},
            {"type": "reasoning.text", "text": "Open", "index": 6, "id": "rs_5", **own},
            {"type": "reasoning.encrypted", "data": "DDDD", "index": 7, "format": "xai-responses-v1"},
        ],
    }
    assert [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "One."}, {"type": "summary_text", "text": "Two."}],
            "encrypted_content": "AAAA",
        },
        {"type": "reasoning", "summary": [], "encrypted_content": "BBBB"},
        {"type": "reasoning", "summary": [], "encrypted_content": "CCCC"},
        {
            "type": "reasoning",
            "id": "rs_5",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "Open"}],
        },
        {"role": "assistant", "content": "Hi"},
    ] == items([message, *HELLO])[:-1]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"n": 2}, ("n",)),
        ({"logprobs": True, "top_logprobs": 3}, ("logprobs", "top_logprobs")),
        ({"stop": "END"}, ("stop",)),
        ({"frequency_penalty": 1, "presence_penalty": 1}, ("frequency_penalty", "presence_penalty")),
        ({"logit_bias": {"1": 5}}, ("logit_bias",)),
        ({"modalities": ["text", "audio"], "audio": {"voice": "x"}}, ("modalities", "audio")),
        ({"top_k": 5}, ("top_k",)),
        ({"thinking": {"type": "enabled"}}, ("thinking",)),
        ({"something_new": 1}, ("something_new",)),
        ({"reasoning": {"max_tokens": 9}}, ("reasoning.max_tokens",)),
        ({"tools": [TOOL, {"type": "custom", "custom": {"name": "x"}}]}, ("tools[1]",)),
    ],
)
def test_what_it_lacks(given: Mapping[str, Any], expected: tuple[str, ...]) -> None:
    """Named by path, so that another backend is chosen; a default asks for nothing."""
    assert expected == DIALECT.lacks(asking(HELLO, **given))


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "A", "format": "wav"}}]},
        {"role": "user", "content": [{"type": "new"}]},
        {"role": "user", "content": [{"type": "file", "file": {}}]},
        {"role": "system", "content": [{"type": "image_url", "image_url": {"url": "https://example.com"}}]},
        {
            "role": "assistant",
            "content": [{"type": "image_url", "image_url": {"url": "https://example.com"}}],
        },
    ],
)
def test_parts_it_lacks(message: Mapping[str, Any]) -> None:
    """Audio and what is unknown; media where it cannot stand; each by its path."""
    assert ("messages[1].content[0]",) == DIALECT.lacks(asking([*HELLO, message]))


def test_what_is_left_out() -> None:
    """Members without which the answer is the same."""
    assert ("seed", "prediction") == DIALECT.drops(asking(HELLO, seed=1, prediction={"content": "x"}))
    assert () == DIALECT.drops(asking(HELLO, seed=None, user="u"))


def test_nested_too_deeply() -> None:
    """What cannot be written is the client's mistake."""
    schema: dict[str, Any] = {}
    for _ in range(260):
        schema = {"items": schema}
    request = asking(HELLO)
    tools = [{"function": {"name": "x", "parameters": schema}}]
    with pytest.raises(RequestError):
        DIALECT.encode(request._replace(members={**request.members, "tools": tools}), "x")


# Recorded conversations

PROVIDERS: Final = ("openai", "azure", "xai", "deepseek")
ANSWERED: Final = tuple(
    recording for provider in PROVIDERS for recording in answered(exchanges(provider, "responses"))
)
CONTINUED: Final = tuple(
    recording
    for recording in ANSWERED
    if any(isinstance(each, dict) and "output" in each for each in recording.request.get("input") or ())
)
CALLING: Final = tuple(
    recording for recording in ANSWERED if recording.features & {"tool_call", "parallel_tool_calls"}
)


def as_chat(input_items: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Items as a client of chat would hold them: those of one answer are one message."""
    under_way: dict[str, Any] | None = None
    for each in input_items:
        kind = each.get("type", "message")
        if kind in ("reasoning", "function_call"):
            if under_way is None or (kind == "reasoning" and under_way.get("tool_calls")):
                if under_way is not None:
                    yield under_way
                under_way = {"role": "assistant", "content": None}
            add(under_way, each)
            continue
        if under_way is not None:
            yield under_way
            under_way = None
        if kind == "function_call_output":
            yield {"role": "tool", "tool_call_id": each["call_id"], "content": each["output"]}
        else:
            yield {"role": each["role"], "content": chat_content(each["content"])}
    if under_way is not None:
        yield under_way


def add(message: dict[str, Any], each: Mapping[str, Any]) -> None:
    if each["type"] == "function_call":
        function = {"name": each["name"], "arguments": each["arguments"]}
        message.setdefault("tool_calls", []).append(
            {"id": each["call_id"], "type": "function", "function": function}
        )
        return
    kept = {"id": each["id"]} if "id" in each else {}
    blocks = message.setdefault("reasoning_details", [])
    for block in (
        *({"type": "reasoning.summary", "summary": part["text"]} for part in each["summary"]),
        {"type": "reasoning.encrypted", "data": each["encrypted_content"]},
    ):
        blocks.append({**block, **kept, "format": "openai-responses-v1", "index": len(blocks)})


def chat_content(content: Any) -> Any:
    if isinstance(content, str):
        return content
    assert {"input_text", "output_text"} >= {part["type"] for part in content}
    return [{"type": "text", "text": part["text"]} for part in content]


def said(each: Mapping[str, Any]) -> dict[str, Any]:
    """One of several spellings of an item: ids of calls and what the server adds are not needed."""
    kept = {name: value for name, value in each.items() if name != "status"}
    if kept.get("type") == "function_call":
        kept.pop("id", None)
    content = kept.get("content")
    if isinstance(content, list) and len(content) == 1:
        kept["content"] = content[0]["text"]
    return kept


@pytest.mark.parametrize("recording", parameters(CONTINUED))
def test_recorded_histories(recording: Recording) -> None:
    """A recorded history, held as a client of chat holds it, becomes the same items, encrypted reasoning and all."""
    system = [each for each in recording.request["input"] if each.get("role") in ("system", "developer")]
    recorded = [each for each in recording.request["input"] if each not in system]
    request = asking(list(as_chat(recorded)))
    assert () == DIALECT.lacks(request)
    assert [said(each) for each in recorded] == [said(each) for each in sent(request)["input"]]


def test_own_history() -> None:
    """The same for a recording of the project's own."""
    case = OWN / "2026-05-encrypted-reasoning-plain"
    recorded = orjson.loads((case / "exchange.json").read_bytes())["request"]["input"]
    assert recorded == sent(asking(list(as_chat(recorded))))["input"]


@pytest.mark.parametrize("recording", parameters(CALLING))
def test_answers_go_back(recording: Recording) -> None:
    """An answer that calls tools goes back item by item as the provider gave it, encrypted reasoning and all."""
    given = decoded(DIALECT.decoder(), [recording.body]) if recording.stream else DIALECT.read(recording.body)
    answer = answer_of(given)
    results = [{"role": "tool", "tool_call_id": name, "content": "done"} for name, _, _ in answer.calls]
    _, *made = sent(asking([*HELLO, sent_back(answer), *results]))["input"]
    output = items_of(recording)
    thoughts = [
        {name: each[name] for name in ("type", "id", "summary", "encrypted_content")}
        for each in output
        if each.get("encrypted_content")
    ]
    assert thoughts == [each for each in made if each.get("type") == "reasoning" and "content" not in each]
    calls = [
        {name: each[name] for name in ("type", "call_id", "name", "arguments")}
        for each in output
        if each["type"] == "function_call"
    ]
    assert calls == [each for each in made if each.get("type") == "function_call"]
    assert len(calls) == len([each for each in made if each.get("type") == "function_call_output"])


def items_of(recording: Recording) -> list[dict[str, Any]]:
    """The items of an answer; of a stream, as they were when each was done."""
    if not recording.stream:
        output: list[dict[str, Any]] = orjson.loads(recording.body)["output"]
        return output
    frames = (line[6:] for line in recording.body.splitlines() if line.startswith(b"data: {"))
    events = [orjson.loads(data) for data in frames]
    return [event["item"] for event in events if event["type"] == "response.output_item.done"]
