"""What to try next: the plan's attempts, each over the provider keys that may serve it.

What is likely to be refused waits until nothing better is left, and is asked then all the same: nothing here refuses.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

from providers.types import UpstreamError
from proxy.exchange.attempts.lanes import Lane
from proxy.exchange.upstream.headroom import Slot
from proxy.exchange.upstream.places import NoPlace
from proxy.routing.policy import Attempt
from ratelimit.health.health import Health
from ratelimit.health.types import Probe, State

HasRoom = Callable[[Slot, int], bool]
"""Whether a provider's own rate limits leave room for a prompt of so many tokens, as far as it said."""

# In which order those that wait are asked when nothing better is left.
_FULL: Final = 0
_OPEN: Final = 1
_OTHER_KEY: Final = 2

# A key's own troubles: another key may fare better with the same backend.
_OF_THE_KEY: Final = frozenset({"rate_limited", "auth"})


class Way(NamedTuple):
    """One attempt over one key.

    Attributes:
        probe: the right to try what is open, when this is the request that has it.
    """

    attempt: Attempt
    lane: Lane
    probe: Probe | None = None


class Ways:
    """Of one request. Most end with the first attempt: keys of the others are looked at when it is their turn."""

    __slots__ = ("_ahead", "_attempts", "_has_room", "_health", "_lanes", "_late", "_prompt_tokens")

    def __init__(
        self,
        attempts: Sequence[Attempt],
        lanes: Callable[[Attempt], Iterable[Lane]],
        health: Health,
        has_room: HasRoom,
        *,
        prompt_tokens: int,
    ) -> None:
        """Args:
        attempts: in the plan's order.
        lanes: those of an attempt that may serve the request, in the order to be tried.
        """
        self._attempts = deque(attempts)
        self._lanes = lanes
        self._ahead: list[Way] = []
        self._late: list[tuple[int, Way]] = []
        self._health = health
        self._has_room = has_room
        self._prompt_tokens = prompt_tokens

    async def take(self) -> Way | None:
        """The next to try; `None` when nothing is left. One round trip where a probe is due, else none."""
        while self._ahead or self._attempts:
            if not self._ahead:
                self._look_ahead()
                continue
            way = self._ahead.pop(0)
            state = self._state(way)
            probe = await self._probe(way) if state == "due" else None
            if probe is not None:
                return way._replace(probe=probe)
            late = self._late_by(way, state)
            if late is None:
                return way
            self._late.append((late, way))
        if not self._late:
            return None
        first = min(self._late, key=itemgetter(0))
        self._late.remove(first)
        return await self.again(first[1])

    async def again(self, way: Way) -> Way:
        """Ask this one, whatever stands before it; as the probe where one is due and nobody else has it."""
        probe = await self._probe(way) if self._state(way) == "due" else None
        return way._replace(probe=probe)

    def failed(self, way: Way, error: UpstreamError, *, tries_left: int) -> None:
        """What a failure means for other keys of the same backend.

        After a rate limit or a refused key they are next; the last try that is left goes to another backend, where
        there is one. After any other failure they would only meet the same.
        """
        if error.kind not in _OF_THE_KEY or isinstance(error, NoPlace):
            self._late = [entry for entry in self._late if entry[1].attempt is not way.attempt]
        elif tries_left > 1 or not self._elsewhere(way):
            return
        else:
            self._late += [(_OTHER_KEY, other) for other in self._ahead if other.attempt is way.attempt]
        self._ahead = [other for other in self._ahead if other.attempt is not way.attempt]

    def keep_larger(self, context_tokens: int) -> bool:
        """Leave out models whose context is not larger; whether any is left."""
        self._attempts = deque(each for each in self._attempts if _is_larger(each, context_tokens))
        self._ahead = [way for way in self._ahead if _is_larger(way.attempt, context_tokens)]
        self._late = [entry for entry in self._late if _is_larger(entry[1].attempt, context_tokens)]
        return bool(self._attempts or self._ahead or self._late)

    def _look_ahead(self) -> None:
        attempt = self._attempts.popleft()
        self._ahead += [Way(attempt, lane) for lane in self._lanes(attempt)]

    def _late_by(self, way: Way, state: State) -> int | None:
        """Why it has to wait behind the others: its circuit, or its provider's limits; `None`: it need not."""
        if state != "closed":
            return _OPEN
        return None if self._has_room(way.lane.slot, self._prompt_tokens) else _FULL

    def _elsewhere(self, way: Way) -> bool:
        while self._attempts:
            self._look_ahead()
        return any(
            other.attempt is not way.attempt and self._state(other) in ("closed", "due")
            for other in self._ahead
        )

    def _state(self, way: Way) -> State:
        return self._health.state(way.attempt.backend.id, way.lane.key.id)

    async def _probe(self, way: Way) -> Probe | None:
        return await self._health.take_probe(way.attempt.backend.id, way.lane.key.id)


def _is_larger(attempt: Attempt, context_tokens: int) -> bool:
    return (attempt.context_tokens or 0) > context_tokens
