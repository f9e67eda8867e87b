"""Figures of several processes are one set: counters and most gauges add up, a few take the smallest."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CONTENT_TYPE_LATEST

from proxy.telemetry.exposition import exposition
from proxy.telemetry.figures import CONTENT_TYPE, GAUGES, Family, counted, merged
from proxy.telemetry.metrics import Metrics


def counting(requests: int, *, store_up: bool = True) -> Metrics:
    metrics = Metrics()
    metrics.store_up = store_up
    for _ in range(requests):
        metrics.begun()
        metrics.request(
            model="m", provider="p", status=200, outcome="ok", seconds=0.2, first_content_seconds=0.1
        )
    return metrics


def value(families: list[Family], line: str) -> float:
    """The value of a line of the exposition."""
    (found,) = [each for each in exposition(families).decode().splitlines() if each.startswith(f"{line} ")]
    return float(found.split()[-1])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4))
def test_counters_add_up(counts: list[int]) -> None:
    whole = merged([counting(count).figures() for count in counts])
    if sum(counts):
        assert sum(counts) == value(
            whole, 'headgate_requests_total{model="m",outcome="ok",provider="p",status="200"}'
        )
        bucket = 'headgate_request_duration_seconds_bucket{le="0.25",model="m",provider="p"}'
        assert sum(counts) == value(whole, bucket)
    assert 0 == value(whole, "headgate_requests_in_flight")


def test_one_without_its_store_shows() -> None:
    whole = merged([counting(0).figures(), counting(0, store_up=False).figures()])
    assert 0 == value(whole, "headgate_store_up")


def test_every_gauge_has_its_rule() -> None:
    """A new one must say what several processes' values come to: a sum of shares, say, would mean nothing."""
    assert set(GAUGES) == {family.name for family in Metrics().figures() if family.kind == "gauge"}


def test_of_one_that_is_gone_only_counters_stay() -> None:
    metrics = counting(2)
    metrics.begun()
    kinds = {family.kind for family in counted(metrics.figures())}
    assert {"counter", "histogram"} == kinds
    whole = merged([counted(metrics.figures()), counting(1).figures()])
    assert 0 == value(whole, "headgate_requests_in_flight")
    assert 3 == value(whole, 'headgate_requests_total{model="m",outcome="ok",provider="p",status="200"}')


def test_one_process_alone_is_not_changed() -> None:
    metrics = counting(3)
    families = [family for family in metrics.figures() if family.name.startswith("headgate")]
    assert exposition(families) == exposition(merged([families]))


def test_what_it_is_served_as() -> None:
    """The content type is the one of the library that writes the exposition."""
    assert CONTENT_TYPE_LATEST == CONTENT_TYPE
