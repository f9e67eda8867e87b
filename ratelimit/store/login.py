"""From an address to a connection that may be used: reached, logged in, looked over."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from ratelimit.store.address import Address
from ratelimit.store.errors import StoreRefused, StoreUnavailable
from ratelimit.store.identity import Identity, encode_mark, new_mark
from ratelimit.store.keys import IDENTITY
from ratelimit.store.wire import Connection, ReplyError, pack_command

_Result = TypeVar("_Result")
OnLost = Callable[[Connection, StoreUnavailable, bool], None]

# The server answers, but not yet, or not now.
_LATER: Final = ("LOADING", "MASTERDOWN", "BUSY", "CLUSTERDOWN")
# Another node of the cluster holds the identity.
_ELSEWHERE: Final = ("MOVED", "ASK")
# A server that takes no writes at present cannot be given an identity; it gets one at a later log-in.
_NO_WRITES: Final = ("OOM", "MISCONF", "NOREPLICAS", "READONLY", "CLUSTERDOWN", *_ELSEWHERE)


async def connect(
    address: Address,
    *,
    limit_s: float,
    timeout_s: float,
    on_lost: OnLost,
    identity: Identity | None,
    in_cluster: bool = False,
) -> Connection:
    """A connection that may be used: to a writable server that never evicts and is the one remembered.

    Args:
        address: of kind tcp, tls or unix.
        limit_s: bounds all of it, name resolution and log-in included.
        timeout_s: bounds each later call.
        on_lost: see `Connection`; also called for one that is lost while it logs in.
        identity: what is remembered of the store; None: whichever it is.
        in_cluster: the identity may be another node's to keep.

    Raises:
        StoreUnavailable: nobody there, no answer in time, still loading, a replica, or another store.
        StoreRefused: the password, the database or the eviction policy is not acceptable.
    """

    async def log_in(connection: Connection) -> None:
        await _log_in(connection, address, identity, in_cluster=in_cluster)

    connection, _ = await _reached(address, limit_s, on_lost, log_in)
    connection.hold_to(timeout_s)
    return connection


async def ask(address: Address, commands: Sequence[bytes], *, limit_s: float) -> list[object]:
    """The replies of any server, master or not, to a few packed commands; error replies are values.

    Raises:
        StoreUnavailable: nobody there, or no answer within `limit_s`, connecting included.
        StoreRefused: the password is not acceptable.
    """

    async def converse(connection: Connection) -> list[object]:
        log_in = _credentials(connection, address)
        replies = await asyncio.gather(*log_in, *(connection.send(command) for command in commands))
        for reply in replies[: len(log_in)]:
            if isinstance(reply, ReplyError):
                raise StoreRefused(f"{address.public()} refuses us: {reply}")
        return replies[len(log_in) :]

    connection, replies = await _reached(address, limit_s, _nobody_to_tell, converse)
    connection.close()
    await asyncio.sleep(0)  # lets the transport run its last callback before the loop may go
    return replies


def _nobody_to_tell(connection: Connection, reason: StoreUnavailable, hung: bool) -> None:  # noqa: FBT001 - a callback of `Connection`
    """Whoever converses sees the error itself."""
    del connection, reason, hung


async def _reached(
    address: Address, limit_s: float, on_lost: OnLost, converse: Callable[[Connection], Awaitable[_Result]]
) -> tuple[Connection, _Result]:
    loop = asyncio.get_running_loop()
    # A log-in may take the whole limit; from then on the connection is held to the time-out of a call.
    connection = Connection(loop, limit_s, on_lost)
    try:
        async with asyncio.timeout(limit_s):
            if address.kind == "unix":
                await loop.create_unix_connection(lambda: connection, address.path)
            else:
                host, port = address.hosts[0]
                context = (
                    ssl.create_default_context(cafile=address.ca_file) if address.kind == "tls" else None
                )
                await loop.create_connection(lambda: connection, host, port, ssl=context)
            return connection, await converse(connection)
    except TimeoutError as error:
        connection.close()
        raise StoreUnavailable(
            f"no connection to {address.public()} within {limit_s * 1000:.0f} ms"
        ) from error
    except OSError as error:
        connection.close()
        raise StoreUnavailable(f"no connection to {address.public()}: {error}") from error
    except BaseException:
        connection.close()
        raise


def _credentials(connection: Connection, address: Address) -> list[asyncio.Future[object]]:
    if address.password is None:
        return []
    user = () if address.username is None else (address.username,)
    return [connection.send(pack_command((b"AUTH", *user, address.password)))]


async def _log_in(
    connection: Connection, address: Address, identity: Identity | None, *, in_cluster: bool
) -> None:
    """AUTH, SELECT, a look at the server and at its identity, all in one write."""
    commands = _credentials(connection, address)
    if address.database:
        commands.append(connection.send(pack_command((b"SELECT", address.database))))
    if in_cluster:
        commands.append(connection.send(pack_command((b"CLUSTER", b"INFO"))))
    commands.append(connection.send(pack_command((b"INFO",))))
    commands.append(connection.send(pack_command((b"GET", IDENTITY))))
    *replies, mark = await asyncio.gather(*commands)
    _check_server(address, replies)
    if in_cluster and read_info(replies[-2]).get("cluster_state") != "ok":
        raise StoreUnavailable(f"{address.public()}: the cluster is down")
    if identity is None:
        return
    if isinstance(mark, ReplyError) and str(mark).startswith(_ELSEWHERE):
        if in_cluster:
            return
        raise StoreRefused(
            f"{address.public()} is one node of a cluster: write the address as redis+cluster://"
        )
    _check_replies(address, [mark])
    if mark is None and identity.remembered is None:
        mark = await _made(connection, address)
        if mark is None:
            return
    identity.check(mark if isinstance(mark, bytes) else None, address.public())


async def _made(connection: Connection, address: Address) -> bytes | None:
    """The identity of a store that had none a moment ago: ours, or of a gateway that was quicker."""
    ours = encode_mark(new_mark(()))
    reply = await connection.send(pack_command((b"SET", IDENTITY, ours, b"NX", b"GET")))
    if isinstance(reply, ReplyError) and str(reply).startswith(_NO_WRITES):
        return None
    _check_replies(address, [reply])
    return reply if isinstance(reply, bytes) else ours


def _check_replies(address: Address, replies: Sequence[object]) -> None:
    for reply in replies:
        if isinstance(reply, ReplyError):
            text = str(reply)
            if text.startswith(_LATER):
                raise StoreUnavailable(f"{address.public()}: {text}")
            raise StoreRefused(f"{address.public()} refuses us: {text}")


def _check_server(address: Address, replies: Sequence[object]) -> None:
    _check_replies(address, replies)
    where = address.public()
    info = read_info(replies[-1])
    if info.get("loading", "0") != "0":
        raise StoreUnavailable(f"{where} is still loading its data")
    if info.get("role", "master") != "master":
        raise StoreUnavailable(f"{where} is a replica; it takes no writes")
    policy = info.get("maxmemory_policy")
    if policy != "noeviction":
        raise StoreRefused(
            f"{where} has maxmemory-policy {policy or 'unknown'}: it must be noeviction, or spent budgets "
            "could be forgotten; set it in the server's configuration"
        )


def read_info(reply: object) -> dict[str, str]:
    """The lines `name:value` of an INFO reply; none of anything else."""
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else ""
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
