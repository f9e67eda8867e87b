"""The measurement of the classification measures something."""

from tests.bench.classifying import figures


def test_a_figure_per_kind_and_size() -> None:
    """Each kind of text is judged at each size."""
    found = figures(sizes_chars=(50, 200), least_s=0.001)
    assert [2] * len(found) == [len(row) for row in found.values()]
    assert all(value > 0 for row in found.values() for value in row)
