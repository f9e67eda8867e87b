"""The `openai` package as a client that notes what it is shown: many requests at a time, each to its end or error."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.support.gateway import RunningGateway

WAYS: Final = ("streamed", "plain", "embedding")
AT_A_TIME: Final = 24  # requests under way, most of which wait for a time-out
PATIENCE_S: Final = 30.0
HELLO: Final[list[ChatCompletionMessageParam]] = [{"role": "user", "content": "hello there"}]
_AT_ONCE: Final = {"sandbox": {"pace_ms": 0, "first_ms": 0}}

Ask = tuple[str, str]
"""One of `WAYS`, and a model."""


@dataclass
class Seen:
    """One request, as the package shows it.

    Attributes:
        answer: the text, or the vector.
        finishes: every finish reason.
        ids: of the answers that its pieces say they belong to.
        outcomes: of each attempt: outcome and status.
        attempts_ms: how long each took.
        raised: the class of the error; empty when there was none.
        problem: the `error` member of a refusal.
        first_s: from asking to the first content, of a plain answer and a refusal to all of it.
    """

    status: int = 200
    answer: Any = None
    finishes: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    headers: Mapping[str, str] = field(default_factory=dict)
    outcomes: list[tuple[str, int]] = field(default_factory=list)
    attempts_ms: list[int] = field(default_factory=list)
    raised: str = ""
    problem: dict[str, Any] = field(default_factory=dict)
    first_s: float = 0.0

    @property
    def kinds(self) -> list[str]:
        """The outcomes without their statuses."""
        return [outcome for outcome, _ in self.outcomes]

    def note(self, members: Mapping[str, Any]) -> None:
        """Members of an answer, of a chunk or of a refusal: the gateway's own, where it is there."""
        if "headgate" in members:
            attempts = members["headgate"]["attempts"]
            self.outcomes = [(each["outcome"], each["status"]) for each in attempts]
            self.attempts_ms = [each["ms"] for each in attempts]


def ask_all(
    gateway: RunningGateway, asks: Iterable[Ask], *, at_a_time: int = AT_A_TIME
) -> dict[Ask, list[Seen]]:
    """Ask everything, in this order; what is named more than once is asked as often.

    Args:
        at_a_time: 1 where times are to be compared.
    """
    wanted = list(asks)

    async def run() -> list[Seen]:
        places = asyncio.Semaphore(at_a_time)
        async with _client(gateway) as client:

            async def one(ask: Ask) -> Seen:
                async with places:
                    return await _ask(client, *ask)

            return await asyncio.gather(*map(one, wanted))

    found: dict[Ask, list[Seen]] = {}
    with _clean_environment():
        for ask, seen in zip(wanted, asyncio.run(run()), strict=True):
            found.setdefault(ask, []).append(seen)
    return found


def bodies_of(gateway: RunningGateway, models: Iterable[str]) -> dict[str, bytes]:
    """The bytes of a streamed answer of each model."""

    async def run() -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        async with _client(gateway) as client:
            for model in models:
                async with client.chat.completions.with_streaming_response.create(
                    model=model, messages=HELLO, stream=True, extra_body=_AT_ONCE
                ) as response:
                    found[model] = await response.read()
        return found

    with _clean_environment():
        return asyncio.run(run())


def sandbox_model(name: str, *backends: tuple[str, str], **members: Any) -> dict[str, Any]:
    """A catalogue entry; each backend is a provider and its model."""
    return {
        "id": name,
        "backends": [{"provider": provider, "model": model} for provider, model in backends],
        "price": {"input": 1.0, "output": 2.0},
        **members,
    }


@contextmanager
def _clean_environment() -> Iterator[None]:
    """The package reads keys, addresses and proxies from the environment; none of the developer's count here."""
    with pytest.MonkeyPatch.context() as patch:
        for name in tuple(os.environ):
            if name.startswith("OPENAI_") or name.lower().endswith("_proxy"):
                patch.delenv(name)
        yield


def _client(gateway: RunningGateway) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=f"{gateway.base}/v1", api_key=gateway.key, max_retries=0, timeout=PATIENCE_S
    )


async def _ask(client: openai.AsyncOpenAI, way: str, model: str) -> Seen:
    clock = asyncio.get_running_loop().time
    seen, began_s = Seen(), clock()
    try:
        async for content in _answer(client, way, model, seen):
            if content and not seen.answer:
                seen.first_s = clock() - began_s
            seen.answer = content if seen.answer is None else seen.answer + content
    except openai.APIStatusError as refused:
        told = refused.response.json()
        seen.first_s = clock() - began_s
        seen.status, seen.headers, seen.raised = (
            refused.status_code,
            refused.response.headers,
            "APIStatusError",
        )
        seen.problem = told["error"]
        seen.note(told)
    except (openai.APIError, ValueError) as broken:  # the package lets its parser's errors through
        seen.raised = type(broken).__name__
    return seen


async def _answer(client: openai.AsyncOpenAI, way: str, model: str, seen: Seen) -> AsyncIterator[Any]:
    """Pieces of the content; all else is noted in `seen`."""
    if way == "embedding":
        embedding = await client.embeddings.with_raw_response.create(
            model=model, input="hello there", encoding_format="float", extra_body=_AT_ONCE
        )
        made = embedding.parse()
        seen.headers = embedding.headers
        seen.note(made.model_extra or {})
        yield made.data[0].embedding
    elif way == "plain":
        whole = await client.chat.completions.with_raw_response.create(
            model=model, messages=HELLO, extra_body=_AT_ONCE
        )
        completion = whole.parse()
        (only,) = completion.choices
        seen.headers, seen.finishes, seen.ids = whole.headers, [only.finish_reason], {completion.id}
        seen.note(completion.model_extra or {})
        yield only.message.content
    else:
        begun = await client.chat.completions.with_raw_response.create(
            model=model, messages=HELLO, stream=True, extra_body=_AT_ONCE
        )
        seen.headers = begun.headers
        async for chunk in begun.parse():
            (choice,) = chunk.choices
            seen.ids.add(chunk.id)
            seen.finishes += [choice.finish_reason] if choice.finish_reason else []
            seen.note(chunk.model_extra or {})
            yield choice.delta.content or ""
