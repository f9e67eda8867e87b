"""`headgate catalogue`: what models there are, where the figures come from, and how they are kept right."""

import asyncio
import difflib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from importlib import resources
from pathlib import Path
from typing import Any, Final

import click

from proxy.cli.api import plain_text, show_json, show_list
from proxy.cli.configuration import WRONG_CONFIGURATION, read_or_exit, show
from proxy.routing.catalogue.benchmarks import BenchmarkError
from proxy.routing.catalogue.document import CatalogueFile, Unwritable, read_catalogue
from proxy.routing.catalogue.imports import applied, changes
from proxy.routing.catalogue.load import default_models, from_settings
from proxy.routing.catalogue.offers import Malformed, Offer, Place, read_offers, snapshot_line
from proxy.routing.catalogue.ranking import moves
from proxy.routing.catalogue.review import (
    PRICE_SNAPSHOT,
    ReviewError,
    problems,
    ranked,
    read_sources,
)
from proxy.routing.catalogue.verify import Finding, verify
from proxy.settings.load import Loaded
from proxy.settings.problems import Problem

_FAILED: Final = 1
_COLOURS: Final = {"problem": "red", "warning": "yellow", "note": "cyan"}
_UNUSABLE: Final = (BenchmarkError, Malformed, ReviewError, Unwritable, OSError)

_file = click.Path(path_type=Path, dir_okay=False)
_config_option = click.option(
    "--config", type=_file, help="The configuration; else HEADGATE_CONFIG, else the defaults."
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_catalogue_option = click.option(
    "--catalogue",
    "path",
    type=_file,
    default=lambda: Path(str(resources.files("proxy.routing.catalogue").joinpath("default.yaml"))),
    help="The catalogue's file; else the default catalogue's.",
)
_review_option = click.option(
    "--review",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("deploy/catalogue"),
    show_default=True,
    help="The directory with sources, snapshots and the table of names.",
)
_write_option = click.option("--write", is_flag=True, help="Change the files; without it they stay.")

_COLUMNS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "model": lambda row: plain_text(row["id"]),
    "providers": lambda row: " ".join(backend["provider"] for backend in row["backends"]),
    "input": lambda row: _usd(row, "input"),
    "output": lambda row: _usd(row, "output"),
    "context": lambda row: plain_text(row.get("context_tokens")),
    "quality": lambda row: plain_text(row.get("quality", {}).get("other")),
    "tiers": lambda row: " ".join(row["tiers"]) or "-",
    "ends": lambda row: plain_text(row.get("deprecated_on")),
}


@click.group()
def catalogue() -> None:
    """The models, their prices and their quality, as reviewed data."""


@catalogue.command("show")
@_config_option
@click.option("--all", "whole", is_flag=True, help="The default catalogue whole, whatever is configured.")
@_json_option
def show_(config: Path | None, *, whole: bool, as_json: bool) -> None:
    """What can be asked for with a configuration. Prices are USD per million tokens."""
    if whole:
        file = read_catalogue(default_models(), "default catalogue")
        models, tiers = file.models, file.tiers
    else:
        settings = read_or_exit(config, {}).settings
        models = [model.model_dump(mode="json", exclude_defaults=True) for model in settings.models]
        tiers = {name: tier.model_dump(mode="json") for name, tier in settings.tiers.items()}
    rows = [
        {**model, "tiers": [name for name, tier in tiers.items() if model["id"] in tier["models"]]}
        for model in models
    ]
    if as_json:
        show_json({"models": rows, "tiers": tiers})
    else:
        show_list(_COLUMNS, rows)


@catalogue.command()
@_catalogue_option
@_review_option
@_json_option
def validate(path: Path, directory: Path, *, as_json: bool) -> None:
    """Check a catalogue: its schema, its names, and a known source for each figure. Exit code 0 or 2.

    Where there is no review beside it, sources are not looked at.
    """
    try:
        sources = read_sources(directory) if directory.is_dir() else None
        found = problems(path.read_bytes(), str(path), sources)
    except _UNUSABLE as error:
        found = [Problem(str(path), str(error))]
    if as_json:
        rows = [{"path": each.path, "message": each.message} for each in found]
        show_json({"ok": not found, "problems": rows})
    elif found:
        show("problem", found)
    else:
        click.echo(f"{path}: fine{'' if sources else ' (sources not looked at)'}")
    if found:
        sys.exit(WRONG_CONFIGURATION)


@catalogue.command("import-prices")
@click.argument("prices", metavar="FILE", type=_file)
@click.option("--source", metavar="KEY", help="What sources.yaml calls the file; needed to write.")
@click.option("--only", "named", metavar="PROVIDER/MODEL", multiple=True, help="Look at this alone; repeat.")
@_catalogue_option
@_review_option
@_write_option
def import_prices(
    prices: Path, source: str | None, named: Sequence[str], path: Path, directory: Path, *, write: bool
) -> None:
    """Show how a price list differs: models.dev's (its API or rows) or LiteLLM's map.

    Nothing is changed without --write. Exit code 0, or 2 when the list is malformed.
    """
    try:
        offers = read_offers(prices.read_bytes(), str(prices))
        before = read_catalogue(path.read_bytes(), str(path))
        if write:
            _check_source(source, directory)
        found, missing = changes(before, offers, named)
    except _UNUSABLE as error:
        raise _Unusable(str(error)) from error
    for change in found:
        for line in change.lines(source or prices.name):
            click.echo(line)
    taken = [change for change in found if change.doubt is None]
    after = applied(before, taken, source or prices.name)
    _show_diff(path, before.to_bytes(), after.to_bytes())
    click.echo(
        f"{len(found)} places differ, {len(found) - len(taken)} of them left; {len(missing)} are not in the list",
        err=True,
    )
    if write and source is not None:
        path.write_bytes(after.to_bytes())
        snapshot = directory / PRICE_SNAPSHOT
        snapshot.write_bytes(_snapshot_with(snapshot, before, offers, source))


@catalogue.command()
@click.option(
    "--benchmarks", "rows", type=_file, help="Rows to make the snapshot of; else the kept one serves."
)
@_catalogue_option
@_review_option
@_write_option
@click.option("--check", is_flag=True, help="Say nothing but whether the files are what they must be.")
def rank(rows: Path | None, path: Path, directory: Path, *, write: bool, check: bool) -> None:
    """Make quality and the tiers' lists anew, and show what moves and why.

    With --check exit code 1 when a file would change.
    """
    if write and check:
        raise click.UsageError("--write and --check exclude each other")
    try:
        result = ranked(path, directory, rows)
        old = {file: file.read_bytes() if file.exists() else b"" for file in result.files}
    except _UNUSABLE as error:
        raise _Unusable(str(error)) from error
    stale = [file for file, new in result.files.items() if old[file] != new]
    if not check:
        for line in moves(result.before, result.ranking):
            click.echo(line)
        for file in stale:
            _show_diff(file, old[file], result.files[file])
    if write:
        for file in stale:
            file.write_bytes(result.files[file])
    elif check and stale:
        for file in stale:
            click.echo(f"{file}: is stale; run `headgate catalogue rank --write`", err=True)
        sys.exit(_FAILED)


@catalogue.command("verify")
@_config_option
@click.option("--today", type=click.DateTime(["%Y-%m-%d"]), help="Instead of the calendar's day.")
@_json_option
def verify_(config: Path | None, today: datetime | None, *, as_json: bool) -> None:
    """Ask each configured provider for its models, and look for those that end within 30 days.

    Exit code 1 when a provider lacks a model or cannot be asked.
    """
    loaded = read_or_exit(config, {})
    day: date = today.date() if today else datetime.now(UTC).date()
    lists = asyncio.run(_lists(loaded))
    findings = list(verify(from_settings(loaded.settings), lists, day))
    if as_json:
        show_json({"ok": not _failed(findings), "findings": [_row(each) for each in findings]})
    else:
        for each in findings:
            what = " ".join(word for word in (each.model, each.backend) if word)
            click.echo(f"{click.style(each.level, fg=_COLOURS[each.level])}: {what}: {each.message}")
        asked = sum(isinstance(listed, frozenset) for listed in lists.values())
        click.echo(f"{asked} of {len(lists)} providers asked", err=True)
    if _failed(findings):
        sys.exit(_FAILED)


async def _lists(loaded: Loaded) -> dict[str, frozenset[str] | str | None]:
    """What each provider that takes requests lists, all asked at once."""
    from providers.model_lists import model_list
    from providers.types import UpstreamError
    from proxy.assembly.providers import providers_of
    from proxy.exchange.upstream.listing import list_models
    from proxy.exchange.upstream.transport import Transport

    declared = loaded.settings.providers
    outside = {name: each for name, each in declared.items() if each.adapter != "sandbox"}
    providers = providers_of(loaded.settings.model_copy(update={"providers": outside}), None)
    transport = Transport()

    async def ask(name: str) -> frozenset[str] | str | None:
        listed = model_list(outside[name].adapter, providers[name].base_url)
        if listed is None:
            return None
        try:
            return await list_models(transport, providers[name], listed)
        except UpstreamError as error:
            return providers[name].shown(error).message

    try:
        answers = await asyncio.gather(*map(ask, providers))
    finally:
        await transport.close()
    return dict(zip(providers, answers, strict=True))


def _check_source(source: str | None, directory: Path) -> None:
    if source is None:
        raise click.UsageError("--write needs --source")
    if source not in read_sources(directory).names:
        raise ReviewError(f'{directory}: sources.yaml has no source "{source}"; describe it there first')


def _snapshot_with(
    snapshot: Path, catalogue_file: CatalogueFile, offers: Mapping[Place, Offer], source: str
) -> bytes:
    """The kept prices with those of this list, of places that the catalogue holds."""
    lines: dict[tuple[Place, str], bytes] = {}
    for line in snapshot.read_bytes().splitlines(keepends=True) if snapshot.exists() else []:
        for place, offer in read_offers(line, str(snapshot)).items():
            lines[place, offer.source] = line
    for model in catalogue_file.models:
        for backend in model["backends"]:
            place = (backend["provider"], backend["model"])
            if place in offers:
                offer = offers[place]
                lines[place, source] = snapshot_line(Offer(place, offer.price, source, offer.deprecated_on))
    return b"".join(line for _, line in sorted(lines.items()))


def _show_diff(path: Path, old: bytes, new: bytes) -> None:
    lines = difflib.unified_diff(
        old.decode().splitlines(), new.decode().splitlines(), str(path), f"{path} (new)", lineterm=""
    )
    for line in lines:
        click.echo(line)


class _Unusable(click.ClickException):
    """One line for the operator."""

    exit_code = WRONG_CONFIGURATION


def _failed(findings: Iterable[Finding]) -> bool:
    return any(each.level == "problem" for each in findings)


def _row(finding: Finding) -> dict[str, str]:
    return {
        "level": finding.level,
        "model": finding.model,
        "backend": finding.backend,
        "message": finding.message,
    }


def _usd(row: Mapping[str, Any], figure: str) -> str:
    """From the least to the most that its providers ask; `?` where one's price is unknown."""
    prices = [backend.get("price", row.get("price")) for backend in row["backends"]]
    known = sorted({price[figure] for price in prices if price is not None})
    if not known:
        return "?"
    text = f"{known[0]:g}" if len(known) == 1 else f"{known[0]:g}-{known[-1]:g}"
    return text if None not in prices else f"{text} ?"
