"""`headgate check`: is this configuration right? Nothing is started."""

import sys
from pathlib import Path

import click
import orjson

from proxy.cli.configuration import WRONG_CONFIGURATION, show, source
from proxy.settings.problems import ConfigError, Problem


@click.command()
@click.option(
    "--config", type=click.Path(path_type=Path), help="The file; else HEADGATE_CONFIG, else the defaults."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(config: Path | None, *, as_json: bool) -> None:
    """Report every problem of a configuration, with its path. Exit code 0 when there is none, else 2."""
    try:
        loaded = source(config, {}).read()
    except ConfigError as error:
        if as_json:
            click.echo(orjson.dumps({"ok": False, "problems": _rows(error.problems)}))
        else:
            show("problem", error.problems)
        sys.exit(WRONG_CONFIGURATION)
    if as_json:
        answer = {
            "ok": True,
            "problems": [],
            "warnings": _rows(loaded.warnings),
            "not_yet_active": _rows(loaded.inactive),
        }
        click.echo(orjson.dumps(answer))
        return
    show("warning", loaded.warnings)
    show("notice", loaded.inactive)
    models, keys = len(loaded.settings.models), len(loaded.settings.keys)
    click.echo(f"{loaded.source}: fine ({models} models, {keys} keys)")


def _rows(problems: tuple[Problem, ...]) -> list[dict[str, str]]:
    return [{"path": each.path, "message": each.message} for each in problems]
