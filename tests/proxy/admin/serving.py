"""The admin API as it is served: behind the door, on a real store; in-process or over a socket."""

import asyncio
import itertools
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from hashlib import sha256
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

import orjson
from starlette.routing import Router

from classifiers.cascade import Cascade
from classifiers.rules import Rules
from classifiers.scorer import load
from providers.registry import REGISTRY
from proxy.admin.books import Books
from proxy.admin.classify import ClassifyDesk
from proxy.admin.erasure import ErasureDesk
from proxy.admin.generations import GenerationDesk
from proxy.admin.health import HealthDesk
from proxy.admin.models import ModelDesk
from proxy.admin.route import RouteDesk
from proxy.admin.routes import Desks, admin_routes
from proxy.exchange.attempts.conditions import Board
from proxy.exchange.books.record import Try
from proxy.exchange.choice.choosing import Choosing
from proxy.exchange.choice.judging import Judge
from proxy.exchange.upstream.auth.types import Credentials
from proxy.exchange.upstream.backends import Provider, Timeouts
from proxy.exchange.upstream.headroom import Headroom
from proxy.exchange.upstream.keys import ProviderKey, ProviderKeys
from proxy.http.door import Door
from proxy.http.server import HttpServer
from proxy.routing.catalogue.fingerprint import fingerprint
from proxy.routing.catalogue.types import Backend, Catalogue, Model, Tier
from proxy.settings.reload import Reloaded
from proxy.settings.schema import DEFAULT_MODES
from proxy.telemetry.metrics import Metrics
from ratelimit.health.health import Health
from ratelimit.health.types import BreakerRules
from ratelimit.ledger.ledger import Ledger
from ratelimit.ledger.reconcile import reconcile
from ratelimit.limits.lost import Lost
from ratelimit.limits.reservations import Reservations
from ratelimit.memory.generations import Generations
from ratelimit.store.address import parse_address
from ratelimit.store.erasing import erase
from ratelimit.store.errors import StoreFault
from ratelimit.store.store import Store
from ratelimit.subjects.directory import Directory
from ratelimit.subjects.lookup import Lookup
from tests.support.valkey import PrivateServer

ADMIN_KEY: Final = "test-admin-key-0001"
BACKEND: Final = Backend("openai/gpt-5-mini", "openai", "gpt-5-mini", None)
_PROVIDER: Final = Provider(
    REGISTRY["openai"], "http://openai.test/v1", Credentials("test-key-0001"), Timeouts(5, 0, 0, 0, 0)
)
KEYS_OF_PROVIDERS: Final = ProviderKeys(
    {"openai": [ProviderKey(f"openai/{place}", _PROVIDER) for place in range(2)]}
)
DEFAULT_LIMITS: Final[Mapping[str, float]] = {"requests_per_minute": 60, "usd_per_month": 10.0}
NOW_S: Final = 1_767_225_600.0  # 2026-01-01T00:00:00Z
NOW: Final = "2026-01-01T00:00:00Z"

# Far above what an answer takes, so that a busy machine fails no test.
_PATIENT_MS: Final = 5000
_PATIENT_S: Final = 20.0

Result = TypeVar("Result")


class Log:
    """Keeps what the door reports: there must be nothing."""

    def __init__(self) -> None:
        self.faults: list[dict[str, object]] = []

    def error(self, event: str, **fields: object) -> None:
        self.faults.append({"event": event, **fields})


async def nothing_new() -> Reloaded:
    """A reload that finds nothing changed."""
    return Reloaded()


@dataclass(frozen=True, slots=True)
class Gateway:
    """What a test may reach of the served API."""

    app: Door
    store: Store
    directory: Directory
    lookup: Lookup
    log: Log
    health: Health
    board: Board
    past: Generations


def books_of(store: Store) -> Books:
    return Books(
        Reservations(store),
        Ledger(store, rows_kept_days=30),
        Lost(store),
        partial(reconcile, store),
    )


def _unmetered(tries: Sequence[Try]) -> None:
    raise AssertionError(tries)


def classifying() -> ClassifyDesk:
    """Judges by rules and scorer for the default modes; nobody else is asked."""
    return ClassifyDesk(
        Judge(Cascade(Rules(), load()), Metrics(), Log()),
        None,
        Catalogue({}, {}, DEFAULT_MODES, {"auto": "balanced"}),
        _unmetered,
        min_confidence=0.6,
        clock=lambda: 0.0,
    )


CATALOGUE: Final = Catalogue(
    {"gpt-5-mini": Model("gpt-5-mini", (BACKEND,))},
    {"balanced": Tier(("gpt-5-mini",))},
    DEFAULT_MODES,
    {"auto": "balanced"},
)
"""A tier of one model with one backend."""


def choosing(catalogue: Catalogue = CATALOGUE) -> Choosing:
    """For requests that any provider takes."""
    return Choosing(
        catalogue,
        {"openai": _PROVIDER},
        Log(),
        default_output_tokens=100,
        today=lambda: date(2026, 1, 1),
    )


def past_of(store: Store) -> Generations:
    """Records that nobody writes to the store: they are found while they wait."""

    def unexpected(fault: StoreFault) -> None:
        raise AssertionError(fault)

    return Generations(store, most=100, kept_days=7, on_fault=unexpected)


def desks(
    store: Store, directory: Directory, past: Generations
) -> tuple[RouteDesk, GenerationDesk, ErasureDesk]:
    """What explains coming and past choices, and what erases customers."""
    return (
        RouteDesk(choosing(), Judge(Cascade(Rules(), load()), Metrics(), Log()), directory),
        GenerationDesk(past, choosing(), fingerprint(CATALOGUE)),
        ErasureDesk(directory, past, partial(erase, store), wall_clock_s=lambda: NOW_S),
    )


@asynccontextmanager
async def gateway(store_url: str) -> AsyncIterator[Gateway]:
    """The admin API on an emptied store."""
    store = Store(parse_address(store_url), timeout_ms=_PATIENT_MS)
    await store.open()
    await store.call("FLUSHALL")
    directory = Directory(store, wall_clock_s=lambda: NOW_S)
    lookup = Lookup(
        store,
        directory.configured,
        # Ten seconds pass between any two looks at it, so that nothing found is remembered.
        clock_s=itertools.count(1000, 10).__next__,
        wall_clock_s=lambda: NOW_S,
        key_grace_s=300,
    )
    log = Log()
    health = Health(store, backends=[BACKEND.id], rules=BreakerRules(), clock_s=lambda: 1000.0)
    board = Board(
        health, Headroom(lambda: 1000.0, lambda: NOW_S), KEYS_OF_PROVIDERS, [BACKEND], lambda: 1000.0
    )
    desk = HealthDesk(health, board)
    past = past_of(store)
    routes = admin_routes(
        directory,
        store,
        books_of(store),
        Desks(classifying(), *desks(store, directory, past), desk, ModelDesk(CATALOGUE)),
        reload=nothing_new,
        default_limits=DEFAULT_LIMITS,
        wall_clock_s=lambda: NOW_S,
    )
    digest = sha256(ADMIN_KEY.encode()).digest()
    app = Door(Router(routes), {}, lookup, admin_key_digest=digest, clock=lambda: 1000.0, log=log)
    try:
        yield Gateway(app, store, directory, lookup, log, health, board, past)
    finally:
        await lookup.close()
        await store.close()
    assert log.faults == []


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.raw)

    @property
    def error(self) -> tuple[int, str, str | None]:
        """Status, code and param of a refusal; its shape is checked."""
        error = self.json["error"]
        assert {"message", "type", "param", "code", "source", "request_id"} == set(error)
        assert self.headers["x-request-id"] == error["request_id"]
        return self.status, error["code"], error["param"]

    @property
    def message(self) -> str:
        message: str = self.json["error"]["message"]
        return message


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls an ASGI application without a socket."""

    app: Any
    admin_key: str | None = ADMIN_KEY
    headers: Mapping[str, str] = field(default_factory=dict)

    async def __call__(
        self, method: str, target: str, body: Any = None, *, raw: bytes | None = None
    ) -> Answer:
        """`target`: path and query, encoded. `body` is sent as JSON; `raw` as it is."""
        sent = raw if raw is not None else b"" if body is None else orjson.dumps(body)
        parts = urlsplit(target)
        headers = {"content-type": "application/json", "content-length": str(len(sent)), **self.headers}
        if self.admin_key is not None:
            headers["authorization"] = f"Bearer {self.admin_key}"
        scope = {
            "type": "http",
            "method": method,
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "scheme": "http",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        incoming = [{"type": "http.request", "body": sent, "more_body": False}]
        outgoing: list[Any] = []

        async def receive() -> Any:
            return incoming.pop(0) if incoming else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            outgoing.append(message)

        await self.app(scope, receive, send)
        start, *rest = outgoing
        said = {name.decode(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], said, b"".join(message.get("body", b"") for message in rest))


class Served:
    """The same over a real socket, on a thread of its own, for clients that block."""

    def __init__(self) -> None:
        self._started = threading.Event()
        self._stop: Callable[[], object] = lambda: None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="served gateway")
        self.loop = asyncio.new_event_loop()
        self.gateway: Gateway
        self.url = ""

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The result of `work`, done on the gateway's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(_PATIENT_S)

    def empty(self) -> None:
        """Forget every record."""
        self.run(self.gateway.store.call("FLUSHALL"))

    def _run(self) -> None:
        try:
            self.loop.run_until_complete(self._serve())
        except BaseException as failure:  # noqa: BLE001 - handed to the test's thread, which raises it
            self._failure = failure
        finally:
            self.loop.close()
            self._started.set()

    async def _serve(self) -> None:
        with PrivateServer() as server:
            async with gateway(server.url) as self.gateway:
                listener = socket.create_server(("127.0.0.1", 0))
                self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
                http_server = HttpServer(self.gateway.app)
                over = asyncio.Event()
                self._stop = lambda: self.loop.call_soon_threadsafe(over.set)
                async with http_server.running():
                    await http_server.listen(listener)
                    self._started.set()
                    await over.wait()
                    await http_server.close(1, at_once=over)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(_PATIENT_S)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._thread.join(_PATIENT_S)
        if self._failure is not None and error is None:
            raise self._failure
