"""One request's story, one line a step. Nothing here knows a dialect or a provider."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, cast

from providers.dialects import Client, PlainClient
from providers.types import Canonical, ErrorKind, RequestError, UpstreamError
from proxy.exchange.arrival import Arrival
from proxy.exchange.attempts.dispatch import STOPPING, Dispatch, Job, said_usage
from proxy.exchange.books.ledger_row import about_of, row_of, tags_of
from proxy.exchange.books.record import Record
from proxy.exchange.choice.choosing import NEW, Asking, Budget, Choosing, Conversation
from proxy.exchange.choice.judging import Judge
from proxy.exchange.choice.micro_call import MicroCalls, Terms
from proxy.exchange.choice.steering import Course, Steering, kept_verdict
from proxy.exchange.downstream import Downstream, Headers, Send
from proxy.exchange.errors import UPSTREAM, Refused
from proxy.exchange.money.admission import Admission, Admissions
from proxy.exchange.money.bounds import Bound
from proxy.exchange.money.holding import Holding
from proxy.routing.plans import Plan
from proxy.routing.snapshot import Settled as SettledTier
from proxy.routing.snapshot import Warm
from proxy.routing.types import UNDECIDED
from ratelimit.limits.types import Account

JSON: Final = (b"content-type", b"application/json")
EVENT_STREAM: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx would hold a stream back otherwise
)
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
        choosing: Choosing,
        admissions: Admissions,
        holding: Holding,
        classifying: Classifying,
        dispatch: Dispatch,
        settled: Settled,
        *,
        patience: ClientPatience,
        clock: Callable[[], float],
        wall_clock_s: Callable[[], float],
    ) -> None:
        self.choosing = choosing
        self.classifying = classifying
        self._admissions = admissions
        self._holding = holding
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
        record.client_headers = arrival.headers
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
        wishes = self.choosing.wishes(request)
        names = self.choosing.names(request, wishes) if arrival.subject.key_model_limits else ()
        account = self._admissions.account(arrival.subject, *names)
        asking = Asking(
            request, client.operation, arrival.subject, record.request_id, wishes, Budget(account.dollars)
        )
        course = held.course = await self._course(asking, arrival, account, record, held)
        verdict, conversation = UNDECIDED, NEW
        if course is not None:
            verdict = course.verdict
            warm = None if course.warm is None else Warm(course.warm.backend_id, course.warm.cached_tokens)
            conversation = Conversation(SettledTier(course.tier, course.raised, course.because), warm)
        lowers = arrival.subject.on_soft_limit == "lower"
        if lowers and self._admissions.soft_limit_reached(account):
            asking = asking.under(asking.budget._replace(lower=True))
        record.plan = self.choosing.choose(asking, verdict, conversation)
        if record.plan.tier is not None:
            request = request._replace(named=False)

        def again(left_microusd: int | None) -> Plan | None:
            if left_microusd is None and not lowers:
                return None
            return self.choosing.choose(
                asking.under(Budget(account.dollars, left_microusd, lowers)), verdict, conversation
            )

        held.request, held.admission = await self._holding.hold(
            request,
            account,
            record,
            streams=client.operation != "embeddings",
            earlier=held.admission,
            again=again,
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
        self, asking: Asking, arrival: Arrival, account: Account, record: Record, held: _Held
    ) -> Course | None:
        """Judge a mode's request, and steer it by its conversation; `None` where a model or a tier was named.

        Args:
            record, held: take the attempts of a micro-classifier, and what was admitted for it.

        Raises:
            Refused: this key may not use the mode, or a limit is in the way of asking what the request is.
        """
        mode = self.choosing.mode(asking)
        if mode is None:
            return None
        request, classifying = asking.request, self.classifying
        judgement = classifying.judge.seen(mode, self.choosing.catalogue.modes[mode], request.members)
        place, before = await classifying.steering.before(record.customer_id, request, judgement)
        verdict = kept_verdict(judgement, place, before)
        if verdict is None:
            judgement, micro = classifying.judge.judged(judgement), classifying.micro
            if micro is not None and judgement.left_open is not None:

                async def admit(most: Bound) -> None:
                    held.admission = await self._admissions.admit(
                        account, record.request_id, most, about=about_of(record.asked, None)
                    )

                terms = Terms(account.dollars, asking.wishes, asking.regions)
                verdict = await micro.verdict(arrival, judgement, record, admit, terms)
            verdict = verdict or judgement.verdict
        return classifying.steering.course(
            request, judgement, verdict, place, before, lambda tier: self.choosing.expected(asking, tier)
        )

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
