"""What can be wrong with a store, one after the other, and what requests meanwhile get and how long they take."""

import asyncio
import hashlib
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.fault_proxy import FaultProxy
from tests.support.gateway import running
from tests.support.limited import Customer, admin, ask, configuration
from tests.support.scripted import listening
from tests.support.site import Site, poll
from tests.support.valkey import PrivateServer

TIMEOUT_MS: Final = 1000
"""`redis.timeout_ms`: twenty times the default, so that a busy machine is not taken for a fault."""
PAUSE_S: Final = 0.02
DOWN: Final = "store is away"
UP: Final = "store is back"
OUTAGES: Final = ("closed", "open")


@dataclass(frozen=True)
class Place:
    """A store that can be hurt, behind a proxy, and a gateway on it for each setting of `on_outage`."""

    store: PrivateServer
    proxy: FaultProxy
    sites: dict[str, Site]


@dataclass(frozen=True)
class Fault:
    """
    Attributes:
        about: for people who read a table.
        away: whether limits cannot be checked meanwhile.
        accepted: whether it takes an operator to end it; what was counted before is lost.
    """

    name: str
    about: str
    begin: Callable[[Place], None]
    end: Callable[[Place], Awaitable[None]]
    away: bool = True
    accepted: bool = False


@dataclass(frozen=True)
class Measured:
    """What requests got: how often each status, and how long each took."""

    statuses: Counter[int]
    latencies_ms: Sequence[float]

    def at(self, percent: float) -> float:
        """Nearest rank, milliseconds."""
        ordered = sorted(self.latencies_ms)
        return ordered[max(0, -(-len(ordered) * int(percent) // 100) - 1)]


@contextmanager
def hurtable(directory: Path, timeout_ms: int = TIMEOUT_MS) -> Iterator[Place]:
    """Everything up and well."""
    with ExitStack() as stack:
        store = stack.enter_context(PrivateServer(appendonly=True))
        proxy = stack.enter_context(FaultProxy(store.socket_path))
        listener = stack.enter_context(listening())
        sites = {}
        for on_outage in OUTAGES:
            home = directory / on_outage
            home.mkdir()
            configured = configuration(
                listener,
                store.url,
                redis={"url": proxy.url, "timeout_ms": timeout_ms, "on_outage": on_outage},
                **_subjects(),
            )
            sites[on_outage] = Site(stack.enter_context(running(home, configured)), listener)
        yield Place(store, proxy, sites)


def of(on_outage: str) -> Customer:
    """The customer of that gateway, known by its configuration."""
    return Customer(f"on-{on_outage}", f"test-key-{on_outage}-abcdefgh")


def _subjects() -> dict[str, Any]:
    """The same for all gateways: what one's configuration does not name is disabled for the others, too."""
    customers = [of(on_outage) for on_outage in OUTAGES]
    keys = [
        {
            "id": f"key-{who.id}",
            "customer": who.id,
            "secret": f"sha256:{hashlib.sha256(who.secret.encode()).hexdigest()}",
        }
        for who in customers
    ]
    return {
        "customers": [{"id": who.id, "limits": {"usd_total": 1000}} for who in customers],
        "keys": [*keys, {"id": "test", "customer": "tester", "secret": "env:TEST_KEY"}],
    }


async def measured(place: Place, on_outage: str, *, waves: int, at_once: int = 4) -> Measured:
    """Ask for answers in waves, a little pause between them."""
    statuses: Counter[int] = Counter()
    latencies_ms: list[float] = []
    loop = asyncio.get_running_loop()

    async def one() -> None:
        began_s = loop.time()
        answer = await ask(place.sites[on_outage], of(on_outage))
        latencies_ms.append((loop.time() - began_s) * 1000)
        statuses[answer.status] += 1

    for _ in range(waves):
        await asyncio.gather(*(one() for _ in range(at_once)))
        await asyncio.sleep(PAUSE_S)
    return Measured(statuses, latencies_ms)


async def well(place: Place, within_s: float = 60) -> None:
    """Both gateways count again; asked for, since it is a request that finds out."""
    async with asyncio.timeout(within_s):
        for on_outage, site in place.sites.items():
            while True:
                answer = await ask(site, of(on_outage))
                if answer.status == 200 and [UP, *told(site)][-1] == UP:
                    break
                assert answer.status in (200, 503), (answer.status, answer.body)
                await asyncio.sleep(PAUSE_S)


def told(site: Site) -> list[str]:
    """The lines of the log about the store being away and back."""
    return [line["event"] for line in site.log() if line["event"] in (DOWN, UP)]


def command(store: PrivateServer, *words: str) -> str:
    """The first line of a reply.

    Raises:
        RuntimeError: it is an error.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        client.connect(str(store.socket_path))
        packed = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
        client.sendall(f"*{len(words)}\r\n{packed}".encode())
        line = client.makefile("rb").readline().decode().strip()
    if line.startswith("-"):
        raise RuntimeError(f"{words[0]}: {line}")
    return line


def _set(*words: str) -> Callable[[Place], None]:
    def act(place: Place) -> None:
        command(place.store, *words)

    return act


def _reset(*words: str) -> Callable[[Place], Awaitable[None]]:
    async def act(place: Place) -> None:
        command(place.store, *words)

    return act


async def _start(place: Place) -> None:
    place.store.start()


async def _resume(place: Place) -> None:
    place.store.resume()


async def _accept(place: Place) -> None:
    site = place.sites["closed"]
    await poll(lambda: any("headgate store accept" in str(line) for line in site.log()), 60)
    assert {"accepted": True} == await admin(site, "POST", "/store/accept")


def _delay(seconds: float) -> Callable[[Place], None]:
    def act(place: Place) -> None:
        place.proxy.delay_s = seconds

    return act


async def _in_time(place: Place) -> None:
    place.proxy.delay_s = 0.0


async def _connecting(place: Place) -> None:
    place.proxy.let_connect()


def _emptied(place: Place) -> None:
    command(place.store, "FLUSHALL")
    place.store.kill()
    place.store.start()


def faults(timeout_ms: int = TIMEOUT_MS) -> list[Fault]:
    """All of them, that which loses everything last."""
    late_s = timeout_ms / 1000
    return [
        Fault("down", "the server's process is gone", lambda place: place.store.kill(), _start),
        Fault("hung", "stopped: it accepts, and answers nothing", lambda place: place.store.pause(), _resume),
        # Well behind it: a busy gateway that sees both at once would take the answer.
        Fault("slow", "every answer comes after the time-out", _delay(1.5 * late_s), _in_time),
        Fault("sluggish", "answers take a fifth of the time-out", _delay(late_s / 10), _in_time, away=False),
        Fault(
            "reset",
            "every connection is reset",
            lambda place: place.proxy.reset_all(lasting=True),
            _connecting,
        ),
        Fault(
            "read-only",
            "the server has become a replica",
            _set("REPLICAOF", "127.0.0.1", "1"),
            _reset("REPLICAOF", "NO", "ONE"),
        ),
        Fault(
            "no replicas",
            "writes are refused for want of replicas",
            _set("CONFIG", "SET", "min-replicas-to-write", "1"),
            _reset("CONFIG", "SET", "min-replicas-to-write", "0"),
        ),
        Fault(
            "full",
            "the server is out of memory",
            _set("CONFIG", "SET", "maxmemory", "1"),
            _reset("CONFIG", "SET", "maxmemory", "0"),
        ),
        Fault("emptied", "restarted without its data", _emptied, _accept, accepted=True),
    ]


def names() -> list[str]:
    return [fault.name for fault in faults()]
