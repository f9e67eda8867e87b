"""Measures on arrays whose answers are plain."""

import numpy as np
import pytest

from classifiers.fitting import measures

CHEAP = np.array([0.0, 1.0, 0.0, 1.0])
DEAR = np.array([1.0, 1.0, 0.0, 1.0])


def test_the_best_order_recovers_the_gap_at_once() -> None:
    """Only the first request gains; an order that puts it first recovers all with one call in four."""
    assert measures.apgr(np.array([9, 1, 2, 3]), CHEAP, DEAR) == pytest.approx(0.8)
    assert measures.calls_for(0.8, np.array([9, 1, 2, 3]), CHEAP, DEAR) == 0.25


def test_no_order_is_a_random_one() -> None:
    """Equal scores share their gains: exactly what chance recovers, whatever the order of the rows."""
    assert measures.apgr(np.zeros(4), CHEAP, DEAR) == pytest.approx(0.5)


def test_the_cost_of_the_dear_models_quality() -> None:
    """With the best order one dear call suffices."""
    costs = (np.full(4, 1.0), np.full(4, 10.0))
    assert measures.cost_at(1.0, np.array([9, 1, 2, 3]), CHEAP, DEAR, costs) == pytest.approx(13 / 40)


def test_verdicts_without_information_have_no_lift() -> None:
    """Constant verdicts lift nothing; true ones do."""
    truth = np.array([0, 0, 1, 2] * 50)
    assert measures.lift(np.ones(200), truth) == pytest.approx(0.0)
    assert measures.lift(truth, truth) > 0.2


def test_calibration_error_is_the_mean_distance() -> None:
    """Said .9, found .5: off by .4."""
    assert measures.calibration_error(np.full(10, 0.9), np.array([1.0, 0.0] * 5)) == pytest.approx(0.4)
    assert measures.calibration_error(np.full(10, 0.5), np.array([1.0, 0.0] * 5)) == pytest.approx(0.0)


def test_intervals_hold_what_they_measure() -> None:
    """Bootstrap and Wilson intervals enclose the measured value and narrow with more rows."""
    values = np.array([0.0, 1.0] * 100)
    low, high = measures.interval(lambda at: float(values[at].mean()), 200)
    assert low < 0.5 < high
    narrow, wide = measures.share_interval(500, 1000), measures.share_interval(5, 10)
    assert narrow[1] - narrow[0] < wide[1] - wide[0]
    assert measures.share_interval(0, 0) == (0.0, 1.0)


def test_precision_and_recall() -> None:
    """Counted per label; a label nobody named has neither."""
    said, truth = ["a", "a", "b"], ["a", "b", "b"]
    assert measures.precision_recall(said, truth, "a") == (0.5, 1.0, 1)
    assert measures.precision_recall(said, truth, "c") == (0.0, 0.0, 0)
    assert measures.f1(0.5, 1.0) == pytest.approx(2 / 3)
