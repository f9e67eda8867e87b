"""`headgate route`: where a running gateway would send a request, or has sent one, and why."""

from pathlib import Path
from urllib.parse import urlencode

import click
import orjson

from proxy.cli.api import (
    Api,
    Record,
    connected,
    either,
    json_option,
    plain_text,
    record_path,
    show_json,
    show_list,
)

PATH = "/admin/v1/route/explain"
PAST = "/admin/v1/generations"


@click.group()
def route() -> None:
    """Where requests would go."""


@route.command()
@click.argument(
    "path", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True)
)
@click.option("--id", "generation_id", help="A past request, by the `x-generation-id` of its answer.")
@click.option(
    "--customer",
    help="Whose lists of models and regions and whose priority count; of a past request whose it is.",
)
@click.option("--key", help="Whose allow-lists count; a key's id.")
@json_option
@connected
def explain(
    api: Api,
    path: Path | None,
    generation_id: str | None,
    customer: str | None,
    key: str | None,
    *,
    as_json: bool,
) -> None:
    """Explain the choice for a chat request in a file of JSON (- is standard input), or that of a past request.

    Nothing is sent. What a customer has spent is not looked at: no tier is lowered for it, and no backend left out as
    too dear. The choice of a past request is made again from what it was made of, its money included.
    """
    either("a file", path, "--id", generation_id)
    either("--key", key, "--id", generation_id)
    if generation_id is not None:
        _past(api, generation_id, customer, as_json=as_json)
    elif path is not None:
        _coming(api, path, customer, key, as_json=as_json)
    else:
        raise click.UsageError("name a file, or a past request with --id")


def _coming(api: Api, path: Path, customer: str | None, key: str | None, *, as_json: bool) -> None:
    with click.open_file(str(path), "rb") as file:
        raw = file.read()
    try:
        request = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise click.ClickException(f"{path}: not JSON: {error}") from error
    if not isinstance(request, dict):
        raise click.ClickException(f"{path}: not an object")
    asked = {name: value for name, value in (("customer", customer), ("key", key)) if value is not None}
    told = api.call("POST", f"{PATH}?{urlencode(asked)}" if asked else PATH, request)
    if as_json:
        show_json(told)
        return
    _show_way(told)
    _show_candidates(told)


def _past(api: Api, generation_id: str, customer: str | None, *, as_json: bool) -> None:
    path = record_path(PAST, generation_id)
    told = api.call("GET", path if customer is None else f"{path}?{urlencode({'customer': customer})}")
    if as_json:
        show_json(told)
        return
    click.echo(
        f"{told['asked']} of {told['customer']}, {told['arrived_at']}: {plain_text(told['outcome'])}, "
        f"status {told['status']}"
    )
    if told["planned"]:
        _show_way(told)
    _show_candidates(told)
    click.echo("attempts:")
    show_list(
        {
            "backend": lambda record: str(record["backend"]),
            "kind": lambda record: str(record["kind"]),
            "outcome": lambda record: plain_text(record["outcome"]),
            "status": lambda record: str(record["status"]),
            "ms": lambda record: str(record["ms"]),
            "usd": lambda record: plain_text(record["cost_usd"]),
        },
        told["attempts"],
    )
    if told["replayed"]:
        click.echo("replayed: the inputs that were kept give this very plan")
    else:
        click.echo("not replayed: the plan would be another one now")
        for difference in told["differences"]:
            click.echo(f"  {plain_text(difference)}")
    if told["catalogue_changed"]:
        click.echo("the catalogue is another one than it was")


def _show_way(told: Record) -> None:
    verdict = told["verdict"]
    way = f"tier {plain_text(told['tier'])}, by {told['strategy']}" if told["tier"] else "a named model"
    click.echo(f"{way}; verdict {plain_text(verdict['complexity'])} from {verdict['source']}")
    if told["because"]:
        click.echo(plain_text(told["because"]))


def _show_candidates(told: Record) -> None:
    show_list(
        {
            "backend": lambda record: str(record["backend"]),
            "kept": lambda record: "yes" if record["kept"] else "no",
            "score": _score,
            "reasons": lambda record: "; ".join(map(str, record["reasons"])),
        },
        told["candidates"],
    )


def _score(record: Record) -> str:
    return "" if record["score"] is None else f"{record['score']:.3f}"
