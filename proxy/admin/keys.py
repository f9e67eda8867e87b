"""`/admin/v1/keys`: made, listed, shown, changed, revoked. A key's text is in one answer and nowhere else."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from proxy.admin.answers import answer, nothing, page
from proxy.admin.bodies import KeyBody, KeyPatch, Rotation
from proxy.admin.changes import changed_limits
from proxy.admin.reading import page_limit, read_body, read_query
from proxy.admin.standing import Standings, scopes_of, with_warnings
from proxy.exchange.errors import Refused
from proxy.settings.subjects import model_limits, model_names
from ratelimit.subjects.directory import Directory
from ratelimit.subjects.errors import NotFound
from ratelimit.subjects.records import epoch_s
from ratelimit.subjects.types import Key, NewKey

_FIXED: Final = frozenset({"id", "customer", "managed", "created_at", "previous_until"})


class Keys:
    """The endpoints. Each raises DirectoryError for what the directory will not do."""

    def __init__(
        self, directory: Directory, standings: Standings, *, path: str, wall_clock_s: Callable[[], float]
    ) -> None:
        """
        Args:
            standings: tell what is used when limits change.
            path: where the endpoints are, for `location`.
            wall_clock_s: seconds since the epoch, to tell what has expired.
        """
        self._directory = directory
        self._standings = standings
        self._path = path
        self._wall_clock_s = wall_clock_s

    async def create(self, request: Request) -> Response:
        body = await read_body(request, KeyBody)
        self._check_expiry(body.expires_at)
        key, secret = await self._directory.create_key(
            NewKey(
                body.customer,
                body.name or "",
                limits=body.limits.named(),
                models=model_names(body.models),
                expires_at=body.expires_at,
                disabled=body.disabled,
                model_limits=model_limits(body.models),
                tags=body.tags or (),
            )
        )
        return answer(request, _with_text(key, secret), status=201, location=f"{self._path}/{key.id}")

    async def list(self, request: Request) -> Response:
        query = read_query(request, ("limit", "after", "customer"))
        limit, after, customer_id = page_limit(query), query.get("after") or None, query.get("customer")
        if customer_id is not None:
            await self._check_customer(customer_id)
        found = await self._directory.list_keys(after, limit, customer_id=customer_id)
        return page(request, [key.public() for key in found.items], found.next_cursor)

    async def one(self, request: Request) -> Response:
        key = await self._directory.get_key(request.path_params["id"])
        return answer(request, key.public())

    async def update(self, request: Request) -> Response:
        patch = await read_body(request, KeyPatch, fixed=_FIXED)
        self._check_expiry(patch.expires_at)
        key_id = request.path_params["id"]
        looks = []
        if patch.limits is not None or patch.models is not None:
            # Before the change: afterwards a store that is away would hide that it was made.
            old_key = await self._directory.get_key(key_id)
            looks = await self._standings.of_key(old_key, model_limits(patch.models))
        key = await self._directory.update_key(key_id, lambda old: _changed(old, patch))
        limits = {scope.id: scope.limits for scope in scopes_of(key)}
        return answer(request, with_warnings(key.public(), looks, limits))

    async def rotate(self, request: Request) -> Response:
        """Another text for the same key. May be called without a body."""
        rotation = await read_body(request, Rotation, empty={})
        key, secret = await self._directory.rotate_key(
            request.path_params["id"], overlap_s=rotation.overlap_s
        )
        return answer(request, _with_text(key, secret))

    async def revoke(self, request: Request) -> Response:
        await self._directory.delete_key(request.path_params["id"])
        return nothing(request)

    def _check_expiry(self, expires_at: str | None) -> None:
        if expires_at is not None and epoch_s(expires_at) <= self._wall_clock_s():
            raise Refused("invalid_request", f"expires_at: {expires_at} is in the past", param="expires_at")

    async def _check_customer(self, customer_id: str) -> None:
        """An empty list for a misspelt customer would look like an answer."""
        try:
            await self._directory.get_customer(customer_id)
        except NotFound as error:
            raise Refused("not_found", str(error), param="customer") from error


def _with_text(key: Key, secret: str) -> dict[str, object]:
    return {"id": key.id, "key": secret, **key.public()}


def _changed(key: Key, patch: KeyPatch) -> Key:
    named = patch.model_fields_set
    changes: dict[str, Any] = {}
    if "name" in named:
        changes["name"] = patch.name or ""
    if "limits" in named:
        changes["limits"] = changed_limits(key.limits, patch.limits)
    if "models" in named:
        changes["models"] = model_names(patch.models)
        changes["model_limits"] = model_limits(patch.models)
    if "expires_at" in named:
        changes["expires_at"] = patch.expires_at
    if "tags" in named:
        changes["tags"] = patch.tags or ()
    if "disabled" in named:
        changes["disabled"] = patch.disabled
    return replace(key, **changes)
