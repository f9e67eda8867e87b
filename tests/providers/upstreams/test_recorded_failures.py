"""Every recorded error of the family comes out as a person would read it."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

import orjson
import pytest

from providers.types import UpstreamError
from providers.upstreams import failures
from providers.upstreams.failures import Rule, classify, from_body
from tests.support import recordings
from tests.support.recordings import DIRECTORY, Recording, chunk_of, frames_of

FAMILY: Final = frozenset(
    {
        "azure", "cerebras", "deepseek", "doubleword", "groq", "huggingface", "llamacpp", "lmstudio", "mistral",
        "moonshot", "ollama", "openai", "openrouter", "perplexity", "qwen", "together", "vllm", "xai", "zai",
    }
)  # fmt: skip
ENDPOINTS: Final = frozenset({"chat.completions", "embeddings", "models"})
RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "groq": failures.GROQ,
    "ollama": failures.LOCAL,
    "openrouter": failures.OPENROUTER,
    "qwen": failures.DASHSCOPE,
}


class Expected(NamedTuple):
    kind: str
    status: int
    again: bool
    retry_after_s: float | None = None
    context_overflow: bool = False


AUTH_401: Final = Expected("auth", 401, again=False)
AUTH_403: Final = Expected("auth", 403, again=False)
AUTH_404: Final = Expected("auth", 404, again=False)
BAD: Final = Expected("bad_request", 400, again=False)
TOO_LONG: Final = Expected("bad_request", 400, again=False, context_overflow=True)

RECORDED: Final[Mapping[str, Expected]] = {
    # Sent for a prompt beyond the model, but nothing in it says so: it reads like any other rate limit.
    "azure-chat_completions-unary-error-429-9d03c0df-0": Expected(
        "rate_limited", 429, again=True, retry_after_s=1.0
    ),
    "azure-embeddings-unary-error-401-8412b1a6-2": AUTH_401,
    "deepseek-chat_completions-unary-error-400-44417ec1-0": TOO_LONG,
    "deepseek-chat_completions-unary-error-401-dc95eebd-0": AUTH_401,
    "groq-chat_completions-stream-mid-stream-error-04de9b26-0": BAD,
    "groq-chat_completions-stream-mid-stream-error-502763c7-0": BAD,
    "groq-chat_completions-unary-error-400-ed9b204c-0": BAD,
    "groq-chat_completions-unary-error-404-2f12b1c4-0": AUTH_404,
    "groq-models-unary-error-401-7e7839b9-0": AUTH_401,
    "mistral-chat_completions-unary-error-400-0e295c86-0": BAD,
    "mistral-chat_completions-unary-error-401-170a7d3c-0": AUTH_401,
    "ollama-chat_completions-unary-error-400-aef380be-0": TOO_LONG,
    "ollama-chat_completions-unary-error-401-14f9d8eb-0": AUTH_401,
    "openai-chat_completions-unary-error-400-d28fb141-0": BAD,
    "openai-chat_completions-unary-error-401-3483f9a4-0": AUTH_401,
    "openai-embeddings-unary-error-404-7bb5f815-0": AUTH_404,
    "openrouter-chat_completions-stream-mid-stream-error-c966a437-0": BAD,
    "openrouter-chat_completions-stream-mid-stream-error-d5ef0d15-0": Expected(
        "unreachable", 502, again=True
    ),
    "openrouter-chat_completions-unary-error-400-31fcecac-0": TOO_LONG,
    "openrouter-chat_completions-unary-error-401-f017124e-0": AUTH_401,
    "openrouter-chat_completions-unary-error-403-14605fed-0": AUTH_403,
    "openrouter-chat_completions-unary-error-404-e68fc75a-0": AUTH_404,
    # Answered at 15:40:34, to be tried again at 15:41:00.
    "openrouter-chat_completions-unary-error-429-25c57fd1-1": Expected(
        "rate_limited", 429, again=True, retry_after_s=26.0
    ),
    "qwen-chat_completions-unary-error-401-fd792e1d-1": AUTH_401,
}


def recorded_errors() -> dict[str, Recording]:
    """Every error of the family, under an error status or inside a stream."""
    if not DIRECTORY.is_dir():
        return {}
    index = orjson.loads((DIRECTORY / "index.json").read_bytes())
    return {
        entry["id"]: recordings._read(DIRECTORY / entry["file"])
        for entry in index
        if entry["provider"] in FAMILY
        and entry["endpoint"] in ENDPOINTS
        and (entry["status"] >= 400 or "mid_stream_error" in entry["features"])
    }


@pytest.fixture(scope="module")
def errors() -> dict[str, Recording]:
    found = recorded_errors()
    if not found:
        pytest.skip("no recorded exchanges beside the project")
    return found


def test_no_recorded_error_is_missing(errors: dict[str, Recording]) -> None:
    """The table below names every recorded error of the family."""
    assert sorted(RECORDED) == sorted(errors)


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_recorded_errors(name: str, errors: dict[str, Recording]) -> None:
    """Each has the kind, delay and course a person would give it, and shows something a person can read."""
    made = judged(errors[name])
    seen = Expected(made.kind, made.status, made.again, made.retry_after_s, made.context_overflow)
    assert RECORDED[name] == seen
    assert made.message
    assert not made.message.startswith(("{", "<"))
    assert "*" not in made.message


def judged(recording: Recording) -> UpstreamError:
    """The error of a recording, read with its provider's rules at the time it was recorded."""
    date = recording.headers.get("date")
    now_s = None if date is None else parsedate_to_datetime(date).timestamp()
    rules = RULES.get(recording.provider, ())
    if recording.status >= 400:
        return classify(recording.status, recording.headers, recording.body, now_epoch_s=now_s, rules=rules)
    chunks = [chunk_of(frame) for frame in frames_of(recording.body)]
    (problem,) = [chunk["error"] for chunk in chunks if chunk is not None and chunk.get("error")]
    return from_body(problem, status=200, now_epoch_s=now_s, rules=rules)
