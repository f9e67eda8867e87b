"""Requests to Claude: what a client of OpenAI's says, in Anthropic's words."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
import pytest

from providers.upstreams.anthropic.dialect import Anthropic, messages_path
from providers.upstreams.anthropic.requests import ANSWER_TOOL
from providers.upstreams.anthropic.schemas import closed, is_open
from tests.support.foreign import asking

DIALECT: Final = Anthropic()
HELLO: Final = [{"role": "user", "content": "hello"}]
OLD: Final = "claude-sonnet-4-5"
CACHE: Final = {"type": "ephemeral", "ttl": "1h"}


def encoded(
    messages: Sequence[Mapping[str, Any]] = HELLO, model: str = OLD, **members: Any
) -> dict[str, Any]:
    """The body that is sent."""
    body: dict[str, Any] = orjson.loads(DIALECT.encode(asking(messages, **members), model).body)
    return body


def blocks(content: Any) -> list[dict[str, Any]]:
    """The only turn's blocks."""
    (turn,) = encoded([{"role": "user", "content": content}])["messages"]
    made: list[dict[str, Any]] = turn["content"]
    return made


def tool(name: str = "f", **members: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **members}}


# Whole requests


def test_least_request() -> None:
    """Little is said: a model, a limit, which Anthropic always wants, and the messages."""
    text = {"type": "text", "text": "hello"}
    assert {
        "model": OLD,
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": [text]}],
    } == encoded()


def test_path() -> None:
    """The version stands in the path or in the base URL, never in both."""
    assert "/v1/messages" == DIALECT.encode(asking(HELLO), OLD).path
    assert "/v1/messages" == messages_path("https://api.anthropic.com")
    assert "/messages" == messages_path("https://example.com/anthropic/v1")


def test_parameters() -> None:
    """What both sides know travels under Anthropic's names; what is addressed to the gateway does not."""
    made = encoded(
        stream=True,
        max_completion_tokens=100,
        max_tokens=200,
        temperature=0.5,
        top_k=40,
        stop="END",
        user="u-1",
        service_tier="default",
        cache_control=CACHE,
        headgate={"tags": []},
        models=["x"],
        provider={"order": ["x"]},
        session_id="s",
        usage={"include": True},
        stream_options={"include_usage": True},
        seed=1,
        store=False,
        n=1,
    )
    made.pop("messages")
    assert {
        "model": OLD,
        "max_tokens": 100,
        "stream": True,
        "temperature": 0.5,
        "top_k": 40,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u-1"},
        "service_tier": "standard_only",
        "cache_control": CACHE,
    } == made


def test_default_limit_is_a_field() -> None:
    """An operator's own default takes the place of ours."""
    body = Anthropic(default_output_tokens=77).encode(asking(HELLO), OLD).body
    assert 77 == orjson.loads(body)["max_tokens"]


# Messages


def test_system() -> None:
    """System and developer messages come together at the top, with their cache marks; blank ones are left out."""
    made = encoded(
        [
            {"role": "system", "content": "one"},
            {"role": "user", "content": "hello"},
            {"role": "developer", "content": [{"type": "text", "text": "two", "cache_control": CACHE}]},
            {"role": "system", "content": " \n"},
        ]
    )
    assert [
        {"type": "text", "text": "one"},
        {"type": "text", "text": "two", "cache_control": CACHE},
    ] == made["system"]
    assert ["user"] == [turn["role"] for turn in made["messages"]]


def test_images() -> None:
    """Images travel in base64 or by URL; their cache marks, too."""
    assert [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
        {
            "type": "image",
            "source": {"type": "url", "url": "https://example.com/a.jpg"},
            "cache_control": CACHE,
        },
    ] == blocks(
        [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO", "detail": "low"}},
            {
                "type": "image_url",
                "image_url": {"url": "https://example.com/a.jpg"},
                "cache_control": CACHE,
            },
        ]
    )


def file(**members: Any) -> dict[str, Any]:
    return {"type": "file", "file": members}


def test_documents() -> None:
    """PDFs travel in base64, by URL or by id; texts as text; images that come as files as images."""
    plain = base64.b64encode("naïve".encode()).decode()
    assert [
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
            "title": "a.pdf",
        },
        {"type": "document", "source": {"type": "url", "url": "https://example.com/b.pdf"}},
        {"type": "document", "source": {"type": "file", "file_id": "file_011"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "naïve"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/webp", "data": "UklG"}},
    ] == blocks(
        [
            file(filename="a.pdf", file_data="data:application/pdf;base64,JVBE"),
            file(file_url="https://example.com/b.pdf"),
            file(file_id="file_011"),
            file(file_data=f"data:text/csv;base64,{plain}"),
            file(file_data="data:image/webp;base64,UklG"),
        ]
    )


def test_neighbours_are_joined() -> None:
    """Users and assistants take turns: neighbours of one side become one; blank texts are left out."""
    made = encoded(
        [
            {"role": "user", "content": "a"},
            {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "  "}]},
            {"role": "assistant", "content": "c"},
            {"role": "assistant", "content": None, "refusal": "d"},
            {"role": "user", "content": ""},
            {"role": "user", "content": "e"},
        ]
    )
    assert [("user", ["a", "b"]), ("assistant", ["c", "d"]), ("user", ["e"])] == [
        (turn["role"], [block["text"] for block in turn["content"]]) for turn in made["messages"]
    ]


def test_last_words_of_an_assistant_end_without_blanks() -> None:
    """The answer continues an assistant's message at the end, which Anthropic refuses with blanks at its end."""
    made = encoded([*HELLO, {"role": "assistant", "content": "Once upon \n"}])
    assert "Once upon" == made["messages"][-1]["content"][0]["text"]


def call(call_id: str, name: str = "f", arguments: str = '{"a": 1}') -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_tool_results() -> None:
    """Results of one turn come together, before anything else the user says; ids have only letters Claude takes."""
    made = encoded(
        [
            *HELLO,
            {
                "role": "assistant",
                "content": "let me",
                "tool_calls": [call("functions.f:0"), call("t2", "g", "")],
            },
            {"role": "tool", "tool_call_id": "functions.f:0", "content": "one"},
            {
                "role": "tool",
                "tool_call_id": "t2",
                "content": [
                    {"type": "text", "text": "two"},
                    {
                        "type": "image_url",
                        "image_url": {"url": "https://example.com/a.png"},
                        "cache_control": CACHE,
                    },
                ],
            },
            {"role": "user", "content": "and?"},
        ],
        tools=[tool("f"), tool("g")],
    )
    assert [
        {"type": "text", "text": "let me"},
        {"type": "tool_use", "id": "functions_f_0", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
    ] == made["messages"][1]["content"]
    picture = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    assert [
        {"type": "tool_result", "tool_use_id": "functions_f_0", "content": "one"},
        {
            "type": "tool_result",
            "tool_use_id": "t2",
            "content": [{"type": "text", "text": "two"}, picture],
            "cache_control": CACHE,
        },
        {"type": "text", "text": "and?"},
    ] == made["messages"][2]["content"]
    assert 3 == len(made["messages"])


def test_results_come_first_wherever_they_stand() -> None:
    """A user's words between results move behind them."""
    made = encoded(
        [
            *HELLO,
            {"role": "assistant", "tool_calls": [call("a"), call("b")]},
            {"role": "tool", "tool_call_id": "a", "content": "1"},
            {"role": "user", "content": "wait"},
            {"role": "tool", "tool_call_id": "b", "content": ""},
        ]
    )
    assert [
        {"type": "tool_result", "tool_use_id": "a", "content": "1"},
        {"type": "tool_result", "tool_use_id": "b"},
        {"type": "text", "text": "wait"},
    ] == made["messages"][2]["content"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"b":1,  "a":12345678901234567890123}', b'{"b":1,  "a":12345678901234567890123}'),
        ('{"cut', b'{"invalid_json":"{\\"cut"}'),
        ("[1]", b'{"value":[1]}'),
        ("", b"{}"),
    ],
)
def test_arguments(arguments: str, expected: bytes) -> None:
    """Arguments travel byte for byte, so that a cached prompt stays the same; what is no object is wrapped in one."""
    request = asking([*HELLO, {"role": "assistant", "tool_calls": [call("a", "f", arguments)]}])
    assert b'"input":' + expected in DIALECT.encode(request, OLD).body


def test_reasoning_goes_back_to_its_place() -> None:
    """Blocks of thinking return whole and signed, where they stood; those of other providers stay behind."""
    own = {"format": "anthropic-claude-v1"}
    made = encoded(
        [
            *HELLO,
            {
                "role": "assistant",
                "content": "so",
                "tool_calls": [call("a")],
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "h", "index": 0, **own},
                    {"type": "reasoning.text", "text": "m", "index": 0, **own},
                    {"type": "reasoning.text", "signature": "s0", "index": 0, **own},
                    {"type": "reasoning.encrypted", "data": "blob", "index": 1, **own},
                    {"type": "reasoning.text", "signature": "s3", "index": 3, **own},
                    {"type": "reasoning.text", "text": "unsigned", "index": 4, **own},
                    {"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1", "index": 5},
                    {"type": "reasoning.summary", "summary": "y", "index": 6, **own},
                ],
            },
        ]
    )
    assert [
        {"type": "thinking", "thinking": "hm", "signature": "s0"},
        {"type": "redacted_thinking", "data": "blob"},
        {"type": "text", "text": "so"},
        {"type": "thinking", "thinking": "", "signature": "s3"},
        {"type": "tool_use", "id": "a", "name": "f", "input": {"a": 1}},
    ] == made["messages"][1]["content"]


def test_own_blocks_pass() -> None:
    """Blocks in Anthropic's spelling among OpenAI's parts travel as they are."""
    block = {"type": "search_result", "source": "x", "title": "t", "content": [], "cache_control": CACHE}
    assert [block] == blocks([block])


# Tools


def test_tools() -> None:
    """Functions and Anthropic's own tools travel in the client's order, so that a cached prompt begins alike."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    made = encoded(
        tools=[
            tool("f", description="F.", parameters=schema),
            search,
            {**tool("g"), "cache_control": CACHE},
        ],
        functions=[{"name": "h", "parameters": {"properties": {}}}],
    )
    empty = {"type": "object", "properties": {}}
    assert [
        {"name": "f", "description": "F.", "input_schema": schema},
        search,
        {"name": "g", "input_schema": empty, "cache_control": CACHE},
        {"name": "h", "input_schema": empty},
    ] == made["tools"]
    assert "tool_choice" not in made


def test_strict_tools() -> None:
    """Strict tools are strict where the model can be, with their objects closed; open ones cannot be held to it."""
    schema = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "required": ["a"]}
    strict = [tool(parameters=schema, strict=True)]
    (made,) = encoded(tools=strict)["tools"]
    assert made["strict"]
    assert {
        "type": "object",
        "properties": {"a": {"type": "integer", "description": "{minimum: 1}"}},
        "required": ["a"],
        "additionalProperties": False,
    } == made["input_schema"]
    (older,) = encoded(model="claude-opus-4-1", tools=strict)["tools"]
    opened = [tool(parameters={**schema, "additionalProperties": True}, strict=True)]
    (free,) = encoded(tools=opened)["tools"]
    assert [False, False] == ["strict" in each for each in (older, free)]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": tool("f")}, {"type": "tool", "name": "f"}),
        ({"parallel_tool_calls": True}, None),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        (
            {"tool_choice": "required", "parallel_tool_calls": False},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
        ({"function_call": {"name": "f"}}, {"type": "tool", "name": "f"}),
    ],
)
def test_tool_choice(members: dict[str, Any], expected: dict[str, Any] | None) -> None:
    """Each choice has Anthropic's word, with whether several calls at once are allowed."""
    assert expected == encoded(tools=[tool()], **members).get("tool_choice")


def test_tool_choice_without_tools() -> None:
    """Where there is nothing to choose, nothing is said: Anthropic refuses it."""
    assert "tool_choice" not in encoded(tool_choice="auto")


# The shape of an answer

ANSWER: Final = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def shape(schema: Mapping[str, Any], **members: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, **members}}


def test_schema() -> None:
    """A schema is what the model is held to, where it can be."""
    made = encoded(response_format=shape(ANSWER, strict=True))
    expected = {"type": "json_schema", "schema": {**ANSWER, "additionalProperties": False}}
    assert {"format": expected} == made["output_config"]
    assert "tools" not in made


@pytest.mark.parametrize(
    ("wanted", "model", "schema"),
    [
        ({"type": "json_object"}, OLD, {"type": "object"}),
        (shape(ANSWER), "claude-opus-4-1", ANSWER),
        (shape({**ANSWER, "additionalProperties": True}), OLD, {**ANSWER, "additionalProperties": True}),
    ],
)
def test_shape_by_a_tool(wanted: dict[str, Any], model: str, schema: dict[str, Any]) -> None:
    """Where the model cannot be held to a shape, it has to answer by a call of a tool of ours."""
    made = encoded(model=model, response_format=wanted)
    (only,) = made["tools"]
    assert (ANSWER_TOOL, schema) == (only["name"], only["input_schema"])
    assert {"type": "tool", "name": ANSWER_TOOL, "disable_parallel_tool_use": True} == made["tool_choice"]
    assert "output_config" not in made


@pytest.mark.parametrize(
    ("choice", "expected", "tools"),
    [
        (None, {"type": "any"}, ["f", ANSWER_TOOL]),
        ("auto", {"type": "any"}, ["f", ANSWER_TOOL]),
        (
            "none",
            {"type": "tool", "name": ANSWER_TOOL, "disable_parallel_tool_use": True},
            ["f", ANSWER_TOOL],
        ),
        ("required", {"type": "any"}, ["f"]),
        (tool("f"), {"type": "tool", "name": "f"}, ["f"]),
    ],
)
def test_shape_by_a_tool_beside_tools(choice: Any, expected: dict[str, Any], tools: list[str]) -> None:
    """With tools of the client's, the model may call those first; where it must call one, it does not answer yet."""
    made = encoded(response_format={"type": "json_object"}, tools=[tool("f")], tool_choice=choice)
    assert (expected, tools) == (made["tool_choice"], [each["name"] for each in made["tools"]])


def test_closed_schemas() -> None:
    """Objects are closed at every level; what structured outputs refuse moves into the description."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "when": {"type": "string", "format": "date"},
            "tag": {"type": "string", "format": "color", "maxLength": 3, "description": "Short."},
            "list": {"type": "array", "items": {"$ref": "#/$defs/x"}, "minItems": 1, "maxItems": 2},
            "either": {"oneOf": [{"type": "null"}, {"type": "object", "properties": {}}]},
        },
        "$defs": {"x": {"type": "object", "properties": {"y": {"enum": [1, 2]}}}},
    }
    shut = {"additionalProperties": False}
    assert {
        "type": "object",
        "properties": {
            "when": {"type": "string", "format": "date"},
            "tag": {"type": "string", "description": 'Short.\n\n{format: "color", maxLength: 3}'},
            "list": {
                "type": "array",
                "items": {"$ref": "#/$defs/x"},
                "minItems": 1,
                "description": "{maxItems: 2}",
            },
            "either": {"anyOf": [{"type": "null"}, {"type": "object", "properties": {}, **shut}]},
        },
        "$defs": {"x": {"type": "object", "properties": {"y": {"enum": [1, 2]}}, **shut}},
        **shut,
    } == closed(schema)


def test_open_schemas() -> None:
    """A map, at any level, is open; so is what nests beyond reason."""
    deep: Any = {}
    for _ in range(200):
        deep = {"items": deep}
    assert [False, True, True] == [
        is_open({"additionalProperties": False, "properties": {"a": {}}}),
        is_open({"properties": {"a": {"anyOf": [{"additionalProperties": {"type": "string"}}]}}}),
        is_open(deep),
    ]
