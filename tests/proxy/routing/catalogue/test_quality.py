"""From rows to points: distances from the yardstick's mean, other scales tied to it, nothing without a row."""

import pytest

from proxy.routing.catalogue.benchmarks import Population, Snapshot
from proxy.routing.catalogue.quality import AREAS, MIN_PAIRS, SCALE, TASKS, Measured, measure

POPULATIONS = {
    yardstick: Population(yardstick, 100, 50.0, 10.0)
    for area in AREAS.values()
    for yardstick in area.yardsticks
}


def _measured(**scores: dict[str, float]) -> Measured:
    return measure(Snapshot(scores, POPULATIONS, ()), frozenset(scores))


def _all(score: float) -> dict[str, float]:
    return dict.fromkeys(POPULATIONS, score)


@pytest.mark.parametrize(
    ("score", "points"), [(50.0, 65), (60.0, 80), (40.0, 50), (-1000.0, 0), (1000.0, 100)]
)
def test_the_scale_is_fixed(score: float, points: int) -> None:
    """The yardstick's mean is 65 points, a deviation is 15, and no figure leaves 0 to 100."""
    quality = _measured(m=_all(score)).quality["m"]
    assert dict.fromkeys((*TASKS, *AREAS), points) == quality


def test_another_model_changes_nobodys_points() -> None:
    """The population is the benchmark's, not the catalogue's."""
    alone = _measured(m=_all(57.0)).quality["m"]
    assert alone == _measured(m=_all(57.0), n=_all(99.0)).quality["m"]


def test_a_model_that_nobody_measured_has_no_figure() -> None:
    """Not 0, and not the mean."""
    assert {} == _measured(m={}).quality


def test_what_is_known_stands_for_the_rest_if_it_is_half_of_it() -> None:
    """`code` alone is half of a review and 0.7 of a generation, but a fifth of all."""
    known = {"livebench:Coding": 60.0, "livebench:Agentic Coding": 60.0}
    quality = _measured(m=known).quality["m"]
    assert {"code_review", "debugging", "generation", "code", "tools"} == set(quality)
    assert {80} == set(quality.values())


def test_one_of_two_yardsticks_is_none() -> None:
    """Half of an area's yardstick would be another scale."""
    assert {"tools"} == set(_measured(m={"livebench:Agentic Coding": 60.0}).quality["m"])


def _tied(pairs: int) -> Measured:
    """`arena_code` is 1400 plus five for each of a yardstick's points; `only` has nothing else."""
    scores = {
        f"r{number}": {
            "livebench:Coding": 40.0 + number,
            "livebench:Agentic Coding": 40.0 + number,
            "arena_code": 1400.0 + 5 * (40.0 + number),
        }
        for number in range(pairs)
    }
    scores["only"] = {"arena_code": 1400.0 + 5 * 60.0}
    return measure(Snapshot(scores, POPULATIONS, ()), frozenset({"only"}))


def test_scales_are_tied_by_what_both_measured() -> None:
    """A benchmark that says the same in other units gives the same points, wherever its own mean lies."""
    measured = _tied(MIN_PAIRS)
    assert 80 == measured.quality["only"]["code"]
    assert MIN_PAIRS == measured.ties["code", "arena_code"].pairs


def test_few_models_in_common_tie_nothing() -> None:
    """One fewer, and the benchmark is left out."""
    assert {} == _tied(MIN_PAIRS - 1).quality


def test_the_tables_hold_together() -> None:
    """Yardsticks are of the scale, and shares of a kind of task are of known areas and make a whole."""
    assert {SCALE} == {each.partition(":")[0] for area in AREAS.values() for each in area.yardsticks}
    for shares in TASKS.values():
        assert set(shares) <= set(AREAS)
        assert 1.0 == pytest.approx(sum(shares.values()))
