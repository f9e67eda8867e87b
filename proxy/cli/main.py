"""`headgate`: the command line. Each noun lives in its own file and is imported when it is called.

Exit codes: 0 done; 1 it failed while running; 2 wrong usage or configuration; 3 the server cannot be reached.
"""

from importlib import import_module
from typing import Final

import click

from proxy.cli.process import importing

_COMMANDS: Final = {
    "serve": ("proxy.cli.serve", "Start the gateway."),
    "check": ("proxy.cli.check", "Check a configuration without starting anything."),
    "catalogue": ("proxy.cli.catalogue", "Models, prices and quality, and how they are kept right."),
    "classify": ("proxy.cli.classify", "Show what requests would be taken for."),
    "customers": ("proxy.cli.customers", "Manage customers of a running gateway."),
    "health": ("proxy.cli.health", "Show how the backends of a running gateway fare."),
    "keys": ("proxy.cli.keys", "Manage keys of a running gateway."),
    "ledger": ("proxy.cli.ledger", "Export and check what requests cost."),
    "models": ("proxy.cli.models", "Show the models that a running gateway serves."),
    "openapi": ("proxy.cli.openapi", "Print the admin API as an OpenAPI document."),
    "reload": ("proxy.cli.reload", "Let a running gateway serve its changed configuration."),
    "route": ("proxy.cli.route", "Show where requests would go, and why."),
    "probe": ("proxy.cli.probe", "Ask a gateway whether it runs or serves, for containers."),
    "store": ("proxy.cli.store", "The store of a running gateway."),
    "usage": ("proxy.cli.usage", "Show what customers used."),
    "version": ("proxy.cli.version", "Print the version."),
}


class _Lazy(click.Group):
    """Imports a command's file when the command is called, so that `headgate version` starts at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _COMMANDS:
            return None
        with importing():
            command: click.Command = getattr(import_module(_COMMANDS[cmd_name][0]), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="headgate", prog_name="headgate")
def main() -> None:
    """A self-hosted LLM gateway."""


if __name__ == "__main__":
    main()
