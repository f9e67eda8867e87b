"""What holds for the policy whatever the catalogue, the request and the moment are."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proxy.routing.catalogue.cost import cost_picousd
from proxy.routing.catalogue.types import Backend, Catalogue, Model, Price, Step, Tier, Weights
from proxy.routing.filters import NO_TRAINING
from proxy.routing.plans import Plan
from proxy.routing.policy import Policy, plan
from proxy.routing.ranking import WEIGHTS, Field, prices_of
from proxy.routing.replay import Inputs, plan_inputs_from_json, plan_inputs_of
from proxy.routing.shelf import shelf_of_model
from proxy.routing.snapshot import UNKNOWN, BackendState, Conditions, Snapshot
from proxy.routing.standing import UNLIMITED
from proxy.routing.types import Facts, Lacks, Unroutable, Verdict
from proxy.routing.wishes import Wishes
from tests.proxy.routing.houses import MODES

WORDS = ("tools", "vision", "json_schema")
STRATEGIES = ("cheapest", "score", "fastest", "throughput", "order", "weighted", "least_busy")
PROVIDERS = ("x", "y", "z")

prices = st.builds(
    Price,
    st.integers(0, 20_000_000),
    st.integers(0, 80_000_000),
    cache_read_picousd=st.none() | st.integers(0, 2_000_000),
    per_request_picousd=st.sampled_from([0, 10**9]),
)
states = st.builds(
    BackendState,
    availability=st.floats(0.0, 1.0),
    attempts_7d=st.integers(0, 1000),
    first_content_p50_ms=st.none() | st.floats(1, 60_000),
    first_content_p95_ms=st.none() | st.floats(1, 60_000),
    tokens_s=st.none() | st.floats(1, 1000),
    speed_samples=st.integers(0, 500),
    circuit=st.sampled_from(["closed", "due", "half_open", "open"]),
    in_flight=st.integers(0, 10),
    max_in_flight=st.none() | st.integers(1, 10),
    left_requests=st.none() | st.integers(0, 10),
    limit_requests=st.none() | st.just(10),
    left_tokens=st.none() | st.integers(0, 10_000),
    limit_tokens=st.none() | st.just(10_000),
    recent_attempts=st.integers(0, 100),
    recent_error_share=st.none() | st.floats(0.0, 1.0),
)
verdicts = st.builds(
    Verdict,
    st.sampled_from(["rules", "scorer", "micro", "default"]),
    st.sampled_from(["simple", "moderate", "complex"]),
    st.sampled_from(["debugging", "generation", "other"]),
    st.floats(0, 1),
    st.none() | st.just("a-rule"),
    st.sampled_from([None, "code", "math"]),
)


@st.composite
def models(draw: st.DrawFn, name: str) -> Model:
    backends = tuple(
        Backend(
            f"{provider}/{name}",
            provider,
            name,
            draw(st.none() | prices),
            data_policy=draw(st.sampled_from([None, "train", "no-train", "zdr"])),
            quantization=draw(st.sampled_from([None, "fp8", "int4"])),
            region=draw(st.sampled_from([None, "eu", "US"])),
        )
        for provider in draw(st.lists(st.sampled_from(PROVIDERS), min_size=1, max_size=3, unique=True))
    )
    return Model(
        name,
        backends,
        draw(st.none() | st.integers(100, 10_000)),
        draw(st.none() | st.integers(10, 5_000)),
        draw(st.none() | st.frozensets(st.sampled_from(WORDS))),
        quality=draw(st.dictionaries(st.sampled_from(["code", "debugging", "other"]), st.floats(0, 100))),
        speed_tokens_s=draw(st.none() | st.floats(1, 500)),
    )


@st.composite
def catalogues(draw: st.DrawFn) -> Catalogue:
    names = [f"m{number}" for number in range(draw(st.integers(1, 5)))]
    found = {name: draw(models(name)) for name in names}
    tiers = {
        tier: Tier(
            tuple(draw(st.lists(st.sampled_from(names), unique=True, max_size=5))),
            draw(st.sampled_from(STRATEGIES)),
            draw(st.sampled_from([0.0, 50.0, 80.0])),
        )
        for tier in MODES
    }
    return Catalogue(found, tiers, MODES, {})


@st.composite
def inputs(draw: st.DrawFn, catalogue: Catalogue) -> Inputs:
    backends = [backend.id for each in catalogue.models.values() for backend in each.backends]
    names = [*catalogue.models, *MODES]
    facts = Facts(
        draw(st.sampled_from(names)),
        request_id=draw(st.sampled_from(["r-1", "r-2"])),
        priority=draw(st.sampled_from(["low", "normal", "high"])),
        prompt_tokens=draw(st.integers(0, 12_000)),
        least_prompt_tokens=draw(st.integers(0, 6_000)),
        most_prompt_tokens=draw(st.none() | st.integers(0, 20_000)),
        output_limit_tokens=draw(st.none() | st.integers(1, 6_000)),
        most_output_tokens=draw(st.integers(0, 6_000)),
        needs=draw(st.frozensets(st.sampled_from(WORDS), max_size=2)),
        lacks=Lacks(draw(st.dictionaries(st.sampled_from(backends), st.just(("seed",)), max_size=2))),
        drops=Lacks(draw(st.dictionaries(st.sampled_from(backends), st.just(("user",)), max_size=2))),
        regions=draw(st.sampled_from([(), ("eu",), ("eu", "us")])),
    )
    slugs = st.lists(st.sampled_from([*PROVIDERS, *backends]), max_size=2).map(tuple)
    wishes = Wishes(
        models=tuple(draw(st.lists(st.sampled_from(names), max_size=2))),
        order=draw(slugs),
        only=draw(slugs),
        ignore=draw(slugs),
        allow_fallbacks=draw(st.booleans()),
        require_parameters=draw(st.booleans()),
        max_price=draw(st.sampled_from([(), (("prompt", 5.0),), (("completion", 10.0), ("request", 0.0))])),
        sort=draw(st.none() | st.sampled_from(["cheapest", "fastest", "throughput", "quality"])),
        pooled=draw(st.booleans()),
        no_training=draw(st.booleans()),
        quantizations=draw(st.sampled_from([(), ("fp8",), ("unknown", "int4")])),
        regions=draw(st.sampled_from([(), ("us",)])),
        max_latency_s=draw(st.sampled_from([(), (("p50", 1.0),)])),
        max_cost_microusd=draw(st.none() | st.integers(0, 100_000)),
    )
    snapshot = Snapshot(
        Conditions(1.0, draw(st.dictionaries(st.sampled_from(backends), states))),
        dollars=draw(st.booleans()),
        spendable_microusd=draw(st.none() | st.integers(0, 100_000)),
        lower=draw(st.booleans()),
    )
    return Inputs(facts, wishes, draw(verdicts), snapshot)


def planned(catalogue: Catalogue, given_: Inputs) -> Plan:
    return plan(given_.facts, given_.wishes, given_.verdict, catalogue, given_.snapshot)


@given(st.data())
def test_the_same_inputs_give_the_same_plan(data: st.DataObject) -> None:
    """Over again, by a policy that has planned other things in between."""
    catalogue = data.draw(catalogues())
    first, other = data.draw(inputs(catalogue)), data.draw(inputs(catalogue))
    policy = Policy(catalogue)

    def outcome(given_: Inputs) -> object:
        try:
            chosen = policy.plan(*given_)
        except Unroutable as refused:
            return refused.code, refused.message, refused.param
        return chosen[:7], chosen.ignored

    before = outcome(first)
    outcome(other)
    assert before == outcome(first)


@given(st.data())
def test_a_recorded_plan_is_made_again(data: st.DataObject) -> None:
    """From what the plan itself keeps, though that is only of its own candidates."""
    catalogue = data.draw(catalogues())
    try:
        chosen = planned(catalogue, data.draw(inputs(catalogue)))
    except Unroutable:
        return
    kept = orjson.loads(orjson.dumps(plan_inputs_of(chosen)))
    again = planned(catalogue, plan_inputs_from_json(kept))
    assert (chosen.tier, chosen.attempts, chosen.raised) == (again.tier, again.attempts, again.raised)


def is_named(backend: Backend, slugs: tuple[str, ...]) -> bool:
    """Whether one of the names is its provider or itself."""
    return backend.provider in slugs or backend.id in slugs


def violations(catalogue: Catalogue, chosen: Plan, given_: Inputs) -> list[str]:
    """What the attempts of a plan break of what was asked."""
    facts, wishes, _, snapshot = given_
    found = []
    named = {facts.asked, *wishes.models} & catalogue.models.keys()
    for attempt in chosen.attempts:
        model, backend = catalogue.models[attempt.model], attempt.backend
        least = facts.least_prompt_tokens + (facts.output_limit_tokens or 0)
        price = backend.price
        broken = {
            "needs": not facts.needs <= (model.can or frozenset())
            and not (model.can is None and model.id in named),
            "context": least > (model.context_tokens or UNLIMITED),
            "output": (facts.output_limit_tokens or 0) > (model.max_output_tokens or UNLIMITED),
            "lacks": bool(facts.lacks[backend.id]),
            "only": bool(wishes.only) and not is_named(backend, wishes.only),
            "ignore": is_named(backend, wishes.ignore),
            "order": bool(wishes.order)
            and not wishes.allow_fallbacks
            and not is_named(backend, wishes.order),
            "parameters": wishes.require_parameters and bool(facts.drops[backend.id]),
            "training": wishes.no_training and (backend.data_policy or "") not in NO_TRAINING,
            "quantization": bool(wishes.quantizations)
            and (backend.quantization or "unknown") not in wishes.quantizations,
            "regions": any(
                regions and (backend.region or "").lower() not in regions
                for regions in (facts.regions, wishes.regions)
            ),
            "dollars": snapshot.dollars and price is None,
            "max_price": any(
                price is None
                or {
                    "prompt": price.input_picousd / 1e6,
                    "completion": price.output_picousd / 1e6,
                    "request": price.per_request_picousd / 1e12,
                }[name]
                > most
                for name, most in wishes.max_price
            ),
            "max_cost": wishes.max_cost_microusd is not None
            and (
                price is None
                or cost_picousd(
                    price,
                    input_tokens=min(
                        UNLIMITED if facts.most_prompt_tokens is None else facts.most_prompt_tokens,
                        model.context_tokens or UNLIMITED,
                    ),
                    output_tokens=facts.most_output_tokens,
                )
                > wishes.max_cost_microusd * 1_000_000
            ),
        }
        found += [name for name, is_broken in broken.items() if is_broken]
    return found


@given(st.data())
def test_filters_are_never_violated(data: st.DataObject) -> None:
    """Whatever else is asked. Each backend stands in a plan once, and a plan is never empty."""
    catalogue = data.draw(catalogues())
    given_ = data.draw(inputs(catalogue))
    try:
        chosen = planned(catalogue, given_)
    except Unroutable:
        return
    assert [] == violations(catalogue, chosen, given_)
    ids = [attempt.backend.id for attempt in chosen.attempts]
    assert 1 <= len(ids) == len(set(ids))
    if not given_.wishes.allow_fallbacks and not given_.wishes.order:
        assert 1 == len(ids)


# One list of candidates with one backend each, a strategy, and figures that can be made better or worse


class Case:
    """Candidates `m0`, `m1` … of a tier; a change of one is a new case."""

    def __init__(self, found: list[Model], seen: dict[str, BackendState], tier: Tier, request: Facts) -> None:
        self.models = found
        self.states = seen
        self.tier = tier
        self.request = request

    def order(self) -> list[str]:
        tier = replace(self.tier, models=tuple(each.id for each in self.models))
        catalogue = Catalogue(
            {each.id: each for each in self.models}, {"t": tier}, {"t": ("t", "t", "t")}, {}
        )
        snapshot = Snapshot(Conditions(1.0, self.states))
        chosen = plan(self.request, Wishes(), Verdict("default", "moderate", "other"), catalogue, snapshot)
        return [attempt.model for attempt in chosen.attempts]

    def without(self, name: str) -> "Case":
        return Case([each for each in self.models if each.id != name], self.states, self.tier, self.request)

    def changed(self, name: str, **changes: Any) -> "Case":
        found = [replace(each, **changes) if each.id == name else each for each in self.models]
        return Case(found, self.states, self.tier, self.request)

    def seen(self, name: str, **changes: Any) -> "Case":
        backend = f"p/{name}"
        states_ = {**self.states, backend: replace(self.states.get(backend, UNKNOWN), **changes)}
        return Case(self.models, states_, self.tier, self.request)


@st.composite
def cases(draw: st.DrawFn, *strategies: str, least: int = 2) -> Case:
    number = draw(st.integers(least, 6))
    found = [
        Model(
            f"m{each}",
            (Backend(f"p/m{each}", "p", f"m{each}", draw(st.none() | prices)),),
            can=frozenset(),
            quality=draw(st.sampled_from([{}, {"other": 40.0}, {"other": 60.0}, {"other": 80.0}])),
        )
        for each in range(number)
    ]
    seen = {f"p/m{each}": draw(states) for each in range(number) if draw(st.booleans())}
    tier = Tier(
        (),
        draw(st.sampled_from(strategies or ("cheapest", "score", "fastest"))),
        draw(st.sampled_from([0.0, 50.0])),
        draw(st.none() | st.builds(Weights, *[st.floats(0, 1)] * 4)),
    )
    return Case(found, seen, tier, Facts("t", prompt_tokens=draw(st.integers(0, 5_000)), request_id="r"))


@given(cases(*STRATEGIES, least=1), st.data())
def test_a_worse_candidate_changes_nothing(case: Case, data: st.DataObject) -> None:
    """Wherever it stands in the order, the others keep theirs; so the winner is beaten by a better one alone."""
    order = case.order()
    name = data.draw(st.sampled_from(order))
    assert [each for each in order if each != name] == (case.without(name).order() if len(order) > 1 else [])


@given(cases(*STRATEGIES))
def test_the_second_takes_the_winners_place(case: Case) -> None:
    """When the winner goes away."""
    order = case.order()
    assert order[1:] == case.without(order[0]).order()


def rank(case: Case, name: str) -> int:
    return case.order().index(name)


@given(cases(), st.data())
def test_cheaper_is_never_worse(case: Case, data: st.DataObject) -> None:
    """A lower price, or one that was not known before, moves no candidate back."""
    model = data.draw(st.sampled_from(case.models))
    backend = model.backends[0]
    if backend.price is None:
        price = data.draw(prices)
    else:
        price = replace(
            backend.price,
            input_picousd=data.draw(st.integers(0, backend.price.input_picousd)),
            output_picousd=data.draw(st.integers(0, backend.price.output_picousd)),
        )
    cheaper = case.changed(model.id, backends=(replace(backend, price=price),))
    assert rank(cheaper, model.id) <= rank(case, model.id)


@given(cases(), st.floats(0, 100))
def test_better_is_never_worse(case: Case, more: float) -> None:
    """A higher quality moves no candidate back."""
    for model in case.models:
        if model.quality:
            better = case.changed(model.id, quality={"other": min(100.0, model.quality["other"] + more)})
            assert rank(better, model.id) <= rank(case, model.id)


@given(cases(), st.data())
def test_more_available_is_never_worse(case: Case, data: st.DataObject) -> None:
    """A higher availability moves no candidate back."""
    model = data.draw(st.sampled_from(case.models))
    before = case.states.get(f"p/{model.id}", UNKNOWN).availability
    after = data.draw(st.floats(before, 1.0))
    assume(after >= before)
    assert rank(case.seen(model.id, availability=after), model.id) <= rank(case, model.id)


@given(cases(), st.data())
def test_fewer_errors_of_late_are_never_worse(case: Case, data: st.DataObject) -> None:
    """A smaller share of faults in the last minutes moves no candidate back."""
    model = data.draw(st.sampled_from(case.models))
    before = case.states.get(f"p/{model.id}", UNKNOWN).recent_error_share or 0.0
    after = data.draw(st.floats(0.0, before))
    assert rank(case.seen(model.id, recent_error_share=after), model.id) <= rank(case, model.id)


@given(cases("fastest"), st.floats(0.0, 1.0))
def test_faster_is_never_worse(case: Case, share: float) -> None:
    """An earlier first content moves no candidate back."""
    for model in case.models:
        before = case.states.get(f"p/{model.id}", UNKNOWN).first_content_p50_ms
        if before is not None:
            faster = case.seen(model.id, first_content_p50_ms=before * share)
            assert rank(faster, model.id) <= rank(case, model.id)


@given(st.data())
def test_the_fast_price_is_the_price(data: st.DataObject) -> None:
    """What ranks candidates is what `cost_picousd` says."""
    price = data.draw(prices)
    if data.draw(st.booleans()):
        price = replace(price, steps=(Step(1000, replace(price, per_request_picousd=0)),))
    prompt, answer = data.draw(st.integers(0, 5_000)), data.draw(st.integers(0, 5_000))
    catalogue = Catalogue({"m": Model("m", (Backend("p/m", "p", "m", price),))}, {}, {}, {})
    rows = shelf_of_model("m", catalogue).rows
    found = prices_of(Field(rows, (), (), WEIGHTS, Facts("m", prompt_tokens=prompt), answer, None))
    assert [cost_picousd(price, input_tokens=prompt, output_tokens=answer)] == found


@pytest.mark.parametrize("floor", [0.0, 101.0])
def test_a_floor_loses_nobody(floor: float) -> None:
    """Not even one that no model reaches."""
    found = [
        Model(f"m{each}", (Backend(f"p/m{each}", "p", "m", None),), can=frozenset()) for each in range(3)
    ]
    case = Case(found, {}, Tier((), "cheapest", floor), Facts("t"))
    assert ["m0", "m1", "m2"] == case.order()
