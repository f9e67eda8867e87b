"""`headgate store`: decide about the store of a running gateway."""

import click

from proxy.cli.api import Api, connected, json_option, show_json


@click.group()
def store() -> None:
    """The store of a running gateway."""


@store.command()
@json_option
@connected
def accept(api: Api, *, as_json: bool) -> None:
    """Use a store that has lost its data, or is another one. What it held before is forgotten."""
    answer = api.call("POST", "/admin/v1/store/accept")
    if as_json:
        show_json(answer)
    elif answer.get("accepted"):
        click.echo("The store is accepted and in use.")
    else:
        click.echo("The store was in use already; nothing has changed.")
