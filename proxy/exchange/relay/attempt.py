"""What streamed and plain attempts share: status, error bodies, departures, endings."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol

from proxy.exchange.downstream import Downstream, Headers

MAX_ERROR_BYTES: Final = 64 * 1024
"""How much of an error answer is read; the recorded ones are under 4 kB."""


class Source(Protocol):
    """The backend an attempt goes to: hears of its answer, and words its failures in the gateway's one form."""

    def answered(self, headers: Headers) -> None: ...
    def of_status(self, status: int, headers: Mapping[str, str], body: bytes) -> Exception: ...
    def of(self, kind: str, message: str) -> Exception: ...
    def shown(self, error: Exception) -> Exception:
        """The same, without what only the operator may know."""
        ...


class Call(Protocol):
    """The exchange with the provider; see `upstream.transport`."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def cancel(self) -> None: ...
    def linger(self) -> None: ...


class Ending(NamedTuple):
    """How an attempt ended.

    Attributes:
        error: what failed; `None` for a complete answer, and when the client left.
        committed: content had come: no other attempt may follow.
        gone: the client left.
        stale: the connection had been used before and died before any byte: not the provider's fault.
        body: of a plain answer.
    """

    error: Exception | None = None
    committed: bool = False
    gone: bool = False
    stale: bool = False
    body: bytes = b""


class Attempt:
    """What streams and plain answers share: status, error bodies, departures, endings.

    Attributes:
        slowed: the client has kept the provider waiting.
    """

    def __init__(self, client: Downstream, source: Source, clock: Callable[[], float]) -> None:
        self._client = client
        self._source = source
        self._clock = clock
        self._loop = client.loop
        self._call: Call | None = None
        self._status = 0
        self._headers: Headers = ()
        self._failed_body: list[bytes] | None = None
        self._failed_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._sent_s = clock()
        self._over = False
        self.slowed = False
        self.ended: asyncio.Future[Ending] = self._loop.create_future()

    def on_head(self, status: int, headers: Headers) -> None:
        self._status = status
        self._headers = headers
        self._source.answered(headers)
        if status != 200:
            self._failed_body = []

    def client_gone(self) -> None:
        self._stop(Ending(gone=True, committed=self._committed))

    def client_paused(self) -> None:
        self.slowed = True
        if self._call is not None:
            self._call.pause()

    def client_resumed(self) -> None:
        if self._call is not None:
            self._call.resume()

    @property
    def _committed(self) -> bool:
        return False

    def _collect_error(self, data: bytes) -> None:
        assert self._failed_body is not None
        self._failed_body.append(data)
        self._failed_bytes += len(data)
        if self._failed_bytes > MAX_ERROR_BYTES:
            self._fail_by_status()

    def _fail_by_status(self) -> None:
        body = b"".join(self._failed_body or ())[:MAX_ERROR_BYTES]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self._headers}
        self._stop(Ending(self._source.of_status(self._status, headers, body)))

    def _stop(self, ending: Ending) -> None:
        """End the attempt and let go of the provider's connection."""
        if self._over:
            return
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._call is not None:
            self._call.cancel()
        self._client.listen(None)
        if not self.ended.done():
            self.ended.set_result(ending)
