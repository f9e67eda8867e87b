"""The connection kept alive: replaced when it breaks, probed for while the server is away."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

from ratelimit.store import wire
from ratelimit.store.address import Address
from ratelimit.store.errors import StoreRefused, StoreUnavailable
from ratelimit.store.wire import Connection

# A probe may take longer than a call: nobody waits for it, and a server that was hung answers it at once
# when it wakes.
_PROBE_S: Final = 1.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0


class Link:
    """One server, one connection at a time.

    A connection that the server closes is replaced at once, and calls wait for that within their own time.
    When this fails, or the server hangs, the link is down: calls fail without waiting, one probe at a time
    looks for the server with growing pauses, and the first that succeeds brings the link up again.
    """

    __slots__ = (
        "_address",
        "_closed",
        "_connection",
        "_down_reason",
        "_on_down",
        "_on_up",
        "_restored",
        "_restoring",
        "_timeout_s",
    )

    def __init__(
        self,
        address: Address,
        *,
        timeout_s: float,
        on_down: Callable[[str], None],
        on_up: Callable[[], None],
    ) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._on_down = on_down
        self._on_up = on_up
        self._connection: Connection | None = None
        self._down_reason: str | None = "not opened yet"
        self._restoring: asyncio.Task[None] | None = None
        self._restored = asyncio.Event()
        self._closed = False

    @property
    def down_reason(self) -> str | None:
        """Why calls fail at present; None while the link is up."""
        return self._down_reason

    async def open(self) -> None:
        """Make the first connection. A server that is away is no error: `on_down`, and the probing begins.

        Raises:
            StoreRefused: the server must not be used as it is.
        """
        # Counts as up until the first attempt has told: a server that is there calls nothing back.
        self._down_reason = None
        try:
            connection = await self._connect(_PROBE_S)
        except StoreUnavailable as error:
            self._goes_down(str(error))
            self._restore()
        except BaseException:
            self._down_reason = "not opened"
            raise
        else:
            self._takes(connection)

    async def close(self) -> None:
        """End the connection and the probing; waiting calls raise StoreUnavailable."""
        self._closed = True
        self._down_reason = "the store was closed"
        task, self._restoring = self._restoring, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._restored.set()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            await asyncio.sleep(0)  # lets the transport run its last callback before the loop may go

    def request(self, packed: bytes) -> Awaitable[object]:
        """Send one packed command. An error reply is a value; see `Connection.send`.

        Raises (when awaited):
            StoreUnavailable: the link is down, or no answer came within the time-out.
        """
        connection = self._connection
        if connection is not None:
            return connection.send(packed)
        return self._request_after_replacement(packed)

    def give_up(self, reason: str) -> None:
        """The server answers, but not as a usable one (a replica, loading): look for a better one."""
        if self._connection is not None:
            self._connection.fail(reason, hung=True)

    async def _request_after_replacement(self, packed: bytes) -> object:
        if self._down_reason is not None:
            raise StoreUnavailable(self._down_reason)
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._restored.wait()
                connection = self._connection
                if connection is None:
                    raise StoreUnavailable(self.down_reason or "the connection was lost again")
                return await connection.send(packed)
        except TimeoutError as error:
            raise StoreUnavailable(f"no connection within {self._timeout_s * 1000:.0f} ms") from error

    async def _connect(self, limit_s: float) -> Connection:
        return await wire.connect(
            self._address, limit_s=limit_s, timeout_s=self._timeout_s, on_lost=self._loses
        )

    def _loses(self, connection: Connection, reason: StoreUnavailable, hung: bool) -> None:  # noqa: FBT001 - a callback of `Connection`
        if connection is not self._connection:
            return  # one still logging in: whoever makes it sees the error itself
        self._connection = None
        self._restored.clear()
        if hung:
            self._goes_down(str(reason))
        self._restore()

    def _restore(self) -> None:
        if not self._closed and (self._restoring is None or self._restoring.done()):
            self._restoring = asyncio.get_running_loop().create_task(self._restore_until_up())

    async def _restore_until_up(self) -> None:
        limit_s = self._timeout_s if self._down_reason is None else _PROBE_S
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                connection = await self._connect(limit_s)
            except (StoreUnavailable, StoreRefused) as error:
                self._goes_down(str(error))
            else:
                if self._takes(connection):
                    return
            # Spread, so that a fleet does not knock in step.
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            limit_s = _PROBE_S

    def _takes(self, connection: Connection) -> bool:
        """Put a fresh connection to use. False when it has ended already."""
        if connection.closed:
            self._goes_down("the connection was lost at once")
            self._restore()
            return False
        self._connection = connection
        was_down, self._down_reason = self._down_reason is not None, None
        self._restored.set()
        if was_down:
            # Through the loop: an error in the composer's callback is reported, and does not end the probing.
            asyncio.get_running_loop().call_soon(self._on_up)
        return True

    def _goes_down(self, reason: str) -> None:
        was_up, self._down_reason = self._down_reason is None, reason
        self._restored.set()  # those who wait for the replacement need wait no longer
        if was_up:
            asyncio.get_running_loop().call_soon(self._on_down, reason)
