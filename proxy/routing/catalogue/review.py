"""A catalogue and what it is reviewed with: sources, snapshots, the table of names. Files in, findings out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from proxy.routing.catalogue.benchmarks import read_names, read_snapshot
from proxy.routing.catalogue.document import CatalogueFile, Unwritable, read_catalogue
from proxy.routing.catalogue.quality import BENCHMARKS, SCALE, measure
from proxy.routing.catalogue.ranking import UNKNOWN, Ranking, rank, report
from proxy.settings.checks import catalogue_problems
from proxy.settings.document import DocumentError, parse
from proxy.settings.problems import Problem

SOURCES: Final = "sources.yaml"
NAMES: Final = "benchmarks.yaml"
BENCHMARK_SNAPSHOT: Final = "snapshots/benchmarks.jsonl"
PRICE_SNAPSHOT: Final = "snapshots/prices.jsonl"
REPORT: Final = "ranking.md"

# Figure of a model -> key of `sources` that says where it comes from.
_FIGURES: Final = {
    "context_tokens": "limits",
    "max_output_tokens": "limits",
    "max_image_tokens": "max_image_tokens",
    "can": "can",
    "quality": "quality",
    "speed_tokens_s": "speed_tokens_s",
    "released_on": "released_on",
    "deprecated_on": "deprecated_on",
}


class ReviewError(Exception):
    """A file of the review cannot be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What `sources.yaml` says.

    Attributes:
        as_of: the day of the last review.
        names: the sources that may be named.
    """

    as_of: date
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Ranked:
    """What ranking makes of the files: new bytes by path, and the lists with their reasons."""

    before: CatalogueFile
    ranking: Ranking
    files: Mapping[Path, bytes]


def read_sources(directory: Path) -> Sources:
    """The sources of a review.

    Raises:
        ReviewError, OSError: there are none.
    """
    path = directory / SOURCES
    try:
        values = parse(path.read_bytes())
        return Sources(date.fromisoformat(values["as_of"]), frozenset(values["sources"]) | {UNKNOWN})
    except (DocumentError, KeyError, TypeError, ValueError) as error:
        raise ReviewError(f"{path}: must hold `as_of`, a date, and `sources`: {error}") from error


def ranked(catalogue: Path, directory: Path, rows: Path | None = None) -> Ranked:
    """Rank anew.

    Args:
        rows: a file of benchmarks to make the snapshot from; without one the kept snapshot serves.

    Raises:
        BenchmarkError, Unwritable, ReviewError, OSError: a file cannot be used.
    """
    before = read_catalogue(catalogue.read_bytes(), str(catalogue))
    sources = read_sources(directory)
    names = read_names((directory / NAMES).read_bytes(), str(directory / NAMES))
    known = {model["id"] for model in before.models}
    strangers = sorted(names.models.keys() - known)
    if strangers:
        raise ReviewError(f"{directory / NAMES}: the catalogue has no model {strangers[0]}")
    snapshot_path = directory / BENCHMARK_SNAPSHOT
    path = rows or snapshot_path
    snapshot = read_snapshot(path.read_bytes(), str(path), names, BENCHMARKS, SCALE)
    measured = measure(snapshot, frozenset(names.models))
    ranking = rank(before, measured, sources.as_of)
    return Ranked(
        before,
        ranking,
        {
            catalogue: ranking.catalogue.to_bytes(),
            snapshot_path: snapshot.to_bytes(),
            directory / REPORT: report(ranking, measured, sources.as_of),
        },
    )


def problems(data: bytes, name: str, sources: Sources | None) -> list[Problem]:
    """Everything wrong with a catalogue: what the settings refuse, and figures without a known source.

    Args:
        sources: without them it is not asked where figures come from.
    """
    try:
        values = parse(data)
    except DocumentError as error:
        return [Problem(name, str(error))]
    found = catalogue_problems(values)
    if found or sources is None:
        return found
    try:
        catalogue = read_catalogue(data, name)
    except Unwritable as error:
        return [Problem(name, str(error))]
    return [
        problem
        for index, model in enumerate(catalogue.models)
        for problem in _unsourced(model, f"models[{index}]", sources)
    ]


def _unsourced(model: Mapping[str, Any], path: str, sources: Sources) -> Iterator[Problem]:
    said: Mapping[str, str] = model.get("sources", {})
    for key, source in said.items():
        if source not in sources.names:
            yield Problem(f"{path}.sources.{key}", f'{model["id"]}: no source is called "{source}"')
    for figure, key in _FIGURES.items():
        if model.get(figure) and said.get(key, UNKNOWN) == UNKNOWN:
            yield Problem(f"{path}.{figure}", f"{model['id']}: has no source: name it in sources.{key}")
    for place, backend in enumerate(model["backends"]):
        price = backend.get("price", model.get("price"))
        source = said.get(f"price.{backend['provider']}", said.get("price", UNKNOWN))
        at = f"{path}.backends[{place}].price"
        if price is not None and source == UNKNOWN:
            yield Problem(at, f"{model['id']}: has no source: name it in sources")
        if price is None and source != UNKNOWN:
            yield Problem(at, f"{model['id']}: is unknown, yet has the source {source}")
