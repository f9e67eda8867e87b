"""Parameters of a request to Converse: what each becomes for which model, and which cannot be had."""

from collections.abc import Mapping
from typing import Any, Final

import orjson
import pytest

from providers.types import RequestError
from providers.upstreams.anthropic.requests import ANSWER_TOOL
from providers.upstreams.bedrock.dialect import BedrockConverse
from tests.support.foreign import asking

DIALECT: Final = BedrockConverse()

SONNET_5: Final = "us.anthropic.claude-sonnet-5"
SONNET_4_5: Final = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS_4_6: Final = "anthropic.claude-opus-4-6-v1"
SONNET_3_5: Final = "anthropic.claude-3-5-sonnet-20241022-v2:0"
HAIKU_3: Final = "anthropic.claude-3-haiku-20240307-v1:0"
NOVA: Final = "amazon.nova-lite-v1:0"
NOVA_2: Final = "us.amazon.nova-2-lite-v1:0"
GPT_OSS: Final = "openai.gpt-oss-120b-1:0"
GPT: Final = "global.openai.gpt-5.6-luna"
LLAMA: Final = "us.meta.llama4-scout-17b-instruct-v1:0"
QWEN: Final = "qwen.qwen3-235b-a22b-2507-v1:0"
PROFILE: Final = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"

HI: Final[list[dict[str, Any]]] = [{"role": "user", "content": "Hi"}]
WEATHER: Final = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Of a city.",
        "parameters": {"type": "object", "properties": {}},
    },
}
CALLED: Final[list[dict[str, Any]]] = [
    *HI,
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"a": 1}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "t1", "content": "sunny"},
]


def encoded(model: str = SONNET_4_5, **members: Any) -> dict[str, Any]:
    made: dict[str, Any] = orjson.loads(DIALECT.encode(asking(HI, **members), model).body)
    return made


# Parameters


def test_sampling() -> None:
    """Limits and sampling have Bedrock's names; stop sequences are a list."""
    made = encoded(SONNET_3_5, max_completion_tokens=9, temperature=0.5, top_p=0.9, stop="END", top_k=5)
    assert {"maxTokens": 9, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]} == made[
        "inferenceConfig"
    ]
    assert {"top_k": 5} == made["additionalModelRequestFields"]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (SONNET_5, {"top_k": 5}),
        (NOVA, {"inferenceConfig": {"topK": 5}}),
        ("cohere.command-r-v1:0", {"k": 5}),
        ("mistral.mistral-large-2407-v1:0", {"top_k": 5}),
        (LLAMA, {"top_k": 5}),
    ],
)
def test_top_k(model: str, expected: Any) -> None:
    """`top_k` travels where the model looks for it; one that has none says so itself."""
    assert expected == encoded(model, top_k=5)["additionalModelRequestFields"]


def test_defaults_of_claude_are_left_out() -> None:
    """Its newer models refuse to hear of them; for other models 1 is a value like others."""
    assert "inferenceConfig" not in encoded(SONNET_5, temperature=1, top_p=1)
    assert {"temperature": 1, "topP": 1} == encoded(NOVA, temperature=1, top_p=1)["inferenceConfig"]


def test_members_of_bedrock() -> None:
    """Its own members travel on, and the client's fields for the model win over ours."""
    guardrail = {"guardrailIdentifier": "g", "guardrailVersion": "1"}
    made = encoded(
        SONNET_5,
        guardrailConfig=guardrail,
        performanceConfig={"latency": "optimized"},
        requestMetadata={"team": "a"},
        anthropic_beta=["x"],
        top_k=5,
        service_tier="flex",
        additionalModelRequestFields={"top_k": 6},
    )
    assert guardrail == made["guardrailConfig"]
    assert {"latency": "optimized"} == made["performanceConfig"]
    assert {"team": "a"} == made["requestMetadata"]
    assert {"type": "flex"} == made["serviceTier"]
    assert {"anthropic_beta": ["x"], "top_k": 6} == made["additionalModelRequestFields"]


def test_members_of_the_gateway_stay() -> None:
    """What is addressed to the gateway never travels, and none of it is missed."""
    request = asking(
        HI,
        headgate={"tags": ["a"]},
        models=["b"],
        provider={"order": []},
        session_id="s",
        usage={"include": True},
        stream=True,
        stream_options={"include_usage": True},
    )
    made = DIALECT.encode(request, SONNET_5)
    assert {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]} == orjson.loads(made.body)
    assert "/model/us.anthropic.claude-sonnet-5/converse-stream" == made.path
    assert ((), ()) == (DIALECT.lacks(request), DIALECT.drops(request))


def test_paths_are_escaped() -> None:
    """Colons and slashes of a model's name are escaped, so that it is one segment of the path."""
    request = asking(HI)
    expected = "/model/anthropic.claude-3-5-sonnet-20241022-v2%3A0/converse"
    assert expected == DIALECT.encode(request, SONNET_3_5).path
    arn = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc123"
    assert f"/model/{arn}/converse" == DIALECT.encode(request, PROFILE).path


# Reasoning


@pytest.mark.parametrize(
    ("model", "members", "fields", "effort", "limit"),
    [
        (SONNET_5, {"reasoning_effort": "high"}, {"thinking": {"type": "adaptive", "display": "summarized"}},
         "high", None),
        (OPUS_4_6, {"reasoning": {"effort": "xhigh", "exclude": True}, "max_tokens": 9000},
         {"thinking": {"type": "adaptive", "display": "omitted"}}, "high", 9000),
        (SONNET_5, {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}, None, None),
        (SONNET_4_5, {"reasoning_effort": "none"}, None, None, None),
        (SONNET_4_5, {"reasoning": {"max_tokens": 2000}}, {"thinking": {"type": "enabled", "budget_tokens": 2000}},
         None, 6096),
        (SONNET_4_5, {"reasoning_effort": "medium", "max_tokens": 8000},
         {"thinking": {"type": "enabled", "budget_tokens": 4000}}, None, 8000),
        (SONNET_4_5, {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000},
         {"thinking": {"type": "enabled", "budget_tokens": 1024}}, None, 2000),
        (NOVA_2, {"reasoning_effort": "low", "max_tokens": 99},
         {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}, None, 99),
        (NOVA_2, {"reasoning_effort": "xhigh"},
         {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}, None, None),
        # With the highest effort no limit is taken, and the limit is what the client can rely on.
        (NOVA_2, {"reasoning_effort": "high", "max_tokens": 99},
         {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}}, None, 99),
        (NOVA_2, {"reasoning": {"enabled": False}}, {"reasoningConfig": {"type": "disabled"}}, None, None),
        (GPT_OSS, {"reasoning_effort": "minimal"}, {"reasoning_effort": "low"}, None, None),
        (GPT_OSS, {"reasoning": {"enabled": True}}, {"reasoning_effort": "medium"}, None, None),
        (GPT, {"reasoning_effort": "xhigh"}, {"reasoning": {"effort": "xhigh"}}, None, None),
        (GPT, {"reasoning_effort": "none"}, {"reasoning": {"effort": "none"}}, None, None),
        (GPT, {"reasoning": {"max_tokens": 5000}}, {"reasoning": {"effort": "medium"}}, None, None),
        (LLAMA, {"reasoning_effort": "none"}, None, None, None),
        (LLAMA, {"reasoning_effort": "low"}, {"reasoning_effort": "low"}, None, None),
        (PROFILE, {"thinking": {"type": "enabled", "budget_tokens": 1024}},
         {"thinking": {"type": "enabled", "budget_tokens": 1024}}, None, None),
    ],
)  # fmt: skip
def test_reasoning(
    model: str, members: Mapping[str, Any], fields: Any, effort: str | None, limit: int | None
) -> None:
    """What a client says of reasoning, in the words of each family of models; the limit leaves room for it."""
    made = encoded(model, **members)
    assert fields == made.get("additionalModelRequestFields")
    assert effort == made.get("outputConfig", {}).get("effort")
    assert limit == made.get("inferenceConfig", {}).get("maxTokens")


# Tools and shapes


def test_tools() -> None:
    """Tools with description, schema and strictness; what a schema must say is added."""
    bare = {"type": "function", "function": {"name": "bare"}}
    schema = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "required": ["a"]}
    strict = {"type": "function", "function": {"name": "strict", "strict": True, "parameters": schema}}
    specs = [
        tool["toolSpec"] for tool in encoded(SONNET_5, tools=[WEATHER, bare, strict])["toolConfig"]["tools"]
    ]
    empty = {"json": {"type": "object", "properties": {}}}
    assert {"name": "weather", "description": "Of a city.", "inputSchema": empty} == specs[0]
    assert {"name": "bare", "inputSchema": empty} == specs[1]
    assert specs[2]["strict"]
    assert specs[2]["inputSchema"]["json"]["additionalProperties"] is False
    (spec,) = encoded(NOVA, tools=[strict])["toolConfig"]["tools"]
    assert {"name": "strict", "inputSchema": {"json": schema}} == spec["toolSpec"]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ("auto", None),
        ("required", {"any": {}}),
        ({"type": "function", "function": {"name": "weather"}}, {"tool": {"name": "weather"}}),
    ],
)
def test_tool_choice(choice: Any, expected: Any) -> None:
    """The default is not said: some models know no choice at all."""
    assert expected == encoded(tools=[WEATHER], tool_choice=choice)["toolConfig"].get("toolChoice")


def test_no_tool_may_be_called() -> None:
    """Converse has no such choice: tools stay behind; where the conversation needs them, it is said."""
    assert "toolConfig" not in encoded(tools=[WEATHER], tool_choice="none")
    assert () == DIALECT.lacks(asking(HI, tools=[WEATHER], tool_choice="none"))
    assert ("tool_choice",) == DIALECT.lacks(asking(CALLED, tools=[WEATHER], tool_choice="none"))
    assert ("messages[1]",) == DIALECT.lacks(asking(CALLED))


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, {"type": "auto"}),
        ("required", {"type": "any"}),
        ({"type": "function", "function": {"name": "weather"}}, {"type": "tool", "name": "weather"}),
    ],
)
def test_one_call_at_a_time(choice: Any, expected: Any) -> None:
    """Claude is told in its own words, and only in those; other models cannot be told."""
    members = {"tools": [WEATHER], "tool_choice": choice, "parallel_tool_calls": False}
    made = encoded(SONNET_5, **members)
    assert {**expected, "disable_parallel_tool_use": True} == made["additionalModelRequestFields"][
        "tool_choice"
    ]
    assert "toolChoice" not in made["toolConfig"]
    request = asking(HI, **members)
    assert ((), ()) == (DIALECT.lacks(request), DIALECT.lacks(request, SONNET_5))
    assert ("parallel_tool_calls",) == DIALECT.lacks(request, NOVA)


SCHEMA: Final = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
OPEN: Final = {"type": "object", "additionalProperties": {"type": "string"}}


def shaped(schema: Any) -> dict[str, Any]:
    return {
        "type": "json_schema",
        "json_schema": {"name": "person", "description": "Somebody.", "schema": schema},
    }


def test_structured_output() -> None:
    """A schema is Bedrock's own, written as text; beside thinking it stands with the effort."""
    made = encoded(SONNET_5, response_format=shaped(SCHEMA), reasoning_effort="low")
    assert "low" == made["outputConfig"]["effort"]
    form = made["outputConfig"]["textFormat"]
    assert "json_schema" == form["type"]
    schema = form["structure"]["jsonSchema"]
    assert ("person", "Somebody.", SCHEMA) == (
        schema["name"],
        schema["description"],
        orjson.loads(schema["schema"]),
    )
    assert OPEN == orjson.loads(
        encoded(QWEN, response_format=shaped(OPEN))["outputConfig"]["textFormat"]["structure"]["jsonSchema"][
            "schema"
        ]
    )


@pytest.mark.parametrize(
    ("model", "wanted", "schema"),
    [
        (NOVA, shaped(SCHEMA), SCHEMA),
        (SONNET_3_5, shaped(SCHEMA), SCHEMA),
        (SONNET_5, shaped(OPEN), OPEN),
        (SONNET_5, {"type": "json_object"}, {"type": "object"}),
        (NOVA, {"type": "json_object"}, {"type": "object"}),
    ],
)
def test_structured_output_by_a_tool(model: str, wanted: Any, schema: Any) -> None:
    """Where a model has no schemas, or none of this kind, its answer is a call that it must make."""
    made = encoded(model, response_format=wanted)
    (tool,) = made["toolConfig"]["tools"]
    assert (ANSWER_TOOL, schema) == (tool["toolSpec"]["name"], tool["toolSpec"]["inputSchema"]["json"])
    assert {"tool": {"name": ANSWER_TOOL}} == made["toolConfig"]["toolChoice"]
    both = encoded(model, response_format=wanted, tools=[WEATHER])["toolConfig"]
    assert ({"any": {}}, 2) == (both["toolChoice"], len(both["tools"]))


# What cannot be had


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"n": 2}, ("n",)),
        ({"n": 1, "logprobs": False, "frequency_penalty": 0, "presence_penalty": None, "logit_bias": {}}, ()),
        ({"logprobs": True, "top_logprobs": 2}, ("logprobs", "top_logprobs")),
        ({"frequency_penalty": 0.5, "presence_penalty": 1}, ("frequency_penalty", "presence_penalty")),
        ({"logit_bias": {"1": 5}}, ("logit_bias",)),
        ({"modalities": ["text", "audio"], "audio": {"voice": "x"}}, ("modalities", "audio")),
        ({"temperature": 1.5}, ("temperature",)),
        ({"tools": [{"type": "web_search"}]}, ("tools[0]",)),
        ({"web_search_options": {"a": 1}}, ("web_search_options",)),
        ({"verbosity": "medium"}, ()),
        ({"verbosity": "low"}, ("verbosity",)),
    ],
)
def test_lacks(members: Mapping[str, Any], expected: tuple[str, ...]) -> None:
    """What the provider does not have is named; a value that asks for nothing is not."""
    assert expected == DIALECT.lacks(asking(HI, **members))


def test_what_has_no_meaning() -> None:
    """It is the client's mistake, whether it is read for the plan or for the request."""
    request = asking(HI, tool_choice=5)
    for read in (DIALECT.lacks, lambda made: DIALECT.encode(made, SONNET_5)):
        with pytest.raises(RequestError) as raised:
            read(request)
        assert "tool_choice" == raised.value.param


@pytest.mark.parametrize(
    ("model", "members", "expected"),
    [
        (SONNET_5, {"temperature": 0.5, "top_p": 0.9, "top_k": 5}, ("temperature", "top_p", "top_k")),
        (SONNET_5, {"temperature": 1, "top_p": 1}, ()),
        (SONNET_4_5, {"temperature": 0.5, "top_p": 0.9}, ("top_p",)),
        (SONNET_3_5, {"temperature": 0.5, "top_p": 0.9, "top_k": 5}, ()),
        (SONNET_4_5, {"temperature": 0.5, "reasoning_effort": "low"}, ("temperature",)),
        (SONNET_4_5, {"max_tokens": 1000, "reasoning_effort": "low"}, ("reasoning_effort",)),
        (SONNET_4_5, {"tools": [WEATHER], "tool_choice": "required", "reasoning_effort": "low"}, ("tool_choice",)),
        (HAIKU_3, {"reasoning": {"effort": "low"}}, ("reasoning",)),
        (NOVA, {"reasoning_effort": "low"}, ("reasoning_effort",)),
        (NOVA_2, {"reasoning_effort": "low", "temperature": 0.5}, ()),
        (GPT_OSS, {"reasoning_effort": "none"}, ("reasoning_effort",)),
        (GPT, {"reasoning_effort": "odd"}, ("reasoning_effort",)),
        (LLAMA, {"reasoning_effort": "none"}, ()),
        (LLAMA, {"top_k": 5}, ("top_k",)),
        (LLAMA, {"response_format": shaped(SCHEMA)}, ("response_format",)),
        (QWEN, {"response_format": {"type": "json_object"}}, ("response_format",)),
        (QWEN, {"response_format": shaped(SCHEMA)}, ()),
        (SONNET_5, {"response_format": {"type": "json_object"}}, ()),
        (SONNET_5, {"response_format": {"type": "json_object"}, "reasoning_effort": "low"}, ("response_format",)),
    ],
)  # fmt: skip
def test_lacks_of_a_model(model: str, members: Mapping[str, Any], expected: tuple[str, ...]) -> None:
    """What this model does not have is named once the model is known; before, no backend is passed over for it."""
    request = asking(HI, **members)
    assert expected == DIALECT.lacks(request, model)
    assert () == DIALECT.lacks(request)


def test_drops() -> None:
    """Members without which the answer is the same are named, where they say something; the unknown is lacking."""
    request = asking(
        HI,
        seed=1,
        user="u",
        metadata={"a": "b"},
        store=True,
        prompt_cache_key="k",
        service_tier="scale",
        mine=1,
        top_k=1,
    )
    expected = {"seed", "user", "metadata", "store", "prompt_cache_key", "service_tier"}
    assert expected == set(DIALECT.drops(request))
    assert ("mine",) == DIALECT.lacks(request)
    assert () == DIALECT.drops(asking(HI, seed=None, store=False, service_tier="default", metadata={}))


def test_nesting_beyond_writing() -> None:
    """A schema that cannot be written is the client's mistake."""
    deep: Any = {}
    for _ in range(300):
        deep = {"properties": deep}
    request = asking(HI)
    tool = {"type": "function", "function": {"name": "f", "parameters": deep}}
    with pytest.raises(RequestError):
        DIALECT.encode(request._replace(members={**request.members, "tools": [tool]}), SONNET_5)
