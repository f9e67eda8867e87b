"""Titan's and Cohere's embeddings on Bedrock: OpenAI's requests out, answers in OpenAI's shape in."""

from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.clients.openai_embeddings import OpenAIEmbeddings as Client
from providers.types import Canonical, UpstreamError, Usage
from providers.upstreams.bedrock.embeddings import BedrockEmbeddings

DIALECT: Final = BedrockEmbeddings()
CLIENT: Final = Client()
TITAN: Final = "amazon.titan-embed-text-v2:0"
COHERE_3: Final = "cohere.embed-multilingual-v3"
COHERE_4: Final = "us.cohere.embed-v4:0"


def asking(given_input: Any, **members: Any) -> Canonical:
    return CLIENT.parse(orjson.dumps({"model": "public", "input": given_input, **members}))


@pytest.mark.parametrize(
    ("model", "request_", "path", "body"),
    [
        (TITAN, asking("a"), "amazon.titan-embed-text-v2%3A0", {"inputText": "a"}),
        (
            TITAN,
            asking(["a"], dimensions=256, normalize=False, encoding_format="float", user="u"),
            "amazon.titan-embed-text-v2%3A0",
            {"inputText": "a", "dimensions": 256, "normalize": False},
        ),
        (
            COHERE_3,
            asking(["a", "b"], truncate="END"),
            "cohere.embed-multilingual-v3",
            {"texts": ["a", "b"], "input_type": "search_document", "truncate": "END"},
        ),
        (
            COHERE_4,
            asking("a", dimensions=512, input_type="search_query"),
            "us.cohere.embed-v4%3A0",
            {
                "texts": ["a"],
                "input_type": "search_query",
                "output_dimension": 512,
                "embedding_types": ["float"],
            },
        ),
    ],
)
def test_requests(model: str, request_: Canonical, path: str, body: Any) -> None:
    """Each model gets its own words; what it is not told is what it assumes anyway."""
    made = DIALECT.encode(request_, model)
    assert f"/model/{path}/invoke" == made.path
    assert body == orjson.loads(made.body)


@pytest.mark.parametrize(
    ("request_", "model", "expected"),
    [
        (asking("a"), TITAN, ()),
        (asking(["a", "b"]), "", ()),
        (asking(["a", "b"]), TITAN, ("input",)),
        (asking(["a", "b"]), COHERE_3, ()),
        (asking(["a"] * 97), COHERE_3, ("input",)),
        (asking([1, 2]), "", ("input",)),
        (asking([[1], [2]]), COHERE_3, ("input",)),
        (asking("a", encoding_format="base64"), TITAN, ()),
        (asking("a", encoding_format="int8"), TITAN, ("encoding_format",)),
    ],
)
def test_lacks(request_: Canonical, model: str, expected: tuple[str, ...]) -> None:
    """Ids of tokens are another tokeniser's; Titan takes one text at a time, Cohere 96."""
    assert expected == DIALECT.lacks(request_, model)


def test_drops() -> None:
    """Members that say something and stay behind are named."""
    assert ("user", "mine") == DIALECT.drops(asking("a", user="u", mine=1, dimensions=8, headgate={}))


@pytest.mark.parametrize(
    ("body", "vectors", "usage"),
    [
        (
            {"embedding": [0.5, -1], "inputTextTokenCount": 3, "embeddingsByType": {"float": [0.5, -1]}},
            [[0.5, -1]],
            Usage(3, 0, reported={"prompt_tokens": 3, "total_tokens": 3}),
        ),
        (
            {"id": "x", "embeddings": [[1.0], [2.0]], "response_type": "embeddings_floats"},
            [[1.0], [2.0]],
            None,
        ),
        (
            {"embeddings": {"float": [[1.0]]}, "response_type": "embeddings_by_type", "texts": ["a"]},
            [[1.0]],
            None,
        ),
    ],
)
def test_answers(body: Any, vectors: Any, usage: Usage | None) -> None:
    """One vector of Titan's, or several of Cohere's, are OpenAI's list; Cohere counts in a header alone."""
    completion = DIALECT.decode(orjson.dumps(body))
    assert orjson.loads(completion.raw) == completion.members
    assert [
        {"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)
    ] == completion.members["data"]
    assert usage == completion.usage


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>", "protocol"),
        (b"[]", "protocol"),
        (b'{"embedding":[]}', "protocol"),
        (b'{"embeddings":{"int8":[[1]]}}', "protocol"),
        (b'{"message":"slow down","__type":"ThrottlingException"}', "rate_limited"),
    ],
)
def test_no_embeddings(body: bytes, kind: str) -> None:
    """An error under status 200 is that error; anything else is nonsense."""
    with pytest.raises(UpstreamError) as raised:
        DIALECT.decode(body)
    assert kind == raised.value.kind


bodies = st.dictionaries(
    st.sampled_from(["embedding", "embeddings", "message", "inputTextTokenCount"]),
    st.none() | st.integers(-1, 3) | st.lists(st.integers(0, 3)) | st.text(),
)


@given(st.binary(max_size=60) | bodies.map(orjson.dumps))
def test_any_answer(body: bytes) -> None:
    """Any answer is read or refused; no other exception escapes."""
    try:
        DIALECT.decode(body)
    except UpstreamError:
        return
