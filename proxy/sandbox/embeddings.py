"""An embeddings request, read and checked, and the bytes of its answer."""

import struct
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from proxy.sandbox import models, options, vectors
from proxy.sandbox.failures import Failure
from proxy.sandbox.fields import Fields, RequestError, check_range, missing, parse, wrong_type
from proxy.sandbox.options import Manner
from proxy.sandbox.usage import text_tokens

USUAL_DIMENSIONS = 256
MOST_DIMENSIONS = 3072
MOST_INPUTS = 2048
MOST_INPUT_TOKENS = 8192
MOST_TOKENS = 300_000  # of all inputs together

_HIGHEST_TOKEN = 2**31 - 1
_INPUT = "input"
_EXPECTED = "a string, an array of strings, an array of integers, or an array of arrays of integers"

Input = str | tuple[int, ...]
"""One text, or its token ids."""


@dataclass(frozen=True, slots=True)
class EmbeddingsRequest:
    """What is to be embedded. `digest` is of the whole body; `base64` tells the encoding from plain numbers."""

    digest: str
    model: str
    failure: Failure | None
    inputs: tuple[Input, ...]
    prompt_tokens: int
    dimensions: int
    base64: bool
    manner: Manner


def read(body: bytes, pace_header: str | None = None, fail_header: str | None = None) -> EmbeddingsRequest:
    """The request in `body`, checked.

    Raises:
        RequestError: with the status and the words OpenAI uses, where it has some.
    """
    fields = parse(body)
    model, failure = models.read(fields, models.EMBEDDING_MODELS, fail_header)
    manner = options.read(fields, pace_header)
    dimensions = fields.whole("dimensions", 1, MOST_DIMENSIONS) or USUAL_DIMENSIONS
    encoding = fields.word("encoding_format", ("float", "base64")) or "float"
    fields.text("user")
    inputs = _inputs(fields)
    return EmbeddingsRequest(
        digest=blake2b(body, digest_size=16).hexdigest(),
        model=model,
        failure=failure,
        inputs=inputs,
        prompt_tokens=_count(inputs),
        dimensions=dimensions,
        base64=encoding == "base64",
        manner=manner,
    )


def entries(asked: EmbeddingsRequest) -> Iterator[bytes]:
    """The object of each input, one at a time: together they may be a second's work."""
    for index, given in enumerate(asked.inputs):
        if isinstance(given, str):
            vector = vectors.of_text(given, asked.dimensions)
        else:
            vector = vectors.of_tokens(given, asked.dimensions)
        packed = struct.pack(f"<{len(vector)}f", *vector)
        # Numbers are what base64 holds, too: rounded to single precision.
        shown = b64encode(packed).decode() if asked.base64 else struct.unpack(f"<{len(vector)}f", packed)
        yield orjson.dumps({"object": "embedding", "index": index, "embedding": shown})


def answer(asked: EmbeddingsRequest, made: Sequence[bytes]) -> bytes:
    """The whole answer around `made`, the entries in order."""
    used = {"prompt_tokens": asked.prompt_tokens, "total_tokens": asked.prompt_tokens}
    rest = orjson.dumps({"model": asked.model, "usage": used})
    return b'{"object":"list","data":[' + b",".join(made) + b"]," + rest[1:]


def _inputs(fields: Fields) -> tuple[Input, ...]:
    value = fields.get(_INPUT)
    if value is None:
        raise missing(_INPUT)
    if isinstance(value, str):
        return (_text(value, _INPUT),)
    if not isinstance(value, list):
        raise wrong_type(_INPUT, _EXPECTED, value)
    if not value:
        raise _empty_array(_INPUT)
    if isinstance(value[0], int):
        return (_tokens(value, _INPUT),)
    if len(value) > MOST_INPUTS:
        raise RequestError(
            f"Invalid '{_INPUT}': array too long. Expected an array with maximum length {MOST_INPUTS}, "
            f"but got an array with length {len(value)} instead.",
            param=_INPUT,
            code="array_above_max_length",
        )
    one = _text if isinstance(value[0], str) else _tokens
    return tuple(one(entry, f"{_INPUT}[{index}]") for index, entry in enumerate(value))


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise wrong_type(path, "a string", value)
    if not value:
        raise RequestError(
            f"Invalid '{path}': input cannot be an empty string.", param=path, code="empty_string"
        )
    return value


def _tokens(value: Any, path: str) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise wrong_type(path, "a string or an array of integers", value)
    if not value:
        raise _empty_array(path)
    for index, token in enumerate(value):
        if isinstance(token, bool) or not isinstance(token, int):
            raise wrong_type(f"{path}[{index}]", "an integer", token)
        check_range(f"{path}[{index}]", "integer", token, 0, _HIGHEST_TOKEN)
    return tuple(value)


def _empty_array(path: str) -> RequestError:
    return RequestError(
        f"Invalid '{path}': empty array. Expected an array with minimum length 1, but got an empty array "
        "instead.",
        param=path,
        code="empty_array",
    )


def _count(inputs: Sequence[Input]) -> int:
    counts = [text_tokens(given.encode()) if isinstance(given, str) else len(given) for given in inputs]
    longest, together = max(counts), sum(counts)
    if longest > MOST_INPUT_TOKENS:
        raise RequestError(
            f"This model's maximum context length is {MOST_INPUT_TOKENS} tokens, however you requested "
            f"{longest} tokens ({longest} in your prompt; 0 for the completion). Please reduce your prompt; "
            "or completion length."
        )
    if together > MOST_TOKENS:
        raise RequestError(
            f"Invalid '{_INPUT}': maximum request size is {MOST_TOKENS} tokens per request.",
            param=_INPUT,
            code="max_tokens_per_request",
        )
    return together
