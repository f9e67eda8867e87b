"""A plan is walked until one attempt answers: moving on, waiting, giving up, and what each attempt is billed."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
import pytest

from providers.clients.openai_chat import OpenAIChat as Client
from providers.registry import REGISTRY
from providers.types import Completion, UpstreamError
from proxy.exchange.arrival import Arrival
from proxy.exchange.dispatch import BACKOFF_S, Dispatch, Job, Patience
from proxy.exchange.downstream import Downstream
from proxy.exchange.errors import Refused
from proxy.exchange.record import Record
from proxy.exchange.upstream.backends import Provider, Timeouts
from proxy.exchange.upstream.transport import Receiver, Target, Transport
from proxy.routing.catalogue.types import Backend, Price
from proxy.routing.policy import NAMED, Attempt, Plan
from ratelimit.subjects.types import Subject
from tests.proxy.exchange.inprocess import Call, Connection, Sink
from tests.support.recordings import chunk_of, frames_of

SAID = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":null}]}\n\n'
STOP = b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
REPORT = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5}}\n\n'
DONE = b"data: [DONE]\n\n"
GOOD = SAID + STOP + REPORT + DONE
PLAIN = (
    b'{"choices":[{"message":{"content":"hello"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":10,"completion_tokens":5}}'
)
PRICE = Price(input_picousd=1_000_000, output_picousd=2_000_000)
START_S = 1000.0
STEP_S = 0.0625  # exact in binary: what is due is due


@dataclass(frozen=True, slots=True)
class Answer:
    """How a provider answers one request. `end` is `end`, `break`, `stale` or `hang`."""

    body: bytes = GOOD
    status: int = 200
    headers: Sequence[tuple[bytes, bytes]] = ()
    end: str = "end"
    no_connection: UpstreamError | None = None


def failing(status: int, message: str = "no", **headers: str) -> Answer:
    lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Answer(orjson.dumps({"error": {"message": message}}), status, lines)


@dataclass(slots=True)
class Wire:
    """Answers requests in the order of its script, and keeps what was asked."""

    script: list[Answer]
    asked: list[tuple[str, bytes, bool, float]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    async def send(
        self,
        target: Target,
        extra_head: bytes,
        body: bytes,
        receiver: Receiver,
        *,
        connect_s: float,
        fresh: bool = False,
    ) -> Call:
        assert b"" == extra_head
        assert 5.0 == connect_s
        answer = self.script.pop(0)
        loop = asyncio.get_running_loop()
        self.asked.append((str(target.origin.url.host), body, fresh, loop.time() - START_S))
        if answer.no_connection is not None:
            raise answer.no_connection
        call = Call([answer.body] if answer.body else [])
        self.calls.append(call)
        loop.call_soon(self._play, answer, call, receiver)
        return call

    def _play(self, answer: Answer, call: Call, receiver: Receiver) -> None:
        if answer.end == "stale":
            receiver.on_break(UpstreamError("unreachable", "closed"), stale=True)
            return
        receiver.on_head(answer.status, answer.headers)
        if call.pieces:
            receiver.on_body(call.pieces.pop())
        if call.over or answer.end == "hang":
            return
        if answer.end == "end":
            receiver.on_end()
        else:
            receiver.on_break(UpstreamError("protocol", "cut short"), stale=False)


class Clock:
    def __init__(self) -> None:
        self.now_s = START_S

    def __call__(self) -> float:
        return self.now_s


@dataclass(slots=True)
class Scene:
    """One request on its way through a plan."""

    clock: Clock
    wire: Wire
    record: Record
    connection: Connection
    sink: Sink
    job: Job
    dispatch: Dispatch

    async def run(self) -> Completion | None:
        """Let the request run; time passes in small steps whenever nothing else can happen."""
        running = asyncio.get_running_loop().create_task(self.dispatch.run(self.job))
        for _ in range(3200):
            for _ in range(6):
                await asyncio.sleep(0)
            if running.done():
                return running.result()
            self.clock.now_s += STEP_S
        running.cancel()
        raise AssertionError("the request did not end within 200 s of its own time")

    async def refused(self) -> Refused:
        with pytest.raises(Refused) as refusal:
            await self.run()
        return refusal.value

    @property
    def outcomes(self) -> list[tuple[str, str, int]]:
        return [(each["backend"], each["outcome"], each["status"]) for each in self.record.attempts()]


Stage = Callable[..., Scene]


@pytest.fixture(name="stage")
async def _stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    clock = Clock()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", clock)

    def stage(
        *answers: Answer,
        backends: Sequence[str] = ("a",),
        contexts: Sequence[int | None] = (),
        retries: int = 2,
        deadline_s: float = 60,
        stream: bool = True,
        price: Price | None = PRICE,
        timeouts: Timeouts | None = None,
        **members: Any,
    ) -> Scene:
        wire = Wire(list(answers))
        providers = {
            name: Provider(
                REGISTRY["openai"],
                f"http://{name}.test/v1",
                "test-key-0001",
                timeouts or Timeouts(5.0, 0, 0, 0, 0),
            )
            for name in backends
        }
        attempts = tuple(
            Attempt(Backend(f"{name}/m", name, "m", price), "public", context, ("named",))
            for name, context in zip(backends, contexts or [None] * len(backends), strict=True)
        )
        record = Record("req-1", arrived_s=clock(), key_id="k", customer_id="c", clock=clock)
        record.plan = Plan(None, NAMED, attempts)
        connection = Connection()
        sink = Sink(connection)
        body = orjson.dumps(
            {"model": "public", "messages": [{"role": "user", "content": "x"}], "stream": stream, **members}
        )
        job = Job(
            Arrival("req-1", clock(), cast("Subject", None), (), (), connection),
            Client().parse(body),
            Client(),
            record,
            Downstream(connection, sink, write_s=1000.0, keep_alive_s=0),
            list,
            1,
        )
        patience = Patience(retries=retries, deadline_s=deadline_s, tail_s=2)
        dispatch = Dispatch(cast("Transport", wire), providers, patience)
        return Scene(clock, wire, record, connection, sink, job, dispatch)

    return stage


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
