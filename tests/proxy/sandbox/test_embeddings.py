"""Embeddings over real HTTP: OpenAI's shapes, both encodings, and refusals that name the member."""

import struct
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from proxy.sandbox import embeddings
from proxy.sandbox.fields import RequestError
from tests.proxy.sandbox.calling import Caller


async def embedded(caller: Caller, **members: Any) -> dict[str, Any]:
    async with caller.embed(**members) as response:
        assert (200, "application/json") == (response.status, response.content_type)
        made: dict[str, Any] = orjson.loads(await response.read())
        return made


def read(**members: Any) -> embeddings.EmbeddingsRequest:
    return embeddings.read(orjson.dumps({"model": "sandbox-embed", "input": "x", **members}))


async def test_an_answer_is_complete(caller: Caller) -> None:
    """Every member OpenAI's schema requires, in input order, 256 numbers each."""
    made = await embedded(caller, input=["one", "two", "three!"])
    assert {"object", "data", "model", "usage"} == set(made)
    assert ("list", "sandbox-embed") == (made["object"], made["model"])
    assert [0, 1, 2] == [entry["index"] for entry in made["data"]]
    for entry in made["data"]:
        assert ({"object", "index", "embedding"}, "embedding") == (set(entry), entry["object"])
        assert 256 == len(entry["embedding"])
    assert {"prompt_tokens": 4, "total_tokens": 4} == made["usage"]


async def test_base64_holds_the_same_numbers(caller: Caller) -> None:
    """Little-endian, single precision, bit for bit what the list of numbers says."""
    shown = await embedded(caller, dimensions=64, encoding_format="float")
    packed = await embedded(caller, dimensions=64, encoding_format="base64")
    (numbers,) = [entry["embedding"] for entry in shown["data"]]
    (text,) = [entry["embedding"] for entry in packed["data"]]
    assert numbers == list(struct.unpack("<64f", b64decode(text)))
    assert 1 == pytest.approx(sum(number * number for number in numbers))


async def test_one_text_and_a_list_of_it_are_the_same(caller: Caller) -> None:
    """So are token ids and a list of them."""
    one, many = await embedded(caller, input="Hello"), await embedded(caller, input=["Hello"])
    assert one == many
    one, many = await embedded(caller, input=[1, 2]), await embedded(caller, input=[[1, 2]])
    assert (one, 2) == (many, one["usage"]["prompt_tokens"])


@pytest.mark.parametrize("dimensions", [1, 3072])
async def test_dimensions_are_as_asked(caller: Caller, dimensions: int) -> None:
    """The smallest and the largest."""
    made = await embedded(caller, dimensions=dimensions)
    assert dimensions == len(made["data"][0]["embedding"])


@pytest.mark.parametrize(
    ("members", "param", "code"),
    [
        ({"input": None}, "input", "missing_required_parameter"),
        ({"input": ""}, "input", "empty_string"),
        ({"input": []}, "input", "empty_array"),
        ({"input": [""]}, "input[0]", "empty_string"),
        ({"input": ["a", ""]}, "input[1]", "empty_string"),
        ({"input": [[]]}, "input[0]", "empty_array"),
        ({"input": 5}, "input", "invalid_type"),
        ({"input": {"text": "a"}}, "input", "invalid_type"),
        ({"input": [None]}, "input[0]", "invalid_type"),
        ({"input": [True]}, "input[0]", "invalid_type"),
        ({"input": [1.5]}, "input[0]", "invalid_type"),
        ({"input": ["a", 1]}, "input[1]", "invalid_type"),
        ({"input": [1, "a"]}, "input[1]", "invalid_type"),
        ({"input": [[1], [2, "a"]]}, "input[1][1]", "invalid_type"),
        ({"input": [[1], "a"]}, "input[1]", "invalid_type"),
        ({"input": [-1]}, "input[0]", "integer_below_min_value"),
        ({"input": [2**31]}, "input[0]", "integer_above_max_value"),
        ({"input": ["a"] * 2049}, "input", "array_above_max_length"),
        ({"input": [[1]] * 2049}, "input", "array_above_max_length"),
        ({"input": "abcd" * 8193}, None, None),
        ({"input": [1] * 8193}, None, None),
        ({"input": ["abcd" * 8000] * 38}, "input", "max_tokens_per_request"),
        ({"dimensions": 0}, "dimensions", "integer_below_min_value"),
        ({"dimensions": 3073}, "dimensions", "integer_above_max_value"),
        ({"dimensions": "many"}, "dimensions", "invalid_type"),
        ({"encoding_format": "hex"}, "encoding_format", "invalid_value"),
        ({"user": 5}, "user", "invalid_type"),
        ({"model": None}, "model", None),
        ({"sandbox": {"speed": 1}}, "sandbox.speed", "unknown_parameter"),
    ],
)
def test_what_is_wrong_is_named(members: dict[str, Any], param: str | None, code: str | None) -> None:
    """The refusal is a 400 that carries the member's path and OpenAI's code for it."""
    with pytest.raises(RequestError) as caught:
        read(**members)
    assert (400, param, code) == (caught.value.status, caught.value.param, caught.value.code)


def test_the_largest_requests_are_taken() -> None:
    """2,048 inputs, and inputs of 8,192 tokens, texts and ids."""
    assert 2048 == read(input=["abcd"] * 2048).prompt_tokens
    assert 8192 == read(input="abcd" * 8192).prompt_tokens
    assert 8192 == read(input=list(range(8192))).prompt_tokens


@pytest.mark.parametrize("model", ["sandbox-small", "text-embedding-3-small"])
async def test_other_models_are_not_found(caller: Caller, model: str) -> None:
    """A chat model makes no embeddings."""
    async with caller.embed(model=model) as response:
        error = orjson.loads(await response.read())["error"]
    assert (404, "model_not_found", "invalid_request_error") == (
        response.status,
        error["code"],
        error["type"],
    )


def test_the_work_is_done_input_by_input() -> None:
    """Entries are made when asked for, so that others can run between two."""
    entries = embeddings.entries(read(input=["a", "b"]))
    assert isinstance(entries, Iterator)
    assert 0 == orjson.loads(next(entries))["index"]
