"""A request is read once and checked; what is wrong is refused in OpenAI's words, naming the member."""

from typing import Any

import pytest

from proxy.sandbox import request
from proxy.sandbox.fields import RequestError
from proxy.sandbox.request import Calling
from tests.proxy.sandbox.asking import ask, body, tool, user

CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "3"}
SCHEMA_FORMAT = {"type": "json_schema", "json_schema": {"schema": {}}}


@pytest.mark.parametrize(
    ("members", "param", "code"),
    [
        ({"model": None}, "model", None),
        ({"messages": None}, "messages", "missing_required_parameter"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": "hello"}, "messages", "invalid_type"),
        ({"messages": ["hello"]}, "messages[0]", "invalid_type"),
        ({"messages": [{"content": "hello"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [{"role": "friend", "content": "x"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content", "invalid_value"),
        ({"messages": [user(5)]}, "messages[0].content", "invalid_type"),
        ({"messages": [user([{"type": "smell"}])]}, "messages[0].content[0].type", "invalid_value"),
        (
            {"messages": [user([{"type": "text"}])]},
            "messages[0].content[0].text",
            "missing_required_parameter",
        ),
        (
            {"messages": [user([{"type": "image_url", "image_url": {}}])]},
            "messages[0].content[0].image_url.url",
            "missing_required_parameter",
        ),
        ({"messages": [user("x"), RESULT]}, "messages[1].tool_call_id", None),
        ({"messages": [user("x"), CALLING]}, "messages[2]", None),
        ({"messages": [user("x"), CALLING, user("y")]}, "messages[2]", None),
        ({"temperature": 2.1}, "temperature", "decimal_above_max_value"),
        ({"temperature": "warm"}, "temperature", "invalid_type"),
        ({"temperature": True}, "temperature", "invalid_type"),
        ({"top_p": -1}, "top_p", "decimal_below_min_value"),
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"n": 1.5}, "n", "invalid_type"),
        ({"max_tokens": 0}, "max_tokens", "integer_below_min_value"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens", "invalid_parameter_combination"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "array_above_max_length"),
        ({"stop": [1]}, "stop", "invalid_type"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"stream_options": {"include_usage": True}}, "stream_options", None),
        ({"top_logprobs": 3}, "top_logprobs", None),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "integer_above_max_value"),
        ({"tools": [{"function": {"name": "x"}}]}, "tools[0].type", "missing_required_parameter"),
        ({"tools": [{"type": "function"}]}, "tools[0].function", "missing_required_parameter"),
        ({"tools": [tool("two words")]}, "tools[0].function.name", "invalid_value"),
        ({"tool_choice": "auto"}, "tool_choice", None),
        ({"tools": [tool("add")], "tool_choice": "always"}, "tool_choice", "invalid_value"),
        ({"tools": [tool("add")], "tool_choice": 5}, "tool_choice", "invalid_type"),
        (
            {"tools": [tool("add")], "tool_choice": {"type": "function", "function": {"name": "sub"}}},
            "tool_choice",
            None,
        ),
        ({"response_format": {}}, "response_format.type", "missing_required_parameter"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
        (
            {"response_format": SCHEMA_FORMAT},
            "response_format.json_schema.name",
            "missing_required_parameter",
        ),
        ({"functions": [{}]}, "functions", "unsupported_parameter"),
        ({"modalities": ["text", "audio"]}, "modalities", "invalid_value"),
        ({"sandbox": {"speed": 1}}, "sandbox.speed", "unknown_parameter"),
        ({"sandbox": {"pace_ms": -1}}, "sandbox.pace_ms", "decimal_below_min_value"),
        ({"sandbox": {"pieces": 0}}, "sandbox.pieces", "integer_below_min_value"),
        ({"sandbox": 5}, "sandbox", "invalid_type"),
        ({"n": 128, "sandbox": {"pieces": 1000}}, "sandbox.pieces", "integer_above_max_value"),
    ],
)
def test_what_is_wrong_is_named(members: dict[str, Any], param: str, code: str | None) -> None:
    """The refusal is a 400 that carries the member's path and OpenAI's code for it."""
    with pytest.raises(RequestError) as caught:
        ask(**members)
    assert (caught.value.status, caught.value.param, caught.value.code) == (400, param, code)
    assert caught.value.message


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"5", b'{"model": "\xff"}'])
def test_a_body_that_is_no_object_is_refused(raw: bytes) -> None:
    """Broken JSON, broken UTF-8 and other values are one kind of 400."""
    with pytest.raises(RequestError, match="could not parse") as caught:
        request.read(raw)
    assert caught.value.status == 400


def test_an_unknown_model_is_not_found() -> None:
    """404 with the code clients look for."""
    with pytest.raises(RequestError, match="`gpt-none` does not exist") as caught:
        ask(model="gpt-none")
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")


@pytest.mark.parametrize("pace", ["fast", "-1", "nan", "inf", ""])
def test_a_pace_header_that_is_no_pace_is_refused(pace: str) -> None:
    """The header is read as strictly as the member."""
    with pytest.raises(RequestError, match="x-sandbox-pace-ms"):
        request.read(body(), pace)


def test_the_member_wins_over_the_header() -> None:
    """Header 7 and member 3 give 3; the header alone gives 7; neither gives the default."""
    assert request.read(body(sandbox={"pace_ms": 3}), "7").manner.pace_ms == 3
    assert request.read(body(), "7").manner.pace_ms == 7
    assert request.read(body()).manner.pace_ms == 20


def test_null_and_missing_mean_the_same() -> None:
    """A client that sends every member as null gets the same answer as one that sends none."""
    names = [
        "temperature",
        "n",
        "stop",
        "tools",
        "tool_choice",
        "response_format",
        "sandbox",
        "stream",
        "logprobs",
    ]
    assert ask(**dict.fromkeys(names)) == ask()


def test_delivery_does_not_change_the_digest() -> None:
    """Streaming, usage and pace leave the id alone; anything that decides the answer changes it."""
    plain = ask().digest
    assert plain == ask(stream=True, stream_options={"include_usage": True}, sandbox={"pace_ms": 1}).digest
    others = [ask("Why?"), ask(seed=1), ask(model="sandbox-large"), ask(sandbox={"pieces": 9}), ask(n=2)]
    assert len({plain, *(other.digest for other in others)}) == 6


def test_unknown_members_are_let_through() -> None:
    """Vendors add members all the time: one the sandbox does not know is no error."""
    assert ask(repetition_penalty=1.1).model == "sandbox-small"


def test_tool_choices_are_reduced_to_what_may_be_called() -> None:
    """auto, none, required, a named function and allowed tools."""
    tools = [tool("add"), tool("sub")]
    named = {"type": "function", "function": {"name": "sub"}}
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [named]}}
    found = [
        ask(tools=tools),
        ask(tools=tools, tool_choice="none"),
        ask(tools=tools, tool_choice="required"),
        ask(tools=tools, tool_choice=named),
        ask(tools=tools, tool_choice=allowed),
    ]
    assert [(asked.calling, len(asked.tools)) for asked in found] == [
        (Calling.AUTO, 2),
        (Calling.NONE, 2),
        (Calling.REQUIRED, 2),
        (Calling.REQUIRED, 1),
        (Calling.REQUIRED, 1),
    ]
