"""The fake upstream: chat streams from bytes made ahead, on a bare asyncio.Protocol.

It speaks OpenAI's dialect, and at `/v1/messages` Anthropic's.

    python -m tests.bench.fake --key test-upstream-key-0001

prints the port it listens on. `POST /control {"chunks": 100, "interval_ms": 20}` changes the streams that
follow; `GET /stats` tells what was really asked. A content chunk is one write: one segment on the loopback.
"""

import argparse
import asyncio
import os
import sys
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import httptools
import orjson
import uvloop

from tests.bench import wire

FAULTS = (
    "none",
    "wrong_text",
    "missing_word",
    "missing_finish",
    "missing_usage",
    "missing_done",
    "cut",
    "error_frame",
)


@dataclass(frozen=True, slots=True)
class Knobs:
    """What streams are like: content chunks, pause between two of them, and what is wrong with each."""

    chunks: int = 50
    interval_ms: float = 0
    fault: str = "none"


@dataclass(slots=True)
class Stats:
    """What was asked since the start. `aborted` are streams whose client left."""

    plain: int = 0
    streams: int = 0
    completed: int = 0
    aborted: int = 0
    rejected: int = 0
    connections: int = 0


class Fake:
    """The state all connections share."""

    def __init__(self, key: str) -> None:
        self.authorization = b"Bearer " + key.encode()
        self.key = key.encode()
        self.knobs = Knobs()
        self.stats = Stats()
        self.words = [wire.http_chunk(wire.word_frame(index)) for index in range(wire.DISTINCT_WORDS)]
        self.foreign_words = [
            wire.http_chunk(wire.foreign_word(index)) for index in range(wire.DISTINCT_WORDS)
        ]
        self.foreign_opening = wire.STREAM_HEAD + wire.http_chunk(wire.foreign_opening())
        self.opening = wire.STREAM_HEAD + wire.http_chunk(wire.role_frame())
        self.plain = wire.http_response(200, wire.plain_body())
        self.wrong_plain = wire.http_response(200, wire.plain_body("something else"))

    async def listen(self, port: int = 0) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: Connection(self, loop), "127.0.0.1", port, backlog=4096)

    def ending(self, knobs: Knobs, *, include_usage: bool) -> bytes:
        frames = b"" if knobs.fault == "missing_finish" else wire.http_chunk(wire.finish_frame())
        if include_usage and knobs.fault != "missing_usage":
            frames += wire.http_chunk(wire.usage_frame(knobs.chunks))
        if knobs.fault == "error_frame":
            frames += wire.http_chunk(b'data: {"error":{"message":"broken","code":500}}\n\n')
        if knobs.fault != "missing_done":
            frames += wire.http_chunk(wire.DONE)
        return frames + wire.END_OF_BODY


class Connection(asyncio.Protocol):
    """One connection of the thing measured; requests come one after the other."""

    def __init__(self, fake: Fake, loop: asyncio.AbstractEventLoop) -> None:
        self._fake = fake
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)
        self._knobs = fake.knobs
        self._timer: asyncio.TimerHandle | None = None
        self._streaming = False
        self._include_usage = False
        self._foreign = False
        self._next_word = 0
        self._next_at_s = 0.0
        self._queueing = False
        self.on_message_begin()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._descriptor = transport.get_extra_info("socket").fileno()
        self._fake.stats.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._timer is not None:
            self._timer.cancel()
        if self._streaming:
            self._streaming = False
            self._fake.stats.aborted += 1

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_message_begin(self) -> None:
        self._path = b""
        self._authorization = b""
        self._body: list[bytes] = []

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() in (b"authorization", b"x-api-key"):
            self._authorization = value

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        self._queueing = False
        if self._path == b"/health":
            self._send(wire.http_response(200, b"{}"))
        elif self._path == b"/stats":
            self._send(wire.http_response(200, orjson.dumps(asdict(self._fake.stats))))
        elif self._path == b"/control":
            self._fake.knobs = replace(self._fake.knobs, **orjson.loads(b"".join(self._body)))
            self._send(wire.http_response(200, b"{}"))
        else:
            self._chat()

    def _chat(self) -> None:
        native = (self._path, self._authorization) == (b"/v1/chat/completions", self._fake.authorization)
        self._foreign = (self._path, self._authorization) == (b"/v1/messages", self._fake.key)
        if not native and not self._foreign:
            self._fake.stats.rejected += 1
            self._send(
                wire.http_response(401, b'{"error":{"message":"wrong path or key","code":"rejected"}}')
            )
            return
        asked: dict[str, Any] = orjson.loads(b"".join(self._body))
        self._knobs = self._fake.knobs
        if not asked.get("stream"):
            self._fake.stats.plain += 1
            self._send(self._fake.wrong_plain if self._knobs.fault == "wrong_text" else self._fake.plain)
            return
        self._fake.stats.streams += 1
        self._include_usage = bool((asked.get("stream_options") or {}).get("include_usage"))
        self._streaming, self._next_word = True, 0
        self._send(self._fake.foreign_opening if self._foreign else self._fake.opening)
        self._next_at_s = self._loop.time()
        self._speak()

    def _speak(self) -> None:
        """Send the words that are due; all of them when there is no pause between."""
        pause_s = self._knobs.interval_ms / 1000
        while self._next_word < self._knobs.chunks and self._streaming:
            if self._knobs.fault == "cut" and self._next_word == self._knobs.chunks // 2:
                self._transport.close()
                return
            if self._knobs.fault != "missing_word" or self._next_word != self._knobs.chunks // 2:
                words = self._fake.foreign_words if self._foreign else self._fake.words
                self._send(words[self._next_word % wire.DISTINCT_WORDS])
            self._next_word += 1
            if pause_s and self._next_word < self._knobs.chunks:
                self._next_at_s += pause_s
                self._timer = self._loop.call_at(self._next_at_s, self._speak)
                return
        if self._streaming:
            self._streaming = False
            self._fake.stats.completed += 1
            if self._foreign:
                ending = wire.http_chunk(wire.foreign_ending(self._knobs.chunks)) + wire.END_OF_BODY
            else:
                ending = self._fake.ending(self._knobs, include_usage=self._include_usage)
            self._send(ending)

    def _send(self, data: bytes) -> None:
        """One system call at once: a transport of uvloop would join the writes of one turn of the loop."""
        if not self._queueing:
            try:
                sent = os.write(self._descriptor, data)
            except BlockingIOError:
                sent = 0
            except OSError:  # the client is gone; connection_lost follows and counts it
                self._transport.abort()
                return
            if sent == len(data):
                return
            # What the socket did not take goes through the transport, and all that follows it too.
            self._queueing, data = True, data[sent:]
        self._transport.write(data)


async def serve(key: str, port: int) -> None:
    server = await Fake(key).listen(port)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--key", required=True, help="the key callers must present")
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    uvloop.run(serve(given.key, given.port))


if __name__ == "__main__":
    main()
