"""Customers with limits, at one or several gateways on one store; what a limit counts is read from the outside."""

import asyncio
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from tests.support.gateway import ADMIN_KEY, PATIENT_MS, running
from tests.support.raw_client import Answer
from tests.support.scripted import DONE, WAIT_S, Exchange, Script, finish, listening, role, text, usage
from tests.support.site import Site, config, model, provider

ANSWER_TOKENS: Final = 200
"""The output limit that clients send."""
ENDLESS_TOKENS: Final = 10**12
"""An output limit that no budget has room for."""
MICRO: Final = 1_000_000


@dataclass(frozen=True)
class Customer:
    """A customer with one key, `secret`."""

    id: str
    secret: str


def configuration(listener: socket.socket, store_url: str, **sections: Any) -> dict[str, Any]:
    """Gateways that answer 503 while the store is away. A token costs a micro-dollar, whichever way it goes."""
    price = {"input": 1.0, "output": 1.0}
    usual = config(
        {"scripted": provider(listener)},
        [{**model("test-model", "scripted"), "price": price}],
        redis={"url": store_url, "timeout_ms": PATIENT_MS, "on_outage": "closed"},
    )
    return usual | sections


@contextmanager
def gateways(
    directory: Path,
    store_url: str,
    count: int,
    sections: Callable[[socket.socket], Mapping[str, Any]] = lambda _: {},
) -> Iterator[list[Site]]:
    """So many of them, on one store, with one scripted upstream; `sections` of the configuration know its socket."""
    with ExitStack() as stack:
        listener = stack.enter_context(listening())
        sites = []
        for number in range(count):
            home = directory / str(number)
            home.mkdir()
            configured = configuration(listener, store_url, **sections(listener))
            sites.append(Site(stack.enter_context(running(home, configured)), listener))
        yield sites


async def admin(site: Site, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """One call of the admin API that succeeds."""
    said = {"authorization": f"Bearer {ADMIN_KEY}"}
    async with site.client() as client:
        sent = None if body is None else orjson.dumps(body)
        await client.send(site.request(method, f"/admin/v1{path}", body=sent, headers=said))
        answer = await client.read_all(6 * WAIT_S)
    assert answer.status in (200, 201), (answer.status, answer.body)
    return answer.members


async def customer(
    site: Site,
    name: str,
    limits: Mapping[str, float],
    key_limits: Mapping[str, float] | None = None,
    models: Any = None,
) -> Customer:
    """Make a customer and its key; `models` are the key's."""
    await admin(site, "POST", "/customers", {"id": name, "limits": dict(limits)})
    key = await admin(
        site, "POST", "/keys", {"customer": name, "limits": dict(key_limits or {}), "models": models}
    )
    return Customer(name, key["key"])


def asked(site: Site, who: Customer, **members: Any) -> bytes:
    """The bytes of a chat request; all of one shape have one length."""
    body = {"max_tokens": ANSWER_TOKENS, **members}
    return site.chat(**body).replace(site.gateway.key.encode(), who.secret.encode())


async def ask(site: Site, who: Customer, *, within_s: float = 6 * WAIT_S, **members: Any) -> Answer:
    """One chat request and its whole answer."""
    async with site.client() as client:
        await client.send(asked(site, who, **members))
        return await client.read_all(within_s)


async def used(site: Site, who: Customer) -> float:
    """What is spent and held of the customer's limit for tokens or dollars: asked of it for an endless answer."""
    answer = await ask(site, who, max_tokens=ENDLESS_TOKENS)
    assert answer.status in (402, 429), (answer.status, answer.body)
    error = answer.members["error"]
    assert error["limit"].startswith(("usd_", "tokens_")), error
    return float(error["used"])


async def used_microusd(site: Site, who: Customer) -> int:
    """The same for a limit in dollars, in whole micro-dollars."""
    return round(await used(site, who) * MICRO)


def facts_microusd(sites: Sequence[Site], who: Customer) -> int:
    """What the customer was billed for, as the gateways logged it."""
    return sum(round(line.get("headgate.cost_usd", 0) * MICRO) for line in lines_of(sites, who))


def lines_of(sites: Sequence[Site], who: Customer) -> list[dict[str, Any]]:
    """The log lines of its requests."""
    return [line for site in sites for line in site.log() if line.get("headgate.customer_id") == who.id]


async def settled(sites: Sequence[Site], who: Customer, within_s: float = 6 * WAIT_S) -> int:
    """What is spent, in micro-dollars, once it is what was billed: nothing is held any more.

    Raises:
        TimeoutError: counters and facts stay apart.
    """
    async with asyncio.timeout(within_s):
        while True:
            spent = await used_microusd(sites[-1], who)
            if spent == facts_microusd(sites, who):
                return spent
            # No settlement is on a client's path, and nothing tells when it is through.
            await asyncio.sleep(0.05)


async def bound_microusd(site: Site, name: str) -> int:
    """What one request of `asked`'s shape holds: seen while one is under way."""
    probe = await customer(site, name, {"usd_total": 1000})

    async def held(exchange: Exchange) -> None:
        await exchange.closed.wait()

    async with site.upstream(held) as upstream:
        async with site.client() as client:
            await client.send(asked(site, probe))
            await upstream.exchange(within_s=6 * WAIT_S)
            bound = await used_microusd(site, probe)
        await upstream.exchanges[0].until_closed(6 * WAIT_S)
    return bound


def billed(prompt_tokens: int, output_tokens: int) -> Script:
    """A short answer for which the provider reports so much."""

    async def script(exchange: Exchange) -> None:
        answered = usage(prompt_tokens, output_tokens)
        await exchange.stream(role(), text("good"), finish(), answered, DONE)

    return script
