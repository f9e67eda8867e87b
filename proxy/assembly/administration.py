"""The admin API of one configuration. Loaded with its first request: see `late.py`."""

from functools import partial

from starlette.routing import Route

from proxy.admin.classify import ClassifyDesk
from proxy.admin.erasure import ErasureDesk
from proxy.admin.generations import GenerationDesk
from proxy.admin.health import HealthDesk
from proxy.admin.models import ModelDesk
from proxy.admin.route import RouteDesk
from proxy.admin.routes import Desks, admin_routes
from proxy.assembly.core import Core
from proxy.exchange.attempts.conditions import Board
from proxy.exchange.books.settle import Settlement
from proxy.exchange.run import Exchange
from proxy.routing.catalogue.fingerprint import fingerprint
from proxy.routing.catalogue.types import Catalogue
from proxy.settings.schema import Settings
from ratelimit.store.erasing import erase


def routes_of_admin(
    settings: Settings, core: Core, catalogue: Catalogue, board: Board, exchange: Exchange
) -> list[Route]:
    """Its routes, with what they need of this configuration."""
    desks = Desks(
        ClassifyDesk(
            exchange.classifying.judge,
            exchange.classifying.micro,
            catalogue,
            Settlement(core.metrics, core.log).unbilled,
            min_confidence=settings.routing.classifier.min_confidence,
            clock=core.clock,
        ),
        RouteDesk(exchange.choosing, exchange.classifying.judge, core.directory),
        GenerationDesk(core.generations, exchange.choosing, fingerprint(catalogue)),
        ErasureDesk(
            core.directory, core.generations, partial(erase, core.store), wall_clock_s=core.wall_clock_s
        ),
        HealthDesk(core.health, board),
        ModelDesk(catalogue),
    )
    return admin_routes(
        core.directory,
        core.store,
        core.books,
        desks,
        reload=core.reload,
        default_limits=settings.limits.defaults.named(),
    )
