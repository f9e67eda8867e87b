"""The store as the rest of the room sees it: scripts and commands, bounded in time, up or down."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Self

from ratelimit.store.address import Address
from ratelimit.store.errors import StoreFault, StoreRefused, StoreUnavailable
from ratelimit.store.link import Link
from ratelimit.store.scripts import Script
from ratelimit.store.wire import ReplyError, pack_command

Argument = str | int | float | bytes

# The server cannot serve as it is now; another connection may find one that can (a failover is under way).
_LOOK_ELSEWHERE: Final = ("READONLY", "MASTERDOWN", "LOADING", "NOAUTH")
# The server cannot do this now, for reasons of its own.
_NOT_NOW: Final = ("OOM", "MISCONF", "BUSY", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN", "NOPERM", "UNKILLABLE")


def _nothing() -> None:
    return None


def _nothing_to_say(reason: str) -> None:
    del reason


def _no_offset() -> int:
    return 0


class Store:
    """One server. Use it on the loop that opened it.

    A lost connection is replaced by itself; a call is never repeated, since whether it ran is unknown.
    """

    __slots__ = ("_address", "_link", "_offset_us", "_timeout_s")

    def __init__(
        self,
        address: Address,
        *,
        timeout_ms: float,
        on_down: Callable[[str], None] = _nothing_to_say,
        on_up: Callable[[], None] = _nothing,
    ) -> None:
        """Nothing is connected yet; see `open`.

        Args:
            address: any kind that `open` accepts.
            timeout_ms: bounds every call, connecting included.
            on_down: called once with the reason whenever the store goes away.
            on_up: called once whenever it is back after that. Both run as loop callbacks and must not block.
        """
        self._address = address
        self._timeout_s = timeout_ms / 1000
        self._link = Link(address, timeout_s=self._timeout_s, on_down=on_down, on_up=on_up)
        self._offset_us: Callable[[], int] = _no_offset

    @classmethod
    def for_tests(cls, address: Address, *, timeout_ms: float, offset_us: Callable[[], int]) -> Self:
        """A store whose scripts read the server's clock plus `offset_us()`. Never used in production."""
        store = cls(address, timeout_ms=timeout_ms)
        store._offset_us = offset_us
        return store

    @property
    def available(self) -> bool:
        """False from the first sign of an outage until a new connection stands."""
        return self._link.down_reason is None

    @property
    def down_reason(self) -> str | None:
        """Why calls fail at present, in an operator's words; None while available."""
        return self._link.down_reason

    @property
    def offset_us(self) -> int:
        """What a script that reads the clock is to add to it: 0 but in tests."""
        return self._offset_us()

    async def open(self) -> None:
        """Connect. With nobody there: `available` is False, `on_down` is called, and a probe goes on.

        Raises:
            StoreRefused: wrong password or database, an eviction policy other than noeviction, or a kind of
                address that is not served: cluster and sentinel (planned), embedded (start an
                `EmbeddedServer` and pass its address).
        """
        if self._address.kind in ("cluster", "sentinel"):
            raise StoreRefused(f"redis+{self._address.kind}:// is planned and does not work yet")
        if self._address.kind == "embedded":
            raise StoreRefused("an embedded store needs its server started first")
        await self._link.open()

    async def close(self) -> None:
        """Disconnect. Calls raise StoreUnavailable from now on; the store cannot be opened again."""
        await self._link.close()

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> object:
        """Run a script atomically: by its digest, with its source when the server does not know it.

        Strings in the result are bytes, numbers whole.

        Raises:
            StoreUnavailable: no answer within the time-out; the script may have run all the same.
            StoreFault: the script is wrong.

        One round trip, or two on a server that has forgotten the script.
        """
        started_s = asyncio.get_running_loop().time()
        reply = await self._link.request(pack_command((b"EVALSHA", script.sha1, len(keys), *keys, *args)))
        if type(reply) is ReplyError:
            if not str(reply).startswith("NOSCRIPT"):
                raise self._translated(reply, script.name)
            try:
                async with asyncio.timeout_at(started_s + self._timeout_s):
                    reply = await self._link.request(
                        pack_command((b"EVAL", script.source, len(keys), *keys, *args))
                    )
            except TimeoutError as error:
                raise StoreUnavailable(f"no answer within {self._timeout_s * 1000:.0f} ms") from error
            if type(reply) is ReplyError:
                raise self._translated(reply, script.name)
        return reply

    async def call(self, *command: Argument) -> object:
        """Send one command. Strings in the result are bytes.

        Raises:
            StoreUnavailable: no answer within the time-out.
            StoreFault: the server rejects the command.
        """
        reply = await self._link.request(pack_command(command))
        if type(reply) is ReplyError:
            raise self._translated(reply, str(command[0]))
        return reply

    def _translated(self, reply: Exception, what: str) -> StoreUnavailable | StoreFault:
        text = str(reply)
        if text.startswith(_LOOK_ELSEWHERE):
            self._link.give_up(text)
            return StoreUnavailable(text)
        if text.startswith(_NOT_NOW):
            return StoreUnavailable(text)
        return StoreFault(f"{what}: {text}")
