"""What is remembered of a conversation from one request to the next: verdict, tier, backend, warm cache.

A conversation is known by the client's `session_id`, else its `prompt_cache_key`, else the beginning that all its
requests share. That beginning may be shared by others of the same customer, so what is remembered by it counts only
where the number of the user's turns fits. Requests that are the first of their conversation remember in this process
alone: most of them are the only one.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol

import orjson

from classifiers.types import Ask
from proxy.exchange.choice.digests import Digests, beginning
from proxy.routing.policy import POSITION, Verdict
from ratelimit.memory.recent import Recent

KIND: Final = "conversation"
KEPT_S: Final = 3600.0
"""An hour after its last request a conversation is a new one; no provider keeps a prompt for longer by itself."""
HERE_MAX: Final = 20_000
"""About 12 MB."""
_HEAD_CHARS: Final = 4000
_VERSION: Final = 1


class Remembers(Protocol):
    """The store's memory; see `ratelimit.memory.memory`."""

    def put(self, customer_id: str, kind: str, digest: str, blob: bytes, *, ttl_s: float) -> None: ...
    async def get(self, customer_id: str, kind: str, digest: str) -> bytes | None: ...


class Place(NamedTuple):
    """Where a request stands in its conversation.

    Attributes:
        digest: of the conversation.
        turn: digest of what the user asked last, and of how often the user had spoken then.
        turns: how often the user has spoken.
        named: the client itself named the conversation.
        begun: the conversation has an earlier request, as far as this one shows.
    """

    customer_id: str
    digest: str
    turn: str
    turns: int
    named: bool
    begun: bool


class Remembered(NamedTuple):
    """What the last answered request of a conversation left behind. Nothing in it can be read back to a text.

    Attributes:
        turn, turns: as in `Place`.
        verdict: on that turn's ask.
        tier: it ran in.
        backend_id: that answered.
        cached_tokens: of its prompt, which that backend keeps in its cache.
        at_s: when, seconds since the epoch.
    """

    turn: str
    turns: int
    verdict: Verdict
    tier: str
    backend_id: str
    cached_tokens: int
    at_s: float


class Conversations:
    """One per process."""

    def __init__(self, memory: Remembers, digests: Digests, *, clock: Callable[[], float]) -> None:
        """`clock`: monotonic, in seconds."""
        self._memory = memory
        self._digests = digests
        self._here: Recent[tuple[str, str], Remembered] = Recent(most=HERE_MAX, ttl_s=KEPT_S, clock=clock)

    def place(self, customer_id: str, members: Mapping[str, Any], ask: Ask) -> Place:
        """Where a request with these members (OpenAI's vocabulary) stands."""
        facts = ask.facts
        named = _named(members)
        texts = named or ("beginning", _user(members), *beginning(_list(members), head_chars=_HEAD_CHARS))
        return Place(
            customer_id,
            self._digests.of(customer_id, KIND, *texts),
            self._digests.of(customer_id, "turn", str(facts.turns), ask.text),
            facts.turns,
            named is not None,
            facts.turns > 1 or facts.tool_steps > 0,
        )

    async def recall(self, place: Place, *, ask_store: bool) -> Remembered | None:
        """What is remembered, if it can be of this very conversation. One round trip at most.

        Args:
            ask_store: where this process does not know, others may.
        """
        if not place.named and not place.begun:
            return None
        here = self._here.get((place.customer_id, place.digest))
        if here is not None and _fits(here, place):
            return here
        if not ask_store:
            return None
        blob = await self._memory.get(place.customer_id, KIND, place.digest)
        found = None if blob is None else read(blob)
        return found if found is not None and _fits(found, place) else None

    def keep(self, place: Place, remembered: Remembered, *, tell_store: bool) -> None:
        """Remember it; `tell_store`: for other gateways too. Never waits."""
        self._here.put((place.customer_id, place.digest), remembered)
        if tell_store and (place.named or place.begun):
            self._memory.put(place.customer_id, KIND, place.digest, written(remembered), ttl_s=KEPT_S)


def written(remembered: Remembered) -> bytes:
    """As the store keeps it."""
    verdict = remembered.verdict
    spoken = [
        verdict.source,
        verdict.complexity,
        verdict.task_type,
        verdict.confidence,
        verdict.rule,
        verdict.domain,
    ]
    return orjson.dumps([_VERSION, *remembered._replace(verdict=spoken)])  # type: ignore[arg-type]


def read(blob: bytes) -> Remembered | None:
    """What `written` wrote; `None` for anything else, such as another version's."""
    try:
        version, turn, turns, spoken, tier, backend_id, cached_tokens, at_s = orjson.loads(blob)
        verdict = Verdict(*spoken)
    except (ValueError, TypeError):
        return None
    sound = (
        version == _VERSION
        and isinstance(turn, str)
        and isinstance(turns, int)
        and verdict.complexity in tuple(POSITION)  # compared, not hashed: it may be anything
        and isinstance(tier, str)
        and isinstance(backend_id, str)
        and isinstance(cached_tokens, int)
        and isinstance(at_s, float)
    )
    return Remembered(turn, turns, verdict, tier, backend_id, cached_tokens, at_s) if sound else None


def _fits(found: Remembered, place: Place) -> bool:
    """The last request of this conversation was of this turn or of the one before it."""
    return found.turns in (place.turns, place.turns - 1)


def _named(members: Mapping[str, Any]) -> tuple[str, str] | None:
    """The client's own name for the conversation, and the member that says it."""
    for member in ("session_id", "prompt_cache_key"):
        said = members.get(member)
        if isinstance(said, str) and said:
            return member, said
    return None


def _user(members: Mapping[str, Any]) -> str:
    return str(members.get("user") or members.get("safety_identifier") or "")


def _list(members: Mapping[str, Any]) -> list[object]:
    messages = members.get("messages")
    return messages if isinstance(messages, list) else []
