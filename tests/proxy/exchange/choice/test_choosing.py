"""From a request to its plan: which backends fit it, what is said when none does, and what is asked of the policy."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from types import MappingProxyType
from typing import Any, Final

import orjson
import pytest

from providers.clients.openai_chat import OpenAIChat
from providers.clients.openai_embeddings import OpenAIEmbeddings
from providers.registry import REGISTRY, Adapter
from providers.types import Canonical
from providers.upstreams import openai_embeddings
from proxy.exchange.choice.choosing import Asking, Budget, Choosing
from proxy.exchange.errors import Refused
from proxy.exchange.upstream.auth.types import Credentials
from proxy.exchange.upstream.backends import Provider, Timeouts
from proxy.routing.catalogue.types import Backend, Catalogue, Model, Price, Tier
from proxy.routing.plans import Plan
from proxy.routing.policy import Policy
from proxy.routing.snapshot import BackendState, Conditions
from ratelimit.subjects.types import Subject

MUTE: Final = replace(REGISTRY["openai"], name="mute", embeddings=None)
"""A provider without embeddings."""

PRICE: Final = Price(1_000_000, 2_000_000)


def subject(**members: Any) -> Subject:
    given: dict[str, Any] = {
        "key_id": "k",
        "customer_id": "c",
        "key_models": None,
        "customer_models": None,
        "priority": "normal",
        "expires_at_s": None,
        "disabled": None,
    }
    return Subject(**{**given, **members})


class Said:
    """A log."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def error(self, event: str, **_: object) -> None:
        self.events.append(event)


class Place:
    """A model `public` with a backend `m` at each provider, and a tier `balanced` of it."""

    def __init__(
        self,
        *adapters: str | Adapter,
        price: Price | None = PRICE,
        regions: Mapping[str, str] = MappingProxyType({}),
        **model: Any,
    ) -> None:
        found = [each if isinstance(each, Adapter) else REGISTRY[each] for each in adapters]
        providers = {
            each.name: Provider(
                each,
                f"http://{each.name}.test/v1",
                Credentials("test-key-0001"),
                Timeouts(5.0, 60.0, 120.0, 30.0, 600.0),
            )
            for each in found
        }
        backends = tuple(
            Backend(f"{each.name}/m", each.name, "m", price, regions.get(each.name)) for each in found
        )
        self.catalogue = Catalogue(
            {"public": Model("public", backends, **model)},
            {"balanced": Tier(("public",), "order")},
            {"balanced": ("balanced", "balanced", "balanced")},
            {},
        )
        self.log = Said()
        self.conditions = Conditions()
        self.kept_for: dict[str, str] = {}
        self.choosing = Choosing(
            self.catalogue,
            providers,
            self.log,
            default_output_tokens=100,
            today=lambda: date(2026, 11, 28),
            conditions=lambda: self.conditions,
            usable=lambda name, customer_id, _: self.kept_for.get(name, customer_id) == customer_id,
        )

    def plan(
        self,
        request: Canonical,
        *,
        tier: str | None = None,
        embeds: bool = False,
        budget: Budget | None = None,
        **of_subject: Any,
    ) -> Plan:
        if tier is not None:
            request = request._replace(model=tier)
        return self.choosing.choose(
            Asking(
                request,
                "embeddings" if embeds else "chat/completions",
                subject(**of_subject),
                "request-1",
                self.choosing.wishes(request),
                budget or Budget(),
            )
        )

    def refused(self, request: Canonical, **how: Any) -> Refused:
        with pytest.raises(Refused) as refusal:
            self.plan(request, **how)
        return refusal.value


def chat(**members: Any) -> Canonical:
    body = {"model": "public", "messages": [{"role": "user", "content": "x"}], **members}
    return OpenAIChat().parse(orjson.dumps(body))


def embedding(**members: Any) -> Canonical:
    return OpenAIEmbeddings().parse(orjson.dumps({"model": "public", "input": "x", **members}))


def backends(chosen: Plan) -> list[str]:
    return [attempt.backend.provider for attempt in chosen.attempts]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"user": "u-1", "store": True, "metadata": {"a": "b"}}, ["groq", "mistral", "openai"]),
        ({"logprobs": True}, ["mistral", "openai"]),
        ({"logprobs": True, "top_logprobs": 3}, ["mistral", "openai"]),
        ({"logit_bias": {"5": -100}}, ["openai"]),
        ({"n": 2}, ["mistral", "openai"]),
        ({"audio": {"voice": "a"}}, ["groq", "openai"]),
        ({"logprobs": True, "audio": {"voice": "a"}}, ["openai"]),
        (
            {"logprobs": None, "top_logprobs": None, "logit_bias": None, "n": None},
            ["groq", "mistral", "openai"],
        ),
        ({"logprobs": False, "top_logprobs": 0, "logit_bias": {}, "n": 1}, ["groq", "mistral", "openai"]),
        ({"logit_bias": {"5": 0}}, ["groq", "mistral", "openai"]),
    ],
)
@pytest.mark.parametrize("tier", [None, "balanced"])
def test_backends_that_lack_something_are_passed_over(
    members: dict[str, Any], expected: list[str], tier: str | None
) -> None:
    """The others keep their order. What is harmless, null or a default is not missed."""
    place = Place("groq", "mistral", "openai", can=frozenset({"logprobs"}))
    chosen = place.plan(chat(**members), tier=tier)
    assert (tier, expected) == (chosen.tier, backends(chosen))


def test_no_backend_is_left() -> None:
    """Only then is the request refused, and each backend is named with what it does not take."""
    refused = Place("groq", "mistral").refused(chat(logit_bias={"5": 1}, logprobs=True))
    assert (400, "no_capable_backend", "logit_bias", "gateway") == (
        refused.status,
        refused.code,
        refused.param,
        refused.source,
    )
    assert (
        "no backend can serve this request: groq/m does not take `logit_bias`, `logprobs`; "
        "mistral/m does not take `logit_bias`"
    ) == refused.message


def test_embeddings_of_a_named_model() -> None:
    """A provider without embeddings is passed over; alone it is refused, and `param` is a member of the request."""
    assert ["openai"] == backends(Place(MUTE, "openai").plan(embedding(), embeds=True))
    assert ["mute"] == backends(Place(MUTE).plan(chat()))
    refused = Place(MUTE).refused(embedding(), embeds=True)
    assert ("no_capable_backend", "model") == (refused.code, refused.param)
    assert "mute/m does not take `embeddings`" in refused.message


def test_embeddings_of_a_tier() -> None:
    """A tier is refused, whoever could serve it: vectors of different models do not compare."""
    refused = Place("openai").refused(embedding(), tier="balanced", embeds=True)
    assert (400, "no_capable_backend", "model") == (refused.status, refused.code, refused.param)
    assert "a model by name" in refused.message


def test_members_that_embeddings_lack() -> None:
    """Harmless ones are dropped, others pass the backend over, as for chat."""
    dialect = openai_embeddings.OpenAIEmbeddings(refuses=frozenset({"user", "dimensions"}))
    small = replace(REGISTRY["openai"], name="small", embeddings=dialect)
    place = Place(small, "openai")
    assert ["small", "openai"] == backends(place.plan(embedding(user="u"), embeds=True))
    assert ["openai"] == backends(place.plan(embedding(dimensions=8), embeds=True))


def test_the_request_is_the_same_for_every_attempt() -> None:
    """What one backend does not get, the next one gets: encoding changes nothing."""
    mistral, openai = REGISTRY["mistral"].dialect, REGISTRY["openai"].dialect
    request = chat(user="u-1", seed=7, max_completion_tokens=9, stream=True, headgate={"tags": ["a"]})
    raw, members = request.raw, orjson.loads(request.raw)
    sent = [orjson.loads(dialect.encode(request, "m").body) for dialect in (mistral, openai, mistral)]
    assert {"user", "seed", "max_completion_tokens"}.isdisjoint(sent[0])
    assert (7, 9) == (sent[0]["random_seed"], sent[0]["max_tokens"])
    assert ("u-1", 7, 9) == tuple(sent[1][name] for name in ("user", "seed", "max_completion_tokens"))
    assert sent[0] == sent[2]
    assert (raw, members) == (request.raw, request.members)


def test_a_parameter_that_would_be_left_out() -> None:
    """`require_parameters` passes such a backend over, and nothing else does."""
    place = Place("mistral", "openai")
    assert ["mistral", "openai"] == backends(place.plan(chat(user="u-1")))
    strict = chat(user="u-1", provider={"require_parameters": True})
    assert ["openai"] == backends(place.plan(strict))
    refused = Place("mistral").refused(strict)
    assert ("no_capable_backend", "provider") == (refused.code, (refused.param or "").partition(".")[0])
    assert "mistral/m would leave out `user`" in refused.message


@pytest.mark.parametrize(
    ("headgate", "param"),
    [
        ({"max_cost": 1}, "headgate.max_cost"),
        ({"priority": "urgent"}, "headgate.priority"),
        ({"deadline_ms": 0.5}, "headgate.deadline_ms"),
        ({"region": 1}, "headgate.region"),
        ({"region": []}, "headgate.region"),
        ({"region": ["eu", ""]}, "headgate.region[1]"),
        ({"tier": "cheap"}, "headgate.tier"),
        ([], "headgate"),
    ],
)
def test_a_wish_that_cannot_be_meant(headgate: Any, param: str) -> None:
    """400, and the member is named."""
    refused = Place("openai").refused(chat(headgate=headgate))
    assert (400, "invalid_request", param) == (refused.status, refused.code, refused.param)
    assert f"`{param}`" in refused.message


def test_dollars_need_a_price() -> None:
    """A backend whose price nobody knows may not serve a subject with a limit in dollars."""
    place = Place("openai", price=None)
    assert ["openai"] == backends(place.plan(chat()))
    refused = place.refused(chat(), budget=Budget(dollars=True))
    assert (400, "no_capable_backend", "model") == (refused.status, refused.code, refused.param)
    assert "limit in dollars" in refused.message


def test_no_more_than_it_may_cost() -> None:
    """`max_cost_usd` is compared with the most that an answer of this length can cost."""
    place = Place("openai")
    body = chat(max_tokens=1000, headgate={"max_cost_usd": 0.01})
    assert ["openai"] == backends(place.plan(body))
    refused = place.refused(chat(max_tokens=1000, headgate={"max_cost_usd": 0.002}))
    assert ("no_capable_backend", "headgate.max_cost_usd") == (refused.code, refused.param)


@pytest.mark.parametrize(
    ("members", "max_image_tokens", "most_usd"),
    [
        ({}, None, 0.0523),
        ({}, 1000, 0.0033),
        ({"prediction": {"type": "content", "content": "x"}}, 1000, 0.0038),
    ],
)
def test_the_most_that_an_image_may_cost(
    members: Mapping[str, Any], max_image_tokens: int | None, most_usd: float
) -> None:
    """The catalogue's figure where it has one; a prediction may be billed as output on top."""
    place = Place("openai", max_image_tokens=max_image_tokens)
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}

    def asked(max_cost_usd: float) -> Canonical:
        return chat(
            messages=[{"role": "user", "content": [picture]}],
            max_tokens=1000,
            headgate={"max_cost_usd": max_cost_usd},
            **members,
        )

    assert ["openai"] == backends(place.plan(asked(most_usd)))
    assert "headgate.max_cost_usd" == place.refused(asked(round(most_usd - 0.0002, 4))).param


def test_what_is_left_of_a_budget() -> None:
    """A plan leaves out what is too dear for it, as long as somebody is left."""
    place = Place("openai", "groq")
    dear, cheap = place.catalogue.models["public"].backends
    model = replace(
        place.catalogue.models["public"], backends=(replace(dear, price=Price(9_000_000, 9_000_000)), cheap)
    )
    place.choosing._policy = Policy(replace(place.catalogue, models={"public": model}))
    body = chat(max_tokens=1000)
    for spendable, expected in ((None, ["openai", "groq"]), (3000, ["groq"]), (10, ["openai", "groq"])):
        assert expected == backends(
            place.plan(body, budget=Budget(dollars=True, spendable_microusd=spendable))
        )


def test_what_is_left_for_low_priority() -> None:
    """Nothing of the last share: a request of low priority is refused for the moment, others run."""
    place = Place("openai")
    place.conditions = Conditions(0.5, {"openai/m": BackendState(in_flight=9, max_in_flight=10)})
    assert ["openai"] == backends(place.plan(chat()))
    for low in (chat(headgate={"priority": "low"}), chat()):
        priority = "low" if "headgate" not in low.members else "normal"
        refused = place.refused(low, priority=priority)
        assert (503, "overloaded", 1.0) == (refused.status, refused.code, refused.retry_after_s)


def test_a_fault_of_the_policy_fails_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is logged once, and requests run in the catalogue's order; what may not be used still may not."""

    def broken(*_: object) -> Plan:
        raise ZeroDivisionError

    monkeypatch.setattr(Policy, "plan", broken)
    place = Place("groq", "openai")
    for tier in (None, "balanced"):
        assert ["groq", "openai"] == backends(place.plan(chat(), tier=tier))
    assert 1 == len(place.log.events)
    assert "model_not_allowed" == place.refused(chat(), key_models=("other",)).code
    unpriced = Place("openai", price=None)
    assert "no_capable_backend" == unpriced.refused(chat(), budget=Budget(dollars=True)).code


def test_a_fault_of_the_policy_sends_nothing_abroad(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a prompt may be answered is a promise that holds without the policy too."""

    def broken(*_: object) -> Plan:
        raise ZeroDivisionError

    monkeypatch.setattr(Policy, "plan", broken)
    place = Place("groq", "openai", regions={"openai": "EU"})
    for regions, wish in ((("eu",), {}), ((), {"headgate": {"region": "eu"}})):
        assert ["openai"] == backends(place.plan(chat(**wish), regions=regions))
    refused = place.refused(chat(headgate={"region": "eu"}), regions=("us",))
    assert ("no_capable_backend", "no backend is known to be in `us`") == (refused.code, refused.message)


def test_a_provider_without_a_key_for_the_customer() -> None:
    """It is passed over; alone it is refused, and the message says why."""
    place, alone = Place("groq", "openai"), Place("groq")
    place.kept_for = alone.kept_for = {"groq": "acme"}
    assert ["groq", "openai"] == backends(place.plan(chat(), customer_id="acme"))
    assert ["openai"] == backends(place.plan(chat(), customer_id="other"))
    refused = alone.refused(chat(), customer_id="other")
    assert (400, "no_capable_backend", "model") == (refused.status, refused.code, refused.param)
    assert "groq/m has no provider key for this customer and tier" in refused.message


def test_names_that_limits_count() -> None:
    """All names a request may be answered under, as written and as meant."""
    choosing = Place("openai").choosing
    request = chat(model="headgate/balanced", models=["public:floor"], headgate={"tier": "balanced"})
    assert ("headgate/balanced", "balanced", "public:floor", "public") == choosing.names(
        request, choosing.wishes(request)
    )
