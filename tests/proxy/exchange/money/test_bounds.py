"""What a request may use at most."""

from typing import Any

import orjson
import pytest

from providers.clients.bodies import with_output_limit
from providers.clients.openai_chat import OpenAIChat as Client
from providers.registry import REGISTRY
from proxy.exchange.money import bounds
from proxy.exchange.money.bounds import Bound, bound, measure
from proxy.exchange.money.guesses import Guesses
from proxy.routing.catalogue.types import Backend, Model, Price
from proxy.routing.policy import Attempt
from proxy.routing.types import IMAGE_TOKENS

CHEAP = Price(1_000_000, 2_000_000)
DEAR = Price(5_000_000, 10_000_000, cache_write_picousd=6_250_000)
HELLO = [{"role": "user", "content": "Grüße, 世界"}]
PICTURE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


def attempt(price: Price | None = CHEAP) -> Attempt:
    return Attempt(Backend("p/m", "p", "m", price), "m", None, ())


def request(**members: Any) -> Any:
    return Client().parse(orjson.dumps({"model": "m", "messages": HELLO, **members}))


def pictured(url: str) -> Any:
    return request(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}])


def limit_of(
    asked: Any, output_tokens: int = 10, attempts: tuple[Attempt, ...] = (attempt(),), **model: Any
) -> Bound | None:
    models = {"m": Model("m", (), **model)}
    return bound(asked, measure(asked), attempts, output_tokens, models, Guesses())


def made(*arguments: Any, **named: Any) -> Bound:
    found = limit_of(*arguments, **named)
    assert found is not None
    return found


def test_text() -> None:
    """A token a byte of the body and a stated overhead a message, and every answer's limit."""
    asked = request(n=2)
    held = made(asked, 100)
    prompt = len(asked.raw) + 2 * bounds.MESSAGE_TOKENS
    assert (prompt + 200, prompt + 400) == (held.tokens, held.microusd)
    assert held.minute_tokens < held.tokens


def test_dearest_backend() -> None:
    """The dearest of the plan, whichever its place; what is written to a cache may cost more than fresh input."""
    asked = request()
    held = made(asked, 10, (attempt(CHEAP), attempt(DEAR), attempt(None)))
    prompt = len(asked.raw) + 2 * bounds.MESSAGE_TOKENS
    assert -(-prompt * 625 // 100) + 100 == held.microusd


@pytest.mark.parametrize(
    "members",
    [
        {"web_search_options": {"search_context_size": "low"}},
        {"tools": [{"type": "web_search"}]},
        {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]},
        {"messages": [{"role": "user", "content": ["text"]}]},
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{**PICTURE, "image_url": {"url": "data:application/pdf;base64,"}}],
                }
            ]
        },
    ],
)
def test_without_a_bound(members: dict[str, Any]) -> None:
    """What cannot be measured is bounded by the model's context, or by nothing."""
    assert limit_of(request(**members)) is None
    assert 5010 == made(request(**members), context_tokens=5000).tokens


def test_pictures_tools_and_predictions() -> None:
    """Each has its maximum."""
    plain = made(request())
    seen = made(request(messages=[{"role": "user", "content": [PICTURE, PICTURE]}]))
    tools = made(request(tools=[{"type": "function", "function": {"name": "f"}}]))
    predicted = request(prediction={"type": "content", "content": "x" * 500})
    assert seen.tokens > plain.tokens + 2 * IMAGE_TOKENS
    assert tools.tokens > plain.tokens + bounds.TOOLS_TOKENS
    assert made(predicted).tokens > 2 * len(predicted.raw)


def test_figures_of_the_catalogue() -> None:
    """The catalogue's most of an image and of an answer bound these; an unknown image is taken for a large one."""
    asked = pictured("https://example.com/a.png")
    unknown, known = made(asked), made(asked, max_image_tokens=1500)
    assert IMAGE_TOKENS - 1500 == unknown.tokens - known.tokens
    assert made(asked, 100_000).tokens - 100_000 == made(asked, 100_000, max_output_tokens=50).tokens - 50
    assert made(asked, 20) == made(asked, 20, max_output_tokens=50)


def test_a_picture_in_the_body_is_no_text() -> None:
    """Its base64 is not counted as words: the same picture costs the same wherever it lies."""
    inline = pictured("data:image/png;base64," + "A" * 400_000)
    away = pictured("https://example.com/a.png")
    assert made(away).tokens == pytest.approx(made(inline).tokens, abs=50)
    assert measure(away).bytes == pytest.approx(measure(inline).bytes, abs=50)


CHATS = list(REGISTRY)


@pytest.mark.parametrize("name", CHATS)
def test_the_limit_of_an_answer_goes_upstream(name: str) -> None:
    """A limit that the client did not set is in the request of every dialect, under one name."""
    limited = with_output_limit(request(), 1234)
    body = REGISTRY[name].dialect.encode(limited, "some-model").body
    assert 1 == body.count(b"1234"), body
    asked = request(max_tokens=77)
    assert 1 == REGISTRY[name].dialect.encode(asked, "some-model").body.count(b"77")


@pytest.mark.parametrize("name", CHATS)
@pytest.mark.parametrize(
    "named", [("max_tokens",), ("max_completion_tokens",), ("max_tokens", "max_completion_tokens")]
)
def test_a_shorter_limit_goes_upstream(name: str, named: tuple[str, ...]) -> None:
    """In place of the client's own, whatever name it used: nothing of the old one is left."""
    asked = request(**dict.fromkeys(named, 7777), temperature=0.5)
    shorter = with_output_limit(asked, 1234)
    assert 1234 == bounds.longest_answer(shorter)
    body = REGISTRY[name].dialect.encode(shorter, "some-model").body
    assert 1 <= body.count(b"1234") <= len(named), body
    assert b"7777" not in body
    assert {**asked.members, **dict.fromkeys(named, 1234)} == orjson.loads(shorter.raw)


def test_two_limits() -> None:
    """Of two limits the larger bounds the answer: the provider may heed either."""
    assert 9000 == bounds.longest_answer(request(max_completion_tokens=1, max_tokens=9000))
    assert 9000 == bounds.longest_answer(request(max_completion_tokens=9000, max_tokens=1))
