"""Amazon's event streams: cut anywhere, checked, and bounded."""

import struct
from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from providers.framing.eventstream import MAX_MESSAGE_BYTES, BadMessage, Message, Splitter, parse_headers
from tests.support.foreign import exchanges, ways
from tests.support.recordings import Recording, cut, parameters

STREAMS: Final = exchanges("bedrock", "converse-stream", "invoke-with-response-stream", stream=True)

# Written by hand after the format's page; botocore reads it as `TYPES` says.
EVERY_TYPE: Final = bytes.fromhex(
    "00000086000000740cec2f7e0379657300026e6f01046279746502ff0573686f727403fffe07696e746567657204fffffffd046c6f6e67"
    "05fffffffffffffffc05627974657306000200ff06737472696e67070002c3a90974696d657374616d70080000018bcfe5687b04757569"
    "64090102030405060708090a0b0c0d0e0f107b7d66c9e887"
)
TYPES: Final[Mapping[str, object]] = {
    "yes": True,
    "no": False,
    "byte": -1,
    "short": -2,
    "integer": -3,
    "long": -4,
    "bytes": b"\x00\xff",
    "string": "é",
    "timestamp": 1_700_000_000_123,
    "uuid": UUID("01020304-0506-0708-090a-0b0c0d0e0f10"),
}


def framed(headers: bytes, payload: bytes) -> bytes:
    """A message, written without this project's code."""
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", crc32(prelude)) + headers + payload
    return message + struct.pack(">I", crc32(message))


def read(pieces: Iterable[bytes]) -> tuple[list[Message], bytes]:
    """The messages and what is left."""
    splitter = Splitter()
    return [message for piece in pieces for message in splitter.feed(piece)], splitter.close()


def of_botocore(body: bytes) -> list[tuple[dict[str, Any], bytes]]:
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    return [(event.headers, event.payload) for event in buffer]


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_recorded_streams(recording: Recording) -> None:
    """Every recorded stream is cut as AWS' own package cuts it, however it arrives."""
    expected = of_botocore(recording.body)
    assert expected
    for pieces in ways(recording.body):
        messages, rest = read(pieces)
        assert expected == [(dict(message.headers), message.payload) for message in messages]
        assert b"" == rest


def test_headers_of_every_type() -> None:
    """All ten types of headers are read, and read as AWS' own package does, but for the shape of a UUID."""
    ((headers, payload),), rest = read([EVERY_TYPE])
    assert (TYPES, b"{}", b"") == (headers, payload, rest)
    ((theirs, _),) = of_botocore(EVERY_TYPE)
    assert theirs == {**headers, "uuid": bytes(range(1, 17))}


def test_texts_of_headers() -> None:
    """A header that is missing or no text says nothing."""
    ((message,), _) = read([EVERY_TYPE])
    assert ["é", "", ""] == [message.text(name) for name in ("string", "long", ":event-type")]


@pytest.mark.parametrize(
    "message",
    [
        bytes.fromhex("000000100000000005c248eb7d98c8ff"),
        framed(b"", b"x" * 70_000),
    ],
    ids=["empty", "long"],
)
def test_messages_without_headers(message: bytes) -> None:
    """They are messages like others."""
    ((only,), rest) = read(cut(message, range(0, len(message), 1000)))
    assert ({}, message[12:-4], b"") == (only.headers, only.payload, rest)


@pytest.mark.parametrize("at", range(len(EVERY_TYPE)))
def test_every_damaged_byte_is_seen(at: int) -> None:
    """No byte can be changed without notice; what came before the message has been given."""
    damaged = bytearray(EVERY_TYPE)
    damaged[at] ^= 0x10
    splitter = Splitter()
    found: list[Message] = []
    with pytest.raises(BadMessage):
        found.extend(splitter.feed(EVERY_TYPE + bytes(damaged) + EVERY_TYPE))
    assert 1 == len(found)


@pytest.mark.parametrize(
    ("total", "headers_len"),
    [
        (15, 0),
        (0, 0),
        (20, 5),
        (MAX_MESSAGE_BYTES + 1, 0),
        (2**32 - 1, 2**32 - 1),
        (1 << 20, (128 << 10) + 1),
    ],
)
def test_lengths_that_cannot_be(total: int, headers_len: int) -> None:
    """A message is refused by its first twelve bytes: nothing is gathered for it."""
    prelude = struct.pack(">II", total, headers_len)
    with pytest.raises(BadMessage):
        read([prelude + struct.pack(">I", crc32(prelude))])


@pytest.mark.parametrize(
    "raw", [b"\x05ab", b"\x01a", b"\x01a\x0a", b"\x01a\x04\x00", b"\x01a\x07\x00\x05abc", b"\x01\xff\x00"]
)
def test_headers_that_end_too_early(raw: bytes) -> None:
    """Headers that cannot be read make the message a bad one, checksum or not."""
    with pytest.raises(BadMessage):
        parse_headers(raw)
    with pytest.raises(BadMessage):
        read([framed(raw, b"")])


def test_an_unfinished_message_is_left() -> None:
    """What is left at the end is given back, once."""
    splitter = Splitter()
    assert 1 == len(list(splitter.feed(EVERY_TYPE + EVERY_TYPE[:-1])))
    assert [EVERY_TYPE[:-1], b""] == [splitter.close(), splitter.close()]


@given(
    st.lists(st.tuples(st.sampled_from([b"", b"\x01a\x00"]), st.binary(max_size=40)), max_size=5), st.data()
)
def test_any_cut(parts: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    """Messages come out whole wherever the stream is cut."""
    body = b"".join(framed(headers, payload) for headers, payload in parts)
    spots = data.draw(st.lists(st.integers(0, max(len(body), 1)), max_size=8))
    messages, rest = read(cut(body, spots))
    assert [payload for _, payload in parts] == [message.payload for message in messages]
    assert b"" == rest


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_any_bytes(pieces: list[bytes]) -> None:
    """Any bytes are messages, or refused as none; nothing else is raised."""
    try:
        read(pieces)
    except BadMessage:
        return
