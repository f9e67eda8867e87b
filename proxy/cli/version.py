"""`headgate version`."""

import platform
from importlib.metadata import version as installed_version

import click
import orjson


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def version(*, as_json: bool) -> None:
    """Print the version of Headgate and of the Python it runs on."""
    mine, python = installed_version("headgate"), platform.python_version()
    click.echo(
        orjson.dumps({"version": mine, "python": python}) if as_json else f"headgate {mine} (Python {python})"
    )
