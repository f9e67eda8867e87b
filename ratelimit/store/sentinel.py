"""Which server is the master now, as the sentinels have it."""

import asyncio
from collections import Counter
from typing import Final

from ratelimit.store import login
from ratelimit.store.address import Address
from ratelimit.store.errors import StoreRefused, StoreUnavailable
from ratelimit.store.wire import ReplyError, pack_command

_UNKNOWN: Final = ("", 0)


class Sentinels:
    """A finder for `Link`: asks all sentinels at once, and takes what most of them say.

    One that was cut off from the others may still name the old master; the log-in checks the role besides. An
    old master may call itself one for ten seconds after a planned failover (seen with Redis 7.0.15 and Valkey
    9.1.2, November 2026), and forgets what it took meanwhile: this is why the link keeps asking.
    """

    __slots__ = ("_address", "_command")

    def __init__(self, address: Address) -> None:
        """`address`: of kind sentinel. Its credentials are the master's, and used for sentinels that ask for any."""
        self._address = address
        self._command = pack_command((b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", address.master))

    async def find(self, limit_s: float) -> Address:
        """The master's address. Takes at most half of `limit_s`, so that time is left to connect to it.

        Raises:
            StoreUnavailable: no sentinel answers, or they do not agree (a failover is under way).
            StoreRefused: those that answer do not know the master, or want another password.
        """
        hosts = self._address.hosts
        asked = [asyncio.ensure_future(self._ask(host, limit_s / 2)) for host in hosts]
        said: Counter[tuple[str, int]] = Counter()
        problem: StoreUnavailable | StoreRefused = StoreUnavailable("there is no sentinel")
        try:
            for answer in asyncio.as_completed(asked):
                try:
                    master = await answer
                except (StoreUnavailable, StoreRefused) as error:
                    # What an operator has to mend is worth more words than who is away.
                    problem = error if isinstance(problem, StoreUnavailable) else problem
                    continue
                said[master] += 1
                if 2 * said[master] > len(hosts):
                    break
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        if not said:
            raise type(problem)(f"no sentinel of {self._address.public()} can be asked: {problem}")
        master, how_many = said.most_common(1)[0]
        if 2 * how_many <= said.total():
            raise StoreUnavailable(f"{self._address.public()}: the sentinels name different masters")
        if master == _UNKNOWN:
            raise StoreRefused(f"{self._address.public()}: the sentinels know no such master")
        return Address(
            "tcp",
            (master,),
            database=self._address.database,
            username=self._address.username,
            password=self._address.password,
        )

    async def _ask(self, host: tuple[str, int], limit_s: float) -> tuple[str, int]:
        where = Address("tcp", (host,))
        reply = (await login.ask(where, (self._command,), limit_s=limit_s))[0]
        if isinstance(reply, ReplyError) and str(reply).startswith("NOAUTH") and self._address.password:
            known = Address("tcp", (host,), username=self._address.username, password=self._address.password)
            reply = (await login.ask(known, (self._command,), limit_s=limit_s))[0]
        if isinstance(reply, ReplyError):
            raise StoreRefused(f"{where.public()}: {reply}")
        match reply:
            case [bytes() as name, bytes() as port]:
                return name.decode(), int(port)
            case None:
                return _UNKNOWN
        raise StoreUnavailable(f"{where.public()} is no sentinel")
