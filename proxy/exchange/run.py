"""One request's story, one line a step. Nothing here knows a dialect or a provider."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple, Protocol, cast

from providers.dialects import Client, PlainClient
from providers.types import Canonical, ErrorKind, RequestError, UpstreamError
from proxy.exchange.admission import Admission, Admissions
from proxy.exchange.arrival import Arrival
from proxy.exchange.bounds import Bound
from proxy.exchange.dispatch import STOPPING, Dispatch, Job, said_usage
from proxy.exchange.downstream import Downstream, Headers, Send
from proxy.exchange.errors import UPSTREAM, Refused
from proxy.exchange.holding import Holding
from proxy.exchange.judging import Judge, Judgement
from proxy.exchange.lanes import Lanes
from proxy.exchange.ledger_row import row_of, tags_of
from proxy.exchange.micro_call import MicroCalls
from proxy.exchange.record import Record
from proxy.exchange.steering import Course, Steering, kept_verdict
from proxy.routing.catalogue.types import Backend, Catalogue
from proxy.routing.policy import UNDECIDED, AllowLists, Plan, Unroutable, mode_asked, plan
from ratelimit.subjects.types import Subject

JSON: Final = (b"content-type", b"application/json")
EVENT_STREAM: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx would hold a stream back otherwise
)
PLANS_KEPT: Final = 1024
CLIENT_GONE: Final = 499
"""Logged for a client that left before its answer was complete; nobody is there to receive it."""


class Settled(Protocol):
    """Who is told when a request is over: metrics and the log."""

    def begun(self) -> None: ...
    def settled(self, record: Record) -> None: ...


@dataclass(frozen=True, slots=True)
class ClientPatience:
    """What a client may do to us. `write_s`: not read for so long; `keep_alive_s`: see `Downstream`."""

    write_s: float
    keep_alive_s: float


class Classifying(NamedTuple):
    """Who says what a request is, and what follows. `micro`: `None` where no model is configured for it."""

    judge: Judge
    steering: Steering
    micro: MicroCalls | None


@dataclass(slots=True)
class _Held:
    """What a request has been admitted with so far. `request`: once it is all that it may use. `course`: a mode's."""

    admission: Admission | None = None
    request: Canonical | None = None
    course: Course | None = None


class Exchange:
    """Serves completions. One per process, built at start."""

    def __init__(
        self,
        catalogue: Catalogue,
        admissions: Admissions,
        holding: Holding,
        classifying: Classifying,
        lanes: Lanes,
        dispatch: Dispatch,
        settled: Settled,
        *,
        patience: ClientPatience,
        clock: Callable[[], float],
        wall_clock_s: Callable[[], float],
    ) -> None:
        # Equal arguments give equal plans, and few differ: names of the catalogue times allow-lists in use.
        self._planned = lru_cache(PLANS_KEPT)(
            lambda asked, tier, *lists: plan(asked, _named(lists), UNDECIDED, catalogue, tier)
        )
        self.classifying = classifying
        self._catalogue = catalogue
        self._admissions = admissions
        self._holding = holding
        self._lanes = lanes
        self._dispatch = dispatch
        self._settled = settled
        self._patience = patience
        self._clock = clock
        self._wall_clock_s = wall_clock_s

    async def run(self, client: PlainClient, arrival: Arrival, body: bytes, send: Send) -> None:
        """Answer one request, from its body to its settlement.

        Raises:
            Refused: the answer is an error and nothing has been sent yet.
        """
        record = Record(
            arrival.request_id,
            arrived_s=arrival.arrived_s,
            key_id=arrival.subject.key_id,
            customer_id=arrival.subject.customer_id,
            clock=self._clock,
        )
        record.client_request_id = arrival.client_request_id
        downstream = Downstream(
            arrival.connection, send, write_s=self._patience.write_s, keep_alive_s=self._patience.keep_alive_s
        )
        self._settled.begun()
        held = _Held()
        try:
            request, admission = await self._admitted(client, arrival, body, record, held)
            await self._dispatched(client, arrival, request, admission, record, downstream)
        except Refused as refused:
            if held.request is None and record.tries:  # what judging it has cost stays billed, and is said
                refused.attempts = record.attempts()
            record.status, record.outcome = refused.status, refused.code
            if not downstream.started:
                raise
            self._end_early_stream(client, downstream, record, refused)
        except asyncio.CancelledError:
            record.status, record.outcome = CLIENT_GONE, "client_gone" if downstream.gone else "cancelled"
            if record.running:
                record.end_try(record.outcome, status=0)
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()  # the departure, or the end of the server, cancelled this task, and it ends here
            if not downstream.gone:
                self._end_stopped(client, downstream, record)
        except Exception:
            record.status, record.outcome = 500, "internal_error"
            raise
        finally:
            record.finished_s = self._clock()
            self._over(held, record)
            self._settled.settled(record)
            await downstream.close()

    def _over(self, held: _Held, record: Record) -> None:
        """Charge a request that was admitted; learn and remember what the next ones need."""
        if held.admission is None:
            return
        self._admissions.settle(
            held.admission,
            record.request_id,
            tokens=record.tokens,
            microusd=record.cost_microusd or 0,
            row=row_of(record, self._wall_clock_s()),
            served=held.request is not None,
        )
        if held.request is not None:
            self._holding.learn(held.request, record)
            if held.course is not None and record.outcome == "ok":
                self.classifying.steering.answered(held.course, record.current.backend.id, record.usage)

    async def _admitted(
        self, client: PlainClient, arrival: Arrival, body: bytes, record: Record, held: _Held
    ) -> tuple[Canonical, Admission]:
        """The request, its plan made and all that it may use held.

        Args:
            held: takes what it has been admitted with, on every way out.

        Raises:
            Refused: it cannot be read, planned or admitted.
        """
        try:
            request = client.parse(body)
        except RequestError as problem:
            raise Refused(problem.code, problem.message, param=problem.param) from None
        record.asked, record.stream = request.model, request.stream
        record.tags = tags_of(arrival.subject.tags, request.members)
        held.course = await self._course(request, arrival, client, record, held)
        chosen = self._plan(request, arrival.subject, held.course)
        if chosen.tier is not None:
            request = request._replace(named=False)
        record.plan = self._lanes.fitting(
            chosen, request, client.operation, customer_id=arrival.subject.customer_id
        )
        held.request, held.admission = await self._holding.hold(
            request, arrival, record, streams=client.operation != "embeddings", earlier=held.admission
        )
        return held.request, held.admission

    async def _dispatched(
        self,
        client: PlainClient,
        arrival: Arrival,
        request: Canonical,
        admission: Admission,
        record: Record,
        downstream: Downstream,
    ) -> None:
        def start_headers() -> Headers:
            return [*EVENT_STREAM, *arrival.said, *admission.headers, *record.headers()]

        job = Job(arrival, request, client, record, downstream, start_headers, int(self._wall_clock_s()))
        if request.stream:
            # Sent early, an answer cannot name its backend yet.
            downstream.keep_alive(lambda: (200, [*EVENT_STREAM, *arrival.said, *admission.headers]))
        try:
            completion = await self._dispatch.run(job)
        except Refused as refused:
            refused.headers = (*refused.headers, *admission.headers, *record.headers())
            raise
        record.status = 200
        record.outcome = record.tries[-1].outcome
        if downstream.gone:
            record.status = CLIENT_GONE
        elif completion is not None:
            assert record.usage is not None
            answer = client.closer().plain(completion, said_usage(job, record.usage), record.block())
            headers = [JSON, (b"content-length", b"%d" % len(answer)), *arrival.said, *admission.headers]
            downstream.start(200, headers + record.headers())
            downstream.end(answer)

    async def _course(
        self, request: Canonical, arrival: Arrival, client: PlainClient, record: Record, held: _Held
    ) -> Course | None:
        """Judge a mode's request, and steer it by its conversation; `None` for a model's.

        Args:
            record, held: take the attempts of a micro-classifier, and what was admitted for it.

        Raises:
            Refused: this key may not use the mode, or a limit is in the way of asking what the request is.
        """
        subject = arrival.subject
        judgement = self._judged(request) if client.operation != "embeddings" else None
        if judgement is None:
            return None

        def expected(tier: str) -> Backend | None:
            try:
                return self._planned_for(request.model, tier, subject).attempts[0].backend
            except Refused as refused:
                if refused.code == "model_not_allowed":
                    raise
                return None

        expected(judgement.tiers[0])  # before anybody is asked anything: may it be used at all
        place, before = await self.classifying.steering.before(subject.customer_id, request, judgement)
        verdict = kept_verdict(judgement, place, before)
        micro = self.classifying.micro
        if verdict is None and micro is not None and judgement.left_open is not None:
            account = self._holding.account(request, arrival)

            async def admit(most: Bound) -> None:
                held.admission = await self._admissions.admit(account, arrival.request_id, most)

            verdict = await micro.verdict(arrival, judgement, record, admit, priced_only=account.dollars)
        if verdict is None:
            verdict = judgement.verdict
        return self.classifying.steering.course(request, judgement, verdict, place, before, expected)

    def _judged(self, request: Canonical) -> Judgement | None:
        mode = mode_asked(request.model, self._catalogue)
        return (
            None
            if mode is None
            else self.classifying.judge.of(mode, self._catalogue.modes[mode], request.members)
        )

    def _plan(self, request: Canonical, subject: Subject, course: Course | None) -> Plan:
        if course is None:
            return self._planned_for(request.model, None, subject)
        return self._planned_for(request.model, course.tier, subject)._replace(
            verdict=course.verdict, raised=course.raised, because=course.because
        )

    def _planned_for(self, asked: str, tier: str | None, subject: Subject) -> Plan:
        try:
            return self._planned(asked, tier, subject.key_models, subject.customer_models)
        except Unroutable as problem:
            raise Refused(problem.code, problem.message, param="model") from None

    def _end_stopped(self, client: PlainClient, downstream: Downstream, record: Record) -> None:
        """The server is stopping and waits no longer: an answer that has not ended is an error.

        Raises:
            Refused: nothing has been sent yet.
        """
        refused = Refused("overloaded", STOPPING, retry_after_s=1.0)
        refused.attempts = record.attempts()
        record.status = 200 if downstream.started else refused.status
        if not downstream.started:
            raise refused
        if not downstream.ended:
            self._end_early_stream(client, downstream, record, refused)
        elif record.tries[-1].outcome == "ok":
            record.outcome = "ok"

    def _end_early_stream(
        self, client: PlainClient, downstream: Downstream, record: Record, refused: Refused
    ) -> None:
        """Every attempt failed after a comment had gone out: the error is a frame."""
        # The code is the kind of the provider's failure, or says that its context is too small.
        kind: ErrorKind = next((kind for kind in UPSTREAM if kind == refused.code), "bad_request")
        error = UpstreamError(kind, refused.message)
        closer = cast("Client", client).closer()  # only a dialect that has streams starts early
        downstream.end(closer.error(error, refused.status, b"null", record.block(), None))


def allow_lists(subject: Subject) -> AllowLists:
    """The lists a name must be in."""
    return _named((subject.key_models, subject.customer_models))


def _named(lists: Iterable[tuple[str, ...] | None]) -> AllowLists:
    return [names for names in lists if names is not None]
