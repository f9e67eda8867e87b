"""Reading the configuration for a command: one place for flags, the environment and how problems are shown."""

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import click

from proxy.routing.catalogue.load import default_models
from proxy.settings.load import Loaded
from proxy.settings.problems import ConfigError, Problem
from proxy.settings.reload import Source

WRONG_CONFIGURATION: Final = 2


def source(path: Path | None, flags: Mapping[str, str | int]) -> Source:
    """Where the configuration of a server with these arguments comes from."""
    return Source(path, environ=dict(os.environ), flags=flags, default_models=default_models())


def read_or_exit(path: Path | None, flags: Mapping[str, str | int]) -> Loaded:
    """The configuration that a server with these arguments would use.

    Problems are printed, and the process ends with code 2.
    """
    return loaded_or_exit(source(path, flags))


def loaded_or_exit(of: Source) -> Loaded:
    """What a source says now; problems are printed, and the process ends with code 2."""
    try:
        return of.read()
    except ConfigError as error:
        show("problem", error.problems)
        sys.exit(WRONG_CONFIGURATION)


def show(kind: str, found: Iterable[Problem]) -> None:
    """One line each, on standard error."""
    colour = {"problem": "red", "warning": "yellow"}.get(kind, "cyan")
    for each in found:
        click.echo(f"{click.style(kind, fg=colour)}: {each.path}: {each.message}", err=True)
