"""Recorded answers through a real gateway, read by the `openai` package: they read as they do from the provider."""

import asyncio
import base64
import socket
from array import array
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

import openai
import orjson
import pytest
import pytest_asyncio

from tests.support import recordings
from tests.support.observed import (
    MARK,
    Difference,
    Differences,
    Failure,
    accumulated,
    asking,
    check,
    check_table,
    chunks_of,
    connected,
    of_chunks,
    of_completion,
    of_error,
    player,
)
from tests.support.recordings import Recording
from tests.support.site import Site, config, model, provider, site

pytestmark = pytest.mark.asyncio(loop_scope="module")

STREAMS: Final = recordings.chat_streams()
ANSWERS: Final = recordings.chat_answers()
EMBEDDINGS: Final = recordings.embeddings()
EVERY: Final = (*STREAMS, *ANSWERS, *EMBEDDINGS)

_MAPPED: Final = Difference(
    "tool_calls", "not one of OpenAI's finish reasons: mapped, the original in `native_finish_reason`"
)
_NO_USAGE: Final = (
    "the provider reported no usage, because the recorded client did not ask: estimated and marked"
)

DIFFERENT: Final[Differences] = {
    "azure-chat_completions-unary-tool-call-3153d2fd-0": {"finish_reason": _MAPPED},
    "azure-chat_completions-unary-tool-call-ffcf9d92-0": {"finish_reason": _MAPPED},
    "groq-chat_completions-stream-mid-stream-error-04de9b26-0": {
        "failure": Difference(
            Failure(
                "BadRequestError",
                "bad_request",
                "Error code: 400 - tool call validation failed: parameters for tool structured_output did not match"
                " schema: errors: [`/age`: expected integer, but got string]",
            ),
            "nothing came before the error, so it is answered with a status, the kind as its code",
        )
    },
    "groq-chat_completions-stream-mid-stream-error-502763c7-0": {
        "failure": Difference(
            Failure(
                "APIError",
                "400",
                "Tool call validation failed: tool call validation failed: parameters for tool get_something_by_name"
                " did not match schema: errors: [missing properties: 'name', additionalProperties 'invalid_param' not"
                " allowed]",
            ),
            "after content an error frame has OpenRouter's shape: the code is a status, the provider's in `metadata`",
        )
    },
    "openrouter-chat_completions-stream-mid-stream-error-d5ef0d15-0": {
        "failure": Difference(
            Failure(
                "InternalServerError",
                "unreachable",
                "Error code: 502 - Upstream error from Venice: EngineCore encountered an issue. See stack trace"
                " (above) for the root cause.",
            ),
            "nothing came before the error, so it is answered with a status, the kind as its code",
        )
    },
    "openai-chat_completions-stream-parallel-tool-calls-2e86a753-0": {
        "usage": Difference({"completion_tokens": 13, "estimated": True}, _NO_USAGE)
    },
    "openai-chat_completions-stream-parallel-tool-calls-49583eab-1": {
        "usage": Difference({"completion_tokens": 15, "estimated": True}, _NO_USAGE)
    },
    "vllm-chat_completions-stream-text-eca1180b-0": {
        "usage": Difference({"completion_tokens": 20, "estimated": True}, _NO_USAGE)
    },
}

NOT_ACCUMULATED: Final[Mapping[str, str]] = {
    "openrouter-chat_completions-stream-citations-3b7de13e-0": (
        "citations come without the index that the accumulator wants in every list of a delta"
    )
}

# Members of the first choice of a plain answer that are not as the provider sent them.
_THOUGHT: Final = (
    'Okay, the user has asked "What is 2+2?" This is a simple arithmetic question. I know that 2+2 equals 4. So, the'
    " answer should be straightforward."
)
REWRITTEN: Final[Mapping[str, Mapping[str, Any]]] = {
    "azure-chat_completions-unary-tool-call-3153d2fd-0": {
        "finish_reason": "tool_calls",
        "native_finish_reason": "tool_call",
    },
    "azure-chat_completions-unary-tool-call-ffcf9d92-0": {
        "finish_reason": "tool_calls",
        "native_finish_reason": "tool_call",
    },
    "mistral-chat_completions-unary-reasoning-991b3284-0": {
        "message": {
            "role": "assistant",
            "tool_calls": None,
            "content": "What is 2+2?\n\\[ 2 + 2 = 4 \\]\n\n${answer}",
            "reasoning_content": _THOUGHT,
            "reasoning": _THOUGHT,
        }
    },
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def configure(listener: socket.socket) -> dict[str, Any]:
        names = sorted({"openai", *(recording.adapter for recording in EVERY)})
        providers = {name: provider(listener, f"/{name}/v1", adapter=name) for name in names}
        return config(providers, [model(name, name) for name in names], routing={"retries": 0})

    with site(tmp_path_factory.mktemp("observed"), configure) as place:
        yield place


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(place: Site) -> AsyncIterator[openai.AsyncOpenAI]:
    async with place.upstream(player(EVERY)), connected(place.gateway) as made:
        yield made


@pytest.mark.parametrize("recording", recordings.parameters(STREAMS))
async def test_streams(client: openai.AsyncOpenAI, recording: Recording) -> None:
    """A stream reads as noted, usage asked for or not."""
    wanted, unwanted = await asyncio.gather(
        *(chunks_of(client, recording, usage_wanted=wanted) for wanted in (True, False))
    )
    for chunks, error in (wanted, unwanted):
        check(recording, of_chunks(chunks) if error is None else of_error(error), DIFFERENT)


@pytest.mark.parametrize("recording", recordings.parameters(STREAMS))
async def test_accumulated_streams(client: openai.AsyncOpenAI, recording: Recording) -> None:
    """The package's own accumulator, which its stream helper uses, makes the same of a stream."""
    chunks, error = await chunks_of(client, recording, usage_wanted=True)
    if recording.id in NOT_ACCUMULATED:
        with pytest.raises(RuntimeError, match="to have an `index` key"):
            accumulated(chunks)
        return
    check(recording, accumulated(chunks) if error is None else of_error(error), DIFFERENT)


@pytest.mark.parametrize("recording", recordings.parameters(ANSWERS))
async def test_answers(client: openai.AsyncOpenAI, recording: Recording) -> None:
    """A plain answer reads as noted, and what is neither usage nor block nor rewritten is as the provider sent it."""
    raw = await client.chat.completions.with_raw_response.create(**asking(recording))
    check(recording, of_completion(raw.parse()), DIFFERENT)
    sent = orjson.loads(recording.body)
    first, *others = sent["choices"]
    rewritten = {**first, **REWRITTEN.get(recording.id, {})}
    assert (first != rewritten) == (recording.id in REWRITTEN)
    assert without_facts({**sent, "choices": [rewritten, *others]}) == without_facts(
        orjson.loads(raw.content)
    )


@pytest.mark.parametrize("recording", recordings.parameters(EMBEDDINGS))
async def test_embeddings(client: openai.AsyncOpenAI, recording: Recording) -> None:
    """Vectors, asked for in the recorded form, are the provider's, as many and as long as noted."""
    raw = await client.embeddings.with_raw_response.create(
        **embedding(recording), encoding_format=recording.request["encoding_format"]
    )
    sent, answer = orjson.loads(recording.body), raw.parse()
    note = recordings.observed()[recording.id]
    assert (note["n"], note["dim"]) == (len(answer.data), len(answer.data[0].embedding))
    assert [each["embedding"] for each in sent["data"]] == [each.embedding for each in answer.data]
    assert without_facts(sent) == without_facts(orjson.loads(raw.content))
    reported = {name: value for name, value in sent["usage"].items() if value is not None}
    assert reported.items() <= answer.usage.model_dump().items()


@pytest.mark.parametrize("recording", recordings.parameters(EMBEDDINGS))
async def test_embeddings_as_numbers(client: openai.AsyncOpenAI, recording: Recording) -> None:
    """Without a form the package asks for base64 and decodes what it gets: the same numbers come out."""
    answer = await client.embeddings.create(**embedding(recording))
    vectors = [each["embedding"] for each in orjson.loads(recording.body)["data"]]
    expected = [
        array("f", base64.b64decode(vector)).tolist() if isinstance(vector, str) else vector
        for vector in vectors
    ]
    assert expected == [each.embedding for each in answer.data]


async def test_the_tables() -> None:
    """Each difference listed is of a recording that is there."""
    check_table(DIFFERENT, EVERY)
    check_table(NOT_ACCUMULATED, STREAMS)
    check_table(REWRITTEN, ANSWERS)


def embedding(recording: Recording) -> dict[str, Any]:
    """Arguments of a call for embeddings that the recording is to answer."""
    return {"model": recording.adapter, "input": "some text", "extra_body": {MARK: recording.id}}


def without_facts(answer: Mapping[str, Any]) -> dict[str, Any]:
    """All that the gateway adds nothing to."""
    return {name: value for name, value in answer.items() if name not in {"usage", "headgate"}}
