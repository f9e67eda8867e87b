"""The one object a gateway has for health: takes notes, writes them, reads what all gateways have noted."""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from math import inf
from typing import Final, cast

from ratelimit.health import news
from ratelimit.health.circuits import PROBE_LEASE_S, Circuits
from ratelimit.health.figures import Figures
from ratelimit.health.gathering import Gathering
from ratelimit.health.spoken import changes_in, circuits_in, name_of, target_of
from ratelimit.health.summary import (
    FAULTS,
    FIRST_CONTENT_MS,
    KINDS,
    LEAST_OUTPUT_TOKENS,
    SPEED_TOKENS_S,
    Kind,
)
from ratelimit.health.types import (
    BackendHealth,
    BreakerRules,
    Change,
    HealthSnapshot,
    Probe,
    State,
    Target,
    targets,
)
from ratelimit.store import keys as spelled
from ratelimit.store.errors import StoreFault, StoreUnavailable
from ratelimit.store.scripts import load_script
from ratelimit.store.store import Store

_WRITE: Final = load_script("ratelimit.health", "write")
_SNAPSHOT: Final = load_script("ratelimit.health", "snapshot")
_RECOUNT: Final = load_script("ratelimit.health", "recount")
_PROBE: Final = load_script("ratelimit.health", "probe")

EVERY_S: Final = 1.0
"""How often `run` writes and reads when nothing is urgent."""
# A backend that fails a thousand times a second is news ten times a second.
_URGENT_PAUSE_S: Final = 0.1
# So many backends are worked out in one turn of the loop: about half a millisecond.
_TURN_BACKENDS: Final = 8
# Nobody collects them only if the composer's task has ended.
_CHANGES_KEPT: Final = 1000


class Health:
    """Not for use across threads or loops.

    `note` and `snapshot` never wait. `run` does the rest about once a second; `flush`, `read` and
    `take_changes` are its steps, for shutdown and for tests.
    """

    __slots__ = (
        "_alone",
        "_backends",
        "_changes",
        "_circuits",
        "_clock_s",
        "_figures",
        "_flushing",
        "_gathering",
        "_known",
        "_read_at_s",
        "_rules",
        "_store",
        "_told",
        "_untold",
        "_urgent",
        "_writer",
    )

    def __init__(
        self,
        store: Store,
        *,
        backends: Sequence[str],
        rules: BreakerRules,
        clock_s: Callable[[], float],
    ) -> None:
        """Args:
        backends: ids of those to be read; see `watch`.
        clock_s: monotonic seconds.
        """
        self._store = store
        self._backends = tuple(backends)
        self._rules = rules
        self._clock_s = clock_s
        self._writer = secrets.token_hex(8)
        self._gathering = Gathering()
        self._circuits = Circuits(rules, _make_token)
        self._figures = Figures()
        self._known: Mapping[str, BackendHealth] = {}
        self._read_at_s = -inf
        self._alone = True
        self._urgent = asyncio.Event()
        self._flushing = asyncio.Lock()
        self._changes: deque[Change] = deque(maxlen=_CHANGES_KEPT)
        # Changes this gateway has made to its own view; the store tells of them with the next batch, unless it
        # is away: then they are told from here, and not once more when the batch has arrived.
        self._untold: list[Change] = []
        self._told: set[tuple[Target, str]] = set()

    def watch(self, backends: Sequence[str], rules: BreakerRules | None = None) -> None:
        """Read these from now on, and judge by these rules. Figures of others are kept for their 7 days.

        Args:
            rules: `None`: as before.
        """
        self._backends = tuple(backends)
        self._figures = Figures()
        if rules is not None:
            self._rules = rules
            self._circuits.obey(rules)

    def note(
        self,
        *,
        backend: str,
        provider_key_id: str | None,
        kind: Kind,
        first_content_ms: float | None = None,
        output_tokens: int = 0,
        duration_s: float = 0.0,
        retry_after_s: float | None = None,
        elsewhere_good: bool = False,
        probe: Probe | None = None,
    ) -> None:
        """Count one attempt that has ended: a few additions in memory, less than 2 µs when it went well.

        Args:
            provider_key_id: which credential was used; opaque, never the credential.
            first_content_ms: None when there was none, or for a plain answer.
            output_tokens: of the answer, hidden reasoning included; 0 when unknown.
            duration_s: of the whole attempt.
            retry_after_s: the wait the provider asked for.
            elsewhere_good: of `auth`: the credential may serve other backends.
            probe: what `take_probe` gave for this attempt.
        """
        now_s = self._clock_s()
        tally = self._gathering.cell(backend, now_s).tally
        index = KINDS[kind]
        tally[index] = tally.get(index, 0) + 1
        if first_content_ms is not None:
            index = FIRST_CONTENT_MS.index(first_content_ms)
            tally[index] = tally.get(index, 0) + 1
        if kind == "ok":
            self._circuits.window(backend).add(now_s, failed=False)
            if output_tokens >= LEAST_OUTPUT_TOKENS and duration_s > 0:
                index = SPEED_TOKENS_S.index(output_tokens / duration_s)
                tally[index] = tally.get(index, 0) + 1
            if probe is None:
                return
        if probe is not None:
            self._end_probe(news.verdicts(probe, kind), now_s)
        opening = news.opening(
            backend, provider_key_id or "", kind, retry_after_s, now_s, elsewhere_good=elsewhere_good
        )
        self._consider(backend, kind, opening, now_s)

    def probe_answers(self, probe: Probe) -> None:
        """A probe's answer has begun: its circuits close now, not when a long answer ends. `note` follows."""
        self._end_probe(news.verdicts(probe, "ok"), self._clock_s())

    def give_back(self, probe: Probe) -> None:
        """A probe that was not used after all: the next may be taken at once, instead of in 20 seconds."""
        self._end_probe(news.verdicts(probe, "cancelled"), self._clock_s())

    def snapshot(self) -> HealthSnapshot:
        """What is known at this moment. No round trip; about 1 µs."""
        now_s = self._clock_s()
        return HealthSnapshot(now_s, now_s - self._read_at_s, self._known, self._circuits.view)

    def state(self, backend: str, provider_key_id: str | None) -> State:
        """What stands between a request and a backend over one key; a fraction of a microsecond while all is well."""
        return (
            "closed" if not self._circuits.view else self.snapshot().circuit(backend, provider_key_id).state
        )

    async def take_probe(self, backend: str, provider_key_id: str | None) -> Probe | None:
        """The right to try what is `due`, one at a time over all gateways; None: leave it where it stands.

        Never raises: with the store away this gateway probes by itself. One round trip.
        """
        if not self._alone:
            concerned = targets(backend, provider_key_id)
            try:
                return await self._ask_for_probe(concerned)
            except (StoreUnavailable, StoreFault):  # a fault is told by `run`, which meets it too
                self._alone = True
        return self._circuits.take_probe(backend, provider_key_id, self._clock_s())

    async def flush(self) -> None:
        """Write what was noted. Does nothing when there is nothing.

        Raises:
            StoreUnavailable: it is kept and written by a later call, once.
            StoreFault: the script is wrong.

        One round trip per 64 cells; a cell is what one backend did since the last flush.
        """
        async with self._flushing:
            # What is told from here on is the store's to tell.
            untold, self._untold = self._untold, []
            self._gathering.collect()
            try:
                batch = self._gathering.batch()
                while batch is not None:
                    reply = await self._store.run(
                        _WRITE,
                        (
                            spelled.health_writer(self._writer),
                            spelled.CIRCUITS,
                            *(spelled.backend_health(backend) for backend in batch.backends),
                        ),
                        (
                            self._store.offset_us,
                            batch.number,
                            self._rules.error_ratio,
                            self._rules.min_requests,
                            round(self._rules.cool_down_s * 1000),
                            round(news.LONGEST_COOL_DOWN_S * 1000),
                            batch.encoded(self._clock_s()),
                        ),
                    )
                    self._gathering.written()
                    self._tell(changes_in(reply))
                    batch = self._gathering.batch() if self._gathering.waiting else None
            except StoreUnavailable:
                self._alone = True
                untold += self._untold
                self._untold = []
                self._tell(untold)
                self._told.update((change.target, change.what) for change in untold)
                raise
            self._told.clear()

    async def read(self) -> None:
        """Read all that is known of the watched backends.

        Raises:
            StoreUnavailable: the last snapshot stays, and ages.
            StoreFault: a script is wrong, or somebody else wrote into our keys.

        One round trip; a few more, one per backend, when nobody had read for an hour.
        """
        backends = self._backends
        asked_s = self._clock_s()
        verdicts, openings = self._gathering.verdicts, self._gathering.openings
        try:
            reply = await self._ask(backends)
            while stale := [
                backend for backend, part in zip(backends, reply[3:], strict=True) if _is_stale(part)
            ]:
                for backend in stale:
                    await self._store.run(
                        _RECOUNT, (spelled.backend_health(backend),), (self._store.offset_us,)
                    )
                reply = await self._ask(backends)
        except StoreUnavailable:
            self._alone = True
            raise
        now_ms, circuits, slot = cast("tuple[int, list[bytes], int]", tuple(reply[:3]))
        known: dict[str, BackendHealth] = {}
        for number, (backend, part) in enumerate(zip(backends, reply[3:], strict=True), start=1):
            if part is not None:
                known[backend] = self._figures.of(backend, cast("list[object]", part), slot)
            if number % _TURN_BACKENDS == 0:
                await asyncio.sleep(0)
        self._known = known
        self._read_at_s = asked_s
        self._alone = False
        self._circuits.adopt(circuits_in(circuits, now_ms=now_ms, now_s=asked_s))
        # What was on its way while the store was asked may not be in its answer.
        now_s = self._clock_s()
        for verdict in (*verdicts, *self._gathering.verdicts):
            self._circuits.end_probe(verdict, now_s)
        for opening in (*openings, *self._gathering.openings):
            self._circuits.open(opening, now_s)

    def take_changes(self) -> tuple[Change, ...]:
        """Changes of circuits since the last call that this gateway is to tell of: logs, metrics, alerts."""
        changes = tuple(self._changes)
        self._changes.clear()
        return changes

    async def run(
        self,
        on_changes: Callable[[tuple[Change, ...]], None],
        *,
        on_round: Callable[[], None] = lambda: None,
    ) -> None:
        """Write and read about once a second, at once when a circuit may have to open. Until cancelled.

        Call `flush` once more at shutdown. Neither callback may block.

        Args:
            on_changes: gets changes of circuits that are this gateway's to tell.
            on_round: called after each look, also when the store did not answer.

        Raises:
            StoreFault: a bug of ours. Outages are waited out.
        """
        while True:
            # The store itself tells its owner when it goes and comes; `age_s` tells the policy.
            with suppress(StoreUnavailable):
                await self.flush()
                await self.read()
            changes = self.take_changes()
            if changes:
                on_changes(changes)
            on_round()
            await asyncio.sleep(_URGENT_PAUSE_S)
            try:
                async with asyncio.timeout(EVERY_S - _URGENT_PAUSE_S):
                    await self._urgent.wait()
            except TimeoutError:
                continue
            self._urgent.clear()

    async def _ask_for_probe(self, concerned: tuple[Target, ...]) -> Probe | None:
        token = _make_token()
        lease_ms = round(PROBE_LEASE_S * 1000)
        names = [name_of(target) for target in concerned]
        reply = cast(
            "list[bytes | int]",
            await self._store.run(
                _PROBE, (spelled.CIRCUITS,), (self._store.offset_us, token, lease_ms, *names)
            ),
        )
        if not reply[0]:
            # Somebody else's, or not due after all: until the next snapshot nobody here need ask again.
            self._circuits.lease(Probe("", concerned), self._clock_s(), EVERY_S)
            return None
        probe = Probe(token, tuple(target_of(cast("bytes", name)) for name in reply[1:]))
        self._circuits.drop(target for target in concerned if target not in probe.targets)
        self._circuits.lease(probe, self._clock_s())
        return probe

    def _consider(self, backend: str, kind: Kind, opening: news.Opening | None, now_s: float) -> None:
        """What an attempt means for circuits, beyond the counts."""
        if opening is not None and self._rules.cool_down_s:
            self._open(opening, now_s)
        if kind in FAULTS:
            self._circuits.window(backend).add(now_s, failed=True)
            # Otherwise the store judges, on what all gateways have seen.
            opening = self._circuits.judged(backend, now_s) if self._alone else None
            if opening is not None:
                self._open(opening, now_s)
            self._urgent.set()

    def _open(self, opening: news.Opening, now_s: float) -> None:
        self._gathering.open(opening)
        change = self._circuits.open(opening, now_s)
        if change is not None:
            self._untold.append(change)
        self._urgent.set()

    def _end_probe(self, verdicts: news.Verdicts, now_s: float) -> None:
        self._gathering.end_probe(verdicts)
        self._untold += self._circuits.end_probe(verdicts, now_s)
        self._urgent.set()

    def _tell(self, changes: Iterable[Change]) -> None:
        self._changes += [change for change in changes if (change.target, change.what) not in self._told]

    async def _ask(self, backends: Sequence[str]) -> list[object]:
        reply = await self._store.run(
            _SNAPSHOT,
            (spelled.CIRCUITS, *(spelled.backend_health(backend) for backend in backends)),
            (self._store.offset_us,),
        )
        return cast("list[object]", reply)


def _make_token() -> str:
    return secrets.token_hex(8)


def _is_stale(part: object) -> bool:
    return part is not None and bool(cast("list[object]", part)[4])
