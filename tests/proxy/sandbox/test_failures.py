"""One grammar for model names and the header; what it does not know is refused, saying why."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.sandbox import failures
from proxy.sandbox.failures import FAILURES, PREFIX, Act, Failure
from proxy.sandbox.fields import RequestError
from proxy.sandbox.request import read
from tests.proxy.sandbox.asking import ask, body

DOCUMENT = Path(__file__).parents[3] / "docs" / "sandbox.md"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("429", Failure("429", Act.STATUS, told="429")),
        ("599", Failure("599", Act.STATUS, told="599")),
        ("503-retry-20", Failure("503-retry-20", Act.STATUS, told="503", retry_s=20)),
        (
            "429-retry-1-retryms-0",
            Failure("429-retry-1-retryms-0", Act.STATUS, told="429", retry_s=1, retry_ms=0),
        ),
        ("quota-retrydate-9", Failure("quota-retrydate-9", Act.STATUS, told="quota", retry_date_s=9)),
        ("context", Failure("context", Act.STATUS, told="context")),
        ("html", Failure("html", Act.PAGE, told="502")),
        ("html-as-504", Failure("html-as-504", Act.PAGE, told="504")),
        ("stall", Failure("stall", Act.STALL)),
        ("stall-after-headers", Failure("stall-after-headers", Act.STALL, after="headers")),
        ("close-after-0", Failure("close-after-0", Act.CLOSE, after=0)),
        ("reset-after-finish", Failure("reset-after-finish", Act.RESET, after="finish")),
        ("end", Failure("end", Act.END, after=3)),
        ("empty", Failure("empty", Act.END, after="headers")),
        ("done-after-2", Failure("done-after-2", Act.DONE, after=2)),
        ("error", Failure("error", Act.ERROR, after="headers")),
        ("error-as-429-after-3", Failure("error-as-429-after-3", Act.ERROR, told="429", after=3)),
        ("error-after-3-as-429", Failure("error-after-3-as-429", Act.ERROR, told="429", after=3)),
        ("mangled-after-1", Failure("mangled-after-1", Act.MANGLED, after=1)),
        ("garbage", Failure("garbage", Act.GARBAGE, after="headers")),
        ("slow", Failure("slow", Act.SLOW, wait_ms=5000)),
        ("slow-ms-3000", Failure("slow-ms-3000", Act.SLOW, wait_ms=3000)),
        ("comments-ms-70", Failure("comments-ms-70", Act.COMMENTS, wait_ms=70)),
        ("500-ms-0-times-2", Failure("500-ms-0-times-2", Act.STATUS, told="500", wait_ms=0, times=2)),
    ],
)
def test_a_name_says_what_happens(name: str, expected: Failure) -> None:
    """As a model and as a header alike, options in any order."""
    assert expected == failures.of_model(PREFIX + name)
    assert expected == failures.of_header(name)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "there is no failure ''; there are 400 to 599, 'quota'"),
        ("boom", "there is no failure 'boom'"),
        ("<status>", "there is no failure '<status>'"),
        ("399", "there is no failure '399'"),
        ("600", "there is no failure '600'"),
        ("0429", "there is no failure '0429'"),
        ("٤٢٩", "there is no failure '٤٢٩'"),
        ("429-retry", "'retry' has no value"),
        ("429-", "'' has no value"),
        ("429--1", "takes no option ''"),
        (
            "429-after-3",
            "'429' takes no option 'after'; it takes 'retry', 'retryms', 'retrydate', 'ms', 'times'",
        ),
        ("stall-retry-3", "'stall' takes no option 'retry'; it takes 'after', 'ms', 'times'"),
        ("empty-after-3", "takes no option 'after'"),
        ("429-retry-1-retry-2", "'retry' is given twice"),
        ("429-retry-soon", "'retry-soon' needs a whole number from 0 to 31536000"),
        ("429-retry-1.5", "'retry-1.5' needs a whole number"),
        ("429-retry-²", "needs a whole number"),
        ("429-retry-" + "9" * 5000, "needs a whole number"),
        ("429-retry-1-retrydate-1", "'retry' and 'retrydate' both set retry-after"),
        ("429-times-0", "'times-0' needs a whole number from 1"),
        ("slow-ms-600001", "'ms-600001' needs a whole number from 0 to 600000"),
        ("end-after-never", "'after-never' needs a whole number from 0 to 100000, 'headers' or 'finish'"),
        ("end-after-nothing", "'after-nothing' needs a whole number"),
        ("error-as-200", "'as-200' needs a status from 400 to 599, 'quota' or 'context'"),
    ],
)
def test_nonsense_is_refused_and_named(name: str, why: str) -> None:
    """404 for a model, 400 for a header, with the same words."""
    with pytest.raises(RequestError) as caught:
        failures.of_model(PREFIX + name)
    assert (404, "model", "model_not_found") == (caught.value.status, caught.value.param, caught.value.code)
    assert why in caught.value.message
    with pytest.raises(RequestError) as caught:
        failures.of_header(name)
    assert (400, "invalid_value") == (caught.value.status, caught.value.code)
    assert why in caught.value.message


@given(st.lists(st.sampled_from(["429", "stall", "after", "retry", "times", "3", "headers", "-", "x"])))
def test_any_name_is_a_failure_or_a_refusal(words: list[str]) -> None:
    """No other exception ever escapes."""
    name = "-".join(words)
    try:
        read_name = failures.of_header(name).name
    except RequestError:
        return
    assert name == read_name


@pytest.mark.parametrize("name", FAILURES)
def test_the_table_is_documented(name: str) -> None:
    """Each row stands in the document as it does in the code, and its example asks for it."""
    row = FAILURES[name]
    assert f"| `{name}` | {row.happens} | `{row.example}` |" in DOCUMENT.read_text().splitlines()
    assert row.act is failures.of_model(row.example).act


def test_the_model_wins_over_the_header() -> None:
    """A failing name fails its own way, even beside a header that makes no sense; other names heed the header."""
    assert read(body(model="sandbox-fail-503"), None, "nonsense").failure == failures.of_header("503")
    assert read(body(), None, "503").failure == failures.of_header("503")
    assert read(body(), None, None).failure is None


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"model": "sandbox-fail"}, "`sandbox-fail` does not exist"),
        ({"model": "sandbox-embed"}, "is not for this endpoint, which serves `sandbox-small`"),
    ],
)
def test_other_models_are_not_found(members: dict[str, Any], message: str) -> None:
    """The prefix alone is no failure, and an embedding model does not chat."""
    with pytest.raises(RequestError, match=message) as caught:
        ask(**members)
    assert (404, "model_not_found") == (caught.value.status, caught.value.code)
