"""The measurement of the policy measures something."""

from typing import get_args

from proxy.routing.catalogue.types import Strategy
from tests.bench.planning import figures


def test_a_figure_per_strategy_and_number() -> None:
    """Every strategy, and wishes, at each number of candidates."""
    found = figures(candidates=(1, 3), least_s=0.001)
    assert [*get_args(Strategy), "with wishes"] == list(found)
    assert all(len(row) == 2 and min(row) > 0 for row in found.values())
