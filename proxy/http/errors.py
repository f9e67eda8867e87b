"""Errors as clients of this API expect them: OpenAI's shape, with who says so and the request's id."""

import math
from collections.abc import Sequence
from typing import Any, Final

import orjson

from proxy.exchange.errors import Refused

Headers = Sequence[tuple[bytes, bytes]]

_JSON: Final = (b"content-type", b"application/json")


def body_of(refused: Refused, request_id: str) -> bytes:
    """The JSON body of an error."""
    error: dict[str, Any] = {
        "message": refused.message,
        "type": refused.kind,
        "param": refused.param,
        "code": refused.code,
        "source": refused.source,
        "request_id": request_id,
    }
    said: dict[str, Any] = {
        "error": {**error, **refused.details},
        "headgate": {"attempts": list(refused.attempts)},
    }
    return orjson.dumps(said)


async def send_error(send: Any, refused: Refused, request_id: str, said: Headers) -> None:
    """Answer with an error; nothing must have been sent yet."""
    body = body_of(refused, request_id)
    headers = [_JSON, (b"content-length", b"%d" % len(body)), *said, *refused.headers]
    if refused.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(refused.retry_after_s))))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
