"""What orders candidates: one figure each, the smaller the better, from fixed scales alone.

A figure depends on its own candidate only, never on who else stands in the list. So a worse candidate beside it
changes nothing, and when the winner goes away the second takes its place.
"""

from collections.abc import Callable, Mapping, Sequence
from math import inf, log2
from types import MappingProxyType
from typing import Final, NamedTuple

from proxy.routing.catalogue.cost import cost_picousd
from proxy.routing.catalogue.types import Weights
from proxy.routing.shelf import Grade, Row, hashed
from proxy.routing.snapshot import Warm
from proxy.routing.standing import Standing
from proxy.routing.types import Facts
from proxy.routing.wishes import Ordering

PRICE_REFERENCE_PICOUSD: Final = 5e9
"""Half a cent: a request of this price gets half of what `score` gives for the price."""

UNMEASURED: Final = 50.0
"""The quality that `score` takes where nobody measured, of 100."""

WEIGHTS: Final = Weights(quality=0.6, cost=0.2, speed=0.1, availability=0.1)
"""Of `score`, where a tier names none."""

TOOLS: Final = "tools"
"""The domain that OpenRouter's `exacto` means."""

_LOW_64: Final = 2**64 - 1
_PER_2_64: Final = 2.0**-64
_LEAST_SCORE: Final = 1e-9


class Field(NamedTuple):
    """Candidates of one line, and the request they are rated for.

    Attributes:
        rows, standings, grades: of the same candidates, in the same order.
        weights: of a score.
        output_tokens: of all answers, as expected.
    """

    rows: Sequence[Row]
    standings: Sequence[Standing]
    grades: Sequence[Grade]
    weights: Weights
    facts: Facts
    output_tokens: int
    warm: Warm | None


def prices_of(field: Field) -> list[float]:
    """What the request is expected to cost at each candidate, pico-dollars; infinite where no price is known.

    Its prompt as guessed, the answer as expected, and the prompt's warm part.
    """
    input_tokens, output_tokens = field.facts.prompt_tokens, field.output_tokens
    prompt, answer = float(input_tokens), float(output_tokens)
    prices = [
        prompt * (flat := row.flat)[0] + answer * flat[1] + flat[2]
        if input_tokens <= row.flat_tokens
        else _price(row, input_tokens, output_tokens, 0)
        for row in field.rows
    ]
    warm = field.warm
    if warm is not None:
        for number, row in enumerate(field.rows):
            if row.backend_id == warm.backend_id:
                prices[number] = _price(row, input_tokens, output_tokens, warm.cached_tokens)
    return prices


def _price(row: Row, input_tokens: int, output_tokens: int, cached_tokens: int) -> float:
    price = row.backend.price
    if price is None:
        return inf
    return cost_picousd(
        price,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=min(cached_tokens, input_tokens),
    )


def scores_of(field: Field) -> list[float]:
    """Of each candidate 0 to the sum of the weights; more is better."""
    weights = field.weights
    for_quality, for_cost = weights.quality / 100, weights.cost * PRICE_REFERENCE_PICOUSD
    for_speed, for_availability = weights.speed, weights.availability
    return [
        for_quality * (UNMEASURED if grade.quality is None else grade.quality)
        + for_cost / (PRICE_REFERENCE_PICOUSD + price)
        + for_speed * standing.speed_share
        + for_availability * standing.availability
        for price, standing, grade in zip(prices_of(field), field.standings, field.grades, strict=True)
    ]


def _cheapest(field: Field) -> list[float]:
    """What an answer costs if every failed attempt costs as much as one: little saved is not worth many failures."""
    prices = prices_of(field)
    return [price / standing.availability for price, standing in zip(prices, field.standings, strict=True)]


def _score(field: Field) -> list[float]:
    return [-score for score in scores_of(field)]


def _fastest(field: Field) -> list[float]:
    return [standing.first_content_ms / standing.availability for standing in field.standings]


def _throughput(field: Field) -> list[float]:
    return [-standing.speed_tokens_s * standing.availability for standing in field.standings]


def _order(field: Field) -> list[float]:
    return [0.0] * len(field.rows)


def _weighted(field: Field) -> list[float]:
    """Drawn without putting back, each by its score: the same request always draws the same.

    Who waits for the shortest time comes first, where times are exponential with the score as their rate. The chance
    is the lower 64 bits of the request's number times the candidate's own, both of them odd: never 0, and over all
    requests each value is as likely as any other (multiplicative hashing; Knuth, volume 3, 6.4).
    """
    seed = hashed(field.facts.request_id) | 1
    return [
        -log2((seed * row.lot & _LOW_64) * _PER_2_64) / (score + _LEAST_SCORE)
        for row, score in zip(field.rows, scores_of(field), strict=True)
    ]


def _least_busy(field: Field) -> list[float]:
    return [standing.busy for standing in field.standings]


def _quality(field: Field) -> list[float]:
    qualities = [row.model.quality_for(TOOLS, "other") for row in field.rows]
    return [-(UNMEASURED if quality is None else quality) for quality in qualities]


_RATES: Final[Mapping[Ordering, Callable[[Field], list[float]]]] = MappingProxyType(
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


def rates_by(ordering: Ordering, field: Field) -> list[float]:
    """Of each candidate the figure that an ordering goes by; the smaller the better."""
    return _RATES[ordering](field)
