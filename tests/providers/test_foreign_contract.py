"""The contract of foreign dialects, over every recorded stream: whatever the cuts, one clean stream of chunks."""

import random
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final
from zlib import crc32

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.clients.openai_chat import OpenAIChat as Client
from providers.dialects import Translation, Upstream
from providers.events import Broken, Event
from providers.registry import REGISTRY
from providers.types import Frame
from tests.support.recordings import Recording, chunk_of, cut, data_of, frames_of, parameters
from tests.support.translating import ADAPTERS, foreign_answers, foreign_streams

CLIENT: Final = Client()
STREAMS: Final = parameters(foreign_streams())
REASONS: Final = {"stop", "length", "tool_calls", "content_filter"}
REQUIRED: Final = {"id", "object", "created", "model", "choices"}


def dialect_of(recording: Recording) -> Upstream:
    return REGISTRY[ADAPTERS[recording.provider, recording.endpoint]].dialect


def translated(recording: Recording, pieces: Iterable[bytes]) -> list[Frame]:
    renderer = CLIENT.renderer(answer_id="req-1", model="m", created_s=1)
    reader = Translation(dialect_of(recording).decoder(), renderer)
    frames = [frame for piece in pieces for frame in reader.feed(piece)]
    return [*frames, *reader.close()]


def said(recording: Recording, pieces: Iterable[bytes]) -> list[Event]:
    decoder = dialect_of(recording).decoder()
    found = [event for piece in pieces for event in decoder.feed(piece)]
    return [*found, *decoder.close()]


def bytes_of(frames: Iterable[Frame]) -> bytes:
    return b"".join(frame.raw for frame in frames)


def message_of(frames: Iterable[Frame]) -> dict[str, Any]:
    """What an OpenAI client makes of the frames."""
    message: dict[str, Any] = {"content": "", "reasoning": "", "details": 0, "calls": {}, "finish": None}
    for frame in frames:
        for choice in (chunk_of(frame.raw) or {"choices": []})["choices"]:
            delta = choice["delta"]
            message["content"] += delta.get("content") or ""
            message["reasoning"] += delta.get("reasoning_content") or ""
            message["details"] += bool(delta.get("reasoning_details"))
            for call in delta.get("tool_calls") or ():
                known = message["calls"].setdefault(call["index"], {"id": "", "name": "", "arguments": ""})
                known["id"] += call.get("id", "")
                known["name"] += call["function"].get("name", "")
                known["arguments"] += call["function"].get("arguments", "")
            if choice["finish_reason"]:
                assert message["finish"] is None, "one finish reason"
                message["finish"] = choice["finish_reason"]
    return message


def broken(recording: Recording) -> bool:
    return any(isinstance(event, Broken) for event in said(recording, [recording.body]))


@pytest.mark.parametrize("recording", STREAMS)
def test_complete_objects(recording: Recording) -> None:
    """Each chunk has every member OpenAI's schema requires; each answer one finish reason of OpenAI's, and usage."""
    frames = translated(recording, [recording.body])
    chunks = [chunk for frame in frames if (chunk := chunk_of(frame.raw)) is not None]
    failed = broken(recording)
    assert chunks or failed
    assert len(chunks[:1]) == len({(chunk["id"], chunk["model"]) for chunk in chunks})
    for chunk in chunks:
        assert REQUIRED <= chunk.keys()
        assert "chat.completion.chunk" == chunk["object"]
        for choice in chunk["choices"]:
            assert {"index", "delta", "finish_reason", "logprobs"} <= choice.keys()
    if failed:
        return
    message = message_of(frames)
    assert message["finish"] in REASONS
    assert bool(message["calls"]) == (message["finish"] == "tool_calls") or message["finish"] == "length"
    assert all(call["id"] and call["name"] for call in message["calls"].values())
    assert list(range(len(message["calls"]))) == sorted(message["calls"])
    usages = [frame.usage for frame in frames if frame.usage is not None]
    assert usages or message["finish"] == "content_filter"  # a prompt that is blocked may cost nothing
    assert (
        not usages or usages[-1].input_tokens >= usages[-1].cache_read_tokens + usages[-1].cache_write_tokens
    )


@pytest.mark.parametrize("recording", STREAMS)
def test_stream_and_plain_say_the_same(recording: Recording) -> None:
    """The message that a client gathers from the chunks is the one it would get in a plain answer."""
    if broken(recording):
        return
    gathered = message_of(translated(recording, [recording.body]))
    whole = CLIENT.assemble(said(recording, [recording.body]), answer_id="r", model="m", created_s=1)
    (choice,) = whole.members["choices"]
    message = choice["message"]
    assert (gathered["content"] or None) == message["content"]
    assert gathered["reasoning"] == message.get("reasoning_content", "")
    assert gathered["finish"] == choice["finish_reason"]
    calls = [gathered["calls"][index] for index in sorted(gathered["calls"])]
    assert calls == [{"id": call["id"], **call["function"]} for call in message.get("tool_calls", ())]


@pytest.mark.parametrize("recording", STREAMS)
def test_bytes(recording: Recording) -> None:
    """Byte by byte it is the same stream."""
    whole = bytes_of(translated(recording, [recording.body]))
    assert whole == bytes_of(translated(recording, cut(recording.body, range(len(recording.body)))))


@pytest.mark.parametrize("recording", STREAMS)
def test_cuts(recording: Recording) -> None:
    """At random cuts it is the same stream."""
    whole = bytes_of(translated(recording, [recording.body]))
    chance = random.Random(recording.id)
    for _ in range(20):
        spots = [chance.randrange(1, len(recording.body)) for _ in range(chance.randrange(1, 40))]
        assert whole == bytes_of(translated(recording, cut(recording.body, spots)))


@pytest.mark.skipif(not foreign_streams(), reason="no recorded exchanges beside the project")
@given(data=st.data())
def test_cuts_that_try_to_hurt(data: st.DataObject) -> None:
    """The same at cuts that are searched for, over all recordings."""
    recording = data.draw(st.sampled_from(foreign_streams()))
    spots = data.draw(st.lists(st.integers(1, len(recording.body) - 1), max_size=30))
    whole = bytes_of(translated(recording, [recording.body]))
    assert whole == bytes_of(translated(recording, cut(recording.body, spots)))


UNKNOWN: Final = {"some_day": {"deep": [1, None, "x"]}, "": 7}


def outermost(value: dict[str, Any]) -> dict[str, Any]:
    """An object with a member nobody knows; what is inside may be the client's, such as arguments of a call."""
    return value | UNKNOWN


def messages_of(body: bytes) -> Iterator[bytes]:
    """The messages of an AWS event stream."""
    at = 0
    while at < len(body):
        size = int.from_bytes(body[at : at + 4], "big")
        yield body[at : at + size]
        at += size


def rewritten(message: bytes, change: Callable[[dict[str, Any]], Any], kind: bytes = b"") -> bytes:
    """A message of an AWS event stream with another payload, and with another event type where `kind` is given."""
    headers_len = int.from_bytes(message[4:8], "big")
    headers, payload = message[12 : 12 + headers_len], message[12 + headers_len : -4]
    if kind:
        headers = b"".join(
            bytes([len(name)]) + name + b"\x07" + struct.pack(">H", len(value)) + value
            for name, value in ((b":message-type", b"event"), (b":event-type", kind))
        )
    payload = orjson.dumps(change(orjson.loads(payload)))
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    whole = prelude + struct.pack(">I", crc32(prelude)) + headers + payload
    return whole + struct.pack(">I", crc32(whole))


def extended(recording: Recording) -> bytes:
    """The stream with an unknown member in each event, and an event of an unknown type behind each."""
    if ADAPTERS[recording.provider, recording.endpoint] == "bedrock":
        return b"".join(
            rewritten(message, outermost) + rewritten(message, lambda _: UNKNOWN, b"someDay")
            for message in messages_of(recording.body)
        )
    made = b""
    for frame in frames_of(recording.body):
        data = (data_of(frame) or b"").strip()
        if not data.startswith(b"{"):
            made += frame
            continue
        end = b"\r\n\r\n" if b"\r\n" in frame else b"\n\n"
        made += b"data: " + orjson.dumps(outermost(orjson.loads(data))) + end
        made += b"event: some_day" + end[: len(end) // 2] + b'data: {"type":"some_day","x":{}}' + end
    return made


@pytest.mark.parametrize("recording", STREAMS)
def test_unknown_members_and_events(recording: Recording) -> None:
    """What a provider adds one day changes nothing of what is said today."""
    longer = extended(recording)
    assert len(recording.body) < len(longer)
    whole = message_of(translated(recording, [recording.body]))
    assert whole == message_of(translated(recording, [longer]))
    assert broken(recording) == any(isinstance(event, Broken) for event in said(recording, [longer]))


ANSWERS: Final = parameters(foreign_answers())


def plain(recording: Recording, body: bytes) -> dict[str, Any]:
    made = CLIENT.assemble(dialect_of(recording).read(body), answer_id="r", model="m", created_s=1)
    assert made.members == orjson.loads(made.raw)
    return dict(made.members)


@pytest.mark.parametrize("recording", ANSWERS)
def test_plain_answers(recording: Recording) -> None:
    """A plain answer is one complete object with one choice, and an unknown member in it changes nothing."""
    made = plain(recording, recording.body)
    assert {*REQUIRED} <= made.keys()
    (choice,) = made["choices"]
    assert choice["finish_reason"] in REASONS
    assert {"role", "content", "refusal"} <= choice["message"].keys()
    assert {"index", "message", "finish_reason", "logprobs"} <= choice.keys()
    assert made == plain(recording, orjson.dumps(outermost(orjson.loads(recording.body))))


@pytest.mark.parametrize("recording", ANSWERS)
def test_plain_answers_cut_short(recording: Recording) -> None:
    """A plain answer that is not whole is a failure, wherever it ends."""
    body = recording.body.rstrip()
    chance = random.Random(recording.id)
    for length in {0, 1, len(body) - 1, *(chance.randrange(len(body)) for _ in range(30))}:
        assert isinstance(dialect_of(recording).read(body[:length])[-1], Broken), length


@pytest.mark.parametrize("recording", STREAMS)
def test_cut_short(recording: Recording) -> None:
    """A stream that ends early is an error, unless its answer was complete; never a clean end."""
    if broken(recording):
        return
    chance = random.Random(recording.id)
    size = len(recording.body)
    for length in {0, 1, size // 2, *(chance.randrange(size) for _ in range(30))}:
        frames = translated(recording, [recording.body[:length]])
        finished = any(frame.finished for frame in frames)
        assert finished or any(frame.error is not None for frame in frames), length


@pytest.mark.parametrize("recording", STREAMS)
def test_trailing_bytes(recording: Recording) -> None:
    """What comes behind the end changes nothing that was said."""
    if broken(recording):
        return
    whole = message_of(translated(recording, [recording.body]))
    assert whole == message_of(translated(recording, [recording.body, b"\n\n", b"\0" * 40]))


@pytest.mark.parametrize("adapter", sorted(set(ADAPTERS.values())))
@given(data=st.data())
def test_nonsense(adapter: str, data: st.DataObject) -> None:
    """Any bytes at all are read or refused: no exception escapes, in streams, plain answers and errors."""
    dialect = REGISTRY[adapter].dialect
    nonsense = data.draw(st.binary(max_size=200) | st.text(max_size=80).map(str.encode))
    decoder = dialect.decoder()
    decoder.feed(nonsense)
    decoder.close()
    found = dialect.read(nonsense)
    assert isinstance(found[-1], Broken)
    assert 400 <= dialect.error(400, {}, nonsense, now_epoch_s=0.0).status < 600
