"""The contract of foreign dialects, over every recorded stream: whatever the cuts, one clean stream of chunks."""

import random
from collections.abc import Iterable
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.clients.openai_chat import OpenAIChat as Client
from providers.dialects import Translation, Upstream
from providers.events import Broken, Event
from providers.registry import REGISTRY
from providers.types import Frame
from tests.support.recordings import Recording, chunk_of, cut, parameters
from tests.support.translating import ADAPTERS, foreign_streams

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
