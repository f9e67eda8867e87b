"""What an answer costs: exact, rounded up once, never negative."""

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange.books.metering import cost_microusd
from proxy.routing.catalogue.types import Price

USD_PER_MILLION = 1_000_000  # pico-dollars per token

counts = st.integers(0, 10**7)
prices = st.integers(0, 10**9)


def cost(
    price: Price,
    input_tokens: int = 0,
    output_tokens: int = 0,
    cache_read_tokens: int = 0,
    cache_write_tokens: int = 0,
) -> int:
    return cost_microusd(
        price,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=cache_read_tokens,
        cache_write_tokens=cache_write_tokens,
    )


FULL = Price(
    input_picousd=USD_PER_MILLION // 4,
    output_picousd=2 * USD_PER_MILLION,
    cache_read_picousd=USD_PER_MILLION // 40,
    cache_write_picousd=USD_PER_MILLION // 2,
)
SIMPLE = Price(input_picousd=USD_PER_MILLION // 4, output_picousd=2 * USD_PER_MILLION)


@pytest.mark.parametrize(
    ("price", "tokens", "expected"),
    [
        (FULL, (0, 0, 0, 0), 0),
        (FULL, (1_000_000, 0, 0, 0), 250_000),
        (FULL, (0, 1_000_000, 0, 0), 2_000_000),
        (FULL, (1_000_000, 0, 1_000_000, 0), 25_000),
        (FULL, (1_000_000, 0, 0, 1_000_000), 500_000),
        (FULL, (100, 10, 40, 20), 41),  # 40 fresh: 10, 40 read: 1, 20 written: 10, 10 out: 20
        (FULL, (1, 0, 0, 0), 1),
        (FULL, (4, 0, 0, 0), 1),
        (FULL, (5, 0, 0, 0), 2),
        (FULL, (1, 1, 1, 0), 3),
        (SIMPLE, (100, 0, 100, 0), 25),
        (SIMPLE, (100, 0, 0, 100), 25),
        (Price(0, 0), (10**7, 10**7, 0, 0), 0),
    ],
)
def test_cost(price: Price, tokens: tuple[int, int, int, int], expected: int) -> None:
    """Each kind of token at its own price; a cache price that is unknown is that of fresh input."""
    assert expected == cost(price, *tokens)


def test_more_cached_than_prompt() -> None:
    """A provider that reports 161 cached tokens of 7 is charged for those 161, and nothing is given back."""
    assert ceil(Fraction(161, 40)) == cost(FULL, 7, 0, 161)


@given(
    st.builds(Price, prices, prices, st.none() | prices, st.none() | prices), counts, counts, counts, counts
)
def test_exact(price: Price, fresh: int, output: int, read: int, written: int) -> None:
    """The sum is that of fractions, rounded up once, for any prices and counts."""
    pico = 10**12
    read_price = price.input_picousd if price.cache_read_picousd is None else price.cache_read_picousd
    write_price = price.input_picousd if price.cache_write_picousd is None else price.cache_write_picousd
    usd = (
        Fraction(fresh * price.input_picousd, pico)
        + Fraction(output * price.output_picousd, pico)
        + Fraction(read * read_price, pico)
        + Fraction(written * write_price, pico)
    )
    assert ceil(usd * 10**6) == cost(price, fresh + read + written, output, read, written)
