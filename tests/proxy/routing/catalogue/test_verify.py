"""A catalogue against providers' lists and the calendar."""

from datetime import date

import pytest

from proxy.routing.catalogue.types import Backend, Catalogue, Model
from proxy.routing.catalogue.verify import Finding, verify

TODAY = date(2026, 11, 28)


def _catalogue(deprecated_on: date | None = None) -> Catalogue:
    backends = (Backend("a/m-1", "a", "m-1", None), Backend("b/x/m", "b", "x/m", None))
    return Catalogue({"m": Model("m", backends, deprecated_on=deprecated_on)}, {}, {}, {})


def test_all_is_well() -> None:
    """Nothing to say."""
    assert [] == list(verify(_catalogue(), {"a": frozenset({"m-1"}), "b": frozenset({"x/m", "y"})}, TODAY))


def test_a_model_that_is_gone() -> None:
    """A problem, with what comes near."""
    lists = {"a": frozenset({"m-2", "other"}), "b": frozenset({"x/m"})}
    expected = Finding("problem", "m", "a/m-1", "the provider does not list it; near: m-2")
    assert [expected] == list(verify(_catalogue(), lists, TODAY))


def test_who_has_no_list_and_who_does_not_answer() -> None:
    """The former is a note; the latter a problem, for nothing was verified."""
    found = list(verify(_catalogue(), {"a": None, "b": "it answered 401"}, TODAY))
    assert [("note", "a"), ("problem", "b")] == [(each.level, each.backend) for each in found]


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2026, 12, 29), []),
        (date(2026, 12, 28), ["ends on 2026-12-28, in 30 days"]),
        (date(2026, 11, 28), ["ends on 2026-11-28, in 0 days"]),
        (date(2026, 11, 27), ["ended on 2026-11-27, 1 days ago"]),
    ],
)
def test_notice(day: date, expected: list[str]) -> None:
    """From 30 days before."""
    found = list(verify(_catalogue(day), {}, TODAY))
    assert expected == [each.message for each in found]
    assert {"warning"} >= {each.level for each in found}
