"""The measurement of a start measures one."""

from tests.bench.starting import COLD, COMMANDS, PHASES, SERVING, measure, report


def test_a_figure_per_phase() -> None:
    """Every phase, the start without bytecode and both commands are run, and a line tells of each."""
    costs = measure(rounds=1, config=None)
    assert {*PHASES, SERVING, COLD, *COMMANDS} == set(costs)
    assert all(cost.wall_s > 0 for found in costs.values() for cost in found)
    assert costs[SERVING][0].cpu_s > costs["interpreter"][0].cpu_s > 0
    assert len(report(costs)) == 1 + len(costs)
