"""Recorded provider traffic, when it lies beside the project: a conformance set that is not part of it.

Also the plainest possible reading of server-sent events, line by line, as a second opinion on ours.
"""

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Final, cast

import orjson
import pytest
from _pytest.mark import ParameterSet

from providers.dialects import Native
from providers.registry import REGISTRY

DIRECTORY: Final = Path(__file__).resolve().parents[3] / "shared" / "recordings"

# Recorded under another name than the adapter's.
_ADAPTERS: Final[Mapping[str, str]] = {"qwen": "dashscope"}

_LINE: Final = re.compile(rb"([^\r\n]*)(\r\n|\r|\n|\Z)")


@dataclass(frozen=True, slots=True)
class Recording:
    """One exchange with a provider.

    Attributes:
        request: the JSON the client sent; empty when it was not recorded.
        body: what the provider answered, as it came.
        chunk_lens: lengths of the pieces in which it came, where they were recorded.
    """

    id: str
    provider: str
    endpoint: str
    stream: bool
    status: int
    features: frozenset[str]
    headers: Mapping[str, str]
    request: Mapping[str, Any]
    body: bytes
    chunk_lens: tuple[int, ...]

    @property
    def adapter(self) -> str:
        """The adapter of its provider, or that of any compatible URL."""
        name = _ADAPTERS.get(self.provider, self.provider)
        return name if name in REGISTRY else "openai"

    @property
    def dialect(self) -> Native:
        """What that adapter speaks; recordings of chat completions are of a dialect that clients speak, too."""
        return cast("Native", REGISTRY[self.adapter].dialect)

    @property
    def choices(self) -> int:
        """How many answers were asked for."""
        return self.request.get("n") or 1

    def __repr__(self) -> str:
        return f"<{self.id}>"


@cache
def chat_streams() -> tuple[Recording, ...]:
    """Every streamed chat completion; none when there is no set."""
    return load(
        lambda entry: entry["endpoint"] == "chat.completions" and entry["stream"] and entry["status"] == 200
    )


@cache
def chat_errors() -> tuple[Recording, ...]:
    """Every error answer to a chat completion; none when there is no set."""
    return load(lambda entry: entry["endpoint"] == "chat.completions" and entry["status"] >= 400)


@cache
def chat_answers() -> tuple[Recording, ...]:
    """Every plain chat completion; none when there is no set."""
    return load(
        lambda entry: (
            entry["endpoint"] == "chat.completions" and not entry["stream"] and entry["status"] == 200
        )
    )


@cache
def embeddings() -> tuple[Recording, ...]:
    """Every answer to a request for embeddings; none when there is no set."""
    return load(lambda entry: entry["endpoint"] == "embeddings" and entry["status"] == 200)


@cache
def observed() -> Mapping[str, Mapping[str, Any]]:
    """What the vendor's own package made of a recording, by its id; empty when there is no set."""
    if not DIRECTORY.is_dir():
        return {}
    noted = orjson.loads((DIRECTORY / "observed.json").read_bytes())
    return {name: entry["observed"] for name, entry in noted.items()}


def parameters(recordings: Sequence[Recording]) -> list[ParameterSet]:
    """One test each; one skipped test when there is no set."""
    if not DIRECTORY.is_dir():
        absent = pytest.mark.skip(reason="no recorded exchanges beside the project")
        return [pytest.param(None, marks=absent, id="absent")]
    assert recordings, "the recorded exchanges hold none of this kind"
    return [pytest.param(recording, id=recording.id) for recording in recordings]


def frames_of(body: bytes) -> list[bytes]:
    """The frames of a stream, each with its blank line; the last may lack it."""
    frames: list[bytes] = []
    under_way = b""
    for match in _LINE.finditer(body):
        under_way += match[0]
        if not match[1] and match[2]:
            frames.append(under_way)
            under_way = b""
    return [*frames, under_way] if under_way else frames


def data_of(frame: bytes) -> bytes | None:
    """The data of a frame; `None` when it has none."""
    found = None
    for match in _LINE.finditer(frame.removeprefix(b"\xef\xbb\xbf")):
        name, _, value = match[1].partition(b":")
        if name == b"data":
            value = value.removeprefix(b" ")
            found = value if found is None else found + b"\n" + value
    return found


def chunk_of(frame: bytes) -> dict[str, Any] | None:
    """The JSON of a frame; `None` for comments and the end mark."""
    data = data_of(frame)
    if data is None or not data.strip() or data.strip() == b"[DONE]":
        return None
    chunk: dict[str, Any] = orjson.loads(data)
    return chunk


def cut(body: bytes, positions: Iterable[int]) -> list[bytes]:
    """`body` in pieces, cut at `positions`; no piece is empty."""
    borders = [0, *sorted({at for at in positions if 0 < at < len(body)}), len(body)]
    return [body[start:end] for start, end in pairwise(borders) if start < end]


def sweep(body: bytes) -> Iterator[list[bytes]]:
    """`body` in pieces, time and again, until it has been cut at each of its bytes.

    Once for each place in a frame: the first time all frames are cut before their first byte, then behind it, and so
    on. So each piece but the first is the rest of one frame and the beginning of the next, as busy connections deliver.
    """
    frames = frames_of(body)
    starts = [0, *accumulate(len(frame) for frame in frames)]
    for offset in range(max(len(frame) for frame in frames)):
        yield cut(
            body,
            [start + offset for start, frame in zip(starts, frames, strict=False) if offset < len(frame)],
        )


def load(wanted: Callable[[Mapping[str, Any]], bool]) -> tuple[Recording, ...]:
    """Those whose entry in the index is wanted; none when there is no set."""
    if not DIRECTORY.is_dir():
        return ()
    index = orjson.loads((DIRECTORY / "index.json").read_bytes())
    return tuple(_read(DIRECTORY / entry["file"]) for entry in index if wanted(entry))


def _read(path: Path) -> Recording:
    exchange = orjson.loads(path.read_bytes())
    response = exchange["response"]
    text = response.get("body_text")
    body = base64.b64decode(response["body_b64"]) if text is None else text.encode()
    assert response["body_bytes"] == len(body), path.name
    request = (exchange.get("request") or {}).get("body")
    return Recording(
        id=exchange["id"],
        provider=exchange["provider"],
        endpoint=exchange["endpoint"],
        stream=exchange["stream"],
        status=response["status"],
        features=frozenset(exchange["features"]),
        headers=response.get("headers") or {},
        request=request if isinstance(request, dict) else {},
        body=body,
        chunk_lens=tuple(response.get("chunk_lens") or ()),
    )
