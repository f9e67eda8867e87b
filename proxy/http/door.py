"""The door: every request gets an id and an error net, and none passes without a key unless its path is on a list."""

import hmac
import os
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from hashlib import sha256
from typing import Any, Final, Protocol

from starlette.exceptions import HTTPException

from proxy.exchange.arrival import Arrival
from proxy.exchange.downstream import SCOPE_KEY
from proxy.exchange.errors import Refused
from proxy.http.body import ClientLeft
from proxy.http.errors import send_error
from ratelimit.store.errors import StoreUnavailable
from ratelimit.subjects.lookup import MISSING, Lookup
from ratelimit.subjects.secret import looks_like_key
from ratelimit.subjects.types import Subject

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN_PATHS: Final = frozenset({"/livez", "/readyz", "/metrics"})
"""Served without a key; everything else needs one."""

ADMIN_PREFIX: Final = "/admin/"
ARRIVAL: Final = "headgate.arrival"
SAID: Final = "headgate.said"

_ID_BYTES: Final = 12
_MAX_ECHO_BYTES: Final = 200
_RETRY_AFTER_S: Final = 1.0


class Log(Protocol):
    """A structured logger."""

    def error(self, event: str, **fields: object) -> object: ...


class Door:
    """The outermost ASGI application."""

    def __init__(
        self,
        app: App,
        straight: Mapping[str, App],
        lookup: Lookup,
        *,
        admin_key_digest: bytes,
        clock: Callable[[], float],
        log: Log,
    ) -> None:
        """
        Args:
            app: the routes.
            straight: endpoints by path that take POST requests without a walk over the routes.
            admin_key_digest: SHA-256 of the admin key.
            clock: monotonic, in seconds.
        """
        self._app = app
        self._straight = straight
        self._lookup = lookup
        self._admin_key_digest = admin_key_digest
        self._clock = clock
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"req-{os.urandom(_ID_BYTES).hex()}"
        said = _said(request_id, scope["headers"])
        scope["app"] = (
            self  # so that the router raises for an unknown path or method instead of answering in prose
        )
        try:
            path: str = scope["path"]
            scope[SAID] = said
            if path.startswith(ADMIN_PREFIX):
                self._check_admin(scope["headers"])
            elif path not in OPEN_PATHS:
                arrived_s = self._clock()
                subject = await self._subject(_key_of(scope["headers"]))
                scope[ARRIVAL] = Arrival(
                    request_id, arrived_s, subject, scope["headers"], said, scope[SCOPE_KEY]
                )
            straight = self._straight.get(path) if scope["method"] == "POST" else None
            await (straight or self._app)(scope, receive, send)
        except Refused as refused:
            await send_error(send, refused, request_id, said)
        except HTTPException as problem:
            await send_error(send, _routing_problem(problem, scope), request_id, said)
        except StoreUnavailable:
            away = Refused(
                "limits_unavailable", "the store is away; try again shortly", retry_after_s=_RETRY_AFTER_S
            )
            await send_error(send, away, request_id, said)
        except ClientLeft:
            pass  # nobody is there to be told
        except Exception as fault:  # noqa: BLE001 - the error net: whatever is left is our mistake, and must be answered
            self._log.error("internal error", request_id=request_id, path=scope["path"], exc_info=fault)
            await self._answer_fault(scope, send, request_id, said)

    async def _answer_fault(
        self, scope: Scope, send: Send, request_id: str, said: Sequence[tuple[bytes, bytes]]
    ) -> None:
        refused = Refused("internal_error", "the gateway made a mistake; its log names this request's id")
        try:
            await send_error(send, refused, request_id, said)
        except RuntimeError:  # an answer had begun: a cut connection is the only honest end
            scope[SCOPE_KEY].abort()

    async def _subject(self, key: bytes | None) -> Subject:
        if key is None:
            raise Refused("invalid_api_key", "no API key: send `Authorization: Bearer <key>`")
        subject = self._lookup.peek(key)
        if subject is MISSING:
            try:
                subject = await self._lookup.find(key)
            except StoreUnavailable as outage:
                message = "keys cannot be checked at the moment; try again shortly"
                raise Refused("limits_unavailable", message, retry_after_s=_RETRY_AFTER_S) from outage
        if subject is None:
            text = key.decode("latin-1")
            if text.startswith("sk-hg-") and not looks_like_key(text):
                raise Refused("invalid_api_key", "this API key has a typo: its checksum does not fit")
            ended = self._lookup.ended(key)
            if ended is not None:
                raise Refused("invalid_api_key", f"this API key was {ended}")
            raise Refused("invalid_api_key", "this API key is unknown or revoked")
        if subject.disabled is not None:
            raise Refused("invalid_api_key", f"this API key cannot be used: {subject.disabled}")
        return subject

    def _check_admin(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        key = _key_of(headers)
        if key is None or not hmac.compare_digest(sha256(key).digest(), self._admin_key_digest):
            raise Refused(
                "invalid_api_key", "this path needs the admin key: `Authorization: Bearer <admin key>`"
            )


def _key_of(headers: Sequence[tuple[bytes, bytes]]) -> bytes | None:
    """The key a client sent, in any of the three ways SDKs do."""
    found: bytes | None = None
    for name, value in headers:
        if name == b"authorization":
            scheme, _, token = value.partition(b" ")
            if scheme.lower() == b"bearer" and token.strip():
                return token.strip()
        elif name in (b"x-api-key", b"api-key") and found is None and value:
            found = value.strip()
    return found


def _said(request_id: str, headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Headers that every answer carries."""
    encoded = request_id.encode()
    said = [(b"x-request-id", encoded), (b"x-generation-id", encoded)]
    for name, value in headers:
        if name == b"x-request-id" and len(value) <= _MAX_ECHO_BYTES and value.isascii():
            said.append((b"x-client-request-id", value))
    return said


def _routing_problem(problem: HTTPException, scope: Scope) -> Refused:
    if problem.status_code == 405:
        allowed = (problem.headers or {}).get("Allow", "")
        return Refused(
            "method_not_allowed",
            f"{scope['method']} is not allowed on {scope['path']}; use {allowed}",
            headers=[(b"allow", allowed.encode())],
        )
    return Refused("not_found", f"there is nothing at {scope['path']}")
