"""What a request costs: steps by the prompt's length, sound, an hour's cache, fees; exact to the pico-dollar."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange.books.metering import cost_microusd
from proxy.routing.catalogue.cost import cost_picousd
from proxy.routing.catalogue.load import price_of
from proxy.routing.catalogue.types import Price, Step
from proxy.settings.schema import Price as PriceSettings

LONG = Price(20, 150, 2, 25, 40)
PRICE = Price(10, 100, 1, 12, 20, 30, 300, 7, (Step(1000, Price(40, 200)), Step(200, LONG)))


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ({"input_tokens": 200, "output_tokens": 1}, 200 * 10 + 100 + 7),
        ({"input_tokens": 201, "output_tokens": 1}, 201 * 20 + 150 + 7),
        ({"input_tokens": 1000, "output_tokens": 1}, 1000 * 20 + 150 + 7),
        ({"input_tokens": 1001, "output_tokens": 1}, 1001 * 40 + 200 + 7),
        ({"input_tokens": 201, "output_tokens": 0, "cache_read_tokens": 201}, 201 * 2 + 7),
        ({"input_tokens": 1001, "output_tokens": 0, "cache_read_tokens": 1001}, 1001 * 40 + 7),
        ({"input_tokens": 100, "output_tokens": 0, "cache_write_1h_tokens": 60}, 40 * 10 + 60 * 20 + 7),
        ({"input_tokens": 100, "output_tokens": 0, "audio_input_tokens": 60}, 40 * 10 + 60 * 30 + 7),
        ({"input_tokens": 0, "output_tokens": 100, "audio_output_tokens": 60}, 40 * 100 + 60 * 300 + 7),
        ({"input_tokens": 1, "output_tokens": 0, "requests": 0}, 10),
        ({"input_tokens": 1, "output_tokens": 0, "requests": 3}, 10 + 3 * 7),
    ],
)
def test_cost(tokens: dict[str, int], expected: int) -> None:
    """The whole prompt decides the step and all of the request pays its price; parts have prices of their own."""
    assert expected == cost_picousd(PRICE, **tokens)


def test_what_has_no_price_of_its_own() -> None:
    """Sound and caches cost what ordinary tokens do; an hour's cache what a shorter one does."""
    plain = Price(10, 100)
    tokens: dict[str, Any] = {"input_tokens": 100, "output_tokens": 10}
    parts = {"cache_read_tokens": 10, "cache_write_tokens": 10, "cache_write_1h_tokens": 10}
    sound = {"audio_input_tokens": 10, "audio_output_tokens": 5}
    assert 2000 == cost_picousd(plain, **tokens, **parts, **sound)
    assert 10 * 12 == cost_picousd(
        Price(10, 100, None, 12), input_tokens=10, output_tokens=0, cache_write_1h_tokens=10
    )


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_rounded_up_once(prompt: int, answer: int, read: int) -> None:
    """Micro-dollars are the pico-dollars of the same request, rounded up."""
    counted: dict[str, int] = {
        "input_tokens": prompt,
        "output_tokens": answer,
        "cache_read_tokens": min(read, prompt),
        "cache_write_tokens": 0,
    }
    microusd = cost_microusd(PRICE, **counted)
    assert 0 <= microusd * 10**6 - cost_picousd(PRICE, **counted) < 10**6


def test_of_settings() -> None:
    """USD per million tokens become whole pico-dollars per token, and the longest step stands first."""
    settings = PriceSettings.model_validate(
        {
            "input": 0.1,
            "output": 0.003625,
            "per_request_usd": 0.005,
            "steps": [
                {"above_context_tokens": 100_000, "input": 0.5, "output": 2.5},
                {"above_context_tokens": 200_000, "input": 1, "output": 5, "cache_read": 0.1},
            ],
        }
    )
    expected = Price(
        100_000,
        3625,
        per_request_picousd=5_000_000_000,
        steps=(Step(200_000, Price(10**6, 5 * 10**6, 10**5)), Step(100_000, Price(500_000, 2_500_000))),
    )
    assert expected == price_of(settings)
    assert 5000 + 1 == cost_microusd(
        expected, input_tokens=1, output_tokens=0, cache_read_tokens=0, cache_write_tokens=0
    )
