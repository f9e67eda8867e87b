"""Failures done: what happens on the connection when an answer is asked to fail."""

import asyncio
import socket
import struct
from collections import OrderedDict
from email.utils import formatdate

from aiohttp import web

from proxy.sandbox import provider_errors
from proxy.sandbox.delivery import Answer, begin, deliver, send
from proxy.sandbox.failures import Act, Failure

LONGEST_STALL_S = 600.0  # ten minutes: longer than any time-out worth trying
_COMMENT_EVERY_S = 0.25  # often enough that a wait of a second shows several
_MOST_COUNTED = 4_096  # names with `times` that are remembered; they may be anything
_GARBAGE = b"\x16\x03\x01\x02\x00 this is neither JSON nor an event \xff\xfe\xfd\n\n"
_MANGLED = b'{"id": "chatcmpl-'
_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER on, no seconds: closing sends RST
# What comes in place of an object, and in a stream after some frames of it.
_REPLACING = (Act.ERROR, Act.MANGLED, Act.GARBAGE, Act.DONE)


class Tally:
    """How often each failure with `times` has happened, until the process ends; oldest names are forgotten."""

    def __init__(self) -> None:
        self._happened: OrderedDict[tuple[str, str], int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._happened)

    def due(self, model: str, failure: Failure | None) -> Failure | None:
        """`failure` if it is to happen now, which is counted; `None` if `model` answers by now."""
        if failure is None or failure.times is None:
            return failure
        key = (model, failure.name)
        happened = self._happened.pop(key, 0)
        self._happened[key] = min(happened + 1, failure.times)
        if len(self._happened) > _MOST_COUNTED:
            self._happened.popitem(last=False)
        return failure if happened < failure.times else None


class Breaker:
    """Breaks answers. One for each time the sandbox runs; `stop` ends its pauses."""

    def __init__(self) -> None:
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        self._stopped.set()

    async def fail(
        self, incoming: web.Request, failure: Failure, answer: Answer, now_s: float, first_ms: float
    ) -> web.StreamResponse:
        """Answer `incoming` by failing.

        Args:
            answer: what would be said otherwise; parts of it may be.
            now_s: seconds since 1970, for dates.
            first_ms: before anything leaves, unless the failure says how long.
        """
        wait_s = (first_ms if failure.wait_ms is None else failure.wait_ms) / 1000
        if failure.act is Act.COMMENTS:
            return await self._comment(incoming, answer, wait_s)
        await self._pause(wait_s)
        if failure.act is Act.SLOW:
            return await deliver(incoming, answer)
        if failure.act in (Act.STATUS, Act.PAGE):
            return _refusal(failure, answer, now_s)
        if failure.after == "nothing":
            await self._break_off(incoming, failure)
            # Nobody is there to read it: the connection is closing, so nothing of this is written.
            return web.Response(status=502)
        response = await begin(incoming, answer)
        if not (answer.replaceable and failure.act in _REPLACING):
            await send(response, answer.until(failure.after), answer.pace_ms)
        if failure.act in (Act.STALL, Act.CLOSE, Act.RESET):
            await self._break_off(incoming, failure)
            return response
        if failure.act is not Act.END:
            await response.write(_last_words(failure, answer))
        await response.write_eof()
        return response

    async def _comment(self, incoming: web.Request, answer: Answer, wait_s: float) -> web.StreamResponse:
        clock = asyncio.get_running_loop().time
        until_s = clock() + wait_s
        response = await begin(incoming, answer)
        while True:
            await response.write(answer.idle)
            left_s = until_s - clock()
            if left_s <= 0 or self._stopped.is_set():
                break
            await self._pause(min(left_s, _COMMENT_EVERY_S))
        await send(response, answer.beats(), answer.pace_ms)
        await response.write_eof()
        return response

    async def _break_off(self, incoming: web.Request, failure: Failure) -> None:
        if failure.act is Act.STALL:
            await self._pause(LONGEST_STALL_S)
        transport = incoming.transport
        if transport is None:  # the client was quicker
            return
        if failure.act is Act.RESET:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            transport.abort()
        else:
            transport.close()

    async def _pause(self, pause_s: float) -> None:
        """So long, or until the sandbox stops; cancelled when the client leaves."""
        try:
            async with asyncio.timeout(pause_s):
                await self._stopped.wait()
        except TimeoutError:
            return


def _refusal(failure: Failure, answer: Answer, now_s: float) -> web.Response:
    error = provider_errors.find(failure.told)
    assert error is not None
    headers = dict(answer.headers)
    if failure.retry_s is not None:
        headers["retry-after"] = str(failure.retry_s)
    if failure.retry_date_s is not None:
        headers["retry-after"] = formatdate(now_s + failure.retry_date_s, usegmt=True)
    if failure.retry_ms is not None:
        headers["retry-after-ms"] = str(failure.retry_ms)
    if failure.act is Act.PAGE:
        page = provider_errors.page(error.status)
        return web.Response(status=error.status, body=page, content_type="text/html", headers=headers)
    body = provider_errors.body(error)
    return web.Response(status=error.status, body=body, content_type="application/json", headers=headers)


def _last_words(failure: Failure, answer: Answer) -> bytes:
    if failure.act is Act.ERROR:
        error = provider_errors.find(failure.told)
        assert error is not None
        return answer.framed(provider_errors.body(error))
    if failure.act is Act.MANGLED:
        return answer.framed(_MANGLED)
    return _GARBAGE if failure.act is Act.GARBAGE else answer.nothing
