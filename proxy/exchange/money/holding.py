"""Between plan and dispatch: what a request may use is worked out and held."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from providers.clients.bodies import with_output_limit
from providers.types import Canonical
from proxy.exchange.books.ledger_row import about_of
from proxy.exchange.books.record import Record
from proxy.exchange.errors import Refused
from proxy.exchange.money.admission import NOTHING, Admission, Admissions, Smaller
from proxy.exchange.money.bounds import (
    LEAST_OUTPUT_TOKENS,
    Bound,
    Prompt,
    bound,
    expected_tokens,
    longest_answer,
    measure,
    prompt_bytes,
)
from proxy.exchange.money.guesses import Guesses
from proxy.routing.catalogue.types import Catalogue, Model
from proxy.routing.plans import Plan
from proxy.routing.policy import Attempt
from ratelimit.limits.types import Account, Room

_UNBOUNDED: Final = (
    "what this request may cost has no bound (files, sound, tools that the provider runs), "
    "so that a key with a quota or budget cannot make it"
)


@dataclass(frozen=True, slots=True)
class OutputLimits:
    """`default_tokens`: of an answer whose client names none. `shrink`: rather than refuse, shorten an answer."""

    default_tokens: int
    shrink: bool


class Holding:
    """One per process."""

    def __init__(
        self, catalogue: Catalogue, admissions: Admissions, guesses: Guesses, limits: OutputLimits
    ) -> None:
        self._catalogue = catalogue
        self._admissions = admissions
        self._guesses = guesses
        self._limits = limits

    async def hold(
        self,
        request: Canonical,
        account: Account,
        record: Record,
        *,
        streams: bool,
        earlier: Admission | None = None,
        again: Callable[[int | None], Plan | None] | None = None,
    ) -> tuple[Canonical, Admission]:
        """Hold what the request may use; with the limit of its answer, where money depends on there being one.

        Args:
            account: what it counts for.
            streams: the operation gives an answer that may be limited.
            earlier: what it was admitted with before, to be judged; this comes on top.
            again: another plan for what is left (micro-dollars), when a quota or budget has no room for this one.

        Raises:
            Refused: a limit is in the way, or what it may cost is not known.
        """
        if not account.limited:
            return request, await self._admissions.admit(account, record.request_id, NOTHING, earlier=earlier)
        assert record.plan is not None
        plan = record.plan
        asked_for = self._asked(request, plan.attempts, streams=streams, hard=account.hard)
        held = asked_for.bound(asked_for.output_tokens)
        if held is None:
            if account.hard:
                raise Refused("no_capable_backend", _UNBOUNDED)
            held = Bound(0, 0, asked_for.expected())

        def smaller(room: Room) -> Smaller | None:
            nonlocal asked_for, plan
            cheaper = None if again is None else again(room.microusd)
            if cheaper is not None:
                plan = cheaper
                asked_for = self._asked(request, plan.attempts, streams=streams, hard=True)
                whole = asked_for.bound(asked_for.output_tokens)
                if whole is not None and _fits(whole, room):
                    return Smaller(whole, None, about_of(record.asked, plan))
            found = asked_for.within(room) if self._limits.shrink else None
            return None if found is None else Smaller(*found, about_of(record.asked, plan))

        admission = await self._admissions.admit(
            account,
            record.request_id,
            held,
            about=about_of(record.asked, plan),
            earlier=earlier,
            smaller=smaller if account.hard else None,
        )
        record.plan, request = plan, asked_for.request
        if admission.output_tokens is not None:
            request = with_output_limit(request, admission.output_tokens)
        return request, admission

    def _asked(
        self, request: Canonical, attempts: tuple[Attempt, ...], *, streams: bool, hard: bool
    ) -> "_Asked":
        request, output_tokens = self._limited(request, attempts, streams=streams, hard=hard)
        return _Asked(
            request, measure(request), attempts, output_tokens, self._catalogue.models, self._guesses
        )

    def learn(self, request: Canonical, record: Record) -> None:
        """What a whole answer used tells what the next one of its model will probably use."""
        usage = record.usage
        if usage is None or usage.estimated or record.tries[-1].outcome != "ok":
            return
        self._guesses.learn(
            record.current.backend.id,
            prompt_bytes=prompt_bytes(request),
            prompt_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            choices=request.choices,
        )

    def _limited(
        self, request: Canonical, attempts: tuple[Attempt, ...], *, streams: bool, hard: bool
    ) -> tuple[Canonical, int]:
        """The request, with a limit where one is needed, and the longest its answer may be."""
        if request.output_limit_tokens:
            return request, longest_answer(request)
        if not streams:
            return request, 0
        output_tokens = self._limits.default_tokens
        if not hard:
            return request, output_tokens
        # A provider refuses a limit that is above what its model can.
        can = [self._catalogue.models[attempt.model].max_output_tokens for attempt in attempts]
        output_tokens = min(output_tokens, *(most for most in can if most is not None), output_tokens)
        return request._replace(output_limit_tokens=output_tokens), output_tokens


@dataclass(frozen=True, slots=True)
class _Asked:
    """A measured request."""

    request: Canonical
    prompt: Prompt
    attempts: tuple[Attempt, ...]
    output_tokens: int
    models: Mapping[str, Model]
    guesses: Guesses

    def bound(self, output_tokens: int) -> Bound | None:
        return bound(self.request, self.prompt, self.attempts, output_tokens, self.models, self.guesses)

    def expected(self) -> int:
        return expected_tokens(
            self.request, self.prompt, self.attempts[0], self.output_tokens, self.models, self.guesses
        )

    def within(self, room: Room) -> tuple[Bound, int] | None:
        """The longest answer that fits, tokens, and its bound; `None` when not even a short one does."""
        found: tuple[Bound, int] | None = None
        least, most = LEAST_OUTPUT_TOKENS, self.output_tokens - 1
        while least <= most:
            middle = (least + most) // 2
            made = self.bound(middle)
            if made is not None and _fits(made, room):
                found = made, middle
                least = middle + 1
            else:
                most = middle - 1
        return found


def _fits(made: Bound, room: Room) -> bool:
    return (room.tokens is None or made.tokens <= room.tokens) and (
        room.microusd is None or made.microusd <= room.microusd
    )
