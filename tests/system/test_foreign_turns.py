"""Conversations that go on: what a provider's answer held comes back to it by way of an OpenAI client.

Ids of calls, signed and secret reasoning, signatures of parts and results of tools, as each provider needs them.
"""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import openai
import pytest
import pytest_asyncio
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from tests.support import foreign, recordings
from tests.support.foreign_blocks import Turn, owed, sent_back
from tests.support.foreign_place import foreign_providers
from tests.support.observed import connected, player
from tests.support.observed_foreign import adapter_of, model_names
from tests.support.recordings import Recording
from tests.support.site import HELLO, Site, config, model, site
from tests.support.translating import ADAPTERS, foreign_answers, foreign_streams

pytestmark = pytest.mark.asyncio(loop_scope="module")

_KEPT: Final = frozenset({"tool_call", "reasoning_signature", "reasoning_encrypted", "reasoning_opaque"})
STREAMS: Final = tuple(recording for recording in foreign_streams() if _KEPT & recording.features)
ANSWERS: Final = tuple(recording for recording in foreign_answers() if _KEPT & recording.features)
EVERY: Final = {recording.id: recording for recording in (*foreign_streams(), *foreign_answers())}
PAIRS: Final = tuple(
    (EVERY[first], EVERY[second])
    for first, second, *_ in (turns for turns in foreign.groups().values() if len(turns) > 1)
    if first in EVERY and second in EVERY
)

Arguments = Mapping[str, Any]
Message = dict[str, Any]
Ask = Callable[[openai.AsyncOpenAI, Arguments], Awaitable[Message]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def configure(listener: socket.socket) -> dict[str, Any]:
        asked = {public_name(each): (adapter_of(each), model_names()[each.id]) for each in EVERY.values()}
        models = [
            model(name, adapter, backends=[{"provider": adapter, "model": own}])
            for name, (adapter, own) in sorted(asked.items())
        ]
        return config(foreign_providers(listener), models, routing={"retries": 0})

    with site(tmp_path_factory.mktemp("foreign-turns"), configure) as place:
        yield place


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(place: Site) -> AsyncIterator[openai.AsyncOpenAI]:
    async with connected(place.gateway) as made:
        yield made


@pytest.mark.parametrize("recording", recordings.parameters(ANSWERS))
async def test_answers(place: Site, client: openai.AsyncOpenAI, recording: Recording) -> None:
    """The message of a plain answer, sent back as it came."""
    message, turn = await two_turns(place, client, recording, whole)
    assert owed(recording) == turn.said
    check_results(recording, message, turn)


@pytest.mark.parametrize("recording", recordings.parameters(STREAMS))
async def test_streams(place: Site, client: openai.AsyncOpenAI, recording: Recording) -> None:
    """The message of a stream, gathered as applications do it: what the pieces list, one behind the other."""
    message, turn = await two_turns(place, client, recording, gathered)
    assert owed(recording) == turn.said
    check_results(recording, message, turn)


@pytest.mark.parametrize("recording", recordings.parameters(STREAMS))
async def test_the_stream_helper(place: Site, client: openai.AsyncOpenAI, recording: Recording) -> None:
    """The message of a stream as the package's own helper makes it."""
    message, turn = await two_turns(place, client, recording, accumulated)
    assert owed(recording) == turn.said
    check_results(recording, message, turn)


@pytest.mark.parametrize(
    ("first", "second"),
    [pytest.param(first, second, id=second.id) for first, second in PAIRS],
)
async def test_recorded_pairs(
    place: Site, client: openai.AsyncOpenAI, first: Recording, second: Recording
) -> None:
    """What the recorded client sent back in the second turn is sent back here; we may remember more than it did."""
    dialect = ADAPTERS[first.provider, first.endpoint]
    recorded = sent_back(dialect, second.request)
    texts = [text for _, text in recorded.results]
    ask = gathered if first.stream else whole
    _, turn = await two_turns(place, client, first, ask, second, texts)
    assert recorded.said
    assert recorded.said == [block for block in turn.said if block in recorded.said]
    assert recorded.results == turn.results


async def test_there_are_pairs() -> None:
    """There are conversations of which two turns were recorded."""
    assert PAIRS or not EVERY


async def two_turns(
    place: Site,
    client: openai.AsyncOpenAI,
    first: Recording,
    ask: Ask,
    second: Recording | None = None,
    texts: Sequence[str] = (),
) -> tuple[Message, Turn]:
    """Ask, and ask again with the answer and the results of what it called; nothing was called: with a question.

    Args:
        second: the recorded answer to the second question; the first one once more unless given.
        texts: of the results.

    Returns:
        The message that was sent back, and what of it the provider got.
    """
    answers = (first, second or first)
    turns = iter(answers)
    async with place.upstream(player(answers, lambda _: next(turns).id)) as upstream:
        arguments: dict[str, Any] = {"model": public_name(first), "messages": HELLO}
        message = await ask(client, arguments)
        calls = message.get("tool_calls") or []
        after: list[Message] = [
            {
                "role": "tool",
                "tool_call_id": call["id"],
                "content": texts[number] if texts else f"result {number}",
            }
            for number, call in enumerate(calls)
        ]
        arguments["messages"] = [*HELLO, message, *(after or HELLO)]
        if calls:
            names = sorted({call["function"]["name"] for call in calls})
            arguments["tools"] = [
                {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
                for name in names
            ]
        await ask(client, arguments)
        assert 2 == len(upstream.exchanges)
        return message, sent_back(ADAPTERS[first.provider, first.endpoint], upstream.exchanges[1].members)


def check_results(recording: Recording, message: Message, turn: Turn) -> None:
    """Each result stands beside its call: by id, at Google by name."""
    calls = message.get("tool_calls") or []
    by_name = ADAPTERS[recording.provider, recording.endpoint] == "gemini"
    keys = [call["function"]["name"] if by_name else call["id"] for call in calls]
    assert [(key, f"result {number}") for number, key in enumerate(keys)] == turn.results


def public_name(recording: Recording) -> str:
    """A model of the gateway's for each model of a provider: what it takes back depends on the model."""
    return f"{adapter_of(recording)}--{model_names()[recording.id]}"


async def whole(client: openai.AsyncOpenAI, arguments: Arguments) -> Message:
    """The message of a plain answer."""
    answer = await client.chat.completions.create(**arguments)
    return answer.choices[0].message.to_dict(mode="json")


async def gathered(client: openai.AsyncOpenAI, arguments: Arguments) -> Message:
    """The message of a stream: texts joined, calls by index, reasoning listed piece by piece."""
    content = ""
    details: list[Any] = []
    calls: dict[int, Any] = {}
    for delta in [choice.delta for chunk in await chunks_of(client, arguments) for choice in chunk.choices]:
        content += delta.content or ""
        details += (delta.model_extra or {}).get("reasoning_details") or []
        for piece in delta.tool_calls or ():
            function = piece.function
            assert function is not None
            call = calls.setdefault(
                piece.index,
                {"id": piece.id, "type": "function", "function": {"name": function.name, "arguments": ""}},
            )
            call["function"]["arguments"] += function.arguments or ""
    message: Message = {"role": "assistant", "content": content or None}
    if details:
        message["reasoning_details"] = details
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return message


async def accumulated(client: openai.AsyncOpenAI, arguments: Arguments) -> Message:
    """The message of a stream, as the package's stream helper makes it."""
    state = ChatCompletionStreamState()
    for chunk in await chunks_of(client, arguments):
        state.handle_chunk(chunk)
    return state.current_completion_snapshot.choices[0].message.to_dict(mode="json")


async def chunks_of(client: openai.AsyncOpenAI, arguments: Arguments) -> list[ChatCompletionChunk]:
    """A stream to its end."""
    return [chunk async for chunk in await client.chat.completions.create(**arguments, stream=True)]
