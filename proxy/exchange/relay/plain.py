"""A plain answer: collected whole, judged by the caller."""

from typing import Final

from proxy.exchange.downstream import Downstream
from proxy.exchange.relay.attempt import Attempt, Call, Ending, Source

MAX_PLAIN_BYTES: Final = 64 * 1024 * 1024
"""A plain answer is held whole: four images in base64 fit."""


class PlainRelay(Attempt):
    """One attempt at a plain answer: collected whole, judged by the caller."""

    def __init__(self, client: Downstream, source: Source, *, total_s: float) -> None:
        super().__init__(client, source, client.loop.time)
        self._total_s = total_s
        self._parts: list[bytes] = []
        self._bytes = 0

    def begin(self, call: Call) -> None:
        """The request has been written."""
        self._call = call
        if self._total_s:
            self._timer = self._loop.call_later(self._total_s, self._too_late)
        self._client.listen(self)

    def on_body(self, data: bytes) -> None:
        if self._failed_body is not None:
            self._collect_error(data)
            return
        self._parts.append(data)
        self._bytes += len(data)
        if self._bytes > MAX_PLAIN_BYTES:
            limit_mb = MAX_PLAIN_BYTES // 1024 // 1024
            self._stop(Ending(self._source.of("protocol", f"the provider's answer exceeds {limit_mb} MB")))

    def on_end(self) -> None:
        self._call = None
        if self._failed_body is not None:
            self._fail_by_status()
        else:
            self._stop(Ending(body=b"".join(self._parts)))

    def on_break(self, error: Exception, *, stale: bool) -> None:
        if self._failed_body is not None and not stale:
            self._fail_by_status()
        else:
            self._stop(Ending(error, stale=stale))

    def stop(self, error: Exception) -> None:
        """End the attempt from our side."""
        self._stop(Ending(error))

    def _too_late(self) -> None:
        self._stop(Ending(self._source.of("timeout", f"the provider took more than {self._total_s:g} s")))
