"""What a candidate must have: each test names those it drops, and why. All of a list are tested at once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from proxy.routing.catalogue.cost import PICOUSD_PER_MICROUSD, cost_picousd
from proxy.routing.catalogue.types import Backend
from proxy.routing.shelf import Places, Row, Shelf
from proxy.routing.snapshot import NOBODY, Snapshot
from proxy.routing.standing import UNLIMITED, Standing
from proxy.routing.types import IMAGE_TOKENS, TAKES_ALL, Facts, Lacks
from proxy.routing.wishes import NONE, Wishes

NO_TRAINING: Final = frozenset({"no-train", "no-training", "no-retention", "zdr"})
"""Data policies that answer `data_collection: deny`."""

NO_RETENTION: Final = frozenset({"no-retention", "zdr"})
"""Data policies that answer `zdr`."""

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


Refused = tuple[Places, Drop]
"""Candidates, and the one reason against all of them."""

_BUSY: Final = Drop(
    "busy", "keeps the rest of its limits for requests of higher priority", "headgate.priority"
)
_NO_KEY: Final = Drop("no_key", "has no provider key for this customer and tier")
_UNPRICED: Final = Drop("unpriced", "has no known price, so that a key with a limit in dollars cannot use it")
_POOR: Final = Drop("money", "may cost more than is left of a limit in dollars")


def _unwished(param: str, words: str) -> Drop:
    return Drop("wish", words, param)


_NOT_ONLY: Final = _unwished("provider.only", "is not in `provider.only`")
_IGNORED: Final = _unwished("provider.ignore", "is in `provider.ignore`")
_NOT_ORDERED: Final = _unwished("provider.order", "is not in `provider.order`, and no fallback is allowed")
_QUANTIZED: Final = _unwished("provider.quantizations", "is not of `provider.quantizations`")
_AWAY: Final = _unwished("headgate.region", "is not known to be in `headgate.region`")
_TRAINS: Final = _unwished("provider.data_collection", "is not known not to train on prompts")
_RETAINS: Final = _unwished("provider.zdr", "is not known to retain nothing")
_UNSAID: Final = _unwished("provider.enforce_distillable_text", "is not known to let its output be distilled")
_INCOMPARABLE: Final = _unwished(
    "provider.max_price", "has no known price to compare with `provider.max_price`"
)
_DEAR: Final = _unwished("headgate.max_cost_usd", "may cost more than `headgate.max_cost_usd`")

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


def refusals(
    shelf: Shelf,
    standings: Sequence[Standing],
    facts: Facts,
    wishes: Wishes,
    snapshot: Snapshot,
    tier: str | None,
    known: frozenset[str],
    request_tokens: int,
) -> dict[int, Drop]:
    """By place those who are no candidates, each with the first reason against it.

    Args:
        standings: of the shelf.
        tier: of the plan, for candidates of a tier; `None` for a named model, or where one was asked for.
        known: names of all providers here, in lower case.
        request_tokens: of prompt and answer, as expected.
    """
    found: dict[int, Drop] = {}
    for places, drop in _of_shelf(shelf, facts, wishes, snapshot, tier, known):
        for place in places:
            found.setdefault(place, drop)
    left = [row for row in shelf.rows if row.place not in found] if found else shelf.rows
    for places, drop in _of_each(left, standings, facts, wishes, snapshot, request_tokens):
        for place in places:
            found.setdefault(place, drop)
    return found


def _of_shelf(
    shelf: Shelf, facts: Facts, wishes: Wishes, snapshot: Snapshot, tier: str | None, known: frozenset[str]
) -> Iterator[Refused]:
    """Tests that the shelf's own index answers, for many candidates at a time."""
    answer_tokens = facts.output_limit_tokens or 0
    least_tokens = facts.least_prompt_tokens + answer_tokens
    if least_tokens > shelf.context_tokens or answer_tokens > shelf.output_tokens:
        yield from _too_small(shelf, least_tokens, answer_tokens)
    if facts.needs:
        yield from _incapable(shelf, facts)
    if facts.regions:
        words = f"is not known to be in {listed(facts.regions)}, the customer's `regions`"
        yield shelf.places - _under(shelf.regions, facts.regions), Drop("residency", words)
    if wishes is not NONE:
        yield from _not_named(shelf, facts, wishes, tier, known)
        yield from _unlike(shelf, wishes)
        yield from _above_price(shelf, facts, wishes)
    if snapshot.barred is not NOBODY:
        for provider in snapshot.barred[tier or ""]:
            yield shelf.at.get(provider, ()), _NO_KEY
    if shelf.last_days:
        yield from _ended(shelf, snapshot)
    if snapshot.dollars:
        yield shelf.unpriced, _UNPRICED


def _of_each(
    left: Sequence[Row],
    standings: Sequence[Standing],
    facts: Facts,
    wishes: Wishes,
    snapshot: Snapshot,
    request_tokens: int,
) -> Iterator[Refused]:
    """Tests that look at each candidate that is left."""
    if facts.lacks is not TAKES_ALL:
        yield from _not_taken(left, facts.lacks)
    if "low" in (facts.priority, wishes.priority):
        yield from _kept_free(left, standings, request_tokens)
    if wishes.require_parameters:
        yield from _left_out(left, facts.drops)
    if wishes.max_cost_microusd is not None:
        yield from _too_dear(left, facts, wishes.max_cost_microusd, _DEAR, unbounded_passes=False)
    if snapshot.dollars and snapshot.spendable_microusd is not None:
        yield from _too_dear(left, facts, snapshot.spendable_microusd, _POOR, unbounded_passes=True)


def _too_small(shelf: Shelf, least_tokens: int, answer_tokens: int) -> Iterator[Refused]:
    for row in shelf.rows:
        if least_tokens > row.context_tokens:
            yield (row.place,), Drop("context", f"takes {row.context_tokens} tokens", "messages")
        elif answer_tokens > row.output_tokens:
            words = f"answers with at most {row.output_tokens} tokens"
            yield (row.place,), Drop("output", words, "max_tokens")


def _incapable(shelf: Shelf, facts: Facts) -> Iterator[Refused]:
    for place, missing in shelf.incapable(facts.needs).items():
        words = f"is not known to have {listed(missing)}"
        yield (place,), Drop("needs", words, _ASKED_BY.get(missing[0], "model"))


def _ended(shelf: Shelf, snapshot: Snapshot) -> Iterator[Refused]:
    today = snapshot.today
    if today is None or shelf.tier is None:  # whoever names a model gets it
        return
    for place, day in shelf.last_days:
        if day < today:
            yield (place,), Drop("ended", f"had its last day on {day}")


def _not_named(
    shelf: Shelf, facts: Facts, wishes: Wishes, tier: str | None, known: frozenset[str]
) -> Iterator[Refused]:
    def all_but(names: tuple[str, ...]) -> Places:
        allowed = _under(shelf.named, names)
        # Names that mean nothing here are for a provider that is sent them, and knows them.
        if tier is None and not any(name in known or name.partition("/")[0] in known for name in names):
            allowed |= _under(shelf.at, facts.passed_on)
        return shelf.places - allowed

    if wishes.only:
        yield all_but(wishes.only), _NOT_ONLY
    if wishes.ignore:
        yield _under(shelf.named, wishes.ignore), _IGNORED
    if wishes.order and not wishes.allow_fallbacks:
        yield all_but(wishes.order), _NOT_ORDERED


def _unlike(shelf: Shelf, wishes: Wishes) -> Iterator[Refused]:
    if wishes.quantizations:
        yield shelf.places - _under(shelf.quantizations, wishes.quantizations), _QUANTIZED
    if wishes.regions:
        yield shelf.places - _under(shelf.regions, wishes.regions), _AWAY
    if wishes.no_training:
        yield shelf.places - _under(shelf.data_policies, NO_TRAINING), _TRAINS
    if wishes.no_retention:
        yield shelf.places - _under(shelf.data_policies, NO_RETENTION), _RETAINS
    if wishes.distillable:
        yield shelf.places, _UNSAID


def within(backend: Backend, regions: tuple[str, ...]) -> bool:
    """Whether it is known to be in one of `regions`, which are in lower case."""
    return (backend.region or "").lower() in regions


def _under(index: Mapping[str, frozenset[int]], names: Iterable[str]) -> set[int]:
    """All that an index of the shelf has under one of `names`."""
    return set().union(*[index[name] for name in names if name in index])


def _above_price(shelf: Shelf, facts: Facts, wishes: Wishes) -> Iterator[Refused]:
    if not wishes.max_price:
        return
    yield shelf.unpriced, _INCOMPARABLE
    quotes = shelf.quotes(facts.prompt_tokens)
    for name, most in wishes.max_price:
        prices = quotes[name]
        if max(prices, default=0.0) <= most:  # the usual case, at C speed
            continue
        for place, price in enumerate(prices):
            if price > most:
                param = f"provider.max_price.{name}"
                yield (place,), _unwished(param, f"costs {price:g}, more than `{param}`")


def _not_taken(left: Sequence[Row], lacks: Lacks) -> Iterator[Refused]:
    for row in left:
        if names := lacks[row.backend_id]:
            yield (row.place,), Drop("lacks", f"does not take {listed(names)}", names[0])


def _left_out(left: Sequence[Row], drops: Lacks) -> Iterator[Refused]:
    for row in left:
        if names := drops[row.backend_id]:
            words = f"would leave out {listed(names)}"
            yield (row.place,), _unwished("provider.require_parameters", words)


def _kept_free(left: Sequence[Row], standings: Sequence[Standing], request_tokens: int) -> Iterator[Refused]:
    for row in left:
        standing = standings[row.place]
        if standing.scarce or request_tokens > standing.scarce_tokens:
            yield (row.place,), _BUSY


def _too_dear(
    left: Sequence[Row], facts: Facts, most_microusd: int, drop: Drop, *, unbounded_passes: bool
) -> Iterator[Refused]:
    """Those whose attempt may come to more than `most_microusd`."""
    for row in left:
        dearest_picousd = _dearest_picousd(row, facts)
        if dearest_picousd is None:
            if not unbounded_passes:
                yield (row.place,), drop
        elif -(-dearest_picousd // PICOUSD_PER_MICROUSD) > most_microusd:
            yield (row.place,), drop


def _dearest_picousd(row: Row, facts: Facts) -> int | None:
    """What an attempt comes to at most; `None` where nothing bounds it."""
    price = row.backend.price
    tokens = facts.most_prompt_tokens
    if tokens is not None and facts.images:
        tokens += facts.images * (row.model.max_image_tokens or IMAGE_TOKENS)
    if tokens is None or tokens > row.context_tokens:
        tokens = row.context_tokens  # a longer prompt is refused by the provider, and costs nothing
    if price is None or tokens == UNLIMITED:
        return None
    answers = min(facts.most_output_tokens, facts.choices * row.output_tokens) + facts.predicted_tokens
    return max(
        cost_picousd(price, input_tokens=tokens, output_tokens=answers, cache_write_tokens=written)
        for written in (0, tokens)
    )


def listed(names: tuple[str, ...]) -> str:
    """Members, as messages write them."""
    return ", ".join(f"`{name}`" for name in names)
