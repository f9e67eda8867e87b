"""Which tier a request runs in, given its verdict and what its conversation has used so far. Pure functions.

A verdict points at one of a mode's three tiers. Within a conversation a harder verdict moves up at once, because a
weak answer costs a turn. A softer one moves down only if this request then costs less than it would where it is, with
the prompt that the provider has cached read at its discount:

    saving = fresh cost of this request where it is  -  its cost in the softer tier
    lost   = cached tokens * (price of fresh input - price of cached input), where it is

Later requests of the conversation are not counted: how many there will be is anybody's guess.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from proxy.routing.catalogue.cost import cost_picousd
from proxy.routing.catalogue.types import Price
from proxy.routing.types import POSITION, Verdict

WARM_S: Final = 300.0
"""For how long a provider is taken to keep a prompt it has cached. Anthropic keeps it for five minutes after its last
use (platform.claude.com, "Prompt caching"), OpenAI for five to ten (platform.openai.com, "Prompt caching"; both
November 2026)."""

LAST: Final = 2
"""Place of the tier for complex requests in a mode's list."""


@dataclass(frozen=True, slots=True)
class Affinity:
    """What the policy may know of a conversation: where its prompt is warm.

    Attributes:
        backend_id: of the backend that answered last.
        cached_tokens: of the prompt, which that backend can read from its cache.
    """

    backend_id: str
    cached_tokens: int


class Entry(NamedTuple):
    """A tier of a mode. `place`: 0 to 2 in its list. `raised`: doubt moved it up, to another tier."""

    place: int
    tier: str
    raised: bool


class Saving(NamedTuple):
    """Of one request, in pico-dollars; see the module."""

    saving_picousd: int
    lost_picousd: int


def entry(verdict: Verdict, tiers: Sequence[str], min_confidence: float) -> Entry:
    """The entry of a mode's list for a verdict: one up where its confidence is too low. Undecided is never raised.

    Args:
        tiers: for simple, moderate and complex requests.
    """
    place = POSITION[verdict.complexity or "moderate"]
    if verdict.source == "default" or verdict.confidence is None or verdict.confidence >= min_confidence:
        return Entry(place, tiers[place], raised=False)
    higher = min(place + 1, LAST)
    return Entry(higher, tiers[higher], raised=tiers[higher] != tiers[place])


def settle_tier(
    previous: str | None,
    wanted: Entry,
    tiers: Sequence[str],
    *,
    same_turn: bool,
    saving: Saving | None,
) -> tuple[str, str]:
    """The tier to use, and why it is not simply the wanted one (empty where it is).

    Args:
        previous: the tier that the conversation used last; `None` without one.
        wanted: the entry of this request's verdict.
        tiers: the mode's list; a previous tier that is not in it counts for nothing.
        same_turn: the user has said nothing new since, so that nothing moves down.
        saving: what moving down would change; `None` where no cache is warm.
    """
    if previous is None or previous == wanted.tier or previous not in tiers:
        return wanted.tier, ""
    before = max(place for place, tier in enumerate(tiers) if tier == previous)
    if wanted.place > before:
        return wanted.tier, f"moved up from {previous}"
    if same_turn:
        return previous, "kept for the turn"
    if saving is None or saving.saving_picousd > saving.lost_picousd:
        return wanted.tier, f"moved down from {previous}"
    return previous, "kept: the warm cache is worth more than the cheaper tier saves"


def saving(
    before: Price, after: Price, *, cached_tokens: int, input_tokens: int, output_tokens: int
) -> Saving:
    """What one request saves in a softer tier, and what the warm cache it leaves behind would have saved.

    Args:
        before: of the backend that answered last.
        after: of the backend that would answer in the softer tier.
        cached_tokens: of the prompt at the backend before.
        input_tokens, output_tokens: what this request is expected to take.
    """
    cached = min(cached_tokens, input_tokens)

    def cost(price: Price, cache_read_tokens: int) -> int:
        return cost_picousd(
            price,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cache_read_tokens=cache_read_tokens,
            cache_write_tokens=0,
        )

    fresh = cost(before, 0)
    return Saving(fresh - cost(after, 0), fresh - cost(before, cached))
