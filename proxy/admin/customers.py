"""`/admin/v1/customers`: made, listed, shown, changed, deleted."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from proxy.admin.answers import answer, nothing, page
from proxy.admin.bodies import CustomerBody, CustomerPatch
from proxy.admin.changes import changed_limits, merged
from proxy.admin.reading import page_limit, read_body, read_query
from proxy.admin.standing import Standings, with_warnings
from proxy.exchange.errors import Refused
from proxy.settings.subjects import metadata_problem
from ratelimit.subjects.directory import Directory
from ratelimit.subjects.types import DEFAULT_ON_SOFT_LIMIT, DEFAULT_PRIORITY, Customer, NewCustomer

_FIXED: Final = frozenset({"id", "managed", "created_at"})


class Customers:
    """The endpoints. Each raises DirectoryError for what the directory will not do."""

    def __init__(
        self,
        directory: Directory,
        standings: Standings,
        *,
        path: str,
        default_limits: Mapping[str, float],
    ) -> None:
        """
        Args:
            standings: tell what is used when limits change.
            path: where the endpoints are, for `location`.
            default_limits: what a new customer gets for each limit it does not name, `null` being a name.
        """
        self._directory = directory
        self._standings = standings
        self._path = path
        self._default_limits = default_limits

    async def create(self, request: Request) -> Response:
        body = await read_body(request, CustomerBody)
        customer = await self._directory.create_customer(
            NewCustomer(
                body.id,
                body.name or body.id,
                limits=body.limits.over(self._default_limits),
                models=body.models,
                regions=body.regions,
                priority=body.priority or DEFAULT_PRIORITY,
                on_soft_limit=body.on_soft_limit or DEFAULT_ON_SOFT_LIMIT,
                metadata=body.metadata or {},
                disabled=body.disabled,
                tags=body.tags or (),
            )
        )
        return answer(request, customer.public(), status=201, location=f"{self._path}/{customer.id}")

    async def list(self, request: Request) -> Response:
        query = read_query(request, ("limit", "after"))
        found = await self._directory.list_customers(query.get("after") or None, page_limit(query))
        return page(request, [customer.public() for customer in found.items], found.next_cursor)

    async def one(self, request: Request) -> Response:
        customer = await self._directory.get_customer(request.path_params["id"])
        return answer(request, customer.public())

    async def update(self, request: Request) -> Response:
        patch = await read_body(request, CustomerPatch, fixed=_FIXED)
        customer_id = request.path_params["id"]
        looks = []
        if patch.limits is not None:
            # Before the change: afterwards a store that is away would hide that it was made.
            looks = await self._standings.of_customer(await self._directory.get_customer(customer_id))
        customer = await self._directory.update_customer(customer_id, lambda old: _changed(old, patch))
        return answer(request, with_warnings(customer.public(), looks, {customer.id: customer.limits}))

    async def delete(self, request: Request) -> Response:
        await self._directory.delete_customer(request.path_params["id"])
        return nothing(request)


def _changed(customer: Customer, patch: CustomerPatch) -> Customer:
    named = patch.model_fields_set
    changes: dict[str, Any] = {}
    if "name" in named:
        changes["name"] = patch.name or customer.id
    if "limits" in named:
        changes["limits"] = changed_limits(customer.limits, patch.limits)
    if "models" in named:
        changes["models"] = patch.models
    if "regions" in named:
        changes["regions"] = patch.regions
    if "priority" in named:
        changes["priority"] = patch.priority or DEFAULT_PRIORITY
    if "on_soft_limit" in named:
        changes["on_soft_limit"] = patch.on_soft_limit or DEFAULT_ON_SOFT_LIMIT
    if "metadata" in named:
        changes["metadata"] = _changed_metadata(customer.metadata, patch.metadata)
    if "tags" in named:
        changes["tags"] = patch.tags or ()
    if "disabled" in named:
        changes["disabled"] = patch.disabled
    return replace(customer, **changes)


def _changed_metadata(metadata: Mapping[str, object], patch: Mapping[str, Any] | None) -> dict[str, Any]:
    result = {} if patch is None else merged(metadata, patch)
    # Small by itself, a change may still make the whole too large.
    problem = metadata_problem(result)
    if problem is not None:
        raise Refused("invalid_request", f"metadata: {problem}", param="metadata")
    return result
