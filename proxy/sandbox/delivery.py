"""Answers on their way: what leaves when, and at what pace."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import ClassVar

from aiohttp import web

from proxy.sandbox.answers import DONE, Frames
from proxy.sandbox.failures import Where


@dataclass(frozen=True, slots=True)
class Plain:
    """One JSON object."""

    body: bytes
    headers: Mapping[str, str]

    pace_ms: ClassVar[float] = 0
    content_type: ClassVar[str] = "application/json"
    # Blank lines before the object are what some providers send meanwhile; `{}` is an answer that says nothing.
    idle: ClassVar[bytes] = b"\n"
    nothing: ClassVar[bytes] = b"{}"
    replaceable: ClassVar[bool] = True

    def beats(self) -> Iterator[bytes]:
        yield self.body

    def until(self, after: Where) -> Iterator[bytes]:
        """Nothing, the first half, or all: an object has no pieces."""
        if after == "finish":
            yield self.body
        elif isinstance(after, int) and after > 0:
            yield self.body[: len(self.body) // 2]

    def framed(self, body: bytes) -> bytes:
        return body


@dataclass(frozen=True, slots=True)
class Stream:
    """Server-sent events, `pace_ms` apart."""

    frames: Frames
    pace_ms: float
    headers: Mapping[str, str]

    content_type: ClassVar[str] = "text/event-stream"
    idle: ClassVar[bytes] = b": the sandbox is thinking\n\n"
    nothing: ClassVar[bytes] = DONE
    replaceable: ClassVar[bool] = False

    def beats(self) -> Iterator[bytes]:
        return self.frames.beats()

    def until(self, after: Where) -> Iterator[bytes]:
        """What leaves before `after`; never more than the answer's pieces, nor usage and `[DONE]`."""
        if after in ("nothing", "headers"):
            return iter(())
        if after == "finish":
            return chain((self.frames.opening,), self.frames.pieces, (self.frames.finish,))
        assert isinstance(after, int)
        return chain((self.frames.opening,), islice(self.frames.pieces, after))

    def framed(self, body: bytes) -> bytes:
        return b"data: " + body + b"\n\n"


Answer = Plain | Stream


async def deliver(incoming: web.Request, answer: Answer) -> web.StreamResponse:
    """The whole answer, as it should be."""
    if isinstance(answer, Plain):
        return web.Response(body=answer.body, content_type=answer.content_type, headers=answer.headers)
    response = await begin(incoming, answer)
    await send(response, answer.beats(), answer.pace_ms)
    await response.write_eof()
    return response


async def begin(incoming: web.Request, answer: Answer) -> web.StreamResponse:
    """Status and headers have left; the body has no announced length."""
    response = web.StreamResponse(headers={**answer.headers, "cache-control": "no-cache"})
    response.content_type = answer.content_type
    if isinstance(answer, Stream):
        response.charset = "utf-8"
    await response.prepare(incoming)
    return response


async def send(response: web.StreamResponse, beats: Iterable[bytes], pace_ms: float) -> None:
    """One beat after the other, the opening and the first piece together."""
    clock = asyncio.get_running_loop().time
    due_s = clock()
    for number, beat in enumerate(beats):
        if number > 1:
            due_s += pace_ms / 1000
            # Without a pace this still lets others run between two pieces.
            await asyncio.sleep(max(0.0, due_s - clock()))
        await response.write(beat)
