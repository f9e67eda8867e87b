"""Builds every runtime object once, mounts the routes, and takes everything down again."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import monotonic, time_ns
from typing import Any, Final

from starlette.routing import Route, Router

from providers.clients.openai_chat import OpenAIChat
from providers.clients.openai_embeddings import OpenAIEmbeddings
from proxy.admin.routes import admin_routes
from proxy.assembly.classifiers import cascade_of
from proxy.assembly.kept import admin_key, data_dir, local_key
from proxy.assembly.providers import providers_of
from proxy.assembly.subjects import configured_subjects
from proxy.exchange.admission import Admissions, Terms
from proxy.exchange.conversations import Conversations
from proxy.exchange.digests import Digests
from proxy.exchange.dispatch import Dispatch, Patience
from proxy.exchange.judging import Judge
from proxy.exchange.lanes import Lanes
from proxy.exchange.run import ClientPatience, Exchange
from proxy.exchange.settle import Settlement
from proxy.exchange.steering import Steering
from proxy.exchange.upstream.backends import Providers
from proxy.exchange.upstream.headroom import Headroom
from proxy.exchange.upstream.transport import Transport
from proxy.http.door import Door
from proxy.routing.catalogue.load import from_settings
from proxy.sandbox.server import Sandbox
from proxy.settings.load import BUILT_IN, Loaded
from proxy.telemetry.metrics import Metrics, Watched
from proxy.web.calls import Call
from proxy.web.models import Models
from proxy.web.probes import Probes
from ratelimit.limits.reservations import Reservations
from ratelimit.limits.settling import Settler
from ratelimit.memory.memory import Memory
from ratelimit.store.address import parse_address
from ratelimit.store.embedded import EmbeddedServer
from ratelimit.store.errors import StoreUnavailable
from ratelimit.store.store import Store
from ratelimit.subjects.directory import Directory
from ratelimit.subjects.lookup import Lookup

_PREFIXES: Final = ("/v1", "/api/v1")
_CALLS: Final = (OpenAIChat(), OpenAIEmbeddings())
"""Client dialects; each is served at the path of its operation."""

_SYNC_RETRY_S: Final = 1.0
_SETTLE_S: Final = 2.0


class Gateway:
    """A gateway that can be served: `app` is its ASGI application.

    Attributes:
        local_key: printed for whoever runs it on a laptop; `None` when keys are configured.
        new_admin_key: made at this start, to be printed once; `None` when there was one already.
    """

    def __init__(self, loaded: Loaded, log: Any) -> None:
        """Nothing is opened yet: that happens when the server starts, on its loop.

        Raises:
            OSError: the data directory cannot be written.
        """
        self._loaded = loaded
        self._log = log
        self._settings = loaded.settings
        self._catalogue = from_settings(self._settings)
        self.local_key = local_key(self._settings) if self._wants_local_key() else None
        self._admin_key_digest, self.new_admin_key = admin_key(loaded)
        self.metrics = Metrics()
        self._not_ready: str | None = "starting"
        self._back = asyncio.Event()
        self.app: Any = None

    @property
    def model_names(self) -> list[str]:
        """What can be asked for."""
        return [*self._catalogue.models, *(name for name, tier in self._catalogue.tiers.items() if tier)]

    def _wants_local_key(self) -> bool:
        loopback = self._settings.server.host in ("127.0.0.1", "::1", "localhost")
        return self._loaded.source == BUILT_IN or (loopback and not self._settings.keys)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everything that must be open while requests are served.

        Raises:
            StoreRefused: the store cannot be used as it is.
            EmbeddedServerError: the private store does not start.
        """
        settings = self._settings
        async with AsyncExitStack() as stack:
            store = await self._open_store(stack)
            directory = Directory(store, wall_clock_s=_wall_clock_s)
            lookup = Lookup(
                store,
                directory.configured,
                clock_s=monotonic,
                wall_clock_s=_wall_clock_s,
                key_grace_s=settings.redis.key_grace_s,
            )
            stack.push_async_callback(lookup.close)
            transport = Transport()
            stack.push_async_callback(transport.close)
            sandbox_url = await self._start_sandbox(stack)
            providers = providers_of(settings, sandbox_url)
            headroom = Headroom(monotonic, _wall_clock_s)
            self.metrics.watch(lambda: _watched(headroom, providers))
            lanes = Lanes(providers, headroom, tail_s=settings.server.tail_s, wall_clock_s=_wall_clock_s)
            memory = Memory(
                store, on_fault=lambda fault: self._log.error("not remembered", reason=str(fault))
            )
            stack.push_async_callback(_cancelled, asyncio.get_running_loop().create_task(memory.run()))
            stack.push_async_callback(memory.emptied, _SETTLE_S)
            reservations = Reservations(store)
            settler = Settler(
                reservations,
                clock=monotonic,
                on_fault=lambda request_id, fault: self._log.error(
                    "not settled", request_id=request_id, reason=str(fault)
                ),
            )
            stack.push_async_callback(_cancelled, asyncio.get_running_loop().create_task(settler.run()))
            stack.push_async_callback(self._settled, settler)
            exchange = Exchange(
                self._catalogue,
                Admissions(
                    reservations,
                    settler,
                    Terms(settings.redis.on_outage == "open", settings.limits.soft_ratio),
                    wall_clock_s=_wall_clock_s,
                ),
                Judge(cascade_of(settings.routing.classifier), self.metrics, self._log),
                Steering(
                    Conversations(memory, Digests(self._admin_key_digest), clock=monotonic),
                    self._catalogue,
                    min_confidence=settings.routing.classifier.min_confidence,
                    wall_clock_s=_wall_clock_s,
                ),
                lanes,
                Dispatch(transport, lanes, Patience(settings.routing.retries, settings.routing.deadline_s)),
                Settlement(self.metrics, self._log),
                patience=ClientPatience(settings.server.client_write_s, settings.server.keep_alive_s),
                default_output_tokens=settings.limits.default_max_output_tokens,
                clock=monotonic,
                wall_clock_s=_wall_clock_s,
            )
            calls = {
                f"{prefix}/{dialect.operation}": Call(
                    dialect, exchange, max_body_bytes=settings.server.max_body_bytes
                )
                for dialect in _CALLS
                for prefix in _PREFIXES
            }
            self.app = Door(
                Router(self._routes(calls, directory, store), redirect_slashes=False),
                calls,
                lookup,
                admin_key_digest=self._admin_key_digest,
                clock=monotonic,
                log=self._log,
            )
            syncing = asyncio.get_running_loop().create_task(self._sync(directory))
            stack.push_async_callback(_cancelled, syncing)
            yield

    def _routes(self, calls: Mapping[str, Call], directory: Directory, store: Store) -> list[Route]:
        settings = self._settings
        models = Models(self._catalogue, started_s=int(_wall_clock_s()))
        probes = Probes(self.metrics, lambda: self._not_ready)
        routes = [Route(path, call, methods=["POST"]) for path, call in calls.items()]
        for prefix in _PREFIXES:
            routes += [
                Route(f"{prefix}/models", models.list, methods=["GET"]),
                Route(f"{prefix}/models/{{model:path}}", models.one, methods=["GET"]),
            ]
        return [
            *routes,
            Route("/livez", probes.livez, methods=["GET"]),
            Route("/readyz", probes.readyz, methods=["GET"]),
            Route("/metrics", probes.metrics, methods=["GET"]),
            *admin_routes(directory, store, default_limits=settings.limits.defaults.named()),
        ]

    async def _open_store(self, stack: AsyncExitStack) -> Store:
        redis = self._settings.redis
        address = parse_address(redis.url)
        if address.kind == "embedded":
            server = EmbeddedServer(self._settings.server.data_dir)
            server.start()
            stack.callback(server.stop)
            address = server.address
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

    async def _settled(self, settler: Settler) -> None:
        """Settle what is left before the store is closed."""
        if not await settler.emptied(_SETTLE_S):
            self._log.error("settlements were not taken by the store", count=settler.waiting)

    def _identity_file(self) -> Path | None:
        """Where the store's identity is remembered over restarts; nowhere when nothing can be written."""
        try:
            return data_dir(self._settings) / "store-identity"
        except OSError as problem:  # a read-only file system, with a store elsewhere
            self._log.warning("the store's identity is not remembered over restarts", reason=str(problem))
            return None

    def _store_down(self, reason: str) -> None:
        self.metrics.store_up = False
        self._log.error("store is away", reason=reason, on_outage=self._settings.redis.on_outage)

    def _store_up(self) -> None:
        self.metrics.store_up = True
        self._log.info("store is back")
        self._back.set()

    async def _start_sandbox(self, stack: AsyncExitStack) -> str | None:
        wanted = any(
            provider.adapter == "sandbox" and provider.base_url is None
            for provider in self._settings.providers.values()
        )
        if not wanted:
            return None
        sandbox = Sandbox()
        url = await sandbox.start()
        stack.push_async_callback(sandbox.stop)
        return url

    async def _sync(self, directory: Directory) -> None:
        """Make the store agree with the configuration, as soon as it answers and whenever it is back.

        What is back may be another store, accepted because the old one is gone.
        """
        subjects = configured_subjects(self._settings, self.local_key)
        while True:
            self._back.clear()
            try:
                await directory.sync_configured(
                    subjects.customers,
                    subjects.keys,
                    default_limits=self._settings.limits.defaults.named(),
                    named_only=subjects.named_only,
                )
            except StoreUnavailable as outage:
                # Configured keys are known already. `open` serves them, the others wait for the store.
                away = f"the store is away: {outage}"
                self._not_ready = None if self._settings.redis.on_outage == "open" else away
                await asyncio.sleep(_SYNC_RETRY_S)
            else:
                self._not_ready = None
                await self._back.wait()


def _watched(headroom: Headroom, providers: Providers) -> Watched:
    """What metrics show of providers."""
    left = [
        (slot.backend, str(slot.key), kind, window.remaining)
        for slot, limits in headroom.now().items()
        for kind, window in (("requests", limits.requests), ("tokens", limits.tokens))
        if window is not None and window.remaining is not None
    ]
    taken = [
        (name, provider.places.in_flight, provider.places.waiting)
        for name, provider in providers.items()
        if provider.places is not None
    ]
    return Watched(left, taken)


def _wall_clock_s() -> float:
    return time_ns() / 1_000_000_000


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
