"""Recorded streams of two dozen providers, in every form of transfer: bytes pass, and only the tail is ours."""

import asyncio
import random
import socket
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pytest

from tests.support import recordings
from tests.support.raw_client import Answer
from tests.support.recordings import Recording, chunk_of, cut, data_of, frames_of
from tests.support.repaired import repaired_frames
from tests.support.scripted import Exchange
from tests.support.site import Site, config, model, provider, site

ADAPTERS: Final = sorted({"openai", *(recording.adapter for recording in recordings.chat_streams())})
SEEDS: Final = 20
RANDOM_CUTS: Final = 30
OPENAI_REASONS: Final = {"stop", "length", "tool_calls", "content_filter", "function_call"}

Chunk = dict[str, Any]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def configure(listener: socket.socket) -> dict[str, Any]:
        providers = {name: provider(listener, f"/{name}/v1", adapter=name) for name in ADAPTERS}
        models = [model(name, name) for name in providers]
        return config(providers, models, routing={"retries": 0})

    with site(tmp_path_factory.mktemp("recordings"), configure) as place:
        yield place


def transfers(recording: Recording) -> dict[str, list[bytes]]:
    """Name of a way to send this body, and the HTTP chunks of it."""
    body = recording.body
    borders = [sum(recording.chunk_lens[:number]) for number in range(len(recording.chunk_lens))]
    ways = {
        "as recorded": cut(body, borders),
        "frames": frames_of(body),
        "bytes": cut(body, range(len(body))),
    }
    for seed in range(SEEDS):
        spots = random.Random(f"{recording.id}/{seed}")
        ways[f"seed {seed}"] = cut(body, [spots.randrange(1, len(body)) for _ in range(RANDOM_CUTS)])
    return ways


async def answers(place: Site, recording: Recording) -> list[tuple[str, bool, Answer]]:
    """The answer to each way of sending, usage asked for and not; all at once."""
    ways = transfers(recording)
    cases = [(name, wanted) for name in ways for wanted in (True, False)]

    async def script(exchange: Exchange) -> None:
        await exchange.start()
        for piece in ways[exchange.members["way"]]:
            await exchange.send(piece)
        await exchange.finish()

    async def one(way: str, *, wanted: bool) -> Answer:
        options = {"include_usage": wanted}
        n = recording.choices
        return await place.ask(model=recording.adapter, way=way, stream_options=options, n=n, within_s=30)

    async with place.upstream(script), asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(way, wanted=wanted)) for way, wanted in cases]
        await asyncio.wait(tasks)
    return [(way, wanted, task.result()) for (way, wanted), task in zip(cases, tasks, strict=True)]


def reasons(chunk: Chunk | None) -> dict[int, str]:
    """Finish reasons of a chunk by choice."""
    choices = (chunk or {}).get("choices") or ()
    return {
        choice.get("index", 0): choice["finish_reason"] for choice in choices if choice.get("finish_reason")
    }


def is_usage_chunk(chunk: Chunk | None) -> bool:
    return chunk is not None and isinstance(chunk.get("usage"), dict) and not chunk.get("choices")


def is_done(frame: bytes) -> bool:
    return (data_of(frame) or b"").strip() == b"[DONE]"


def ordinary(frames: Sequence[bytes]) -> list[bytes]:
    """Frames that the contract never touches: no finish reason, no usage behind one or alone, no end mark."""
    kept = []
    finished = False
    for frame in frames:
        chunk = None if is_done(frame) else chunk_of(frame)
        finished = finished or bool(reasons(chunk))
        late_usage = finished and chunk is not None and isinstance(chunk.get("usage"), dict)
        if not (is_done(frame) or is_usage_chunk(chunk) or reasons(chunk) or late_usage):
            kept.append(frame)
    return kept


def before_the_tail(frames: Sequence[bytes]) -> bytes:
    """All bytes up to the first frame that the contract may touch."""
    kept = b""
    for frame in frames:
        if ordinary([frame]) != [frame]:
            break
        kept += frame
    return kept


def last_usage(chunks: Sequence[Chunk | None]) -> Chunk | None:
    reported = None
    for chunk in chunks:
        for holder in (chunk or {}, (chunk or {}).get("x_groq") or {}):
            if isinstance(holder.get("usage"), dict):
                reported = holder["usage"]
                break
    return reported


def check(recording: Recording, answer: Answer, *, wanted: bool) -> None:
    """The client's bytes against the provider's."""
    assert 200 == answer.status, answer.body
    assert answer.complete
    sent, got = [raw for _, raw in repaired_frames(recording)], frames_of(answer.body)
    assert before_the_tail(sent) == answer.body[: len(before_the_tail(sent))]
    assert ordinary(sent) == ordinary(got)
    assert is_done(got[-1])
    assert 1 == sum(is_done(frame) for frame in got)

    sent_chunks = [chunk_of(frame) for frame in sent]
    got_chunks = [chunk_of(frame) for frame in got]
    with_block = [number for number, chunk in enumerate(got_chunks) if chunk and "headgate" in chunk]
    assert [len(got) - 2] == with_block, "the block of facts stands once, right before the end mark"
    closing = got_chunks[-2]
    assert closing is not None
    finishing = got_chunks[-3 if wanted else -2]
    assert finishing is not None
    if wanted:
        assert [] == closing["choices"]
        assert finishing.get("usage") is None  # a null of the provider's own is left alone
    assert (1 if wanted else 0) == sum(is_usage_chunk(chunk) for chunk in got_chunks)
    check_finish(sent_chunks, got_chunks, finishing)
    check_usage(last_usage(sent_chunks), closing)


def check_finish(sent: Sequence[Chunk | None], got: Sequence[Chunk | None], finishing: Chunk) -> None:
    """Each choice has one finish reason: the provider's first, or its mapping."""
    first: dict[int, tuple[str, Chunk]] = {}
    for chunk in sent:
        for index, reason in reasons(chunk).items():
            assert chunk is not None
            first.setdefault(index, (reason, chunk))
    seen = [item for chunk in got for item in reasons(chunk).items()]
    assert sorted(first) == sorted(index for index, _ in seen)
    for index, reason in seen:
        assert reason in OPENAI_REASONS
        assert reason == first[index][0] or first[index][0] not in OPENAI_REASONS
    wanted, original = first[next(iter(reasons(finishing)))]
    if wanted in OPENAI_REASONS:
        ours = {"usage", "headgate"}
        kept = {name: value for name, value in original.items() if name not in ours}
        assert kept == {name: value for name, value in finishing.items() if name not in ours}
    else:
        assert wanted == finishing["choices"][0]["native_finish_reason"]


def check_usage(reported: Chunk | None, closing: Chunk) -> None:
    """The usage told is the provider's last, with the cost; an estimate where there was none."""
    usage, block = closing["usage"], closing["headgate"]
    assert block["cost_usd"] == usage["cost"]
    assert "ok" == block["attempts"][0]["outcome"]
    if reported is None:
        assert usage["estimated"] is True
        assert usage["prompt_tokens"] > 0
        return
    assert "estimated" not in usage
    changed = {"cost", "cost_details", "total_tokens"}
    assert {name: value for name, value in reported.items() if name not in changed}.items() <= usage.items()


WHOLE = [each for each in recordings.chat_streams() if "mid_stream_error" not in each.features]
BROKEN = [each for each in recordings.chat_streams() if "mid_stream_error" in each.features]


@pytest.mark.parametrize("recording", recordings.parameters(WHOLE))
async def test_the_bytes_are_the_providers(place: Site, recording: Recording) -> None:
    """Up to the tail the client's bytes equal the upstream's; the tail is as promised, usage asked for or not."""
    for way, wanted, answer in await answers(place, recording):
        try:
            check(recording, answer, wanted=wanted)
        except AssertionError as error:
            error.add_note(f"sent as: {way}; usage asked for: {wanted}")
            raise


@pytest.mark.parametrize("recording", recordings.parameters(BROKEN))
async def test_a_recorded_error(place: Site, recording: Recording) -> None:
    """A provider that broke off: an error status before content, else one error frame and no end mark."""
    sent = [raw for _, raw in repaired_frames(recording)]
    with_content = any(
        any(delta.get(name) for name in ("content", "reasoning", "tool_calls")) or choice.get("finish_reason")
        for chunk in map(chunk_of, sent)
        for choice in (chunk or {}).get("choices") or ()
        for delta in [choice.get("delta") or {}]
    )
    problem = next(chunk["error"] for chunk in map(chunk_of, sent) if chunk and chunk.get("error"))
    for _, _, answer in await answers(place, recording):
        assert answer.complete
        assert b"[DONE]" not in answer.body
        if not with_content:
            assert problem.get("status_code", problem["code"]) == answer.status
            assert problem["message"] == answer.members["error"]["message"]
            assert "provider" == answer.members["error"]["source"]
            continue
        assert 200 == answer.status
        before_the_error = b"".join(frame for frame in ordinary(sent) if b'"error":' not in frame)
        assert answer.body.startswith(before_the_error)
        *_, last = [chunk_of(frame) for frame in frames_of(answer.body)]
        assert last is not None
        assert problem["message"] == last["error"]["message"]
        assert "error" == last["choices"][0]["finish_reason"]
        assert "headgate" in last
        assert ["error"] == [
            reason for chunk in map(chunk_of, frames_of(answer.body)) for reason in reasons(chunk).values()
        ]
