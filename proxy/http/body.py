"""Reading a request's body, within bounds."""

from typing import Any

from proxy.exchange.errors import Refused


class ClientLeft(Exception):
    """The client left before its request was whole."""


async def read_json_body(scope: Any, receive: Any, *, max_bytes: int) -> bytes:
    """The whole body of a JSON request.

    Raises:
        Refused: another content type, or more than `max_bytes`.
        ClientLeft: nobody waits for an answer any more.
    """
    declared_bytes = 0
    for name, value in scope["headers"]:
        if name == b"content-length":
            declared_bytes = int(value)
        elif name == b"content-type":
            kind = value.split(b";", 1)[0].strip().lower()
            if kind != b"application/json" and not kind.endswith(b"+json"):
                shown = kind.decode("latin-1")
                raise Refused(
                    "unsupported_media_type", f"content-type must be application/json, not `{shown}`"
                )
    if declared_bytes > max_bytes:
        raise _too_large(max_bytes)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        whole: bytes = message["body"]
        return whole if len(whole) <= max_bytes else _raise(_too_large(max_bytes))
    parts: list[bytes] = []
    size = 0
    while message["type"] == "http.request":
        parts.append(message["body"])
        size += len(message["body"])
        if size > max_bytes:
            raise _too_large(max_bytes)
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive()
    raise ClientLeft


def _too_large(max_bytes: int) -> Refused:
    return Refused("request_too_large", f"the body exceeds the limit of {max_bytes} bytes")


def _raise(error: Refused) -> bytes:
    raise error
