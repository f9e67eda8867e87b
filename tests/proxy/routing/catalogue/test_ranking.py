"""Who joins a tier and why: floors and prices, stand-ins, notice; the same inputs give the same lists."""

from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy.routing.catalogue.document import CatalogueFile
from proxy.routing.catalogue.quality import TASKS, Measured
from proxy.routing.catalogue.ranking import MOST, RULES, Ranking, moves, rank, report

TODAY = date(2026, 11, 28)


def _model(name: str, usd: float | None, provider: str = "openai", **members: Any) -> dict[str, Any]:
    """A model whose standard request costs `usd`."""
    price = {} if usd is None else {"price": {"input": 0, "output": usd * 1000}}
    return {"id": name, "backends": [{"provider": provider, "model": name}], **price, **members}


def _rank(*models: dict[str, Any], **quality: int) -> Ranking:
    measured = {name: dict.fromkeys(TASKS, points) for name, points in quality.items()}
    catalogue = CatalogueFile("", {"models": list(models), "tiers": {}})
    return rank(catalogue, Measured(measured, {}), TODAY)


def _list(ranking: Ranking, tier: str) -> list[str]:
    return list(ranking.catalogue.tiers[tier]["models"])


def test_floors_prices_and_order() -> None:
    """Frugal and balanced by price, premium by quality; each with its floor and its most."""
    ranking = _rank(
        _model("dear", 0.04), _model("mid", 0.02), _model("cheap", 0.001), _model("bad", 0.0001),
        dear=90, mid=80, cheap=70, bad=40,
    )  # fmt: skip
    assert ["cheap"] == _list(ranking, "frugal")
    assert ["cheap", "mid"] == _list(ranking, "balanced")
    assert ["dear", "mid"] == _list(ranking, "premium")
    reasons = ranking.reasons["balanced"]
    assert "quality 40.0 is below 70" == reasons["bad"]
    assert "0.040000 USD is above 0.025" == reasons["dear"]
    assert "quality 80.0, 0.020000 USD at openai" == reasons["mid"]


def test_who_joins_nothing() -> None:
    """Unmeasured, unpriced, ending within 30 days, or of embeddings."""
    ranking = _rank(
        _model("unmeasured", 0.001),
        _model("unpriced", None),
        _model("ends", 0.001, deprecated_on="2026-12-28"),
        _model("stays", 0.001, deprecated_on="2026-12-29"),
        _model("vectors", 0.001, can=["embeddings"]),
        unpriced=90, ends=90, stays=60, vectors=90,
    )  # fmt: skip
    assert ["stays"] == _list(ranking, "frugal")
    expected = {
        "unmeasured": "no benchmark measured all kinds of task",
        "unpriced": "no price of a provider is known",
        "ends": "its provider ends it on 2026-12-28",
        "stays": "quality 60.0, 0.001000 USD at openai",
    }
    assert expected == ranking.reasons["frugal"]


def test_the_cheapest_provider_counts_and_ones_own_server_does_not() -> None:
    """Hardware that is paid for would make everything free."""
    model = _model("m", 0.004)
    model["backends"] += [
        {"provider": "groq", "model": "m", "price": {"input": 0, "output": 2}},
        {"provider": "vllm", "model": "m", "price": {"input": 0, "output": 0}},
    ]
    assert "quality 60.0, 0.002000 USD at groq" == _rank(model, m=60).reasons["frugal"]["m"]


def test_a_provider_alone_is_answered() -> None:
    """Its nearest measured model stands in: the cheapest of those above the floor, else the best."""
    ranking = _rank(
        _model("good", 0.001),
        _model("dear", 0.02, "anthropic"), _model("dearer", 0.03, "anthropic"),
        _model("weak", 0.001, "groq"), _model("weaker", 0.001, "groq"),
        good=70, dear=70, dearer=95, weak=50, weaker=40,
    )  # fmt: skip
    assert ["good", "dear", "weak"] == _list(ranking, "frugal")
    assert ranking.reasons["frugal"]["weak"].endswith("; stands in for groq, which has no other here")
    assert "quality 40.0 is below 55" == ranking.reasons["frugal"]["weaker"]


def test_the_sandbox_is_last() -> None:
    """For whoever has no provider yet."""
    ranking = _rank(_model("sandbox-small", 0.0, "sandbox"), _model("m", 0.001), m=60)
    assert ["m", "sandbox-small"] == _list(ranking, "frugal")


def test_a_list_has_an_end() -> None:
    """What lies beyond says so."""
    names = [f"m{number:02}" for number in range(MOST + 2)]
    ranking = _rank(*(_model(name, 0.001) for name in names), **dict.fromkeys(names, 60))
    assert names[:MOST] == _list(ranking, "frugal")
    assert ranking.reasons["frugal"][names[-1]].endswith(f": beyond the first {MOST}")


def test_figures_of_an_operator_stay() -> None:
    """Ranking replaces what it made, not what somebody wrote."""
    theirs: dict[str, Any] = {"quality": {"other": 99}, "sources": {"quality": "operator"}}
    ours: dict[str, Any] = {"quality": {"other": 1}, "sources": {"price": "p", "quality": "benchmarks"}}
    ranking = _rank(_model("a", 1, **theirs), _model("b", 1, **ours), _model("c", 1, **ours), a=60, b=60)
    models = {model["id"]: model for model in ranking.catalogue.models}
    assert theirs == {key: models["a"][key] for key in theirs}
    assert dict.fromkeys(TASKS, 60) == models["b"]["quality"]
    assert "quality" not in models["c"]
    assert {"price": "p", "quality": "none"} == models["c"]["sources"]


@given(st.permutations(["a", "b", "c", "d"]), st.dictionaries(st.sampled_from("abcd"), st.integers(60, 61)))
def test_ties_are_broken_by_name(order: list[str], quality: dict[str, int]) -> None:
    """The catalogue's order does not matter, so nobody is preferred by accident."""
    ranking = _rank(*(_model(name, 0.001) for name in order), **quality)
    expected = sorted(quality, key=lambda name: (-quality[name], name))
    assert expected == _list(ranking, "frugal")


def test_every_move_has_its_reason() -> None:
    """Who joins, leaves and changes places; figures old and new."""
    before = CatalogueFile(
        "",
        {
            "models": [_model("a", 0.001, quality={"other": 1}), _model("b", 0.002), _model("c", 0.003)],
            "tiers": {"frugal": {"models": ["gone", "b", "a", "weak"]}},
        },
    )
    weak = _model("weak", 0.001)
    after = _rank(*before.models, weak, a=60, b=60, c=60, weak=10)
    found = [move for move in moves(before, after) if move.startswith(("frugal", "quality: a"))]
    assert [
        "frugal: a moves from place 3 to 1: quality 60.0, 0.001000 USD at openai",
        "frugal: c joins at place 3: quality 60.0, 0.003000 USD at openai",
        "frugal: gone leaves: the catalogue does not hold it",
        "frugal: weak leaves: quality 10.0 is below 55",
        "quality: a: other=1 -> code_review=60 debugging=60 generation=60 explanation=60 other=60",
    ] == found
    assert [] == list(moves(after.catalogue, after))


def test_the_report_names_every_model() -> None:
    """Chosen or not, with the reason, in every tier."""
    ranking = _rank(_model("a", 0.001), _model("b", 0.002), a=60)
    text = report(ranking, Measured({}, {}), TODAY).decode()
    assert len(RULES) == text.count("a: quality 60.0")
    assert len(RULES) == text.count("- b: no benchmark measured all kinds of task")
