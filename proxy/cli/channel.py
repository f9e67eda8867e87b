"""Messages between the supervisor and a worker, over a pair of connected sockets.

A message is a length (4 bytes, big-endian) and a pickle: both ends are our own processes, of one program, and nobody
else holds the sockets.
"""

import asyncio
import pickle
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, NamedTuple

_LENGTH: Final = struct.Struct(">I")

Answering = Callable[[str, Any], Awaitable[Any]]


class ChannelLost(Exception):
    """The process at the other end is gone."""


class _Message(NamedTuple):
    """`number` pairs an answer with its question; `failed` marks an answer that is an exception."""

    kind: Literal["tell", "ask", "answer"]
    number: int
    subject: str
    content: Any
    failed: bool = False


class Channel(asyncio.Protocol):
    """One end. What is told arrives in order, and is acted on in order as far as it does not wait.

    Attributes:
        lost: set when the other end is gone.
    """

    def __init__(self, heard: Callable[[str, Any], None], asked: Answering) -> None:
        """
        Args:
            heard: called with subject and content of what the other end tells.
            asked: awaited for what it asks; what it returns or raises is the answer.
        """
        self._heard = heard
        self._asked = asked
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._number = 0
        self._awaited: dict[int, asyncio.Future[Any]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self.lost = asyncio.Event()

    async def open(self, sock: socket.socket) -> None:
        """Begin to speak over one of the two sockets."""
        sock.setblocking(False)  # noqa: FBT003 - the standard library's signature
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=sock)

    def close(self) -> None:
        """Say nothing more; what was said still arrives."""
        if self._transport is not None:
            self._transport.close()

    def tell(self, subject: str, content: Any = None) -> None:
        """Say it; whether it is heard is not known."""
        self._send(_Message("tell", 0, subject, content))

    async def ask(self, subject: str, content: Any = None, *, limit_s: float) -> Any:
        """What the other end answers.

        Raises:
            ChannelLost: it is gone.
            TimeoutError: no answer within `limit_s`.
            Exception: whatever the other end raised instead of answering.
        """
        if self.lost.is_set():
            raise ChannelLost
        self._number += 1
        number = self._number
        future = self._awaited[number] = asyncio.get_running_loop().create_future()
        self._send(_Message("ask", number, subject, content))
        try:
            async with asyncio.timeout(limit_s):
                return await future
        finally:
            del self._awaited[number]

    # The event loop calls these.

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._buffer)
            end = _LENGTH.size + size
            if len(self._buffer) < end:
                return
            message = pickle.loads(self._buffer[_LENGTH.size : end])  # noqa: S301 - from our own process
            del self._buffer[:end]
            self._take(message)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.lost.set()
        for future in self._awaited.values():
            if not future.done():
                future.set_exception(ChannelLost())

    def _take(self, message: _Message) -> None:
        if message.kind == "tell":
            self._heard(message.subject, message.content)
        elif message.kind == "ask":
            task = asyncio.get_running_loop().create_task(self._answer(message))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        else:
            future = self._awaited.get(message.number)
            if future is None or future.done():  # it was no longer waited for
                return
            if message.failed:
                future.set_exception(message.content)
            else:
                future.set_result(message.content)

    async def _answer(self, question: _Message) -> None:
        try:
            content, failed = await self._asked(question.subject, question.content), False
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever asked gets to know
            content, failed = error, True
        self._send(_Message("answer", question.number, question.subject, content, failed))

    def _send(self, message: _Message) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(packed(message))


def packed(message: _Message) -> bytes:
    """A message as it is sent."""
    body = pickle.dumps(message)
    return _LENGTH.pack(len(body)) + body


def first_told(sock: socket.socket) -> Any:
    """Wait for the first thing that is told, before there is an event loop.

    Raises:
        ChannelLost: the other end is gone.
    """
    message = pickle.loads(_exactly(sock, *_LENGTH.unpack(_exactly(sock, _LENGTH.size))))  # noqa: S301 - ours
    return message.content


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise ChannelLost
        data += part
    return bytes(data)
