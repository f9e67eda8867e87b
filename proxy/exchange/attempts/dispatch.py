"""Walk a plan until one attempt answers: send, judge, move on. One budget of tries and one deadline per request."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, cast

from providers.dialects import Client, PlainClient, PlainUpstream, Reader, open_reader, whole
from providers.finishes import finish_of
from providers.types import (
    Canonical,
    Completion,
    Frame,
    RequestError,
    UpstreamError,
    UpstreamRequest,
    Usage,
)
from proxy.exchange.arrival import Arrival
from proxy.exchange.attempts.conditions import Board
from proxy.exchange.attempts.lanes import Lane, Lanes
from proxy.exchange.attempts.noting import note
from proxy.exchange.attempts.ways import Way, Ways
from proxy.exchange.books.record import Record, usd
from proxy.exchange.downstream import Downstream, Headers
from proxy.exchange.errors import UPSTREAM, Refused, from_upstream
from proxy.exchange.relay.attempt import Ending
from proxy.exchange.relay.plain import PlainRelay
from proxy.exchange.relay.stream import StreamRelay
from proxy.exchange.tail import Facts, Tail
from proxy.exchange.upstream.backends import Provider
from proxy.exchange.upstream.places import NoPlace
from proxy.exchange.upstream.transport import Transport
from proxy.routing.policy import Attempt
from ratelimit.health.health import Health

BACKOFF_S: Final = 0.25
"""First wait before the same backend is tried again without its own word on it; doubled each time."""

STOPPING: Final = "the gateway is stopping; try again"

_NO_KEY: Final = "no backend has a provider key for this customer and tier"

BYTES_PER_TOKEN: Final = 4
"""Of a request's body, for estimates; JSON around the text makes it err on the high side."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often.

    Attributes:
        retries: further tries in all, whichever the backend.
        deadline_s: no further attempt or wait begins later than this after arrival.
    """

    retries: int
    deadline_s: float


class Job(NamedTuple):
    """One request on its way through a plan. `start_headers` are for an answer that begins now."""

    arrival: Arrival
    request: Canonical
    client: PlainClient
    record: Record
    downstream: Downstream
    start_headers: Callable[[], Headers]
    created_s: int

    @property
    def streaming_client(self) -> Client:
        """The dialect of a request for a stream: only one that has streams can read such a request."""
        return cast("Client", self.client)


class Dispatch:
    """Sends requests to providers. One per process."""

    def __init__(
        self, transport: Transport, lanes: Lanes, patience: Patience, health: Health, board: Board
    ) -> None:
        """Args:
        health: hears how attempts end, and knows which circuits are open.
        board: knows where providers' own limits leave room, and counts what is in flight.
        """
        self._transport = transport
        self._lanes = lanes
        self._patience = patience
        self._health = health
        self._board = board

    async def run(self, job: Job) -> Completion | None:
        """Try until one attempt answers.

        Returns:
            A plain answer; `None` for a stream, which has been sent, and when the client has left.

        Raises:
            Refused: every attempt failed before the first content, or the provider refused the request itself.
        """
        ways = self._ways(job)
        failures: list[tuple[Way, UpstreamError]] = []
        way = await ways.take()
        if way is None:
            raise Refused("no_capable_backend", _NO_KEY, param="model")
        while True:
            outcome = await self._try(job, way)
            if not isinstance(outcome, UpstreamError):
                return outcome
            failures.append((way, outcome))
            following = await self._following(job, ways, failures)
            if following is None:
                raise _given_up(job.record, [error for _, error in failures])
            way = following

    def _ways(self, job: Job) -> Ways:
        """The plan's attempts in their order, each over the keys that may serve this request."""
        record = job.record
        plan = record.plan
        assert plan is not None
        chosen, tier = self._lanes.chosen, plan.tier
        return Ways(
            plan.attempts,
            lambda attempt: chosen(
                attempt.backend,
                customer_id=record.customer_id,
                tier=tier,
                request_id=record.request_id,
            ),
            self._health,
            self._board.has_room,
            prompt_tokens=len(job.request.raw) // BYTES_PER_TOKEN + 1,
        )

    async def _try(self, job: Job, way: Way) -> Completion | UpstreamError | None:
        """One attempt; an error is given back only when nothing of it has reached the client."""
        attempt, lane = way.attempt, way.lane
        dialect = self._lanes.dialect(attempt, job.client.operation)
        record = job.record
        record.begin_try(attempt, dialect.drops(job.request), provider_key_id=lane.key.id)
        error: UpstreamError | None = None
        try:
            request = _encoded(dialect, job, attempt)
            ending = await self._placed(job, way, request)
            if ending.gone:
                return None
            if ending.error is None:
                return None if job.request.stream else self._judge(job, lane, attempt, ending.body)
            error = cast("UpstreamError", ending.error)
        except UpstreamError as failure:
            error = lane.shown(failure)
            ending = Ending(error)
        finally:
            if error is not None and record.running:
                record.fail_try(error)
            note(self._health, record, way, error, gone=job.downstream.gone)
            if error is not None or way.probe is not None:
                self._board.look()
        return None if ending.committed else error

    async def _placed(self, job: Job, way: Way, request: UpstreamRequest) -> Ending:
        """Send it, within a place at the provider where these are counted."""
        send = self._stream if job.request.stream else self._plain
        provider = way.attempt.backend.provider
        places = way.lane.provider.places
        if places is not None:
            await places.take()
        self._board.begin(provider)
        try:
            return await send(job, way, request)
        finally:
            self._board.end(provider)
            if places is not None:
                places.leave()

    async def _stream(self, job: Job, way: Way, request: UpstreamRequest) -> Ending:
        attempt, lane = way.attempt, way.lane
        reader: Reader

        def relay() -> StreamRelay[Frame]:
            nonlocal reader
            reader = self._reader(job, lane.provider, attempt)
            tail = self._tail(job, reader)
            ends.append(tail)
            return StreamRelay(
                job.downstream,
                reader,
                tail,
                lane,
                lane.deadlines if self._is_last(job, attempt) else lane.deadlines_before_others,
                lambda: self._on_commit(job, way),
            )

        def stopped() -> None:
            tail = ends[-1]
            if not tail.complete:
                usage = tail.usage or _estimate(job.request, reader.estimated_output_tokens())
                job.record.end_try("cancelled", status=0, usage=usage)

        ends: list[Tail[Frame]] = []
        ending = await self._send(job, lane.provider, request, relay, stopped)
        held = ends[-1].held
        if ending.gone:
            usage = ends[-1].usage or _estimate(job.request, reader.estimated_output_tokens())
            job.record.end_try("client_gone", status=200 if ending.committed else 0, usage=usage)
        elif ending.error is None and held is not None:
            job.record.finish = finish_of(held.members)
        return ending

    def _is_last(self, job: Job, attempt: Attempt) -> bool:
        """Whether no backend after this one could still be tried."""
        record = job.record
        assert record.plan is not None
        return record.plan.attempts[-1] is attempt or len(record.tries) > self._patience.retries

    async def _plain(self, job: Job, way: Way, request: UpstreamRequest) -> Ending:
        lane = way.lane

        def relay() -> PlainRelay:
            return PlainRelay(job.downstream, lane, total_s=lane.deadlines.total_s)

        def stopped() -> None:
            job.record.end_try("cancelled", status=0, usage=_estimate(job.request, 0))

        ending = await self._send(job, lane.provider, request, relay, stopped)
        if ending.gone:
            job.record.end_try("client_gone", status=0, usage=_estimate(job.request, 0))
        return ending

    async def _send(
        self,
        job: Job,
        provider: Provider,
        request: UpstreamRequest,
        make: Callable[[], StreamRelay[Frame] | PlainRelay],
        stopped: Callable[[], None],
    ) -> Ending:
        """Write the request and wait for the end. A reused connection that died unheard is replaced once.

        `stopped` records what is billed when the server ends the attempt because it is stopping itself.
        """
        job.record.send_try()
        target = provider.target(request.path)
        extra_head = provider.further_head(job.arrival.headers, request.path, request.body)
        fresh = False
        while True:
            relay = make()
            call = await self._transport.send(
                target, extra_head, request.body, relay, connect_s=provider.timeouts.connect_s, fresh=fresh
            )
            relay.begin(call)
            try:
                ending = await relay.ended
            except asyncio.CancelledError:
                stopped()
                relay.stop(UpstreamError("overloaded", STOPPING))
                raise
            if relay.slowed:
                job.record.tries[-1].slowed = True
            if not ending.stale or fresh:
                return ending
            fresh = True
            job.record.restart_try()
            job.record.send_try()

    def _judge(self, job: Job, lane: Lane, attempt: Attempt, body: bytes) -> Completion:
        """A plain answer, recorded.

        Raises:
            UpstreamError: it is an error after all.
        """
        embedder = lane.provider.adapter.embeddings
        if job.client.operation == "embeddings" and embedder is not None:
            completion = embedder.decode(body, job.request)
        else:
            completion = whole(
                lane.provider.dialect,
                job.streaming_client,
                body,
                answer_id=job.record.request_id,
                model=attempt.backend.model,
                created_s=job.created_s,
            )
        usage = completion.usage or _estimate(job.request, completion.guessed_output_tokens)
        job.record.first_content()
        job.record.finish = finish_of(completion.members)
        job.record.end_try("ok", status=200, usage=usage)
        return completion

    def _reader(self, job: Job, provider: Provider, attempt: Attempt) -> Reader:
        return open_reader(
            provider.dialect,
            job.streaming_client,
            many_choices=job.request.choices != 1,
            answer_id=job.record.request_id,
            model=attempt.backend.model,
            created_s=job.created_s,
        )

    def _tail(self, job: Job, reader: Reader) -> Tail[Frame]:
        # It must not refer to the tail, which keeps it: the whole request would wait for the garbage collector.
        def facts(reported: Usage | None, error: UpstreamError | None) -> Facts:
            usage = reported or _estimate(job.request, reader.estimated_output_tokens())
            if error is None:
                job.record.end_try("ok", status=200, usage=usage)
            else:
                job.record.fail_try(error, usage)
            return Facts(
                said_usage(job, usage),
                job.record.block(),
                UPSTREAM[error.kind].status if error is not None else 200,
            )

        return Tail(job.streaming_client.closer(), usage_wanted=job.request.usage_wanted, facts=facts)

    def _on_commit(self, job: Job, way: Way) -> tuple[int, Headers]:
        job.record.first_content()
        if way.probe is not None:
            self._health.probe_answers(way.probe)
        return 200, job.start_headers()

    def _deadline_s(self, record: Record) -> float:
        wished_s = None if record.plan is None else record.plan.deadline_s
        return self._patience.deadline_s if wished_s is None else min(wished_s, self._patience.deadline_s)

    async def _following(self, job: Job, ways: Ways, failures: list[tuple[Way, UpstreamError]]) -> Way | None:
        """The next attempt, after the wait it needs; `None` when there is none."""
        failed, error = failures[-1]
        row = UPSTREAM[error.kind]
        if not row.moves_on and not (
            error.context_overflow and ways.keep_larger(failed.attempt.context_tokens or 0)
        ):
            return None
        tries = sum(
            not isinstance(error, NoPlace) for _, error in failures
        )  # nothing was sent without a place
        tries_left = self._patience.retries + 1 - tries
        loop = asyncio.get_running_loop()
        left_s = job.record.arrived_s + self._deadline_s(job.record) - loop.time()
        if tries_left <= 0 or left_s <= 0:
            return None
        ways.failed(failed, error, tries_left=tries_left)
        following = await ways.take()
        if following is not None:
            return following
        again = [
            (
                BACKOFF_S * 2 ** (len(failures) - 1) if error.retry_after_s is None else error.retry_after_s,
                number,
            )
            for number, (_, error) in enumerate(failures)
            if UPSTREAM[error.kind].again and error.again
        ]
        if not again:
            return None
        wait_s, number = min(again)
        if wait_s >= left_s:
            return None
        await asyncio.sleep(wait_s)
        return await ways.again(failures[number][0])


def _encoded(dialect: PlainUpstream, job: Job, attempt: Attempt) -> UpstreamRequest:
    try:
        return dialect.encode(job.request, attempt.backend.model)
    except RequestError as problem:
        job.record.end_try("bad_request", status=0)
        raise Refused(problem.code, problem.message, param=problem.param) from None


def said_usage(job: Job, usage: Usage) -> bytes:
    """The `usage` object of an answer."""
    return job.client.usage_json(
        usage, cost_usd=usd(job.record.cost_microusd), upstream_cost_usd=usage.provider_cost_usd
    )


def _estimate(request: Canonical, output_tokens: int) -> Usage:
    return Usage(len(request.raw) // BYTES_PER_TOKEN + 1, output_tokens, estimated=True)


def _given_up(record: Record, errors: list[UpstreamError]) -> Refused:
    """What the client is told when every attempt failed."""
    chosen = errors[-1]
    if UPSTREAM[chosen.kind].moves_on:
        chosen = next((error for error in reversed(errors) if error.kind != "auth"), chosen)
    if isinstance(chosen, NoPlace):
        refused = Refused("overloaded", chosen.message, retry_after_s=1.0)
    else:
        delays = [error.retry_after_s for error in errors if error.retry_after_s is not None]
        refused = from_upstream(
            chosen, retry_after_s=min(delays) if delays and chosen.kind == "rate_limited" else None
        )
    refused.attempts = record.attempts()
    return refused
