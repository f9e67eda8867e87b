"""The gateway: opens what lives as long as the process, and serves one configuration at a time around it."""

import asyncio
import gc
import secrets
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, Final

from proxy.admin.books import Books
from proxy.assembly.classifiers import cascade_of
from proxy.assembly.core import Core, wall_clock_s
from proxy.assembly.health import Keeper as HealthKeeper
from proxy.assembly.health import rules_of, watched
from proxy.assembly.kept import Kept, data_dir
from proxy.assembly.providers import resize_places
from proxy.assembly.seat import Seat
from proxy.assembly.serving import Serving, serving_of
from proxy.exchange.choice.conversations import Conversations
from proxy.exchange.choice.digests import Digests
from proxy.exchange.choice.micro_call import HERE_MAX, KEPT_S
from proxy.exchange.money.guesses import Guesses
from proxy.exchange.upstream.headroom import Headroom
from proxy.exchange.upstream.transport import Transport
from proxy.settings.load import Loaded
from proxy.settings.problems import ConfigError, Problem
from proxy.settings.schema import Settings
from proxy.telemetry.metrics import Metrics
from proxy.telemetry.unsettled import UnsettledLog
from proxy.web.probes import STARTING, STORE, Readiness
from ratelimit.health.health import Health
from ratelimit.health.types import BreakerRules
from ratelimit.ledger.keeping import Keeper
from ratelimit.ledger.ledger import Ledger
from ratelimit.ledger.reconcile import reconcile
from ratelimit.limits.bookings import Bookings
from ratelimit.limits.lost import Lost
from ratelimit.limits.reservations import Reservations
from ratelimit.limits.settling import Settler
from ratelimit.limits.spill import Spill
from ratelimit.memory.generations import Generations
from ratelimit.memory.memory import Memory
from ratelimit.memory.recent import Recent
from ratelimit.store.address import parse_address
from ratelimit.store.errors import StoreUnavailable
from ratelimit.store.store import Store
from ratelimit.subjects.directory import Directory
from ratelimit.subjects.errors import InvalidRecord
from ratelimit.subjects.files import HOLD_S
from ratelimit.subjects.lookup import Lookup

_SYNC_RETRY_S: Final = 1.0
_SETTLE_S: Final = 2.0
_OTHER_FILES: Final = (
    "gateways on this store have other customers or keys in their files; nobody's are disabled"
)
_SAME_FILE: Final = "all gateways on this store have the same customers and keys in their files again"


class Gateway:
    """A gateway that can be served: it is its own ASGI application.

    Attributes:
        readiness: why requests should go elsewhere.
        metrics: of this process.
    """

    def __init__(self, loaded: Loaded, log: Any, kept: Kept, seat: Seat) -> None:
        """Nothing is opened yet: that happens when the server starts, on its loop."""
        self._loaded = loaded
        self._log = log
        self._kept = kept
        self._seat = seat
        self.readiness = Readiness()
        self.metrics = Metrics()
        self._to_sync = asyncio.Event()
        self._core: Core | None = None
        self._serving: Serving | None = None
        self._prepared: Serving | None = None
        self._retired: frozenset[str] = frozenset()
        self._sandboxes = AsyncExitStack()
        self._sandbox_url: str | None = None

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        """Serve a request with the configuration of this moment, which it keeps to its end."""
        return self.serving.app(scope, receive, send)

    @property
    def serving(self) -> Serving:
        """The configuration that requests of this moment get; there is one while `running`."""
        assert self._serving is not None
        return self._serving

    async def exposition(self) -> bytes:
        """The metrics of this process, in Prometheus' text format."""
        return self.metrics.exposition()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everything that must be open while requests are served.

        Raises:
            StoreRefused: the store cannot be used as it is.
        """
        async with AsyncExitStack() as stack:
            core = self._core = await self._open_core(stack)
            await stack.enter_async_context(self._sandboxes)
            sandbox_url = await self._sandbox_for(self._loaded.settings)
            self._serving = serving_of(self._loaded, core, self._kept, self._seat, sandbox_url=sandbox_url)
            self._watch(stack, core)
            self.metrics.watch(
                lambda: watched(
                    self.serving.board,
                    core.headroom,
                    self.serving.providers,
                    core.settler,
                    (("generations", core.generations.dropped), ("memories", core.memory.dropped)),
                )
            )
            syncing = asyncio.get_running_loop().create_task(self._sync(core.directory))
            stack.push_async_callback(_cancelled, syncing)
            yield

    async def prepare(self, loaded: Loaded) -> None:
        """Put another configuration together, and serve the one that is served on.

        Raises:
            ConfigError: it cannot be served.
        """
        assert self._core is not None
        # Too long for the loop: the store's answers would time out meanwhile.
        await asyncio.to_thread(cascade_of, loaded.settings.routing.classifier)
        serving = serving_of(
            loaded,
            self._core,
            self._kept,
            self._seat,
            sandbox_url=await self._sandbox_for(loaded.settings),
            before=self.serving.providers,
        )
        subjects = serving.subjects
        try:
            self._core.directory.configured.check(
                subjects.customers,
                subjects.keys,
                default_limits=loaded.settings.limits.defaults.named(),
                named_only=subjects.named_only,
            )
        except InvalidRecord as problem:
            raise ConfigError((Problem("customers and keys", str(problem)),)) from problem
        self._prepared = serving

    async def commit(self) -> None:
        """Serve what was prepared; requests under way keep what they have."""
        assert self._core is not None
        assert self._prepared is not None
        before, serving, self._prepared = self.serving, self._prepared, None
        self._serving = serving
        resize_places(serving.loaded.settings, serving.providers, self._seat)
        origins = frozenset(provider.origin for provider in serving.providers.values())
        left = frozenset(provider.origin for provider in before.providers.values())
        self._retired = (self._retired | left) - origins
        self._core.transport.retire(self._retired)
        backends = [backend.id for backend in serving.board.backends]
        self._core.headroom.keep(frozenset(backends))
        settings = serving.loaded.settings
        self._core.lookup.key_grace_s = settings.redis.key_grace_s
        self._core.generations.keep(
            most=settings.records.generations_max, kept_days=settings.records.generations_days
        )
        self._core.health.watch(backends, rules_of(settings.routing.breaker))
        serving.board.refresh()
        self._to_sync.set()
        del before
        # Routes refer to themselves, and the collector, which is spared, would come too late: see `cli.process`.
        gc.collect()

    async def _open_core(self, stack: AsyncExitStack) -> Core:
        """What no configuration replaces. What is opened here is closed in the reverse order."""
        store = await self._open_store(stack)
        directory = Directory(store, wall_clock_s=wall_clock_s)
        lookup = Lookup(
            store,
            directory.configured,
            clock_s=monotonic,
            wall_clock_s=wall_clock_s,
            key_grace_s=self._loaded.settings.redis.key_grace_s,
            changes=directory.changes,
        )
        stack.push_async_callback(lookup.close)
        stack.push_async_callback(self._released, directory)
        transport = Transport()
        stack.push_async_callback(transport.close)
        memory = self._run_memory(stack, store)
        digests = Digests(self._kept.admin_key_digest)
        kept_days = self._loaded.settings.records.ledger_days
        reservations = Reservations(store, rows_kept_days=kept_days)
        ledger = Ledger(store, rows_kept_days=kept_days)
        self._run_keeper(stack, store, ledger, directory)
        return Core(
            log=self._log,
            metrics=self.metrics,
            exposition=self._seat.exposition or self.exposition,
            reload=self._seat.reload,
            readiness=self.readiness,
            store=store,
            directory=directory,
            lookup=lookup,
            transport=transport,
            headroom=Headroom(monotonic, wall_clock_s),
            reservations=reservations,
            memory=memory,
            generations=self._run_generations(stack, store),
            conversations=Conversations(memory, digests, clock=monotonic),
            digests=digests,
            micro_verdicts=Recent(most=HERE_MAX, ttl_s=KEPT_S, clock=monotonic),
            settler=await self._run_settler(stack, store, reservations, kept_days),
            guesses=Guesses(),
            books=Books(
                reservations, ledger, Lost(store, rows_kept_days=kept_days), partial(reconcile, store)
            ),
            health=Health(store, backends=(), rules=BreakerRules(), clock_s=monotonic),
            clock=monotonic,
            wall_clock_s=wall_clock_s,
        )

    def _run_memory(self, stack: AsyncExitStack, store: Store) -> Memory:
        memory = Memory(store, on_fault=lambda fault: self._log.error("not remembered", reason=str(fault)))
        stack.push_async_callback(_cancelled, asyncio.get_running_loop().create_task(memory.run()))
        stack.push_async_callback(memory.emptied, _SETTLE_S)
        return memory

    def _run_generations(self, stack: AsyncExitStack, store: Store) -> Generations:
        records = self._loaded.settings.records
        generations = Generations(
            store,
            most=records.generations_max,
            kept_days=records.generations_days,
            on_fault=lambda fault: self._log.error("a past request is not recorded", reason=str(fault)),
        )
        stack.push_async_callback(_cancelled, asyncio.get_running_loop().create_task(generations.run()))
        stack.push_async_callback(generations.emptied, _SETTLE_S)
        return generations

    def _watch(self, stack: AsyncExitStack, core: Core) -> None:
        """Keep up with the health of the backends that are served."""
        settings = self.serving.loaded.settings
        core.health.watch(
            [backend.id for backend in self.serving.board.backends], rules_of(settings.routing.breaker)
        )
        keeper = HealthKeeper(core.health, lambda: self.serving.board, self.metrics, self._log)
        stack.push_async_callback(keeper.finish)
        stack.push_async_callback(_cancelled, asyncio.get_running_loop().create_task(keeper.run()))

    async def _run_settler(
        self, stack: AsyncExitStack, store: Store, reservations: Reservations, kept_days: int
    ) -> Settler:
        """At work until the stack is left; what the store has not taken by then is kept in a file."""
        told = UnsettledLog(self._log)
        booker = secrets.token_hex(8)
        bookings = Bookings(store, rows_kept_days=kept_days)
        settler = Settler(reservations, bookings, booker=booker, clock=monotonic, told=told)
        try:
            spill = Spill(data_dir(self._loaded.settings), booker, told)
        except OSError as problem:
            self._log.error("settlements cannot be kept if the store is away at the end", reason=str(problem))
            spill = None
        await stack.enter_async_context(settler.running(settle_s=_SETTLE_S, keeper=spill))
        return settler

    def _run_keeper(self, stack: AsyncExitStack, store: Store, ledger: Ledger, directory: Directory) -> None:
        keeper = Keeper(
            store,
            ledger,
            directory.known,
            wall_clock_s=wall_clock_s,
            on_fault=lambda customer_id, fault: self._log.error(
                "ledger not trimmed", customer_id=customer_id, reason=str(fault)
            ),
        )
        stack.push_async_callback(_cancelled, asyncio.get_running_loop().create_task(keeper.run()))

    async def _open_store(self, stack: AsyncExitStack) -> Store:
        redis = self._loaded.settings.redis
        address = self._seat.store_address or parse_address(redis.url)
        store = Store(
            address,
            timeout_ms=redis.timeout_ms,
            on_down=self._store_down,
            on_up=self._store_up,
            identity_file=self._identity_file(),
        )
        self.metrics.store_up = True
        await store.open()
        stack.push_async_callback(store.close)
        return store

    def _identity_file(self) -> Path | None:
        """Where the store's identity is remembered over restarts; nowhere when nothing can be written."""
        try:
            return data_dir(self._loaded.settings) / "store-identity"
        except OSError as problem:  # a read-only file system, with a store elsewhere
            self._log.warning("the store's identity is not remembered over restarts", reason=str(problem))
            return None

    def _store_down(self, reason: str) -> None:
        self.metrics.store_up = False
        # Told of an outage while it is still being opened, it serves nothing yet.
        loaded = self._loaded if self._serving is None else self._serving.loaded
        on_outage = loaded.settings.redis.on_outage
        self._log.error("store is away", reason=reason, on_outage=on_outage)
        if on_outage == "closed" and self._core is not None and not self._core.store.available:
            self.readiness.unready(STORE, f"the store is away: {reason}")

    def _store_up(self) -> None:
        self.metrics.store_up = True
        self._log.info("store is back")
        self._to_sync.set()

    async def _sandbox_for(self, settings: Settings) -> str | None:
        """Where the sandbox is, started for the first configuration that wants one."""
        wanted = any(
            provider.adapter == "sandbox" and provider.base_url is None
            for provider in settings.providers.values()
        )
        if wanted and self._sandbox_url is None:
            from proxy.sandbox.server import Sandbox  # with a server of its own: who needs none pays for none

            sandbox = Sandbox()
            self._sandbox_url = await sandbox.start()
            self._sandboxes.push_async_callback(sandbox.stop)
        return self._sandbox_url if wanted else None

    async def _sync(self, directory: Directory) -> None:
        """Make the store agree with the configuration, as soon as it answers and whenever it is back.

        What is back may be another store, accepted because the old one is gone.
        """
        own_store = parse_address(self._loaded.settings.redis.url).kind == "embedded"
        while True:
            self._to_sync.clear()
            settings, subjects = self.serving.loaded.settings, self.serving.subjects
            try:
                if own_store:  # who is said to run with a file of old was killed
                    await directory.configured.files.forget()
                    own_store = False
                await directory.sync_configured(
                    subjects.customers,
                    subjects.keys,
                    default_limits=settings.limits.defaults.named(),
                    named_only=subjects.named_only,
                )
            except StoreUnavailable as outage:
                # Configured keys are known already. `open` serves them, the others wait for the store.
                if settings.redis.on_outage != "open":
                    self.readiness.unready(STORE, f"the store is away: {outage}")
                self.readiness.ready(STARTING)
                await asyncio.sleep(_SYNC_RETRY_S)
            else:
                self.readiness.ready(STARTING, STORE)
                await self._keep_up(directory)

    async def _keep_up(self, directory: Directory) -> None:
        """Say now and then which file this gateway runs with, until there is something to bring to the store."""
        told = 0
        while True:
            try:
                await asyncio.wait_for(self._to_sync.wait(), HOLD_S)
            except TimeoutError:
                # An outage is told elsewhere, and its end brings everything to the store again.
                with suppress(StoreUnavailable):
                    await directory.configured.keep_up()
            else:
                return
            others = len(directory.configured.files.others)
            if others != told:
                told = others
                self._log.warning(_OTHER_FILES if others else _SAME_FILE, files=others)

    async def _released(self, directory: Directory) -> None:
        try:
            await directory.configured.release()
        except StoreUnavailable as outage:
            self._log.info("the store does not know yet that this gateway ends", reason=str(outage))


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
