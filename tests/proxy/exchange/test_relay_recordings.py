"""Every recorded stream through relay and tail: the client gets the provider's bytes, then the end as promised."""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from providers.upstreams.openai_chat.dialect import read_usage
from tests.proxy.exchange.inprocess import BLOCK, Attempt, attempt, usage_json
from tests.support.recordings import (
    Recording,
    chat_streams,
    chunk_of,
    cut,
    data_of,
    frames_of,
    parameters,
    sweep,
)
from tests.support.repaired import repaired_frames

RECORDED = parameters(chat_streams())
SMALL = [recording for recording in chat_streams() if len(recording.body) < 6000]
LARGE = [recording for recording in chat_streams() if len(recording.body) >= 6000]
ASKED = pytest.mark.parametrize("asked", [True, False], ids=["asked", "not-asked"])


async def relayed(recording: Recording, pieces: Sequence[bytes], *, asked: bool) -> Attempt:
    """The recording's answer, in these pieces, to the end of its body."""
    dialect = recording.dialect
    made = attempt(pieces, asked=asked, many=recording.choices != 1, dialect=dialect)
    made.call.finish(made.relay)
    assert made.relay.ended.done()
    await made.downstream.close()
    return made


def finishes(chunk: dict[str, Any] | None) -> set[int]:
    return {each["index"] for each in (chunk or {}).get("choices") or () if each.get("finish_reason")}


class Expected:
    """What the client should get, worked out from the whole recording at once.

    Attributes:
        unchanged: all frames that leave as they came, in order.
        finish: the last frame that brings a finish reason; `None` when the stream ends in an error.
        usage: the last usage reported, as the tests say it.
        error: the error member, or `None`.
    """

    def __init__(self, recording: Recording) -> None:
        self.error: Any = None
        self.finish: bytes | None = None
        self.done: bytes = b"data: [DONE]\n\n"
        reported = None
        frames: list[tuple[bytes, dict[str, Any] | None]] = []
        for _, raw in repaired_frames(recording):
            chunk = chunk_of(raw)
            if chunk is not None:
                reported = read_usage(chunk) or reported
            if chunk is not None and chunk.get("error"):
                self.error = chunk["error"]
                break
            if (data_of(raw) or b"").strip() == b"[DONE]":
                self.done = raw
                break
            frames.append((raw, chunk))
        self.usage = usage_json(reported)
        self.unchanged = b"".join(self._leaving(frames))

    def _leaving(self, frames: list[tuple[bytes, dict[str, Any] | None]]) -> list[bytes]:
        finished: set[int] = set()
        last = -1
        for number, (raw, chunk) in enumerate(frames):
            if finishes(chunk) - finished:
                finished |= finishes(chunk)
                last, self.finish = number, raw
        leaving: list[bytes] = []
        for number, (raw, chunk) in enumerate(frames):
            behind = last >= 0 and number > last
            reports = chunk is not None and read_usage(chunk) is not None
            if (
                number == last
                or (behind and (reports or finishes(chunk)))
                or (reports and not (chunk or {})["choices"])
            ):
                continue
            leaving.append(raw)
        return leaving

    def check(self, made: Attempt, *, asked: bool) -> None:
        """Up to the tail the bytes are the provider's; the tail says all there is to say, once."""
        body = made.sink.body
        assert self.unchanged == body[: len(self.unchanged)]
        tail = frames_of(body[len(self.unchanged) :])
        assert made.sink.ended
        assert 1 == len(made.told)
        if self.error is not None:
            self._check_error(made, tail)
            return
        assert self.finish is not None
        assert (None, True, False) == (made.ending.error, made.ending.committed, made.ending.gone)
        assert self.done == tail.pop()
        last = chunk_of(tail[-1])
        assert last is not None
        assert [BLOCK, self.usage] == [_spelled(last["headgate"]), _spelled(last["usage"])]
        finish = chunk_of(tail[0])
        original = chunk_of(self.finish)
        assert finish is not None
        assert original is not None
        assert without(original) == without(finish)
        assert original["choices"] == finish["choices"]
        if asked:
            assert 2 == len(tail)
            assert not finish.get("usage")
            assert "headgate" not in finish
            assert [] == last["choices"]
            assert (original["id"], original["model"]) == (last["id"], last["model"])
        else:
            assert 1 == len(tail)

    def _check_error(self, made: Attempt, tail: list[bytes]) -> None:
        (raw,) = tail
        chunk = chunk_of(raw)
        assert chunk is not None
        assert self.error["message"] == chunk["error"]["message"]
        assert "error" == chunk["choices"][0]["finish_reason"]
        assert [BLOCK, self.usage] == [_spelled(chunk["headgate"]), _spelled(chunk["usage"])]
        assert made.ending.error is not None
        assert made.ending.committed


def _spelled(value: dict[str, Any]) -> bytes:
    if value.get("estimated"):
        return usage_json(None)
    if "in" in value:
        return b'{"in":%d,"out":%d}' % (value["in"], value["out"])
    return b'{"request_id":"%b"}' % value["request_id"].encode()


def without(chunk: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in chunk.items() if name not in ("usage", "headgate", "choices")}


def fails_before_content(recording: Recording) -> bool:
    """The recording holds an error and nothing else worth sending."""
    return all((chunk_of(raw) or {}).get("error") or not chunk_of(raw) for raw in frames_of(recording.body))


@ASKED
@pytest.mark.parametrize("recording", RECORDED)
async def test_whole(recording: Recording, asked: bool) -> None:  # noqa: FBT001 - a column
    """A stream in one piece; an error before any content is a failed attempt of which nothing leaves."""
    made = await relayed(recording, [recording.body], asked=asked)
    if fails_before_content(recording):
        assert (0, b"", False) == (made.sink.status, made.sink.body, made.ending.committed)
        assert made.ending.error is not None
        return
    assert 200 == made.sink.status
    Expected(recording).check(made, asked=asked)


@ASKED
@pytest.mark.parametrize("recording", RECORDED)
async def test_every_cut(recording: Recording, asked: bool) -> None:  # noqa: FBT001 - a column
    """Wherever a stream is cut, the client's bytes are the same."""
    whole = await relayed(recording, [recording.body], asked=asked)
    for pieces in sweep(recording.body):
        made = await relayed(recording, pieces, asked=asked)
        assert whole.sink.body == made.sink.body, len(pieces[0])
        assert whole.ending.committed == made.ending.committed


@pytest.mark.parametrize("recording", parameters(SMALL))
async def test_every_cut_in_two(recording: Recording) -> None:
    """The same for a small stream that comes in two pieces, whichever they are."""
    body = recording.body
    whole = {asked: await relayed(recording, [body], asked=asked) for asked in (True, False)}
    for position in range(1, len(body)):
        asked = position % 2 == 0
        made = await relayed(recording, [body[:position], body[position:]], asked=asked)
        assert whole[asked].sink.body == made.sink.body, position
        assert whole[asked].ending.committed == made.ending.committed


@ASKED
@pytest.mark.parametrize("recording", parameters(LARGE))
async def test_random_cuts(recording: Recording, asked: bool) -> None:  # noqa: FBT001 - a column
    """However a large stream is cut, the client's bytes are the same."""
    chance = random.Random(recording.id)
    whole = await relayed(recording, [recording.body], asked=asked)
    for _ in range(20):
        positions = [chance.randrange(len(recording.body)) for _ in range(chance.randrange(1, 60))]
        made = await relayed(recording, cut(recording.body, positions), asked=asked)
        assert whole.sink.body == made.sink.body


@ASKED
@pytest.mark.parametrize("recording", RECORDED)
async def test_bytes_and_frames(recording: Recording, asked: bool) -> None:  # noqa: FBT001 - a column
    """The same byte by byte and frame by frame."""
    whole = await relayed(recording, [recording.body], asked=asked)
    body = recording.body
    for pieces in (cut(body, range(len(body))), frames_of(body)):
        assert whole.sink.body == (await relayed(recording, pieces, asked=asked)).sink.body


@pytest.mark.parametrize("recording", RECORDED)
async def test_each_frame_leaves_at_once(recording: Recording) -> None:
    """Once content has come, a frame that is not held leaves in the turn that brought it."""
    expected = Expected(recording).unchanged
    dialect = recording.dialect
    made = attempt(asked=True, many=recording.choices != 1, dialect=dialect)
    arrived = b""
    for raw in frames_of(recording.body):
        made.relay.on_body(raw)
        if made.relay.ended.done():
            break
        arrived += raw
        if made.sink.status and expected.startswith(arrived):
            assert arrived == made.sink.body


@pytest.mark.parametrize("recording", RECORDED)
async def test_cut_short(recording: Recording) -> None:
    """A body that ends before each choice has finished ends in one error frame, or in nothing at all."""
    frames = frames_of(recording.body)
    chance = random.Random(recording.id)
    for count in {1, 2, *(chance.randrange(len(frames) + 1) for _ in range(5))}:
        made = await relayed(recording, [b"".join(frames[:count])], asked=True)
        chunks = [chunk for raw in frames[:count] if (chunk := chunk_of(raw)) is not None]
        seen = {each["index"] for chunk in chunks for each in chunk.get("choices") or ()}
        finished = {index for chunk in chunks for index in finishes(chunk)}
        failed = any(chunk.get("error") for chunk in chunks)
        if seen and seen == finished and not failed:
            assert made.sink.body.endswith(b"[DONE]" + frames[0][len(frames[0].rstrip()) :]) or (
                made.sink.body.endswith(b"data: [DONE]\n\n")
            )
            continue
        assert made.ending.error is not None
        assert b"[DONE]" not in made.sink.body
        if made.ending.committed:
            last = chunk_of(frames_of(made.sink.body)[-1])
            assert last is not None
            assert "error" == last["choices"][0]["finish_reason"]
        else:
            assert b"" == made.sink.body


@pytest.mark.parametrize("recording", RECORDED)
async def test_slow_client(recording: Recording) -> None:
    """A client that stops reading after every kilobyte gets the same bytes, and the provider waits for it."""
    whole = await relayed(recording, [recording.body], asked=True)
    made = attempt(
        cut(recording.body, range(0, len(recording.body), 100)),
        many=recording.choices != 1,
        dialect=recording.dialect,
        pause_after_bytes=1000,
    )
    while not made.relay.ended.done():
        made.call.finish(made.relay)
        if made.connection.paused:
            assert made.call.paused or made.relay.ended.done()
            made.connection.resume()
    await made.downstream.close()
    assert whole.sink.body == made.sink.body
