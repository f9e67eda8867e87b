"""The row of a request: everything it was billed, kind by kind, and what it was tagged with."""

import itertools
from typing import Any

import pytest

from providers.types import UpstreamError, Usage
from proxy.exchange.books.ledger_row import Figures, Group, group_of, members_of, row_of, tags_of, time_text
from proxy.exchange.books.record import Record
from proxy.exchange.errors import Refused
from proxy.routing.catalogue.types import Backend, Price
from proxy.routing.policy import NAMED, Attempt, Plan

PRICE = Price(1_000_000, 2_000_000)


def attempt(name: str, price: Price | None = PRICE) -> Attempt:
    return Attempt(Backend(f"{name}/m", name, "m", price), "public", None, ("named",))


def record(*attempts: Attempt) -> Record:
    clock = itertools.count(10.0)
    made = Record("req-1", arrived_s=9.0, key_id="k", customer_id="acme", clock=lambda: next(clock))
    made.asked, made.plan, made.tags = "public", Plan("balanced", NAMED, attempts), ("a", "b")
    return made


def over(made: Record, outcome: str = "ok", status: int = 200) -> Record:
    made.outcome, made.status, made.finished_s = outcome, status, 12.5
    return made


def test_failed_attempts_that_are_billed() -> None:
    """Tokens and dollars of all attempts are in the row, and each attempt's by itself."""
    first, second = attempt("first"), attempt("second")
    made = record(first, second)
    made.begin_try(first)
    made.fail_try(UpstreamError("timeout", "late", status=0), Usage(10, 5, estimated=True))
    made.begin_try(second)
    made.end_try("ok", status=200, usage=Usage(20, 7, 4, 2, 3))
    row = row_of(over(made), 1_767_225_600.0)
    assert Figures(1, 0, 30, 12, 4, 2, 3, 20 + 34, 1, 0) == row.figures
    assert Group("k", "public", "second/m", ("a", "b")) == group_of(row.group)
    shown = members_of(row.text, "acme", "5-0", 1_767_225_600_000)
    assert (30, 12, 0.000054, True, "balanced") == tuple(
        shown[name] for name in ("input_tokens", "output_tokens", "cost_usd", "estimated", "tier")
    )
    assert [("first/m", "timeout", 15, 0.00002), ("second/m", "ok", 27, 0.000034)] == [
        (each["backend"], each["outcome"], each["tokens"], each["cost_usd"]) for each in shown["attempts"]
    ]
    assert "2025-12-31T23:59:56.500Z" == shown["arrived_at"]


def test_no_price() -> None:
    """The cost is not known, and is not taken for nothing."""
    made = record(attempt("first", None))
    made.begin_try(attempt("first", None))
    made.end_try("ok", status=200, usage=Usage(1, 1))
    row = row_of(over(made), 0.0)
    assert (0, 1) == (row.figures[7], row.figures[9])
    assert members_of(row.text, "acme", "5-0", 0)["cost_usd"] is None


def test_no_attempt() -> None:
    """Let in, and over before anything was sent."""
    row = row_of(over(record(attempt("first")), "cancelled", 503), 0.0)
    assert (1, 1, 0) == row.figures[:3]
    shown = members_of(row.text, "acme", "5-0", 0)
    assert (None, None, [], 0.0) == tuple(
        shown[name] for name in ("model", "backend", "attempts", "cost_usd")
    )


@pytest.mark.parametrize(
    ("outcome", "errors"), [("ok", 0), ("client_gone", 0), ("timeout", 1), ("protocol", 1)]
)
def test_errors(outcome: str, errors: int) -> None:
    """A departure is none."""
    assert errors == row_of(over(record(attempt("a")), outcome), 0.0).figures[1]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, ("a",)),
        ({"headgate": {"tier": "balanced"}}, ("a",)),
        ({"headgate": {"tags": None}}, ("a",)),
        ({"headgate": {"tags": ["b", "a", "b"]}}, ("a", "b")),
        ({"headgate": "text"}, ("a",)),
    ],
)
def test_tags(members: dict[str, Any], expected: tuple[str, ...]) -> None:
    """Those of the subject first, each once."""
    assert expected == tags_of(("a",), members)


@pytest.mark.parametrize(
    "tags", ["a", [1], [""], ["two words"], ["ä"], ["x" * 65], [str(n) for n in range(9)]]
)
def test_bad_tags(tags: Any) -> None:
    """They are refused, and named."""
    with pytest.raises(Refused, match=r"headgate\.tags: must be a list of at most 8 words") as refused:
        tags_of((), {"headgate": {"tags": tags}})
    assert "headgate.tags" == refused.value.param


def test_times() -> None:
    """Whole milliseconds, before a second's end too."""
    assert "2026-01-01T00:00:00.999Z" == time_text(1_767_225_600_999)
