"""The store itself, as an administrator decides about it."""

from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from proxy.admin.answers import answer


class Accepting(Protocol):
    """What may be put to use although it has lost its data, or is another one."""

    async def accept(self) -> bool: ...


class StoreDesk:
    """Its endpoints."""

    def __init__(self, store: Accepting) -> None:
        self._store = store

    async def accept(self, request: Request) -> Response:
        """Use the store as it is. Nothing happens when it is in use already."""
        return answer(request, {"accepted": await self._store.accept()})
