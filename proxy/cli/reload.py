"""`headgate reload`: let a running gateway serve what its configuration says now."""

from typing import Final

import click

from proxy.cli.api import Api, connected, json_option, show_json

PATH: Final = "/admin/v1/reload"
_TIMEOUT_S: Final = 120.0
"""Above what the gateway itself waits for its workers."""


@click.command()
@json_option
@connected
def reload(api: Api, *, as_json: bool) -> None:
    """Read configuration, catalogue and secrets anew and serve them: all, or nothing and every problem is named."""
    came = api.call("POST", PATH, timeout_s=_TIMEOUT_S)
    if as_json:
        show_json(came)
        return
    if came["changed"]:
        click.echo("changed:")
        for path in came["changed"]:
            click.echo(f"  {path}")
    else:
        click.echo("nothing has changed: what is served is what the configuration says")
    if came["needs_restart"]:
        click.echo("waiting for a restart:")
        for path in came["needs_restart"]:
            click.echo(f"  {path}")
    for problem in came["warnings"]:
        if problem["path"] not in came["needs_restart"]:
            click.echo(f"warning: {problem['path']}: {problem['message']}", err=True)
