"""The store as the rest of the room sees it: scripts and commands, bounded in time, up or down."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, Self, cast

from ratelimit.store.address import Address
from ratelimit.store.errors import StoreFault, StoreRefused, StoreUnavailable
from ratelimit.store.identity import Identity, encode_mark
from ratelimit.store.keys import IDENTITY
from ratelimit.store.link import Link, at
from ratelimit.store.outage import Outage
from ratelimit.store.scripts import Script, load_script
from ratelimit.store.sentinel import Sentinels
from ratelimit.store.topology import Topology
from ratelimit.store.wire import ReplyError, pack_command

Argument = str | int | float | bytes

_ACCEPT: Final = load_script("ratelimit.store", "accept")

# The server cannot serve as it is now; another connection may find one that can (a failover is under way).
_LOOK_ELSEWHERE: Final = ("READONLY", "MASTERDOWN", "LOADING", "NOAUTH", "CLUSTERDOWN The cluster")
# The server takes no writes now. Calls go on: they cost little, and the first that passes tells the end of it.
_NO_WRITES: Final = ("OOM", "MISCONF", "NOREPLICAS", "BUSY ", "UNKILLABLE")
# The server cannot do this now, for reasons of its own; MOVED: one node of a cluster was taken for a server.
_NOT_NOW: Final = ("CLUSTERDOWN", "TRYAGAIN", "NOPERM", "MOVED", "ASK ")


def _nothing() -> None:
    return None


def _nothing_to_say(reason: str) -> None:
    del reason


def _no_offset() -> int:
    return 0


class Store:
    """One server, the master that sentinels name, or a cluster. Use it on the loop that opened it.

    A lost connection is replaced by itself; a call is never repeated, since whether it ran is unknown. What was
    certainly not run is sent again: to where a cluster says that the key is now, and with a forgotten script.

    The first store that answers is remembered by a mark in it; one that has lost it, or has another, counts as
    away until `accept`. The mark is looked at whenever a connection is made; a store that is emptied under a
    living connection goes unnoticed until the next. For clusters see `Cluster` too.
    """

    __slots__ = ("_address", "_identity", "_offset_us", "_outage", "_timeout_s", "_topology")

    def __init__(
        self,
        address: Address,
        *,
        timeout_ms: float,
        on_down: Callable[[str], None] = _nothing_to_say,
        on_up: Callable[[], None] = _nothing,
        identity_file: Path | None = None,
    ) -> None:
        """Nothing is connected yet; see `open`.

        Args:
            address: any kind that `open` accepts.
            timeout_ms: bounds every call, connecting and redirections included.
            on_down: called once with the reason whenever the store or a part of it goes away, or takes no writes.
            on_up: called once when all is well after that. Both run as loop callbacks and must not block.
            identity_file: remembers the store beyond a restart. Its directory must exist.
        """
        self._address = address
        self._timeout_s = timeout_ms / 1000
        self._identity = Identity(identity_file)
        self._outage = Outage(on_down, on_up)
        self._topology = self._built()
        self._offset_us: Callable[[], int] = _no_offset

    @classmethod
    def for_tests(cls, address: Address, *, timeout_ms: float, offset_us: Callable[[], int]) -> Self:
        """A store whose scripts read the server's clock plus `offset_us()`. Never used in production."""
        store = cls(address, timeout_ms=timeout_ms)
        store._offset_us = offset_us
        return store

    @property
    def available(self) -> bool:
        """False from the first sign of an outage until a new connection stands.

        True while only some masters of a cluster are away, and while writes are refused.
        """
        return self._topology.down_reason is None

    @property
    def down_reason(self) -> str | None:
        """Why calls fail at present, in an operator's words; None while available."""
        return self._topology.down_reason

    @property
    def offset_us(self) -> int:
        """What a script that reads the clock is to add to it: 0 but in tests."""
        return self._offset_us()

    async def open(self) -> None:
        """Connect. With nobody there: `available` is False, `on_down` is called, and a probe goes on.

        Raises:
            StoreRefused: wrong password or database, an eviction policy other than noeviction, no cluster or
                sentinels where the address says so, an identity file that cannot be used, or an embedded store
                (start an `EmbeddedServer` and pass its address).
        """
        if self._address.kind == "embedded":
            raise StoreRefused("an embedded store needs its server started first")
        self._identity.load()
        await self._topology.open()

    async def close(self) -> None:
        """Disconnect. Calls raise StoreUnavailable from now on; the store cannot be opened again."""
        self._outage.mute()
        await self._topology.close()

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> object:
        """Run a script atomically: by its digest, with its source when the server does not know it.

        In a cluster it runs where the first key lives; the others must share its hash tag. Strings in the result
        are bytes, numbers whole.

        Raises:
            StoreUnavailable: no answer within the time-out; the script may have run all the same. Or the server
                takes no writes: it has not run.
            StoreFault: the script is wrong.

        One round trip, or two on a server that has forgotten the script.
        """
        started_s = asyncio.get_running_loop().time()
        reply = await self._asked(script, keys, args)
        if type(reply) is ReplyError or self._outage.refusals:
            return await self._heard(script, keys, args, reply, started_s)
        return reply

    async def run_all(
        self, script: Script, calls: Sequence[tuple[Sequence[str], Sequence[Argument]]]
    ) -> list[object]:
        """Like `run`, once for each of `calls` (keys, arguments), all of them in one write.

        Returns:
            What came of each, in their order: its result, or the StoreUnavailable or StoreFault that `run` raises.
        """
        started_s = asyncio.get_running_loop().time()
        # With a connection a request is a future already; only a cluster's needs a task, and has one.
        asked = [asyncio.ensure_future(self._asked(script, *call)) for call in calls]
        outcomes: list[object] = []
        try:
            for call, reply in zip(calls, asked, strict=True):
                try:
                    outcomes.append(await self._heard(script, *call, await reply, started_s))
                except (StoreUnavailable, StoreFault) as failure:
                    outcomes.append(failure)
        finally:
            for reply in asked[len(outcomes) :]:  # cancelled ourselves: nobody asks for these any more
                reply.cancel()
        return outcomes

    def _asked(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Awaitable[object]:
        return self._topology.request(
            keys[0] if keys else "", pack_command((b"EVALSHA", script.sha1, len(keys), *keys, *args))
        )

    async def _heard(
        self,
        script: Script,
        keys: Sequence[str],
        args: Sequence[Argument],
        reply: object,
        started_s: float,
    ) -> object:
        """The result that a reply is, of a second call where the server had forgotten the script."""
        key = keys[0] if keys else ""
        if type(reply) is ReplyError:
            if not str(reply).startswith("NOSCRIPT"):
                raise self._translated(reply, script.name, key, writes=script.writes)
            try:
                async with asyncio.timeout_at(started_s + self._timeout_s):
                    reply = await self._topology.request(
                        key, pack_command((b"EVAL", script.source, len(keys), *keys, *args))
                    )
            except TimeoutError as error:
                raise StoreUnavailable(f"no answer within {self._timeout_s * 1000:.0f} ms") from error
            if type(reply) is ReplyError:
                raise self._translated(reply, script.name, key, writes=script.writes)
        if self._outage.refusals and script.writes:
            self._outage.takes_writes(self._topology.name_of(key), when_full=script.when_full)
        return reply

    async def call(self, *command: Argument, key_at: int = 1, writes: bool = False) -> object:
        """Send one command. Strings in the result are bytes.

        Args:
            key_at: which word is the key, which decides where the command goes in a cluster. A command that is
                shorter has none and goes to any master: PING, DBSIZE. See `call_all` too.
            writes: what becomes of it tells whether the server takes writes.

        Raises:
            StoreUnavailable: no answer within the time-out, or the server takes no writes.
            StoreFault: the server rejects the command.
        """
        key = _text(command[key_at]) if len(command) > key_at else ""
        reply = await self._topology.request(key, pack_command(command))
        if type(reply) is ReplyError:
            raise self._translated(reply, str(command[0]), key, writes=writes)
        if self._outage.refusals and writes:
            self._outage.takes_writes(self._topology.name_of(key))
        return reply

    async def call_all(self, *command: Argument) -> list[object]:
        """Send one command to every master, one server alone included. One reply each, in no order.

        Raises:
            StoreUnavailable: one of them does not answer; others may have done it.
            StoreFault: one of them rejects the command.
        """
        replies = await self._topology.request_all(pack_command(command))
        for reply in replies:
            if type(reply) is ReplyError:
                raise self._translated(reply, str(command[0]), "", writes=False)
        return replies

    async def accept(self) -> bool:
        """Let the store that answers now take the place of the remembered one, for every gateway.

        It is up when this returns; other gateways follow by themselves, within a second or so. False: it is
        the remembered one, or its place was given to it before.

        Raises:
            StoreUnavailable: nobody answers, or the store takes no writes.
            StoreRefused: the server must not be used as it is.
        """
        known = self._identity.remembered
        if known is None:
            await self._topology.look_again(IDENTITY)
            return False
        fresh = encode_mark(self._identity.successor())
        words = (b"EVAL", _ACCEPT.source, 1, IDENTITY, fresh, known.id)
        reply = await self._topology.request_unchecked(IDENTITY, pack_command(words))
        if type(reply) is ReplyError:
            raise self._translated(reply, _ACCEPT.name, IDENTITY, writes=False)
        changed, mark = cast("list[object]", reply)
        self._identity.check(cast("bytes", mark), self._address.public())
        await self._topology.look_again(IDENTITY)
        return changed == 1

    def _built(self) -> Topology:
        if self._address.kind == "cluster":
            # Here, because only those who have a cluster are to pay for the library: a third of a second.
            from ratelimit.store.cluster import Cluster

            return Cluster(
                self._address, timeout_s=self._timeout_s, identity=self._identity, outage=self._outage
            )
        moves = self._address.kind == "sentinel"
        return Link(
            Sentinels(self._address).find if moves else at(self._address),
            timeout_s=self._timeout_s,
            identity=self._identity,
            watcher=self._outage,
            moves=moves,
        )

    def _translated(
        self, reply: Exception, what: str, key: str, *, writes: bool
    ) -> StoreUnavailable | StoreFault:
        text = str(reply)
        if text.startswith(_LOOK_ELSEWHERE):
            self._topology.give_up(key, text)
            return StoreUnavailable(text)
        if text.startswith(_NO_WRITES):
            if writes:
                self._outage.refuses(self._topology.name_of(key), text)
            return StoreUnavailable(text)
        if text.startswith(_NOT_NOW):
            return StoreUnavailable(text)
        return StoreFault(f"{what}: {text}")


def _text(word: Argument) -> str:
    return word.decode(errors="surrogateescape") if isinstance(word, bytes) else str(word)
