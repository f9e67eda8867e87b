"""Amazon's event streams (`application/vnd.amazon.eventstream`): bytes in, messages out, each checked.

A message: its length and that of its headers (4 bytes each, big-endian), a CRC32 of these eight bytes, headers,
payload, a CRC32 of all before it (docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html and
smithy.io/2.0/aws/amazon-eventstream.html, November 2026).
"""

from collections.abc import Iterator, Mapping
from struct import Struct, error
from typing import Final, NamedTuple
from uuid import UUID
from zlib import crc32

MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""As for any other frame."""

MAX_HEADERS_BYTES: Final = 128 * 1024
"""The format's own limit."""

_PRELUDE: Final = Struct(">III")
_CRC: Final = Struct(">I")
_LENGTH: Final = Struct(">H")
_WHOLE: Final[Mapping[int, Struct]] = {2: Struct(">b"), 3: Struct(">h"), 4: Struct(">i"), 5: Struct(">q")}
_LEAST_BYTES: Final = _PRELUDE.size + _CRC.size
_KEPT_HEADERS: Final = 64  # a stream has a handful of different ones

HeaderValue = bool | int | bytes | str | UUID
"""A timestamp is a whole number: milliseconds since 1970."""


class BadMessage(ValueError):
    """What came is no message: a wrong checksum, or lengths that cannot be."""


class Message(NamedTuple):
    """One message of a stream."""

    headers: Mapping[str, HeaderValue]
    payload: bytes

    def text(self, name: str) -> str:
        """A header's value; empty when it is missing or no text."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else ""


class Splitter:
    """Bytes in, whole messages out. One per response; of no use once it has raised."""

    __slots__ = ("_headers", "_held")

    def __init__(self) -> None:
        self._held = bytearray()
        self._headers: dict[bytes, Mapping[str, HeaderValue]] = {}

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that `data` completes; to be read to the end.

        Raises:
            BadMessage: the next one is none. Those before it have been given.
        """
        held = self._held
        held += data
        start = 0
        try:
            while len(held) - start >= _PRELUDE.size:
                total, headers_len, checksum = _PRELUDE.unpack_from(held, start)
                if crc32(held[start : start + 8]) != checksum:
                    raise BadMessage("the prelude of a message does not match its checksum")
                if total > MAX_MESSAGE_BYTES:
                    raise BadMessage(f"a message is larger than {MAX_MESSAGE_BYTES} bytes")
                if headers_len > MAX_HEADERS_BYTES or total < _LEAST_BYTES + headers_len:
                    raise BadMessage("the lengths of a message do not fit")
                if len(held) - start < total:
                    return
                message = bytes(held[start : start + total])
                start += total
                yield self._checked(message, headers_len)
        finally:
            del held[:start]

    def close(self) -> bytes:
        """What is left at the end of the body: an unfinished message, or nothing."""
        rest = bytes(self._held)
        self._held.clear()
        return rest

    def _checked(self, message: bytes, headers_len: int) -> Message:
        end = len(message) - _CRC.size
        (checksum,) = _CRC.unpack_from(message, end)
        if crc32(message[:end]) != checksum:
            raise BadMessage("a message does not match its checksum")
        border = _PRELUDE.size + headers_len
        raw = message[_PRELUDE.size : border]
        headers = self._headers.get(raw)
        if headers is None:
            headers = parse_headers(raw)
            if len(self._headers) < _KEPT_HEADERS:
                self._headers[raw] = headers
        return Message(headers, message[border:end])


def parse_headers(raw: bytes) -> Mapping[str, HeaderValue]:
    """The headers of a message, of all ten types.

    Raises:
        BadMessage: they end in the middle, or are of a type that does not exist.
    """
    headers: dict[str, HeaderValue] = {}
    at = 0
    try:
        while at < len(raw):
            value_at = at + 1 + raw[at]
            name = raw[at + 1 : value_at].decode()
            headers[name], at = _value(raw[value_at], raw, value_at + 1)
    except (IndexError, UnicodeDecodeError, error):
        raise BadMessage("the headers of a message cannot be read") from None
    return headers


def _value(kind: int, raw: bytes, at: int) -> tuple[HeaderValue, int]:
    """A value and where the next header starts."""
    match kind:
        case 0 | 1:
            return kind == 0, at
        case 2 | 3 | 4 | 5:
            whole = _WHOLE[kind]
            return whole.unpack_from(raw, at)[0], at + whole.size
        case 6 | 7:
            (length,) = _LENGTH.unpack_from(raw, at)
            value = _exactly(raw, at + _LENGTH.size, length)
            return value if kind == 6 else value.decode(), at + _LENGTH.size + length
        case 8:
            return _WHOLE[5].unpack_from(raw, at)[0], at + 8
        case 9:
            return UUID(bytes=_exactly(raw, at, 16)), at + 16
        case _:
            raise BadMessage(f"a header has the unknown type {kind}")


def _exactly(raw: bytes, at: int, length: int) -> bytes:
    value = raw[at : at + length]
    if len(value) != length:
        raise IndexError
    return value
