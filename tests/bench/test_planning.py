"""The measurement of the policy measures something."""

from typing import get_args

from proxy.routing.catalogue.types import Strategy
from tests.bench.planning import figures


def test_a_figure_per_strategy_and_number() -> None:
    """Every strategy, without wishes and with them, at each number of candidates."""
    found = figures(candidates=(1, 3), least_s=0.001)
    strategies = get_args(Strategy)
    assert [*strategies, *(f"{name}, wishes" for name in strategies)] == list(found)
    assert all(len(row) == 2 and min(row) > 0 for row in found.values())
