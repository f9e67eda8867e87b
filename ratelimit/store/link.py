"""The connection kept alive: replaced when it breaks, probed for while the server is away."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Protocol

from ratelimit.store import login
from ratelimit.store.address import Address
from ratelimit.store.errors import StoreRefused, StoreUnaccepted, StoreUnavailable
from ratelimit.store.identity import Identity
from ratelimit.store.wire import Connection, pack_command

Finder = Callable[[float], Awaitable[Address]]
"""Says where the server is now, within so many seconds. Raises StoreUnavailable, StoreRefused."""

# A probe may take longer than a call: nobody waits for it, and a server that was hung answers it at once
# when it wakes.
PROBE_S: Final = 1.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0
_FOLLOW_S: Final = 1.0
_ASKING: Final = pack_command((b"ASKING",))


class Watcher(Protocol):
    """Is told what becomes of a server; with each attempt anew, not only when something changes."""

    def lost(self, name: str, reason: str, *, act: bool = False) -> None:
        """It cannot be used."""

    def found(self, name: str) -> None:
        """There is a connection."""


def at(address: Address) -> Finder:
    """A server that stays where it is."""

    async def find(limit_s: float) -> Address:
        del limit_s
        return address

    return find


class Link:
    """One server, one connection at a time. A `Topology` of its own, and a part of `Cluster`.

    A connection that the server closes is replaced at once, and calls wait for that within their own time.
    When this fails, or the server hangs, the link is down: calls fail without waiting, one probe at a time
    looks for the server with growing pauses, and the first that succeeds brings the link up again.
    """

    __slots__ = (
        "_address",
        "_closed",
        "_connection",
        "_down_reason",
        "_find",
        "_following",
        "_identity",
        "_in_cluster",
        "_knocked",
        "_moves",
        "_name",
        "_restored",
        "_restoring",
        "_timeout_s",
        "_watcher",
    )

    def __init__(
        self,
        find: Finder,
        *,
        timeout_s: float,
        identity: Identity,
        watcher: Watcher,
        name: str = "",
        in_cluster: bool = False,
        moves: bool = False,
    ) -> None:
        """Nothing is connected yet.

        Args:
            watcher: is told under `name` what becomes of the server.
            in_cluster: it is one of several masters.
            moves: `find` may name another server at any time, so it is asked once a second while all is well.
        """
        self._find = find
        self._timeout_s = timeout_s
        self._identity = identity
        self._watcher = watcher
        self._name = name
        self._in_cluster = in_cluster
        self._moves = moves
        self._address: Address | None = None
        self._following: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._down_reason: str | None = "not opened yet"
        self._restoring: asyncio.Task[None] | None = None
        self._restored = asyncio.Event()
        self._knocked = asyncio.Event()
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
            connection = await self._connect(PROBE_S)
        except StoreUnavailable as error:
            self._goes_down(str(error))
            self._restore()
        except BaseException:
            self._down_reason = "not opened"
            raise
        else:
            self._takes(connection)

    def begin(self) -> None:
        """Like `open`, without waiting: calls wait for the first attempt within their own time."""
        self._down_reason = None
        self._restore()

    def knock(self) -> None:
        """There is news of the server: cut the pause before the next probe short."""
        self._knocked.set()

    async def look_again(self, key: str) -> None:
        """See `Topology`; the probing goes on when there is nobody. Does nothing while there is a connection."""
        del key
        await self._stop_restoring()
        if self._connection is not None or self._closed:
            return
        try:
            connection = await self._connect(PROBE_S)
        except (StoreUnavailable, StoreRefused) as error:
            self._goes_down(str(error))
            raise
        else:
            self._takes(connection)
        finally:
            if self._connection is None:
                self._restore()

    async def close(self) -> None:
        """End the connection and the probing; waiting calls raise StoreUnavailable."""
        self._closed = True
        self._down_reason = "the store was closed"
        await self._stop_restoring()
        await _ended(self._following)
        self._restored.set()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            await asyncio.sleep(0)  # lets the transport run its last callback before the loop may go

    def request(self, key: str, packed: bytes) -> Awaitable[object]:
        """Send one packed command, wherever its key belongs; see `Topology`."""
        del key
        connection = self._connection
        if connection is not None:
            return connection.send(packed)
        return self._request_after_replacement(packed, asking=False)

    async def request_asking(self, packed: bytes) -> object:
        """Like `request`, for a key of a slot that is only about to move to this node."""
        connection = self._connection
        if connection is not None:
            return await _send_asking(connection, packed)
        return await self._request_after_replacement(packed, asking=True)

    async def request_all(self, packed: bytes) -> list[object]:
        """The one reply there is; see `Topology`."""
        return [await self.request("", packed)]

    async def request_unchecked(self, key: str, packed: bytes) -> object:
        """See `Topology`."""
        del key
        connection = await self._connect(PROBE_S, checked=False)
        try:
            return await connection.send(packed)
        finally:
            connection.close()
            await asyncio.sleep(0)  # lets the transport run its last callback before the loop may go

    def name_of(self, key: str) -> str:
        """See `Topology`."""
        del key
        return self._name

    def give_up(self, key: str, reason: str) -> None:
        """See `Topology`."""
        del key
        if self._connection is not None:
            self._connection.fail(reason, hung=True)

    async def _request_after_replacement(self, packed: bytes, *, asking: bool) -> object:
        if self._down_reason is not None:
            raise StoreUnavailable(self._down_reason)
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._restored.wait()
                connection = self._connection
                if connection is None:
                    raise StoreUnavailable(self.down_reason or "the connection was lost again")
                return await (_send_asking(connection, packed) if asking else connection.send(packed))
        except TimeoutError as error:
            raise StoreUnavailable(f"no connection within {self._timeout_s * 1000:.0f} ms") from error

    async def _connect(self, limit_s: float, *, checked: bool = True) -> Connection:
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        address = await self._find(limit_s)
        if checked:
            self._address = address
        return await login.connect(
            address,
            limit_s=max(0.0, started_s + limit_s - loop.time()),
            timeout_s=self._timeout_s,
            on_lost=self._loses,
            identity=self._identity if checked else None,
            in_cluster=self._in_cluster,
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
            self._knocked.clear()
            self._restoring = asyncio.get_running_loop().create_task(self._restore_until_up())

    async def _stop_restoring(self) -> None:
        task, self._restoring = self._restoring, None
        await _ended(task)

    async def _restore_until_up(self) -> None:
        limit_s = self._timeout_s if self._down_reason is None else PROBE_S
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                connection = await self._connect(limit_s)
            except (StoreUnavailable, StoreRefused) as error:
                self._goes_down(str(error), act=isinstance(error, StoreRefused | StoreUnaccepted))
            else:
                if self._takes(connection):
                    return
            # Spread, so that a fleet does not knock in step.
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s * random.uniform(0.5, 1.0)):  # noqa: S311 - no secret
                    await self._knocked.wait()
            pause_s = _FIRST_PAUSE_S if self._knocked.is_set() else min(2 * pause_s, _LONGEST_PAUSE_S)
            self._knocked.clear()
            limit_s = PROBE_S

    def _takes(self, connection: Connection) -> bool:
        """Put a fresh connection to use. False when it has ended already."""
        if self._closed or self._connection is not None:
            connection.close()  # somebody was quicker
            return True
        if connection.closed:
            self._goes_down("the connection was lost at once")
            self._restore()
            return False
        self._connection = connection
        self._down_reason = None
        self._restored.set()
        self._watcher.found(self._name)
        if self._moves and self._following is None:
            self._following = asyncio.get_running_loop().create_task(self._follow())
        return True

    async def _follow(self) -> None:
        """Leave the server when it is no longer the one to use, though it does not say so itself."""
        while True:
            await asyncio.sleep(_FOLLOW_S * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            used = self._address
            if self._connection is None:
                continue  # it is being looked for
            # Nobody to ask, or no agreement, is no reason to leave a server that works.
            with suppress(StoreUnavailable, StoreRefused):
                found = await self._find(PROBE_S)
                if found != used and used is self._address:
                    self.give_up("", f"{found.public()} is the master now")

    def _goes_down(self, reason: str, *, act: bool = False) -> None:
        self._down_reason = reason if self._name in reason else f"{self._name}: {reason}"
        self._restored.set()  # those who wait for the replacement need wait no longer
        self._watcher.lost(self._name, self._down_reason, act=act)


async def _send_asking(connection: Connection, packed: bytes) -> object:
    # Both leave in one write and are answered in order; the first answer is of no interest.
    connection.send(_ASKING).cancel()
    return await connection.send(packed)


async def _ended(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
