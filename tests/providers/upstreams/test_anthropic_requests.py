"""Requests to Claude: what a client of OpenAI's says, in Anthropic's words, and what has no word there."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.types import RequestError
from providers.upstreams.anthropic import Anthropic, messages_path
from providers.upstreams.anthropic_models import traits
from providers.upstreams.anthropic_requests import ANSWER_TOOL
from providers.upstreams.anthropic_schemas import closed, is_open
from tests.support.foreign import answer_of, answered, asking, decoded, exchanges, sent_back
from tests.support.recordings import Recording, parameters

DIALECT: Final = Anthropic()
ALL: Final = (*exchanges("anthropic", "messages"), *exchanges("azure", "messages"))
OLD, MIDDLE, NEW = "claude-sonnet-4-5", "claude-sonnet-4-6", "claude-opus-5-5"
HELLO: Final = [{"role": "user", "content": "hello"}]
CACHE: Final = {"type": "ephemeral", "ttl": "1h"}


def encoded(
    messages: Sequence[Mapping[str, Any]] = HELLO, model: str = OLD, **members: Any
) -> dict[str, Any]:
    """The body that is sent."""
    body: dict[str, Any] = orjson.loads(DIALECT.encode(asking(messages, **members), model).body)
    return body


def lacking(
    messages: Sequence[Mapping[str, Any]] = HELLO, model: str = "", **members: Any
) -> tuple[str, ...]:
    return DIALECT.lacks(asking(messages, **members), model)


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


# Reasoning


@pytest.mark.parametrize(
    ("model", "members", "thinking", "effort", "max_tokens"),
    [
        # Budgets: shares of the limit, at least 1024, below the limit; without one, 4096 are left for the answer.
        (OLD, {"reasoning_effort": "high", "max_tokens": 10_000}, 8000, None, 10_000),
        (OLD, {"reasoning_effort": "low", "max_tokens": 2000}, 1024, None, 2000),
        (OLD, {"reasoning_effort": "medium"}, 4096, None, 8192),
        (OLD, {"reasoning_effort": "xhigh"}, 30_400, None, 32_000),
        (OLD, {"reasoning": {"max_tokens": 2000}}, 2000, None, 6096),
        (OLD, {"reasoning": {"max_tokens": 5000}, "max_tokens": 3000}, 2999, None, 3000),
        (OLD, {"reasoning": {"max_tokens": 10}, "max_tokens": 3000}, 1024, None, 3000),
        (OLD, {"reasoning": {"enabled": True}, "max_tokens": 4000}, 2000, None, 4000),
        (OLD, {"reasoning_effort": "none"}, None, None, 4096),
        # Either: a budget where one is named, else adaptively.
        (MIDDLE, {"reasoning": {"max_tokens": 2000}}, 2000, None, 6096),
        (MIDDLE, {"reasoning_effort": "minimal"}, "summarized", "low", 4096),
        (MIDDLE, {"reasoning_effort": "xhigh"}, "summarized", "high", 4096),
        (MIDDLE, {"reasoning": {"enabled": False}}, None, None, 4096),
        # Adaptive alone: a budget becomes the effort whose share it is.
        (NEW, {"reasoning": {"effort": "xhigh", "exclude": True}}, "omitted", "xhigh", 4096),
        (NEW, {"reasoning": {"max_tokens": 2000}, "max_tokens": 5000}, "summarized", "medium", 5000),
        (NEW, {"reasoning": {"enabled": True}}, "summarized", None, 4096),
        (NEW, {}, None, None, 4096),
        # Off where it is on by default.
        (NEW, {"reasoning_effort": "none"}, "disabled", None, 4096),
        ("claude-haiku-5-5", {"reasoning_effort": "none"}, "disabled", None, 4096),
        ("claude-sonnet-5-5", {"reasoning": {"effort": "none"}}, "between_tools", None, 4096),
    ],
)
def test_reasoning(
    model: str, members: dict[str, Any], thinking: int | str | None, effort: str | None, max_tokens: int
) -> None:
    """A wish for reasoning becomes what this model understands: a budget, or an effort."""
    expected: Any = None
    if isinstance(thinking, int):
        expected = {"type": "enabled", "budget_tokens": thinking}
    elif thinking in ("summarized", "omitted"):
        expected = {"type": "adaptive", "display": thinking}
    elif thinking is not None:
        expected = {"type": thinking}
    made = encoded(model=model, **members)
    assert (expected, max_tokens) == (made.get("thinking"), made["max_tokens"])
    assert effort == made.get("output_config", {}).get("effort")


def test_own_words_for_thinking_win() -> None:
    """A client that knows Anthropic's own parameters has its way; without a limit its budget is added to ours."""
    own = {"type": "enabled", "budget_tokens": 2048}
    made = encoded(thinking=own, reasoning_effort="low", output_config={"effort": "max"})
    assert (own, {"effort": "max"}, 4096 + 2048) == (
        made["thinking"],
        made["output_config"],
        made["max_tokens"],
    )


def test_effort_and_schema_share_a_place() -> None:
    """Effort and the shape of the answer travel together, and the client's own effort wins."""
    made = encoded(model=NEW, reasoning_effort="low", response_format=shape(ANSWER))
    assert {"format", "effort"} == made["output_config"].keys()
    own = encoded(model=NEW, reasoning_effort="low", output_config={"effort": "high"})
    assert {"effort": "high"} == own["output_config"]


@pytest.mark.parametrize("model", [NEW, OLD])
def test_default_sampling_is_left_out(model: str) -> None:
    """Values that are the defaults anyway stay behind where the model takes no others."""
    made = encoded(model=model, temperature=1, top_p=1.0, reasoning_effort="high")
    assert {"temperature", "top_p"}.isdisjoint(made)


# What Claude lacks


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, ()),
        (
            {
                "n": 1,
                "logprobs": False,
                "frequency_penalty": 0,
                "logit_bias": {"1": 0},
                "verbosity": "medium",
            },
            (),
        ),
        ({"n": 2}, ("n",)),
        ({"logprobs": True, "top_logprobs": 2}, ("logprobs", "top_logprobs")),
        ({"presence_penalty": 0.5, "logit_bias": {"1": 5}}, ("presence_penalty", "logit_bias")),
        ({"modalities": ["text", "audio"], "audio": {"voice": "x"}}, ("modalities", "audio")),
        ({"web_search_options": {"search_context_size": "low"}}, ("web_search_options",)),
        ({"verbosity": "low", "min_p": 0.1}, ("verbosity", "min_p")),
        ({"temperature": 1.5}, ("temperature",)),
        ({"temperature": 0.5}, ()),
        ({"temperature": 0.5, "reasoning_effort": "low"}, ("temperature",)),
        ({"temperature": 0.5, "reasoning_effort": "none"}, ()),
        ({"top_p": 0.5, "top_k": 3, "reasoning_effort": "low"}, ("top_p", "top_k")),
        ({"top_p": 0.96, "reasoning_effort": "low"}, ()),
        ({"stop": ["END", "\n"]}, ("stop",)),
        ({"reasoning_effort": "heroic"}, ("reasoning_effort",)),
        ({"tools": [tool(), {"type": "custom", "custom": {"name": "x"}}]}, ("tools[1]",)),
        ({"tools": [tool()], "tool_choice": "required", "reasoning_effort": "low"}, ("tool_choice",)),
        ({"response_format": {"type": "json_object"}, "reasoning": {"enabled": True}}, ("response_format",)),
    ],
)
def test_lacks(members: dict[str, Any], expected: tuple[str, ...]) -> None:
    """What no Claude can do is named, so that another backend is asked; values that ask for nothing are not."""
    assert expected == lacking(**members)


@pytest.mark.parametrize(
    ("model", "members", "expected"),
    [
        (NEW, {"temperature": 0.5, "top_p": 0.5, "top_k": 3}, ("temperature", "top_p", "top_k")),
        (NEW, {"temperature": 1, "top_p": 1}, ()),
        (NEW, {"reasoning_effort": "none"}, ("reasoning_effort",)),
        (NEW, {"tools": [tool()], "tool_choice": "required"}, ("tool_choice",)),
        (NEW, {"response_format": {"type": "json_object"}}, ("response_format",)),
        (NEW, {"response_format": shape(ANSWER)}, ()),
        ("claude-haiku-5-5", {"tools": [tool()], "tool_choice": "required"}, ()),
        (OLD, {"temperature": 0.5, "top_p": 0.5}, ("top_p",)),
        (OLD, {"reasoning_effort": "low", "max_tokens": 1024}, ("reasoning_effort",)),
        (OLD, {"reasoning_effort": "low", "max_tokens": 1025}, ()),
        ("claude-3-5-haiku-20241022", {"temperature": 0.5, "top_p": 0.5}, ()),
        ("claude-3-5-haiku-20241022", {"reasoning": {"effort": "low"}}, ("reasoning",)),
    ],
)
def test_lacks_of_a_model(model: str, members: dict[str, Any], expected: tuple[str, ...]) -> None:
    """What this model cannot do is named, where the model is known."""
    assert expected == lacking(model=model, **members)


def test_lacks_prefill() -> None:
    """Newer models do not continue an assistant's message."""
    messages = [*HELLO, {"role": "assistant", "content": "Once"}]
    assert [(), ("messages[1]",)] == [lacking(messages, model) for model in (OLD, NEW)]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
        {"type": "image_url", "image_url": {"url": "gs://bucket/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/tiff;base64,SUkq"}},
        file(file_id="file-openai"),
        file(file_data="data:application/zip;base64,UEsD"),
        file(file_data="data:text/plain;base64,/w=="),
    ],
)
def test_lacks_parts(part: dict[str, Any]) -> None:
    """Parts that Claude cannot read are named by their path."""
    assert ("messages[0].content[1]",) == lacking(
        [{"role": "user", "content": [{"type": "text", "text": "x"}, part]}]
    )


def test_lacks_images_for_a_system() -> None:
    """A system prompt holds text alone."""
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    assert ("messages[0].content[0]",) == lacking([{"role": "system", "content": [picture]}, *HELLO])


def test_what_a_model_refuses_is_sent_as_asked() -> None:
    """Nothing is dropped in silence: a model that refuses it says so itself."""
    made = encoded(model=NEW, temperature=0.5, top_p=0.5, tools=[tool()], tool_choice="required")
    assert (0.5, 0.5, {"type": "any"}) == (made["temperature"], made["top_p"], made["tool_choice"])


def test_drops() -> None:
    """What stays behind without harm, or is unknown, is named; what is carried or asks for nothing is not."""
    request = asking(
        HELLO,
        seed=1,
        store=True,
        prediction=None,
        metadata={"team": "x"},
        prompt_cache_key="k",
        service_tier="flex",
        some_day=1,
        n=2,
        user="u",
        safety_identifier="s",
        headgate={},
        stream_options={"include_usage": True},
    )
    assert {
        "seed", "store", "metadata", "prompt_cache_key", "service_tier", "some_day", "safety_identifier",
    } == set(DIALECT.drops(request))  # fmt: skip
    carried = asking(HELLO, metadata={"user_id": "u"}, service_tier="auto", thinking={"type": "adaptive"})
    assert () == DIALECT.drops(carried)
    assert () == DIALECT.drops(asking(HELLO, safety_identifier="s"))


def test_senseless_requests() -> None:
    """What has no meaning is refused with its path, before anything is sent."""
    with pytest.raises(RequestError, match=r"messages\[0\]\.role"):
        lacking([{"role": "wizard", "content": "x"}])
    deep: Any = []
    for _ in range(300):
        deep = [deep]
    body = b'{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":'
    body += b'{"name":"f","parameters":{"x":' + b"[" * 300 + b"]" * 300 + b"}}}]}"
    request = asking(HELLO)._replace(members=orjson.loads(body))
    with pytest.raises(RequestError, match="nested"):
        DIALECT.encode(request, OLD)


# Models


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5"),
        ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
        ("anthropic/claude-sonnet-4.6", "claude-sonnet-4-6"),
        ("claude-3-7-sonnet-20250219", "claude-3-7-sonnet"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4-0"),
        ("claude-opus-latest", "claude-opus-9-9"),
        ("claude-mythos-preview", "claude-mythos-9"),
    ],
)
def test_names_of_models(name: str, like: str) -> None:
    """A model is known in every provider's spelling; one without a number is taken for a new one."""
    assert traits(like) == traits(name)


def test_other_models() -> None:
    """Another maker's model behind this dialect takes what Claude took before 4.5."""
    assert ("budget", True, False) == (
        traits("kimi-k3").thinks,
        traits("kimi-k3").sampling,
        traits("kimi-k3").schemas,
    )


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


# Anything at all

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 5000) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
known = st.sampled_from(
    ["temperature", "top_p", "top_k", "reasoning", "reasoning_effort", "thinking", "tools", "tool_choice", "stop",
     "response_format", "parallel_tool_calls", "user", "metadata", "service_tier", "output_config", "n", "functions",
     "verbosity", "modalities", "logit_bias", "safety_identifier", "include_reasoning"]
)  # fmt: skip
message = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "system"])},
    optional={
        "content": anything,
        "tool_calls": anything,
        "reasoning_details": st.lists(
            st.dictionaries(
                st.sampled_from(["type", "text", "signature", "data", "index", "format"]),
                anything,
                max_size=5,
            ),
            max_size=3,
        ),
        "tool_call_id": anything,
    },
)


@given(st.lists(message, min_size=1, max_size=4), st.dictionaries(known, anything, max_size=4))
def test_any_request_can_be_judged(messages: list[dict[str, Any]], members: dict[str, Any]) -> None:
    """Members of any shape are read or refused as the client's mistake; no other exception escapes."""
    request = asking(HELLO)
    request = request._replace(members={**request.members, "messages": messages, **members})
    for model in (OLD, MIDDLE, NEW):
        try:
            DIALECT.lacks(request, model)
            DIALECT.drops(request)
            DIALECT.encode(request, model)
        except RequestError:
            return
