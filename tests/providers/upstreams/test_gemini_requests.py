"""OpenAI's requests as Gemini and Vertex AI take them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.reasoning_details import merged
from providers.types import Canonical, RequestError
from providers.upstreams.gemini.dialect import Gemini, vertex_host
from providers.upstreams.gemini.messages import NO_SIGNATURE
from providers.upstreams.gemini.schemas import lacking, taken
from tests.support.foreign import answer_of, answered, asking, decoded, exchanges, groups, sent_back
from tests.support.recordings import Recording, parameters

GEMINI: Final = Gemini()
VERTEX: Final = Gemini.at_vertex("https://vertex.example", "my-project", "us-central1")
PUBLISHED: Final = "/v1/projects/my-project/locations/us-central1/publishers/google/models"
HELLO: Final = [{"role": "user", "content": "hello"}]
WEATHER: Final[Mapping[str, Any]] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
ENDPOINTS: Final = ("generateContent", "streamGenerateContent")
RECORDED: Final = (*exchanges("gemini", *ENDPOINTS), *exchanges("vertex", *ENDPOINTS))
OWN: Final = Path(__file__).parents[1] / "recordings"


def body_of(request: Canonical, model: str = "gemini-2.5-flash", dialect: Gemini = GEMINI) -> dict[str, Any]:
    made: dict[str, Any] = orjson.loads(dialect.encode(request, model).body)
    return made


def asked(messages: Sequence[Mapping[str, Any]] = HELLO, **members: Any) -> dict[str, Any]:
    return body_of(asking(messages, **members))


def config_of(model: str = "gemini-2.5-flash", **members: Any) -> Any:
    return body_of(asking(HELLO, **members), model).get("generationConfig")


# Paths


@pytest.mark.parametrize(
    ("dialect", "stream", "expected"),
    [
        (GEMINI, False, "/v1beta/models/gemini-x:generateContent"),
        (GEMINI, True, "/v1beta/models/gemini-x:streamGenerateContent?alt=sse"),
        (Gemini.at("https://gemini.example"), False, "/v1beta/models/gemini-x:generateContent"),
        (Gemini.at("https://gemini.example/v1beta"), False, "/models/gemini-x:generateContent"),
        (Gemini.at("https://gemini.example/v1"), False, "/models/gemini-x:generateContent"),
        (
            VERTEX,
            True,
            f"{PUBLISHED}/gemini-x:streamGenerateContent?alt=sse",
        ),
        (
            Gemini.at_vertex("https://vertex.example/v1beta1", "my/project", None),
            False,
            "/projects/my%2Fproject/locations/global/publishers/google/models/gemini-x:generateContent",
        ),
        (
            Gemini.at_vertex("https://vertex.example", None, None),
            False,
            "/v1/publishers/google/models/gemini-x:generateContent",
        ),
    ],
)
def test_paths(dialect: Gemini, stream: bool, expected: str) -> None:  # noqa: FBT001 - a column
    """Model and method stand in the path; a version that the base URL has is not repeated; no key is anywhere."""
    request = asking(HELLO, stream=stream)
    for model in ("gemini-x", "models/gemini-x", "google/gemini-x"):
        assert expected == dialect.encode(request, model).path


def test_models_are_quoted() -> None:
    """The name of a model cannot leave its place in the path."""
    path = GEMINI.encode(asking(HELLO), "../x?key=1").path
    assert "/v1beta/models/..%2Fx%3Fkey%3D1:generateContent" == path


def test_hosts_of_vertex() -> None:
    """Regions, multi-regions and the global location live at hosts of different forms."""
    assert "https://us-central1-aiplatform.googleapis.com" == vertex_host("us-central1")
    assert "https://aiplatform.googleapis.com" == vertex_host("global")
    assert "https://aiplatform.eu.rep.googleapis.com" == vertex_host("eu")


# Messages


def test_roles() -> None:
    """System and developer messages become the instruction; assistants are models; what says nothing is left out."""
    made = asked(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
            {"role": "assistant", "content": None},
            {"role": "assistant", "content": None, "refusal": "no"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "three"}, {"type": "text", "text": "four"}],
            },
        ]
    )
    assert {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]} == made["systemInstruction"]
    assert [
        {"role": "user", "parts": [{"text": "one"}]},
        {"role": "model", "parts": [{"text": "two"}]},
        {"role": "model", "parts": [{"text": "no"}]},
        {"role": "user", "parts": [{"text": "three"}, {"text": "four"}]},
    ] == made["contents"]
    assert {"contents", "systemInstruction"} == made.keys()


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
            {"inlineData": {"mimeType": "image/png", "data": "QUJD"}},
        ),
        (
            {"type": "image_url", "image_url": "https://a.example/b.JPG?size=1"},
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://a.example/b.JPG?size=1"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://a.example/b"}},
            {"fileData": {"fileUri": "https://a.example/b"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "mp3"}},
            {"inlineData": {"mimeType": "audio/mp3", "data": "QUJD"}},
        ),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "QUJD"}},
        ),
        (
            {"type": "file", "file": {"filename": "a.csv", "file_data": "QUJD"}},
            {"inlineData": {"mimeType": "text/csv", "data": "QUJD"}},
        ),
        (
            {"type": "file", "file": {"file_url": "gs://bucket/a.pdf"}},
            {"fileData": {"mimeType": "application/pdf", "fileUri": "gs://bucket/a.pdf"}},
        ),
        (
            {
                "type": "file",
                "file": {"file_id": "https://generativelanguage.googleapis.com/v1beta/files/abc"},
            },
            {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}},
        ),
        (
            {"type": "video_url", "video_url": {"url": "https://www.youtube.com/watch?v=abc"}},
            {"fileData": {"fileUri": "https://www.youtube.com/watch?v=abc"}},
        ),
        (
            {"type": "video_url", "video_url": {"url": "https://a.example/b.webm"}},
            {"fileData": {"mimeType": "video/webm", "fileUri": "https://a.example/b.webm"}},
        ),
        (
            {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,QUJD"}},
            {"inlineData": {"mimeType": "video/mp4", "data": "QUJD"}},
        ),
    ],
)
def test_media(part: dict[str, Any], expected: dict[str, Any]) -> None:
    """Images, sound, documents and videos: in base64, or by a URL that Google fetches."""
    request = asking([{"role": "user", "content": [part]}])
    assert () == GEMINI.lacks(request)
    assert [{"role": "user", "parts": [expected]}] == body_of(request)["contents"]


def call(call_id: str, name: str = "weather", arguments: str = '{"city":"Rome"}') -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_calls_and_results() -> None:
    """Results go back together, in the order of the calls, under the tool's name: objects as such, text in one."""
    messages: list[dict[str, Any]] = [
        *HELLO,
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [call("c1"), call("c2", "time", "{}"), call("c3", arguments="[1")],
        },
        {"role": "tool", "tool_call_id": "c2", "content": "noon"},
        {
            "role": "tool",
            "tool_call_id": "c1",
            "content": '{"sky": "blue", "exact": 12345678901234567890123}',
        },
        {"role": "tool", "tool_call_id": "c3", "content": [{"type": "text", "text": "[1, 2]"}]},
        {"role": "user", "content": "and?"},
    ]
    made = GEMINI.encode(asking(messages), "gemini-2.5-flash").body
    assert b'{"sky": "blue", "exact": 12345678901234567890123}' in made
    first, model, results, last = orjson.loads(made)["contents"]
    assert ("user", "model", "user", "user") == (first["role"], model["role"], results["role"], last["role"])
    assert [
        {"text": "I look."},
        {"functionCall": {"name": "weather", "args": {"city": "Rome"}, "id": "c1"}},
        {"functionCall": {"name": "time", "args": {}, "id": "c2"}},
        {"functionCall": {"name": "weather", "args": {"arguments": "[1"}, "id": "c3"}},
    ] == model["parts"]
    told = [(part["functionResponse"]["id"], part["functionResponse"]["name"]) for part in results["parts"]]
    assert [("c1", "weather"), ("c2", "time"), ("c3", "weather")] == told
    assert {"result": "noon"} == results["parts"][1]["functionResponse"]["response"]
    assert {"result": "[1, 2]"} == results["parts"][2]["functionResponse"]["response"]
    for content in body_of(asking(messages), dialect=VERTEX)["contents"]:
        for part in content["parts"]:
            assert "id" not in part.get("functionCall", part.get("functionResponse", {}))


def test_media_in_results() -> None:
    """Media that a tool returned follow its result."""
    made = asked(
        [
            *HELLO,
            {"role": "assistant", "tool_calls": [call("c1")]},
            {
                "role": "tool",
                "tool_call_id": "c1",
                "content": [
                    {"type": "text", "text": "a picture"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
                ],
            },
        ]
    )
    assert [{"inlineData": {"mimeType": "image/png", "data": "QUJD"}}] == made["contents"][-1]["parts"]
    assert {"result": "a picture"} == made["contents"][-2]["parts"][0]["functionResponse"]["response"]


# Signatures


def detail(data: str, place: str | None, **members: Any) -> dict[str, Any]:
    made = {"type": "reasoning.encrypted", "data": data, "format": "google-gemini-v1", "index": 0}
    return made | ({} if place is None else {"id": place}) | members


def model_parts(model: str = "gemini-3-pro-preview", **members: Any) -> Any:
    request = asking([*HELLO, {"role": "assistant", **members}, *HELLO])
    return body_of(request, model)["contents"][1]["parts"]


def test_signatures_go_back_to_their_parts() -> None:
    """To the call with their id, or to the very piece of text they came with; whole thoughts keep theirs."""
    assert [
        {"text": "why", "thought": True, "thoughtSignature": "s0"},
        {"text": "ab"},
        {"text": "cd", "thoughtSignature": "s1"},
        {"text": "e"},
        {"text": "", "thoughtSignature": "s2"},
        {"functionCall": {"name": "weather", "args": {"city": "Rome"}, "id": "c1"}},
        {"functionCall": {"name": "weather", "args": {"city": "Rome"}, "id": "c2"}, "thoughtSignature": "s3"},
    ] == model_parts(
        content="abcde",
        tool_calls=[call("c1"), call("c2")],
        reasoning_details=[
            {
                "type": "reasoning.text",
                "text": "why",
                "signature": "s0",
                "format": "google-gemini-v1",
                "index": 0,
            },
            {"type": "reasoning.text", "text": "a summary", "format": "google-gemini-v1", "index": 1},
            detail("s1", "text_2_4", index=2),
            detail("s2", "text_5_5", index=3),
            detail("s3", "c2", index=4),
        ],
    )


def test_signatures_without_a_place() -> None:
    """They go to the first call, as OpenRouter's clients send them; without calls behind the text."""
    loose = [detail("s1", None)]
    (first,) = model_parts(tool_calls=[call("c1")], reasoning_details=loose)
    assert "s1" == first["thoughtSignature"]
    end = [{"text": "abc"}, {"text": "", "thoughtSignature": "s1"}]
    assert end == model_parts(content="abc", reasoning_details=loose)
    assert end == model_parts(content="abc", reasoning_details=[detail("s1", "text_2_9")])


@pytest.mark.parametrize(
    ("model", "checked"),
    [
        ("gemini-3-pro-preview", True),
        ("gemini-3.5-flash", True),
        ("gemini-flash-latest", True),
        ("gemini-2.5-pro", False),
        ("tuned-model", False),
    ],
)
def test_lost_signatures(model: str, checked: bool) -> None:  # noqa: FBT001 - a column
    """Models that check signatures get the documented stand-in at the first call; others none."""
    foreign = {
        "type": "reasoning.text",
        "text": "hm",
        "signature": "x",
        "format": "anthropic-claude-v1",
        "index": 0,
    }
    parts = model_parts(model, tool_calls=[call("c1"), call("c2")], reasoning_details=[foreign])
    assert [NO_SIGNATURE if checked else None, None] == [part.get("thoughtSignature") for part in parts]


# Tools


def test_tools() -> None:
    """Functions are declared with their schema as it is; tools at Google's go beside them."""
    parameters: dict[str, Any] = {"type": "object", "$schema": "x", "allOf": []}
    made = asked(
        tools=[
            WEATHER,
            {"type": "function", "function": {"name": "now"}},
            {"type": "function", "function": {"name": "odd", "parameters": parameters}},
            {"type": "google_search", "timeRangeFilter": {"startTime": "x"}},
        ]
    )
    function = WEATHER["function"]
    declared = [
        {"name": "weather", "description": "of a city", "parametersJsonSchema": function["parameters"]},
        {"name": "now"},
        {"name": "odd", "parametersJsonSchema": parameters},
    ]
    assert [
        {"functionDeclarations": declared},
        {"googleSearch": {"timeRangeFilter": {"startTime": "x"}}},
    ] == made["tools"]
    assert "toolConfig" not in made


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        (
            {"type": "function", "function": {"name": "weather"}},
            {"mode": "ANY", "allowedFunctionNames": ["weather"]},
        ),
    ],
)
def test_tool_choice(choice: Any, expected: dict[str, Any]) -> None:
    """Each way of choosing has its mode; without functions nothing is said."""
    made = asked(tools=[WEATHER], tool_choice=choice)
    assert {"functionCallingConfig": expected} == made["toolConfig"]
    assert "toolConfig" not in asked(tool_choice=choice)


# Parameters


def test_sampling() -> None:
    """Parameters under Google's names; members for the gateway and those that ask for nothing stay away."""
    assert {
        "temperature": 0,
        "topP": 0.9,
        "topK": 40,
        "seed": 7,
        "presencePenalty": 0.5,
        "maxOutputTokens": 50,
        "stopSequences": ["END"],
        "candidateCount": 2,
        "responseModalities": ["TEXT", "IMAGE"],
    } == config_of(
        temperature=0,
        top_p=0.9,
        top_k=40,
        seed=7,
        presence_penalty=0.5,
        frequency_penalty=0,
        max_tokens=50,
        stop="END",
        n=2,
        modalities=["text", "image"],
        logit_bias={},
        provider={"order": []},
        headgate={"tier": "x"},
        stream_options={"include_usage": True},
        user="u",
    )
    assert {"maxOutputTokens": 9} == config_of(max_completion_tokens=9, max_tokens=50, modalities=["text"])
    assert config_of() is None


def test_passed_on() -> None:
    """A few of Google's own members go as the client wrote them."""
    own: dict[str, Any] = {
        "safetySettings": [{"category": "x"}],
        "cachedContent": "cachedContents/a",
        "labels": {"team": "a"},
    }
    made = asked(HELLO, **own)
    assert own == {name: made[name] for name in own}
    assert () == GEMINI.lacks(asking(HELLO, **own))


@pytest.mark.parametrize(
    ("model", "members", "expected"),
    [
        ("gemini-2.5-flash", {"reasoning_effort": "none"}, (False, "thinkingBudget", 0)),
        ("gemini-2.5-pro", {"reasoning_effort": "none"}, (False, "thinkingBudget", 128)),
        ("gemini-2.5-flash", {"reasoning_effort": "minimal"}, (True, "thinkingBudget", 1024)),
        ("gemini-2.5-flash", {"reasoning_effort": "low"}, (True, "thinkingBudget", 1024)),
        ("gemini-2.5-flash", {"reasoning_effort": "medium"}, (True, "thinkingBudget", 8192)),
        ("gemini-2.5-flash", {"reasoning_effort": "high"}, (True, "thinkingBudget", 24576)),
        ("gemini-2.5-flash", {"reasoning_effort": "xhigh"}, (True, "thinkingBudget", 24576)),
        ("gemini-flash-latest", {"reasoning_effort": "low"}, (True, "thinkingBudget", 1024)),
        ("gemini-3-flash-preview", {"reasoning_effort": "none"}, (False, "thinkingLevel", "minimal")),
        ("gemini-3-flash-preview", {"reasoning_effort": "minimal"}, (True, "thinkingLevel", "minimal")),
        ("gemini-3.5-flash", {"reasoning_effort": "medium"}, (True, "thinkingLevel", "medium")),
        ("gemini-3.1-pro-preview", {"reasoning_effort": "minimal"}, (True, "thinkingLevel", "low")),
        ("gemini-3.1-pro-preview", {"reasoning_effort": "medium"}, (True, "thinkingLevel", "medium")),
        ("gemini-3-pro-preview", {"reasoning_effort": "medium"}, (True, "thinkingLevel", "high")),
        ("gemini-3-pro-preview", {"reasoning": {"effort": "high"}}, (True, "thinkingLevel", "high")),
        ("gemini-3-pro-preview", {"reasoning": {"max_tokens": 500}}, (True, "thinkingBudget", 500)),
        ("gemini-2.5-flash", {"reasoning": {"max_tokens": 0}}, (False, "thinkingBudget", 0)),
        ("gemini-2.5-flash", {"reasoning": {"effort": "low", "exclude": True}}, (False, "thinkingBudget", 1024)),
        ("gemini-2.5-flash", {"reasoning": {"enabled": False}}, (False, "thinkingBudget", 0)),
        ("gemini-2.5-flash", {"reasoning": {"enabled": True}}, (True, None, None)),
        ("gemini-2.5-flash", {"include_reasoning": True}, (True, None, None)),
        ("gemini-2.5-flash", {"reasoning": {"exclude": True}}, (False, None, None)),
    ],
)  # fmt: skip
def test_thinking(model: str, members: dict[str, Any], expected: tuple[bool, str | None, Any]) -> None:
    """Efforts and budgets in the words of the model's generation; thoughts are shown unless nobody wants them."""
    shown, name, amount = expected
    made = {"includeThoughts": shown} | ({} if name is None else {name: amount})
    assert {"thinkingConfig": made} == config_of(model, **members)
    assert () == GEMINI.lacks(asking(HELLO, **members))


def test_structured_output() -> None:
    """JSON mode and schemas."""
    assert {"responseMimeType": "application/json"} == config_of(response_format={"type": "json_object"})
    schema = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "required": ["a"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}}
    assert {"responseMimeType": "application/json", "responseJsonSchema": schema} == config_of(
        response_format=wanted
    )
    assert config_of(response_format={"type": "text"}) is None


def test_schemas() -> None:
    """Known keywords stay, at every level; a description tells what narrows a value; annotations go."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "description": "A book.",
        "additionalProperties": False,
        "minProperties": 1,
        "properties": {
            "kind": {"const": "book"},
            "pattern": {"type": "string", "pattern": "^a", "maxLength": 3},
            "either": {"anyOf": [{"type": "string", "default": "x"}, {"type": "null"}]},
            "some": {"type": "array", "items": {"$ref": "#/definitions/Author"}, "uniqueItems": True},
            "one": {"allOf": [{"$ref": "#/$defs/Author"}], "description": "who"},
            "true": {"enum": [True]},
        },
        "definitions": {
            "Author": {"type": "object", "properties": {"name": {"type": "string", "minLength": 1}}}
        },
    }
    assert {
        "type": "object",
        "description": "A book.\n\nminProperties: 1",
        "additionalProperties": False,
        "properties": {
            "kind": {"enum": ["book"]},
            "pattern": {"type": "string", "description": 'pattern: "^a"; maxLength: 3'},
            "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "some": {
                "type": "array",
                "items": {"$ref": "#/$defs/Author"},
                "description": "uniqueItems: true",
            },
            "one": {"$ref": "#/$defs/Author", "description": "who"},
            "true": {"description": "enum: [true]"},
        },
        "$defs": {
            "Author": {
                "type": "object",
                "properties": {"name": {"type": "string", "description": "minLength: 1"}},
            }
        },
    } == taken(schema)
    assert [] == list(lacking(schema, "schema"))


def test_schemas_that_cannot_be_said() -> None:
    """Keywords that no description can say are named by path, wherever they stand."""
    schema = {
        "properties": {"a": {"not": {}}, "not": {"type": "string"}},
        "anyOf": [{"if": {}}],
        "allOf": [{}, {}],
        "items": {"patternProperties": {}},
    }
    assert [
        "s.properties.a.not",
        "s.anyOf[0].if",
        "s.allOf",
        "s.items.patternProperties",
    ] == list(lacking(schema, "s"))
    deep: dict[str, Any] = {}
    for _ in range(150):
        deep = {"items": deep}
    assert 1 == len(list(lacking(deep, "s")))


# What Gemini lacks, and what it drops


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"logprobs": True, "top_logprobs": 2}, ("logprobs", "top_logprobs")),
        ({"logprobs": False, "top_logprobs": 0, "logit_bias": {"1": 0}}, ()),
        ({"logit_bias": {"1": 5}}, ("logit_bias",)),
        ({"n": 9}, ("n",)),
        ({"stop": ["a", "b", "c", "d", "e", "f"]}, ("stop",)),
        ({"modalities": ["text", "audio"], "audio": {"voice": "x"}}, ("audio", "modalities")),
        ({"web_search_options": {"search_context_size": "low"}}, ("web_search_options",)),
        ({"verbosity": "low", "min_p": 0.1}, ("verbosity", "min_p")),
        ({"tools": [WEATHER], "parallel_tool_calls": False}, ("parallel_tool_calls",)),
        ({"tools": [WEATHER], "parallel_tool_calls": False, "tool_choice": "none"}, ()),
        ({"tools": [WEATHER], "parallel_tool_calls": True}, ()),
        ({"parallel_tool_calls": False}, ()),
        ({"tools": [WEATHER, {"type": "custom", "custom": {}}]}, ("tools[1]",)),
        ({"reasoning_effort": "extreme"}, ("reasoning_effort",)),
        ({"reasoning": {"effort": "extreme"}}, ("reasoning.effort",)),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": {"properties": {"a": {"not": {}}}}},
                }
            },
            ("response_format.json_schema.schema.properties.a.not",),
        ),
    ],
)
def test_lacks(members: dict[str, Any], expected: tuple[str, ...]) -> None:
    """What Gemini cannot do is named, so that another backend gets the request."""
    assert expected == GEMINI.lacks(asking(HELLO, **members))


def test_lacks_in_messages() -> None:
    """Parts that cannot be said are named by path: files by another provider's id, media in system messages."""
    image = {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}
    request = asking(
        [
            {"role": "system", "content": [{"type": "text", "text": "x"}, image]},
            {"role": "user", "content": [image, {"type": "file", "file": {"file_id": "file-abc"}}]},
            {"role": "user", "content": [{"type": "something_new"}]},
        ]
    )
    assert ("messages[0].content[1]", "messages[1].content[1]", "messages[2].content[0]") == GEMINI.lacks(
        request
    )


def test_lacks_by_model() -> None:
    """Functions and JSON in one answer need generation 3; where the model is not known, that is not held against it."""
    request = asking(HELLO, tools=[WEATHER], response_format={"type": "json_object"})
    assert ("response_format",) == GEMINI.lacks(request, "gemini-2.5-flash")
    assert () == GEMINI.lacks(request, "gemini-3-flash-preview")
    assert () == GEMINI.lacks(request)


def test_drops() -> None:
    """Harmless members that say something are named, wherever they stand."""
    strict = {"type": "function", "function": {**WEATHER["function"], "strict": True}}
    image = {"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "low"}}
    request = asking(
        [{"role": "user", "name": "eve", "content": [{"type": "text", "text": "x"}, image]}],
        user="u",
        store=False,
        service_tier="flex",
        seed=1,
        tools=[strict],
    )
    assert (
        "user",
        "service_tier",
        "tools[0].function.strict",
        "messages[0].name",
        "messages[0].content[1].image_url.detail",
    ) == GEMINI.drops(request)
    assert () == GEMINI.lacks(request)
    assert () == GEMINI.drops(asking(HELLO))


@pytest.mark.parametrize(
    "messages",
    [[{"role": "system", "content": "alone"}], [{"role": "user", "content": 1}], [{"role": "nobody"}]],
)
def test_requests_without_meaning(messages: list[dict[str, Any]]) -> None:
    """They are refused by name."""
    with pytest.raises(RequestError):
        GEMINI.encode(asking(messages), "gemini-2.5-flash")


def test_requests_nested_too_deeply() -> None:
    """What cannot be written is refused, too."""
    parameters: dict[str, Any] = {}
    for _ in range(200):
        parameters = {"items": parameters}
    request = asking(HELLO, tools=[{"type": "function", "function": {"name": "f", "parameters": parameters}}])
    deep = orjson.loads(b'{"items":' * 300 + b"1" + b"}" * 300)
    request.members["tools"][0]["function"]["parameters"] = deep
    with pytest.raises(RequestError):
        GEMINI.encode(request, "gemini-2.5-flash")


# Conversations


def spelled(value: Any) -> Any:
    """A recorded request in one spelling: `function_call` and `functionCall` mean the same to Google."""
    if isinstance(value, list):
        return [spelled(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        _camel(name): (each if name in ("args", "response") else spelled(each))
        for name, each in value.items()
    }


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def as_clients_send(contents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Recorded contents as the messages of an OpenAI client that got each of the model's turns from us."""
    messages: list[dict[str, Any]] = []
    for number, content in enumerate(contents):
        if content["role"] == "model":
            candidate = {"content": content, "finishReason": "STOP"}
            answer = {"responseId": f"r{number}", "candidates": [candidate]}
            messages.append(sent_back(answer_of(GEMINI.read(orjson.dumps(answer)))))
            continue
        results = [part["functionResponse"] for part in content["parts"] if "functionResponse" in part]
        for place, result in enumerate(results):
            call_id = messages[-1 - place]["tool_calls"][place]["id"]
            text = orjson.dumps(result["response"]).decode()
            messages.append({"role": "tool", "tool_call_id": call_id, "content": text})
        said = [_part(part) for part in content["parts"] if "functionResponse" not in part]
        if said:
            messages.append({"role": "user", "content": said})
    return messages


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    if "text" in part:
        return {"type": "text", "text": part["text"]}
    if "fileData" in part:
        return {"type": "file", "file": {"file_url": part["fileData"]["fileUri"]}}
    media = part["inlineData"]
    return {"type": "image_url", "image_url": {"url": f"data:{media['mimeType']};base64,{media['data']}"}}


def compared(contents: Sequence[Mapping[str, Any]]) -> list[Any]:
    """What must be equal: roles and parts. Text in several pieces is one text, ids may be ours, and a linked file's
    type is known from its name or not at all.
    """
    made: list[Any] = []
    for content in contents:
        parts: list[dict[str, Any]] = []
        for part in content["parts"]:
            each = {name: value for name, value in part.items() if name != "thought" or value}
            if each == {"text": ""}:
                continue
            for name in ("functionCall", "functionResponse"):
                if name in each:
                    each[name] = {key: value for key, value in each[name].items() if key != "id"}
            if "fileData" in each:
                each["fileData"] = each["fileData"]["fileUri"]
            if parts and each.keys() == {"text"} == parts[-1].keys() and content["role"] == "model":
                parts[-1] = {"text": parts[-1]["text"] + each["text"]}
            else:
                parts.append(each)
        made.append((content["role"], parts))
    return made


CONVERSATIONS: Final = tuple(
    recording
    for recording in answered(RECORDED)
    if any(content.get("role") == "model" for content in recording.request.get("contents", ()))
)


@pytest.mark.parametrize("recording", parameters(CONVERSATIONS))
def test_recorded_conversations(recording: Recording) -> None:
    """Turns that an OpenAI client got from us go back as Google's own clients sent them, signatures at their parts."""
    recorded = spelled(recording.request["contents"])
    model = "gemini-3-flash-preview"
    made = body_of(asking(as_clients_send(recorded)), model)["contents"]
    assert compared(recorded) == compared(made)


def test_recorded_second_turn() -> None:
    """The answer to a first request, sent back with a tool's result, makes the recorded second request."""
    by_id = {recording.id: recording for recording in RECORDED}
    turns = [[by_id[name] for name in names] for names in groups().values() if set(names) <= by_id.keys()]
    pairs = [found for found in turns if len(found) > 1]
    if not RECORDED:
        pytest.skip("no recorded exchanges beside the project")
    assert pairs
    for first, second in pairs:
        answer = answer_of(
            decoded(GEMINI.decoder(), [first.body]) if first.stream else GEMINI.read(first.body)
        )
        asked_for, _, result = spelled(second.request["contents"])
        text = orjson.dumps(result["parts"][0]["functionResponse"]["response"]).decode()
        messages = [
            {"role": "user", "content": asked_for["parts"][0]["text"]},
            sent_back(answer),
            {"role": "tool", "tool_call_id": answer.calls[0][0], "content": text},
        ]
        made = body_of(asking(messages), "gemini-3.1-pro-preview")["contents"]
        assert compared(spelled(second.request["contents"])) == compared(made)
        (called,) = [part for part in made[1]["parts"] if "functionCall" in part]
        assert (answer.calls[0][0], called["functionCall"]["id"]) == (
            called["functionCall"]["id"],
            made[2]["parts"][0]["functionResponse"]["id"],
        )


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (
            "gemini/2026-07-thoughts-and-parallel-calls",
            [
                {
                    "functionCall": {"name": "weather", "args": {"city": "Rome"}, "id": "0b3pdf3o"},
                    "thoughtSignature": "RXhhbXBsZS1zaWduYXR1cmU=",
                },
                {"functionCall": {"name": "weather", "args": {"city": "Oslo"}, "id": "brynwdxm"}},
            ],
        ),
        (
            "vertex/2026-08-signed-text",
            [
                {"text": "Will the next word you speak be no?"},
                {"text": "", "thoughtSignature": "RXhhbXBsZS1zaWduYXR1cmU="},
            ],
        ),
    ],
)
def test_own_second_turns(case: str, expected: list[dict[str, Any]]) -> None:
    """What a stream said goes back whole, though its pieces were gathered by the client."""
    said = decoded(GEMINI.decoder(), [(OWN / case / "body.sse").read_bytes()])
    request = asking([*HELLO, sent_back(answer_of(said)), *HELLO])
    assert expected == body_of(request, "gemini-3.5-flash")["contents"][1]["parts"]


@given(
    st.lists(
        st.tuples(st.text(max_size=4), st.booleans()).map(
            lambda piece: {"text": piece[0], **({"thoughtSignature": "c2ln"} if piece[1] else {})}
        ),
        max_size=6,
    )
)
def test_signed_text_goes_back(pieces: list[dict[str, Any]]) -> None:
    """However a stream cuts text and signs its pieces, each signature comes back at its own piece."""
    chunks = [{"candidates": [{"content": {"parts": [piece]}}]} for piece in pieces]
    chunks.append({"candidates": [{"content": {"parts": [{"text": "!"}]}, "finishReason": "STOP"}]})  # type: ignore[dict-item]  # of any shape
    message = sent_back(answer_of(GEMINI.read(orjson.dumps(chunks))))
    made = body_of(asking([*HELLO, message, *HELLO]))["contents"][1]["parts"]
    signed = [piece for piece in pieces if "thoughtSignature" in piece]
    assert signed == [part for part in made if "thoughtSignature" in part]
    assert "".join(piece["text"] for piece in pieces) + "!" == "".join(part["text"] for part in made)
    assert list(merged(message.get("reasoning_details"))) == message.get("reasoning_details", [])
