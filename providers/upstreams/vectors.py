"""Embeddings of other dialects in OpenAI's shape."""

import base64
import sys
from array import array
from collections.abc import Sequence

import orjson

from providers.types import Canonical, Completion, Usage


def answer(
    vectors: Sequence[Sequence[float] | str], usage: Usage | None, request: Canonical | None
) -> Completion:
    """A whole answer.

    Args:
        vectors: in the order of the inputs; one that is a string is in base64 already.
        request: what was asked: its model, which these providers do not name, and its encoding; without it vectors
            stay as they are.
    """
    in_base64 = request is not None and request.members.get("encoding_format") == "base64"
    members = {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": in_bytes(vector) if in_base64 and not isinstance(vector, str) else vector,
            }
            for index, vector in enumerate(vectors)
        ],
        "model": "" if request is None else request.model,
        "usage": None if usage is None else dict(usage.reported),
    }
    return Completion(orjson.dumps(members), members, usage)


def in_bytes(vector: Sequence[float]) -> str:
    """Little-endian numbers of four bytes each, in base64, as OpenAI writes vectors."""
    numbers = array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()
