"""Which attempts of a plan fit a request, and what is said when none does."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson
import pytest

from providers.clients.openai_chat import OpenAIChat
from providers.clients.openai_embeddings import OpenAIEmbeddings
from providers.rate_limits import RateLimits, Window
from providers.registry import REGISTRY, Adapter
from providers.types import Canonical
from providers.upstreams import openai_embeddings
from proxy.exchange.errors import Refused
from proxy.exchange.lanes import Lanes
from proxy.exchange.upstream.auth.types import Credentials
from proxy.exchange.upstream.backends import Provider, Timeouts
from proxy.exchange.upstream.headroom import Headroom, Slot
from proxy.exchange.upstream.keys import ProviderKey, ProviderKeys
from proxy.routing.catalogue.types import Backend
from proxy.routing.policy import NAMED, UNDECIDED, Attempt, Plan
from tests.proxy.exchange.saying import Clock

MUTE: Final = replace(REGISTRY["openai"], name="mute", embeddings=None)
"""A provider without embeddings."""


def lanes_to(
    *adapters: str | Adapter, headroom: Headroom | None = None, customers: Mapping[str, str] | None = None
) -> Lanes:
    """`customers`: for whom alone a provider's key is kept."""
    clock = Clock()
    providers = {}
    for each in adapters:
        adapter = each if isinstance(each, Adapter) else REGISTRY[each]
        timeouts = Timeouts(5.0, 60.0, 120.0, 30.0, 600.0)
        base_url = f"http://{adapter.name}.test/v1"
        providers[adapter.name] = Provider(adapter, base_url, Credentials("test-key-0001"), timeouts)
    keys = ProviderKeys(
        {
            name: [
                ProviderKey(f"{name}/0", each, customers=frozenset((customers or {}).get(name, "").split()))
            ]
            for name, each in providers.items()
        }
    )
    return Lanes(providers, headroom or Headroom(clock, clock), tail_s=2.0, wall_clock_s=clock, keys=keys)


def attempts(names: Sequence[str]) -> tuple[Attempt, ...]:
    return tuple(
        Attempt(Backend(f"{name}/m", name, "m", None), "public", 8000, ("named", f"place {place}"))
        for place, name in enumerate(names, 1)
    )


def plan(*names: str, tier: str | None = None) -> Plan:
    return Plan(tier, NAMED if tier is None else UNDECIDED, attempts(names))


def chat(**members: Any) -> Canonical:
    body = {"model": "public", "messages": [{"role": "user", "content": "x"}], **members}
    return OpenAIChat().parse(orjson.dumps(body))


def embedding(**members: Any) -> Canonical:
    return OpenAIEmbeddings().parse(orjson.dumps({"model": "public", "input": "x", **members}))


def backends(chosen: Plan) -> list[str]:
    return [attempt.backend.provider for attempt in chosen.attempts]


def test_a_plan_that_fits_stays() -> None:
    """Nothing is copied where nothing is lacking, though a harmless member will be dropped."""
    lanes = lanes_to("groq", "mistral", "openai")
    for request in (chat(), chat(user="u-1", store=True, metadata={"a": "b"}), chat(top_p=0.5)):
        chosen = plan("groq", "mistral", "openai")
        assert lanes.fitting(chosen, request, "chat/completions") is chosen


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"logprobs": True}, ["mistral", "openai"]),
        ({"logprobs": True, "top_logprobs": 3}, ["mistral", "openai"]),
        ({"logit_bias": {"5": -100}}, ["openai"]),
        ({"n": 2}, ["mistral", "openai"]),
        ({"audio": {"voice": "a"}}, ["groq", "openai"]),
        ({"logprobs": True, "audio": {"voice": "a"}}, ["openai"]),
    ],
)
def test_attempts_that_lack_something_are_passed_over(members: dict[str, Any], expected: list[str]) -> None:
    """Order, tier, verdict and reasons of the others stay."""
    lanes = lanes_to("groq", "mistral", "openai")
    for tier in (None, "balanced"):
        chosen = plan("groq", "mistral", "openai", tier=tier)
        fitting = lanes.fitting(chosen, chat(**members), "chat/completions")
        assert expected == backends(fitting)
        assert (chosen.tier, chosen.verdict) == (fitting.tier, fitting.verdict)
        assert [each for each in chosen.attempts if each.backend.provider in expected] == list(
            fitting.attempts
        )


@pytest.mark.parametrize(
    "members",
    [
        {"logprobs": None, "top_logprobs": None, "logit_bias": None, "n": None},
        {"logprobs": False, "top_logprobs": 0, "logit_bias": {}, "n": 1},
        {"logit_bias": {"5": 0}},
    ],
)
def test_a_member_that_asks_for_nothing_is_not_missed(members: dict[str, Any]) -> None:
    """Nulls, defaults and empty objects: every backend gives the same answer without them."""
    chosen = plan("groq", "openai")
    assert lanes_to("groq", "openai").fitting(chosen, chat(**members), "chat/completions") is chosen


def test_one_backend_may_stand_in_a_plan_twice() -> None:
    """As with two models of a tier: both attempts go."""
    fitting = lanes_to("groq", "openai").fitting(
        plan("groq", "openai", "groq", tier="frugal"), chat(n=2), "chat/completions"
    )
    assert ["openai"] == backends(fitting)


def test_no_attempt_is_left() -> None:
    """Only then is the request refused, and each backend is named with what it does not take."""
    with pytest.raises(Refused) as refused:
        lanes_to("groq", "mistral").fitting(
            plan("groq", "mistral"), chat(logit_bias={"5": 1}, logprobs=True), "chat/completions"
        )
    assert (400, "no_capable_backend", "logit_bias", "gateway") == (
        refused.value.status,
        refused.value.code,
        refused.value.param,
        refused.value.source,
    )
    assert (
        "no backend can serve this request: groq/m does not take `logit_bias`, `logprobs`; "
        "mistral/m does not take `logit_bias`"
    ) == refused.value.message


def test_the_request_is_the_same_for_every_attempt() -> None:
    """What one backend does not get, the next one gets: encoding changes nothing."""
    lanes = lanes_to("mistral", "openai")
    request = chat(user="u-1", seed=7, max_completion_tokens=9, stream=True, headgate={"tags": ["a"]})
    raw, members = request.raw, orjson.loads(request.raw)
    first, second = (
        lanes.dialect(attempt, "chat/completions") for attempt in plan("mistral", "openai").attempts
    )
    sent = [orjson.loads(dialect.encode(request, "m").body) for dialect in (first, second, first)]
    assert {"user", "seed", "max_completion_tokens"}.isdisjoint(sent[0])
    assert (7, 9) == (sent[0]["random_seed"], sent[0]["max_tokens"])
    assert ("u-1", 7, 9) == tuple(sent[1][name] for name in ("user", "seed", "max_completion_tokens"))
    assert sent[0] == sent[2]
    assert (raw, members) == (request.raw, request.members)


# Embeddings


def test_embeddings_of_a_named_model() -> None:
    """A provider without embeddings is passed over; alone it is refused, and `param` is a member of the request."""
    lanes = lanes_to(MUTE, "openai")
    assert ["openai"] == backends(lanes.fitting(plan("mute", "openai"), embedding(), "embeddings"))
    assert ["mute"] == backends(lanes.fitting(plan("mute"), chat(), "chat/completions"))
    with pytest.raises(Refused) as refused:
        lanes.fitting(plan("mute"), embedding(), "embeddings")
    assert ("no_capable_backend", "model") == (refused.value.code, refused.value.param)
    assert "mute/m does not take `embeddings`" in refused.value.message


def test_embeddings_of_a_tier() -> None:
    """A tier is refused, whoever could serve it: vectors of different models do not compare."""
    with pytest.raises(Refused) as refused:
        lanes_to("openai").fitting(plan("openai", tier="balanced"), embedding(), "embeddings")
    assert (400, "no_capable_backend", "model") == (
        refused.value.status,
        refused.value.code,
        refused.value.param,
    )
    assert "a model by name" in refused.value.message


def test_members_that_embeddings_lack() -> None:
    """Harmless ones are dropped, others pass the backend over, as for chat."""
    dialect = openai_embeddings.OpenAIEmbeddings(refuses=frozenset({"user", "dimensions"}))
    small = replace(REGISTRY["openai"], name="small", embeddings=dialect)
    lanes = lanes_to(small, "openai")
    both = plan("small", "openai")
    assert lanes.fitting(both, embedding(user="u"), "embeddings") is both
    assert ["openai"] == backends(lanes.fitting(both, embedding(dimensions=8), "embeddings"))


# Lanes


def test_a_lane_is_made_once() -> None:
    """It holds the provider and its time-outs."""
    lanes = lanes_to("openai")
    backend = plan("openai").attempts[0].backend
    (lane,) = lanes.to(backend)
    assert lanes.to(backend)[0] is lane
    assert (60.0, 120.0, 30.0, 600.0, 2.0) == (
        lane.deadlines.first_byte_s,
        lane.deadlines.first_content_s,
        lane.deadlines.stall_s,
        lane.deadlines.total_s,
        lane.deadlines.tail_s,
    )
    assert Slot("openai/m", "openai/0") == lane.slot


def test_an_answer_tells_the_limits_in_its_providers_words() -> None:
    """The headers are read by the scheme of the adapter."""
    clock = Clock()
    headroom = Headroom(clock, clock)
    lanes = lanes_to("mistral", "openai", headroom=headroom)
    headers = [(b"x-ratelimit-limit-req-minute", b"60"), (b"x-ratelimit-remaining-req-minute", b"9")]
    for attempt in plan("mistral", "openai").attempts:
        lanes.to(attempt.backend)[0].answered(headers)
    assert {Slot("mistral/m", "mistral/0"): RateLimits(Window(60, 9, None), None)} == headroom.now()


def test_an_error_is_worded_by_its_provider() -> None:
    """Status and body as the dialect reads them; a date of `retry-after` counts from the wall clock."""
    (lane,) = lanes_to("openai").to(plan("openai").attempts[0].backend)
    at = "Thu, 01 Jan 1970 00:17:10 GMT"  # the clock stands at 1000 s
    error = lane.of_status(429, {"retry-after": at}, b'{"error": {"message": "slow down"}}')
    assert ("rate_limited", 429, "slow down", 30.0) == (
        error.kind,
        error.status,
        error.message,
        error.retry_after_s,
    )
    assert ("timeout", "late", 0) == (lane.of("timeout", "late").kind, lane.of("timeout", "late").message, 0)


# Keys


def test_a_provider_without_a_key_for_the_customer() -> None:
    """It is passed over; alone it is refused, and the message says why."""
    lanes = lanes_to("groq", "openai", customers={"groq": "acme"})
    chosen = plan("groq", "openai")
    assert lanes.fitting(chosen, chat(), "chat/completions", customer_id="acme") is chosen
    assert ["openai"] == backends(lanes.fitting(chosen, chat(), "chat/completions", customer_id="other"))
    with pytest.raises(Refused) as refused:
        lanes.fitting(plan("groq"), chat(), "chat/completions", customer_id="other")
    assert (400, "no_capable_backend", "model") == (
        refused.value.status,
        refused.value.code,
        refused.value.param,
    )
    assert "groq/m has no provider key for this customer and tier" in refused.value.message


def test_lanes_of_a_request() -> None:
    """One per key that may serve it, each with a slot of its own."""
    lanes = lanes_to("groq", customers={"groq": "acme"})
    backend = plan("groq").attempts[0].backend
    assert [Slot("groq/m", "groq/0")] == [
        lane.slot for lane in lanes.chosen(backend, customer_id="acme", tier=None, request_id="r")
    ]
    assert [] == list(lanes.chosen(backend, customer_id="other", tier=None, request_id="r"))
