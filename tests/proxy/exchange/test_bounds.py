"""What a request may use at most."""

from typing import Any

import orjson
import pytest

from providers.clients.openai_chat import OpenAIChat as Client
from providers.registry import REGISTRY
from proxy.exchange import bounds
from proxy.exchange.bounds import bound
from proxy.routing.catalogue.types import Backend, Price
from proxy.routing.policy import Attempt

CHEAP = Price(1_000_000, 2_000_000)
DEAR = Price(5_000_000, 10_000_000, cache_write_picousd=6_250_000)
HELLO = [{"role": "user", "content": "Grüße, 世界"}]


def attempt(price: Price | None = CHEAP, context_tokens: int | None = None) -> Attempt:
    return Attempt(Backend("p/m", "p", "m", price), "m", context_tokens, ())


def request(**members: Any) -> Any:
    return Client().parse(orjson.dumps({"model": "m", "messages": HELLO, **members}))


def test_text() -> None:
    """A token a byte of the body and a stated overhead a message, and every answer's limit."""
    asked = request(n=2)
    made = bound(asked, [attempt()], 100)
    assert made is not None
    prompt = len(asked.raw) + 2 * bounds.MESSAGE_TOKENS
    assert (prompt + 200, prompt + 400) == (made.tokens, made.microusd)
    assert made.minute_tokens < made.tokens


def test_dearest_backend() -> None:
    """The dearest of the plan, whichever its place; what is written to a cache may cost more than fresh input."""
    asked = request()
    made = bound(asked, [attempt(CHEAP), attempt(DEAR), attempt(None)], 10)
    assert made is not None
    prompt = len(asked.raw) + 2 * bounds.MESSAGE_TOKENS
    assert -(-prompt * 625 // 100) + 100 == made.microusd


@pytest.mark.parametrize(
    "members",
    [
        {"web_search_options": {"search_context_size": "low"}},
        {"tools": [{"type": "web_search"}]},
        {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
        {"messages": [{"role": "user", "content": ["text"]}]},
    ],
)
def test_without_a_bound(members: dict[str, Any]) -> None:
    """What cannot be measured is bounded by the model's context, or by nothing."""
    assert bound(request(**members), [attempt()], 10) is None
    capped = bound(request(**members), [attempt(context_tokens=5000)], 10)
    assert capped is not None
    assert 5010 == capped.tokens


def test_pictures_tools_and_predictions() -> None:
    """Each has its maximum."""
    plain = bound(request(), [attempt()], 10)
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    seen = bound(request(messages=[{"role": "user", "content": [picture, picture]}]), [attempt()], 10)
    tools = bound(request(tools=[{"type": "function", "function": {"name": "f"}}]), [attempt()], 10)
    predicted = request(prediction={"type": "content", "content": "x" * 500})
    guessed = bound(predicted, [attempt()], 10)
    assert plain is not None
    assert seen is not None
    assert tools is not None
    assert guessed is not None
    assert seen.tokens > plain.tokens + 2 * bounds.IMAGE_TOKENS
    assert tools.tokens > plain.tokens + bounds.TOOLS_TOKENS
    assert guessed.tokens > 2 * len(predicted.raw)


CHATS = list(REGISTRY)


@pytest.mark.parametrize("name", CHATS)
def test_the_limit_of_an_answer_goes_upstream(name: str) -> None:
    """A limit that the client did not set is in the request of every dialect, under one name."""
    limited = request()._replace(output_limit_tokens=1234)
    body = REGISTRY[name].dialect.encode(limited, "some-model").body
    assert 1 == body.count(b"1234"), body
    asked = request(max_tokens=77)._replace(output_limit_tokens=77)
    assert 1 == REGISTRY[name].dialect.encode(asked, "some-model").body.count(b"77")


def test_two_limits() -> None:
    """Of two limits the larger bounds the answer: the provider may heed either."""
    assert 9000 == bounds.longest_answer(request(max_completion_tokens=1, max_tokens=9000))
    assert 9000 == bounds.longest_answer(request(max_completion_tokens=9000, max_tokens=1))
