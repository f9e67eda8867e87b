"""`headgate openapi`: the admin API's description. Nothing is started and no server asked."""

import click
import orjson

from proxy.admin.openapi import document


@click.command()
def openapi() -> None:
    """Print the admin API as an OpenAPI 3.1 document (JSON)."""
    click.echo(orjson.dumps(document(), option=orjson.OPT_INDENT_2))
