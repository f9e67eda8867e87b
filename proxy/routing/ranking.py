"""What orders candidates: one figure each, the smaller the better, from fixed scales alone.

A figure depends on its own candidate only, never on who else stands in the list. So a worse candidate beside it
changes nothing, and when the winner goes away the second takes its place.
"""

from collections.abc import Callable, Mapping
from math import inf, log
from types import MappingProxyType
from typing import Final

from proxy.routing.catalogue.cost import cost_picousd
from proxy.routing.catalogue.types import Weights
from proxy.routing.shelf import SPEED_REFERENCE_TOKENS_S, Grade, Row, Standing, hashed
from proxy.routing.snapshot import Warm
from proxy.routing.types import Facts
from proxy.routing.wishes import Ordering

PRICE_REFERENCE_PICOUSD: Final = 5_000_000_000
"""Half a cent: a request of this price gets half of what `score` gives for the price."""

UNMEASURED: Final = 50.0
"""The quality that `score` takes where nobody measured, of 100."""

WEIGHTS: Final = Weights(quality=0.6, cost=0.2, speed=0.1, availability=0.1)
"""Of `score`, where a tier names none."""

TOOLS: Final = "tools"
"""The domain that OpenRouter's `exacto` means."""

_MOST: Final = 2**64 - 1

Price = Callable[[Row], float]
"""What a request is expected to cost at a candidate, pico-dollars; infinite where no price is known."""

Rate = Callable[[Row, Standing, Grade], float]
_Making = Callable[[Price, Weights, str], Rate]


def price_of(facts: Facts, output_tokens: int, warm: Warm | None) -> Price:
    """The price of this request: its prompt as guessed, the answer as expected, and the prompt's warm part."""
    input_tokens = facts.prompt_tokens
    warm_id = None if warm is None else warm.backend_id

    def price(row: Row) -> float:
        flat = row.flat
        if flat is not None and row.backend_id != warm_id:
            return input_tokens * flat[0] + output_tokens * flat[1] + flat[2]
        if row.backend.price is None:
            return inf
        cached = (
            min(warm.cached_tokens, input_tokens) if warm is not None and row.backend_id == warm_id else 0
        )
        return cost_picousd(
            row.backend.price,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cache_read_tokens=cached,
        )

    return price


def score_of(weights: Weights, price: Price) -> Rate:
    """0 to the sum of the weights; more is better."""
    for_quality, for_cost = weights.quality / 100, weights.cost * PRICE_REFERENCE_PICOUSD
    for_speed, for_availability = weights.speed, weights.availability

    def score(row: Row, standing: Standing, grade: Grade) -> float:
        quality = grade.quality
        speed = standing.speed_tokens_s
        return (
            for_quality * (UNMEASURED if quality is None else quality)
            + for_cost / (PRICE_REFERENCE_PICOUSD + price(row))
            + for_speed * speed / (speed + SPEED_REFERENCE_TOKENS_S)
            + for_availability * standing.availability
        )

    return score


def _cheapest(price: Price, _weights: Weights, _request_id: str) -> Rate:
    """What an answer costs if every failed attempt costs as much as one: little saved is not worth many failures."""
    return lambda row, standing, _grade: price(row) / standing.availability


def _score(price: Price, weights: Weights, _request_id: str) -> Rate:
    score = score_of(weights, price)
    return lambda row, standing, grade: -score(row, standing, grade)


def _fastest(_price: Price, _weights: Weights, _request_id: str) -> Rate:
    return lambda _row, standing, _grade: standing.first_content_ms / standing.availability


def _throughput(_price: Price, _weights: Weights, _request_id: str) -> Rate:
    return lambda _row, standing, _grade: -standing.speed_tokens_s * standing.availability


def _order(_price: Price, _weights: Weights, _request_id: str) -> Rate:
    return lambda _row, _standing, _grade: 0.0


def _weighted(price: Price, weights: Weights, request_id: str) -> Rate:
    """Drawn without putting back, each by its score: the same request always draws the same."""
    score = score_of(weights, price)
    seed = hashed(request_id)

    def drawn(row: Row, standing: Standing, grade: Grade) -> float:
        # The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every bit of the seed and of the row counts.
        mixed = seed ^ row.lot
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MOST
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MOST
        chance = ((mixed ^ (mixed >> 31)) + 1) / (_MOST + 2)
        return -log(chance) / max(score(row, standing, grade), 1e-9)

    return drawn


def _least_busy(_price: Price, _weights: Weights, _request_id: str) -> Rate:
    return lambda _row, standing, _grade: standing.busy


def _quality(_price: Price, _weights: Weights, _request_id: str) -> Rate:
    def worse(row: Row, _standing: Standing, _grade: Grade) -> float:
        quality = row.model.quality_for(TOOLS, "other")
        return -(UNMEASURED if quality is None else quality)

    return worse


_RATES: Final[Mapping[Ordering, _Making]] = MappingProxyType(
    {
        "cheapest": _cheapest,
        "score": _score,
        "fastest": _fastest,
        "throughput": _throughput,
        "order": _order,
        "weighted": _weighted,
        "least_busy": _least_busy,
        "quality": _quality,
    }
)


def rate_by(ordering: Ordering, price: Price, weights: Weights, request_id: str) -> Rate:
    """The figure that an ordering goes by; the smaller the better. `weights`: of a score."""
    return _RATES[ordering](price, weights, request_id)
