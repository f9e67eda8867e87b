"""A request on its way through a plan, with providers that answer as scripted and a clock that passes by itself."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
import pytest

from providers.clients.openai_chat import OpenAIChat as Client
from providers.registry import REGISTRY
from providers.types import Completion, UpstreamError
from proxy.exchange.arrival import Arrival
from proxy.exchange.attempts.conditions import Board
from proxy.exchange.attempts.dispatch import Dispatch, Job, Patience
from proxy.exchange.attempts.lanes import Lanes
from proxy.exchange.books.record import Record
from proxy.exchange.downstream import Downstream
from proxy.exchange.errors import Refused
from proxy.exchange.upstream.auth.types import Credentials
from proxy.exchange.upstream.backends import Provider, Timeouts
from proxy.exchange.upstream.headroom import Headroom
from proxy.exchange.upstream.keys import ProviderKeys
from proxy.exchange.upstream.places import Places
from proxy.exchange.upstream.transport import Receiver, Target, Transport
from proxy.routing.catalogue.types import Backend, Price
from proxy.routing.policy import NAMED, Attempt, Plan
from ratelimit.health.health import Health
from ratelimit.health.types import BreakerRules
from ratelimit.store.store import Store
from ratelimit.subjects.types import Subject
from tests.proxy.exchange.inprocess import Call, Connection, Sink
from tests.proxy.exchange.saying import Clock

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
        self.asked.append((str(target.peer.url.host), body, fresh, loop.time() - START_S))
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


class Noting(Health):
    """Keeps what it was told, beside doing it."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.notes: list[dict[str, Any]] = []

    def note(self, **said: Any) -> None:
        self.notes.append(said)
        super().note(**said)


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
    health: Health
    board: Board
    lanes: Lanes
    notes: list[dict[str, Any]]

    @property
    def attempts(self) -> Sequence[Attempt]:
        assert self.record.plan is not None
        return self.record.plan.attempts

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


def stage_with(clock: Clock) -> Stage:
    """stage(answers, …): a request whose providers answer so."""

    def stage(
        *answers: Answer,
        backends: Sequence[str] = ("a",),
        contexts: Sequence[int | None] = (),
        retries: int = 2,
        deadline_s: float = 60,
        stream: bool = True,
        price: Price | None = PRICE,
        timeouts: Timeouts | None = None,
        keys: Callable[[Mapping[str, Provider]], ProviderKeys] | None = None,
        places: Mapping[str, Places] | None = None,
        **members: Any,
    ) -> Scene:
        wire = Wire(list(answers))
        providers = {
            name: Provider(
                REGISTRY["openai"],
                f"http://{name}.test/v1",
                Credentials("test-key-0001"),
                timeouts or Timeouts(5.0, 0, 0, 0, 0),
                (places or {}).get(name),
            )
            for name in backends
        }
        attempts = tuple(
            Attempt(Backend(f"{name}/m", name, "m", price), "public", context, ("named",))
            for name, context in zip(backends, contexts or [None] * len(backends), strict=True)
        )
        record = Record("req-1", arrived_s=clock(), key_id="k", customer_id="c", clock=clock)
        record.plan = Plan(None, NAMED, attempts)
        record.stream = stream
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
        patience = Patience(retries=retries, deadline_s=deadline_s)
        headroom = Headroom(clock, clock)
        lanes = Lanes(providers, headroom, tail_s=2, wall_clock_s=clock, keys=keys and keys(providers))
        # Without a store it judges by itself, by the same rules.
        health = Noting(cast("Store", None), backends=(), rules=BreakerRules(), clock_s=clock)
        board = Board(health, headroom, lanes.keys, [each.backend for each in attempts], clock)
        dispatch = Dispatch(cast("Transport", wire), lanes, patience, health, board)
        return Scene(clock, wire, record, connection, sink, job, dispatch, health, board, lanes, health.notes)

    return stage
