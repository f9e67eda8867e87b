"""Routes of the admin API. The door has checked the admin key before any of them is reached."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.admin.answers import refused
from proxy.admin.customers import Customers
from proxy.admin.keys import Keys
from ratelimit.subjects.directory import Directory
from ratelimit.subjects.errors import DirectoryError

CUSTOMERS: Final = "/admin/v1/customers"
KEYS: Final = "/admin/v1/keys"

Endpoint = Callable[[Request], Awaitable[Response]]


def _now_s() -> float:
    return datetime.now(tz=UTC).timestamp()


def admin_routes(
    directory: Directory,
    *,
    default_limits: Mapping[str, float],
    wall_clock_s: Callable[[], float] = _now_s,
) -> list[Route]:
    """All of them.

    Args:
        directory: where customers and keys are.
        default_limits: what a new customer gets for each limit it does not name.
        wall_clock_s: seconds since the epoch.
    """
    customers = Customers(directory, path=CUSTOMERS, default_limits=default_limits)
    keys = Keys(directory, path=KEYS, wall_clock_s=wall_clock_s)
    return [
        _route(CUSTOMERS, {"GET": customers.list, "POST": customers.create}),
        _route(
            CUSTOMERS + "/{id}",
            {"GET": customers.one, "PATCH": customers.update, "DELETE": customers.delete},
        ),
        _route(KEYS, {"GET": keys.list, "POST": keys.create}),
        _route(KEYS + "/{id}", {"GET": keys.one, "PATCH": keys.update, "DELETE": keys.revoke}),
    ]


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
