"""What dialects other than OpenAI's make of recorded answers, in a form that tests can compare.

A stream is read whole, byte by byte and at many cuts; its events are folded into what a client would see, and into the
message that a client would send back on the next turn.
"""

import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import orjson

from providers.clients.openai_chat import OpenAIChat as Client
from providers.dialects import Decoder
from providers.events import Begin, Broken, Event, Finish, UsageReport
from providers.types import Canonical, Usage
from tests.support.recordings import DIRECTORY, Recording, cut, load

CLIENT: Final = Client()
_ROUNDS: Final = 12


@cache
def exchanges(provider: str, *endpoints: str, stream: bool | None = None) -> tuple[Recording, ...]:
    """Recorded exchanges of a provider, errors too; none when there is no set.

    Args:
        stream: only those whose answer is a stream, or only those whose answer is none.
    """
    return load(
        lambda entry: (
            entry["provider"] == provider
            and entry["endpoint"] in endpoints
            and (stream is None or entry["stream"] is stream)
        )
    )


def answered(recordings: Collection[Recording]) -> tuple[Recording, ...]:
    """Those that were answered."""
    return tuple(recording for recording in recordings if recording.status == 200)


def refused(recordings: Collection[Recording]) -> tuple[Recording, ...]:
    """Those that were refused with an error status."""
    return tuple(recording for recording in recordings if recording.status >= 400)


@cache
def groups() -> Mapping[str, Sequence[str]]:
    """Ids of the exchanges of each recorded conversation, in order."""
    if not DIRECTORY.is_dir():
        return {}
    found: dict[str, list[tuple[int, str]]] = {}
    for entry in orjson.loads((DIRECTORY / "index.json").read_bytes()):
        found.setdefault(entry["group"], []).append((entry["group_index"], entry["id"]))
    return {group: [name for _, name in sorted(turns)] for group, turns in found.items()}


def decoded(decoder: Decoder, pieces: Sequence[bytes]) -> list[Event]:
    """All events of a stream that arrives in these pieces, to its end."""
    found = [event for piece in pieces for event in decoder.feed(piece)]
    return [*found, *decoder.close()]


def ways(body: bytes) -> Iterator[list[bytes]]:
    """A body in one piece, byte by byte, and at random cuts; always the same ones for the same body."""
    yield [body]
    yield cut(body, range(len(body)))
    chance = random.Random(len(body))
    for _ in range(_ROUNDS):
        yield cut(body, [chance.randrange(len(body)) for _ in range(chance.randrange(1, 40))])


def comparable(said: Sequence[Event]) -> list[Any]:
    """Events in a form that compares by value: errors do not."""
    return [
        (event.error.kind, event.error.status, event.error.message, event.error.again)
        if isinstance(event, Broken)
        else event
        for event in said
    ]


def check_cuts(decoder: Callable[[], Decoder], body: bytes) -> list[Event]:
    """The events of a stream, after seeing that they do not depend on how it was cut."""
    whole = decoded(decoder(), [body])
    for pieces in ways(body):
        assert comparable(whole) == comparable(decoded(decoder(), pieces))
    return whole


def check_order(said: Sequence[Event]) -> None:
    """Begin first, one finish of each choice, nothing but usage behind it, nothing behind a failure."""
    kinds = [type(event) for event in said]
    assert Begin not in kinds[1:]
    assert Broken not in kinds[:-1]
    finished = [event.choice for event in said if isinstance(event, Finish)]
    assert sorted(set(finished)) == sorted(finished)
    if finished:
        last = max(index for index, kind in enumerate(kinds) if kind is Finish)
        assert {UsageReport, Broken} >= set(kinds[last + 1 :])


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client sees of choice 0 of a plain answer."""

    message: Mapping[str, Any]
    finish_reason: str | None
    native_finish_reason: str | None
    usage: Usage | None

    @property
    def text(self) -> str:
        return self.message["content"] or ""

    @property
    def reasoning(self) -> str:
        return str(self.message.get("reasoning") or "")

    @property
    def calls(self) -> list[tuple[str, str, Any]]:
        """Id, name and arguments of each, the last parsed."""
        return [
            (call["id"], call["function"]["name"], orjson.loads(call["function"]["arguments"]))
            for call in self.message.get("tool_calls") or ()
        ]


def answer_of(said: Sequence[Event]) -> Answer:
    """The events as a whole answer. Raises `UpstreamError` when they end in a failure."""
    made = CLIENT.assemble(said, answer_id="req-1", model="model", created_s=1)
    (choice,) = made.members["choices"]
    reason = choice["finish_reason"]
    return Answer(choice["message"], reason, choice.get("native_finish_reason", reason), made.usage)


def sent_back(answer: Answer) -> dict[str, Any]:
    """The assistant's message as a client that keeps reasoning sends it on the next turn."""
    kept = ("role", "content", "tool_calls", "reasoning_details")
    return {name: answer.message[name] for name in kept if answer.message.get(name) is not None}


def asking(messages: Sequence[Mapping[str, Any]], **members: Any) -> Canonical:
    """A request as the gateway reads it."""
    return CLIENT.parse(orjson.dumps({"model": "public-name", "messages": messages, **members}))
