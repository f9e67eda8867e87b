"""A plan is walked until one attempt answers: moving on, waiting, giving up, and what each attempt is billed."""

import asyncio
import gc
from typing import Any

import orjson
import pytest

from providers.types import UpstreamError
from proxy.exchange.attempts.dispatch import BACKOFF_S
from proxy.exchange.relay.attempt import Attempt
from proxy.exchange.tail import Tail
from proxy.exchange.upstream.backends import Timeouts
from tests.proxy.exchange.saying import Clock
from tests.proxy.exchange.staging import (
    DONE,
    PLAIN,
    REPORT,
    SAID,
    START_S,
    STOP,
    Answer,
    Scene,
    Stage,
    failing,
    stage_with,
)
from tests.support.recordings import chunk_of, frames_of


@pytest.fixture(name="stage")
def _stage(clock: Clock) -> Stage:
    return stage_with(clock)


def last_chunk(scene: Scene) -> dict[str, Any]:
    chunks = [chunk for raw in frames_of(scene.sink.body) if (chunk := chunk_of(raw)) is not None]
    return chunks[-1]


# Answers


async def test_a_stream(stage: Stage) -> None:
    """The first backend answers: its bytes, then usage and cost."""
    scene = stage(Answer())
    assert await scene.run() is None
    assert scene.sink.body.startswith(SAID)
    assert [("a/m", "ok", 200)] == scene.outcomes
    said = last_chunk(scene)
    assert (10, 5, 0.00002) == tuple(
        said["usage"][name] for name in ("prompt_tokens", "completion_tokens", "cost")
    )
    assert 20 == scene.record.cost_microusd
    ((_, body, _, _),) = scene.wire.asked
    assert {"include_usage": True} == orjson.loads(body)["stream_options"]


@pytest.mark.parametrize("stream", [True, False])
async def test_nothing_waits_for_the_collector(stage: Stage, *, stream: bool) -> None:
    """What an attempt was made of does not refer to itself, so that it is freed at once, the request with it."""
    gc.collect()
    gc.disable()
    before = _parts()
    known = set(map(id, before))
    try:
        await stage(Answer() if stream else Answer(PLAIN), stream=stream).run()
        left = [type(each) for each in _parts() if id(each) not in known]
    finally:
        gc.enable()
    assert [] == left


def _parts() -> list[object]:
    """Those of all attempts there are; other tests may hold some."""
    return [each for each in gc.get_objects() if isinstance(each, Tail | Attempt)]


async def test_a_plain_answer(stage: Stage) -> None:
    """A plain answer comes back whole, with its usage on the record."""
    scene = stage(Answer(PLAIN), stream=False)
    completion = await scene.run()
    assert completion is not None
    assert PLAIN == completion.raw
    assert ([("a/m", "ok", 200)], 20) == (scene.outcomes, scene.record.cost_microusd)


async def test_an_estimate(stage: Stage) -> None:
    """A provider that reports nothing is billed by estimate, and the answer says so."""
    scene = stage(Answer(SAID * 8 + STOP + DONE))
    await scene.run()
    usage = last_chunk(scene)["usage"]
    assert (True, 10) == (
        usage["estimated"],
        usage["completion_tokens"],
    )  # 8 times "hello", four bytes a token
    assert usage["prompt_tokens"] > 0
    assert scene.record.usage is not None
    assert scene.record.usage.estimated


async def test_an_unknown_price(stage: Stage) -> None:
    """A backend without a price costs an unknown amount, not nothing."""
    scene = stage(Answer(), price=None)
    await scene.run()
    assert last_chunk(scene)["usage"]["cost"] is None


# Moving on


@pytest.mark.parametrize(
    ("answer", "outcome", "status"),
    [
        (failing(401), "auth", 401),
        (failing(402), "auth", 402),
        (failing(403), "auth", 403),
        (failing(404), "auth", 404),
        (failing(408), "timeout", 408),
        (failing(429), "rate_limited", 429),
        (failing(500), "overloaded", 500),
        (failing(503), "overloaded", 503),
        (Answer(b'data: {"error":{"message":"busy","code":503}}\n\n'), "overloaded", 503),
        (Answer(b"data: <html>\n\n"), "protocol", 0),
        (Answer(b""), "protocol", 0),
        (Answer(b": comment\n\n", end="break"), "protocol", 0),
        (Answer(no_connection=UpstreamError("unreachable", "refused")), "unreachable", 0),
    ],
)
async def test_move_on(stage: Stage, answer: Answer, outcome: str, status: int) -> None:
    """With another backend left, a failure before the first content moves on at once, unseen by the client."""
    scene = stage(answer, Answer(), backends=("a", "b"))
    await scene.run()
    assert [("a/m", outcome, status), ("b/m", "ok", 200)] == scene.outcomes
    assert [0.0, 0.0] == [round(asked[3], 3) for asked in scene.wire.asked]
    assert scene.sink.body.startswith(SAID)
    assert 20 == scene.record.cost_microusd
    assert 2 == len(last_chunk(scene)["headgate"]["attempts"])


async def test_a_committed_attempt_never_fails_over(stage: Stage) -> None:
    """After content there is no other attempt: one error frame, billed by what was relayed."""
    scene = stage(Answer(SAID, end="break"), Answer(), backends=("a", "b"))
    assert await scene.run() is None
    assert [("a/m", "protocol", 0)] == scene.outcomes
    assert "error" == last_chunk(scene)["choices"][0]["finish_reason"]
    assert last_chunk(scene)["usage"]["estimated"]
    assert scene.record.cost_microusd


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_the_clients_own_mistake(stage: Stage, status: int) -> None:
    """A refusal of the request itself is given back, with the provider's words."""
    scene = stage(failing(status, "temperature must be below 2"), Answer(), backends=("a", "b"))
    refused = await scene.refused()
    assert (400, "bad_request", "temperature must be below 2") == (
        refused.status,
        refused.code,
        refused.message,
    )
    assert 1 == len(scene.wire.asked) == len(refused.attempts)


OVERFLOW = failing(400, "maximum context length is 10 tokens")


async def test_a_context_overflow_moves_to_a_larger_context(stage: Stage) -> None:
    """Smaller and equal contexts are passed over."""
    scene = stage(OVERFLOW, Answer(), backends=("a", "b", "c", "d"), contexts=(100, 50, 100, 200))
    await scene.run()
    assert [("a/m", "bad_request", 400), ("d/m", "ok", 200)] == scene.outcomes


async def test_a_context_overflow_without_a_larger_context(stage: Stage) -> None:
    """With no larger context left, the client is told."""
    refused = await stage(OVERFLOW, backends=("a", "b"), contexts=(100, 50)).refused()
    assert (400, "context_length_exceeded") == (refused.status, refused.code)


async def test_retries_are_counted_over_all_backends(stage: Stage) -> None:
    """`retries` further tries in all, whichever the backend."""
    scene = stage(failing(500), failing(500), failing(500), Answer(), backends=("a", "b", "c", "d"))
    assert 503 == (await scene.refused()).status
    assert ["a.test", "b.test", "c.test"] == [asked[0] for asked in scene.wire.asked]
    alone = stage(failing(500), Answer(), backends=("a", "b"), retries=0)
    await alone.refused()
    assert 1 == len(alone.wire.asked)


# Waiting


async def test_wait_and_try_again(stage: Stage) -> None:
    """With no other backend left, the same one is tried again after a wait that grows."""
    scene = stage(failing(503), failing(503), Answer())
    await scene.run()
    first, second, third = (asked[3] for asked in scene.wire.asked)
    assert BACKOFF_S <= second - first <= BACKOFF_S + 0.2
    assert 2 * BACKOFF_S <= third - second <= 2 * BACKOFF_S + 0.2


async def test_a_providers_own_word_is_waited_for(stage: Stage) -> None:
    """`retry-after` replaces our own wait."""
    scene = stage(failing(429, retry_after="7"), Answer())
    await scene.run()
    assert 7 <= scene.wire.asked[1][3] <= 7.2


async def test_no_wait_beyond_the_deadline(stage: Stage) -> None:
    """A wait that does not fit the deadline is not begun: the client is told at once."""
    scene = stage(failing(429, retry_after="61"), Answer(), deadline_s=60)
    refused = await scene.refused()
    assert (429, 61.0) == (refused.status, refused.retry_after_s)
    assert scene.clock.now_s - START_S < 1


async def test_no_attempt_begins_after_the_deadline(stage: Stage) -> None:
    """An attempt under way may outlive the deadline; no other one begins after it."""
    slow = Timeouts(5.0, 90.0, 0, 0, 0)
    scene = stage(Answer(b"", end="hang"), Answer(), backends=("a", "b"), timeouts=slow, deadline_s=60)
    assert 504 == (await scene.refused()).status
    assert 1 == len(scene.wire.asked)
    assert scene.clock.now_s - START_S >= 90


async def test_a_silent_backend_leaves_time_for_others(stage: Stage) -> None:
    """As long as another one could be tried it has less patience; the last one has all of it."""
    patient = Timeouts(5.0, 60.0, 0, 0, 0, first_byte_before_others_s=30.0)
    hang = Answer(b"", end="hang")
    scene = stage(hang, Answer(), backends=("a", "b"), timeouts=patient)
    await scene.run()
    assert ["a.test", "b.test"] == [asked[0] for asked in scene.wire.asked]
    assert 30 <= scene.clock.now_s - START_S < 31

    before_s = scene.clock.now_s
    alone = stage(hang, backends=("a",), timeouts=patient)
    assert 504 == (await alone.refused()).status
    assert 60 <= alone.clock.now_s - before_s < 61

    before_s = alone.clock.now_s
    no_try_left = stage(hang, Answer(), backends=("a", "b"), timeouts=patient, retries=0)
    assert 504 == (await no_try_left.refused()).status
    assert 60 <= no_try_left.clock.now_s - before_s < 61


async def test_auth_is_not_tried_again(stage: Stage) -> None:
    """A key that was refused once is refused again."""
    scene = stage(failing(401), Answer())
    refused = await scene.refused()
    assert (502, "auth", 1) == (refused.status, refused.code, len(scene.wire.asked))


async def test_the_backend_that_is_ready_first_is_tried_again(stage: Stage) -> None:
    """Of several that failed, the one with the shortest wait comes next."""
    scene = stage(failing(429, retry_after="9"), failing(429, retry_after="3"), Answer(), backends=("a", "b"))
    await scene.run()
    assert ["a.test", "b.test", "b.test"] == [asked[0] for asked in scene.wire.asked]
    assert 3 <= scene.wire.asked[2][3] <= 3.2


# Giving up


@pytest.mark.parametrize(
    ("answers", "status", "code", "retry_after_s"),
    [
        ((failing(429, retry_after="90"), failing(429, retry_after="70")), 429, "rate_limited", 70.0),
        ((failing(500), failing(401)), 503, "overloaded", None),
        ((failing(401), failing(404)), 502, "auth", None),
        ((failing(429, retry_after="90"), failing(503)), 503, "overloaded", None),
        ((failing(401), failing(408)), 504, "timeout", None),
    ],
)
async def test_given_up(
    stage: Stage, answers: tuple[Answer, ...], status: int, code: str, retry_after_s: float | None
) -> None:
    """All by rate: 429 with the smallest delay; else the last failure that is not about our key; only keys: 502."""
    scene = stage(*answers, backends=("a", "b"), retries=1)
    refused = await scene.refused()
    assert (status, code, retry_after_s) == (refused.status, refused.code, refused.retry_after_s)
    assert scene.record.attempts() == list(refused.attempts)
    assert 0 == scene.record.cost_microusd


# Connections and departures


async def test_a_stale_connection_is_replaced_once(stage: Stage) -> None:
    """A reused connection that died unheard costs no retry and is nobody's failure."""
    scene = stage(Answer(end="stale"), Answer(), retries=0)
    await scene.run()
    assert [("a/m", "ok", 200)] == scene.outcomes
    assert [False, True] == [asked[2] for asked in scene.wire.asked]


async def test_a_stale_connection_is_not_replaced_twice(stage: Stage) -> None:
    """Whatever dies unheard on a fresh connection is a failure like any other."""
    scene = stage(Answer(end="stale"), Answer(end="stale"), Answer(), retries=0)
    assert 502 == (await scene.refused()).status
    assert [("a/m", "unreachable", 0)] == scene.outcomes


@pytest.mark.parametrize("stream", [True, False])
async def test_a_departed_client(stage: Stage, stream: bool) -> None:  # noqa: FBT001 - a column
    """A departure ends the attempt and all that would follow; what was relayed is billed by estimate."""
    scene = stage(Answer(SAID, end="hang"), Answer(), backends=("a", "b"), stream=stream)
    asyncio.get_running_loop().call_later(1.0, scene.connection.leave)
    assert await scene.run() is None
    assert [("a/m", "client_gone", 200 if stream else 0)] == scene.outcomes
    assert scene.wire.calls[0].cancelled
    assert scene.record.usage is not None
    assert (True, 1 if stream else 0) == (scene.record.usage.estimated, scene.record.usage.output_tokens)
    assert scene.record.cost_microusd


async def test_a_departure_behind_reported_usage(stage: Stage) -> None:
    """Reported usage is billed, not an estimate."""
    scene = stage(Answer(SAID + STOP + REPORT, end="hang"))
    asyncio.get_running_loop().call_later(1.0, scene.connection.leave)
    await scene.run()
    assert 20 == scene.record.cost_microusd


async def test_a_cancelled_request_lets_go_of_the_provider(stage: Stage) -> None:
    """When the server stops a request, its provider is let go."""
    scene = stage(Answer(SAID, end="hang"))
    running = asyncio.get_running_loop().create_task(scene.dispatch.run(scene.job))
    for _ in range(6):
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert scene.wire.calls[0].cancelled


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"<html>", "protocol"), (b"{}", "protocol"), (b'{"error":{"code":503}}', "overloaded")],
)
async def test_a_plain_answer_that_is_none(stage: Stage, body: bytes, kind: str) -> None:
    """What is no answer under status 200 moves on like any failure."""
    scene = stage(Answer(body), Answer(PLAIN), backends=("a", "b"), stream=False)
    assert await scene.run() is not None
    assert [kind, "ok"] == [outcome for _, outcome, _ in scene.outcomes]
