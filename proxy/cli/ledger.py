"""`headgate ledger`: export rows, see whether the books add up, give back what dead gateways had held."""

import csv
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
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
    read_duration_s,
    show_json,
    show_list,
)
from proxy.cli.usage import csv_option, customer_option, dollars

_PATH: Final = "/admin/v1/ledger"
_PAGE: Final = "1000"
_COLUMNS: Final = (
    "settled_at",
    "arrived_at",
    "request_id",
    "customer",
    "key",
    "asked",
    "tier",
    "model",
    "backend",
    "outcome",
    "status",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_usd",
    "estimated",
    "tags",
    "released_tokens",
    "released_usd",
)
_DOLLARS: Final = ("cost_usd", "released_usd")
_LOST: Final[Mapping[str, Callable[[Record], str]]] = {
    "request": lambda record: plain_text(record.get("request_id")),
    "customer": lambda record: plain_text(record.get("customer")),
    "key": lambda record: plain_text(record.get("key")),
    "asked": lambda record: plain_text(record.get("asked")),
    "backend": lambda record: plain_text(record.get("backend")),
    "arrived": lambda record: plain_text(record.get("arrived_at")),
    "tokens": lambda record: plain_text(record.get("tokens")),
    "usd": lambda record: dollars(record.get("usd")),
}


@click.group()
def ledger() -> None:
    """The ledger of a running gateway."""


@ledger.command()
@customer_option
@click.option("--since", metavar="DATE", help="Settled from this date, or moment with its zone, on.")
@click.option("--until", metavar="DATE", help="To the end of this date, or before this moment.")
@csv_option
@click.option("--jsonl", is_flag=True, help="Print JSON, a row a line; so it is unless --csv is given.")
@click.option("--json", "as_json", is_flag=True, help="The same as --jsonl.")
@connected
def export(
    api: Api,
    customer: str | None,
    since: str | None,
    until: str | None,
    *,
    as_csv: bool,
    jsonl: bool,
    as_json: bool,
) -> None:
    """Print all rows, oldest first, customer by customer."""
    either("--csv", as_csv, "--json" if as_json else "--jsonl", jsonl or as_json)
    asked = {"customer": customer, "since": since, "until": until}
    rows = _rows(api, {name: value for name, value in asked.items() if value is not None})
    if not as_csv:
        for row in rows:
            show_json(row)
        return
    written = csv.writer(sys.stdout, lineterminator="\n")
    written.writerow(_COLUMNS)
    written.writerows([_cell(name, row.get(name)) for name in _COLUMNS] for row in rows)


@ledger.command()
@customer_option
@json_option
@connected
def reconcile(api: Api, customer: str | None, *, as_json: bool) -> None:
    """Compare counters with the ledger; exit code 1 when something does not add up."""
    body = {} if customer is None else {"customer": customer}
    found = api.call("POST", f"{_PATH}/reconcile", body, timeout_s=LONG_S)
    if as_json:
        show_json(found)
    else:
        for books in found["data"]:
            for lost_by in books["lost_by"]:
                click.echo(_lost_by(books["customer"], lost_by))
            for difference in books["differences"]:
                click.echo(_difference(books["customer"], difference))
        verdict = "everything adds up" if found["ok"] else "the books do not add up"
        click.echo(f"{found['customers']} customers, {found['rows']} rows: {verdict}")
    if not found["ok"]:
        sys.exit(1)


@ledger.command()
@customer_option
@json_option
@connected
def lost(api: Api, customer: str | None, *, as_json: bool) -> None:
    """List what dead gateways had held: it is booked as spent until it is released."""
    query = "" if customer is None else f"?{urlencode({'customer': customer})}"
    _show_lost(api.call("GET", f"{_PATH}/lost{query}"), "Nothing is lost.", as_json=as_json)


@ledger.command()
@click.option("--customer", metavar="ID", required=True)
@click.option("--id", "ids", metavar="REQUEST", multiple=True, help="This request; repeat for more.")
@click.option(
    "--older-than",
    "age_s",
    metavar="SPAN",
    callback=read_duration_s,
    help="What arrived longer ago, like 1h, 30m or 7d.",
)
@click.option("--all", "everything", is_flag=True, help="All that is lost.")
@json_option
@connected
def release(
    api: Api,
    customer: str,
    ids: Sequence[str],
    age_s: int | None,
    *,
    everything: bool,
    as_json: bool,
) -> None:
    """Give back what is booked for lost requests. Look at `lost` first."""
    if sum((bool(ids), age_s is not None, everything)) != 1:
        raise click.UsageError("say what to release: one of --id, --older-than and --all")
    body: dict[str, Any] = {"customer": customer}
    if ids:
        body["ids"] = ids
    elif age_s is not None:
        before = datetime.now(tz=UTC) - timedelta(seconds=age_s)
        body["before"] = f"{before:%Y-%m-%dT%H:%M:%SZ}"
    else:
        body["all"] = True
    _show_lost(api.call("POST", f"{_PATH}/release", body), "Nothing was released.", as_json=as_json)


def _rows(api: Api, query: Mapping[str, str]) -> Iterator[Record]:
    """Page by page, so that a long ledger needs no memory."""
    cursor: str | None = None
    while True:
        asked = {**query, "limit": _PAGE, **({} if cursor is None else {"cursor": cursor})}
        page = api.call("GET", f"{_PATH}?{urlencode(asked)}")
        yield from page["data"]
        cursor = page["next"]
        if cursor is None:
            return


def _cell(name: str, value: Any) -> object:
    if value is None:
        return ""
    if name in _DOLLARS:
        return dollars(value)
    return " ".join(value) if isinstance(value, list) else value


def _difference(customer: str, difference: Record) -> str:
    whose = {
        "customer": f"customer {customer}",
        "key": f"key {difference['key']} of {customer}",
        "model": f"{difference['model']} of key {difference['key']} of {customer}",
    }[difference["subject"]]
    more = difference["difference"]
    return (
        f"{whose}, {difference['window']}: counted {more['tokens']:+d} tokens and {more['usd']:+.6f} dollars "
        f"more than booked"
    )


def _lost_by(customer: str, lost: Record) -> str:
    return (
        f"customer {customer}: {lost['requests']} lost requests for {plain_text(lost['asked'])} "
        f"({plain_text(lost['backend'])}) are booked as {lost['tokens']} tokens and {dollars(lost['usd'])} dollars"
    )


def _show_lost(found: Record, nothing: str, *, as_json: bool) -> None:
    if as_json:
        show_json(found)
    elif found["data"]:
        show_list(_LOST, found["data"])
    else:
        click.echo(nothing, err=True)
