"""The default catalogue: valid, sourced, priced as its snapshots say, ranked as they give it, from a fresh clone."""

import shutil
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy.routing.catalogue.document import CatalogueFile, read_catalogue
from proxy.routing.catalogue.load import default_models
from proxy.routing.catalogue.offers import Offer, Place, read_offers
from proxy.routing.catalogue.quality import AREAS, TASKS
from proxy.routing.catalogue.ranking import RULES
from proxy.routing.catalogue.review import PRICE_SNAPSHOT, REPORT, problems, ranked, read_sources
from proxy.settings.environment import ADDRESS_VARIABLES, KEY_VARIABLES
from proxy.settings.schema import Price

ROOT = Path(__file__).parents[4]
REVIEW = ROOT / "deploy" / "catalogue"
DEFAULT = ROOT / "proxy" / "routing" / "catalogue" / "default.yaml"
ABSENT_FROM_LISTS = {"operator", "sandbox", "none"}
"""Sources of prices that are no price lists."""


@pytest.fixture(name="catalogue", scope="module")
def _catalogue() -> CatalogueFile:
    return read_catalogue(default_models(), "default")


def _backends(catalogue: CatalogueFile) -> list[tuple[str, Place, dict[str, Any] | None, str]]:
    """Model, place, price, source."""
    return [
        (
            model["id"],
            (backend["provider"], backend["model"]),
            backend.get("price", model.get("price")),
            model["sources"].get(f"price.{backend['provider']}", model["sources"].get("price", "none")),
        )
        for model in catalogue.models
        for backend in model["backends"]
    ]


def test_it_is_valid_and_every_figure_has_a_known_source() -> None:
    """By the checks that `headgate catalogue validate` makes."""
    assert [] == problems(default_models(), "default", read_sources(REVIEW))


def test_its_size(catalogue: CatalogueFile) -> None:
    """All providers that a key in the environment adds have models, many models have several providers."""
    by_provider = defaultdict(set)
    for model, (provider, _), _, _ in _backends(catalogue):
        by_provider[provider].add(model)
    assert {*KEY_VARIABLES.values(), *ADDRESS_VARIABLES.values(), "bedrock", "vertex", "sandbox"} <= set(
        by_provider
    )
    chat = [model for model in catalogue.models if "embeddings" not in model["can"]]
    assert 55 <= len(chat) <= 75
    assert 40 <= sum(len(model["backends"]) > 1 for model in chat)
    assert 6 <= len(catalogue.models) - len(chat)


def test_every_price_is_that_of_its_source(catalogue: CatalogueFile) -> None:
    """Figure by figure, steps included; a price without a list is of one's own server, the sandbox, or none."""
    offers: dict[tuple[str, Place], Offer] = {}
    for line in (REVIEW / PRICE_SNAPSHOT).read_bytes().splitlines():
        for place, offer in read_offers(line, PRICE_SNAPSHOT).items():
            offers[offer.source, place] = offer
    listed = 0
    for model, place, price, source in _backends(catalogue):
        if source in ABSENT_FROM_LISTS:
            assert (source == "none") == (price is None), model
            continue
        expected = offers[source, place].price
        assert expected == Price.model_validate(price), (model, place)
        listed += 1
    assert 150 < listed


def test_what_several_lists_say_is_kept(catalogue: CatalogueFile) -> None:
    """The snapshot holds places of the catalogue alone, most of them by more than one list."""
    held = {place for _, place, _, _ in _backends(catalogue)}
    said: dict[Place, set[str]] = defaultdict(set)
    for line in (REVIEW / PRICE_SNAPSHOT).read_bytes().splitlines():
        row = orjson.loads(line)
        said[row["provider"], row["model"]].add(row["source"])
    assert set() == said.keys() - held
    assert len(said) / 2 < sum(len(sources) > 1 for sources in said.values())


def test_it_is_ranked_as_its_snapshots_say() -> None:
    """Byte for byte: the catalogue, the snapshot itself and the report."""
    result = ranked(DEFAULT, REVIEW)
    assert {path: path.read_bytes() for path in result.files} == result.files


def test_ranking_does_not_lean_on_what_was_there(tmp_path: Path) -> None:
    """Quality, lists and report deleted, the same bytes come again."""
    review = tmp_path / "review"
    shutil.copytree(REVIEW, review)
    (review / REPORT).unlink()
    bare = read_catalogue(DEFAULT.read_bytes(), "default")
    for model in bare.models:
        model.pop("quality", None)
        del model["sources"]["quality"]
    for tier in bare.tiers.values():
        tier["models"] = []
    path = tmp_path / "default.yaml"
    path.write_bytes(bare.to_bytes())
    files = {file.name: data for file, data in ranked(path, review).files.items()}
    assert DEFAULT.read_bytes() == files["default.yaml"]
    assert (REVIEW / REPORT).read_bytes() == files[REPORT]


def test_quality_is_measured_or_absent(catalogue: CatalogueFile) -> None:
    """A figure names its benchmarks, and a model without one says so."""
    for model in catalogue.models:
        assert ("benchmarks" if model.get("quality") else "none") == model["sources"]["quality"], model["id"]
        assert set(model.get("quality", {})) <= {*TASKS, *AREAS}
    assert 25 <= sum("quality" in model for model in catalogue.models)


def test_every_measured_provider_has_a_model_in_every_tier(catalogue: CatalogueFile) -> None:
    """Whoever configures that one alone is answered by it, and not by the sandbox."""
    measured = {
        model["id"]: model
        for model in catalogue.models
        if len(set(TASKS) & set(model.get("quality", {}))) == 5
    }
    providers = {backend["provider"] for model in measured.values() for backend in model["backends"]}
    for name in RULES:
        models = [measured[each] for each in catalogue.tiers[name]["models"] if each in measured]
        assert providers == {backend["provider"] for model in models for backend in model["backends"]}


def test_no_tier_holds_what_ends_soon(catalogue: CatalogueFile) -> None:
    """Within 30 days of the review."""
    soon = read_sources(REVIEW).as_of + timedelta(days=30)
    ends = {
        model["id"]
        for model in catalogue.models
        if "deprecated_on" in model and date.fromisoformat(model["deprecated_on"]) <= soon
    }
    assert {"gpt-5-mini"} == ends
    assert set() == ends & {model for tier in catalogue.tiers.values() for model in tier["models"]}


def test_every_source_is_explained_and_used(catalogue: CatalogueFile) -> None:
    """No explanation is left over."""
    used = {source for model in catalogue.models for source in model["sources"].values()}
    assert read_sources(REVIEW).names == used
