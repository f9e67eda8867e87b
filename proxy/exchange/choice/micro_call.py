"""A micro-classifier asked what a request is: through the gateway's own dispatch, in its own time, on its own bill.

Whatever goes wrong is undecided, counted by its reason: `late`, `broken` (no verdict in the answer, or one that is not
to be believed), `dear` (it could cost more than a verdict is worth), `unavailable` (no backend, or none that answers).
Verdicts are remembered by a keyed digest of the ask, for the customer alone; equal asks under way are one call, which
is billed to the request that made it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from classifiers.micro import ANSWER_TOKENS, answered, question
from classifiers.types import COMPLEXITIES, TASK_TYPES, Ask, Undecided
from classifiers.types import Verdict as Judged
from providers.clients.openai_chat import OpenAIChat
from providers.types import Canonical
from proxy.exchange.arrival import Arrival
from proxy.exchange.attempts.dispatch import Dispatch, Job
from proxy.exchange.books.record import Record
from proxy.exchange.choice.choosing import Asking, Budget, Choosing
from proxy.exchange.choice.conversations import Remembers
from proxy.exchange.choice.digests import Digests
from proxy.exchange.choice.judging import Judgement, Mishaps, spoken
from proxy.exchange.downstream import Downstream, Listener
from proxy.exchange.errors import Refused
from proxy.exchange.money.bounds import Bound, bound, measure
from proxy.exchange.money.guesses import Guesses
from proxy.routing.catalogue.types import Model
from proxy.routing.policy import Plan, Verdict
from proxy.routing.wishes import NONE, Wishes
from ratelimit.memory.recent import Recent

KIND: Final = "verdict"
KEPT_S: Final = 3600.0
HERE_MAX: Final = 20_000
"""About 8 MB."""
MOST_MICROUSD: Final = 5_000
"""Half a cent. The bound takes a token a byte, so that what is really paid is about a quarter of it."""

_CLIENT: Final = OpenAIChat()

Known = Recent[tuple[str, str], Judged]
Admit = Callable[[Bound], Awaitable[None]]
"""Holds what the call may use, as the first step of the request. Raises Refused."""


class _Answer(NamedTuple):
    verdict: Judged | None = None
    abandoned: bool = False


_NONE: Final = _Answer()
_ABANDONED: Final = _Answer(abandoned=True)


class Terms(NamedTuple):
    """What a request allows for questions about it.

    Attributes:
        priced_only: money is limited, so that a backend without a price may not be asked.
        wishes: the request's own; those on who may read its prompt hold for the question too.
        regions: its customer's.
    """

    priced_only: bool = False
    wishes: Wishes = NONE
    regions: tuple[str, ...] = ()


class MicroCalls:
    """One per configuration; `known` outlives it."""

    def __init__(
        self,
        model: Model,
        dispatch: Dispatch,
        choosing: Choosing,
        memory: Remembers,
        known: Known,
        digests: Digests,
        mishaps: Mishaps,
        guesses: Guesses,
        *,
        timeout_s: float,
        clock: Callable[[], float],
        wall_clock_s: Callable[[], float],
    ) -> None:
        """
        Args:
            model: that is asked.
            known: verdicts of this process.
            timeout_s: of one call, waiting for an equal one included.
            clock: monotonic, in seconds.
            wall_clock_s: since the epoch.
        """
        self._model = model
        self._dispatch = dispatch
        self._choosing = choosing
        self._memory = memory
        self._known = known
        self._digests = digests
        self._mishaps = mishaps
        self._guesses = guesses
        self._timeout_s = timeout_s
        self._clock = clock
        self._wall_clock_s = wall_clock_s
        self._under_way: dict[tuple[str, str], asyncio.Future[_Answer]] = {}

    async def verdict(
        self, arrival: Arrival, judgement: Judgement, record: Record, admit: Admit, terms: Terms
    ) -> Verdict | None:
        """What the model says of an undecided request; `None`: nothing that counts.

        Args:
            record: takes the attempts of the call, on every way out.
            admit: called before anything is sent, and only then.
            terms: of the request it is about.

        Raises:
            Refused: by `admit`.
        """
        undecided = judgement.left_open
        assert undecided is not None
        customer_id = arrival.subject.customer_id
        # The model's answer is to the ask alone; what else is known of the request does not reach it.
        place = (customer_id, self._digests.of(customer_id, KIND, self._model.id, judgement.ask.text))
        found = await self._remembered(place, undecided)
        while found is None:
            waiting = self._under_way.get(place)
            if waiting is None:
                found = await self._led(place, arrival, judgement.ask, undecided, record, admit, terms)
            else:
                answer = await self._followed(waiting)
                if answer.abandoned:
                    continue
                found = answer.verdict
            break
        return None if found is None else spoken(_of_domain(found, undecided))

    async def _remembered(self, place: tuple[str, str], undecided: Undecided) -> Judged | None:
        found = self._known.get(place)
        if found is None and place not in self._under_way:
            blob = await self._memory.get(place[0], KIND, place[1])
            found = None if blob is None else _read(blob, undecided)
            if found is not None:
                self._known.put(place, found)
        return found

    async def _followed(self, waiting: "asyncio.Future[_Answer]") -> _Answer:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.shield(waiting)
        except TimeoutError:
            self._mishaps.unclassified("late")
            return _NONE

    async def _led(
        self,
        place: tuple[str, str],
        arrival: Arrival,
        ask: Ask,
        undecided: Undecided,
        record: Record,
        admit: Admit,
        terms: Terms,
    ) -> Judged | None:
        """Make the call that equal ones wait for. If its request ends before it, the next of them makes its own."""
        future = asyncio.get_running_loop().create_future()
        self._under_way[place] = future
        answer = _ABANDONED
        try:
            answer = _Answer(await self._asked(arrival, ask, undecided, record, admit, terms))
            if answer.verdict is not None:
                self._keep(place, answer.verdict)
            return answer.verdict
        finally:
            del self._under_way[place]
            future.set_result(answer)

    async def _asked(
        self,
        arrival: Arrival,
        ask: Ask,
        undecided: Undecided,
        record: Record,
        admit: Admit,
        terms: Terms,
    ) -> Judged | None:
        request = _CLIENT.parse(question(ask, self._model.id))
        plan = self._plan(request, record, terms)
        if plan is None:
            self._mishaps.unclassified("unavailable")
            return None
        most = bound(
            request,
            measure(request),
            plan.attempts,
            ANSWER_TOKENS,
            {self._model.id: self._model},
            self._guesses,
        )
        if most is None or most.microusd > MOST_MICROUSD:
            self._mishaps.unclassified("dear")
            return None
        await admit(most)
        text = await self._called(arrival, request, plan, record)
        if text is None:
            return None
        verdict = answered(text, ask, undecided)
        if verdict is None:
            self._mishaps.unclassified("broken")
        return verdict

    def _plan(self, request: Canonical, record: Record, terms: Terms) -> Plan | None:
        asking = Asking(
            request._replace(model=self._model.id),
            _CLIENT.operation,
            None,
            record.request_id,
            wishes=terms.wishes.on_who_may_read,
            budget=Budget(terms.priced_only),
            customer_id=record.customer_id,
            customer_regions=terms.regions,
        )
        try:
            return self._choosing.choose(asking)
        except Refused:
            return None

    async def _called(self, arrival: Arrival, request: Canonical, plan: Plan, record: Record) -> str | None:
        own = Record(
            record.request_id,
            arrived_s=self._clock(),
            key_id=record.key_id,
            customer_id=record.customer_id,
            clock=self._clock,
        )
        own.plan = plan
        downstream = Downstream(Nobody(), _unsent, write_s=0.0, keep_alive_s=0.0)
        job = Job(
            arrival._replace(headers=()), request, _CLIENT, own, downstream, list, int(self._wall_clock_s())
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                completion = await self._dispatch.run(job)
        except TimeoutError:
            self._mishaps.unclassified("late")
            _end(own, "timeout")
            return None
        except Refused:
            self._mishaps.unclassified("unavailable")
            return None
        finally:
            _end(own, "cancelled")
            record.took(own, "micro")
        return "" if completion is None else _said(completion.members)

    def _keep(self, place: tuple[str, str], verdict: Judged) -> None:
        self._known.put(place, verdict)
        blob = orjson.dumps([verdict.complexity, verdict.task_type, verdict.confidence])
        self._memory.put(place[0], KIND, place[1], blob, ttl_s=KEPT_S)


def _end(own: Record, outcome: str) -> None:
    """What runs is over; what our own time-out has ended was cancelled by nobody else."""
    if own.running:
        own.end_try(outcome, status=0)
    elif outcome == "timeout" and own.tries and own.tries[-1].outcome == "cancelled":
        own.tries[-1].outcome = outcome


def _of_domain(found: Judged, undecided: Undecided) -> Judged:
    return Judged(
        found.complexity,
        found.task_type,
        undecided.fallback.domain,
        found.confidence,
        found.source,
        found.rule,
    )


def _read(blob: bytes, undecided: Undecided) -> Judged | None:
    """A verdict of the store; `None` for anything else, such as another version's."""
    try:
        complexity, task_type, confidence = orjson.loads(blob)
    except (ValueError, TypeError):
        return None
    if complexity not in COMPLEXITIES or task_type not in TASK_TYPES or not isinstance(confidence, float):
        return None
    return Judged(complexity, task_type, undecided.fallback.domain, confidence, "micro")


def _said(members: Mapping[str, Any]) -> str:
    """The text of an answer; empty where there is none."""
    try:
        text = members["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        return ""
    return text if isinstance(text, str) else ""


class Nobody:
    """The client of a call that no client has made: it neither leaves nor reads slowly."""

    paused = False
    gone = False
    unsent_bytes = 0

    def __init__(self) -> None:
        self.listener: Listener | None = None

    def abort(self) -> None:
        raise AssertionError("nothing is sent to nobody")


async def _unsent(message: Any) -> None:
    raise AssertionError(f"nothing is sent to nobody: {message!r}")
