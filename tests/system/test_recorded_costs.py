"""What recorded answers of each provider cost through a real gateway, against sums worked out by hand."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import openai
import pytest
import pytest_asyncio
from openai.types.completion_usage import CompletionUsage

from tests.support import recordings
from tests.support.observed import MARK, asking, chunks_of, connected, player
from tests.support.recordings import Recording
from tests.support.site import Site, config, model, provider, site

pytestmark = pytest.mark.asyncio(loop_scope="module")

# US dollars per million tokens, which is micro-dollars per token; by adapter. Made up: no two providers alike, with
# fractions enough that sums need rounding.
PRICES: Final[Mapping[str, Mapping[str, float]]] = {
    "openai": {"input": 0.25, "cache_read": 0.025, "output": 2.0},
    "azure": {"input": 3.0, "cache_read": 0.75, "output": 15.0},
    "groq": {"input": 0.15, "cache_read": 0.075, "output": 0.6},
    "mistral": {"input": 0.4, "output": 2.0},  # cached tokens cost what fresh ones do
    "deepseek": {"input": 0.28, "cache_read": 0.028, "output": 0.42},
    "dashscope": {"input": 0.4, "cache_read": 0.16, "output": 1.2},
    "xai": {"input": 0.3, "cache_read": 0.075, "output": 0.5},
    "openrouter": {"input": 0.1, "cache_read": 0.025, "output": 0.4},
    "together": {"input": 0.88, "cache_read": 0.44, "output": 0.88},
    "cerebras": {"input": 0.6, "cache_read": 0.3, "output": 1.2},
    "perplexity": {"input": 1.0, "output": 1.0},
    "moonshot": {"input": 0.6, "cache_read": 0.15, "output": 2.5},
    "zai": {"input": 0.6, "cache_read": 0.11, "output": 2.2},
    "huggingface": {"input": 0.9, "output": 0.9},
    "ollama": {"input": 0.0, "output": 0.0},
    "vllm": {"input": 0.07, "output": 0.07},
    "llamacpp": {"input": 0.01, "output": 0.02},
}


@dataclass(frozen=True, slots=True)
class Said:
    """Tokens as the provider reports them; `None`: it does not."""

    prompt: int
    completion: int
    cached: int | None = None
    reasoning: int | None = None


@dataclass(frozen=True, slots=True)
class Billed:
    """Tokens that cost something, each counted once."""

    fresh: int
    cached: int
    output: int


@dataclass(frozen=True, slots=True)
class Case:
    """One recording.

    Attributes:
        said: what its usage says, which is also what the client has to see.
        upstream_usd: the provider's own figure of the cost.
    """

    id: str
    said: Said
    billed: Billed
    cost_microusd: int
    upstream_usd: float | None = None


CASES: Final = (
    # 56 x 0.25 + 1024 x 0.025 + 7 x 2 = 14 + 25.6 + 14 = 53.6
    Case(
        "openai-chat_completions-unary-document-in-2572bd0b-1",
        Said(1080, 7, cached=1024, reasoning=0),
        Billed(56, 1024, 7),
        54,
    ),
    # 140 x 0.25 + 1280 x 0.025 + 100 x 2 = 35 + 32 + 200 = 267: nothing to round
    Case(
        "openai-chat_completions-stream-text-87e6419e-0",
        Said(1420, 100, cached=1280, reasoning=0),
        Billed(140, 1280, 100),
        267,
    ),
    # All of the answer is reasoning, within the completion: 2245 x 0.25 + 100 x 2 = 561.25 + 200 = 761.25
    Case(
        "openai-chat_completions-unary-image-in-79f69388-0",
        Said(2245, 100, cached=0, reasoning=100),
        Billed(2245, 0, 100),
        762,
    ),
    # A compatible URL, priced as "openai": 329 x 0.25 + 74 x 2 = 82.25 + 148 = 230.25
    Case(
        "doubleword-chat_completions-unary-parallel-tool-calls-a0a75ae7-0",
        Said(329, 74, cached=0, reasoning=39),
        Billed(329, 0, 74),
        231,
    ),
    # More cached tokens than prompt; the whole prompt counts as cached: 0 x 3 + 347 x 0.75 + 18 x 15
    # = 260.25 + 270 = 530.25
    Case(
        "azure-chat_completions-stream-tool-call-89365f6a-2",
        Said(347, 18, cached=403, reasoning=0),
        Billed(0, 347, 18),
        531,
    ),
    # 83 x 3 + 159 x 15 = 249 + 2385 = 2634
    Case(
        "azure-chat_completions-stream-tool-call-6f911118-0",
        Said(83, 159, cached=0, reasoning=128),
        Billed(83, 0, 159),
        2634,
    ),
    # 3 x 0.15 + 1792 x 0.075 + 16 x 0.6 = 0.45 + 134.4 + 9.6 = 144.45
    Case(
        "groq-chat_completions-stream-reasoning-416ea3cb-0",
        Said(1795, 16, cached=1792, reasoning=14),
        Billed(3, 1792, 16),
        145,
    ),
    # No price for cached tokens: 57 x 0.4 + 16 x 0.4 + 21 x 2 = 22.8 + 6.4 + 42 = 71.2
    Case(
        "mistral-chat_completions-unary-image-in-b99b340b-0",
        Said(73, 21, cached=16),
        Billed(57, 16, 21),
        72,
    ),
    # 375 tokens of audio are in the total (401) and not in the prompt (11); 9 of these 386 are cached:
    # 377 x 0.4 + 9 x 0.4 + 15 x 2 = 150.8 + 3.6 + 30 = 184.4
    Case(
        "mistral-chat_completions-unary-text-fc13404f-0",
        Said(11, 15, cached=9),
        Billed(377, 9, 15),
        185,
    ),
    # 5 x 0.4 + 5 x 0.4 + 63 x 2 = 2 + 2 + 126 = 130, in a stream whose frames are repaired
    Case(
        "mistral-chat_completions-stream-reasoning-017744a7-0",
        Said(10, 63, cached=5),
        Billed(5, 5, 63),
        130,
    ),
    # 111 x 0.28 + 384 x 0.028 + 65 x 0.42 = 31.08 + 10.752 + 27.3 = 69.132
    Case(
        "deepseek-chat_completions-stream-tool-call-aa1607f4-2",
        Said(495, 65, cached=384),
        Billed(111, 384, 65),
        70,
    ),
    # 6 x 0.28 + 212 x 0.42 = 1.68 + 89.04 = 90.72
    Case(
        "deepseek-chat_completions-stream-reasoning-3f09c235-0",
        Said(6, 212, cached=0, reasoning=198),
        Billed(6, 0, 212),
        91,
    ),
    # 524 x 0.4 + 1904 x 0.16 + 88 x 1.2 = 209.6 + 304.64 + 105.6 = 619.84
    Case(
        "qwen-chat_completions-unary-tool-call-05c2cfcd-4",
        Said(2428, 88, cached=1904),
        Billed(524, 1904, 88),
        620,
    ),
    # Reasoning is in the total (268) and not in the completion (14), and is output all the same:
    # 22 x 0.3 + 6 x 0.075 + (14 + 226) x 0.5 = 6.6 + 0.45 + 120 = 127.05
    Case(
        "xai-chat_completions-stream-reasoning-d5d9e102-0",
        Said(28, 14, cached=6, reasoning=226),
        Billed(22, 6, 240),
        128,
    ),
    # 6 x 0.1 + 2161 x 0.025 + 99 x 0.4 = 0.6 + 54.025 + 39.6 = 94.225
    Case(
        "openrouter-chat_completions-unary-text-945f03ee-1",
        Said(2167, 99, cached=2161, reasoning=0),
        Billed(6, 2161, 99),
        95,
        upstream_usd=0.00031413,
    ),
    # More reasoning than completion, which the total does not bear out: 0 x 0.1 + 21 x 0.025 + 107 x 0.4
    # = 0.525 + 42.8 = 43.325
    Case(
        "openrouter-chat_completions-stream-reasoning-44298e70-0",
        Said(21, 107, cached=21, reasoning=118),
        Billed(0, 21, 107),
        44,
        upstream_usd=0.00011267,
    ),
    # 41 x 0.88 + 15 x 0.88 = 36.08 + 13.2 = 49.28
    Case("together-chat_completions-stream-text-f21e2107-0", Said(41, 15, cached=0), Billed(41, 0, 15), 50),
    # 145 x 0.6 + 99 x 1.2 = 87 + 118.8 = 205.8
    Case(
        "cerebras-chat_completions-stream-tool-call-08164fcd-0",
        Said(145, 99, cached=0),
        Billed(145, 0, 99),
        206,
    ),
    # Every chunk has a running usage, the last one counts: 8 x 1 + 5 x 1 = 13
    Case(
        "perplexity-chat_completions-stream-citations-53e1a1ee-0",
        Said(8, 5),
        Billed(8, 0, 5),
        13,
        upstream_usd=0.00501,
    ),
    # 30 x 0.6 + 12 x 2.5 = 18 + 30 = 48
    Case("moonshot-chat_completions-unary-tool-call-7f282fc1-0", Said(30, 12), Billed(30, 0, 12), 48),
    # 1 x 0.6 + 218 x 0.11 + 217 x 2.2 = 0.6 + 23.98 + 477.4 = 501.98
    Case(
        "zai-chat_completions-stream-tool-call-7e5aef8d-0",
        Said(219, 217, cached=218),
        Billed(1, 218, 217),
        502,
    ),
    # 200 x 0.9 + 9 x 0.9 = 180 + 8.1 = 188.1
    Case(
        "huggingface-chat_completions-stream-text-df942556-3",
        Said(200, 9, cached=0),
        Billed(200, 0, 9),
        189,
    ),
    # 371 x 0 + 258 x 0: a price of nothing is a price
    Case("ollama-chat_completions-stream-tool-result-acb682ad-2", Said(371, 258), Billed(371, 0, 258), 0),
    # 57 x 0.07 + 20 x 0.07 = 3.99 + 1.4 = 5.39
    Case("vllm-chat_completions-unary-text-7910da4f-0", Said(57, 20), Billed(57, 0, 20), 6),
    # 18 x 0.01 + 613 x 0.02 = 0.18 + 12.26 = 12.44
    Case(
        "llamacpp-chat_completions-unary-reasoning-be19df4a-0",
        Said(18, 613, cached=0, reasoning=463),
        Billed(18, 0, 613),
        13,
    ),
)

# Embeddings have no output: tokens of the input, and micro-dollars.
EMBEDDINGS: Final = (
    ("openai-embeddings-unary-other-97306677-0", 7, 2),  # 7 x 0.25 = 1.75
    ("azure-embeddings-unary-other-f78f11fd-0", 2, 6),  # 2 x 3 = 6
    ("mistral-embeddings-unary-other-d4c2e9c5-0", 15, 6),  # 15 x 0.4 = 6
    ("qwen-embeddings-unary-other-8f490b76-0", 4, 2),  # 4 x 0.4 = 1.6
)

CHATS: Final = (*recordings.chat_streams(), *recordings.chat_answers())
RECORDED: Final = {recording.id: recording for recording in (*CHATS, *recordings.embeddings())}
needs_recordings: Final = pytest.mark.skipif(not RECORDED, reason="no recorded exchanges beside the project")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def configure(listener: socket.socket) -> dict[str, Any]:
        providers = {name: provider(listener, f"/{name}/v1", adapter=name) for name in PRICES}
        models = [model(name, name, price=dict(price)) for name, price in PRICES.items()]
        return config(providers, models, routing={"retries": 0})

    with site(tmp_path_factory.mktemp("costs"), configure) as place:
        yield place


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(place: Site) -> AsyncIterator[openai.AsyncOpenAI]:
    async with place.upstream(player(RECORDED.values())), connected(place.gateway) as made:
        yield made


async def facts(
    client: openai.AsyncOpenAI, recording: Recording, *, client_id: str, usage_wanted: bool
) -> tuple[CompletionUsage, dict[str, Any]]:
    """Usage and block of an answer, wherever they stand in it."""
    named = {"extra_headers": {"x-request-id": client_id}}
    if recording.stream:
        chunks, error = await chunks_of(client, recording, usage_wanted=usage_wanted, **named)
        assert error is None
        answer: Any = chunks[-1]
    else:
        answer = await client.chat.completions.create(**asking(recording, **named))
    assert answer.usage is not None
    return answer.usage, answer.model_extra["headgate"]


def said(usage: CompletionUsage) -> Said:
    """What a client reads."""
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    cached = prompt.cached_tokens if prompt else None
    return Said(
        usage.prompt_tokens,
        usage.completion_tokens,
        cached=(usage.model_extra or {}).get("cached_tokens") if cached is None else cached,
        reasoning=completion.reasoning_tokens if completion else None,
    )


@needs_recordings
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_cost(place: Site, client: openai.AsyncOpenAI, case: Case) -> None:
    """The cost is the sum by hand, everywhere it is told; the tokens are those that the provider reported."""
    recording = RECORDED[case.id]
    ids = {wanted: place.next_id() for wanted in ((True, False) if recording.stream else (False,))}
    told = await asyncio.gather(
        *(
            facts(client, recording, client_id=client_id, usage_wanted=wanted)
            for wanted, client_id in ids.items()
        )
    )
    cost_usd = case.cost_microusd / 1_000_000
    for usage, block in told:
        extra = usage.model_extra or {}
        assert case.said == said(usage)
        assert [cost_usd] * 3 == [extra["cost"], block["cost_usd"], block["attempts"][0]["cost_usd"]]
        assert 1 == len(block["attempts"])
        assert case.upstream_usd == extra["cost_details"]["upstream_inference_cost"]
    for client_id in ids.values():
        line = await place.log_line(client_id)
        assert cost_usd == line["headgate.cost_usd"]
        assert (case.billed.fresh + case.billed.cached, case.billed.cached, case.billed.output) == (
            line["gen_ai.usage.input_tokens"],
            line["headgate.usage.cache_read_tokens"],
            line["gen_ai.usage.output_tokens"],
        )


@needs_recordings
@pytest.mark.parametrize(("name", "input_tokens", "cost_microusd"), EMBEDDINGS)
async def test_cost_of_embeddings(
    client: openai.AsyncOpenAI, name: str, input_tokens: int, cost_microusd: int
) -> None:
    """Embeddings cost their input."""
    answer = await client.embeddings.create(
        model=RECORDED[name].adapter, input="some text", extra_body={MARK: name}
    )
    block = (answer.model_extra or {})["headgate"]
    cost_usd = (answer.usage.model_extra or {})["cost"]
    assert input_tokens == answer.usage.prompt_tokens
    assert [cost_microusd / 1_000_000] * 3 == [cost_usd, block["cost_usd"], block["attempts"][0]["cost_usd"]]


async def test_each_provider_has_a_case() -> None:
    """Each provider of whose chats one was recorded is in the table, and each price is used."""
    cases = [RECORDED[case.id] for case in CASES if RECORDED]
    assert {recording.provider for recording in CHATS} == {recording.provider for recording in cases}
    assert not RECORDED or set(PRICES) == {recording.adapter for recording in cases}
