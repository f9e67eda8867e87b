"""Near its budget a customer goes down one tier where its rule says so, and the answer tells it.

Promises: with `lower` a request for `premium` is answered by `balanced`, with `keep` it is not; what others have spent
is learned from the next admission; a raised limit takes it back; a budget that has no room for a dear plan is spent on
a cheaper one before it refuses, and never exceeded.
"""

import asyncio
import socket
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import pytest

from tests.support.limited import MICRO, Customer, admin, ask, billed, customer, gateways, settled
from tests.support.raw_client import Answer
from tests.support.site import Site, model, provider
from tests.support.valkey import PrivateServer

PROMPT_TOKENS: Final = 400
OUTPUT_TOKENS: Final = 100
LARGE_MICROUSD: Final = 10 * (PROMPT_TOKENS + OUTPUT_TOKENS)
"""Of an answer of the premium tier."""
MIDDLE_MICROUSD: Final = PROMPT_TOKENS + OUTPUT_TOKENS

usual: Final = billed(PROMPT_TOKENS, OUTPUT_TOKENS)


def sections(listener: socket.socket) -> dict[str, Any]:
    """Each tier is ten times as dear as the one below; `both` has a dear model first."""

    def priced(name: str, usd: float) -> dict[str, Any]:
        return {**model(name, "scripted"), "price": {"input": usd, "output": usd}}

    return {
        "providers": {"scripted": provider(listener)},
        "models": [
            priced("test-model", 1),
            priced("small", 0.1),
            priced("middle", 1),
            priced("large", 10),
        ],
        "tiers": {
            "frugal": {"models": ["small"]},
            "balanced": {"models": ["middle"]},
            "premium": {"models": ["large"]},
            "both": {"models": ["large", "middle"], "strategy": "order"},
        },
        "routing": {
            "modes": {
                "balanced": ["frugal", "balanced", "premium"],
                "premium": ["premium"] * 3,
                "both": ["both"] * 3,
            }
        },
    }


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Site]]:
    """The last one is only asked what is settled, so that the others learn nothing by it."""
    home = tmp_path_factory.mktemp("soft")
    with PrivateServer() as store, gateways(home, store.url, 3, sections) as sites:
        yield sites


class Told(NamedTuple):
    """What an answer says of its tier: headers first, then the `headgate` block."""

    tier: str
    lowered: str | None
    block_tier: str
    model: str
    lowered_from: str | None


def told(answer: Answer) -> Told:
    assert 200 == answer.status, answer.body
    block = next(chunk["headgate"] for chunk in reversed(answer.chunks) if "headgate" in chunk)
    return Told(
        answer.headers["x-headgate-tier"],
        answer.headers.get("x-headgate-tier-lowered"),
        block["tier"],
        block["model"],
        block["routing"]["lowered_from"],
    )


PREMIUM: Final = Told("premium", None, "premium", "large", None)
LOWERED: Final = Told("balanced", "premium", "balanced", "middle", "premium")


async def made(place: Site, name: str, limits: Mapping[str, float], rule: str = "lower") -> Customer:
    who = await customer(place, name, limits)
    changed = await admin(place, "PATCH", f"/customers/{name}", {"on_soft_limit": rule})
    assert rule == changed["on_soft_limit"]
    return who


async def ask_premium(place: Site, who: Customer) -> Told:
    return told(await ask(place, who, model="premium"))


async def test_lowered_and_raised_again(places: list[Site]) -> None:
    """The request that reaches the soft limit lowers the next one; another gateway learns it by its own next
    admission; a higher limit ends it."""
    here, elsewhere, last = places
    who = await made(here, "lowers", {"usd_total": 0.05})
    async with here.upstream(billed(3900, 100)):
        assert PREMIUM == await ask_premium(here, who)  # 80 % of it
    async with here.upstream(usual):
        lowered = await ask(here, who, model="premium")
        assert LOWERED == told(lowered)
        block = next(chunk["headgate"] for chunk in reversed(lowered.chunks) if "headgate" in chunk)
        assert "soft limit" in block["routing"]["because"]
        # A model by its name is what was asked for.
        assert "x-headgate-tier-lowered" not in (await ask(here, who, model="middle")).headers
        assert 40_000 + 2 * MIDDLE_MICROUSD == await settled([here, last], who)
        assert PREMIUM == await ask_premium(elsewhere, who)
        assert LOWERED == await ask_premium(elsewhere, who)
    async with here.upstream(billed(1, 1)):
        assert LOWERED == await ask_premium(here, who)
        await admin(here, "PATCH", "/customers/lowers", {"limits": {"usd_total": 1}})
        for place in (here, elsewhere):
            for _ in range(100):  # a changed customer takes effect within two seconds
                if await ask_premium(place, who) == PREMIUM:
                    break
                await asyncio.sleep(0.2)
            else:
                raise AssertionError("a raised limit did not take the tier back")


async def test_kept(places: list[Site]) -> None:
    """With `keep` the tier stays, until the limit itself refuses."""
    here, _, last = places
    who = await made(here, "keeps", {"usd_total": 4.4 * LARGE_MICROUSD / MICRO}, "keep")
    async with here.upstream(usual):
        for _ in range(3):
            assert PREMIUM == await ask_premium(here, who)
        await settled([here, last], who)
        fourth = await ask(here, who, model="premium")
        assert PREMIUM == told(fourth)
        assert "x-headgate-soft-limit" in fourth.headers
        await settled([here, last], who)
        refused = await ask(here, who, model="premium")
    assert (402, "budget_exceeded") == (refused.status, refused.members["error"]["code"])


async def test_tokens(places: list[Site]) -> None:
    """A quota of tokens has a soft limit as well."""
    here, _, _ = places
    who = await made(here, "counts-tokens", {"tokens_per_month": 10_000})
    async with here.upstream(billed(7990, 10)):
        assert PREMIUM == await ask_premium(here, who)
        assert LOWERED == await ask_premium(here, who)


@pytest.mark.parametrize("rule", ["keep", "lower"])
async def test_what_is_left_is_spent(places: list[Site], rule: str) -> None:
    """Where a budget has no room for the dearest of a plan, its cheaper backends serve, whatever the rule; with `lower`
    a cheaper tier serves, too. Nothing is spent beyond the limit."""
    here, _, last = places
    budget_microusd = LARGE_MICROUSD // 2
    who = await made(here, f"spends-{rule}", {"usd_total": budget_microusd / MICRO}, rule)
    async with here.upstream(usual):
        first = await ask(here, who, model="both")
        assert ("both", None, "both", "middle", None) == told(first)
        second = await ask(here, who, model="premium")
        if rule == "lower":
            assert LOWERED == told(second)
        else:
            assert 402 == second.status
        served = 1 + (rule == "lower")
        assert served * MIDDLE_MICROUSD == await settled([here, last], who)
        answers = [await ask(here, who, model="both") for _ in range(8)]
        assert 402 == answers[-1].status
        assert await settled([here, last], who) <= budget_microusd
