"""Answers to administrators, and what the directory's refusals are in HTTP."""

from collections.abc import Sequence
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from proxy.exchange.errors import Refused
from proxy.http.door import SAID
from ratelimit.subjects.errors import (
    AlreadyExists,
    DirectoryError,
    InvalidRecord,
    ManagedByFile,
    NotFound,
    UnknownCustomer,
)

# One of these answers holds a key, and none is worth keeping.
_NOT_KEPT: Final = (b"cache-control", b"no-store")


def answer(request: Request, members: object, *, status: int = 200, location: str | None = None) -> Response:
    """`members` as JSON, with the headers that every answer carries.

    `location`: the path of what was made; ASCII.
    """
    response = Response(orjson.dumps(members), status_code=status, media_type="application/json")
    response.raw_headers.extend((_NOT_KEPT, *request.scope.get(SAID, ())))
    if location is not None:
        response.raw_headers.append((b"location", location.encode("ascii")))
    return response


def text(request: Request, written: str, media_type: str) -> Response:
    """A text, with the same headers."""
    response = Response(written, media_type=media_type)
    response.raw_headers.extend((_NOT_KEPT, *request.scope.get(SAID, ())))
    return response


def page(request: Request, rows: Sequence[object], next_cursor: str | None) -> Response:
    """Part of a list. `next_cursor` asks for what follows, `None` at the end."""
    return answer(request, {"object": "list", "data": rows, "next": next_cursor})


def nothing(request: Request) -> Response:
    """It is done, and there is nothing to show."""
    response = Response(status_code=204)
    response.raw_headers.extend(request.scope.get(SAID, ()))
    return response


def refused(error: DirectoryError) -> Refused:
    """What the directory would not do, as an answer."""
    message = str(error)
    match error:
        case AlreadyExists():
            return Refused("already_exists", message, param="id")
        case UnknownCustomer():
            return Refused("not_found", message, param="customer")
        case NotFound():
            return Refused("not_found", message)
        case ManagedByFile():
            return Refused("managed_by_file", message)
        case InvalidRecord():
            member, colon, _ = message.partition(": ")
            return Refused("invalid_request", message, param=member if colon else None)
    raise error
