"""Requests to Cohere: every member of OpenAI's vocabulary is translated, named as lacking, or named as left out."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

import orjson
import pytest

from providers.types import Canonical, RequestError
from providers.upstreams.cohere.dialect import CohereChat
from tests.support.foreign import answer_of, asking, decoded, exchanges, groups, sent_back
from tests.support.recordings import Recording

DIALECT: Final = CohereChat()
HELLO: Final = [{"role": "user", "content": "Hello"}]
TOOL: Final[dict[str, Any]] = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Looks.",
        "parameters": {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]},
    },
}
IMAGE: Final = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}}


def sent(request: Canonical) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(DIALECT.encode(request, "command-x").body)
    return body


def members(**given: Any) -> dict[str, Any]:
    """What a member becomes, without what every request has."""
    made = sent(asking(HELLO, **given))
    return {name: made[name] for name in made if name not in ("model", "messages", "stream")}


def test_the_least() -> None:
    """Model, messages and whether to stream; nothing is made up."""
    request = asking(HELLO)
    assert {"model": "command-x", "messages": HELLO, "stream": False} == sent(request)
    assert "/v2/chat" == DIALECT.encode(request, "command-x").path
    assert () == (*DIALECT.lacks(request), *DIALECT.drops(request))
    assert sent(asking(HELLO, stream=True))["stream"]


def test_places() -> None:
    """The version is part of the path, but not twice."""
    request = asking(HELLO)
    assert "/v2/chat" == CohereChat.at("https://api.cohere.com").encode(request, "x").path
    assert "/chat" == CohereChat.at("https://gateway.example.com/cohere/v2").encode(request, "x").path


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 6, "max_tokens": 5}, {"max_tokens": 6}),
        ({"temperature": 0.2, "seed": 7}, {"temperature": 0.2, "seed": 7}),
        ({"top_p": 0.5}, {"p": 0.5}),
        ({"top_p": 1}, {"p": 0.99}),
        ({"top_p": 0}, {"p": 0.01}),
        ({"top_k": 40}, {"k": 40}),
        ({"frequency_penalty": 0.5}, {"frequency_penalty": 0.5}),
        ({"presence_penalty": 0}, {"presence_penalty": 0}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["a", "b"]}, {"stop_sequences": ["a", "b"]}),
        ({"stop": None, "temperature": None}, {}),
        ({"response_format": {"type": "text"}}, {}),
        ({"response_format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
        ({"safety_mode": "STRICT", "priority": 3}, {"safety_mode": "STRICT", "priority": 3}),
        (
            {"documents": [{"id": "a", "data": {"text": "b"}}]},
            {"documents": [{"id": "a", "data": {"text": "b"}}]},
        ),
        ({"citation_options": {"mode": "OFF"}}, {"citation_options": {"mode": "OFF"}}),
        ({"headgate": {"tier": "x"}, "models": ["a"], "session_id": "s", "usage": {"include": True}}, {}),
        ({"user": "u", "metadata": {"a": "b"}, "n": 1, "logprobs": False, "logit_bias": {"1": 0}}, {}),
    ],
)
def test_members(given: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """OpenAI's words become Cohere's; what is addressed to the gateway stays here."""
    assert expected == members(**given)
    assert () == DIALECT.lacks(asking(HELLO, **given))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"reasoning_effort": "none"}, {"type": "disabled"}),
        ({"reasoning": {"enabled": False}}, {"type": "disabled"}),
        ({"reasoning": {"enabled": True}}, {"type": "enabled"}),
        ({"reasoning_effort": "high"}, {"type": "enabled"}),
        ({"reasoning_effort": "low"}, {"type": "enabled", "token_budget": 3200}),
        ({"reasoning_effort": "medium", "max_tokens": 1000}, {"type": "enabled", "token_budget": 500}),
        ({"reasoning": {"effort": "minimal"}, "max_tokens": 5}, {"type": "enabled", "token_budget": 1}),
        ({"reasoning": {"max_tokens": 77}}, {"type": "enabled", "token_budget": 77}),
        ({"thinking": {"type": "disabled"}}, {"type": "disabled"}),
        ({"thinking": {"type": "enabled", "token_budget": 9}}, {"type": "enabled", "token_budget": 9}),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, {"type": "enabled", "token_budget": 9}),
        ({"reasoning": {"exclude": True}}, None),
        ({}, None),
    ],
)
def test_thinking(given: Mapping[str, Any], expected: Mapping[str, Any] | None) -> None:
    """An effort, a budget, or off; in OpenAI's, OpenRouter's, Anthropic's or Cohere's own words."""
    assert expected == members(**given).get("thinking")


def test_schema() -> None:
    """A schema goes with the type for JSON; its description into it."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    wanted = {
        "type": "json_schema",
        "json_schema": {"name": "n", "description": "d", "schema": schema, "strict": True},
    }
    assert {"type": "json_object", "json_schema": {"description": "d", **schema}} == members(
        response_format=wanted
    )["response_format"]


def test_tools() -> None:
    """Tools keep their shape; `strict` is one switch for all."""
    strict = {**TOOL, "function": {**TOOL["function"], "strict": True}}
    assert {"tools": [TOOL], "tool_choice": "REQUIRED"} == members(tools=[TOOL], tool_choice="required")
    assert {"tools": [TOOL], "tool_choice": "NONE"} == members(tools=[TOOL], tool_choice="none")
    assert {"tools": [TOOL]} == members(tools=[TOOL], tool_choice="auto")
    assert {"tools": [TOOL], "strict_tools": True} == members(tools=[strict])
    bare = {"type": "function", "function": {"name": "now"}}
    (made,) = members(tools=[bare])["tools"]
    assert {"name": "now", "parameters": {"type": "object", "properties": {}}} == made["function"]


def test_one_named_tool() -> None:
    """A tool that must be called is the only one offered, and a call is required."""
    other = {"type": "function", "function": {**TOOL["function"], "name": "other"}}
    named = {"type": "function", "function": {"name": "look"}}
    made = members(tools=[other, TOOL], tool_choice=named)
    assert {"tools": [TOOL], "tool_choice": "REQUIRED"} == made
    with pytest.raises(RequestError, match="not in `tools`"):
        members(tools=[other], tool_choice=named)


def test_messages() -> None:
    """System messages first and as one; images; an answer with calls; results as texts or documents."""
    document = {"type": "document", "document": {"id": "d", "data": {"text": "t"}}}
    request = asking(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "What is it?"}, IMAGE]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "look", "arguments": ""}}
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "A cat."},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "x"}, document]},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
            {"role": "assistant", "content": "A cat", "refusal": "No more."},
            {"role": "user", "content": [{"type": "image_url", "image_url": "data:image/png;base64,AAAA"}]},
        ]
    )
    assert () == DIALECT.lacks(request)
    assert [
        {
            "role": "system",
            "content": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}],
        },
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}, IMAGE]},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "A cat."},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "x"}, document]},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "A cat"}, {"type": "text", "text": "No more."}],
        },
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
        },
    ] == sent(request)["messages"]


def test_reasoning_goes_back() -> None:
    """Thinking and plan come back as they came; what other providers thought does not."""
    own = {"type": "reasoning.text", "format": "cohere-chat-v2"}
    message = {
        "role": "assistant",
        "content": "Looking.",
        "reasoning_details": [
            {**own, "text": "Hm", "index": 0},
            {**own, "text": ".", "index": 0},
            {"type": "reasoning.text", "format": "anthropic-claude-v1", "text": "no", "index": 1},
            {**own, "text": "I will look.", "index": 2, "id": "tool_plan"},
        ],
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
    }
    made = sent(asking([*HELLO, message, {"role": "tool", "tool_call_id": "c1", "content": "x"}]))[
        "messages"
    ][1]
    assert [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Looking."}] == made["content"]
    assert "I will look." == made["tool_plan"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"n": 2}, ("n",)),
        ({"logprobs": True, "top_logprobs": 3}, ("logprobs", "top_logprobs")),
        ({"logit_bias": {"1": 5}}, ("logit_bias",)),
        ({"modalities": ["text", "audio"], "audio": {"voice": "x"}}, ("modalities", "audio")),
        ({"verbosity": "low"}, ("verbosity",)),
        ({"web_search_options": {"user_location": None}}, ("web_search_options",)),
        ({"something_new": 1}, ("something_new",)),
        ({"frequency_penalty": -1}, ("frequency_penalty",)),
        ({"presence_penalty": 1.5}, ("presence_penalty",)),
        ({"top_k": 501}, ("top_k",)),
        ({"stop": list("abcdef")}, ("stop",)),
        ({"tools": [TOOL], "parallel_tool_calls": False}, ("parallel_tool_calls",)),
        ({"parallel_tool_calls": False}, ()),
        ({"tools": [TOOL], "response_format": {"type": "json_object"}}, ("response_format",)),
        ({"documents": ["x"], "response_format": {"type": "json_object"}}, ("response_format",)),
        ({"tools": [TOOL, {"type": "web_search"}]}, ("tools[1]",)),
        (
            {
                "tools": [
                    {"type": "function", "function": {"name": "now"}},
                    {**TOOL, "function": {**TOOL["function"], "strict": True}},
                ]
            },
            ("tools[1].function.strict",),
        ),
    ],
)
def test_what_it_lacks(given: Mapping[str, Any], expected: tuple[str, ...]) -> None:
    """Named by path, so that another backend is chosen; a default asks for nothing."""
    assert expected == DIALECT.lacks(asking(HELLO, **given))


@pytest.mark.parametrize(
    ("message", "where"),
    [
        (
            {
                "role": "user",
                "content": [{"type": "input_audio", "input_audio": {"data": "A", "format": "wav"}}],
            },
            "messages[1].content[0]",
        ),
        (
            {
                "role": "user",
                "content": [{"type": "file", "file": {"file_data": "data:application/pdf;base64,AA"}}],
            },
            "messages[1].content[0]",
        ),
        ({"role": "user", "content": [{"type": "new"}]}, "messages[1].content[0]"),
        ({"role": "system", "content": [IMAGE]}, "messages[1].content[0]"),
        ({"role": "tool", "tool_call_id": "c", "content": [IMAGE]}, "messages[1].content[0]"),
    ],
)
def test_parts_it_lacks(message: Mapping[str, Any], where: str) -> None:
    """Audio, files and what is unknown, each by its path."""
    assert (where,) == DIALECT.lacks(asking([*HELLO, message]))


def test_what_is_left_out() -> None:
    """Members without which the answer is the same; and that reasoning is shown whatever one asks."""
    given = {"user": "u", "store": True, "prompt_cache_key": "k", "include_reasoning": False}
    assert ("user", "store", "prompt_cache_key", "include_reasoning") == DIALECT.drops(asking(HELLO, **given))
    assert ("reasoning.exclude",) == DIALECT.drops(asking(HELLO, reasoning={"exclude": True}))
    assert () == DIALECT.drops(asking(HELLO, user=None, store=False))


def test_nested_too_deeply() -> None:
    """What cannot be written is the client's mistake."""
    schema: dict[str, Any] = {}
    for _ in range(260):
        schema = {"items": schema}
    request = asking(HELLO)
    request = request._replace(
        members={**request.members, "tools": [{"function": {"name": "x", "parameters": schema}}]}
    )
    with pytest.raises(RequestError):
        DIALECT.encode(request, "x")


# Recorded conversations

EXCHANGES: Final = {recording.id: recording for recording in exchanges("cohere", "v2.chat")}
TURNS: Final = [
    (EXCHANGES[first], EXCHANGES[second])
    for names in groups().values()
    for first, second in pairwise(names)
    if first in EXCHANGES and second in EXCHANGES
]


@pytest.mark.skipif(not TURNS, reason="no recorded exchanges beside the project")
@pytest.mark.parametrize(("first", "second"), TURNS, ids=[second.id for _, second in TURNS])
def test_second_turns(first: Recording, second: Recording) -> None:
    """The next turn after a recorded answer: what the recording sent, and the reasoning that its client forgot."""
    said = decoded(DIALECT.decoder(), [first.body]) if first.stream else DIALECT.read(first.body)
    answer = answer_of(said)
    *_, results = second.request["messages"]
    request = asking(
        [*first.request["messages"], sent_back(answer), results],
        tools=first.request["tools"],
        stream=first.stream,
    )
    assert () == DIALECT.lacks(request)
    made = sent(request)
    assert second.request["tools"] == made["tools"]
    recorded, ours = second.request["messages"], made["messages"]
    assert len(recorded) == len(ours)
    assert recorded[-2]["tool_calls"] == ours[-2]["tool_calls"]
    assert recorded[-1] == ours[-1]
    thoughts = [part["thinking"] for part in ours[-2].get("content", ()) if part["type"] == "thinking"]
    assert answer.reasoning == "".join([*thoughts, ours[-2].get("tool_plan", "")])


@pytest.mark.skipif(not EXCHANGES, reason="no recorded exchanges beside the project")
@pytest.mark.parametrize("recording", [each for each in EXCHANGES.values() if each.request], ids=repr)
def test_recorded_requests(recording: Recording) -> None:
    """A request in OpenAI's words for the same thing is what was recorded."""
    recorded = dict(recording.request)
    given = {
        name: value for name, value in recorded.items() if name not in ("model", "messages", "documents")
    }
    if "json_schema" in (schema := recorded.get("response_format", {})):
        given["response_format"] = {"type": "json_schema", "json_schema": {"schema": schema["json_schema"]}}
    if recorded.get("documents"):
        given["documents"] = recorded["documents"]
    made = sent(asking(recorded["messages"], **given))
    for name, value in recorded.items():
        if name not in ("model", "messages", "stream") and value:
            assert value == made[name]
    assert [plain(message) for message in recorded["messages"]] == [
        plain(message) for message in made["messages"]
    ]


def plain(message: Mapping[str, Any]) -> dict[str, Any]:
    """One of several spellings: a text alone is a string, an empty one is none; thinking was not asked for here."""
    content = message.get("content")
    if isinstance(content, list):
        content = [part for part in content if part.get("text") != "" and part["type"] != "thinking"]
        if len(content) == 1 and content[0]["type"] == "text":
            content = content[0]["text"]
    return {**message, "content": content or None}
