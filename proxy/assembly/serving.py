"""What is made of one configuration: catalogue, providers, exchange, routes. Another configuration is another one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from starlette.routing import Route, Router

from providers.clients.openai_chat import OpenAIChat
from providers.clients.openai_embeddings import OpenAIEmbeddings
from proxy.assembly.classifiers import cascade_of
from proxy.assembly.core import Core
from proxy.assembly.health import backends_of
from proxy.assembly.kept import Kept
from proxy.assembly.late import LateRoutes
from proxy.assembly.providers import keys_of, providers_of
from proxy.assembly.seat import Seat
from proxy.assembly.subjects import ConfiguredSubjects, configured_subjects
from proxy.exchange.attempts.conditions import Board
from proxy.exchange.attempts.dispatch import Dispatch, Patience
from proxy.exchange.attempts.lanes import Lanes
from proxy.exchange.books.generation import Generating
from proxy.exchange.books.settle import Settlement
from proxy.exchange.choice.choosing import Choosing
from proxy.exchange.choice.judging import Judge
from proxy.exchange.choice.micro_call import MicroCalls
from proxy.exchange.choice.steering import Steering
from proxy.exchange.money.admission import Admissions, Terms
from proxy.exchange.money.holding import Holding, OutputLimits
from proxy.exchange.run import Classifying, ClientPatience, Exchange
from proxy.exchange.upstream.backends import Providers
from proxy.exchange.upstream.keys import ProviderKeys
from proxy.http.door import ADMIN_PREFIX, Door
from proxy.routing.catalogue.fingerprint import fingerprint
from proxy.routing.catalogue.load import from_settings
from proxy.routing.catalogue.types import Catalogue
from proxy.settings.load import Loaded
from proxy.settings.schema import Settings
from proxy.web.account import Account
from proxy.web.calls import Call
from proxy.web.generation import PastRequests
from proxy.web.models import Models
from proxy.web.probes import Probes

_DAY_S: Final = 86_400
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_PREFIXES: Final = ("/v1", "/api/v1")
_CALLS: Final = (OpenAIChat(), OpenAIEmbeddings())
"""Client dialects; each is served at the path of its operation."""


@dataclass(frozen=True, slots=True)
class Serving:
    """One configuration, ready to serve. `app` is its ASGI application."""

    loaded: Loaded
    catalogue: Catalogue
    providers: Providers
    subjects: ConfiguredSubjects
    board: Board
    app: Door


def serving_of(
    loaded: Loaded,
    core: Core,
    kept: Kept,
    seat: Seat,
    *,
    sandbox_url: str | None,
    before: Providers | None = None,
) -> Serving:
    """Put a configuration together; nothing of `core` is changed by it. To be called on the loop that serves.

    `before`: the providers of the configuration that is served now.
    """
    settings = loaded.settings
    catalogue = from_settings(settings)
    providers = providers_of(settings, sandbox_url, seat, before)
    keys = keys_of(settings, providers)
    board = Board(
        core.health,
        core.headroom,
        keys,
        [each for each in backends_of(catalogue) if each.provider in providers],
        core.clock,
        heeds_limits=settings.routing.breaker.cool_down_s > 0,
    )
    exchange = exchange_of(settings, core, catalogue, providers, keys, board)
    calls = {
        f"{prefix}/{dialect.operation}": Call(
            dialect, exchange, max_body_bytes=settings.server.max_body_bytes
        )
        for dialect in _CALLS
        for prefix in _PREFIXES
    }
    door = Door(
        Router(routes_of(settings, core, catalogue, board, calls, exchange), redirect_slashes=False),
        calls,
        core.lookup,
        admin_key_digest=kept.admin_key_digest,
        clock=core.clock,
        log=core.log,
    )
    return Serving(loaded, catalogue, providers, configured_subjects(settings, kept.local_key), board, door)


def exchange_of(
    settings: Settings,
    core: Core,
    catalogue: Catalogue,
    providers: Providers,
    keys: ProviderKeys,
    board: Board,
) -> Exchange:
    """The story of a request, as this configuration tells it."""
    lanes = Lanes(
        providers,
        core.headroom,
        tail_s=settings.server.tail_s,
        wall_clock_s=core.wall_clock_s,
        keys=keys,
    )
    patience = Patience(settings.routing.retries, settings.routing.deadline_s)
    dispatch = Dispatch(core.transport, lanes, patience, core.health, board)
    choosing = choosing_of(settings, core, catalogue, lanes, board)
    admissions = admissions_of(settings, core)
    limits = settings.limits
    output_limits = OutputLimits(limits.default_max_output_tokens, limits.shrink_output)
    generating = Generating(
        core.generations, fingerprint(catalogue), core.log, wall_clock_s=core.wall_clock_s
    )
    return Exchange(
        choosing,
        admissions,
        Holding(catalogue, admissions, core.guesses, output_limits),
        classifying_of(settings, core, catalogue, dispatch, choosing),
        dispatch,
        Settlement(core.metrics, core.log, keep=generating.keep),
        patience=ClientPatience(settings.server.client_write_s, settings.server.keep_alive_s),
        clock=core.clock,
        wall_clock_s=core.wall_clock_s,
    )


def admissions_of(settings: Settings, core: Core) -> Admissions:
    """What holds requests against their limits."""
    if settings.redis.on_outage == "lease":
        core.log.info("`redis.on_outage: lease` behaves as `closed` for now: 503 while the store is away")
    return Admissions(
        core.reservations,
        core.settler,
        Terms(
            settings.redis.on_outage == "open", settings.limits.soft_ratio, settings.redis.timeout_ms / 1000
        ),
        core.metrics,
        wall_clock_s=core.wall_clock_s,
    )


def classifying_of(
    settings: Settings, core: Core, catalogue: Catalogue, dispatch: Dispatch, choosing: Choosing
) -> Classifying:
    """Who says what a request is, and what follows."""
    classifier = settings.routing.classifier
    return Classifying(
        Judge(cascade_of(classifier), core.metrics, core.log),
        Steering(
            core.conversations,
            catalogue,
            min_confidence=classifier.min_confidence,
            wall_clock_s=core.wall_clock_s,
        ),
        micro_calls_of(settings, core, catalogue, dispatch, choosing),
    )


def micro_calls_of(
    settings: Settings, core: Core, catalogue: Catalogue, dispatch: Dispatch, choosing: Choosing
) -> MicroCalls | None:
    """Who is asked where rules and scorer do not know; nobody, where none is configured or its provider is off."""
    classifier = settings.routing.classifier
    model = catalogue.models.get(classifier.micro_model or "")
    if model is None:
        return None
    return MicroCalls(
        model,
        dispatch,
        choosing,
        core.memory,
        core.micro_verdicts,
        core.digests,
        core.metrics,
        core.guesses,
        timeout_s=classifier.micro_timeout_ms / 1000,
        clock=core.clock,
        wall_clock_s=core.wall_clock_s,
    )


def choosing_of(settings: Settings, core: Core, catalogue: Catalogue, lanes: Lanes, board: Board) -> Choosing:
    """What makes the plan of a request."""
    return Choosing(
        catalogue,
        lanes.providers,
        core.log,
        default_output_tokens=settings.limits.default_max_output_tokens,
        today=lambda: date.fromordinal(_EPOCH_DAY + int(core.wall_clock_s()) // _DAY_S),
        conditions=lambda: board.conditions,
        usable=lanes.keys.usable if lanes.keys.for_some else None,
    )


def routes_of(
    settings: Settings,
    core: Core,
    catalogue: Catalogue,
    board: Board,
    calls: Mapping[str, Call],
    exchange: Exchange,
) -> list[Route]:
    """Every route, with what it needs of this configuration."""

    def administration() -> list[Route]:
        from proxy.assembly.administration import routes_of_admin

        return routes_of_admin(settings, core, catalogue, board, exchange)

    own = Account(core.reservations, core.books.ledger)
    past = PastRequests(core.generations)
    models = Models(catalogue, started_s=int(core.wall_clock_s()))
    probes = Probes(core.readiness, core.exposition)
    routes = [Route(path, call, methods=["POST"]) for path, call in calls.items()]
    for prefix in _PREFIXES:
        routes += [
            Route(f"{prefix}/key", own.key, methods=["GET"]),
            Route(f"{prefix}/credits", own.credits, methods=["GET"]),
            Route(f"{prefix}/generation", past.one, methods=["GET"]),
            Route(f"{prefix}/models", models.list, methods=["GET"]),
            Route(f"{prefix}/models/{{model:path}}/endpoints", models.endpoints, methods=["GET"]),
            Route(f"{prefix}/models/{{model:path}}", models.one, methods=["GET"]),
        ]
    if settings.server.ops_listen is None:
        routes.append(Route("/metrics", probes.metrics, methods=["GET"]))
    return [
        *routes,
        Route("/livez", probes.livez, methods=["GET"]),
        Route("/readyz", probes.readyz, methods=["GET"]),
        Route(f"{ADMIN_PREFIX}{{rest:path}}", LateRoutes(administration)),
    ]
