"""Routes of the admin API. The door has checked the admin key before any of them is reached."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.admin.answers import answer, refused
from proxy.admin.books import Books
from proxy.admin.classify import ClassifyDesk
from proxy.admin.customers import Customers
from proxy.admin.erasure import ErasureDesk
from proxy.admin.generations import GenerationDesk
from proxy.admin.health import HealthDesk
from proxy.admin.keys import Keys
from proxy.admin.ledger import LedgerDesk
from proxy.admin.models import ModelDesk
from proxy.admin.operations import CUSTOMERS, KEYS, OPERATIONS
from proxy.admin.reload import Reload, ReloadDesk
from proxy.admin.route import RouteDesk
from proxy.admin.standing import Standings
from proxy.admin.store import Accepting, StoreDesk
from proxy.admin.usage import UsageDesk
from ratelimit.subjects.directory import Directory
from ratelimit.subjects.errors import DirectoryError

Endpoint = Callable[[Request], Awaitable[Response]]


def _now_s() -> float:
    return datetime.now(tz=UTC).timestamp()


class Desks(NamedTuple):
    """What stands on one configuration.

    Attributes:
        classifying: what a request would be taken for.
        routing: where it would go.
        generations: where past ones went.
        erasure: removes all that is kept about a customer.
        health: what is known of backends.
        models: what is served.
    """

    classifying: ClassifyDesk
    routing: RouteDesk
    generations: GenerationDesk
    erasure: ErasureDesk
    health: HealthDesk
    models: ModelDesk


def admin_routes(
    directory: Directory,
    store: Accepting,
    books: Books,
    desks: Desks,
    *,
    reload: Reload,
    default_limits: Mapping[str, float],
    wall_clock_s: Callable[[], float] = _now_s,
) -> list[Route]:
    """All of them.

    Args:
        directory: where customers and keys are.
        store: what they are kept in.
        books: what was counted for them.
        reload: reads the configuration anew.
        default_limits: what a new customer gets for each limit it does not name.
        wall_clock_s: seconds since the epoch.
    """
    standings = Standings(directory, books.reservations)
    endpoints: Mapping[str, Endpoint] = {
        **_of_subjects(directory, standings, default_limits, wall_clock_s),
        **_of_books(directory, standings, books, wall_clock_s),
        "classify": desks.classifying.classify,
        "explain_route": desks.routing.explain,
        "get_generation": desks.generations.one,
        "erase_customer": desks.erasure.erase,
        "show_health": desks.health.show,
        "list_models": desks.models.list,
        "reload": ReloadDesk(reload).reload,
        "accept_store": StoreDesk(store).accept,
        "openapi": _openapi,
    }
    by_path: dict[str, dict[str, Endpoint]] = {}
    for operation in OPERATIONS:
        by_path.setdefault(operation.path, {})[operation.method] = endpoints[operation.name]
    return [_route(path, by_method) for path, by_method in by_path.items()]


def _of_subjects(
    directory: Directory,
    standings: Standings,
    default_limits: Mapping[str, float],
    wall_clock_s: Callable[[], float],
) -> dict[str, Endpoint]:
    customers = Customers(directory, standings, path=CUSTOMERS, default_limits=default_limits)
    keys = Keys(directory, standings, path=KEYS, wall_clock_s=wall_clock_s)
    return {
        "list_customers": customers.list,
        "create_customer": customers.create,
        "get_customer": customers.one,
        "update_customer": customers.update,
        "delete_customer": customers.delete,
        "list_keys": keys.list,
        "create_key": keys.create,
        "get_key": keys.one,
        "update_key": keys.update,
        "revoke_key": keys.revoke,
        "rotate_key": keys.rotate,
    }


def _of_books(
    directory: Directory, standings: Standings, books: Books, wall_clock_s: Callable[[], float]
) -> dict[str, Endpoint]:
    ledger = LedgerDesk(directory, books.ledger, books.lost, books.reconcile)
    return {
        "customer_limits": standings.limits,
        "usage": UsageDesk(directory, books.ledger, wall_clock_s=wall_clock_s).show,
        "ledger": ledger.rows,
        "reconcile_ledger": ledger.reconcile,
        "list_lost": ledger.lost,
        "release_lost": ledger.release,
    }


async def _openapi(request: Request) -> Response:
    from proxy.admin.openapi import document  # asked for once in a while

    return answer(request, document())


def _route(path: str, by_method: Mapping[str, Endpoint]) -> Route:
    """One route for all methods of a path, so that a 405 names every one of them."""

    async def endpoint(request: Request) -> Response:
        # Starlette serves HEAD wherever GET is; the server leaves the body out.
        method = "GET" if request.method == "HEAD" else request.method
        try:
            return await by_method[method](request)
        except DirectoryError as error:
            raise refused(error) from error

    return Route(path, endpoint, methods=list(by_method))
