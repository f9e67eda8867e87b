"""A raw HTTP client: reads as slowly as the test wants, or not at all, or leaves; notes when each piece came."""

import asyncio
import socket
import struct
from dataclasses import dataclass, field
from typing import Any, Final, Self

import httptools
import orjson

from tests.support.scripted import WAIT_S

_READ_BYTES: Final = 64 * 1024
_RESET: Final = struct.pack("ii", 1, 0)


@dataclass
class Answer:
    """What came back.

    Attributes:
        headers: names in lower case; of a repeated one the last.
        pieces: arrival on the loop's clock, and bytes of the body.
        complete: the body was terminated as HTTP wants it.
        ended: nothing more comes: complete, or the connection is closed.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    complete: bool = False
    ended: bool = False

    @property
    def body(self) -> bytes:
        return b"".join(piece for _, piece in self.pieces)

    @property
    def members(self) -> dict[str, Any]:
        """The body as one JSON object."""
        members = orjson.loads(self.body)
        assert isinstance(members, dict)
        return members

    @property
    def frames(self) -> list[bytes]:
        """The frames of an event stream whose lines end in LF, each with its blank line."""
        whole, rest = self.body.rsplit(b"\n\n", 1) if b"\n\n" in self.body else (b"", self.body)
        assert rest == b"", f"the stream ends inside a frame: {rest!r}"
        return [piece + b"\n\n" for piece in whole.split(b"\n\n")] if whole else []

    @property
    def chunks(self) -> list[dict[str, Any]]:
        """The JSON of its frames; comments and the end mark left out."""
        return [
            orjson.loads(each[6:]) for each in self.frames if each.startswith(b"data: ") and each[6:7] == b"{"
        ]

    @property
    def text(self) -> str:
        """All text of choice 0."""
        choices = [choice for chunk in self.chunks for choice in chunk["choices"] if choice["index"] == 0]
        return "".join(choice["delta"].get("content") or "" for choice in choices)


class RawClient:
    """One connection to the gateway. Nothing is read but on demand."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self.answer = Answer()

    @classmethod
    async def connect(cls, port: int, *, receive_buffer_bytes: int | None = None) -> Self:
        """`receive_buffer_bytes` bounds what the kernel takes for a client that does not read."""
        sock = socket.socket()
        sock.settimeout(0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        except OSError:
            sock.close()
            raise
        return cls(sock)

    @property
    def port(self) -> int:
        """The client's own."""
        number: int = self._sock.getsockname()[1]
        return number

    async def send(self, data: bytes) -> None:
        await asyncio.wait_for(self._loop.sock_sendall(self._sock, data), WAIT_S)

    async def read_some(self, within_s: float = WAIT_S, *, at_most_bytes: int = _READ_BYTES) -> None:
        """Read once and note what came."""
        data = await asyncio.wait_for(self._loop.sock_recv(self._sock, at_most_bytes), within_s)
        if data:
            self._parser.feed_data(data)
        else:
            self.answer.ended = True

    async def read_until(self, mark: bytes, within_s: float = WAIT_S) -> Answer:
        """Read until the body holds `mark`."""
        async with asyncio.timeout(within_s):
            while mark not in self.answer.body:
                assert not self.answer.ended, f"{mark!r} never came: {self.answer.body!r}"
                await self.read_some(within_s)
        return self.answer

    async def read_head(self, within_s: float = WAIT_S) -> Answer:
        """Read until the status line and the headers are here."""
        async with asyncio.timeout(within_s):
            while not self.answer.status and not self.answer.ended:
                await self.read_some(within_s)
        return self.answer

    async def read_all(self, within_s: float = WAIT_S) -> Answer:
        """Read until the answer is complete or the connection ends."""
        async with asyncio.timeout(within_s):
            while not self.answer.ended:
                await self.read_some(within_s)
        return self.answer

    def next_answer(self) -> None:
        """Forget the answer, for another one on this connection."""
        self.answer = Answer()

    def half_close(self) -> None:
        """FIN, while the socket stays open for reading."""
        self._sock.shutdown(socket.SHUT_WR)

    def leave(self) -> None:
        """Close the connection: FIN, or RST when something was left unread."""
        self._sock.close()

    def reset(self) -> None:
        """Close the connection with a RST."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._sock.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._sock.close()

    # httptools calls these.

    def on_header(self, name: bytes, value: bytes) -> None:
        self.answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.answer.status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        self.answer.pieces.append((self._loop.time(), data))

    def on_message_complete(self) -> None:
        self.answer.complete = True
        self.answer.ended = True


def http_request(
    method: str, path: str, *, headers: dict[str, str] | None = None, body: bytes | None = None
) -> bytes:
    """The bytes of a request; `content-length` is added where there is a body."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body is not None:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")
