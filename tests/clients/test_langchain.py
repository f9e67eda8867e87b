"""langchain-openai as a client of a real gateway: the standard suite of langchain-tests, and what users see beyond it.

The suite runs in its own environment (`langchain/suite.py`) against two upstreams; each of its tests is judged here.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import pytest

from tests.clients.environments import CLIENTS, interpreter
from tests.clients.place import BUSY_S, Results, cost_usd, model, place
from tests.clients.upstreams import aimock

# Neither is a matter of the gateway.
SKIPPED: Final = {
    "test_image_tool_message": "langchain-openai sends no images as results of tools over chat completions",
    "test_pdf_tool_message": "nor pages",
    "test_stream_time": "a benchmark from a recorded tape",
}
_MADE_UP: Final = "the sandbox makes values up that fit a schema; it does not read them out of the prompt"
FAILED: Final = {
    "TestAimock": {},
    "TestSandbox": {
        "test_tool_calling[model0]": _MADE_UP,
        "test_tool_calling[model1]": _MADE_UP,
        "test_tool_calling_async": _MADE_UP,
        "test_unicode_tool_call_integration": _MADE_UP,
        "test_json_mode": "a JSON object without a schema has the sandbox's own members",
    },
}
LEAST_PASSED: Final = 40


@dataclass(frozen=True)
class Suite:
    """How a class of the suite fared, by test.

    Attributes:
        passed: names.
        failed, skipped: why, by name.
    """

    passed: frozenset[str]
    failed: dict[str, str]
    skipped: dict[str, str]


@pytest.fixture(scope="module")
def suites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Suite]:
    """By class; every test of the suite has run."""
    python, directory = interpreter("langchain"), CLIENTS / "langchain"
    suite = ("-m", "pytest", "-c", directory / "pytest.ini", directory / "suite.py")
    with aimock("langchain.json") as base_url:
        provider = {"adapter": "openai", "base_url": base_url, "api_key": "env:SCRIPTED_KEY"}
        models = [model(name, ("aimock", name)) for name in ("aimock-one", "aimock-two")]
        with place(tmp_path_factory.mktemp("langchain-suite"), {"aimock": provider}, models) as here:
            report = here.home / "suite.xml"
            ended = here.run([python, *suite, "--junit-xml", report])
    # 0 and 1: the tests ran, and all passed or some failed.
    assert ended.status in {0, 1}, ended.stdout + ended.stderr
    return _read(report)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Results:
    python = interpreter("langchain")
    with place(tmp_path_factory.mktemp("langchain")) as here:
        return here.results([python, "-m", "tests.clients.langchain.script"])


def _read(report: Path) -> dict[str, Suite]:
    cases: dict[str, dict[str, tuple[str, str]]] = {}
    for case in ET.parse(report).iter("testcase"):
        outcome = ("passed", "")
        for kind in ("skipped", "failure", "error"):
            if (found := case.find(kind)) is not None:
                outcome = (kind, found.get("message") or found.text or "")
        cases.setdefault(case.attrib["classname"].rpartition(".")[2], {})[case.attrib["name"]] = outcome
    return {
        name: Suite(
            passed=frozenset(test for test, (kind, _) in tests.items() if kind == "passed"),
            failed={test: why for test, (kind, why) in tests.items() if kind in {"failure", "error"}},
            skipped={test: why for test, (kind, why) in tests.items() if kind == "skipped"},
        )
        for name, tests in cases.items()
    }


@pytest.mark.parametrize("upstream", FAILED)
def test_standard_suite(suites: dict[str, Suite], upstream: str) -> None:
    """Every standard test passes, but for those that ask more of the upstream than it can do."""
    suite = suites[upstream]
    unexpected = {test: why for test, why in suite.failed.items() if test not in FAILED[upstream]}
    assert {} == unexpected
    assert FAILED[upstream].keys() == suite.failed.keys(), "what passes now leaves the table"
    assert SKIPPED.keys() == suite.skipped.keys()
    assert len(suite.passed) >= LEAST_PASSED


@pytest.mark.parametrize("path", ["/v1", "/api/v1"])
def test_plain(ran: Results, path: str) -> None:
    """A plain answer has usage, and what it cost in `response_metadata`."""
    seen = ran.seen(f"plain {path}")
    assert "Tell me about locks" in seen["text"]
    counted = seen["usage"]
    assert (
        cost_usd(counted["input_tokens"], counted["output_tokens"])
        == (seen["metadata"]["token_usage"]["cost"])
    )
    assert "stop" == seen["metadata"]["finish_reason"]


def test_response_headers(ran: Results) -> None:
    """With `include_response_headers` the facts of the answer are there."""
    headers = ran.seen("plain /v1")["metadata"]["headers"]
    assert ("sandbox-small", "sandbox", "1") == tuple(
        headers[f"x-headgate-{name}"] for name in ("model", "provider", "attempts")
    )
    assert headers["x-request-id"].startswith("req-")


@pytest.mark.parametrize("case", ["stream", "stream with usage"])
def test_stream(ran: Results, case: str) -> None:
    """A stream gives the same text and the same usage, asked for or not."""
    seen, plain = ran.seen(case), ran.seen("plain /v1")
    assert seen["chunks"] > 10
    assert plain["text"] == seen["text"]
    assert plain["usage"] == seen["usage"]
    assert "stop" == seen["metadata"]["finish_reason"]


def test_failover(ran: Results) -> None:
    """A broken backend before a good one shows in the headers alone."""
    seen = ran.seen("failover")
    assert ran.seen("plain /v1")["text"] == seen["text"]
    assert ("2", "unlucky") == tuple(
        seen["metadata"]["headers"][f"x-headgate-{name}"] for name in ("attempts", "model")
    )


def test_broken_stream(ran: Results) -> None:
    """A stream that breaks is an APIError after the words that came, not a short answer."""
    seen = ran.seen("broken stream")
    assert "some words " == "".join(seen["got"])
    error = seen["error"]
    assert ("APIError", "502", "provider") == (error["name"], error["code"], error["body"]["source"])
    assert "cut short" in error["message"]


def test_wrong_key(ran: Results) -> None:
    """A wrong key is an authentication error with OpenAI's code."""
    error = ran.seen("wrong key")
    assert ("OpenAIAuthenticationError", 401, "invalid_api_key") == (
        error["name"],
        error["status"],
        error["code"],
    )


@pytest.mark.parametrize("case", ["unknown model", "unknown model, streamed"])
def test_unknown_model(ran: Results, case: str) -> None:
    """A misspelt model is the package's own "model not found", and the message names the near miss."""
    error = ran.seen(case)
    assert ("OpenAIModelNotFoundError", 404, "model_not_found") == (
        error["name"],
        error["status"],
        error["code"],
    )
    assert "`sandbox-small`" in error["message"]


@pytest.mark.parametrize(
    ("case", "code", "source", "longest_s"),
    [("busy", "rate_limited", "provider", BUSY_S), ("rate limit", "rate_limit_exceeded", "gateway", 60)],
)
def test_too_many(ran: Results, case: str, code: str, source: str, longest_s: int) -> None:
    """A provider's limit and the key's own are rate limit errors that say whose and when to come back."""
    error = ran.seen(case) if case == "busy" else ran.seen(case)["error"]
    assert ("OpenAIRateLimitError", 429, code) == (error["name"], error["status"], error["code"])
    assert source == error["body"]["source"]
    assert 1 <= int(error["retry_after"]) <= longest_s
