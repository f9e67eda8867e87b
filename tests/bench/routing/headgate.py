"""Headgate's own code as one of those that choose: the policy, what it is told, and how a plan is walked.

Real are `Policy.plan`, the board that puts its conditions together, the ways over keys and circuits, the rate limits
read from headers, and health with its scripts, which run in a real store. Only the clock is not: the scripts read the
simulated one, by one line of theirs replaced. What stands here besides is the rhythm of `Health.run`: a round a second,
or after a tenth of one when a circuit may have to open.
"""

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, inf
from pathlib import Path
from typing import Final, Protocol, Self, cast

import hiredis

from providers.registry import REGISTRY
from providers.types import ErrorKind, UpstreamError
from proxy.exchange.attempts.conditions import Board
from proxy.exchange.attempts.lanes import Lanes
from proxy.exchange.attempts.ways import Way, Ways
from proxy.exchange.upstream.auth.types import Credentials
from proxy.exchange.upstream.backends import Provider, Timeouts
from proxy.exchange.upstream.headroom import Headroom
from proxy.routing.catalogue.types import Catalogue, Strategy
from proxy.routing.policy import UNDECIDED, Policy
from proxy.routing.snapshot import Snapshot
from proxy.routing.wishes import NONE
from ratelimit.health.health import EVERY_S, Health
from ratelimit.health.types import BreakerRules
from ratelimit.store.scripts import Script
from ratelimit.store.store import Argument, Store
from ratelimit.store.wire import pack_command
from tests.bench.routing.engine import Course, Quota
from tests.bench.routing.world import FIRST_BYTE_S, SITES, Outcome, Request

BEGIN_S: Final = 1_767_571_200.0
"""Monday, 5 January 2026, 0:00 UTC: the week's begin on the store's clock."""

_URGENT_S: Final = 0.1
_CLOCK: Final = b"local time = redis.call('TIME')"
_NUMBER: Final = {site.id: number for number, site in enumerate(SITES)}


@dataclass(slots=True)
class Clock:
    """The simulated one, in seconds of the week."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return BEGIN_S + self.now_s


class Scripts(Protocol):
    """As much of a `Store` as health needs."""

    @property
    def offset_us(self) -> int: ...

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> object: ...


class ScriptStore:
    """As much of a `Store` as health needs: runs the room's scripts in a real server, at the simulated time.

    It blocks: nothing else happens meanwhile in a simulation.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(str(path))
        self._reader = hiredis.Reader()
        self._known: dict[str, bytes] = {}
        self._asked("FLUSHALL")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    @property
    def offset_us(self) -> int:
        """The whole time: the scripts' own is 0 here."""
        return round(self._clock() * 1_000_000)

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> object:
        """Run it."""
        sha1 = self._known.get(script.name)
        if sha1 is None:
            source = script.source.replace(_CLOCK, b"local time = {0, 0}")
            assert 1 == script.source.count(b"'TIME'") == source.count(b"local time = {0, 0}")
            sha1 = self._known[script.name] = cast("bytes", self._asked("SCRIPT", "LOAD", source))
        return self._asked("EVALSHA", sha1, len(keys), *keys, *args)

    def _asked(self, *command: Argument) -> object:
        self._socket.sendall(pack_command(command))
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(65_536))
        if isinstance(reply, Exception):
            raise reply
        return reply


class Headgate:
    """One gateway."""

    def __init__(self, name: str, strategy: Strategy, store: Scripts, clock: Clock) -> None:
        self.name = name
        self._strategy: Strategy = strategy
        self._clock = clock
        providers = {
            site.provider: Provider(
                REGISTRY["openai"],
                f"http://{site.provider}.test/v1",
                Credentials("not-a-key"),
                Timeouts(5.0, FIRST_BYTE_S, 120.0, 60.0, 0.0),
            )
            for site in SITES
        }
        self.headroom = Headroom(clock, clock)
        self.lanes = Lanes(providers, self.headroom, tail_s=2, wall_clock_s=clock)
        self.health = Health(cast("Store", store), backends=[*_NUMBER], rules=BreakerRules(), clock_s=clock)
        self.board: Board | None = None
        self.policy: Policy | None = None
        self._round_s = -inf
        self._read_s = -inf
        self._noted_s = inf
        self._urgent_s = inf

    def priced(self, catalogue: Catalogue) -> None:
        """As a reload does it: a new policy; what is known of the backends stays."""
        tiers = {name: replace(tier, strategy=self._strategy) for name, tier in catalogue.tiers.items()}
        catalogue = replace(catalogue, tiers=tiers)
        self.policy = Policy(catalogue)
        if self.board is None:
            backends = [backend for model in catalogue.models.values() for backend in model.backends]
            self.board = Board(self.health, self.headroom, self.lanes.keys, backends, self._clock)

    async def until(self, now_s: float) -> None:
        """The rounds up to now in which something is written, so that nothing waits longer than it would."""
        while True:
            urgent_s = max(self._urgent_s, self._round_s + _URGENT_S)
            at_s = urgent_s
            if self._noted_s < inf:
                at_s = min(at_s, self._round_s + max(1, ceil((self._noted_s - self._round_s) / EVERY_S)))
            if at_s > now_s:
                break
            await self._write(at_s)
            if at_s == urgent_s:
                await self._read(at_s)
        self._clock.now_s = now_s

    async def course(self, request: Request, now_s: float) -> Course:
        """Plan it, on what the last round has read."""
        assert self.board is not None
        assert self.policy is not None
        if now_s - self._round_s >= EVERY_S:
            self._round_s = now_s if self._round_s == -inf else self._round_s + floor(now_s - self._round_s)
        if self._read_s < self._round_s:
            # Rounds that nobody looks at are left out: a later one reads the same.
            await self._read(self._round_s)
            self._clock.now_s = now_s
        plan = self.policy.plan(request.facts, NONE, UNDECIDED, Snapshot(self.board.conditions))
        ways = Ways(
            plan.attempts,
            lambda attempt: self.lanes.to(attempt.backend),
            self.health,
            self.board.has_room,
            prompt_tokens=request.facts.prompt_tokens,
        )
        return _Planned(self, ways, self.board)

    async def _write(self, at_s: float) -> None:
        self._clock.now_s = self._round_s = at_s
        self._noted_s = self._urgent_s = inf
        await self.health.flush()
        self.health.take_changes()

    async def _read(self, at_s: float) -> None:
        assert self.board is not None
        self._clock.now_s = self._read_s = at_s
        await self.health.read()
        self.board.refresh()

    def noted(self, now_s: float, *, urgent: bool) -> None:
        """Something is to be written."""
        self._noted_s = min(self._noted_s, now_s)
        if urgent:
            self._urgent_s = min(self._urgent_s, now_s)


class _Planned:
    """A plan being walked, as `proxy.exchange.attempts.dispatch` does it."""

    def __init__(self, gateway: Headgate, ways: Ways, board: Board) -> None:
        self._gateway = gateway
        self._ways = ways
        self._board = board
        self._way: Way | None = None
        self._sent_s = 0.0

    async def take(self, now_s: float) -> int | None:
        self._way = await self._ways.take()
        if self._way is None:
            return None
        self._sent_s = now_s
        self._board.begin(self._way.attempt.backend.provider)
        return _NUMBER[self._way.attempt.backend.id]

    def answers(self, now_s: float, quota: Quota | None, *, content: bool) -> None:
        way = self._way
        assert way is not None
        if quota is not None:
            said = {"limit": quota.limit, "remaining": quota.remaining, "reset": f"{quota.reset_s:.3f}s"}
            way.lane.answered(
                [
                    (f"x-ratelimit-{part}-requests".encode(), str(value).encode())
                    for part, value in said.items()
                ]
            )
        if content and way.probe is not None:
            self._gateway.health.probe_answers(way.probe)
            self._gateway.noted(now_s, urgent=True)

    async def ended(self, now_s: float, outcome: Outcome, request: Request, tries_left: int) -> None:
        way = self._way
        assert way is not None
        self._board.end(way.attempt.backend.provider)
        answered = outcome.kind == "ok"
        self._gateway.health.note(
            backend=way.attempt.backend.id,
            provider_key_id=way.lane.key.id,
            kind=outcome.kind,
            first_content_ms=outcome.after_s * 1000 if outcome.content else None,
            output_tokens=request.answer_tokens if answered else 0,
            duration_s=now_s - self._sent_s,
            retry_after_s=outcome.retry_after_s,
            probe=way.probe,
        )
        self._gateway.noted(now_s, urgent=not answered or way.probe is not None)
        if not answered or way.probe is not None:
            self._board.look()
            await asyncio.sleep(0)
        if not answered and not outcome.content and tries_left > 0:
            error = UpstreamError(cast("ErrorKind", outcome.kind), "", retry_after_s=outcome.retry_after_s)
            self._ways.failed(way, error, tries_left=tries_left)
