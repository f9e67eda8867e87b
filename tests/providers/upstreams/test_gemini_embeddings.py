"""Embeddings of the Gemini API and Vertex AI, in OpenAI's shape."""

import base64
from array import array
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.clients.openai_embeddings import OpenAIEmbeddings as Client
from providers.types import Canonical, UpstreamError
from providers.upstreams.gemini.dialect import Gemini
from providers.upstreams.gemini.embeddings import GeminiEmbeddings
from tests.support.foreign import answered, exchanges, refused
from tests.support.recordings import Recording, parameters

GEMINI: Final = GeminiEmbeddings()
VERTEX: Final = GeminiEmbeddings.at_vertex("https://vertex.example", "p", "us-central1")
PREFIX: Final = "/v1/projects/p/locations/us-central1/publishers/google/models"
RECORDED: Final = exchanges("gemini", "embedContent")


def asking(given: Any, **members: Any) -> Canonical:
    return Client().parse(orjson.dumps({"model": "public-name", "input": given, **members}))


def test_gemini() -> None:
    """One batch, whether there is one text or more."""
    made = GEMINI.encode(asking(["one", "two"], dimensions=768), "gemini-embedding-2")
    assert "/v1beta/models/gemini-embedding-2:batchEmbedContents" == made.path
    assert {
        "requests": [
            {
                "model": "models/gemini-embedding-2",
                "content": {"parts": [{"text": text}]},
                "outputDimensionality": 768,
            }
            for text in ("one", "two")
        ]
    } == orjson.loads(made.body)
    (alone,) = orjson.loads(GEMINI.encode(asking("one"), "models/gemini-embedding-001").body)["requests"]
    assert {"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "one"}]}} == alone
    assert (
        "/models/m:batchEmbedContents"
        == GeminiEmbeddings.at("https://x.example/v1").encode(asking("a"), "m").path
    )


def test_vertex() -> None:
    """Older models are asked to predict, newer ones to embed one text; too long a text is never cut in silence."""
    made = VERTEX.encode(asking(["one", "two"], dimensions=256), "gemini-embedding-001")
    assert f"{PREFIX}/gemini-embedding-001:predict" == made.path
    assert {
        "instances": [{"content": "one"}, {"content": "two"}],
        "parameters": {"autoTruncate": False, "outputDimensionality": 256},
    } == orjson.loads(made.body)
    made = VERTEX.encode(asking(["one"]), "gemini-embedding-2")
    assert f"{PREFIX}/gemini-embedding-2:embedContent" == made.path
    assert {"content": {"parts": [{"text": "one"}]}, "autoTruncate": False} == orjson.loads(made.body)
    with pytest.raises(UpstreamError) as raised:
        VERTEX.encode(asking(["one", "two"]), "gemini-embedding-2")
    assert ("bad_request", 400, "input", False) == (
        raised.value.kind,
        raised.value.status,
        raised.value.param,
        raised.value.again,
    )


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (asking("a", encoding_format="base64", dimensions=3), ()),
        (asking([1, 2, 3]), ("input",)),
        (asking([[1], [2]]), ("input",)),
        (asking(["a"] * 101), ("input",)),
        (asking("a", encoding_format="int8"), ("encoding_format",)),
        (asking("a", something={"new": 1}, user="u"), ("something",)),
    ],
)
def test_lacks(request_: Canonical, expected: tuple[str, ...]) -> None:
    """Token ids, too many texts and unknown members are named."""
    assert expected == GEMINI.lacks(request_)


def test_drops() -> None:
    """Harmless members are named."""
    assert ("user",) == GEMINI.drops(asking("a", user="u", provider={}, encoding_format="float"))
    assert () == VERTEX.lacks(asking(["a"] * 250))


ANSWERS: Final = (
    (
        {"embeddings": [{"values": [0.5, -1]}, {"values": [1, 2]}], "usageMetadata": {"promptTokenCount": 4}},
        [[0.5, -1], [1, 2]],
        4,
    ),
    ({"embedding": {"values": [0.25]}, "usageMetadata": {"promptTokenCount": 2}}, [[0.25]], 2),
    ({"embedding": {"values": [0.25]}}, [[0.25]], None),
    (
        {
            "predictions": [
                {"embeddings": {"values": [0.5], "statistics": {"token_count": 3, "truncated": False}}},
                {"embeddings": {"values": [0.75], "statistics": {"token_count": 4.0}}},
            ]
        },
        [[0.5], [0.75]],
        7,
    ),
)


@pytest.mark.parametrize(("body", "vectors", "tokens"), ANSWERS)
def test_answers(body: dict[str, Any], vectors: list[list[float]], tokens: int | None) -> None:
    """Each form of answer comes out in OpenAI's shape, as numbers, or as little-endian numbers in base64."""
    made = VERTEX.decode(orjson.dumps(body))
    assert "list" == made.members["object"]
    assert vectors == [each["embedding"] for each in made.members["data"]]
    assert list(range(len(vectors))) == [each["index"] for each in made.members["data"]]
    assert made.members == orjson.loads(made.raw)
    assert tokens == (None if made.usage is None else made.usage.input_tokens)
    coded = VERTEX.decode(orjson.dumps(body), asking("a", encoding_format="base64")).members
    assert vectors == [
        list(memoryview(base64.b64decode(each["embedding"])).cast("f")) for each in coded["data"]
    ]
    assert "public-name" == coded["model"]


@pytest.mark.parametrize("recording", parameters(answered(RECORDED)))
def test_recorded_answers(recording: Recording) -> None:
    """A recorded answer keeps its vector and its tokens; base64 keeps what four bytes can."""
    (recorded,) = orjson.loads(recording.body)["embeddings"]
    made = GEMINI.decode(recording.body)
    assert [recorded["values"]] == [each["embedding"] for each in made.members["data"]]
    assert made.usage is not None
    assert {"prompt_tokens": 4, "total_tokens": 4} == made.usage.reported
    (coded,) = GEMINI.decode(recording.body, asking("a", encoding_format="base64")).members["data"]
    numbers = array("f", base64.b64decode(coded["embedding"]))
    assert array("f", recorded["values"]) == numbers
    sent = recording.request
    request = asking([each["content"]["parts"][0]["text"] for each in sent["requests"]], dimensions=768)
    assert sent == orjson.loads(GEMINI.encode(request, "gemini-embedding-2").body)


@pytest.mark.parametrize("recording", parameters(refused(RECORDED)))
def test_recorded_errors(recording: Recording) -> None:
    """Our key under a status that blames the request."""
    made = Gemini().error(recording.status, recording.headers, recording.body, now_epoch_s=0.0)
    assert ("auth", 400, False) == (made.kind, made.status, made.again)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "protocol"),
        (b"[]", "protocol"),
        (b"{}", "protocol"),
        (b'{"embeddings": []}', "protocol"),
        (b'{"embeddings": [{"values": [1]}, {"values": ["x"]}]}', "protocol"),
        (b'{"error": {"code": 503, "message": "busy"}}', "overloaded"),
    ],
)
def test_answers_that_are_none(body: bytes, kind: str) -> None:
    """They are failures."""
    with pytest.raises(UpstreamError) as raised:
        GEMINI.decode(body)
    assert kind == raised.value.kind


@given(
    st.recursive(
        st.none()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["embeddings", "embedding", "values", "predictions", "statistics", "token_count", "usageMetadata",
                 "promptTokenCount", "error"]
            ),
            inner,
            max_size=4,
        ),
        max_leaves=10,
    )
)  # fmt: skip
def test_any_answer_can_be_read(answer: Any) -> None:
    """An answer of any shape is read or refused; no other exception escapes."""
    try:
        made = GEMINI.decode(orjson.dumps(answer), asking("a", encoding_format="base64"))
    except UpstreamError:
        return
    assert made.members["data"]
