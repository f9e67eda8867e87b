"""The failover table: every failure the sandbox knows, before a healthy backend, on both of two, and on a lone one.

The `openai` package asks a real gateway. `pytest -s` prints what each failure adds to the wait for an answer.
"""

import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson
import pytest

from proxy.sandbox.failures import FAILURES, PREFIX, STATUS
from proxy.sandbox.provider_errors import ERRORS, find
from tests.support.asking import WAYS, Ask, Seen, ask_all, bodies_of, sandbox_model
from tests.support.gateway import NO_CIRCUITS, running

FIRST_BYTE_S: Final = 1.0
STALL_S: Final = 1.3
FIRST_CONTENT_S: Final = 1.8
TOTAL_S: Final = 2.6
TAIL_S: Final = 0.5
DEADLINE_S: Final = 5.0
SLACK_S: Final = 2.0  # of a busy machine, on top of a time-out
AT_ONCE_S: Final = 1.0  # what moving on may add at most; a few milliseconds is usual
HEALTHY_EVERY: Final = 20  # requests: what is usual is measured in between
STATUS_OF: Final = {
    "bad_request": 400, "auth": 502, "rate_limited": 429, "overloaded": 503, "unreachable": 502, "timeout": 504,
    "protocol": 502,
}  # fmt: skip


class Fails(NamedTuple):
    """It fails before any content: the next backend is asked, unless the request itself is at fault.

    Attributes:
        status: the provider's; 0 where its answer states none.
        bound_s: the time-out that ends it; 0 when it fails at once.
        again: a lone backend is asked once more.
        retry_after: what a client is told when all fail so; one of these.
    """

    kind: str
    status: int = 0
    bound_s: float = 0.0
    again: bool = True
    retry_after: tuple[str | None, ...] = (None,)


class Breaks(NamedTuple):
    """It fails after content has gone out. `raises` is what the package makes of it."""

    kind: str
    raises: str = "APIError"


class Answers(NamedTuple):
    """It is no failure: this backend's answer is the client's, after `at_least_s`."""

    at_least_s: float = 0.0


Expected = Fails | Breaks | Answers


def given_back(status: int) -> Fails:
    """The client's own mistake."""
    return Fails("bad_request", status, again=False)


def auth(status: int) -> Fails:
    """The gateway's mistake: its key, its account, its catalogue."""
    return Fails("auth", status, again=False)


def limited(*retry_after: str | None, status: int = 429, again: bool = False) -> Fails:
    """A rate limit that no second try on the same backend can mend in time, unless `again`."""
    return Fails("rate_limited", status, again=again, retry_after=retry_after or (None,))


PROTOCOL: Final = Fails("protocol")
UNREACHABLE: Final = Fails("unreachable")
SILENT: Final = Fails("timeout", bound_s=TOTAL_S)
FIRST_BYTE: Final = Fails("timeout", bound_s=FIRST_BYTE_S)

# Failure -> how it goes, streamed and plain alike.
_ALIKE: Final[dict[str, Fails]] = {
    **{str(status): given_back(status) for status in (400, 413, 415, 418, 422)},
    **{str(status): auth(status) for status in (401, 402, 403, 404, 410)},
    **{str(status): Fails("overloaded", status) for status in (409, 424, 425, 498, 500, 503, 520, 529, 599)},
    **{str(status): Fails("timeout", status) for status in (408, 504, 524)},
    **{str(status): Fails("unreachable", status) for status in (502, 522)},
    "429": limited(again=True),
    "429-retry-0": limited("1", again=True),
    "429-retry-20": limited("20"),
    "429-retryms-300": limited("1", again=True),
    "429-retrydate-30": limited("29", "30"),
    "429-retry-20-retryms-500": limited("20"),
    "503-retry-20": Fails("overloaded", 503, again=False),
    "503-retryms-100": Fails("overloaded", 503),
    "529-retrydate-30": Fails("overloaded", 529, again=False),
    "quota": limited(),
    "quota-retry-20": limited("20"),
    "quota-retryms-300": limited("1"),
    "quota-retrydate-30": limited("29", "30"),
    "context": given_back(400),
    "context-retry-20-retryms-300": given_back(400),
    "context-retrydate-30": given_back(400),
    "html": Fails("unreachable", 502),
    "html-retry-20": Fails("unreachable", 502, again=False),
    "html-retryms-100": Fails("unreachable", 502),
    "html-retrydate-30": Fails("unreachable", 502, again=False),
    "html-as-400": given_back(400),
    "html-as-401": auth(401),
    "html-as-429-retry-20": limited("20"),
    "html-as-504": Fails("timeout", 504),
    "close": UNREACHABLE,
    "reset": UNREACHABLE,
    **{f"{what}-after-{where}": PROTOCOL for what in ("close", "reset", "end") for where in ("headers", 0)},
    "empty": PROTOCOL,
    **{name: PROTOCOL for what in ("done", "mangled", "garbage") for name in (what, f"{what}-after-0")},
    "error": Fails("overloaded"),
    "error-after-0": Fails("overloaded"),
    "error-as-503": Fails("overloaded"),
    "error-as-529-after-0": Fails("overloaded"),
    "error-as-400": given_back(0),
    "error-as-context": given_back(0),
    "error-as-401": auth(0),
    "error-as-404": auth(0),
    "error-as-429": limited(status=0, again=True),
    "error-as-quota": limited(status=0),
}
# Failure -> how it goes streamed, and how plain.
TABLE: Final[dict[str, tuple[Expected, Expected]]] = {
    **{name: (fails, fails) for name, fails in _ALIKE.items()},
    "stall": (FIRST_BYTE, SILENT),
    "stall-after-headers": (FIRST_BYTE, SILENT),
    "stall-after-0": (Fails("timeout", bound_s=STALL_S), SILENT),
    "stall-after-3": (Breaks("timeout"), SILENT),
    "stall-after-finish": (Answers(), SILENT),
    "close-after-3": (Breaks("protocol"), PROTOCOL),
    "close-after-finish": (Answers(), PROTOCOL),
    "reset-after-3": (Breaks("protocol"), PROTOCOL),
    "reset-after-finish": (Answers(), PROTOCOL),
    "end": (Breaks("protocol"), PROTOCOL),
    "end-after-finish": (Answers(), Answers()),
    "done-after-3": (Breaks("protocol"), PROTOCOL),
    "done-after-finish": (Answers(), PROTOCOL),
    "error-after-3": (Breaks("overloaded"), Fails("overloaded")),
    "error-as-429-after-3": (Breaks("rate_limited"), limited(status=0, again=True)),
    "error-after-finish": (Breaks("overloaded"), Fails("overloaded")),
    # Behind content nonsense travels on, and the package throws at it; our frame follows.
    "mangled-after-3": (Breaks("protocol", "JSONDecodeError"), PROTOCOL),
    "garbage-after-3": (Breaks("protocol", "UnicodeDecodeError"), PROTOCOL),
    "slow": (FIRST_BYTE, SILENT),
    "slow-ms-100": (Answers(0.1), Answers(0.1)),
    "comments": (Fails("timeout", bound_s=FIRST_CONTENT_S), SILENT),
    "comments-ms-600": (Answers(0.6), Answers(0.6)),
}


def expected_of(way: str, name: str) -> Expected:
    """An embedding goes as a plain answer does."""
    return TABLE[name][way != "streamed"]


def waits(way: str, name: str) -> bool:
    """Whether a time-out ends it."""
    expected = expected_of(way, name)
    return isinstance(expected, Fails) and expected.bound_s > 0


CASES: Final = [(way, name) for name in TABLE for way in WAYS]
FAILING: Final = [case for case in CASES if isinstance(expected_of(*case), Fails)]
GIVEN_BACK: Final = [case for case in FAILING if "bad_request" in expected_of(*case)]
MOVES_ON: Final = [case for case in FAILING if case not in GIVEN_BACK]
BOTH: Final = [(way, name) for way, name in FAILING if way != "embedding"]
BREAKING: Final = [name for way, name in CASES if isinstance(expected_of(way, name), Breaks)]
ANSWERING: Final = [case for case in CASES if isinstance(expected_of(*case), Answers)]


@dataclass(frozen=True)
class Results:
    """What was seen of every case.

    Attributes:
        bodies: of broken streams.
    """

    asked: dict[Ask, list[Seen]]
    bodies: dict[str, bytes]

    def of(self, way: str, model: str, name: str) -> Seen:
        """A case's only request."""
        (seen,) = self.asked[way, _model(way, model, name)]
        return seen

    def healthy(self, way: str) -> Seen:
        return self.asked[way, _model(way, "healthy", "")][0]

    def added_s(self, way: str, name: str) -> float:
        """What a failure adds to the wait for the first content of the healthy backend behind it."""
        usual_s = statistics.median(each.first_s for each in self.asked[way, _model(way, "healthy", "")])
        return self.of(way, "before", name).first_s - usual_s


def _model(way: str, what: str, name: str) -> str:
    return f"{'embed' if way == 'embedding' else 'chat'}-{what}-{name}"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    models = []
    for way, good in (("plain", "sandbox-small"), ("embedding", "sandbox-embed")):
        healthy = ("second", good)
        models.append(sandbox_model(_model(way, "healthy", ""), healthy))
        models += [
            sandbox_model(_model(way, "before", name), ("first", PREFIX + name), healthy) for name in TABLE
        ]
    for name in TABLE:
        first = ("first", PREFIX + name)
        models.append(sandbox_model(_model("plain", "alone", name), first))
        models.append(sandbox_model(_model("plain", "both", name), first, ("also-first", PREFIX + name)))
    timeouts = {
        "first_byte_s": FIRST_BYTE_S,
        "stall_s": STALL_S,
        "first_content_s": FIRST_CONTENT_S,
        "total_s": TOTAL_S,
    }
    config = {
        "providers": {
            "first": {"adapter": "sandbox", "timeouts": timeouts},
            "also-first": {"adapter": "sandbox", "timeouts": dict(timeouts)},
            "second": {"adapter": "sandbox"},
        },
        "models": models,
        "routing": {"retries": 1, "deadline_s": DEADLINE_S, "breaker": NO_CIRCUITS},
        "server": {"tail_s": TAIL_S},
        "keys": [{"id": "test", "customer": "tester", "secret": "env:TEST_KEY"}],
    }
    # One at a time, as times are compared; but what waits for a time-out waits beside others.
    timed: list[Ask] = []
    for number, (way, name) in enumerate(case for case in CASES if not waits(*case)):
        if number % HEALTHY_EVERY == 0:
            timed += [(each, _model(each, "healthy", "")) for each in WAYS]
        timed.append((way, _model(way, "before", name)))
    others = [(way, _model(way, "before", name)) for way, name in CASES if waits(way, name)]
    others += [(way, _model(way, model, name)) for way, name in BOTH for model in ("both", "alone")]
    broken = [_model("streamed", "before", name) for name in BREAKING]
    with running(tmp_path_factory.mktemp("failover-table"), config) as gateway:
        asked = ask_all(gateway, timed, at_a_time=1) | ask_all(gateway, others)
        yield Results(asked, bodies_of(gateway, broken))


def test_every_failure_is_here() -> None:
    """All failures of the sandbox, all errors it tells by name or status, and every option but `times`."""
    assert {*FAILURES} - {STATUS} | {*ERRORS} <= {name.split("-")[0] for name in TABLE}
    for what, row in FAILURES.items():
        names = [
            name for name in TABLE if name.split("-")[0] == what or (what == STATUS and name[0].isdigit())
        ]
        assert {*row.options} <= {word for name in names for word in name.split("-")[1::2]}, what


@pytest.mark.parametrize(("way", "name"), MOVES_ON)
def test_the_second_backend_answers(results: Results, way: str, name: str) -> None:
    """One clean answer, the healthy backend's whole; `attempts` and the headers say what happened."""
    expected = expected_of(way, name)
    assert isinstance(expected, Fails)
    seen, healthy = results.of(way, "before", name), results.healthy(way)
    assert (200, "") == (seen.status, seen.raised)
    assert healthy.answer == seen.answer
    assert (healthy.finishes, 1 if healthy.ids else 0) == (seen.finishes, len(seen.ids))
    assert [(expected.kind, expected.status), ("ok", 200)] == seen.outcomes
    assert ("2", "second") == (seen.headers["x-headgate-attempts"], seen.headers["x-headgate-provider"])


@pytest.mark.parametrize(("way", "name"), MOVES_ON)
def test_it_moves_on_at_once(results: Results, way: str, name: str) -> None:
    """A silence costs its time-out; what a provider asks to wait is not waited for; all else adds next to nothing."""
    expected = expected_of(way, name)
    assert isinstance(expected, Fails)
    seen = results.of(way, "before", name)
    slack_s = SLACK_S if expected.bound_s else AT_ONCE_S
    assert expected.bound_s * 0.95 <= seen.attempts_ms[0] / 1000 <= expected.bound_s + slack_s
    assert results.added_s(way, name) <= expected.bound_s + slack_s


@pytest.mark.parametrize(("way", "name"), GIVEN_BACK)
def test_the_clients_own_mistake_is_given_back(results: Results, way: str, name: str) -> None:
    """400 with the provider's words, and no other backend is asked."""
    expected = expected_of(way, name)
    assert isinstance(expected, Fails)
    seen = results.of(way, "before", name)
    code = "context_length_exceeded" if "context" in name else "bad_request"
    told = (seen.problem["code"], seen.problem["type"], seen.problem["source"])
    assert (400, (code, "invalid_request_error", "provider")) == (seen.status, told)
    assert [(expected.kind, expected.status)] == seen.outcomes
    assert "1" == seen.headers["x-headgate-attempts"]
    what, *options = name.split("-")
    words = find(options[1] if what == "error" else what)
    assert (words.message if words is not None else "the provider answered 400") == seen.problem["message"]


@pytest.mark.parametrize("name", BREAKING)
def test_after_content_there_is_one_error(results: Results, name: str) -> None:
    """What came stays; then one error of the package, one error frame, no end mark; the second backend rests."""
    expected = expected_of("streamed", name)
    assert isinstance(expected, Breaks)
    seen, healthy = results.of("streamed", "before", name), results.healthy("streamed")
    assert (expected.raises, 200) == (seen.raised, seen.status)
    assert seen.answer
    assert healthy.answer.startswith(seen.answer)
    body = results.bodies[_model("streamed", "before", name)]
    assert 1 == body.count(b'"error":{')
    assert b"[DONE]" not in body
    last = orjson.loads(body.strip().rpartition(b"\n")[2].removeprefix(b"data: "))
    assert (expected.kind, STATUS_OF[expected.kind]) == (last["error"]["type"], last["error"]["code"])
    assert [expected.kind] == [each["outcome"] for each in last["headgate"]["attempts"]]
    assert "error" == last["choices"][0]["finish_reason"]


@pytest.mark.parametrize(("way", "name"), ANSWERING)
def test_what_is_no_failure_is_an_answer(results: Results, way: str, name: str) -> None:
    """Late within the time-outs, or without its end mark: the first backend's answer, whole."""
    expected = expected_of(way, name)
    assert isinstance(expected, Answers)
    seen = results.of(way, "before", name)
    assert ("", [("ok", 200)]) == (seen.raised, seen.outcomes)
    assert results.healthy(way).answer == seen.answer
    assert results.healthy(way).finishes == seen.finishes
    assert expected.at_least_s <= seen.first_s


@pytest.mark.parametrize(("way", "name"), BOTH)
def test_when_all_fail_the_status_says_how(results: Results, way: str, name: str) -> None:
    """Both backends fail alike: the status and code of that kind; a rate limit says when to come back."""
    expected = expected_of(way, name)
    assert isinstance(expected, Fails)
    seen = results.of(way, "both", name)
    assert STATUS_OF[expected.kind] == seen.status
    code = "context_length_exceeded" if "context" in name else expected.kind
    assert (code, "provider") == (seen.problem["code"], seen.problem["source"])
    assert seen.problem["message"]
    tries = 1 if expected.kind == "bad_request" else 2
    assert [(expected.kind, expected.status)] * tries == seen.outcomes
    assert str(tries) == seen.headers["x-headgate-attempts"]
    assert seen.headers.get("retry-after") in expected.retry_after


@pytest.mark.parametrize(("way", "name"), BOTH)
def test_a_lone_backend_is_asked_again_where_that_may_help(results: Results, way: str, name: str) -> None:
    """Not for the client's mistake or ours, not when money has run out, not when the wait is too long."""
    expected = expected_of(way, name)
    assert isinstance(expected, Fails)
    seen = results.of(way, "alone", name)
    assert STATUS_OF[expected.kind] == seen.status
    assert [(expected.kind, expected.status)] * (2 if expected.again else 1) == seen.outcomes
    assert seen.headers.get("retry-after") in expected.retry_after
    if not expected.again:
        assert seen.first_s < AT_ONCE_S


def test_what_failing_over_adds(results: Results) -> None:
    """Printed, not judged here: what each failure adds to the wait for the healthy backend's first content."""
    lines = [
        f"{'failure':26} {'way':10} {'outcome':13} {'status':>6} {'bound ms':>8} {'failed in ms':>12} {'added ms':>8}"
    ]
    for way, name in MOVES_ON:
        expected, seen = expected_of(way, name), results.of(way, "before", name)
        assert isinstance(expected, Fails)
        added_ms, bound_ms = results.added_s(way, name) * 1000, expected.bound_s * 1000
        lines.append(
            f"{name:26} {way:10} {expected.kind:13} {expected.status or '-':>6} {bound_ms or '-':>8} "
            f"{seen.attempts_ms[0]:>12} {added_ms:>8.0f}"
        )
    sys.stdout.write("\n" + "\n".join(lines) + "\n")
