"""The tier of a mode's request: its verdict, its conversation and its loops put together."""

from collections.abc import Callable
from typing import Final, NamedTuple

from classifiers.cascade import least_complexity
from providers.types import Canonical, Usage
from proxy.exchange.choice.conversations import Conversations, Place, Remembered
from proxy.exchange.choice.judging import Judgement
from proxy.exchange.money.guesses import BYTES_PER_TOKEN, OUTPUT_TOKENS
from proxy.routing.affinity import (
    LAST,
    WARM_S,
    Affinity,
    Entry,
    Saving,
    entry,
    saving,
    settle_tier,
)
from proxy.routing.catalogue.types import Backend, Catalogue
from proxy.routing.policy import POSITION, Verdict

_LOOPS: Final = {
    "repeating": "one tier up: the same tool call again and again",
    "failing": "one tier up: the tools' results fail one after the other",
}

Expected = Callable[[str], Backend | None]
"""The backend that would answer in a tier; `None` where nothing can."""


class Course(NamedTuple):
    """How a mode's request is steered.

    Attributes:
        because: why the tier is not that of the verdict alone; empty where it is.
        warm: where the conversation's prompt is in a cache.
        place: in its conversation.
        direct: every verdict means the same tier.
    """

    verdict: Verdict
    tier: str
    raised: bool
    because: str
    warm: Affinity | None
    place: Place
    direct: bool


class Steering:
    """One per process."""

    def __init__(
        self,
        conversations: Conversations,
        catalogue: Catalogue,
        *,
        min_confidence: float,
        wall_clock_s: Callable[[], float],
    ) -> None:
        self._conversations = conversations
        self._backends = {
            backend.id: backend for model in catalogue.models.values() for backend in model.backends
        }
        self._min_confidence = min_confidence
        self._wall_clock_s = wall_clock_s

    async def before(
        self, customer_id: str, request: Canonical, judgement: Judgement
    ) -> tuple[Place, Remembered | None]:
        """Where the request stands in its conversation, and what is remembered of that. One round trip at most."""
        place = self._conversations.place(customer_id, request.members, judgement.ask)
        return place, await self._conversations.recall(place, ask_store=not _direct(judgement))

    def course(
        self,
        request: Canonical,
        judgement: Judgement,
        verdict: Verdict,
        place: Place,
        before: Remembered | None,
        expected: Expected,
    ) -> Course:
        """The tier to take.

        Args:
            verdict: on this request; see `kept_verdict`.
            expected: who would answer, for the prices of moving down.
        """
        wanted = entry(verdict, judgement.tiers, self._min_confidence)
        wanted, because = _above(wanted, judgement)
        warm = self._warm(before)
        moved = ""
        tier = wanted.tier
        if before is not None:
            figures = None
            if warm is not None and before.tier != wanted.tier:
                figures = self._figures(request, warm, expected(wanted.tier))
            tier, moved = settle_tier(
                before.tier, wanted, judgement.tiers, same_turn=before.turn == place.turn, saving=figures
            )
        raised = wanted.raised and tier == wanted.tier
        return Course(verdict, tier, raised, because or moved, warm, place, _direct(judgement))

    def answered(self, course: Course, backend_id: str, usage: Usage | None) -> None:
        """The request was answered: remember what the next one of its conversation needs. Never waits."""
        cached_tokens = 0
        if usage is not None and usage.cache_read_tokens + usage.cache_write_tokens > 0:
            cached_tokens = usage.input_tokens  # what was read or written is what the next one begins with
        place = course.place
        self._conversations.keep(
            place,
            Remembered(
                place.turn,
                place.turns,
                course.verdict,
                course.tier,
                backend_id,
                cached_tokens,
                self._wall_clock_s(),
            ),
            tell_store=not course.direct,
        )

    def _figures(self, request: Canonical, warm: Affinity, after: Backend | None) -> Saving | None:
        """What moving would change; `None` where the warm backend is gone, or a price is unknown."""
        before = self._backends.get(warm.backend_id)
        if before is None or after is None or before.price is None or after.price is None:
            return None
        return saving(
            before.price,
            after.price,
            cached_tokens=warm.cached_tokens,
            input_tokens=_input_tokens(request),
            output_tokens=_output_tokens(request),
        )

    def _warm(self, before: Remembered | None) -> Affinity | None:
        if before is None or self._wall_clock_s() - before.at_s > WARM_S:
            return None
        return Affinity(before.backend_id, before.cached_tokens)


def _input_tokens(request: Canonical) -> int:
    return int(len(request.raw) / BYTES_PER_TOKEN) + 1


def _output_tokens(request: Canonical) -> int:
    limit = request.output_limit_tokens or OUTPUT_TOKENS
    return request.choices * min(limit, OUTPUT_TOKENS)


def kept_verdict(judgement: Judgement, place: Place, before: Remembered | None) -> Verdict | None:
    """The verdict of this very turn, where it was reached before; `None` where the user has asked anew."""
    if before is None or before.turn != place.turn:
        return None
    least = least_complexity(judgement.ask)
    verdict = before.verdict
    if verdict.complexity is not None and POSITION[verdict.complexity] >= POSITION[least]:
        return verdict
    return Verdict(verdict.source, least, verdict.task_type, verdict.confidence, verdict.rule, verdict.domain)


def _direct(judgement: Judgement) -> bool:
    return len(set(judgement.tiers)) == 1


def _above(wanted: Entry, judgement: Judgement) -> tuple[Entry, str]:
    """One entry up where the conversation goes in circles."""
    if judgement.loop is None or wanted.place == LAST:
        return wanted, ""
    above = Entry(wanted.place + 1, judgement.tiers[wanted.place + 1], raised=wanted.raised)
    return above, _LOOPS[judgement.loop] if above.tier != wanted.tier else ""
