"""What is known of all backends at this moment, put together about once a second for whoever chooses among them."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from providers.rate_limits import RateLimits, Window
from proxy.exchange.upstream.headroom import Headroom, Slot
from proxy.exchange.upstream.keys import ProviderKey, ProviderKeys
from proxy.routing.catalogue.types import Backend
from proxy.routing.snapshot import UNKNOWN, BackendState, Conditions
from ratelimit.health.health import Health
from ratelimit.health.types import BADNESS, CLOSED, BackendHealth, CircuitState, HealthSnapshot, Target

UNTOLD_RESET_S: Final = 60.0
"""When a limit counts as whole again whose reset the provider does not say: most are of a minute."""

LONGEST_RESET_S: Final = 3600.0
"""A day's limit that is used up is asked after once an hour: it may have been raised."""


class _Left(NamedTuple):
    """What one limit leaves, and until when that holds."""

    amount: int
    until_s: float


class _Room(NamedTuple):
    requests: _Left | None
    tokens: _Left | None


class KeyState(NamedTuple):
    """One provider key as it is with one backend.

    Attributes:
        circuit: the worst of those that stand before it.
        refused: its own is one of them: the provider refuses this credential, whatever the backend.
        left_requests, left_tokens: `None`: the provider did not say.
    """

    id: str
    circuit: CircuitState
    refused: bool
    left_requests: int | None
    left_tokens: int | None


class Board:
    """Not for use across threads.

    Attributes:
        backends: those that `conditions` tell of.
        conditions: what the policy reads; replaced, never changed.
        in_flight: requests at each provider from this process, live.
    """

    __slots__ = (
        "_circuits", "_clock_s", "_headroom", "_health", "_heeds_limits", "_keys", "_limits", "_room",
        "_scheduled", "backends", "conditions", "in_flight",
    )  # fmt: skip

    def __init__(
        self,
        health: Health,
        headroom: Headroom,
        keys: ProviderKeys,
        backends: Sequence[Backend],
        clock_s: Callable[[], float],
        *,
        heeds_limits: bool = True,
    ) -> None:
        """Args:
        clock_s: monotonic; the one of `health` and `headroom`.
        heeds_limits: a provider that says it has nothing left has no room.
        """
        self._heeds_limits = heeds_limits
        self._health = health
        self._headroom = headroom
        self._keys = keys
        self.backends = backends
        self._clock_s = clock_s
        self._circuits: object = None
        self._scheduled = False
        self._limits: Mapping[Slot, RateLimits] = {}
        self._room: Mapping[Slot, _Room] = {}
        self.in_flight: dict[str, int] = defaultdict(int)
        self.conditions = Conditions()

    def begin(self, provider: str) -> None:
        """A request goes to a provider."""
        self.in_flight[provider] += 1

    def end(self, provider: str) -> None:
        """It is over."""
        self.in_flight[provider] -= 1

    def has_room(self, slot: Slot, prompt_tokens: int) -> bool:
        """Whether the provider's own limits leave room, as its last answers said. Unknown is room."""
        room = self._room.get(slot)
        if room is None:
            return True
        now_s = self._clock_s()
        return _fits(room.requests, 1, now_s) and _fits(room.tokens, prompt_tokens, now_s)

    def look(self) -> None:
        """A circuit may have changed: if so, `conditions` say so in the next turn of the loop."""
        if not self._scheduled and self._health.snapshot().circuits is not self._circuits:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._put_together)

    def refresh(self) -> None:
        """Read everything anew; half a millisecond for 60 backends."""
        self._limits = self._headroom.now()
        now_s = self._clock_s()
        self._room = {
            slot: _Room(
                _left(limits.requests, self._headroom.told_s(slot), now_s),
                _left(limits.tokens, self._headroom.told_s(slot), now_s),
            )
            for slot, limits in self._limits.items()
            if self._heeds_limits
        }
        self._put_together()

    def keys(self, backend: Backend) -> list[KeyState]:
        """The keys of a backend's provider, in the configuration's order; none where it needs none."""
        shown = self._health.snapshot()
        states = []
        for key in self._keys.of(backend.provider):
            if key.id:
                limits = self._limits.get(Slot(backend.id, key.id))
                states.append(
                    KeyState(
                        key.id,
                        shown.circuit(backend.id, key.id),
                        Target("", key.id) in shown.circuits,
                        limits.requests.remaining if limits is not None and limits.requests else None,
                        limits.tokens.remaining if limits is not None and limits.tokens else None,
                    )
                )
        return states

    def _put_together(self) -> None:
        self._scheduled = False
        shown = self._health.snapshot()
        self._circuits = shown.circuits
        states = {backend.id: self._state(backend, shown) for backend in self.backends}
        self.conditions = Conditions(
            shown.age_s, {name: state for name, state in states.items() if state != UNKNOWN}
        )

    def _told(self, slot: Slot) -> RateLimits:
        """What the provider's last word on its limits still says; a word that is no longer heeded says nothing."""
        limits, room = self._limits.get(slot), self._room.get(slot)
        if limits is None or room is None:
            return RateLimits(None, None)
        now_s = self._clock_s()
        return RateLimits(
            limits.requests if room.requests is not None and now_s < room.requests.until_s else None,
            limits.tokens if room.tokens is not None and now_s < room.tokens.until_s else None,
        )

    def _state(self, backend: Backend, shown: HealthSnapshot) -> BackendState:
        keys = self._keys.of(backend.provider)
        known = shown.backend(backend.id)
        places = keys[0].provider.places
        circuit = _best_circuit(shown, backend.id, keys)
        speed = known.speed_recent if known.speed_recent.samples else known.speed_7d
        limits = [self._told(Slot(backend.id, key.id)) for key in keys]
        requests = _sum([each.requests for each in limits])
        tokens = _sum([each.tokens for each in limits])
        return BackendState(
            availability=known.availability_7d,
            attempts_7d=known.attempts_7d,
            first_content_p50_ms=speed.first_content_p50_ms,
            first_content_p95_ms=speed.first_content_p95_ms,
            tokens_s=_tokens_s(known),
            speed_samples=speed.samples,
            circuit=circuit.state,
            circuit_reason=circuit.reason,
            open_for_s=circuit.open_for_s,
            in_flight=self.in_flight[backend.provider],
            max_in_flight=places.max_in_flight if places is not None else None,
            left_requests=requests.remaining,
            limit_requests=requests.limit,
            left_tokens=tokens.remaining,
            limit_tokens=tokens.limit,
            saturated_share=known.recent_saturated_share,
            recent_attempts=known.recent_attempts,
            recent_error_share=known.recent_error_share,
        )


def _best_circuit(shown: HealthSnapshot, backend_id: str, keys: Sequence[ProviderKey]) -> CircuitState:
    """Of the key over which the backend is reached best: one good key is a way."""
    if not shown.circuits:
        return CLOSED
    states = [shown.circuit(backend_id, key.id) for key in keys]
    return min(states, key=lambda state: (BADNESS[state.state], state.open_for_s))


def _tokens_s(known: BackendHealth) -> float | None:
    recent = known.speed_recent.tokens_s_p50
    return known.speed_7d.tokens_s_p50 if recent is None else recent


def _sum(windows: Sequence[Window | None]) -> Window:
    """Of all keys together; unknown where one of them is."""
    remaining = [window.remaining if window is not None else None for window in windows]
    limits = [window.limit if window is not None else None for window in windows]
    return Window(_total(limits), _total(remaining), None)


def _total(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _left(window: Window | None, told_s: float, now_s: float) -> _Left | None:
    if window is None or window.remaining is None:
        return None
    # 0 is no point in time: Azure says it of windows that are not whole.
    until_s = now_s + window.reset_s if window.reset_s else told_s + UNTOLD_RESET_S
    return _Left(window.remaining, min(until_s, told_s + LONGEST_RESET_S))


def _fits(left: _Left | None, needed: int, now_s: float) -> bool:
    return left is None or left.amount >= needed or now_s >= left.until_s
