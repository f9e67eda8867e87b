"""How long and how often: `routing.retries`, `routing.deadline_s`, waits that providers ask for; who has the last word.

The sandbox fails on request; the `openai` package asks.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
import yaml

from proxy.sandbox.failures import PREFIX
from tests.support.asking import Ask, Seen, ask_all, sandbox_model
from tests.support.gateway import NO_CIRCUITS, running

BACKOFF_S: Final = 0.25
DEADLINE_S: Final = 3.0
FIRST_BYTE_S: Final = 1.0
SLACK_S: Final = 2.0  # of a busy machine
WAYS: Final = ("streamed", "plain")
GOOD: Final = ("second", "sandbox-small")

# What each of two backends does; the status and code that the client gets, and when it may come back.
MIXED: Final[dict[str, tuple[tuple[str, str], int, str, str | None]]] = {
    "the-last-one": (("503", "502"), 502, "unreachable", None),
    "the-last-one-that-is-not-our-keys": (("500", "401"), 503, "overloaded", None),
    "our-key-then-a-silence": (("403", "stall"), 504, "timeout", None),
    "our-key-then-nonsense": (("402", "garbage"), 502, "protocol", None),
    "our-key-alone": (("401", "404"), 502, "auth", None),
    "a-limit-then-our-key": (("429-retry-30", "402"), 429, "rate_limited", "30"),
    "limits": (("429-retry-40", "429-retry-30"), 429, "rate_limited", "30"),
    "limits-the-first-one-smaller": (("429-retryms-5500", "429-retry-30"), 429, "rate_limited", "6"),
    "limits-one-without-a-word": (("quota", "429-retry-30"), 429, "rate_limited", "30"),
    "a-limit-then-another-failure": (("429-retry-30", "500-retry-30"), 503, "overloaded", None),
    "the-clients-own-mistake-in-the-end": (("503", "400"), 400, "bad_request", None),
    "a-prompt-too-long-in-the-end": (("429-retry-30", "context"), 400, "context_length_exceeded", None),
}
# A lone backend that fails once or twice: the least time it takes until the answer.
PASSING: Final[dict[str, float]] = {
    **{f"{name}-times-1": BACKOFF_S for name in (
        "408", "409", "429", "500", "502", "503", "504", "529", "html", "close-after-0", "reset-after-headers",
        "empty", "done", "error", "error-as-429", "mangled", "garbage",
    )},
    "500-times-2": 3 * BACKOFF_S,
    "stall-times-1": FIRST_BYTE_S + BACKOFF_S,
    "429-retry-0-times-1": 0.0,
    "429-retry-1-times-1": 1.0,
    "503-retryms-700-times-1": 0.7,
    "429-retry-1-retryms-200-times-1": 1.0,
    "503-retrydate-2-times-1": 1.0,  # dates are cut to whole seconds
}  # fmt: skip
# It may take a connection that had been used before; then the request is sent anew without being counted as a try.
HANGING_UP: Final = ("close-times-1", "reset-times-1")
# The same, where a second try is pointless, or would come too late: kind, and what the client is told.
FINAL: Final[dict[str, tuple[str, str | None]]] = {
    "400-times-1": ("bad_request", None),
    "context-times-1": ("bad_request", None),
    "401-times-1": ("auth", None),
    "403-times-1": ("auth", None),
    "quota-times-1": ("rate_limited", None),
    "quota-retry-1-times-1": ("rate_limited", "1"),
    "429-retry-5-times-1": ("rate_limited", "5"),
    "503-retryms-5000-times-1": ("overloaded", None),
}
STATUS_OF: Final = {"bad_request": 400, "auth": 502, "rate_limited": 429, "overloaded": 503}


PAGE: Final = Path(__file__).parents[2] / "docs" / "failover.md"

Results = dict[Ask, Seen]


@pytest.fixture(scope="module")
def two_tries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    """With `retries: 1` and the usual deadline; by way and model."""
    models = [
        *(
            sandbox_model(name, ("first", PREFIX + one), ("also-first", PREFIX + other))
            for name, ((one, other), *_) in MIXED.items()
        ),
        sandbox_model("four", *(("first", PREFIX + each) for each in ("500", "502", "503")), GOOD),
        sandbox_model("small", ("first", f"{PREFIX}context"), context_tokens=8_000),
        sandbox_model("as-small", ("also-first", f"{PREFIX}503"), context_tokens=8_000),
        sandbox_model("large", GOOD, context_tokens=100_000),
    ]
    routing = {"retries": 1, "breaker": NO_CIRCUITS}
    config = _config(models, routing, tiers={"frugal": {"models": ["small", "as-small", "large"]}})
    with running(tmp_path_factory.mktemp("two-tries"), config) as gateway:
        asked = ask_all(gateway, [(way, name) for way in WAYS for name in (*MIXED, "four", "frugal")])
        yield {ask: seen for ask, (seen,) in asked.items()}


@pytest.fixture(scope="module")
def many_tries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    """With more `retries` than fit into the deadline; by way and model, failures of a lone backend by their name."""
    others = {
        "healthy": [GOOD],
        "always-500": [("first", f"{PREFIX}500")],
        "always-silent": [("first", f"{PREFIX}stall")],
        "late": [("second", f"{PREFIX}slow-ms-3500")],
        **{
            f"limits/{way}": [
                ("first", f"{PREFIX}429-retryms-2000-ms-{number}"),
                ("also-first", f"{PREFIX}429-retryms-1000-times-1-ms-{number}"),
            ]
            for number, way in enumerate(WAYS)
        },
        # What happens so many times is counted by name, so each way has its own.
        **{
            f"{name}/{way}": [("first", f"{PREFIX}{name}-ms-{number}")]
            for number, way in enumerate(WAYS)
            for name in (*PASSING, *HANGING_UP, *FINAL)
        },
    }
    models = [sandbox_model(name, *backends) for name, backends in others.items()]
    asks = [(way, name) for way in WAYS for name in others if name.split("/")[-1] not in {*WAYS} - {way}]
    config = _config(models, {"retries": 9, "deadline_s": DEADLINE_S})
    with running(tmp_path_factory.mktemp("many-tries"), config) as gateway:
        asked = ask_all(gateway, asks)
        yield {(way, name.removesuffix(f"/{way}")): seen for (way, name), (seen,) in asked.items()}


def _config(models: list[dict[str, Any]], routing: dict[str, Any], **sections: Any) -> dict[str, Any]:
    timeouts = {"first_byte_s": FIRST_BYTE_S, "total_s": FIRST_BYTE_S}
    return {
        "providers": {
            "first": {"adapter": "sandbox", "timeouts": timeouts},
            "also-first": {"adapter": "sandbox", "timeouts": dict(timeouts)},
            "second": {"adapter": "sandbox"},
        },
        "models": models,
        "routing": routing,
        "keys": [{"id": "test", "customer": "tester", "secret": "env:TEST_KEY"}],
        **sections,
    }


def check_answer(seen: Seen, healthy: Seen) -> None:
    """One clean answer, nothing of what went before it."""
    assert (200, "", healthy.answer) == (seen.status, seen.raised, seen.answer)
    assert (["stop"], 1) == (seen.finishes, len(seen.ids))
    assert str(len(seen.outcomes)) == seen.headers["x-headgate-attempts"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MIXED)
def test_who_has_the_last_word(two_tries: Results, way: str, name: str) -> None:
    """All fail: the last error that is not about our key; 429 says the smallest delay; our key alone is 502."""
    _, status, code, retry_after = MIXED[name]
    seen = two_tries[way, name]
    assert (status, code, "provider") == (seen.status, seen.problem["code"], seen.problem["source"])
    assert 2 == len(seen.outcomes)
    assert retry_after == seen.headers.get("retry-after")


@pytest.mark.parametrize("way", WAYS)
def test_retries_count_for_all_backends(two_tries: Results, way: str) -> None:
    """`retries: 1` means two tries in all, though the fourth backend would have answered."""
    seen = two_tries[way, "four"]
    assert (502, [("overloaded", 500), ("unreachable", 502)]) == (seen.status, seen.outcomes)


@pytest.mark.parametrize("way", WAYS)
def test_a_prompt_too_long_moves_on_to_a_larger_context(two_tries: Results, way: str) -> None:
    """Of a tier's models only one with more context is asked; the others would refuse it, too."""
    seen = two_tries[way, "frugal"]
    assert (200, "") == (seen.status, seen.raised)
    assert [("bad_request", 400), ("ok", 200)] == seen.outcomes
    assert "large" == seen.headers["x-headgate-model"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_never_seen(many_tries: Results, way: str, name: str) -> None:
    """A lone backend is asked again after the wait it asked for, else after a quarter of a second, then twice that."""
    seen = many_tries[way, name]
    check_answer(seen, many_tries[way, "healthy"])
    assert (2 if name.endswith("times-2") else 1, "ok") == (len(seen.kinds) - 1, seen.kinds[-1])
    assert PASSING[name] <= seen.first_s <= PASSING[name] + SLACK_S


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", HANGING_UP)
def test_a_hung_up_connection_is_never_seen(many_tries: Results, way: str, name: str) -> None:
    """A new connection that ends without a byte is a failed try; one that had idled is simply replaced."""
    seen = many_tries[way, name]
    check_answer(seen, many_tries[way, "healthy"])
    assert seen.kinds in (["ok"], ["unreachable", "ok"])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", FINAL)
def test_what_a_second_try_cannot_mend_is_told_at_once(many_tries: Results, way: str, name: str) -> None:
    """Though it would have gone well: the request, the key or the account is at fault, or the wait is too long."""
    kind, retry_after = FINAL[name]
    seen = many_tries[way, name]
    assert (STATUS_OF[kind], [kind]) == (seen.status, seen.kinds)
    assert retry_after == seen.headers.get("retry-after")
    assert seen.first_s < SLACK_S


@pytest.mark.parametrize("way", WAYS)
def test_the_backend_that_is_back_first_is_asked_again(many_tries: Results, way: str) -> None:
    """All are limited, the second one for a second, the first for two: the second is waited for."""
    seen = many_tries[way, "limits"]
    check_answer(seen, many_tries[way, "healthy"])
    assert ["rate_limited", "rate_limited", "ok"] == seen.kinds
    assert "also-first" == seen.headers["x-headgate-provider"]
    assert 1.0 <= seen.first_s < 2.0 + SLACK_S


@pytest.mark.parametrize("way", WAYS)
def test_no_wait_reaches_beyond_the_deadline(many_tries: Results, way: str) -> None:
    """Waits of 1/4, 1/2 and 1 s fit into three seconds, one of 2 s more does not: told then, not at the deadline."""
    seen = many_tries[way, "always-500"]
    assert (503, ["overloaded"] * 4) == (seen.status, seen.kinds)
    assert 7 * BACKOFF_S <= seen.first_s < DEADLINE_S


@pytest.mark.parametrize("way", WAYS)
def test_no_attempt_begins_after_the_deadline(many_tries: Results, way: str) -> None:
    """Time-outs count from the request's arrival as waits do."""
    seen = many_tries[way, "always-silent"]
    assert (504, {"timeout"}) == (seen.status, {*seen.kinds})
    assert 3 <= len(seen.kinds) <= 4
    assert seen.first_s < DEADLINE_S + FIRST_BYTE_S + SLACK_S


@pytest.mark.parametrize("way", WAYS)
def test_the_deadline_does_not_cut_an_attempt(many_tries: Results, way: str) -> None:
    """An answer that takes longer than the deadline is an answer."""
    seen = many_tries[way, "late"]
    check_answer(seen, many_tries[way, "healthy"])
    assert ["ok"] == seen.kinds
    assert seen.first_s > DEADLINE_S


def test_the_page_shows_what_happens(tmp_path: Path) -> None:
    """The example of `docs/failover.md` ends as its page prints it."""
    page = PAGE.read_text()
    (example,) = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    printed = [orjson.loads(found) for found in re.findall(r'^"attempts":(\[.+\])$', page, re.MULTILINE)]
    names = ["unlucky", "passing", "breaking", "limited"]
    config = yaml.safe_load(example)
    assert {*names} == {model["id"] for model in config["models"]}
    keys = [{"id": "test", "customer": "tester", "secret": "env:TEST_KEY"}]
    with running(tmp_path, {**config, "keys": keys}) as gateway:
        asked = ask_all(gateway, [("streamed", name) for name in names])
    # Read when the gateway has stopped: a line may come after its answer.
    lines = [orjson.loads(line) for line in gateway.log.read_bytes().splitlines() if b'"request"' in line]
    attempts = {line["gen_ai.request.model"]: line["headgate.attempts"] for line in lines}
    for name, said in zip(names, printed, strict=True):
        assert [_facts(each) for each in said] == [_facts(each) for each in attempts[name]]
    assert "75" == asked["streamed", "limited"][0].headers["retry-after"]
    assert 1.0 <= asked["streamed", "passing"][0].first_s


def _facts(attempt: dict[str, Any]) -> tuple[str, str, int]:
    return attempt["backend"], attempt["outcome"], attempt["status"]
