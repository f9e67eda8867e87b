"""A provider that others wrote fails: aimock's faults on the first of two backends, the openai package as the client.

    make setup && .venv/bin/pytest tests/clients/aimock

Also part of `make test-clients`. Needs Node 20, and npm to fetch what `package-lock.json` names, once; without them the
tests are skipped. The faults are in `faults.json`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import orjson
import pytest

from tests.clients.upstreams import aimock
from tests.support.asking import Ask, Seen, ask_all, bodies_of, sandbox_model
from tests.support.gateway import NO_CIRCUITS, running

WAYS: Final = ("streamed", "plain")
FIRST_BYTE_S: Final = 0.6
TOTAL_S: Final = 1.5
SLACK_S: Final = 2.0  # of a busy machine

# Fault -> outcome and status of the attempt, what a client gets when there is no other backend, and how many tries.
MOVES_ON: Final[dict[str, tuple[str, int, int, int]]] = {
    "429": ("rate_limited", 429, 429, 2),
    "429-in-7s": ("rate_limited", 429, 429, 1),
    "quota": ("rate_limited", 429, 429, 1),
    "500": ("overloaded", 500, 503, 2),
    "502": ("unreachable", 502, 502, 2),
    "503": ("overloaded", 503, 503, 2),
    "504": ("timeout", 504, 504, 2),
    "529": ("overloaded", 529, 503, 2),
    "408": ("timeout", 408, 504, 2),
    "401": ("auth", 401, 502, 1),
    "402": ("auth", 402, 502, 1),
    "403": ("auth", 403, 502, 1),
    "404": ("auth", 404, 502, 1),
    "chaos-drop": ("overloaded", 500, 503, 2),
    "chaos-malformed": ("protocol", 0, 502, 2),
    "chaos-rate-limit": ("rate_limited", 429, 429, 2),
    "chaos-disconnect": ("unreachable", 0, 502, 2),
    "chaos-latency": ("timeout", 0, 504, 2),
}
GIVEN_BACK: Final = {
    "400": "bad_request",
    "413": "bad_request",
    "422": "bad_request",
    "context": "context_length_exceeded",
}
# Node may destroy a connection before it has written the head.
STREAM_MOVES_ON: Final = {"cut-at-the-role": ("protocol", "unreachable"), "late-content": ("timeout",)}
BREAKS: Final = ("cut-in-the-text", "gone-in-the-text")
RETRY_AFTER: Final = {"429": "1", "429-in-7s": "7", "quota": "1", "chaos-rate-limit": "1"}


@dataclass(frozen=True)
class Results:
    """What was seen of every fault, and the bodies of broken streams."""

    asked: dict[Ask, list[Seen]]
    bodies: dict[str, bytes]

    def of(self, way: str, model: str) -> Seen:
        (seen,) = self.asked[way, model]
        return seen


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    faults = (*MOVES_ON, *GIVEN_BACK, *STREAM_MOVES_ON, *BREAKS)
    models = [sandbox_model(f"before-{name}", ("first", name), ("second", "healthy")) for name in faults]
    models += [sandbox_model(f"alone-{name}", ("first", name)) for name in (*MOVES_ON, "passes")]
    models.append(sandbox_model("healthy", ("second", "healthy")))
    asks = [(way, model["id"]) for way in WAYS for model in models if model["id"] != "alone-passes"]
    asks.append(("streamed", "alone-passes"))  # the mock counts how often it was asked
    with aimock("faults.json") as base_url:
        upstream = {"adapter": "openai", "base_url": base_url, "api_key": "env:SCRIPTED_KEY"}
        timeouts = {"first_byte_s": FIRST_BYTE_S, "first_content_s": FIRST_BYTE_S, "total_s": TOTAL_S}
        config = {
            "providers": {"first": {**upstream, "timeouts": timeouts}, "second": dict(upstream)},
            "models": models,
            "routing": {"retries": 1, "deadline_s": 5, "breaker": NO_CIRCUITS},
            "keys": [{"id": "test", "customer": "tester", "secret": "env:TEST_KEY"}],
        }
        with running(tmp_path_factory.mktemp("aimock-faults"), config) as gateway:
            asked = ask_all(gateway, asks)
            yield Results(asked, bodies_of(gateway, [f"before-{name}" for name in BREAKS]))


def check_moved_on(seen: Seen, healthy: Seen, *kinds: str) -> None:
    """One clean answer, the second backend's whole."""
    assert (200, "", healthy.answer) == (seen.status, seen.raised, seen.answer)
    assert (["stop"], 1) == (seen.finishes, len(seen.ids))
    assert seen.kinds in [[kind, "ok"] for kind in kinds]
    assert ("2", "second") == (seen.headers["x-headgate-attempts"], seen.headers["x-headgate-provider"])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MOVES_ON)
def test_the_second_backend_answers(results: Results, way: str, name: str) -> None:
    """Whatever the first one does, and however long it asks to wait."""
    kind, status, *_ = MOVES_ON[name]
    seen = results.of(way, f"before-{name}")
    check_moved_on(seen, results.of(way, "healthy"), kind)
    assert (kind, status) == seen.outcomes[0]
    bound_s = (FIRST_BYTE_S if way == "streamed" else TOTAL_S) if kind == "timeout" and not status else 0.0
    assert seen.first_s < bound_s + SLACK_S


@pytest.mark.parametrize("name", STREAM_MOVES_ON)
def test_a_stream_that_fails_before_its_text(results: Results, name: str) -> None:
    """A role frame is no content: the second backend answers."""
    check_moved_on(
        results.of("streamed", f"before-{name}"), results.of("streamed", "healthy"), *STREAM_MOVES_ON[name]
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", GIVEN_BACK)
def test_the_clients_own_mistake_is_given_back(results: Results, way: str, name: str) -> None:
    """400, and nobody else is asked."""
    seen = results.of(way, f"before-{name}")
    assert (400, GIVEN_BACK[name], "provider") == (seen.status, seen.problem["code"], seen.problem["source"])
    assert ["bad_request"] == seen.kinds


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MOVES_ON)
def test_alone(results: Results, way: str, name: str) -> None:
    """A lone backend is asked once more where that may help; then the client gets the status of the kind."""
    kind, status, told, tries = MOVES_ON[name]
    seen = results.of(way, f"alone-{name}")
    assert (told, [(kind, status)] * tries) == (seen.status, seen.outcomes)
    assert RETRY_AFTER.get(name) == seen.headers.get("retry-after")


def test_what_passes_is_never_seen(results: Results) -> None:
    """Overloaded at first, then well: one clean answer of the same backend."""
    seen = results.of("streamed", "alone-passes")
    assert (results.of("streamed", "healthy").answer, "") == (seen.answer, seen.raised)
    assert [("overloaded", 529), ("ok", 200)] == seen.outcomes


@pytest.mark.parametrize("name", BREAKS)
def test_after_content_there_is_one_error(results: Results, name: str) -> None:
    """What came stays, then one error and one error frame, and no end mark."""
    seen, healthy = results.of("streamed", f"before-{name}"), results.of("streamed", "healthy")
    assert ("APIError", 200) == (seen.raised, seen.status)
    assert seen.answer
    assert healthy.answer.startswith(seen.answer)
    assert len(seen.answer) < len(healthy.answer)
    body = results.bodies[f"before-{name}"]
    assert (1, 0) == (body.count(b'"error":{'), body.count(b"[DONE]"))
    last = orjson.loads(body.strip().rpartition(b"\n")[2].removeprefix(b"data: "))
    assert ("protocol", 502) == (last["error"]["type"], last["error"]["code"])
    assert ["protocol"] == [each["outcome"] for each in last["headgate"]["attempts"]]
