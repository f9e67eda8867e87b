"""Recorded answers in other dialects through a real gateway, read by the `openai` package.

They mean what the vendors' own packages make of the same bytes.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

import openai
import orjson
import pytest
import pytest_asyncio

from tests.support import recordings
from tests.support.foreign_place import NAMES, foreign_providers
from tests.support.observed import (
    Call,
    Difference,
    Differences,
    Failure,
    Reading,
    accumulated,
    check,
    check_table,
    chunks_of,
    connected,
    of_chunks,
    of_completion,
    of_error,
    player,
)
from tests.support.observed_foreign import (
    adapter_of,
    asking_for,
    comparable,
    in_openais_words,
    named_in_words,
)
from tests.support.openai_schema import check_answer, check_chunk
from tests.support.recordings import Recording
from tests.support.site import Site, config, model, site
from tests.support.translating import foreign_answers, foreign_errors, foreign_streams

pytestmark = pytest.mark.asyncio(loop_scope="module")

STREAMS: Final = foreign_streams()
ANSWERS: Final = foreign_answers()
ERRORS: Final = foreign_errors()
EVERY: Final = (*STREAMS, *ANSWERS, *ERRORS)

_READABLE: Final = (
    "the note is of summaries alone; this model lets its reasoning itself be read, and it comes out as such"
)
_REFUSAL: Final = (
    "the package keeps a refusal apart from texts, and the note leaves it out; it is `refusal` here"
)

DIFFERENT: Final[Differences] = {
    "bedrock-converse-unary-document-in-020d2c14-0": {
        "text": Difference(
            "The Ruby programming language was created by Yukihiro Matsumoto in 1993.",
            "all of it is cited, and the note leaves out texts that are",
        )
    },
    "cohere-v2_chat-stream-tool-call-1878609d-0": {
        "tool_calls": Difference(
            (Call("best_language_to_learn_wf0rc70sqj7v", "best_language_to_learn", "{}"),),
            "nothing was written for a call without arguments, which clients of OpenAI's read as JSON all the same",
        )
    },
    "deepseek-responses-stream-tool-call-d6c16d85-0": {
        "reasoning": Difference("The user asks about temperature in Tokyo. I'll call the tool.", _READABLE)
    },
    "lmstudio-responses-unary-reasoning-2fb0c648-0": {
        "reasoning": Difference("reasoning content", _READABLE)
    },
    "openai-responses-stream-mid-stream-error-8b15f39f-0": {
        "failure": Difference(
            Failure(
                "RateLimitError",
                "rate_limited",
                "Error code: 429 - You exceeded your current quota, please check your plan and billing details. For"
                " more information on this error, read the docs:"
                " https://platform.openai.com/docs/guides/error-codes/api-errors.",
            ),
            "nothing came before the error, so it is answered with a status, the kind as its code",
        )
    },
    "openai-responses-stream-refusal-f26091c7-0": {
        "refusal": Difference("I'm sorry, I can't assist with that.", _REFUSAL)
    },
    "openai-responses-unary-refusal-31f40594-0": {
        "refusal": Difference("I'm very sorry, but I can't assist with that.", _REFUSAL)
    },
}

AUTH: Final = (502, "auth", "auth")
OVERFLOW: Final = (400, "context_length_exceeded", "bad_request")
RATE_LIMITED: Final = (429, "rate_limited", "rate_limited")

# The gateway's status and code, and the outcome of the one attempt; its status is the recorded one. A provider that
# does not have the model it is configured with leaves the gateway nobody to ask, as one that refuses the key.
REFUSED: Final[Mapping[str, tuple[int, str, str]]] = {
    "anthropic-messages-unary-error-400-bb71aba1-0": OVERFLOW,
    "anthropic-messages-unary-error-401-648902d1-0": AUTH,
    "anthropic-messages-unary-error-404-e493deb2-1": AUTH,
    "bedrock-converse-unary-error-400-05c2cb13-0": OVERFLOW,
    "cohere-v2_chat-unary-error-401-fa94e947-0": AUTH,
    "cohere-v2_chat-unary-error-404-13f656b4-0": AUTH,
    "gemini-generateContent-unary-error-403-689a384d-0": AUTH,
    "gemini-generateContent-unary-error-404-fcd204a3-0": AUTH,
    "gemini-generateContent-unary-error-429-0c20f8d4-0": RATE_LIMITED,
    "vertex-generateContent-unary-error-400-d81aaeb8-1": OVERFLOW,
    "vertex-generateContent-unary-error-403-30020302-0": AUTH,
    "vertex-generateContent-unary-error-404-16d37e68-0": AUTH,
    "vertex-generateContent-unary-error-429-61c8ce3c-0": RATE_LIMITED,
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def configure(listener: socket.socket) -> dict[str, Any]:
        models = [model(name, name) for name in NAMES]
        return config(foreign_providers(listener), models, routing={"retries": 0})

    with site(tmp_path_factory.mktemp("observed-foreign"), configure) as place:
        yield place


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(place: Site) -> AsyncIterator[openai.AsyncOpenAI]:
    async with place.upstream(player(EVERY, named_in_words)), connected(place.gateway) as made:
        yield made


def arguments(recording: Recording) -> dict[str, Any]:
    """Of a call that the recording is to answer."""
    return {
        "model": adapter_of(recording),
        "messages": asking_for(recording),
        "n": openai.omit,
        "extra_body": None,
    }


@pytest.mark.parametrize("recording", recordings.parameters(STREAMS))
async def test_streams(client: openai.AsyncOpenAI, recording: Recording) -> None:
    """A stream means what was noted, usage asked for or not, and each chunk is complete."""
    both = await asyncio.gather(
        *(
            chunks_of(client, recording, usage_wanted=wanted, **arguments(recording))
            for wanted in (True, False)
        )
    )
    for chunks, error in both:
        for chunk in chunks:
            check_chunk(chunk.to_dict(mode="json"))
        check_reading(recording, of_chunks(chunks) if error is None else of_error(error))


@pytest.mark.parametrize("recording", recordings.parameters(ANSWERS))
async def test_answers(client: openai.AsyncOpenAI, recording: Recording) -> None:
    """A plain answer means what was noted and is complete."""
    raw = await client.chat.completions.with_raw_response.create(**arguments(recording))
    check_answer(orjson.loads(raw.content))
    check_reading(recording, of_completion(raw.parse()))


@pytest.mark.parametrize("recording", recordings.parameters(STREAMS))
async def test_accumulated_streams(client: openai.AsyncOpenAI, recording: Recording) -> None:
    """The package's own accumulator, which its stream helper uses, makes the same of a stream."""
    chunks, error = await chunks_of(client, recording, usage_wanted=True, **arguments(recording))
    check_reading(recording, accumulated(chunks) if error is None else of_error(error))


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("recording", recordings.parameters(ERRORS))
async def test_errors(client: openai.AsyncOpenAI, recording: Recording, *, stream: bool) -> None:
    """An error answer has the kind and the status that its meaning has, streamed or not, and its attempt says so."""
    with pytest.raises(openai.APIStatusError) as raised:
        await client.chat.completions.create(**arguments(recording), stream=stream)
    error = raised.value
    said = error.response.json()
    (attempt,) = said["headgate"]["attempts"]
    status, code, outcome = REFUSED[recording.id]
    assert (status, code) == (error.status_code, error.code)
    assert (outcome, recording.status) == (attempt["outcome"], attempt["status"])
    assert "provider" == said["error"]["source"]


async def test_the_tables() -> None:
    """Each entry is of a recording that is there, and no error is missing."""
    check_table(DIFFERENT, EVERY)
    check_table(REFUSED, ERRORS)
    assert set() == {recording.id for recording in ERRORS} - REFUSED.keys()


def check_reading(recording: Recording, actual: Reading) -> None:
    """The answer means what was noted."""
    check(recording, comparable(recording, actual), DIFFERENT, in_openais_words(recording))
