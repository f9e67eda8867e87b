"""`headgate models`: the catalogue that a running gateway serves."""

from typing import Final

import click

from proxy.cli.api import Api, Record, connected, json_option, plain_text, show_json, show_list

PATH: Final = "/admin/v1/models"


@click.command()
@json_option
@connected
def models(api: Api, *, as_json: bool) -> None:
    """Models of a running gateway: a line for each backend, prices in USD per million tokens."""
    members = api.call("GET", PATH)
    if as_json:
        show_json(members)
        return
    rows = [{**backend, "model": model} for model in members.get("data", []) for backend in model["backends"]]
    if not rows:
        click.echo("There are no models.", err=True)
        return
    show_list(
        {
            "model": lambda row: str(row["model"]["id"]),
            "backend": lambda row: str(row["id"]),
            "region": lambda row: plain_text(row["region"]),
            "input": lambda row: _usd(row, "input"),
            "output": lambda row: _usd(row, "output"),
            "context": lambda row: plain_text(row["model"]["context_tokens"]),
            "tiers": lambda row: plain_text(", ".join(row["model"]["tiers"])),
        },
        rows,
    )


def _usd(row: Record, part: str) -> str:
    return "-" if row["price"] is None else f"{row['price'][part]:g}"
