"""`headgate route`: where a running gateway would send a request, and why."""

from pathlib import Path
from urllib.parse import urlencode

import click
import orjson

from proxy.cli.api import Api, Record, connected, json_option, plain_text, show_json, show_list

PATH = "/admin/v1/route/explain"


@click.group()
def route() -> None:
    """Where requests would go."""


@route.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True))
@click.option("--customer", help="Whose allow-list and priority count.")
@click.option("--key", help="Whose allow-lists count; a key's id.")
@json_option
@connected
def explain(api: Api, path: Path, customer: str | None, key: str | None, *, as_json: bool) -> None:
    """Explain the choice for a chat request in a file of JSON (- is standard input). Nothing is sent."""
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
    verdict = told["verdict"]
    way = f"tier {plain_text(told['tier'])}, by {told['strategy']}" if told["tier"] else "a named model"
    click.echo(f"{way}; verdict {plain_text(verdict['complexity'])} from {verdict['source']}")
    if told["because"]:
        click.echo(plain_text(told["because"]))
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
