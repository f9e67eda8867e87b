"""`POST /admin/v1/customers/{id}/erase`: a customer is deleted, and all that is kept about it is removed."""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import Response

from proxy.admin.answers import answer
from ratelimit.ledger.ledger import FIGURES_KEPT_DAYS
from ratelimit.store.erasing import Erased
from ratelimit.subjects.directory import Directory
from ratelimit.subjects.errors import NotFound

_DAY_S: Final = 86_400
_AGAIN_S: Final = _DAY_S
"""After this the erasure is repeated: no request is under way for longer, and what gateways keep is written by then."""


class Records(Protocol):
    """Records of past requests; see `ratelimit.memory.generations`."""

    def forget(self, customer_id: str) -> None: ...
    async def unlist(self, customer_id: str) -> int: ...


class ErasureDesk:
    """The endpoint."""

    def __init__(
        self,
        directory: Directory,
        records: Records,
        erase: Callable[[str], Awaitable[Erased]],
        *,
        wall_clock_s: Callable[[], float],
    ) -> None:
        """`erase`: removes what the store has of a customer, by id; `wall_clock_s`: seconds since the epoch."""
        self._directory = directory
        self._records = records
        self._erase = erase
        self._wall_clock_s = wall_clock_s

    async def erase(self, request: Request) -> Response:
        """First its keys stop working, then what it left is removed. May be repeated, and is by itself a day later."""
        customer_id = request.path_params["id"]
        try:
            await self._directory.delete_customer(customer_id)
        except NotFound:
            if not await self._directory.known.has(customer_id):
                raise
        # As if deleted long ago: whoever removes what such customers left finds this one in a day.
        ago_s = FIGURES_KEPT_DAYS * _DAY_S - _AGAIN_S
        await self._directory.known.deleted_at(customer_id, self._wall_clock_s() - ago_s)
        self._records.forget(customer_id)
        records = await self._records.unlist(customer_id)
        erased = await self._erase(customer_id)
        return answer(
            request,
            {
                "id": customer_id,
                "erased": True,
                "keys": erased.keys,
                "records": records,
                "under_way": erased.under_way,
            },
        )
