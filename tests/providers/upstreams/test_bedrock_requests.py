"""Requests to Converse: every recorded one from its OpenAI counterpart, and what each member becomes."""

import base64
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final
from urllib.parse import unquote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.types import Canonical, RequestError
from providers.upstreams.anthropic_requests import ANSWER_TOOL
from providers.upstreams.bedrock import BedrockConverse
from providers.upstreams.bedrock_answers import REASONING_FORMAT
from providers.upstreams.bedrock_messages import call_id
from providers.upstreams.bedrock_models import traits
from tests.support.foreign import answer_of, answered, asking, decoded, exchanges, sent_back
from tests.support.recordings import DIRECTORY, Recording, parameters

DIALECT: Final = BedrockConverse()
ALL: Final = exchanges("bedrock", "converse", "converse-stream")
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
PNG: Final = "iVBORw0KGgo="
PDF: Final = "JVBERi0xLjQ="
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


def sent(request: Canonical, model: str = SONNET_4_5) -> dict[str, Any]:
    made: dict[str, Any] = orjson.loads(DIALECT.encode(request, model).body)
    return made


def encoded(
    model: str = SONNET_4_5, messages: Sequence[Mapping[str, Any]] = HI, **members: Any
) -> dict[str, Any]:
    return sent(asking(messages, **members), model)


def content_of(*parts: Any, role: str = "user", model: str = SONNET_4_5) -> Any:
    (turn,) = encoded(model, [{"role": role, "content": list(parts)}])["messages"]
    return turn["content"]


# Recorded requests: told in OpenAI's words, they come out as they were sent


def openai_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded request as a client of OpenAI's dialect would write it."""
    messages: list[dict[str, Any]] = []
    if any("text" in block for block in body.get("system") or ()):
        messages.append({"role": "system", "content": parts_of(body["system"])})
    for message in body["messages"]:
        results = [block["toolResult"] for block in message["content"] if "toolResult" in block]
        others = [block for block in message["content"] if "toolResult" not in block]
        messages += [
            {"role": "tool", "tool_call_id": result["toolUseId"], "content": parts_of(result["content"])}
            for result in results
        ]
        if others:
            messages.append({"role": message["role"], **spoken(others)})
    limits = body.get("inferenceConfig") or {}
    names = {
        "maxTokens": "max_tokens",
        "temperature": "temperature",
        "topP": "top_p",
        "stopSequences": "stop",
    }
    made: dict[str, Any] = {"messages": messages, **{names[name]: value for name, value in limits.items()}}
    if "toolConfig" in body:
        made["tools"] = [tool_of(tool["toolSpec"]) for tool in body["toolConfig"]["tools"]]
    if "outputConfig" in body:
        schema = dict(body["outputConfig"]["textFormat"]["structure"]["jsonSchema"])
        schema["schema"] = orjson.loads(schema["schema"])
        made["response_format"] = {"type": "json_schema", "json_schema": schema}
    fields = dict(body.get("additionalModelRequestFields") or {})
    if "thinking" in fields:
        made["thinking"] = fields.pop("thinking")
    if fields:
        made["additionalModelRequestFields"] = fields
    if "guardrailConfig" in body:
        made["guardrailConfig"] = body["guardrailConfig"]
    return made


def tool_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": spec["name"],
            "description": spec["description"],
            "parameters": spec["inputSchema"]["json"],
        },
    }


def parts_of(blocks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for block in blocks:
        if "cachePoint" in block:
            parts[-1]["cache_control"] = {"type": "ephemeral"}
        elif "text" in block:
            parts.append({"type": "text", "text": block["text"]})
        elif "json" in block:
            parts.append({"type": "text", "text": orjson.dumps(block["json"]).decode()})
        elif "image" in block:
            image = block["image"]
            url = f"data:image/{image['format']};base64,{image['source']['bytes']}"
            parts.append({"type": "image_url", "image_url": {"url": url}})
    return parts


def spoken(blocks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Content, calls and reasoning of a message."""
    made: dict[str, Any] = {"content": parts_of(blocks) or None}
    calls = [block["toolUse"] for block in blocks if "toolUse" in block]
    if calls:
        made["tool_calls"] = [
            {
                "id": call["toolUseId"],
                "type": "function",
                "function": {"name": call["name"], "arguments": orjson.dumps(call["input"]).decode()},
            }
            for call in calls
        ]
    thoughts = [
        {"index": index, "format": REASONING_FORMAT, **detail(block["reasoningContent"])}
        for index, block in enumerate(blocks)
        if "reasoningContent" in block
    ]
    return {**made, "reasoning_details": thoughts} if thoughts else made


def detail(thought: Mapping[str, Any]) -> dict[str, Any]:
    if "redactedContent" in thought:
        return {"type": "reasoning.encrypted", "data": thought["redactedContent"]}
    return {"type": "reasoning.text", **thought["reasoningText"]}


def comparable(body: Mapping[str, Any]) -> Any:
    """A request without what says nothing: empty members, and whether a result is JSON or the text of it."""
    made = {name: value for name, value in body.items() if value not in ({}, [])}
    for message in made["messages"]:
        for block in message["content"]:
            result = block.get("toolResult", {"content": []})
            for index, part in enumerate(result["content"]):
                if "json" in part:
                    result["content"][index] = {"text": orjson.dumps(part["json"]).decode()}
    schema = made.get("outputConfig", {}).get("textFormat", {}).get("structure", {}).get("jsonSchema")
    if schema is not None:
        schema["schema"] = orjson.loads(schema["schema"])
    for tool in made.get("toolConfig", {}).get("tools", ()):
        tool["toolSpec"]["inputSchema"]["json"].pop("strict", None)
    return made


# What has no words in OpenAI's dialect: blocks of guardrails, and documents with citations.
UNTELLABLE: Final = ("guardContent", "citations")


@pytest.mark.parametrize("recording", parameters(answered(ALL)))
def test_recorded_requests(recording: Recording) -> None:
    """A recorded request, told in OpenAI's words, comes out as it was sent: messages, tools, thoughts, cache points."""
    exchange = orjson.loads((DIRECTORY / "bedrock" / f"{recording.id}.json").read_bytes())
    model, body = unquote(exchange["request"]["path"].split("/")[2]), exchange["request"]["body"]
    if any(word in str(body["messages"]) for word in UNTELLABLE):
        pytest.skip("says what OpenAI's dialect has no words for")
    told = openai_of(body)
    request = asking(stream=recording.stream, **told)
    assert () == DIALECT.lacks(request, model) == DIALECT.lacks(request)
    made = DIALECT.encode(request, model)
    operation = "converse-stream" if recording.stream else "converse"
    assert f"/model/{model.replace(':', '%3A')}/{operation}" == made.path
    ours = orjson.loads(made.body)
    for name in ("temperature", "topP"):  # left out where they are Claude's default
        if traits(model).claude is not None and body.get("inferenceConfig", {}).get(name) == 1:
            ours.setdefault("inferenceConfig", {}).setdefault(name, 1)
    fields = body.get("additionalModelRequestFields", {})
    budget = fields.get("thinking", {}).get("budget_tokens")
    if budget is not None and "maxTokens" not in body.get("inferenceConfig", {}):
        # With a budget the limit must be above it; a client that sets none gets room for the answer.
        assert ours["inferenceConfig"].pop("maxTokens") == budget + DIALECT.default_output_tokens
    assert comparable(body) == comparable(ours)


# The next turn


@pytest.mark.parametrize("recording", parameters(tuple(each for each in answered(ALL) if each.stream)))
def test_answers_go_back_as_they_came(recording: Recording) -> None:
    """An answer that a client sends back is the message it was: thoughts with signatures, calls, texts."""
    answer = answer_of(decoded(DIALECT.decoder(), [recording.body]))
    made = encoded(SONNET_4_5, [*HI, sent_back(answer), *HI], tools=[WEATHER])
    content = made["messages"][1]["content"]
    thoughts = [block["reasoningContent"] for block in content if "reasoningContent" in block]
    assert thoughts == [
        {"redactedContent": entry["data"]}
        if entry["type"] == "reasoning.encrypted"
        else {"reasoningText": {"text": entry["text"], "signature": entry["signature"]}}
        for entry in answer.message.get("reasoning_details") or ()
    ]
    calls = [block["toolUse"] for block in content if "toolUse" in block]
    assert answer.calls == [(call["toolUseId"], call["name"], call["input"]) for call in calls]
    assert answer.text == "".join(block["text"] for block in content if "text" in block)
    kinds = [next(iter(block)) for block in content]
    assert sorted(kinds, key=["reasoningContent", "text", "toolUse"].index) == kinds


def test_a_whole_second_turn() -> None:
    """Thoughts lead, calls follow, and all results come in one turn of the user's, first in it."""
    thought = {
        "type": "reasoning.text",
        "text": "Hm",
        "signature": "c2ln",
        "format": REASONING_FORMAT,
        "index": 0,
    }
    calls = [
        {"id": name, "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        for name in ("a", "b")
    ]
    made = encoded(
        SONNET_5,
        [
            *HI,
            {"role": "assistant", "content": "Wait.", "tool_calls": calls, "reasoning_details": [thought]},
            {"role": "tool", "tool_call_id": "b", "content": "rain"},
            {
                "role": "tool",
                "tool_call_id": "a",
                "content": [{"type": "text", "text": "sun"}],
                "is_error": True,
            },
            {"role": "user", "content": "And?"},
        ],
        tools=[WEATHER],
    )
    assert [
        {"role": "user", "content": [{"text": "Hi"}]},
        {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "c2ln"}}},
                {"text": "Wait."},
                {"toolUse": {"toolUseId": "a", "name": "weather", "input": {}}},
                {"toolUse": {"toolUseId": "b", "name": "weather", "input": {}}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "b", "content": [{"text": "rain"}]}},
                {"toolResult": {"toolUseId": "a", "content": [{"text": "sun"}], "status": "error"}},
                {"text": "And?"},
            ],
        },
    ] == made["messages"]


SIGNED: Final = {"type": "reasoning.text", "text": "Hm", "signature": "c2ln", "index": 0}
HIDDEN: Final = {"type": "reasoning.encrypted", "data": "UkVE", "index": 0}
TEXT_BLOCK: Final = {"reasoningText": {"text": "Hm", "signature": "c2ln"}}


@pytest.mark.parametrize(
    ("model", "entry", "expected"),
    [
        (SONNET_5, {**SIGNED, "format": REASONING_FORMAT}, TEXT_BLOCK),
        (SONNET_5, {**SIGNED, "format": "anthropic-claude-v1"}, TEXT_BLOCK),
        (SONNET_5, SIGNED, TEXT_BLOCK),
        (SONNET_5, {**HIDDEN, "format": REASONING_FORMAT}, {"redactedContent": "UkVE"}),
        # Anthropic's text is binary data here.
        (SONNET_5, {**HIDDEN, "format": "anthropic-claude-v1"},
         {"redactedContent": base64.b64encode(b"UkVE").decode()}),
        (SONNET_5, {**SIGNED, "format": "google-gemini-v1"}, None),
        (SONNET_5, {**HIDDEN, "format": "openai-responses-v1"}, None),
        (SONNET_5, {**SIGNED, "format": REASONING_FORMAT, "signature": None}, None),
        (SONNET_5, {**SIGNED, "type": "reasoning.summary"}, None),
        (GPT, {**HIDDEN, "format": REASONING_FORMAT}, {"redactedContent": "UkVE"}),
        (GPT, {**SIGNED, "format": "anthropic-claude-v1"}, None),
        (PROFILE, {**SIGNED, "format": REASONING_FORMAT}, TEXT_BLOCK),
        (LLAMA, {**SIGNED, "format": REASONING_FORMAT}, None),
        (QWEN, {**SIGNED, "format": REASONING_FORMAT}, None),
    ],
)  # fmt: skip
def test_whose_reasoning_goes_back(model: str, entry: Mapping[str, Any], expected: Any) -> None:
    """Only what a model of this provider, or Claude elsewhere, has signed; others would refuse it."""
    message = {"role": "assistant", "content": "x", "reasoning_details": [entry]}
    content = encoded(model, [*HI, message, *HI])["messages"][1]["content"]
    assert [*([] if expected is None else [{"reasoningContent": expected}]), {"text": "x"}] == content


def test_reasoning_stands_where_it_stood() -> None:
    """A thought between two texts goes back between them."""
    thoughts = [{**SIGNED, "index": 0}, {**HIDDEN, "index": 2}]
    message = {"role": "assistant", "content": "x", "reasoning_details": thoughts, **CALLED[1]}
    kinds = [
        next(iter(block))
        for block in encoded(messages=[*HI, {**message, "content": "x"}, CALLED[2]], tools=[WEATHER])[
            "messages"
        ][1]["content"]
    ]
    assert ["reasoningContent", "text", "reasoningContent", "toolUse"] == kinds


# Messages


def test_turns_are_joined() -> None:
    """Neighbours of one side are one turn, wherever system messages stand; blank texts are left out."""
    made = encoded(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "a"},
            {
                "role": "developer",
                "content": [{"type": "text", "text": "Be kind."}, {"type": "text", "text": " "}],
            },
            {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "\n"}]},
            {"role": "assistant", "content": " "},
            {"role": "user", "content": "c"},
        ]
    )
    assert [{"text": "Be brief."}, {"text": "Be kind."}] == made["system"]
    assert [{"role": "user", "content": [{"text": "a"}, {"text": "b"}, {"text": "c"}]}] == made["messages"]


def test_nothing_but_blanks() -> None:
    """A conversation without a word is the client's mistake."""
    with pytest.raises(RequestError):
        encoded(messages=[{"role": "user", "content": "  "}])


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "image_url", "image_url": {"url": f"data:image/jpg;base64,{PNG}"}},
         {"image": {"format": "jpeg", "source": {"bytes": PNG}}}),
        ({"type": "image_url", "image_url": "s3://bucket/cat.webp"},
         {"image": {"format": "webp", "source": {"s3Location": {"uri": "s3://bucket/cat.webp"}}}}),
        ({"type": "file", "file": {"filename": "Q3_report (final).v2.pdf",
                                   "file_data": f"data:application/pdf;base64,{PDF}"}},
         {"document": {"format": "pdf", "name": "Q3 report (final) v2", "source": {"bytes": PDF}}}),
        ({"type": "file", "file": {"file_data": "data:text/plain;base64,SGk="}},
         {"document": {"format": "txt", "name": "document", "source": {"bytes": "SGk="}}}),
        ({"type": "file", "file": {"filename": "a.docx", "file_data": "data:application/octet-stream;base64,SGk="}},
         {"document": {"format": "docx", "name": "a", "source": {"bytes": "SGk="}}}),
        ({"type": "file", "file": {"filename": "a.png", "file_data": f"data:image/png;base64,{PNG}"}},
         {"image": {"format": "png", "source": {"bytes": PNG}}}),
        ({"type": "input_audio", "input_audio": {"format": "wav", "data": "UklG"}},
         {"audio": {"format": "wav", "source": {"bytes": "UklG"}}}),
    ],
)  # fmt: skip
def test_media(part: Any, expected: Any) -> None:
    """Images, documents and audio travel as bytes or by their place in S3."""
    request = asking([{"role": "user", "content": [{"type": "text", "text": "Look:"}, part]}])
    assert () == DIALECT.lacks(request)
    assert [{"text": "Look:"}, expected] == sent(request)["messages"][0]["content"]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "https://example.test/cat.png"}},
        {"type": "image_url", "image_url": {"url": f"data:image/tiff;base64,{PNG}"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"filename": "a.zip", "file_data": "data:application/zip;base64,SGk="}},
        {"type": "input_audio", "input_audio": {"format": "midi", "data": "UklG"}},
        {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}},
    ],
)
def test_media_that_cannot_be_sent(part: Any) -> None:
    """What would have to be fetched, or has no block, is named by its path."""
    request = asking([{"role": "user", "content": [{"type": "text", "text": "Look:"}, part]}])
    assert ("messages[0].content[1]",) == DIALECT.lacks(request)


def test_documents_have_names_of_their_own() -> None:
    """Two documents of one name are told apart."""
    file = {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}}
    assert ["a", "a 2"] == [block["document"]["name"] for block in content_of(file, file)]


def test_images_in_results() -> None:
    """A tool's result may hold images."""
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    made = encoded(messages=[*CALLED[:2], {**CALLED[2], "content": [part]}], tools=[WEATHER])
    image = {"image": {"format": "png", "source": {"bytes": PNG}}}
    assert [{"toolResult": {"toolUseId": "t1", "content": [image]}}] == made["messages"][2]["content"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("tooluse_1-a.b:c", "tooluse_1-a.b:c"),
        ("x" * 64, "x" * 64),
        ("call|1", "call_1."),
        ("x" * 65, "x" * 47 + "."),
        ("", "."),
    ],
)
def test_ids_of_calls(given: str, expected: str) -> None:
    """Ids of other providers get the letters and the length Converse takes; different ones stay different."""
    made = call_id(given)
    assert made.startswith(expected)
    assert len(made) <= 64
    assert made != call_id(given + "y")
    assert made == call_id(made)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('{"a": 1.50}', b'{"a": 1.50}'),
        ("", b"{}"),
        ('{"a": ', b'{"invalid_json":"{\\"a\\": "}'),
        ("[1]", b'{"value":[1]}'),
    ],
)
def test_arguments_of_calls(written: str, expected: bytes) -> None:
    """Arguments go back as they were written; what is no object is wrapped in one."""
    call = {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": written}}
    body = DIALECT.encode(
        asking([*HI, {"role": "assistant", "tool_calls": [call]}, CALLED[2]], tools=[WEATHER]), SONNET_5
    ).body
    assert b'"input":' + expected + b"}" in body


# Caching


CACHED: Final = {"type": "ephemeral"}
HOUR: Final = {"type": "ephemeral", "ttl": "1h"}
POINT: Final = {"cachePoint": {"type": "default"}}
HOUR_POINT: Final = {"cachePoint": {"type": "default", "ttl": "1h"}}


def cached_request(cache: Any) -> Canonical:
    return asking(
        [
            {"role": "system", "content": [{"type": "text", "text": "s", "cache_control": cache}]},
            *CALLED[:2],
            {**CALLED[2], "content": [{"type": "text", "text": "sunny", "cache_control": cache}]},
        ],
        tools=[{**WEATHER, "cache_control": cache}],
    )


@pytest.mark.parametrize(
    ("model", "cache", "system", "tools", "messages"),
    [
        (SONNET_5, CACHED, [POINT], [POINT], [POINT]),
        (SONNET_5, HOUR, [HOUR_POINT], [HOUR_POINT], [HOUR_POINT]),
        (SONNET_3_5, HOUR, [POINT], [POINT], [POINT]),
        (NOVA, HOUR, [POINT], [], [POINT]),
        (PROFILE, HOUR, [HOUR_POINT], [HOUR_POINT], [HOUR_POINT]),
        (HAIKU_3, CACHED, [], [], []),
        (LLAMA, CACHED, [], [], []),
    ],
)
def test_cache_points(model: str, cache: Any, system: Any, tools: Any, messages: Any) -> None:
    """`cache_control` is a cache point behind what it stands on, where the model takes one; elsewhere nothing."""
    made = sent(cached_request(cache), model)
    assert [{"text": "s"}, *system] == made["system"]
    assert tools == made["toolConfig"]["tools"][1:]
    assert messages == made["messages"][-1]["content"][1:]


def test_a_cache_for_all_of_it() -> None:
    """`cache_control` of the request is a cache point at its end, once."""
    assert [{"text": "Hi"}, POINT] == encoded(cache_control=CACHED)["messages"][0]["content"]
    part = {"type": "text", "text": "Hi", "cache_control": CACHED}
    made = encoded(messages=[{"role": "user", "content": [part]}], cache_control=CACHED)
    assert [{"text": "Hi"}, POINT] == made["messages"][0]["content"]


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
        ({"tool_choice": 5}, ("tool_choice",)),
    ],
)
def test_lacks(members: Mapping[str, Any], expected: tuple[str, ...]) -> None:
    """What the provider does not have is named, also what nobody can read; a value that asks for nothing is not."""
    assert expected == DIALECT.lacks(asking(HI, **members))


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
    """Members without which the answer is the same, and those nobody knows, are named, where they say something."""
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
    expected = {"seed", "user", "metadata", "store", "prompt_cache_key", "service_tier", "mine"}
    assert expected == set(DIALECT.drops(request))
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


texts = st.text(max_size=4)
parts = st.sampled_from(
    [
        {"type": "text", "text": "x"},
        {"type": "text", "text": " ", "cache_control": CACHED},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {"type": "file", "file": {"filename": "ä.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
        {"type": "new"},
        "x",
    ]
)
turns = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "system"])},
    optional={
        "content": st.none() | texts | st.lists(parts, max_size=3),
        "tool_call_id": texts,
        "tool_calls": st.lists(
            st.fixed_dictionaries(
                {"id": texts, "function": st.fixed_dictionaries({"name": texts, "arguments": texts})}
            ),
            max_size=2,
        ),
        "reasoning_details": st.lists(
            st.sampled_from([SIGNED, HIDDEN, {}, {"type": "reasoning.text"}]), max_size=3
        ),
    },
)


@given(st.lists(turns, min_size=1, max_size=6), st.sampled_from([SONNET_5, NOVA, LLAMA, PROFILE]))
def test_any_conversation(messages: list[dict[str, Any]], model: str) -> None:
    """Turns alternate and none is empty, whatever was said; a conversation of nothing is refused."""
    request = asking(messages)
    DIALECT.lacks(request, model)
    try:
        made = sent(request, model)
    except RequestError:
        return
    roles = [turn["role"] for turn in made["messages"]]
    assert all(turn["content"] for turn in made["messages"])
    assert all(one != other for one, other in pairwise(roles))
