"""The `openai` package for JavaScript as a client of a real gateway: what its users do works, unchanged.

One Node process runs every case and prints what it saw; each test here judges one of them. The package comes from
`sdk_node/package-lock.json`. Without Node, or without the network when the package has not been fetched before, the
tests are skipped; in CI a package that cannot be fetched is a failure.
"""

import fcntl
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NoReturn

import orjson
import pytest

from tests.support.gateway import RunningGateway, running

PROJECT: Final = Path(__file__).parent / "sdk_node"
LIMITED_KEY: Final = "test-key-0002-limited"
OLDEST_NODE: Final = 20
FETCH_S: Final = 180.0
SCRIPT_S: Final = 60.0
WAIT_S: Final = 10.0
_POLL_S: Final = 0.02
# What npm says when the network is at fault, and not the lock file or the package.
_NO_NETWORK: Final = re.compile(
    r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ERR_SOCKET_TIMEOUT)\b"
)

Chunks = list[dict[str, Any]]


@dataclass(frozen=True)
class Ran:
    """A gateway, and what the script saw of it, by case."""

    gateway: RunningGateway
    results: dict[str, dict[str, Any]]

    def seen(self, case: str) -> Any:
        """What the case saw; it fails here with the script's own stack when the package threw."""
        result = self.results[case]
        assert "failed" not in result, result["failed"]
        return result["seen"]


@pytest.fixture(scope="module")
def node() -> str:
    """The path of Node, with the package installed."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is None or npm is None:
        pytest.skip("node and npm are not installed")
    version = subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < OLDEST_NODE:
        pytest.skip(f"node {version} is older than {OLDEST_NODE}")
    _install(npm)
    return program


@pytest.fixture(scope="module")
def ran(node: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    models = [
        {
            "id": name,
            "backends": [{"provider": "sandbox", "model": name}],
            "price": {"input": 1.0, "output": 2.0, "cache_read": 0.1},
        }
        for name in ("sandbox-small", "sandbox-large", "sandbox-reasoning")
    ]
    limited = {"id": "limited", "customer": "small", "secret": "env:LIMITED_KEY"}
    config = {
        "providers": {"sandbox": {"adapter": "sandbox"}},
        "redis": {"timeout_ms": 2000},  # a busy machine must not turn a limit into an outage
        "models": models,
        "keys": [
            {"id": "test", "customer": "tester", "secret": "env:TEST_KEY"},
            {**limited, "limits": {"requests_per_minute": 1}},
        ],
    }
    with running(tmp_path_factory.mktemp("sdk-node"), config, {"LIMITED_KEY": LIMITED_KEY}) as gateway:
        script = subprocess.run(
            [node, "script.mjs"],
            cwd=PROJECT,
            env={
                "PATH": os.environ["PATH"],
                "GATEWAY_BASE": gateway.base,
                "GATEWAY_KEY": gateway.key,
                "GATEWAY_LIMITED_KEY": LIMITED_KEY,
            },
            capture_output=True,
            timeout=SCRIPT_S,
            check=False,
        )
        assert (0, b"") == (script.returncode, script.stderr)
        yield Ran(gateway, orjson.loads(script.stdout))


def _install(npm: str) -> None:
    """Fetch what the lock file names, once; two test processes do not do it at the same time."""
    lock = PROJECT / "package-lock.json"
    digest = sha256(lock.read_bytes()).hexdigest()
    stamp = PROJECT / "node_modules" / ".installed-from"
    with lock.open("rb") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # let go when the file is closed
        if stamp.exists() and digest == stamp.read_text():
            return
        try:
            done = subprocess.run(
                [
                    npm,
                    "ci",
                    "--ignore-scripts",
                    "--no-audit",
                    "--no-fund",
                    "--fetch-retries=2",
                    "--fetch-retry-mintimeout=1000",
                    "--fetch-retry-maxtimeout=5000",
                ],
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=FETCH_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            _no_package(f"npm ci took longer than {FETCH_S:g} s")
        if done.returncode == 0:
            stamp.write_text(digest)
        elif (sign := _NO_NETWORK.search(done.stderr)) is not None:
            _no_package(f"npm ci has no network: {sign[0]}")
        else:
            pytest.fail(f"npm ci failed: {done.stderr}")


def _no_package(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def text_of(chunks: Chunks, index: int = 0) -> str:
    return "".join(
        choice["delta"].get("content") or ""
        for chunk in chunks
        for choice in chunk["choices"]
        if choice["index"] == index
    )


def finishes(chunks: Chunks, index: int = 0) -> list[str]:
    return [
        choice["finish_reason"]
        for chunk in chunks
        for choice in chunk["choices"]
        if choice["index"] == index and choice["finish_reason"] is not None
    ]


def with_facts(chunks: Chunks) -> list[int]:
    """Where chunks stand that have usage or block."""
    return [place for place, chunk in enumerate(chunks) if chunk.get("usage") or "headgate" in chunk]


def check_facts(answer: dict[str, Any], model: str) -> None:
    """The answer says what ran and what it cost, at the prices of this file's configuration."""
    usage, block = answer["usage"], answer["headgate"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    # A token of a one-dollar-a-million price costs one micro-dollar; a cached one a tenth, rounded up in all.
    tenths = (usage["prompt_tokens"] - cached) * 10 + cached + usage["completion_tokens"] * 20
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]
    assert -(-tenths // 10) == round(usage["cost"] * 1_000_000)
    assert usage["cost"] == block["cost_usd"]
    assert "cost_details" in usage
    assert (model, "sandbox", None) == (block["model"], block["provider"], block["tier"])
    assert "named" == block["decision"]["source"]
    assert ["ok"] == [attempt["outcome"] for attempt in block["attempts"]]


def log_line(gateway: RunningGateway, request_id: str) -> dict[str, Any]:
    """The gateway's line on a request, waited for: it is written when all is over."""
    deadline_s = time.monotonic() + WAIT_S
    while time.monotonic() < deadline_s:
        whole, _, _ = gateway.log.read_bytes().rpartition(b"\n")
        for line in whole.split(b"\n"):
            if request_id.encode() in line:
                members: dict[str, Any] = orjson.loads(line)
                return members
        time.sleep(_POLL_S)
    raise AssertionError(f"no log line for {request_id} within {WAIT_S} s")


@pytest.mark.parametrize("path", ["/v1", "/api/v1"])
def test_plain(ran: Ran, path: str) -> None:
    """A plain answer is whole and says what it cost, under both base addresses."""
    seen = ran.seen(f"plain {path}")
    answer = seen["answer"]
    assert ["stop"] == [choice["finish_reason"] for choice in answer["choices"]]
    assert answer["choices"][0]["message"]["content"]
    assert seen["requestId"] == answer["headgate"]["request_id"]
    check_facts(answer, "sandbox-small")


@pytest.mark.parametrize("path", ["/v1", "/api/v1"])
def test_stream(ran: Ran, path: str) -> None:
    """Without `include_usage` every chunk has a choice, and usage and block ride on the last one alone."""
    chunks = ran.seen(f"stream {path}")
    assert [1] * len(chunks) == [len(chunk["choices"]) for chunk in chunks]
    assert ran.seen(f"plain {path}")["answer"]["choices"][0]["message"]["content"] == text_of(chunks)
    assert ["stop"] == finishes(chunks) == finishes(chunks[-1:])
    assert [len(chunks) - 1] == with_facts(chunks)
    check_facts(chunks[-1], "sandbox-small")


def test_stream_with_usage(ran: Ran) -> None:
    """With `include_usage` the finish chunk has no usage, and one chunk without choices follows it with the facts."""
    chunks = ran.seen("stream with usage")
    assert ["stop"] == finishes(chunks) == finishes(chunks[-2:])
    assert [] == chunks[-1]["choices"]
    assert [len(chunks) - 1] == with_facts(chunks)
    check_facts(chunks[-1], "sandbox-large")


def test_stream_helper(ran: Ran) -> None:
    """The package's own stream helper accumulates the same answer, usage included."""
    seen = ran.seen("stream helper")
    assert seen["text"]
    assert seen["text"] == seen["final"]["choices"][0]["message"]["content"]
    assert seen["final"]["usage"]["completion_tokens"] > 0


def test_tools_streamed_then_answered(ran: Ran) -> None:
    """Two calls' arguments, assembled from a stream, are whole JSON; their results then lead to text."""
    seen = ran.seen("tools")
    assert ["tool_calls"] == seen["reasons"]
    functions = [call["function"] for call in seen["calls"]]
    assert ["get_weather", "read_clock"] == [each["name"] for each in functions]
    arguments = [orjson.loads(each["arguments"]) for each in functions]
    assert [{"city", "days"}, {"zone"}] == [set(each) for each in arguments]
    assert isinstance(arguments[0]["days"], int)
    choice = seen["answer"]["choices"][0]
    assert "stop" == choice["finish_reason"]
    assert "drizzle-in-paris" in choice["message"]["content"]
    assert "half-past-nine" in choice["message"]["content"]


def test_run_tools(ran: Ran) -> None:
    """The package's own tool loop ends: both functions run once, and the last text holds their results."""
    seen = ran.seen("run tools")
    assert ["get_weather", "read_clock"] == [name for name, _ in seen["called"]]
    assert [{"city", "days"}, {"zone"}] == [set(given) for _, given in seen["called"]]
    assert "result-of-get_weather" in seen["text"]
    assert "result-of-read_clock" in seen["text"]


def test_structured_output(ran: Ran) -> None:
    """An answer in the shape of a schema is that, plain and streamed."""
    seen = ran.seen("structured")
    person = seen["person"]
    assert {"name": str, "age": int, "nicknames": list} == {
        name: type(value) for name, value in person.items()
    }
    assert person["age"] >= 18
    assert person == orjson.loads(text_of(seen["chunks"]))


def test_image_input(ran: Ran) -> None:
    """Content parts with an image arrive: the answer counts them, and the prompt is dearer than its text."""
    seen = ran.seen("image")
    assert "image" in seen["shown"]["choices"][0]["message"]["content"]
    assert seen["shown"]["usage"]["prompt_tokens"] > seen["told"]["usage"]["prompt_tokens"]


def test_two_choices(ran: Ran) -> None:
    """`n: 2` gives two different choices, each with one finish reason, and usage once."""
    seen = ran.seen("two choices")
    chunks, plain = seen["chunks"], seen["plain"]["choices"]
    assert [text_of(chunks, each) for each in (0, 1)] == [choice["message"]["content"] for choice in plain]
    assert text_of(chunks, 0) != text_of(chunks, 1)
    assert [["stop"], ["stop"]] == [finishes(chunks, each) for each in (0, 1)]
    assert [len(chunks) - 1] == with_facts(chunks)
    check_facts(chunks[-1], "sandbox-small")


def test_logprobs(ran: Ran) -> None:
    """Log probabilities come through, plain and streamed, for each token of the text."""
    seen = ran.seen("logprobs")
    choice = seen["plain"]["choices"][0]
    tokens = choice["logprobs"]["content"]
    assert choice["message"]["content"] == "".join(token["token"] for token in tokens)
    assert {2} == {len(token["top_logprobs"]) for token in tokens}
    streamed = [
        token
        for chunk in seen["chunks"]
        if chunk["choices"][0]["logprobs"] is not None
        for token in chunk["choices"][0]["logprobs"]["content"]
    ]
    assert tokens == streamed


def test_reasoning(ran: Ran) -> None:
    """Reasoning streams before the text and is counted; `reasoning_effort` travels on."""
    seen = ran.seen("reasoning")
    deltas = [choice["delta"] for chunk in seen["chunks"] for choice in chunk["choices"]]
    kinds = [
        "thought" if delta.get("reasoning_content") else "text"
        for delta in deltas
        if delta.get("content") or delta.get("reasoning_content")
    ]
    assert {"thought", "text"} == set(kinds)
    assert sorted(kinds, reverse=True) == kinds
    details = seen["chunks"][-1]["usage"]["completion_tokens_details"]
    assert kinds.count("thought") == details["reasoning_tokens"]
    silent = seen["silent"]["choices"][0]["message"]
    assert silent["content"]
    assert not silent.get("reasoning_content")


@pytest.mark.parametrize("way", ["controller", "break"])
def test_abort(ran: Ran, way: str) -> None:
    """A stream that is aborted or left in the middle ends the request: the gateway's log says `client_gone`."""
    seen = ran.seen(f"abort by {way}")
    assert seen["seen"] >= 1
    line = log_line(ran.gateway, seen["requestId"])
    assert ("client_gone", 499) == (line["headgate.outcome"], line["http.response.status_code"])
    assert line["headgate.usage.estimated"] is True
    assert 0 < line["gen_ai.usage.output_tokens"] < 20_000


def test_wrong_key(ran: Ran) -> None:
    """A wrong key is an AuthenticationError with OpenAI's code."""
    error = ran.seen("wrong key")
    assert ("AuthenticationError", 401, "invalid_api_key") == (error["name"], error["status"], error["code"])
    assert error["requestId"].startswith("req-")


@pytest.mark.parametrize("case", ["unknown model", "unknown model, streamed"])
def test_unknown_model(ran: Ran, case: str) -> None:
    """A misspelt model is a NotFoundError, before any stream begins, and the message names the near miss."""
    error = ran.seen(case)
    assert ("NotFoundError", 404, "model_not_found", "model") == (
        error["name"],
        error["status"],
        error["code"],
        error["param"],
    )
    assert "`sandbox-small`" in error["message"]


def test_bad_request(ran: Ran) -> None:
    """What the provider refuses is a BadRequestError with the provider's own message."""
    error = ran.seen("bad request")
    assert ("BadRequestError", 400) == (error["name"], error["status"])
    assert "Invalid 'temperature'" in error["message"]
    assert "provider" == error["body"]["source"]


def test_rate_limit(ran: Ran) -> None:
    """Above its requests per minute a key gets RateLimitError, which says when to try again."""
    seen = ran.seen("rate limit")
    error = seen["error"]
    assert ["1", "0"] == seen["said"]
    assert ("RateLimitError", 429, "rate_limit_exceeded") == (error["name"], error["status"], error["code"])
    assert 1 <= int(error["retryAfter"]) <= 60


@pytest.mark.parametrize("path", ["/v1", "/api/v1"])
def test_models(ran: Ran, path: str) -> None:
    """`models.list` shows what the key may ask for and `retrieve` one of them; an unknown one is NotFoundError."""
    seen = ran.seen(f"models {path}")
    assert {"sandbox-small", "sandbox-large", "sandbox-reasoning"} <= set(seen["listed"])
    assert ("sandbox-large", "model", "sandbox") == tuple(
        seen["one"][name] for name in ("id", "object", "owned_by")
    )
    assert "NotFoundError" == seen["error"]["name"]
    assert "`sandbox-large`" in seen["error"]["message"]
