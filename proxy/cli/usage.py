"""`headgate usage`: what customers of a running gateway used."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

import click

from proxy.cli.api import (
    LONG_S,
    Api,
    Record,
    connected,
    either,
    json_option,
    plain_text,
    show_json,
    show_list,
)

_PATH: Final = "/admin/v1/usage"
_GROUPS: Final = ("customer", "key", "model", "backend", "tag", "day")
_TOKENS: Final[Mapping[str, str]] = {
    "requests": "requests",
    "errors": "errors",
    "input": "input_tokens",
    "cached": "cache_read_tokens",
    "output": "output_tokens",
    "estimated": "estimated",
}


customer_option: Final = click.option(
    "--customer", metavar="ID", help="Only of this customer; all unless given."
)
csv_option: Final = click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")


@click.command()
@customer_option
@click.option("--key", metavar="ID", help="Only of this key.")
@click.option("--model", metavar="NAME", help="Only what this model answered.")
@click.option("--tag", metavar="WORD", help="Only requests with this tag.")
@click.option("--since", metavar="DATE", help="Like 2026-11-01; 30 days unless given.")
@click.option("--until", metavar="DATE", help="That day included; today unless given.")
@click.option(
    "--group-by",
    "groups",
    type=click.Choice(_GROUPS),
    multiple=True,
    help="`customer` unless given; repeat for more.",
)
@csv_option
@json_option
@connected
def usage(
    api: Api,
    groups: Sequence[str],
    *,
    as_csv: bool,
    as_json: bool,
    **filters: str | None,
) -> None:
    """Show what was used: requests, tokens and dollars, by UTC day of arrival."""
    either("--csv", as_csv, "--json", as_json)
    query = {name: value for name, value in filters.items() if value is not None}
    query["group_by"] = ",".join(groups or ("customer",))
    if as_csv:
        click.echo(api.text(f"{_PATH}?{urlencode({**query, 'format': 'csv'})}"), nl=False)
        return
    found = api.call("GET", f"{_PATH}?{urlencode(query)}", timeout_s=LONG_S)
    if as_json:
        show_json(found)
        return
    total = {**found["total"], groups[0] if groups else "customer": "total"}
    show_list(_columns(groups or ("customer",)), [*found["data"], total])


def _columns(groups: Sequence[str]) -> Mapping[str, Callable[[Record], str]]:
    columns: dict[str, Callable[[Record], str]] = {name: partial(_value, name) for name in groups}
    columns |= {heading: partial(_value, member) for heading, member in _TOKENS.items()}
    return {**columns, "usd": lambda record: dollars(record.get("cost_usd"))}


def _value(member: str, record: Record) -> str:
    return plain_text(record.get(member))


def dollars(value: Any) -> str:
    """To the micro-dollar."""
    return "-" if value is None else f"{value:.6f}"
