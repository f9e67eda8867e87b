"""What a candidate must have: each test drops it with a reason, or leaves it."""

from collections.abc import Callable, Iterator
from datetime import date
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from proxy.routing.catalogue.cost import PICOUSD_PER_MICROUSD, cost_picousd
from proxy.routing.catalogue.types import Backend, Price
from proxy.routing.shelf import UNLIMITED, Row, Standing
from proxy.routing.snapshot import NOBODY, Snapshot
from proxy.routing.types import IMAGE_TOKENS, TAKES_ALL, Facts, Lacks
from proxy.routing.wishes import NONE, Wishes

NO_TRAINING: Final = frozenset({"no-train", "no-training", "no-retention", "zdr"})
"""Data policies that answer `data_collection: deny`."""

NO_RETENTION: Final = frozenset({"no-retention", "zdr"})
"""Data policies that answer `zdr`."""

_PICOUSD_PER_TOKEN: Final = 1_000_000
"""A dollar per million tokens, in pico-dollars per token."""
_PICOUSD: Final = 10**12

Why = Literal[
    "wish", "money", "unpriced", "no_key", "ended", "busy", "needs", "lacks", "context", "output", "residency"
]


class Drop(NamedTuple):
    """Why a candidate is none.

    Attributes:
        words: in an operator's words, following the backend's name.
        param: what of the request is in the way, by path.
    """

    why: Why
    words: str
    param: str = "model"


Check = Callable[[Row, Standing], Drop | None]

_NOTHING: Final = frozenset[str]()
_BUSY: Final = Drop(
    "busy", "keeps the rest of its limits for requests of higher priority", "headgate.priority"
)
_NO_KEY: Final = Drop("no_key", "has no provider key for this customer and tier")
_UNPRICED: Final = Drop("unpriced", "has no known price, so that a key with a limit in dollars cannot use it")
_POOR: Final = Drop("money", "may cost more than is left of a limit in dollars")

_ASKED_BY: Final = MappingProxyType(
    {
        "tools": "tools",
        "vision": "messages",
        "pdf": "messages",
        "audio_in": "messages",
        "json_schema": "response_format",
        "logprobs": "logprobs",
        "reasoning": "reasoning_effort",
    }
)
"""The member of a request that needs a word of `can`."""


def checks(
    facts: Facts,
    wishes: Wishes,
    snapshot: Snapshot,
    tier: str | None,
    known: frozenset[str],
    request_tokens: int,
    *,
    named: bool,
) -> list[Check]:
    """Those that this request needs beside the one of its size.

    Args:
        tier: of the plan, for candidates of a tier; `None` for a named model, or where one was asked for.
        known: names of all providers here, in lower case.
        request_tokens: of prompt and answer, as expected.
        named: the client itself named their model, not a tier that holds it.
    """
    found: list[Check] = []
    if facts.needs:
        found.append(_able(facts.needs, named=named))
    if facts.lacks is not TAKES_ALL:
        found.append(_taken(facts.lacks))
    if "low" in (facts.priority, wishes.priority):
        found.append(
            lambda _, standing: _BUSY if standing.scarce or request_tokens > standing.scarce_tokens else None
        )
    if facts.regions:
        abroad = Drop("residency", f"is not known to be in {listed(facts.regions)}, the customer's `regions`")
        found.append(lambda row, _: None if within(row.backend, facts.regions) else abroad)
    if wishes is not NONE:
        found += _of_wishes(facts, wishes, tier, known)
    if snapshot.barred is not NOBODY and (barred := snapshot.barred[tier or ""]):
        found.append(lambda row, _: _NO_KEY if row.backend.provider in barred else None)
    if snapshot.today is not None and not named:
        found.append(_ended(snapshot.today))
    if snapshot.dollars:
        found.append(lambda row, _: _UNPRICED if row.backend.price is None else None)
        if snapshot.spendable_microusd is not None:
            found.append(_costs(facts, snapshot.spendable_microusd, _POOR, unbounded_passes=True))
    return found


def too_small(row: Row, least_tokens: int) -> Drop:
    """What a request's size is too much for. `least_tokens`: of prompt and limit of the answer."""
    if least_tokens > row.context_tokens:
        return Drop("context", f"takes {row.context_tokens} tokens", "messages")
    return Drop("output", f"answers with at most {row.output_tokens} tokens", "max_tokens")


def _able(needs: frozenset[str], *, named: bool) -> Check:
    def check(row: Row, _: Standing) -> Drop | None:
        can = row.can
        if can is None:
            if named:
                return None
            can = _NOTHING
        if needs <= can:
            return None
        names = tuple(sorted(needs - can))
        return Drop("needs", f"is not known to have {listed(names)}", _ASKED_BY.get(names[0], "model"))

    return check


def _taken(lacks: Lacks) -> Check:
    def check(row: Row, _: Standing) -> Drop | None:
        names = lacks[row.backend_id]
        return Drop("lacks", f"does not take {listed(names)}", names[0]) if names else None

    return check


def _of_wishes(facts: Facts, wishes: Wishes, tier: str | None, known: frozenset[str]) -> Iterator[Check]:
    yield from _of_names(facts, wishes, tier, known)
    if wishes.quantizations:
        other = Drop("wish", "is not of `provider.quantizations`", "provider.quantizations")
        yield (
            lambda row, _: (
                None if (row.backend.quantization or "unknown").lower() in wishes.quantizations else other
            )
        )
    if wishes.regions:
        away = Drop("wish", "is not known to be in `headgate.region`", "headgate.region")
        yield lambda row, _: None if within(row.backend, wishes.regions) else away
    if wishes.no_training:
        yield _policy(NO_TRAINING, "provider.data_collection", "is not known not to train on prompts")
    if wishes.no_retention:
        yield _policy(NO_RETENTION, "provider.zdr", "is not known to retain nothing")
    if wishes.distillable:
        unsaid = Drop(
            "wish", "is not known to let its output be distilled", "provider.enforce_distillable_text"
        )
        yield lambda _row, _standing: unsaid
    if wishes.max_price:
        yield _max_price(facts, wishes)
    if wishes.require_parameters:
        yield lambda row, _: _left_out(facts, row)
    if wishes.max_cost_microusd is not None:
        dear = Drop("wish", "may cost more than `headgate.max_cost_usd`", "headgate.max_cost_usd")
        yield _costs(facts, wishes.max_cost_microusd, dear, unbounded_passes=False)


def _of_names(facts: Facts, wishes: Wishes, tier: str | None, known: frozenset[str]) -> Iterator[Check]:
    def only(names: tuple[str, ...], drop: Drop) -> Check:
        # Names that mean nothing here are for a provider that is sent them, and knows them.
        foreign = tier is None and not any(name in known or name.partition("/")[0] in known for name in names)

        def check(row: Row, _: Standing) -> Drop | None:
            if is_named(row.backend, names) or (foreign and row.backend.provider in facts.passed_on):
                return None
            return drop

        return check

    if wishes.only:
        yield only(wishes.only, Drop("wish", "is not in `provider.only`", "provider.only"))
    if wishes.ignore:
        ignored = Drop("wish", "is in `provider.ignore`", "provider.ignore")
        yield lambda row, _: ignored if is_named(row.backend, wishes.ignore) else None
    if wishes.order and not wishes.allow_fallbacks:
        words = "is not in `provider.order`, and no fallback is allowed"
        yield only(wishes.order, Drop("wish", words, "provider.order"))


def is_named(backend: Backend, names: tuple[str, ...]) -> bool:
    """Whether one of `names` is its provider or itself."""
    provider = backend.provider.lower()
    return provider in names or backend.id.lower() in names


def within(backend: Backend, regions: tuple[str, ...]) -> bool:
    """Whether it is known to be in one of `regions`, which are in lower case."""
    return (backend.region or "").lower() in regions


def _policy(words: frozenset[str], param: str, problem: str) -> Check:
    drop = Drop("wish", problem, param)
    return lambda row, _: None if (row.backend.data_policy or "").lower() in words else drop


def _ended(today: date) -> Check:
    def check(row: Row, _: Standing) -> Drop | None:
        day = row.model.deprecated_on
        return Drop("ended", f"had its last day on {day}") if day is not None and day < today else None

    return check


def _max_price(facts: Facts, wishes: Wishes) -> Check:
    most = dict(wishes.max_price)

    def check(row: Row, _: Standing) -> Drop | None:
        price = row.backend.price
        if price is None:
            return Drop(
                "wish", "has no known price to compare with `provider.max_price`", "provider.max_price"
            )
        per_request = price.per_request_picousd
        price = price_at(price, facts.prompt_tokens)
        heard = price.audio_input_picousd
        said = {
            "prompt": price.input_picousd / _PICOUSD_PER_TOKEN,
            "completion": price.output_picousd / _PICOUSD_PER_TOKEN,
            "audio": (price.input_picousd if heard is None else heard) / _PICOUSD_PER_TOKEN,
            "request": per_request / _PICOUSD,
            "image": 0.0,  # images are billed as tokens of the prompt
        }
        for name, limit in most.items():
            if said[name] > limit:
                param = f"provider.max_price.{name}"
                return Drop("wish", f"costs {said[name]:g}, more than `{param}`", param)
        return None

    return check


def price_at(price: Price, prompt_tokens: int) -> Price:
    """The step of a price that a prompt of this length pays."""
    return next((step.price for step in price.steps if prompt_tokens > step.above_context_tokens), price)


def _left_out(facts: Facts, row: Row) -> Drop | None:
    names = facts.drops[row.backend_id]
    if not names:
        return None
    return Drop("wish", f"would leave out {listed(names)}", "provider.require_parameters")


def _costs(facts: Facts, most_microusd: int, drop: Drop, *, unbounded_passes: bool) -> Check:
    """At most `most_microusd` for an attempt, whatever it comes to."""

    def check(row: Row, _: Standing) -> Drop | None:
        price = row.backend.price
        tokens = facts.most_prompt_tokens
        if tokens is not None and facts.images:
            tokens += facts.images * (row.model.max_image_tokens or IMAGE_TOKENS)
        if tokens is None or tokens > row.context_tokens:
            tokens = row.context_tokens  # a longer prompt is refused by the provider, and costs nothing
        if price is None or tokens == UNLIMITED:
            return None if unbounded_passes else drop
        answers = min(facts.most_output_tokens, facts.choices * row.output_tokens) + facts.predicted_tokens
        dearest = max(
            cost_picousd(price, input_tokens=tokens, output_tokens=answers, cache_write_tokens=written)
            for written in (0, tokens)
        )
        return drop if -(-dearest // PICOUSD_PER_MICROUSD) > most_microusd else None

    return check


def listed(names: tuple[str, ...]) -> str:
    """Members, as messages write them."""
    return ", ".join(f"`{name}`" for name in names)
