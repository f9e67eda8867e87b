"""Conversations that go on: what a provider's answer held comes back to it by way of an OpenAI client.

Ids of calls, signed and secret reasoning, signatures of parts and results of tools, as each provider needs them.
"""

import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import openai
import orjson
import pytest
import pytest_asyncio
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from tests.support import recordings
from tests.support.foreign_blocks import owed, sent_back
from tests.support.foreign_place import foreign_providers
from tests.support.observed import connected, player
from tests.support.observed_foreign import adapter_of
from tests.support.recordings import Recording
from tests.support.scripted import Exchange
from tests.support.site import HELLO, Site, config, model, site
from tests.support.translating import ADAPTERS, foreign_answers, foreign_streams

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANSWERED: Final = (*foreign_streams(), *foreign_answers())
KEPT: Final = frozenset({"tool_call", "reasoning_signature", "reasoning_encrypted", "reasoning_opaque"})
STREAMS: Final = tuple(recording for recording in foreign_streams() if KEPT & recording.features)
ANSWERS: Final = tuple(recording for recording in foreign_answers() if KEPT & recording.features)


def models_of() -> Mapping[str, tuple[str, str]]:
    index = orjson.loads((recordings.DIRECTORY / "index.json").read_bytes())
    return {e["id"]: e["model"] for e in index}


MODELS = models_of()


def public(recording):
    return f"{adapter_of(recording)}--{MODELS[recording.id] or 'a-model'}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def configure(listener: socket.socket) -> dict[str, Any]:
        names = {(public(r), adapter_of(r), MODELS[r.id] or "a-model") for r in (*STREAMS, *ANSWERS)}
        models = [model(p, a, backends=[{"provider": a, "model": m}]) for p, a, m in sorted(names)]
        return config(foreign_providers(listener), models, routing={"retries": 0})

    with site(tmp_path_factory.mktemp("foreign-turns"), configure) as place:
        yield place


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(place: Site) -> AsyncIterator[openai.AsyncOpenAI]:
    async with connected(place.gateway) as made:
        yield made


def gathered(chunks: Sequence[ChatCompletionChunk]) -> dict[str, Any]:
    """A message as applications gather it: texts joined, lists put behind one another."""
    content, details, calls = "", [], {}
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        content += choice.delta.content or ""
        details += (choice.delta.model_extra or {}).get("reasoning_details") or []
        for piece in choice.delta.tool_calls or ():
            call = calls.setdefault(
                piece.index, {"id": piece.id, "type": "function", "function": {"name": "", "arguments": ""}}
            )
            call["function"]["name"] += piece.function.name or ""
            call["function"]["arguments"] += piece.function.arguments or ""
    message: dict[str, Any] = {"role": "assistant", "content": content or None}
    if details:
        message["reasoning_details"] = details
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return message


def accumulated(chunks: Sequence[ChatCompletionChunk]) -> dict[str, Any]:
    """A message as the package's stream helper makes it."""
    state = ChatCompletionStreamState()
    for chunk in chunks:
        state.handle_chunk(chunk)
    return state.current_completion_snapshot.choices[0].message.to_dict(mode="json")


async def second(place, client, recording, make) -> tuple[dict[str, Any], dict]:
    async def script(exchange):
        await player([recording], lambda _: recording.id)(exchange)

    async with place.upstream(script) as upstream:
        message = await make(client, {"model": public(recording), "messages": HELLO})
        calls = message.get("tool_calls") or ()
        after = [
            {"role": "tool", "tool_call_id": c["id"], "content": f"result {n}"} for n, c in enumerate(calls)
        ] or [{"role": "user", "content": "go on"}]
        tools = [
            {"type": "function", "function": {"name": n, "parameters": {"type": "object", "properties": {}}}}
            for n in sorted({c["function"]["name"] for c in calls})
        ]
        await make(
            client,
            {
                "model": public(recording),
                "messages": [*HELLO, message, *after],
                **({"tools": tools} if tools else {}),
            },
        )
        return message, upstream.exchanges[1].members


async def plainly(client, arguments):
    answer = await client.chat.completions.create(**arguments)
    return answer.choices[0].message.to_dict(mode="json")


def streaming(join):
    async def make(client, arguments):
        chunks = [c async for c in await client.chat.completions.create(**arguments, stream=True)]
        return join(chunks)

    return make


def check(recording, message, request):
    turn = sent_back(ADAPTERS[recording.provider, recording.endpoint], request)
    print("MSG", orjson.dumps(message).decode()[:3000])
    assert owed(recording) == turn.said


@pytest.mark.parametrize("recording", recordings.parameters(ANSWERS))
async def test_answers(place, client, recording):
    check(recording, *await second(place, client, recording, plainly))


@pytest.mark.parametrize("recording", recordings.parameters(STREAMS))
async def test_streams(place, client, recording):
    check(recording, *await second(place, client, recording, streaming(gathered)))


@pytest.mark.parametrize("recording", recordings.parameters(STREAMS))
async def test_helper(place, client, recording):
    check(recording, *await second(place, client, recording, streaming(accumulated)))
