"""Cohere's embeddings for clients of OpenAI's."""

import base64
import struct
from collections.abc import Mapping
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.clients.openai_embeddings import OpenAIEmbeddings as Client
from providers.types import Canonical, UpstreamError
from providers.upstreams.cohere.dialect import CohereEmbeddings
from tests.support.foreign import exchanges
from tests.support.recordings import Recording, parameters

DIALECT: Final = CohereEmbeddings()


def asking(**members: Any) -> Canonical:
    return Client().parse(orjson.dumps({"model": "public-name", "input": "Hi", **members}))


def sent(request: Canonical) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(DIALECT.encode(request, "embed-x").body)
    return body


@pytest.mark.parametrize(
    ("given_members", "expected"),
    [
        ({}, {}),
        ({"input": ["a", "b"]}, {"texts": ["a", "b"]}),
        ({"encoding_format": "base64"}, {}),
        ({"encoding_format": "float"}, {}),
        ({"dimensions": 256}, {"output_dimension": 256}),
        (
            {"input_type": "search_query", "truncate": "NONE"},
            {"input_type": "search_query", "truncate": "NONE"},
        ),
        ({"user": "u", "headgate": {}, "session_id": "s"}, {}),
    ],
)
def test_requests(given_members: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Texts, dimensions and encoding in Cohere's words; documents unless the client says what the texts are for."""
    request = asking(**given_members)
    usual = {
        "model": "embed-x",
        "texts": ["Hi"],
        "input_type": "search_document",
        "embedding_types": ["float"],
    }
    assert {**usual, **expected} == sent(request)
    assert "/v2/embed" == DIALECT.encode(request, "embed-x").path
    assert () == DIALECT.lacks(request)


def test_places() -> None:
    """The version is part of the path, but not twice."""
    assert "/embed" == CohereEmbeddings.at("https://example.com/v2").encode(asking(), "x").path


@pytest.mark.parametrize(
    ("given_members", "expected"),
    [
        ({"input": [1, 2, 3]}, ("input",)),
        ({"input": [[1, 2], [3]]}, ("input",)),
        ({"input": ["x"] * 97}, ("input[96]",)),
        ({"input": ["x"] * 96}, ()),
        ({"encoding_format": "int8"}, ("encoding_format",)),
        ({"something_new": True}, ("something_new",)),
    ],
)
def test_what_it_lacks(given_members: Mapping[str, Any], expected: tuple[str, ...]) -> None:
    """Token ids, more texts than it takes at once, encodings that are not OpenAI's."""
    assert expected == DIALECT.lacks(asking(**given_members))


def test_what_is_left_out() -> None:
    """Members without which the vectors are the same."""
    assert ("user",) == DIALECT.drops(asking(user="u"))


def test_answers() -> None:
    """Vectors in order and OpenAI's shape; the bill as usage."""
    body = {
        "id": "x",
        "embeddings": {"float": [[0.5, -0.25], [1.0, 0.0]]},
        "texts": ["a", "b"],
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 4}},
    }
    completion = DIALECT.decode(orjson.dumps(body))
    assert orjson.loads(completion.raw) == completion.members
    assert [
        {"object": "embedding", "index": 0, "embedding": [0.5, -0.25]},
        {"object": "embedding", "index": 1, "embedding": [1.0, 0.0]},
    ] == completion.members["data"]
    assert completion.usage is not None
    assert (4, 0) == (completion.usage.input_tokens, completion.usage.output_tokens)
    assert {
        "prompt_tokens": 4,
        "total_tokens": 4,
        "billed_units": {"input_tokens": 4},
    } == completion.usage.reported


def test_base64_is_made_here() -> None:
    """Vectors are asked for as numbers; a client that wants base64 gets four little-endian bytes each."""
    request = asking(encoding_format="base64")
    completion = DIALECT.decode(b'{"embeddings":{"float":[[1.0,-2.5]]}}', request)
    (entry,) = completion.members["data"]
    assert (1.0, -2.5) == struct.unpack("<2f", base64.b64decode(entry["embedding"]))
    assert request.model == completion.members["model"]


def test_base64_stays() -> None:
    """Vectors in base64 stay as they came; without a bill nothing is made up."""
    completion = DIALECT.decode(b'{"embeddings":{"base64":["AACAPw=="]}}')
    assert "AACAPw==" == completion.members["data"][0]["embedding"]
    assert completion.usage is None


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "protocol"),
        (b"[]", "protocol"),
        (b"{}", "protocol"),
        (b'{"embeddings":{"int8":[[1]]}}', "protocol"),
        (b'{"embeddings":[3]}', "protocol"),
        (b'{"message":"overloaded"}', "overloaded"),
    ],
)
def test_answers_that_are_none(body: bytes, kind: str) -> None:
    """An error under status 200, or no vectors."""
    with pytest.raises(UpstreamError) as caught:
        DIALECT.decode(body)
    assert kind == caught.value.kind


@pytest.mark.parametrize("recording", parameters(exchanges("cohere", "embed")))
def test_recorded_answers(recording: Recording) -> None:
    """A recorded answer with its vectors as floats: the recording asked for an encoding that OpenAI does not have."""
    members = orjson.loads(recording.body)
    vectors = members["embeddings"].pop("int8")
    members["embeddings"]["float"] = vectors
    completion = DIALECT.decode(orjson.dumps(members))
    assert vectors == [row["embedding"] for row in completion.members["data"]]
    assert completion.usage is not None
    assert 2 == completion.usage.input_tokens


@given(st.binary() | st.text().map(str.encode))
def test_bytes_of_any_kind(body: bytes) -> None:
    """Nothing but `UpstreamError` escapes."""
    with pytest.raises(UpstreamError):
        DIALECT.decode(body)
