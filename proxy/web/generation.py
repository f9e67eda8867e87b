"""`GET /v1/generation?id=`: the record of an own past request, in OpenRouter's shape."""

from typing import Final, Protocol

import orjson
from starlette.requests import Request
from starlette.responses import Response

from proxy.exchange.arrival import Arrival
from proxy.exchange.books.generation import Generation, block_of, members_of, read
from proxy.exchange.errors import Refused
from proxy.http.door import ARRIVAL

_ID_MAX_CHARS: Final = 100


class Keeps(Protocol):
    """The store's records; see `ratelimit.memory.generations`."""

    async def get(self, customer_id: str, generation_id: str) -> bytes | None: ...


class PastRequests:
    """The endpoint. One round trip, or none; raises StoreUnavailable when the store is away."""

    def __init__(self, generations: Keeps) -> None:
        self._generations = generations

    async def one(self, request: Request) -> Response:
        """Any key of a customer reads the records of all its keys, and none of another customer's."""
        arrival: Arrival = request.scope[ARRIVAL]
        wanted = request.query_params.get("id", "")
        if not wanted:
            raise Refused(
                "invalid_request", "`id`: say which: the `x-generation-id` of an answer", param="id"
            )
        found: Generation | None = None
        if len(wanted) <= _ID_MAX_CHARS:
            blob = await self._generations.get(arrival.subject.customer_id, wanted)
            found = None if blob is None else read(blob)
        if found is None:
            raise unknown(wanted)
        response = Response(
            orjson.dumps({"data": members_of(found), "headgate": block_of(found)}),
            media_type="application/json",
        )
        response.raw_headers.extend(((b"cache-control", b"no-store"), *arrival.said))
        return response


def unknown(generation_id: str) -> Refused:
    """The same for what never was, what is kept no longer, and what is another customer's."""
    shown = generation_id if len(generation_id) <= _ID_MAX_CHARS else f"{generation_id[:_ID_MAX_CHARS]}…"
    return Refused("not_found", f"there is no record of a request `{shown}`", param="id")
