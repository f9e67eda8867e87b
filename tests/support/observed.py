"""What the `openai` package makes of a recorded answer: as noted beside the recordings, and through the gateway.

The notes were made by serving exactly the recorded bytes to that package. They are of choice 0.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from itertools import accumulate
from typing import Any, Final

import openai
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessageFunctionToolCall,
)
from openai.types.completion_usage import CompletionUsage
from pydantic import BaseModel

from tests.support.gateway import RunningGateway
from tests.support.recordings import Recording, cut, frames_of, observed
from tests.support.scripted import Exchange, Script
from tests.support.site import HELLO

MARK: Final = "recording"
"""Member of a request that names the recording to be played; it travels to the provider like any other."""

# Every answer has these from the gateway; what they say is a matter of prices.
_OF_THE_GATEWAY: Final = frozenset({"cost", "cost_details"})
# An estimate of the prompt is one of this test's own request, not of the recorded one.
_OF_THE_REQUEST: Final = frozenset({"prompt_tokens", "total_tokens"})
_PATIENCE_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call, its pieces joined."""

    id: str | None
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Failure:
    """What was raised.

    Attributes:
        code: the package's, as text.
    """

    name: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What users of the package see of choice 0; of an answer that failed, the failure alone.

    Attributes:
        usage: members that are not null; without those that only the gateway's prices decide, and when it is an
            estimate, without those that this request decides.
        choices: how many there are; as many as were asked for where it was not noted.
    """

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[Call, ...] = ()
    finish_reason: str | None = None
    usage: Mapping[str, Any] | None = None
    choices: int = 1
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the gateway's answer rightly reads otherwise.

    Attributes:
        actual: as it has to read.
        reason: in words.
    """

    actual: Any
    reason: str


Differences = Mapping[str, Mapping[str, Difference]]
"""By id of a recording, then by field of its reading."""


def noted(recording: Recording) -> Reading:
    """What the package made of the provider's own bytes."""
    note = observed()[recording.id]
    if "error" in note:
        error = note["error"]
        return Reading(
            failure=Failure(error["class"].removeprefix("openai."), error["status"], error["message"])
        )
    return Reading(
        text=note["text"],
        reasoning=note["reasoning"],
        refusal=note["refusal"],
        tool_calls=tuple(Call(**call) for call in note["tool_calls"]),
        finish_reason=note["finish_reason"],
        usage=_counted(note["usage"]),
        choices=note.get("choices", recording.choices),
    )


def differences(expected: Reading, actual: Reading) -> dict[str, tuple[Any, Any]]:
    """Fields that differ: expected and actual."""
    pairs = {
        field.name: (getattr(expected, field.name), getattr(actual, field.name)) for field in fields(Reading)
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def check(recording: Recording, actual: Reading, table: Differences, expected: Reading | None = None) -> None:
    """The answer reads as expected, except for what the table lists; and what it lists does differ, as it says.

    Args:
        expected: what was noted, unless given.
    """
    listed = table.get(recording.id, {})
    found = differences(noted(recording) if expected is None else expected, actual)
    unlisted = {name: pair for name, pair in found.items() if name not in listed}
    assert {} == unlisted, f"expected and actual of each: {unlisted}"
    assert set() == listed.keys() - found.keys(), "listed, but no longer different"
    assert {name: each.actual for name, each in listed.items()} == {name: found[name][1] for name in listed}


def check_table(table: Mapping[str, object], recordings: Collection[Recording]) -> None:
    """Each entry is of a recording; without recordings nothing is said."""
    known = {recording.id for recording in recordings}
    assert not known or set(table) <= known, set(table) - known


def named_by_member(exchange: Exchange) -> str:
    """The recording that a request in OpenAI's dialect asks for: unknown members travel."""
    name = exchange.members[MARK]
    assert isinstance(name, str)
    return name


def player(recordings: Iterable[Recording], named: Callable[[Exchange], str] = named_by_member) -> Script:
    """Answers each request as recorded: status, headers, and the body in the pieces in which it came.

    Args:
        named: finds the id of the recording that a request asks for.
    """
    by_id = {recording.id: recording for recording in recordings}

    async def script(exchange: Exchange) -> None:
        recording = by_id[named(exchange)]
        usual = "text/event-stream" if recording.stream else "application/json"
        headers = tuple({"content-type": usual, **recording.headers}.items())
        if not recording.stream:
            await exchange.answer(recording.status, recording.body, headers)
            return
        await exchange.start(recording.status, headers)
        for piece in pieces_of(recording):
            await exchange.send(piece)
        await exchange.finish()

    return script


def pieces_of(recording: Recording) -> list[bytes]:
    """The pieces in which a stream was delivered; its frames where they were not recorded."""
    if not recording.chunk_lens:
        return frames_of(recording.body)
    return cut(recording.body, accumulate(recording.chunk_lens))


@asynccontextmanager
async def connected(gateway: RunningGateway) -> AsyncIterator[openai.AsyncOpenAI]:
    """The package as a client of the gateway, without retries."""
    # Proxies that the developer's environment names are not asked.
    transport = openai.DefaultAsyncHttpxClient(trust_env=False)
    async with openai.AsyncOpenAI(
        base_url=f"{gateway.base}/v1",
        api_key=gateway.key,
        max_retries=0,
        timeout=_PATIENCE_S,
        http_client=transport,
    ) as client:
        yield client


def asking(recording: Recording, **members: Any) -> dict[str, Any]:
    """Arguments of a call that the recording is to answer; the model is named like the recording's adapter."""
    return {
        "model": recording.adapter,
        "messages": HELLO,
        "n": recording.choices,
        "extra_body": {MARK: recording.id},
        **members,
    }


async def chunks_of(
    client: openai.AsyncOpenAI, recording: Recording, *, usage_wanted: bool, **members: Any
) -> tuple[list[ChatCompletionChunk], openai.APIError | None]:
    """A stream's chunks to its end, and what was raised instead of one. `members` are arguments of the call."""
    if usage_wanted:
        members = {**members, "stream_options": {"include_usage": True}}
    chunks: list[ChatCompletionChunk] = []
    try:
        async for chunk in await client.chat.completions.create(**asking(recording, **members), stream=True):
            chunks.append(chunk)  # noqa: PERF401 - what came before an error is kept
    except openai.APIError as error:
        return chunks, error
    return chunks, None


def of_chunks(chunks: Sequence[ChatCompletionChunk]) -> Reading:
    """A stream, joined piece by piece as applications do it: an id or a name replaces the one before, an empty one too.

    The notes pass over empty ones, which some providers send.
    """
    text, reasoning, refusal = "", "", ""
    calls: dict[int, Call] = {}
    finish_reason = None
    for choice in (choice for chunk in chunks for choice in chunk.choices if choice.index == 0):
        finish_reason = choice.finish_reason or finish_reason
        text += choice.delta.content or ""
        reasoning += reasoning_of(choice.delta)
        refusal += choice.delta.refusal or ""
        for piece in choice.delta.tool_calls or ():
            call = calls.get(piece.index, Call(None, "", ""))
            call_id = call.id if piece.id is None else piece.id
            name, arguments = call.name, call.arguments
            if piece.function is not None:
                name = name if piece.function.name is None else piece.function.name
                arguments += piece.function.arguments or ""
            calls[piece.index] = Call(call_id, name, arguments)
    reported = [chunk.usage for chunk in chunks if chunk.usage is not None]
    return Reading(
        text=text,
        reasoning=reasoning,
        refusal=refusal,
        tool_calls=tuple(calls[index] for index in sorted(calls)),
        finish_reason=finish_reason,
        usage=usage_of(reported[-1]) if reported else None,
        choices=len({choice.index for chunk in chunks for choice in chunk.choices}),
    )


def accumulated(chunks: Sequence[ChatCompletionChunk]) -> Reading:
    """A stream, joined by the package's own accumulator, as its stream helper does it.

    Raises:
        RuntimeError: it cannot join these.
    """
    state = ChatCompletionStreamState()
    for chunk in chunks:
        state.handle_chunk(chunk)
    return of_completion(state.current_completion_snapshot)


def of_completion(answer: ChatCompletion) -> Reading:
    """A whole answer."""
    choice = answer.choices[0]
    message = choice.message
    return Reading(
        text=message.content or "",
        reasoning=reasoning_of(message),
        refusal=message.refusal or "",
        tool_calls=tuple(
            Call(call.id, call.function.name, call.function.arguments)
            for call in message.tool_calls or ()
            if isinstance(call, ChatCompletionMessageFunctionToolCall)  # by shape: the type may be missing
        ),
        finish_reason=choice.finish_reason,
        usage=None if answer.usage is None else usage_of(answer.usage),
        choices=len(answer.choices),
    )


def of_error(error: openai.APIError) -> Reading:
    """An answer that ended in an error."""
    return Reading(failure=Failure(type(error).__name__, str(error.code), error.message))


def reasoning_of(piece: BaseModel) -> str:
    """Readable reasoning of a delta or a message, which the package's types do not know."""
    extra = piece.model_extra or {}
    thought: str = extra.get("reasoning_content") or extra.get("reasoning") or ""
    return thought


def usage_of(usage: CompletionUsage) -> Mapping[str, Any]:
    """All of it that says something of the answer."""
    counted = usage.model_dump(exclude_none=True)
    assert counted["total_tokens"] >= counted["prompt_tokens"] + counted["completion_tokens"]
    return _counted(counted) or {}


def _counted(usage: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if usage is None:
        return None
    without = _OF_THE_GATEWAY | _OF_THE_REQUEST if usage.get("estimated") else _OF_THE_GATEWAY
    return {name: value for name, value in usage.items() if name not in without}
