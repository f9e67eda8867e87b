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
from providers.upstreams.bedrock.answers import REASONING_FORMAT
from providers.upstreams.bedrock.dialect import BedrockConverse
from providers.upstreams.bedrock.messages import call_id
from providers.upstreams.bedrock.models import traits
from tests.support.foreign import answer_of, answered, asking, decoded, exchanges, sent_back
from tests.support.recordings import DIRECTORY, Recording, parameters

DIALECT: Final = BedrockConverse()
ALL: Final = exchanges("bedrock", "converse", "converse-stream")
SONNET_5: Final = "us.anthropic.claude-sonnet-5"
SONNET_4_5: Final = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
SONNET_3_5: Final = "anthropic.claude-3-5-sonnet-20241022-v2:0"
HAIKU_3: Final = "anthropic.claude-3-haiku-20240307-v1:0"
NOVA: Final = "amazon.nova-lite-v1:0"
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
        DIALECT.lacks(asking([{"role": "user", "content": "  "}]))


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
    try:
        DIALECT.lacks(request, model)
        made = sent(request, model)
    except RequestError:
        return
    roles = [turn["role"] for turn in made["messages"]]
    assert all(turn["content"] for turn in made["messages"])
    assert all(one != other for one, other in pairwise(roles))
