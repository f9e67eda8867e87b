"""The wire to providers: aiohttp's connector makes connections, DNS, TLS and proxies included; a small protocol reads.

For the time of one exchange a connection is handed to `_Reading`, which parses the response with httptools and calls
its receiver straight from the event loop's read: a chunk costs one loop turn and no task switch. Afterwards the
connection goes back to the pool.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import aiohttp
import httptools
from aiohttp.client_reqrep import ClientRequest
from yarl import URL

from providers.types import ErrorKind, UpstreamError
from proxy.exchange.upstream.pool import Pool, Wire

MAX_HEAD_BYTES: Final = 64 * 1024
"""Status line and headers of an answer. The longest recorded ones are under 8 kB."""

DNS_CACHE_S: Final = 10

LINGER_S: Final = 1.0
"""How long a complete answer may take to send the end of its body, so that its connection can be used again."""

Headers = Sequence[tuple[bytes, bytes]]


class Receiver(Protocol):
    """What an exchange reports to. Exactly one of `on_end` and `on_break` comes last; after `cancel` nothing comes."""

    def on_head(self, status: int, headers: Headers) -> None: ...
    def on_body(self, data: bytes) -> None: ...
    def on_end(self) -> None: ...
    def on_break(self, error: UpstreamError, *, stale: bool) -> None:
        """The connection broke or sent nonsense. `stale`: it was a reused one and died before any byte."""
        ...


class Call(Protocol):
    """The handle of an exchange under way."""

    def pause(self) -> None:
        """Stop reading; the provider is slowed down by TCP."""
        ...

    def resume(self) -> None: ...

    def cancel(self) -> None:
        """Drop the connection at once."""
        ...

    def linger(self) -> None:
        """The answer is complete though its body has not ended: report no more, keep the connection if it ends soon."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests of one backend go.

    Attributes:
        origin: host, port, TLS and proxy as one word.
        peer: the same, for the connector.
        head: request line and headers, without the blank line, `content-length` and what a request adds.
    """

    origin: str
    peer: ClientRequest
    head: bytes


def make_target(
    url: str, headers: Sequence[tuple[str, str]], *, proxy: str | None = None, method: str = "POST"
) -> Target:
    """Build once, use for every request.

    Args:
        url: the whole address of the endpoint.
        headers: authentication and what else the provider needs.
        proxy: URL of an HTTP proxy, or `None`.
    """
    address = URL(url, encoded=True)  # as it is: a signature covers how it is written
    peer = ClientRequest(
        method, address, loop=asyncio.get_running_loop(), proxy=URL(proxy) if proxy else None, ssl=True
    )
    # A plain-text request through a proxy names the whole address; through TLS the connector has made a tunnel.
    absolute = proxy is not None and address.scheme == "http"
    where = str(address) if absolute else address.raw_path_qs
    host = address.raw_host or ""
    host = f"[{host}]" if ":" in host else host
    lines = [
        f"{method} {where} HTTP/1.1",
        f"host: {host}" if address.is_default_port() else f"host: {host}:{address.port}",
        "content-type: application/json",
        "accept: */*",
        "accept-encoding: identity",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return Target(origin_of(url, proxy), peer, "\r\n".join(lines).encode("latin-1"))


def origin_of(url: str, proxy: str | None) -> str:
    """Whom connections for an address are made to, as one word."""
    origin = URL(url, encoded=True).origin()
    return f"{origin} through {proxy}" if proxy else str(origin)


class Transport:
    """Connections to all providers of this process."""

    def __init__(self) -> None:
        # Every default is stated: 100 connections in all, for one, would be a silent queue.
        self._connector = aiohttp.TCPConnector(
            limit=0,
            limit_per_host=0,
            ttl_dns_cache=DNS_CACHE_S,
            enable_cleanup_closed=False,
            force_close=True,  # idle ones wait in a pool of our own
        )
        self._pool = Pool(asyncio.get_running_loop())

    async def close(self) -> None:
        """Close every connection."""
        self._pool.close()
        await self._connector.close()

    def retire(self, origins: frozenset[str]) -> None:
        """Keep no connections to these; see `Pool.retire`."""
        self._pool.retire(origins)

    async def send(
        self,
        target: Target,
        extra_head: bytes,
        body: bytes,
        receiver: Receiver,
        *,
        connect_s: float,
        fresh: bool = False,
    ) -> Call:
        """Connect, write the request, and report what comes back to `receiver`.

        Args:
            extra_head: further header lines, each ending in CRLF.
            connect_s: bound for DNS, TCP and TLS together.
            fresh: take no pooled connection.

        Raises:
            UpstreamError: no connection.
        """
        wire = None if fresh else self._pool.take(target.origin)
        if wire is None:
            wire = Wire(await self._connect(target, connect_s), target.origin)
        reading = _Reading(wire, self._pool, receiver)
        wire.transport.set_protocol(reading)
        wire.transport.write(
            b"%b\r\n%bcontent-length: %d\r\n\r\n%b" % (target.head, extra_head, len(body), body)
        )
        return reading

    async def _connect(self, target: Target, connect_s: float) -> aiohttp.connector.Connection:
        timeout = aiohttp.ClientTimeout(total=None, connect=connect_s, sock_connect=connect_s)
        try:
            return await self._connector.connect(target.peer, [], timeout)
        except TimeoutError:
            raise UpstreamError("timeout", f"no connection to the provider within {connect_s:g} s") from None
        except aiohttp.ClientConnectorDNSError:
            raise UpstreamError("unreachable", "the provider's host name does not resolve") from None
        except aiohttp.ClientSSLError as problem:
            raise UpstreamError("unreachable", "no TLS connection to the provider") from problem
        except (aiohttp.ClientError, OSError) as problem:
            raise UpstreamError("unreachable", "no connection to the provider") from problem


class _Reading(asyncio.Protocol):
    """Reads one response off a connection."""

    __slots__ = (
        "_complete",
        "_head_bytes",
        "_head_seen",
        "_headers",
        "_keep_alive",
        "_linger_timer",
        "_over",
        "_parser",
        "_parts",
        "_pool",
        "_problem",
        "_receiver",
        "_reused",
        "_status",
        "_until_eof",
        "_wire",
    )

    def __init__(self, wire: Wire, pool: Pool, receiver: Receiver) -> None:
        self._wire = wire
        self._pool = pool
        self._receiver: Receiver | None = receiver
        self._reused = wire.reused
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._head_seen = False
        self._status = 0
        self._parts: list[bytes] = []
        self._until_eof = False
        self._complete = False
        self._keep_alive = False
        self._problem: str | None = None
        self._over = False
        self._linger_timer: asyncio.TimerHandle | None = None

    # The event loop calls these.

    def data_received(self, data: bytes) -> None:
        parser = self._parser
        if parser is None:
            return
        self._reused = False  # a byte came: whatever happens next is the provider's doing
        try:
            parser.feed_data(data)
        except httptools.HttpParserError:
            self._problem = self._problem or "the provider's answer is not valid HTTP"
        receiver = self._receiver
        if self._parts:
            parts, self._parts = self._parts, []
            if receiver is not None:
                receiver.on_body(parts[0] if len(parts) == 1 else b"".join(parts))
        self._after_read()

    def _after_read(self) -> None:
        if self._over:  # the receiver has cancelled
            return
        if self._problem is not None:
            self._break(self._problem)
        elif self._complete:
            self._end(keep=self._keep_alive)

    def eof_received(self) -> bool:
        return False  # the transport closes itself; connection_lost tells the rest

    def connection_lost(self, exc: Exception | None) -> None:
        if self._over:
            return
        if self._until_eof and self._head_seen and exc is None:
            self._end(keep=False)
        elif self._head_seen:
            self._break("the provider's answer was cut short")
        else:
            self._break("the provider closed the connection without an answer")

    # httptools calls these.

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > MAX_HEAD_BYTES:
            self._problem = f"the provider's headers exceed {MAX_HEAD_BYTES} bytes"
        elif self._complete:
            self._problem = "the provider sent more than one answer"
        else:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._parser is None:  # the receiver has cancelled
            return
        status = self._parser.get_status_code()
        if status < 200:  # 100 and 103 announce an answer, they are none
            self._headers = []
            return
        self._status = status
        self._head_seen = True
        framed = False
        for name, value in self._headers:
            if name in (b"content-length", b"transfer-encoding"):
                framed = True
            elif name == b"content-encoding" and value.lower() != b"identity":
                self._problem = "the provider compressed its answer though asked not to"
        self._until_eof = not framed
        if self._receiver is not None and self._problem is None:
            self._receiver.on_head(status, self._headers)

    def on_body(self, data: bytes) -> None:
        self._parts.append(data)

    def on_message_complete(self) -> None:
        if self._status >= 200 and self._parser is not None:
            self._complete = True
            self._keep_alive = self._parser.should_keep_alive()  # the parser forgets it right after

    # The receiver calls these.

    def pause(self) -> None:
        if not self._over:
            self._wire.transport.pause_reading()

    def resume(self) -> None:
        if not self._over and not self._wire.transport.is_closing():
            self._wire.transport.resume_reading()

    def cancel(self) -> None:
        if not self._over:
            self._leave()
            self._wire.drop()

    def linger(self) -> None:
        self._receiver = None
        if not self._over and not self._complete:
            self.resume()
            self._linger_timer = asyncio.get_running_loop().call_later(LINGER_S, self.cancel)

    # Endings.

    def _end(self, *, keep: bool) -> None:
        receiver = self._leave()
        if keep and not self._wire.transport.is_closing():
            self._wire.transport.resume_reading()
            self._pool.put(self._wire)
        else:
            self._wire.drop()
        if receiver is not None:
            receiver.on_end()

    def _break(self, message: str) -> None:
        stale = self._reused and not self._head_seen
        receiver = self._leave()
        self._wire.drop()
        if receiver is not None:
            kind: ErrorKind = "unreachable" if not self._head_seen and self._problem is None else "protocol"
            receiver.on_break(UpstreamError(kind, message), stale=stale)

    def _leave(self) -> Receiver | None:
        self._over = True
        self._parser = None  # it refers to this object: else both would wait for the garbage collector
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self._linger_timer = None
        receiver, self._receiver = self._receiver, None
        return receiver
