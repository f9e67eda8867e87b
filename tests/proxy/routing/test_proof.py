"""A choice made again is compared member by member; catalogues have names that tell them apart."""

from dataclasses import replace

import orjson
from hypothesis import given
from hypothesis import strategies as st

from proxy.routing.catalogue.fingerprint import fingerprint
from proxy.routing.policy import Policy, plan
from proxy.routing.proof import Chosen, chosen_from_json, chosen_of, differences
from proxy.routing.replay import InputsWriter, plan_inputs_from_json, plan_inputs_of
from proxy.routing.types import UNDECIDED, Facts
from proxy.routing.wishes import Wishes
from tests.proxy.routing.houses import met, model, planned, tier_of

CHOSEN = Chosen("balanced", "cheapest", False, "", None, (), (("p/a", "a"), ("p/b", "b")))  # noqa: FBT003


def test_what_is_not_as_it_was() -> None:
    """Each member by name, the first attempt that is another one by its place."""
    assert [] == differences(CHOSEN, CHOSEN)
    other = CHOSEN._replace(tier="premium", raised=True, lowered_from="x", ignored=("m",))
    assert [
        "tier: was balanced, would be premium",
        "raised: was False, would be True",
        "lowered_from: was none, would be x",
        "ignored: was none, would be ('m',)",
    ] == differences(CHOSEN, other)
    first, second = CHOSEN.attempts
    for attempts, said in (
        ((second, first), "attempts: number 1 was p/a as a, would be p/b as b"),
        ((first,), "attempts: number 2 was p/b as b, would be none"),
        ((first, second, first), "attempts: number 3 was none, would be p/a as a"),
    ):
        assert [said] == differences(CHOSEN, CHOSEN._replace(attempts=attempts))


@given(
    usd=st.lists(st.floats(0.01, 50), min_size=1, max_size=6, unique=True),
    availability=st.floats(0.1, 1),
    prompt_tokens=st.integers(0, 100_000),
    wishes=st.sampled_from((Wishes(), Wishes(sort="fastest"), Wishes(ignore=("q",)))),
)
def test_kept_inputs_give_the_plan_again(
    usd: list[float], availability: float, prompt_tokens: int, wishes: Wishes
) -> None:
    """Through JSON, whatever was weighed."""
    catalogue = tier_of(*(model(f"m{number}", each, quality=60) for number, each in enumerate(usd)))
    snapshot = met(m0={"availability": availability, "attempts_7d": 500, "tokens_s": 81.25})
    made = planned(catalogue, wishes=wishes, snapshot=snapshot, prompt_tokens=prompt_tokens)
    kept = orjson.loads(orjson.dumps([plan_inputs_of(made), chosen_of(made)], default=tuple))
    facts, wished, verdict, moment = plan_inputs_from_json(kept[0])
    again = plan(facts, wished, verdict, catalogue, moment)
    assert chosen_from_json(kept[1]) == chosen_of(again) == chosen_of(made)


def test_one_writer_for_many_plans() -> None:
    """What plans share is written once; another moment and other candidates are told apart from it."""
    policy = Policy(tier_of(model("a", 1.0, quality=60), model("b", 2.0, quality=60)))
    moments = [met(a={"attempts_7d": number}, b={"attempts_7d": 9}) for number in (1, 2, 3)]
    writer = InputsWriter()
    for snapshot in (*moments, *moments):
        for asked in ("a", "balanced", "b"):
            made = policy.plan(Facts(asked), Wishes(), UNDECIDED, snapshot)
            alone = plan_inputs_of(made)
            assert alone is not None
            del alone["verdict"]
            assert orjson.dumps(alone) == orjson.dumps(writer.of(made))


def test_fingerprints() -> None:
    """Equal catalogues have equal ones, and any figure makes another one."""
    first = tier_of(model("a", 1.0, "x", can=frozenset({"tools", "vision"})))
    same = tier_of(model("a", 1.0, "x", can=frozenset({"vision", "tools"})))
    assert fingerprint(first) == fingerprint(same)
    others = [
        tier_of(model("a", 1.1, "x", can=frozenset({"tools", "vision"}))),
        tier_of(model("a", 1.0, "x", can=frozenset({"tools"}))),
        replace(first, min_confidence=0.7),
        replace(first, aliases={}),
    ]
    assert 5 == len({fingerprint(each) for each in (first, *others)})
