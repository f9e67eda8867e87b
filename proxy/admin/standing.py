"""`/admin/v1/customers/{id}/limits`: how limits stand; and what to say when one is lowered below what is used."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from proxy.admin.answers import answer
from proxy.admin.reading import page_limit, read_query
from proxy.exchange.books.standing import figure, shown
from ratelimit.limits.reservations import Reservations
from ratelimit.limits.types import Look, Scope, Standing, account, standings
from ratelimit.subjects.directory import Directory
from ratelimit.subjects.types import Customer, Key

_NO_LIMITS: Final[Mapping[str, float]] = MappingProxyType({})
_AT_ONCE: Final = 500
"""Scopes that one script looks at."""


class Standings:
    """What is used of limits, as administrators see it. Raises DirectoryError for what is not there."""

    def __init__(self, directory: Directory, reservations: Reservations) -> None:
        self._directory = directory
        self._reservations = reservations

    async def limits(self, request: Request) -> Response:
        """The customer, and its keys page by page."""
        query = read_query(request, ("limit", "after"))
        customer = await self._directory.get_customer(request.path_params["id"])
        page = await self._directory.list_keys(
            query.get("after") or None, page_limit(query), customer_id=customer.id
        )
        of_customer, *of_keys = await self.looks(customer.id, customer.limits, page.items)
        found = iter(of_keys)
        keys = [
            {**shown(next(found)), "models": [shown(next(found)) for _ in key.model_limits]}
            for key in page.items
        ]
        return answer(request, {"customer": shown(of_customer), "keys": keys, "next": page.next_cursor})

    async def looks(
        self, customer_id: str, limits: Mapping[str, float], keys: Iterable[Key] = ()
    ) -> list[Look]:
        """The customer, then for each key itself and its models with limits."""
        customer = Scope("customer", customer_id, limits)
        scopes = [scope for key in keys for scope in scopes_of(key)]
        looks: list[Look] = []
        for start in range(0, max(1, len(scopes)), _AT_ONCE):
            part = scopes[start : start + _AT_ONCE]
            found = await self._reservations.look(account(customer_id, (customer, *part)))
            looks += found[1 if start else 0 :]
        return looks

    async def of_customer(self, customer: Customer) -> list[Look]:
        """To be compared with limits that are about to change; see `warnings`."""
        return await self.looks(customer.id, customer.limits)

    async def of_key(self, key: Key, changed: Mapping[str, object]) -> list[Look]:
        """As `of_customer`, of the key and its models.

        Args:
            changed: names that are to have limits and may have none yet.
        """
        models = {**dict.fromkeys(changed, _NO_LIMITS), **key.model_limits}
        return (await self.looks(key.customer, {}, [replace(key, model_limits=models)]))[1:]


def scopes_of(key: Key) -> list[Scope]:
    return [
        Scope("key", key.id, key.limits),
        *(Scope("model", f"{key.id}:{name}", limits) for name, limits in key.model_limits.items()),
    ]


def with_warnings(
    members: dict[str, object], looks: Iterable[Look], limits: Mapping[str, Mapping[str, float]]
) -> dict[str, object]:
    """`members`, and `warnings` where limits that were lowered are below what is used.

    Args:
        looks: taken before the change; each scope's `limits` are those before it.
        limits: those after it, by the scope's id.
    """
    warnings = [
        _warning(look, standing)
        for look in looks
        for standing in standings(look, limits.get(look.scope.id, {}))
        if _lowered(look.scope.limits.get(standing.limit), limits[look.scope.id][standing.limit])
        and standing.used > standing.maximum
        and not standing.limit.endswith("_per_minute")
    ]
    return {**members, "warnings": warnings} if warnings else members


def _lowered(before: float | None, after: float) -> bool:
    return before is None or after < before


def _warning(look: Look, standing: Standing) -> dict[str, object]:
    used, maximum = figure(standing, standing.used), figure(standing, standing.maximum)
    subject = look.scope.kind
    until = "until it begins anew" if standing.reset_after_s is not None else "while that is so"
    return {
        "subject": subject,
        "id": look.scope.id,
        "limit": standing.limit,
        "used": used,
        "maximum": maximum,
        "message": f"the {subject} has used {_digits(used)} of {standing.limit}, more than {_digits(maximum)}: "
        f"requests are refused {until}",
    }


def _digits(value: float) -> str:
    """To the micro-dollar, as short as it can be."""
    return f"{value:.6f}".rstrip("0").rstrip(".")
