"""Which backends are tried, and in which order."""

from collections import Counter
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from proxy.routing.catalogue.types import Price, Tier, Weights
from proxy.routing.explain import explained, reasons_of
from proxy.routing.policy import Policy
from proxy.routing.snapshot import BackendState, Barred, Conditions, Settled, Snapshot, Warm
from proxy.routing.types import NAMED, Facts, Lacks, Unroutable, Verdict
from proxy.routing.wishes import NONE, Wishes, parse_wishes
from tests.proxy.routing.houses import (
    backends_of,
    house,
    met,
    model,
    models_of,
    planned,
    tier_of,
    with_backends,
)

SIMPLE = Verdict("rules", "simple", "generation", 0.9, "a-rule", "code")
COMPLEX = Verdict("scorer", "complex", "debugging", 0.9)


def refusal(*args: Any, **kwargs: Any) -> Unroutable:
    with pytest.raises(Unroutable) as refused:
        planned(*args, **kwargs)
    return refused.value


# Names and tiers


@pytest.mark.parametrize("asked", ["balanced", "headgate/balanced", "auto", "balanced:nitro"])
def test_names_of_a_mode(asked: str) -> None:
    """A mode, with our prefix, under an alias, with a suffix."""
    assert "balanced" == planned(tier_of(model("a")), asked).tier


def test_a_verdict_picks_the_entry() -> None:
    """By complexity; undecided is the middle."""
    catalogue = house(model("f"), model("b"), model("p"), frugal=["f"], balanced=["b"], premium=["p"])
    for verdict, tier in (
        (SIMPLE, "frugal"),
        (COMPLEX, "premium"),
        (Verdict("default", "moderate"), "balanced"),
    ):
        chosen = planned(catalogue, verdict=verdict)
        assert (tier, [tier[0]], False) == (chosen.tier, models_of(chosen), chosen.raised)


@pytest.mark.parametrize(
    ("mode", "verdict", "tier", "raised"),
    [
        ("balanced", Verdict("scorer", "simple", confidence=0.59), "balanced", True),
        ("balanced", Verdict("micro", "moderate", confidence=0.1), "premium", True),
        ("balanced", Verdict("scorer", "complex", confidence=0.1), "premium", False),
        ("balanced", Verdict("scorer", "simple", confidence=0.6), "frugal", False),
        ("balanced", Verdict("default", "moderate", confidence=0.0), "balanced", False),
        ("premium", Verdict("scorer", "simple", confidence=0.1), "premium", False),
    ],
)
def test_doubt_goes_up(mode: str, verdict: Verdict, tier: str, *, raised: bool) -> None:
    """One entry of the mode's own list, said only where that changes the tier; undecided never does."""
    catalogue = house(model("f"), model("b"), model("p"), frugal=["f"], balanced=["b"], premium=["p"])
    chosen = planned(catalogue, mode, verdict=verdict)
    assert (tier, raised) == (chosen.tier, chosen.raised)


def test_a_conversation_has_its_tier() -> None:
    """What it came to stands over the verdict."""
    catalogue = house(model("f"), model("p"), frugal=["f"], premium=["p"])
    snapshot = Snapshot(settled=Settled("premium", because="kept for the turn"))
    chosen = planned(catalogue, verdict=SIMPLE, snapshot=snapshot)
    assert ("premium", "kept for the turn") == (chosen.tier, chosen.because)


def test_a_tier_that_cannot_gives_way_to_another() -> None:
    """The next one up in the mode's list, and the plan says why; where none can, the first refusal stands."""
    sees = frozenset({"vision"})
    catalogue = house(
        model("f"), model("b"), model("p", can=sees), frugal=["f"], balanced=["b"], premium=["p"]
    )
    chosen = planned(catalogue, verdict=SIMPLE, needs=sees)
    assert ("premium", "no backend of `frugal` can serve it") == (chosen.tier, chosen.because)
    refused = refusal(catalogue, verdict=SIMPLE, needs=frozenset({"pdf"}))
    assert ("no_capable_backend", "messages") == (refused.code, refused.param)
    assert "p/f is not known to have `pdf`" in refused.message
    assert "no_capable_backend" == refusal(catalogue, "frugal", needs=sees).code


def test_a_tier_without_models_gives_way_too() -> None:
    """A mode answers as long as one of its tiers can."""
    chosen = planned(house(model("p"), premium=["p"]), verdict=SIMPLE)
    assert ("premium", "`frugal` has no model that is configured") == (chosen.tier, chosen.because)
    assert "model_not_found" == refusal(house(model("p"), premium=["p"]), "frugal").code


def test_a_soft_limit_lowers_by_one() -> None:
    """And the plan says from where; a tier below that can do nothing is passed over, and frugal has none below."""
    sees = frozenset({"vision"})
    catalogue = house(model("f"), model("p", can=sees), frugal=["f"], balanced=["f"], premium=["p"])
    soft = Snapshot(lower=True)
    chosen = planned(catalogue, verdict=COMPLEX, snapshot=soft)
    assert ("balanced", "premium") == (chosen.tier, chosen.lowered_from)
    assert ("balanced", "premium") == planned(catalogue, "premium", snapshot=soft)[0:6:5]
    seeing = planned(catalogue, "premium", snapshot=soft, needs=sees)
    assert ("premium", None) == (seeing.tier, seeing.lowered_from)
    assert planned(catalogue, "frugal", snapshot=soft).lowered_from is None


def test_unknown_names_and_names_that_are_not_allowed() -> None:
    """404 with near misses, 403; a tier in a list admits what it may choose, but not by the models' own names."""
    catalogue = tier_of(model("alpha"))
    assert "did you mean `alpha`" in refusal(catalogue, "alpa").message
    assert "model_not_allowed" == refusal(catalogue, "alpha", allow_lists=[["balanced"]]).code
    assert ["alpha"] == models_of(planned(catalogue, "auto", allow_lists=[["balanced"]]))
    assert ["alpha"] == models_of(planned(catalogue, "alpha:floor", allow_lists=[["alpha"]]))
    assert "model_not_found" == refusal(house(model("a")), "premium").code


def test_a_tier_by_wish() -> None:
    """One of the asked mode's, or one that the key may use itself."""
    catalogue = house(model("f"), model("p"), frugal=["f"], premium=["p"])
    for asked, lists in (("balanced", [["balanced"]]), ("f", []), ("anything", [["premium"]])):
        assert ["p"] == models_of(planned(catalogue, asked, wishes=Wishes(tier="premium"), allow_lists=lists))
    assert (
        "model_not_allowed"
        == refusal(catalogue, "f", wishes=Wishes(tier="premium"), allow_lists=[["f"]]).code
    )
    assert "headgate.tier" == refusal(catalogue, wishes=Wishes(tier="best")).param


# Filters


def test_a_named_model_that_says_nothing_is_trusted() -> None:
    """A tier takes it for text only; a model that says what it can is held to it."""
    sees = frozenset({"vision"})
    silent, blind = model("silent", can=None), model("blind", can=frozenset({"tools"}))
    catalogue = house(silent, blind, balanced=["silent", "blind"])
    assert ["silent"] == models_of(planned(catalogue, "silent", needs=sees))
    assert "no_capable_backend" == refusal(catalogue, "blind", needs=sees).code
    assert "no_capable_backend" == refusal(catalogue, needs=sees).code


def test_trust_goes_by_each_name() -> None:
    """A tier to fall back to is no model that the client named; a model to fall back to is, whatever came first."""
    sees = frozenset({"vision"})
    silent, seeing = model("silent", can=None), model("seeing", can=sees)
    catalogue = house(silent, seeing, balanced=["silent", "seeing"], frugal=["seeing"])
    to_tier = planned(catalogue, "seeing", needs=sees, wishes=Wishes(models=("balanced",)))
    assert ["seeing"] == models_of(to_tier)
    to_model = planned(catalogue, "frugal", needs=sees, wishes=Wishes(models=("silent",)))
    assert ["seeing", "silent"] == models_of(to_model)


def test_a_prompt_that_is_too_long() -> None:
    """Surely too long: passed over, and refused if nothing else is in the way. Probably: tried after all others."""
    small, large = model("small", 1.0, context_tokens=900), model("large", 2.0, context_tokens=100_000)
    catalogue = tier_of(small, large)
    assert ["large", "small"] == models_of(planned(catalogue))
    assert ["large"] == models_of(planned(catalogue, least_prompt_tokens=901))
    refused = refusal(catalogue, "small", least_prompt_tokens=901)
    assert ("context_length_exceeded", "messages") == (refused.code, refused.param)
    assert "p/small takes 900 tokens" in refused.message
    assert ["large"] == models_of(planned(catalogue, output_limit_tokens=501))


def test_an_answer_that_is_too_long() -> None:
    """A model that writes less than the client's limit is passed over."""
    catalogue = tier_of(model("short", max_output_tokens=100), model("long", 9.0))
    assert ["long"] == models_of(planned(catalogue, output_limit_tokens=101))
    refused = refusal(catalogue, "short", output_limit_tokens=101)
    assert ("no_capable_backend", "max_tokens") == (refused.code, refused.param)


def test_a_model_after_its_last_day() -> None:
    """No tier chooses it; whoever names it gets it."""
    catalogue = tier_of(model("old", deprecated_on=date(2026, 11, 27)), model("new", 9.0))
    today = Snapshot(today=date(2026, 11, 28))
    assert ["new"] == models_of(planned(catalogue, snapshot=today))
    assert ["old"] == models_of(planned(catalogue, "old", snapshot=today))
    assert ["old", "new"] == models_of(planned(catalogue, snapshot=Snapshot(today=date(2026, 11, 27))))


def test_money() -> None:
    """A backend without a price is none for dollars; one that may cost more than is left is passed over."""
    catalogue = tier_of(model("free", None), model("cheap", 1.0), model("dear", 9.0), strategy="order")
    dollars = Snapshot(dollars=True)
    assert ["cheap", "dear"] == models_of(planned(catalogue, snapshot=dollars))
    size: dict[str, Any] = {"most_prompt_tokens": 2000, "most_output_tokens": 1000}
    assert ["cheap"] == models_of(
        planned(catalogue, snapshot=dollars._replace(spendable_microusd=4000), **size)
    )
    # Too little for any: admission refuses, with the figures of the limit.
    poor = planned(catalogue, snapshot=dollars._replace(spendable_microusd=3999), **size)
    assert ["cheap", "dear"] == models_of(poor)


def test_providers_without_a_key() -> None:
    """Barred for one tier, they serve another."""
    catalogue = tier_of(model("a", 1.0, "x", "y"))
    barred = Snapshot(barred=Barred({"balanced": frozenset({"x"})}))
    assert ["y/a"] == backends_of(planned(catalogue, snapshot=barred))
    assert ["x/a", "y/a"] == backends_of(planned(catalogue, "a", snapshot=barred))


def test_what_a_backend_does_not_take() -> None:
    """It is passed over."""
    catalogue = tier_of(model("a", 1.0, "x", "y"))
    assert ["y/a"] == backends_of(planned(catalogue, lacks=Lacks({"x/a": ("seed",)})))


# Order


def test_the_cheapest_above_the_floor() -> None:
    """Measured and good enough, then unmeasured, then below the floor by quality: nobody is lost to the floor."""
    catalogue = tier_of(
        model("bad", 0.1, quality=30),
        model("poor", 0.2, quality=60),
        model("unknown", 0.3),
        model("good", 2.0, quality=70),
        model("cheap", 1.0, quality=75),
        floor=70.0,
    )
    assert ["cheap", "good", "unknown", "poor", "bad"] == models_of(planned(catalogue))


def test_the_finer_quality_counts() -> None:
    """By domain where somebody measured it, else by kind of task, else the model's mean."""
    coder = model("coder", 1.0, quality=50)
    catalogue = tier_of(
        model("talker", 0.5, quality=80),
        type(coder)("coder", coder.backends, can=frozenset(), quality={"code": 90.0, "other": 50.0}),
        floor=85.0,
    )
    verdict = Verdict("rules", "moderate", "debugging", 1.0, domain="code")
    assert ["coder", "talker"] == models_of(planned(catalogue, verdict=verdict))
    assert ["talker", "coder"] == models_of(planned(catalogue))


def test_availability_is_part_of_the_price() -> None:
    """Little saved is not worth many failures; and who fails often stands behind all others, whatever it saves."""
    catalogue = tier_of(model("shaky", 1.0), model("steady", 1.05))
    assert ["shaky", "steady"] == models_of(planned(catalogue))
    worse = met(shaky={"availability": 0.93, "attempts_7d": 900}, steady={"availability": 0.999})
    assert ["steady", "shaky"] == models_of(planned(catalogue, snapshot=worse))
    nearly_free = tier_of(model("shaky", 0.01), model("steady", 1.0))
    down = met(shaky={"availability": 0.89, "attempts_7d": 900})
    assert ["steady", "shaky"] == models_of(planned(nearly_free, snapshot=down))


def test_who_fails_of_late_stands_behind() -> None:
    """However good its 7 days are; one failure is no trouble yet, and what went well since outweighs two."""
    catalogue = tier_of(model("cheap", 0.01), model("dear", 1.0))

    def first(attempts: int, failed: int, **more: Any) -> str:
        share = failed / attempts if attempts else None
        state = {
            "availability": 0.995,
            "attempts_7d": 9000,
            "recent_attempts": attempts,
            "recent_error_share": share,
        }
        return models_of(planned(catalogue, snapshot=met(cheap={**state, **more})))[0]

    assert ["cheap"] * 4 == [first(0, 0), first(1, 1), first(20, 2), first(100, 8)]
    assert ["dear"] * 3 == [first(2, 2), first(10, 4), first(100, 20)]
    assert "dear" == first(100, 0, availability=0.89)
    late = BackendState(0.995, 9000, recent_attempts=10, recent_error_share=0.4)
    told = planned(catalogue, snapshot=met(cheap=late))
    reasons = reasons_of(told, told.attempts[1])
    assert "health=0.995/7d, 0.797 of late" in reasons
    assert "behind those with an availability of 0.9" in reasons


def test_the_price_is_that_of_this_request() -> None:
    """Dear prompts or dear answers: the cheapest depends on what is asked; a warm cache counts."""
    catalogue = tier_of(
        with_backends(model("reads"), {"price": Price(1_000_000, 9_000_000)}),
        with_backends(model("writes"), {"price": Price(3_000_000, 1_000_000, cache_read_picousd=0)}),
    )
    assert ["writes", "reads"] == models_of(planned(catalogue, prompt_tokens=100))
    assert ["reads", "writes"] == models_of(planned(catalogue, prompt_tokens=100_000))
    warm = Snapshot(warm=Warm("p/writes", 99_000))
    assert ["writes", "reads"] == models_of(planned(catalogue, prompt_tokens=100_000, snapshot=warm))


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("order", ["a", "b", "c"]),
        ("cheapest", ["b", "a", "c"]),
        ("fastest", ["c", "a", "b"]),
        ("throughput", ["a", "b", "c"]),
        ("least_busy", ["c", "b", "a"]),
        ("score", ["c", "b", "a"]),
    ],
)
def test_strategies(strategy: str, expected: list[str]) -> None:
    """Each goes by its own figure."""
    models = model("a", 2.0, quality=50), model("b", 1.0, quality=55), model("c", 3.0, quality=90)
    snapshot = met(
        a={"tokens_s": 300.0, "first_content_p50_ms": 900.0, "speed_samples": 500, "in_flight": 9},
        b={
            "tokens_s": 200.0,
            "first_content_p50_ms": 950.0,
            "speed_samples": 500,
            "in_flight": 8,
            "max_in_flight": 200,
        },
        c={"tokens_s": 20.0, "first_content_p50_ms": 100.0, "speed_samples": 500},
    )
    catalogue = tier_of(*models, strategy=strategy)
    chosen = planned(catalogue, snapshot=snapshot)
    assert (strategy, expected) == (chosen.strategy, models_of(chosen))


def test_weights_of_a_tier() -> None:
    """All for the price is the cheapest; all for quality the best."""
    models = model("cheap", 0.5, quality=40), model("best", 9.0, quality=95)
    for weights, first in ((Weights(cost=1.0), "cheap"), (Weights(quality=1.0), "best")):
        catalogue = tier_of(*models, strategy="score", weights=weights)
        assert first == models_of(planned(catalogue))[0]


def test_a_draw_by_the_request() -> None:
    """The same request draws the same; over many each comes first by about its share."""
    catalogue = tier_of(
        model("good", 1.0, quality=90),
        model("bad", 1.0, quality=30),
        strategy="weighted",
        weights=Weights(quality=1.0),
    )
    policy = Policy(catalogue)
    firsts = [
        policy.plan(Facts("balanced", request_id=f"r-{number}"), NONE, SIMPLE, Snapshot()).attempts[0].model
        for number in range(4000)
    ]
    assert 2850 <= firsts.count("good") <= 3150  # 3,000 expected, 5 standard deviations are 137
    assert models_of(planned(catalogue)) == models_of(planned(catalogue))


def test_draws_of_one_request_are_independent() -> None:
    """Of equals each order is as likely as any other; of unequals the second place has its share, too."""
    equals = tier_of(model("a"), model("b"), model("c"), strategy="weighted", weights=Weights(quality=1.0))
    policy = Policy(equals)

    def orders(policy: Policy) -> Counter[str]:
        found = [Facts("balanced", request_id=f"r-{number}") for number in range(6000)]
        return Counter("".join(models_of(policy.plan(facts, NONE, SIMPLE, Snapshot()))) for facts in found)

    drawn = orders(policy)
    assert {"abc", "acb", "bac", "bca", "cab", "cba"} == drawn.keys()
    assert all(
        850 <= times <= 1150 for times in drawn.values()
    )  # 1,000 expected, 5 standard deviations are 144
    unequal = tier_of(
        model("a", quality=60),
        model("b", quality=30),
        model("c", quality=10),
        strategy="weighted",
        weights=Weights(quality=1.0),
    )
    drawn = orders(Policy(unequal))
    # b of what a leaves: 30 of 40, after a has come first in 60 of 100.
    assert 2510 <= drawn["abc"] <= 2890  # 2,700 expected, 5 standard deviations are 193
    # a of what c leaves: 60 of 90, after c has come first in 10 of 100.
    assert 303 <= drawn["cab"] <= 497  # 400 expected, 5 standard deviations are 97


def test_a_first_guess_is_outweighed() -> None:
    """50 answers count as much as the catalogue's guess of the speed."""
    models = model("guessed", speed_tokens_s=200.0), model("known", speed_tokens_s=150.0)
    catalogue = tier_of(*models, strategy="throughput")
    for samples, first in ((0, "guessed"), (49, "guessed"), (51, "known")):
        snapshot = met(guessed={"tokens_s": 100.0, "speed_samples": samples})
        assert first == models_of(planned(catalogue, snapshot=snapshot))[0]


# Health


@pytest.mark.parametrize(
    "state",
    [
        {"circuit": "open", "circuit_reason": "errors"},
        {"circuit": "half_open"},
        {"left_requests": 0, "limit_requests": 100},
        {"left_tokens": 1399, "limit_tokens": 100_000},
    ],
)
@pytest.mark.parametrize("asked", ["balanced", "a"])
def test_who_cannot_answer_now_comes_later(state: dict[str, Any], asked: str) -> None:
    """In a tier and in a model's own order; nobody is dropped for it."""
    catalogue = tier_of(model("a", 1.0, "x", "y"))
    snapshot = Snapshot(Conditions(0.5, {"x/a": BackendState(**state)}))
    assert ["y/a", "x/a"] == backends_of(planned(catalogue, asked, snapshot=snapshot))


def test_full_places() -> None:
    """They put a tier's candidate back; in a given order dispatch itself moves on, or waits in the queue."""
    catalogue = tier_of(model("a", 1.0, "x", "y"))
    snapshot = Snapshot(Conditions(0.5, {"x/a": BackendState(in_flight=5, max_in_flight=5)}))
    assert ["y/a", "x/a"] == backends_of(planned(catalogue, snapshot=snapshot))
    assert ["x/a", "y/a"] == backends_of(planned(catalogue, "a", snapshot=snapshot))


def test_the_groups() -> None:
    """Healthy, used up, open; a circuit that is due keeps its place, for the probe."""
    catalogue = tier_of(model("broken", 0.1), model("full", 0.2), model("due", 0.3), model("well", 0.4))
    snapshot = met(
        broken={"circuit": "open"}, full={"in_flight": 1, "max_in_flight": 1}, due={"circuit": "due"}
    )
    assert ["due", "well", "full", "broken"] == models_of(planned(catalogue, snapshot=snapshot))


@pytest.mark.parametrize(
    "state",
    [
        {"in_flight": 8, "max_in_flight": 10},
        {"left_requests": 20, "limit_requests": 100},
        {"left_tokens": 21_399, "limit_tokens": 100_000},
    ],
)
def test_low_priority_leaves_the_last_share(state: dict[str, Any]) -> None:
    """20 percent of a provider's limits are for the others."""
    catalogue = tier_of(model("a"), model("b", 2.0))
    snapshot = met(a=BackendState(**state))
    assert ["a", "b"] == models_of(planned(catalogue, snapshot=snapshot))
    hows: list[dict[str, Any]] = [{"priority": "low"}, {"wishes": Wishes(priority="low")}]
    for how in hows:
        assert ["b"] == models_of(planned(catalogue, snapshot=snapshot, **how))
    assert "overloaded" == refusal(catalogue, "a", snapshot=snapshot, priority="low").code


# Wishes


def test_order_only_and_ignore() -> None:
    """By provider or by backend; what is not named stays behind unless no fallback is allowed."""
    catalogue = tier_of(model("a", 1.0, "x", "y", "z"))
    for asked in ("a", "balanced"):
        for wishes, expected in (
            (Wishes(order=("z", "y")), ["z/a", "y/a", "x/a"]),
            (Wishes(order=("z/a",), allow_fallbacks=False), ["z/a"]),
            (Wishes(allow_fallbacks=False), ["x/a"]),
            (Wishes(only=("y", "z")), ["y/a", "z/a"]),
            (Wishes(ignore=("x", "y/a")), ["z/a"]),
        ):
            assert expected == backends_of(planned(catalogue, asked, wishes=wishes))
    refused = refusal(catalogue, wishes=Wishes(only=("w",)))
    assert ("no_capable_backend", "provider.only") == (refused.code, refused.param)


def test_names_that_another_gateway_knows() -> None:
    """Providers unknown here are for the backend that is sent the wishes; others are not among them."""
    catalogue = house(model("a", 1.0, "relay", "x"))
    facts: dict[str, Any] = {"passed_on": frozenset({"relay"})}
    assert ["relay/a"] == backends_of(planned(catalogue, "a", wishes=Wishes(only=("deep",)), **facts))
    assert ["x/a"] == backends_of(planned(catalogue, "a", wishes=Wishes(only=("x",)), **facts))
    assert "no_capable_backend" == refusal(catalogue, "a", wishes=Wishes(only=("deep",))).code


def test_prices_by_wish() -> None:
    """A ceiling is hard, and an unknown price is above it."""
    catalogue = tier_of(model("free", None), model("cheap", 1.0), model("dear", 9.0))
    for name, most in (("prompt", 1.0), ("completion", 2.0)):
        assert ["cheap"] == models_of(planned(catalogue, wishes=Wishes(max_price=((name, most),))))
    refused = refusal(catalogue, wishes=Wishes(max_price=(("prompt", 0.5),)))
    assert ("no_capable_backend", "provider.max_price") == (refused.code, refused.param)
    assert ["free", "cheap", "dear"] == models_of(
        planned(tier_of(*catalogue.models.values(), strategy="order"))
    )


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ("eu", ["here/a"]),
        ("EU", ["here/a"]),
        (["us", "eu"], ["here/a", "there/a"]),
        (None, ["here/a", "there/a", "silent/a"]),
    ],
)
def test_regions(region: Any, expected: list[str]) -> None:
    """Only where the catalogue says so; what says nothing is in none of them."""
    found = with_backends(model("a", 1.0, "here", "there", "silent"), {"region": "eu"}, {"region": "US"}, {})
    wishes = parse_wishes({"headgate": {"region": region}})
    assert expected == backends_of(planned(tier_of(found, strategy="order"), wishes=wishes))
    refused = refusal(tier_of(found), wishes=parse_wishes({"headgate": {"region": "moon"}}))
    assert ("no_capable_backend", "headgate.region") == (refused.code, refused.param)


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (None, ["eu/a", "ch/a"]),
        ("EU", ["eu/a"]),
        (["us", "ch"], ["ch/a"]),
    ],
)
def test_a_customers_regions(wish: Any, expected: list[str]) -> None:
    """They hold with and without a wish, for tiers and named models; a wish narrows them and never widens them."""
    found = with_backends(
        model("a", 1.0, "us", "eu", "ch", "silent"), {"region": "us"}, {"region": "EU"}, {"region": "ch"}, {}
    )
    catalogue = tier_of(found, strategy="order")
    wishes = parse_wishes({"headgate": {"region": wish}})
    for asked in ("balanced", "a"):
        plan = planned(catalogue, asked, wishes=wishes, regions=("eu", "ch"))
        assert expected == backends_of(plan)
        said = {each["backend"]: each["reasons"] for each in explained(plan)["candidates"]}
        assert (
            ["is not known to be in `eu`, `ch`, the customer's `regions`"] == said["us/a"] == said["silent/a"]
        )


def test_a_wish_outside_a_customers_regions() -> None:
    """The refusal names both; so does one where the customer's regions have no backend."""
    found = with_backends(model("a", 1.0, "us", "eu"), {"region": "us"}, {"region": "eu"})
    catalogue = tier_of(found)
    refused = refusal(catalogue, wishes=parse_wishes({"headgate": {"region": "us"}}), regions=("eu", "ch"))
    assert ("no_capable_backend", "headgate.region") == (refused.code, refused.param)
    expected = "`headgate.region` asks for `us`, and the customer's `regions` allow `eu`, `ch` only"
    assert expected == refused.message
    refused = refusal(catalogue, regions=("ch",))
    assert ("no_capable_backend", "model") == (refused.code, refused.param)
    assert "us/a is not known to be in `ch`, the customer's `regions`" in refused.message


def test_data_policies_and_quantizations() -> None:
    """What nobody said is not assumed."""
    catalogue = tier_of(
        with_backends(
            model("a", 1.0, "silent", "trains", "not", "zero"),
            {},
            {"data_policy": "train"},
            {"data_policy": "no-train", "quantization": "fp8"},
            {"data_policy": "zdr"},
        )
    )
    for wishes, expected in (
        (Wishes(no_training=True), ["not/a", "zero/a"]),
        (Wishes(no_retention=True), ["zero/a"]),
        (Wishes(quantizations=("fp8",)), ["not/a"]),
        (Wishes(quantizations=("unknown",)), ["silent/a", "trains/a", "zero/a"]),
    ):
        assert expected == backends_of(planned(catalogue, "a", wishes=wishes))
    assert "no_capable_backend" == refusal(catalogue, "a", wishes=Wishes(distillable=True)).code


def test_sorting_by_wish() -> None:
    """Instead of the catalogue's order or the tier's strategy; a suffix says the same."""
    catalogue = tier_of(with_backends(model("a", 1.0, "x", "y"), {"price": None}, {}))
    snapshot = Snapshot(Conditions(0.5, {"y/a": BackendState(tokens_s=500.0, speed_samples=100)}))
    for asked, wishes in (
        ("a", Wishes(sort="cheapest")),
        ("a:floor", NONE),
        ("a:nitro", NONE),
        ("a", Wishes(sort="throughput")),
    ):
        assert ["y/a", "x/a"] == backends_of(planned(catalogue, asked, wishes=wishes, snapshot=snapshot))


def test_preferences_put_back_and_exclude_nobody() -> None:
    """Who is known to be slower than wished comes later; who is unknown does not."""
    catalogue = tier_of(model("slow", 1.0), model("unknown", 2.0), model("fast", 3.0))
    snapshot = met(
        slow={"tokens_s": 10.0, "first_content_p50_ms": 3000.0, "first_content_p95_ms": 9000.0},
        fast={"tokens_s": 90.0, "first_content_p50_ms": 300.0, "first_content_p95_ms": 900.0},
    )
    for wishes in (
        Wishes(min_throughput_tokens_s=(("p50", 50.0),)),
        Wishes(max_latency_s=(("p50", 2.0),)),
        Wishes(max_latency_s=(("p90", 5.0),)),
    ):
        assert ["unknown", "fast", "slow"] == models_of(planned(catalogue, wishes=wishes, snapshot=snapshot))


def test_models_to_fall_back_to() -> None:
    """After the one asked for, in their order; pooled, all are sorted together. Unknown ones are said, not used."""
    catalogue = house(model("a", 3.0), model("b", 2.0), model("c", 1.0), balanced=["c"])
    wishes = Wishes(models=("b", "nobody", "a", "balanced"))
    chosen = planned(catalogue, "a", wishes=wishes)
    assert (["a", "b", "c"], ("nobody",)) == (models_of(chosen), chosen.ignored)
    pooled = wishes._replace(sort="cheapest", pooled=True)
    assert ["c", "b", "a"] == models_of(planned(catalogue, "a", wishes=pooled))
    allowed = planned(catalogue, "a", wishes=wishes, allow_lists=[["a", "b"]])
    assert (["a", "b"], ("nobody", "balanced")) == (models_of(allowed), allowed.ignored)
    away = met(a={"circuit": "open"})
    assert ["b", "c", "a"] == models_of(planned(catalogue, "a", wishes=wishes, snapshot=away))


def test_a_backend_of_several_models_is_tried_once() -> None:
    """As the one that stands best."""
    good, bad = model("good", 1.0, quality=90), model("bad", 1.0, quality=10)
    shared = replace(bad, backends=good.backends)
    catalogue = tier_of(shared, model("other", 2.0, quality=80), good, floor=50.0)
    assert ["good", "other"] == models_of(planned(catalogue))


# Explaining


def test_an_explanation() -> None:
    """Every candidate with its reasons, kept or not, and the attempts in order."""
    catalogue = tier_of(
        model("a", 1.0, quality=80), model("b", 2.0), model("old", deprecated_on=date(2026, 1, 1)), floor=70.0
    )
    snapshot = met(
        a={"availability": 0.997, "attempts_7d": 12, "circuit": "open", "circuit_reason": "errors"}
    )
    told = explained(
        planned(
            catalogue,
            verdict=SIMPLE,
            snapshot=snapshot._replace(today=date(2026, 2, 1), settled=Settled("balanced")),
        )
    )
    assert ("balanced", "cheapest", "rules") == (told["tier"], told["strategy"], told["verdict"]["source"])
    assert [("b", True), ("a", True), ("old", False)] == [
        (each["model"], each["kept"]) for each in told["candidates"]
    ]
    assert ["b", "a"] == [each["model"] for each in told["attempts"]]
    first, second = (each["reasons"] for each in told["attempts"])
    assert "quality: nobody measured, behind those that reach the floor" in first
    assert {
        "tier=balanced",
        "by cheapest",
        "price=0.003000 USD, rank 1",
        "quality=80",
        "health=0.997/7d",
    } <= set(second)
    assert "behind all others: its circuit is open (errors)" in second
    assert ["had its last day on 2026-01-01"] == told["candidates"][2]["reasons"]
    assert told["candidates"][2]["score"] is None


def test_a_named_model_has_no_verdict() -> None:
    """Whatever the classifiers said."""
    assert NAMED == planned(tier_of(model("a")), "a", verdict=COMPLEX).verdict


def test_the_catalogue_alone() -> None:
    """The order that stands in when the policy is at fault looks at names alone."""
    policy = Policy(house(model("f"), model("b", 1.0, "x", "y"), frugal=["f"], balanced=["b", "f"]))
    assert ["b", "b", "f"] == models_of(policy.in_order(Facts("balanced"), Verdict("default", "moderate")))
    assert ["x/b", "y/b"] == backends_of(policy.in_order(Facts("b"), SIMPLE))
    with pytest.raises(Unroutable):
        policy.in_order(Facts("b", allow_lists=[["f"]]), SIMPLE)


def test_tiers_are_known_by_their_type() -> None:
    """A tier in the catalogue says its strategy and floor."""
    assert Tier(("a",), "score", 5.0) == tier_of(model("a"), strategy="score", floor=5.0).tiers["balanced"]
