"""Tiers as model names, wishes and reasons, through the `openai` package against a real gateway.

Promises: the body says which model answered and why, streamed and plain; a fallback fires and is visible; nobody is
sent to a dear model, or to one that cannot do what is asked, without being told.
"""

from collections.abc import Iterator
from typing import Any, Final

import openai
import pytest

from tests.support.gateway import ADMIN_KEY, RunningGateway, config_for, running

HELLO: Final = [{"role": "user", "content": "Please write a haiku about databases in my garden."}]
SAID: Final[dict[str, Any]] = {"pace_ms": 1, "first_ms": 1}
TOOLS: Final = [
    {
        "type": "function",
        "function": {
            "name": "look",
            "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
        },
    }
]
PIXEL: Final = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


def model(
    name: str, usd: float, quality: float, *backends: tuple[str, str], **members: Any
) -> dict[str, Any]:
    return {
        "id": name,
        "backends": [{"provider": provider, "model": upstream} for provider, upstream in backends],
        "price": {"input": usd, "output": 4 * usd},
        "quality": {"other": quality},
        **members,
    }


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    models = [
        model("tiny", 0.05, 40, ("one", "sandbox-small")),
        model("small", 0.1, 60, ("one", "sandbox-small")),
        model("middle", 0.5, 75, ("one", "sandbox-small"), ("two", "sandbox-small"), can=["tools"]),
        model("large", 5.0, 95, ("two", "sandbox-large"), can=["tools", "vision"], context_tokens=100_000),
        model("shaky", 0.2, 90, ("one", "sandbox-fail-503"), ("two", "sandbox-small")),
        model("narrow", 0.1, 60, ("one", "sandbox-small"), context_tokens=200, max_output_tokens=50),
    ]
    config = {
        **config_for("http://unused.invalid"),
        "providers": {"one": {"adapter": "sandbox"}, "two": {"adapter": "sandbox"}},
        "models": models,
        "tiers": {
            "frugal": {"models": ["tiny", "small"], "strategy": "cheapest", "floor": 55},
            "balanced": {"models": ["small", "middle", "large"], "strategy": "cheapest", "floor": 70},
            "premium": {"models": ["middle", "large"], "strategy": "score"},
            "steady": {"models": ["shaky"], "strategy": "order"},
            "short": {"models": ["narrow"], "strategy": "order"},
        },
        "routing": {
            "aliases": {"neo-mode/balanced": "balanced"},
            "modes": {
                "frugal": ["frugal"] * 3,
                "balanced": ["balanced"] * 3,
                "premium": ["premium"] * 3,
            },
        },
        "redis": {"timeout_ms": 2000},
    }
    with running(tmp_path_factory.mktemp("routing"), config) as process:
        yield process


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.base}/v1", api_key=gateway.key, max_retries=0, timeout=30) as made:
        yield made


def ask(client: openai.OpenAI, model: str, *, stream: bool = False, **members: Any) -> dict[str, Any]:
    """The `headgate` block of an answer, with `usage` beside it."""
    extra = {"sandbox": SAID, **members.pop("extra_body", {})}
    members = {"messages": HELLO, **members}
    if not stream:
        plain = client.chat.completions.create(model=model, extra_body=extra, **members)
        said = plain.model_dump()
    else:
        *_, last = client.chat.completions.create(model=model, stream=True, extra_body=extra, **members)
        said = last.model_dump()
    block: dict[str, Any] = said["headgate"]
    return {**block, "usage": said["usage"]}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("asked", "tier", "answered"),
    [
        ("frugal", "frugal", "small"),
        ("balanced", "balanced", "middle"),
        ("headgate/balanced", "balanced", "middle"),
        ("neo-mode/balanced", "balanced", "middle"),
        ("premium", "premium", "large"),
    ],
)
def test_tiers_are_model_names(
    client: openai.OpenAI, asked: str, tier: str, answered: str, *, stream: bool
) -> None:
    """The last chunk, or the plain answer, says which model ran, why, and what it cost."""
    block = ask(client, asked, stream=stream)
    assert (tier, answered) == (block["tier"], block["model"])
    reasons = block["routing"]["reasons"]
    assert f"tier={tier}" in reasons
    assert any(each.startswith("price=") for each in reasons)
    assert any(each.startswith("quality=") for each in reasons)
    assert 0 < block["cost_usd"] == block["usage"]["cost"]
    assert "ok" == block["attempts"][-1]["outcome"]


def test_a_named_model_is_the_model(client: openai.OpenAI) -> None:
    """Nothing else is chosen for it, whatever is cheaper."""
    for name in ("large", "tiny"):
        block = ask(client, name)
        assert (None, name, "named") == (block["tier"], block["model"], block["decision"]["source"])
        assert "routing" not in block


@pytest.mark.parametrize(
    ("provider", "backend"),
    [
        ({"only": ["two"]}, "two/sandbox-small"),
        ({"ignore": ["one"]}, "two/sandbox-small"),
        ({"order": ["two", "one"]}, "two/sandbox-small"),
        ({"order": ["one"], "allow_fallbacks": False}, "one/sandbox-small"),
        ({"max_price": {"prompt": 0.5}}, "one/sandbox-small"),
    ],
)
def test_wishes_of_openrouters_clients(client: openai.OpenAI, provider: dict[str, Any], backend: str) -> None:
    """They hold for a named model and for a tier."""
    for name in ("middle", "balanced"):
        block = ask(client, name, extra_body={"provider": provider})
        assert ["middle", backend] == [block["model"], block["attempts"][0]["backend"]]


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"provider": {"only": ["three"]}}, "provider.only"),
        ({"provider": {"max_price": {"prompt": 0.01}}}, "provider.max_price.prompt"),
        ({"headgate": {"max_cost_usd": 0}}, "headgate.max_cost_usd"),
    ],
)
def test_a_wish_that_nobody_fulfils(client: openai.OpenAI, members: dict[str, Any], param: str) -> None:
    """400, naming the wish; nothing dearer is used in silence."""
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, "balanced", extra_body=members)
    assert ("no_capable_backend", param) == (refused.value.code, refused.value.param)


def test_a_wish_that_cannot_be_meant(client: openai.OpenAI) -> None:
    """400, naming the member."""
    for members, param in (
        ({"headgate": {"tiers": "premium"}}, "headgate.tiers"),
        ({"provider": {"order": "two"}}, "provider.order"),
        ({"models": "tiny"}, "models"),
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            ask(client, "balanced", extra_body=members)
        assert ("invalid_request", param) == (refused.value.code, refused.value.param)


def test_ceilings_suffixes_and_a_tier_by_wish(client: openai.OpenAI) -> None:
    """The cheapest that may be used; another tier than the model's name says."""
    assert (
        "small" == ask(client, "balanced", extra_body={"provider": {"max_price": {"prompt": 0.2}}})["model"]
    )
    assert "premium" == ask(client, "balanced", extra_body={"headgate": {"tier": "premium"}})["tier"]
    assert "cheapest" == ask(client, "premium:floor")["routing"]["strategy"]
    assert "throughput" == ask(client, "premium:nitro")["routing"]["strategy"]


def test_a_fallback_fires_and_is_visible(client: openai.OpenAI) -> None:
    """An error before the first content moves on, and every attempt is said; so do names to fall back to."""
    for name in ("shaky", "steady"):
        block = ask(client, name, stream=True)
        assert ["overloaded", "ok"] == [each["outcome"] for each in block["attempts"]]
        assert "two" == block["provider"]
    wishes = {"models": ["nobody", "large"], "provider": {"ignore": ["one"], "only": ["two"]}}
    block = ask(client, "tiny", extra_body=wishes)
    assert ("large", ["nobody"]) == (block["model"], block["routing"]["ignored_models"])


def test_capabilities_are_hard(client: openai.OpenAI) -> None:
    """A model that cannot is never chosen; where none of the mode can, the refusal says what is missing."""
    assert "middle" == ask(client, "balanced", tools=TOOLS)["model"]
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]}]
    assert "large" == ask(client, "balanced", messages=image)["model"]
    for name in ("frugal", "middle"):
        with pytest.raises(openai.BadRequestError) as refused:
            ask(client, name, messages=image)
        assert ("no_capable_backend", "messages") == (refused.value.code, refused.value.param)
        assert "`vision`" in str(refused.value)


def test_what_is_too_long(client: openai.OpenAI) -> None:
    """A prompt, and an answer."""
    long = [{"role": "user", "content": "word " * 2000}]
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, "short", messages=long)
    assert ("context_length_exceeded", "messages") == (refused.value.code, refused.value.param)
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, "narrow", max_tokens=51)
    assert ("no_capable_backend", "max_tokens") == (refused.value.code, refused.value.param)


def test_the_gateway_explains(gateway: RunningGateway) -> None:
    """The choice that it would make, to administrators."""
    with openai.OpenAI(base_url=f"{gateway.base}/admin/v1", api_key=ADMIN_KEY, max_retries=0) as admin:
        told = admin.post(
            "/route/explain", body={"model": "balanced", "messages": HELLO}, cast_to=dict[str, Any]
        )
    kept = [each["backend"] for each in told["candidates"] if each["kept"]]
    assert kept == [each["backend"] for each in told["attempts"]]
    assert "middle" == told["attempts"][0]["model"]
